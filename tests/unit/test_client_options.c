#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/exit.h"
#include "client/name.h"
#include "client/options.h"
#include "client/options_priv.h"
#include "client/options_text.h"
#include "sys/file.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct cli_cmd cmd = {
	.name = "talk", .summary = "", .usage = "", .help = "", .words = ""
};
#define ALL (~0u)

static char *kept[4096];
static size_t n_kept;

/* Parses words, the last one NULL; what is complained about goes into err. */
static int
parse(struct client_options *o, unsigned groups, const char *const *words, char err[1024])
{
	char *argv[40];
	int argc = 0, saved = dup(STDERR_FILENO), pipe_fd[2];

	argv[argc++] = strdup("talk");
	while (words[argc - 1]) {
		argv[argc] = strdup(words[argc - 1]);
		argc++;
	}
	assert_int_equal(pipe(pipe_fd), 0);
	(void)fflush(stderr);
	dup2(pipe_fd[1], STDERR_FILENO);
	close(pipe_fd[1]);
	int status = options_parse(o, &cmd, groups, argc, argv);
	if (status == CLIENT_OK)
		status = options_server(o, 0, 25);
	(void)fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	ssize_t n = read(pipe_fd[0], err, 1023);
	err[n > 0 ? n : 0] = '\0';
	close(pipe_fd[0]);
	/* The options hold views of argv; a test leaves them to its end. */
	for (int i = 0; i < argc; i++)
		kept[n_kept++ % ARRAY_LEN(kept)] = argv[i];
	return status;
}

static const struct {
	const char *words[8];
	const char *host;
	unsigned port;
	enum client_proto proto;
	enum client_tls tls;
	bool insecure;
} servers[] = {
	{ { "a.example" }, "a.example", 25, PROTO_SMTP, CLIENT_TLS_MAY, true },
	{ { "a.example", "587" }, "a.example", 587, PROTO_SMTP, CLIENT_TLS_MAY, true },
	{ { "a.example:465" }, "a.example", 465, PROTO_SMTP, CLIENT_TLS_IMPLICIT, false },
	{ { "[::1]:25" }, "[::1]", 25, PROTO_SMTP, CLIENT_TLS_MAY, true },
	{ { "::1" }, "::1", 25, PROTO_SMTP, CLIENT_TLS_MAY, true },
	{ { "::1", "143" }, "::1", 143, PROTO_IMAP, CLIENT_TLS_MAY, true },
	{ { "a.example", "imaps" }, "a.example", 993, PROTO_IMAP, CLIENT_TLS_IMPLICIT, false },
	{ { "imaps://a.example/" }, "a.example", 993, PROTO_IMAP, CLIENT_TLS_IMPLICIT, false },
	{ { "a.example", "995", "--tls=never" }, "a.example", 995, PROTO_POP3, CLIENT_TLS_NEVER,
	    false },
	{ { "a.example", "--proto=lmtp" }, "a.example", 24, PROTO_LMTP, CLIENT_TLS_MAY, true },
	{ { "a.example", "--proto", "pop3", "--tls", "implicit" }, "a.example", 995, PROTO_POP3,
	    CLIENT_TLS_IMPLICIT, false },
	{ { "--port", "2525", "a.example" }, "a.example", 2525, PROTO_SMTP, CLIENT_TLS_MAY, true },
	{ { "a.example", "--pin", "jz4wlO1FI+fgcSnadI5yLedZxzRaV5O+uybjSp9t2pw=" }, "a.example", 25,
	    PROTO_SMTP, CLIENT_TLS_MAY, false },
	{ { "a.example", "--tls=must" }, "a.example", 25, PROTO_SMTP, CLIENT_TLS_MUST, false },
	{ { "a.example", "--tls=must", "--insecure" }, "a.example", 25, PROTO_SMTP, CLIENT_TLS_MUST,
	    true },
	{ { "unix:/run/lmtp" }, "unix:/run/lmtp", 24, PROTO_LMTP, CLIENT_TLS_MAY, true },
	{ { "--proto=smtp", "unix:/run/smtp" }, "unix:/run/smtp", 25, PROTO_SMTP, CLIENT_TLS_MAY,
	    true },
	{ { "a.example", "--auth" }, "a.example", 25, PROTO_SMTP, CLIENT_TLS_MAY, false },
	/* lines of the seed document 002 */
	{ { "-debug", "-starttls", "smtp", "-crlf", "-connect", "m.example:25" }, "m.example", 25,
	    PROTO_SMTP, CLIENT_TLS_MUST, false },
	{ { "-debug", "-starttls", "smtp", "-crlf", "-connect", "m.example:587" }, "m.example", 587,
	    PROTO_SMTP, CLIENT_TLS_MUST, false },
	{ { "-debug", "-showcerts", "-crlf", "-connect", "m.example:465" }, "m.example", 465,
	    PROTO_SMTP, CLIENT_TLS_IMPLICIT, false },
	{ { "-connect", "m.example:143", "-starttls", "imap" }, "m.example", 143, PROTO_IMAP,
	    CLIENT_TLS_MUST, false },
	{ { "-quiet", "-ign_eof", "-verify_return_error", "-connect", "m.example:993" },
	    "m.example", 993, PROTO_IMAP, CLIENT_TLS_IMPLICIT, false },
};

