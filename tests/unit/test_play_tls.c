/* The player inside TLS, against libssl in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "play/player.h"
#include "tls/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct buf key_pem = BUF_INIT(65536), cert_pem = BUF_INIT(65536);

static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
    unsigned inlen, void *arg)
{
	*out = in + 1;
	*outlen = in[0];
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *
context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	BIO *k = BIO_new_mem_buf(key_pem.p, (int)key_pem.len);
	BIO *c = BIO_new_mem_buf(cert_pem.p, (int)cert_pem.len);

	check(SSL_CTX_use_certificate(ctx, PEM_read_bio_X509(c, NULL, NULL, NULL)) == 1);
	check(SSL_CTX_use_PrivateKey(ctx, PEM_read_bio_PrivateKey(k, NULL, NULL, NULL)) == 1);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	return ctx;
}

/* "<imap>", the protocol that the client has offered. */
static void
say_alpn(SSL *ssl)
{
	const unsigned char *name = NULL;
	unsigned n = 0;
	char line[300];

	SSL_get0_alpn_selected(ssl, &name, &n);
	int len =
	    snprintf(line, sizeof(line), "<%.*s>\r\n", (int)n, name ? (const char *)name : "");
	SSL_write(ssl, line, len);
}

/* Says `plain`, shakes hands when told "go", says `inside`, echoes until "bye". */
static void
serve(int fd, struct str plain, bool wait_for_go, struct str inside)
{
	SSL *ssl = SSL_new(context());
	char line[65536];
	int n;

	if (plain.len)
		check(send(fd, plain.p, plain.len, MSG_NOSIGNAL) == (ssize_t)plain.len);
	if (wait_for_go)
		check(recv(fd, line, 4, MSG_WAITALL) == 4);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) != 1)
		return;
	if (inside.len)
		SSL_write(ssl, inside.p, (int)inside.len);
	while ((n = SSL_read(ssl, line, sizeof(line))) > 0) {
		if (n >= 4 && memcmp(line, "alpn", 4) == 0) {
			say_alpn(ssl);
			continue;
		}
		SSL_write(ssl, line, n);
		if (n >= 3 && memcmp(line, "bye", 3) == 0)
			break;
		if (n >= 3 && memcmp(line, "cut", 3) == 0)
			return;
	}
	SSL_shutdown(ssl);
}

struct server {
	pid_t pid;
	uint16_t port;
};

static struct server
server_start(struct str plain, bool wait_for_go, struct str inside)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	struct server s = { 0 };

	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	s.port = ntohs(sin.sin_port);
	s.pid = fork();
	if (s.pid == 0) {
		alarm(60); /* a test that fails does not stop us */
		signal(SIGCHLD, SIG_IGN);
		signal(SIGPIPE, SIG_IGN);
		for (;;) {
			int c = accept(fd, NULL, NULL);
			if (fork() == 0) {
				serve(c, plain, wait_for_go, inside);
				close(c);
				_exit(0);
			}
			close(c);
		}
	}
	close(fd);
	return s;
}

static void
server_stop(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
}

#define TWO "1\r\n2\r\n"

static const struct {
	const char *name, *conv;
	struct str plain, inside;
	bool go; /* STARTTLS */
	enum play_result result;
	int line;
	const char *got;
} rows[] = {
	{ "implicit", "@tls implicit\nS: 220 hi\nC: a\nS: a\nC: bye\nS: bye\nE: close\n",
	    { NULL, 0 }, STR("220 hi\r\n"), false, PLAY_PASSED, 0, "" },
	{ "starttls", "S: 220 hi\nR: go\\r\\n\nT: starttls\nC: a\nS: a\nC: bye\nS: bye\nE: close\n",
	    STR("220 hi\r\n"), { NULL, 0 }, true, PLAY_PASSED, 0, "" },
	{ "SMTP offers no protocol", "@tls implicit\nC: alpn\nS: <>\n", { NULL, 0 }, { NULL, 0 },
	    false, PLAY_PASSED, 0, "" },
	{ "IMAP", "@proto imap\n@tls implicit\nC: alpn\nS: <imap>\n", { NULL, 0 }, { NULL, 0 },
	    false, PLAY_PASSED, 0, "" },
	{ "POP3", "@proto pop3\nS: \\+OK hi\nR: go\\r\\n\nT: starttls\nC: alpn\nS: <pop3>\n",
	    STR("+OK hi\r\n"), { NULL, 0 }, true, PLAY_PASSED, 0, "" },
	{ "an end without a word", "@tls implicit\nC: cut\nS: cut\nE: close\n", { NULL, 0 },
	    { NULL, 0 }, false, PLAY_PASSED, 0, "" },
	{ "two lines in a record", "@tls implicit\nS: 1\nS: 2\nN: 50\nC: bye\nS: bye\nE: close\n",
	    { NULL, 0 }, STR(TWO), false, PLAY_PASSED, 0, "" },
	{ "not silent", "@tls implicit\nS: 1\nN: 200\n", { NULL, 0 }, STR(TWO), false, PLAY_FAILED,
	    3, "2" },
	{ "wrong line", "@tls implicit\nS: 3\n", { NULL, 0 }, STR(TWO), false, PLAY_FAILED, 2,
	    "1" },
	{ "large", "@tls implicit\nC: {repeat:3000000:x}\nC: {repeat:3000000:y}\nS: x*\nS: y*\n",
	    { NULL, 0 }, { NULL, 0 }, false, PLAY_PASSED, 0, "" },
	{ "keystrokes", "@tls implicit\n@input keystroke\nC: abc\nS: abc\n", { NULL, 0 },
	    { NULL, 0 }, false, PLAY_PASSED, 0, "" },
	{ "each connection", "@tls implicit\nS: 1\nA: b\nS: 1\nC: x\nS: x\nA: main\nC: y\nS: y\n",
	    { NULL, 0 }, STR("1\r\n"), false, PLAY_PASSED, 0, "" },
	{ "twice", "@tls implicit\nT: starttls\n", { NULL, 0 }, { NULL, 0 }, false, PLAY_FAILED, 2,
	    "this connection is inside TLS already" },
	{ "a line inside the plain part", "S: 1\nR: go\\r\\n\nW: 50\nT: starttls\n", STR(TWO),
	    { NULL, 0 }, true, PLAY_FAILED, 4, "the server has said more than a step has read" },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct server s = server_start(rows[i].plain, rows[i].go, rows[i].inside);
		struct buf err = BUF_INIT(4096);
		struct play_report r;
		struct conv c;
		assert_true(conv_parse(&c, "t.conv", str_of(rows[i].conv), &err));
		play_report_init(&r);
		player_run(&c,
		    &(struct player_options){
			.host = "127.0.0.1", .port = s.port, .timeout_ms = 20000 },
		    &r);
		if (r.result != rows[i].result || r.line != rows[i].line ||
		    !str_eq(buf_str(&r.got), str_of(rows[i].got)))
			fail_msg("%s: result %d, line %d, got \"%s\"", rows[i].name, (int)r.result,
			    r.line, buf_cstr(&r.got));
		play_report_done(&r);
		conv_done(&c);
		buf_done(&err);
		server_stop(&s);
	}
}

static int
begin(void **state)
{
	struct buf err = BUF_INIT(4096);
	struct str name = STR("localhost");

	tls_init();
	return tls_make_self_signed(&name, 1, 1, &key_pem, &cert_pem, &err) ? 0 : -1;
}

static int
end(void **state)
{
	buf_done(&key_pem);
	buf_done(&cert_pem);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, begin, end);
}