static void
test_servers(void **state)
{
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		struct client_options o;
		char err[1024];
		int status = parse(&o, ALL, servers[i].words, err);
		if (status != CLIENT_OK)
			fail_msg("row %zu: %s", i, err);
		assert_string_equal(o.link.host, servers[i].host);
		assert_int_equal(o.link.port, servers[i].port);
		assert_int_equal(o.proto, servers[i].proto);
		assert_int_equal(o.tls, servers[i].tls);
		assert_int_equal(o.link.insecure, servers[i].insecure);
		assert_int_equal(options_done(&o, 0), 0);
	}
}

static const struct {
	const char *words[6];
	const char *says; /* a part of it */
} mistakes[] = {
	{ { "--tmeout", "3", "h" }, "no option --tmeout; did you mean --timeout?" },
	{ { "-starttsl", "smtp", "h" }, "did you mean -starttls?" },
	{ { "--auth-user", "x", "h" }, "no option --auth-user; what swaks calls so is --user" },
	{ { "-au", "x", "h" }, "no option -au; what swaks calls so is --user" },
	{ { "--timeout", "0", "h" }, "--timeout cannot be 0" },
	{ { "--timeout" }, "--timeout needs a value" },
	{ { "--json=1", "h" }, "--json takes no value" },
	{ { "--tls=mus", "h" }, "may, must, never or implicit" },
	{ { "--password", "x", "h" }, "never stands on the command line" },
	{ { "--password=secret", "h" }, "never stands on the command line" },
	{ { "--port", "70000", "h" }, "--port cannot be 70000" },
	{ { "h", "0" }, "0 is no port" },
	{ { "h", "25", "x" }, "one word too many: x" },
	{ { "h:25", "25" }, "the port is given twice" },
	{ { "-connect", "a:1", "b" }, "the server is named twice" },
	{ { "a b" }, "is no server" },
	{ { "--resolve", "x", "h" }, "NAME:ADDRESS" },
	{ { "--resolve", "x:y", "h" }, "NAME:ADDRESS" },
	{ { "--pin", "abc", "h" }, "--pin cannot be abc" },
	{ { "--tls-min=1.3", "--tls-max=1.2", "h" }, "--tls-min is above --tls-max" },
	{ { "--dsn", "notify=sometimes", "h" }, "--dsn cannot be" },
	{ { "--by", "12", "h" }, "--by cannot be 12" },
	{ { "--segments", "0", "h" }, "--segments cannot be 0" },
	{ { "-4", "-6", "h" }, "do not go together" },
	{ { "--key", "k", "h" }, "--key needs --cert" },
	{ { "--data", "f", "--text", "x", "h" }, "--data is the whole letter" },
	{ { "--color=\x1b[2J", "h" }, "--color cannot be \\x1b[2J" },
	{ { "--mail-param", "A=B C", "h" }, "KEYWORD" },
};

static void
test_mistakes(void **state)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct client_options o;
		char err[1024];
		int status = parse(&o, ALL, mistakes[i].words, err);
		assert_int_equal(status, CLIENT_USAGE);
		if (!strstr(err, mistakes[i].says))
			fail_msg("row %zu: %s", i, err);
		options_done(&o, 0);
	}
}

static void
test_values(void **state)
{
	const char *words[] = { "h", "--dsn=notify=success,delay,ret=hdrs,envid=x1",
		"--timeout=1.5", "--resolve", "x:::1", "--to", "a@b,c@d", "--to=e@f",
		"--chunking=64K", "--pipeline=force", "--labels=->", "--mail-param", "X=Y",
		"--lint=off", "--eol", "lf", "--proxy-v1=1.2.3.4:5", "--delay", "7",
		"--segments=keystroke", NULL };
	struct client_options o;
	char err[1024];

	assert_int_equal(parse(&o, ALL, words, err), CLIENT_OK);
	assert_string_equal(o.dsn_notify, "success,delay");
	assert_string_equal(o.dsn_ret, "hdrs");
	assert_string_equal(o.dsn_envid, "x1");
	assert_int_equal(o.link.timeout_ms, 1500);
	assert_string_equal(o.link.resolve[0].addr, "::1");
	assert_int_equal(o.to.n, 2);
	assert_int_equal(o.chunk, 65536);
	assert_true(o.pipeline && o.pipeline_force);
	assert_string_equal(o.show.them, "<- ");
	assert_string_equal(o.params.v[0], "mail:X=Y");
	assert_int_equal(o.lint, CLIENT_LINT_OFF);
	assert_int_equal(o.link.eol, LINK_LF);
	assert_int_equal(o.link.proxy, 1);
	assert_int_equal(o.link.delay_ms, 7);
	assert_int_equal(o.link.segment, 1);
	options_done(&o, 0);
}

static void
put_profile(const char *dir, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/pennypost", dir);
	dir_make(path, 0700);
	snprintf(path, sizeof(path), "%s/pennypost/client.conf", dir);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
test_profile(void **state)
{
	char dir[] = "/tmp/test_options_XXXXXX", err[1024], path[512];
	struct client_options o;

	assert_non_null(mkdtemp(dir));
	setenv("XDG_CONFIG_HOME", dir, 1);
	put_profile(dir, "# mine\n\nwork.server = mail.example.com:587\nwork.user = joe\n"
			 "timeout = 5\nwork.tls = must\nwork.password_file = /x\nverbose = no\n");
	const char *plain[] = { "h", NULL };
	assert_int_equal(parse(&o, ALL, plain, err), CLIENT_OK);
	assert_int_equal(o.link.timeout_ms, 5000);
	assert_null(o.user);
	options_done(&o, 0);
	const char *work[] = { "--profile", "work", "--timeout=9", NULL };
	assert_int_equal(parse(&o, ALL, work, err), CLIENT_OK);
	assert_string_equal(o.link.host, "mail.example.com");
	assert_int_equal(o.link.port, 587);
	assert_string_equal(o.user, "joe");
	assert_string_equal(o.secret.file, "/x");
	assert_int_equal(o.tls, CLIENT_TLS_MUST);
	assert_int_equal(o.link.timeout_ms, 9000);
	options_done(&o, 0);
	const char *other[] = { "--profile=hoem", "h", NULL };
	assert_int_equal(parse(&o, ALL, other, err), CLIENT_USAGE);
	assert_non_null(strstr(err, "no profile hoem"));
	put_profile(dir, "password = x\n");
	assert_int_equal(parse(&o, ALL, plain, err), CLIENT_USAGE);
	assert_non_null(strstr(err, "client.conf:1: a password does not belong"));
	put_profile(dir, "\ntimout = 5\n");
	assert_int_equal(parse(&o, ALL, plain, err), CLIENT_USAGE);
	assert_non_null(strstr(err,
	    "client.conf:2: there is no option timout; did you mean timeout?"));
	snprintf(path, sizeof(path), "%s/pennypost/client.conf", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/pennypost", dir);
	rmdir(path);
	rmdir(dir);
	unsetenv("XDG_CONFIG_HOME");
}

static void
test_environment(void **state)
{
	const char *none[] = { NULL };
	struct client_options o;
	char err[1024];

	setenv("REMOTE_SRV", "mail.example.net", 1);
	assert_int_equal(parse(&o, ALL, none, err), CLIENT_OK);
	assert_string_equal(o.link.host, "mail.example.net");
	options_done(&o, 0);
	setenv("PENNYPOST_SERVER", "[::1]:2525", 1);
	assert_int_equal(parse(&o, ALL, none, err), CLIENT_OK);
	assert_int_equal(o.link.port, 2525);
	options_done(&o, 0);
	unsetenv("REMOTE_SRV");
	unsetenv("PENNYPOST_SERVER");
	assert_int_equal(parse(&o, ALL, none, err), CLIENT_USAGE);
	assert_non_null(strstr(err, "which server?"));
	options_done(&o, 0);
}

/* Whatever can be given is in --help and in completion. */
static void
test_words(void **state)
{
	static const char all[] = OPTIONS_WORDS_CONNECT
	    " " OPTIONS_WORDS_HELLO " " OPTIONS_WORDS_AUTH " " OPTIONS_WORDS_ENVELOPE
	    " " OPTIONS_WORDS_MESSAGE " " OPTIONS_WORDS_WIRE " " OPTIONS_WORDS_OUTPUT
	    " " OPTIONS_WORDS_PROBE " " OPTIONS_WORDS_FLOW " " OPTIONS_WORDS_TALK;
	static const char help[] = OPTIONS_HELP_CONNECT OPTIONS_HELP_HELLO OPTIONS_HELP_AUTH
	    OPTIONS_HELP_ENVELOPE OPTIONS_HELP_MESSAGE OPTIONS_HELP_WIRE OPTIONS_HELP_OUTPUT
		OPTIONS_HELP_PROBE OPTIONS_HELP_FLOW OPTIONS_HELP_TALK;

	for (const struct option *row = option_rows; row->name; row++) {
		if (row->name[1] != '-' || row->groups == OPTIONS_CERT ||
		    strcmp(row->name, "--password") == 0)
			continue;
		if (!strstr(all, row->name))
			fail_msg("completion lacks %s", row->name);
		if (!strstr(help, row->name))
			fail_msg("--help lacks %s", row->name);
	}
	struct str rest = str_of(all), word;
	while ((word = str_word(&rest)).len) {
		struct str name = str_first(word, str_find(word, '='));
		bool found = false;
		for (const struct option *row = option_rows; row->name; row++)
			found = found || str_eq(str_of(row->name), name);
		if (!found)
			fail_msg("there is no " STR_FMT, STR_ARG(name));
	}
}

/* K4-09, step by step. */
static void
test_name_rule(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	const struct {
		const char *asked, *own;
		int fd;
		const char *server, *name;
	} rows[] = {
		{ "me", "own.example.net", fd, "mail.example.com", "me" },
		{ NULL, "own.example.net", fd, "mail.example.com", "own.example.net" },
		{ "", "", fd, "mail.example.com", "[127.0.0.1]" },
		{ NULL, "", -1, "mail.example.com", "test.example.com" },
		{ NULL, "", -1, "example.com.", "test.example.com" },
		{ NULL, "", -1, "192.0.2.1", "localhost" },
		{ NULL, "", -1, NULL, "localhost" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(512);
		name_rule(rows[i].asked, rows[i].own, rows[i].fd, rows[i].server, &b);
		assert_string_equal(buf_cstr(&b), rows[i].name);
		buf_done(&b);
	}
	close(fd);
}

static void
test_name(void **state)
{
	struct buf b = BUF_INIT(512);

	name_of_us("me.example", -1, "x", &b);
	assert_string_equal(buf_cstr(&b), "me.example");
	buf_reset(&b);
	setenv("USER", "nobodysname", 1);
	name_of_us(NULL, -1, "mail.example.com", &b);
	assert_true(b.len > 0);
	assert_null(strstr(buf_cstr(&b), "nobodysname"));
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_profile),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_name_rule),
		cmocka_unit_test(test_name),
	};
	setenv("HOME", "/nonexistent", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
