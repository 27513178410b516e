/*
 * lab: the production processes on loopback, for experiments. This process becomes parent; a
 * child waits until the server answers, fills it through the same door as every command, and
 * says `ready`. If the child fails, it stops the server, and the lab ends with its status.
 */
#include "ctl/lab_priv.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/num.h"
#include "ctl/tls_priv.h"
#include "roles/parent/parent.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

const struct lab_port lab_ports[] = {
	{ 25, "smtp", "smtp" },
	{ 587, "smtp", "submission" },
	{ 465, "smtp", "smtps" },
	{ 366, "smtp", "atrn" },
	{ 24, "lmtp", "lmtp" },
	{ 143, "imap", "imap" },
	{ 993, "imap", "imaps" },
	{ 110, "pop3", "pop3" },
	{ 995, "pop3", "pop3s" },
	{ 0, NULL, NULL },
};

#define LAB_CERT "default"
#define LMTP_PORT 24        /* and a unix socket beside it */
#define WELL_KNOWN_MAX 1000 /* the largest of them, with those to come, is below */

static const struct cli_cmd *
self(void)
{
	return cli_cmd_find("lab");
}

static bool
has_ipv6(void)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static void
listen_all(struct lab *lab)
{
	bool v6 = has_ipv6();
	for (const struct lab_port *p = lab_ports; p->port; p++) {
		uint64_t port = lab->base + p->port;
		conf_listener_add(lab->conf, "127.0.0.1", port, p->protocol)->stands_for = p->port;
		buf_putf(&lab->places, "  %-10s 127.0.0.1:%u", p->title, (unsigned)port);
		if (v6) {
			conf_listener_add(lab->conf, "::1", port, p->protocol)->stands_for =
			    p->port;
			buf_putf(&lab->places, "  [::1]:%u", (unsigned)port);
		}
		if (p->port == LMTP_PORT) {
			conf_listener_add(lab->conf, "unix:lmtp.sock", port, p->protocol)
			    ->stands_for = p->port;
			buf_putf(&lab->places, "  unix:%s/lmtp.sock", lab->dir);
		}
		buf_putc(&lab->places, '\n');
	}
}

static bool
set(struct lab *lab, const char *key, const char *value, struct buf *err)
{
	struct buf a = BUF_INIT(CONF_TEXT_MAX + 256);
	buf_putf(&a, "%s=%s", key, value);
	bool ok = !a.failed && conf_set(lab->conf, buf_str(&a), err);
	buf_done(&a);
	return ok;
}

/* Segments for a few letters, not for a few million. */
static bool
configure(struct lab *lab, struct buf *err, struct buf *warnings)
{
	bool ok = true;
	lab->conf = conf_new();
	listen_all(lab);
	ok = set(lab, "lab", "yes", err) && set(lab, "log.level", "warn", err);
	ok = set(lab, "data_dir", lab->dir, err) && ok;
	ok = set(lab, "hostname", lab->hostname ? lab->hostname : LAB_HOSTNAME, err) && ok;
	ok = set(lab, "dns", lab->dns ? lab->dns : "", err) && ok;
	if (lab->dialect)
		ok = set(lab, "dialect", lab->dialect, err) && ok;
	for (size_t i = 0; i < lab->set.n; i++)
		ok = conf_set(lab->conf, str_of(lab->set.v[i]), err) && ok;
	if (strcmp(lab->conf->data_dir, lab->dir) != 0) {
		buf_putz(err,
		    "--set data_dir: the lab's directory is named with --dir; leave this out\n");
		ok = false;
	}
	return target_check(lab->conf, err, warnings) && ok;
}

static int
find_dir(struct lab *lab)
{
	char *dir = lab->dir_arg ? xstrdup(lab->dir_arg) : target_lab_dir();
	int rc = dir_make(dir, 0700);
	lab->dir = rc == 0 ? realpath(dir, NULL) : NULL;
	if (lab->dir == NULL)
		complain("%s: %s; name another directory with --dir", dir,
		    strerror(rc < 0 ? -rc : errno));
	free(dir);
	return lab->dir ? EXIT_DONE : EXIT_IO;
}

/* --- a certificate --- */

/* Ours, and for the name that the lab has today. */
static bool
cert_fits(const struct lab *lab)
{
	struct conf_cert files = { tls_files_path(lab->dir, LAB_CERT, ".crt"),
		tls_files_path(lab->dir, LAB_CERT, ".key") };
	struct tls_pair p;
	tls_init();
	tls_pair_look(&files, lab->conf->hostname, sys_wall_ms() / 1000, &p);
	bool fits = p.usable && (p.wrong.len == 0 || !p.info.self_signed);
	tls_pair_done(&p);
	free(files.cert);
	free(files.key);
	return fits;
}

static bool
make_cert(struct lab *lab, struct buf *err)
{
	const struct str names[] = { str_of(lab->conf->hostname), STR("localhost"),
		STR("127.0.0.1"), STR("::1") };
	return cert_fits(lab) || tls_files_make(lab->dir, LAB_CERT, names, ARRAY_LEN(names), err);
}

/* --- the child --- */

struct filler {
	pid_t pid;
	int pipe[2]; /* its exit status, one octet */
};

static _Noreturn void
filler_main(const struct lab *lab, struct filler *f, pid_t server)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != server)
		_exit(EXIT_REACH);
	close(f->pipe[0]);
	unsigned char status = (unsigned char)lab_fill(lab);
	if (fflush(stdout) != 0)
		status = EXIT_IO;
	if (write(f->pipe[1], &status, 1) != 1 || status != EXIT_DONE)
		kill(server, SIGTERM);
	_exit(status);
}

static bool
filler_start(const struct lab *lab, struct filler *f)
{
	pid_t server = getpid();
	(void)fflush(NULL);
	if (pipe2(f->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	f->pid = fork();
	if (f->pid == 0)
		filler_main(lab, f, server);
	close(f->pipe[1]);
	return f->pid > 0;
}

static int
serve(struct lab *lab)
{
	struct filler f;
	unsigned char filled = EXIT_DONE;
	if (!filler_start(lab, &f)) {
		complain("a process cannot be started: %s", strerror(errno));
		return EXIT_REACH;
	}
	struct conf *c = lab->conf;
	lab->conf = NULL;
	int status = parent_run(c, &(struct parent_options){ .maintenance = false });
	/* A child that still waits ends with us (PR_SET_PDEATHSIG). */
	if (read(f.pipe[0], &filled, 1) != 1)
		filled =
		    EXIT_DONE; /* stopped before it was ready: that is for the one who stopped it */
	close(f.pipe[0]);
	return filled != EXIT_DONE ? filled : status == 0 ? EXIT_DONE : EXIT_REACH;
}

static int
lab_main(struct lab *lab)
{
	struct buf err = BUF_INIT(1u << 20), warnings = BUF_INIT(1u << 20);
	int status = find_dir(lab);
	if (status == EXIT_DONE) {
		/* The one who asks for a lab knows that it is one. */
		status = configure(lab, &err, &warnings) ? EXIT_DONE : EXIT_USAGE;
		if (status == EXIT_DONE && !make_cert(lab, &err))
			status = EXIT_IO;
		complain_lines(buf_str(&err));
	}
	if (status == EXIT_DONE)
		status = serve(lab);
	buf_done(&err);
	buf_done(&warnings);
	return status;
}

static bool
numbers_fit(struct lab *lab)
{
	lab->base = LAB_PORT_BASE;
	if (lab->port_base_arg &&
	    (!num_u64(str_of(lab->port_base_arg), 65535 - WELL_KNOWN_MAX, &lab->base))) {
		usage_error(self(), "--port-base cannot be %s; write a number from 0 to %d",
		    lab->port_base_arg, 65535 - WELL_KNOWN_MAX);
		return false;
	}
	return true;
}

static bool
is_user(struct str u)
{
	size_t at = str_find(u, '@'), colon = at + str_find(str_skip(u, at), ':');
	return at > 0 && at < u.len && colon + 1 < u.len && !memchr(u.p, '\0', u.len);
}

/* The message of AUTH PLAIN: NUL, name, NUL, password. */
static bool
is_login(struct str u)
{
	struct str rest = str_skip(u, 1), name = str_cut(&rest, '\0');
	return u.len && u.p[0] == '\0' && name.len && rest.len && !memchr(rest.p, '\0', rest.len);
}

static bool
users_fit(const struct lab *lab)
{
	for (size_t i = 0; i < lab->users.n; i++) {
		if (!is_user(str_of(lab->users.v[i]))) {
			usage_error(self(),
			    "--user needs ADDRESS:PASSWORD, such as ann@example.com:secret");
			return false;
		}
	}
	for (size_t i = 0; i < lab->users_plain.n; i++) {
		struct buf u = BUF_INIT(64u << 10);
		bool fits = base64_dec(&u, str_of(lab->users_plain.v[i])) &&
		            (is_user(buf_str(&u)) || is_login(buf_str(&u)));
		buf_done(&u);
		if (!fits) {
			usage_error(self(), "--user-plain needs ADDRESS:PASSWORD in base64");
			return false;
		}
	}
	return true;
}

static int
run(int argc, char **argv)
{
	struct lab lab = { .places = BUF_INIT(64u << 10) };
	struct cli_words words;
	struct cli_opt opts[] = {
		{ "--dir", OPT_VALUE, &lab.dir_arg },
		{ "--port-base", OPT_VALUE, &lab.port_base_arg },
		{ "--hostname", OPT_VALUE, &lab.hostname },
		{ "--dialect", OPT_VALUE, &lab.dialect },
		{ "--dns", OPT_VALUE, &lab.dns },
		{ "--domain", OPT_LIST, &lab.domains },
		{ "--user", OPT_LIST, &lab.users },
		{ "--user-plain", OPT_LIST, &lab.users_plain },
		{ "--set", OPT_LIST, &lab.set },
		{ NULL },
	};
	int status = EXIT_USAGE;
	if (cli_parse(self(), argc, argv, opts, &words)) {
		if (words.n)
			status = usage_error(self(), "it does not take \"%s\"", words.v[0]);
		else if (numbers_fit(&lab) && users_fit(&lab))
			status = lab_main(&lab);
	}
	free(words.v);
	free(lab.domains.v);
	free(lab.users.v);
	free(lab.users_plain.v);
	free(lab.set.v);
	free(lab.dir);
	buf_done(&lab.places);
	conf_free(lab.conf);
	return status;
}

const struct cli_cmd cmd_lab = {
	.name = "lab",
	.summary = "Start a mail server on this machine for experiments",
	.usage = "[--dir DIR] [--port-base N] [--hostname HOST]\n"
		 " [--domain DOMAIN]... [--user ADDRESS:PASSWORD]...\n"
		 " [--user-plain BASE64]...\n"
		 " [--dialect NAME] [--set KEY=VALUE]... [--dns HOST:PORT]",
	.help =
	    "The real server on 127.0.0.1 and ::1, with users to try it with. It says what it\n"
	    "made, and `ready` on a line of its own when it takes mail; ^C stops it. What it\n"
	    "received stays in DIR and is there at the next start.\n\n"
	    "  --dir DIR          default: pennypost/lab below $XDG_STATE_HOME or ~/.local/state\n"
	    "  --port-base N      SMTP is at port N + 25, submission at N + 587, and by TLS from\n"
	    "                     the start at N + 465; LMTP at N + 24 and at lmtp.sock in DIR;\n"
	    "                     IMAP at N + 143, by TLS at N + 993; POP3 at N + 110 and N + 995\n"
	    "                     (default N: 10000)\n"
	    "  --hostname HOST    the server's name (default: mail.example.com)\n"
	    "  --domain DOMAIN    a local domain; may be repeated (default: example.com)\n"
	    "  --user ADDR:PASSW  a user, whose domain becomes local; may be repeated. Without\n"
	    "                     any there are alice@example.com and bob@example.com\n"
	    "  --user-plain B64   the same in base64, so that the password may hold any octet but\n"
	    "                     NUL; it is kept in clear too, for the old mechanisms that need "
	    "it.\n"
	    "                     With a NUL in front and for the colon: a login name of any\n"
	    "                     octets, without a mailbox\n"
	    "  --dialect NAME     the wording of another server: exchange, postfix, sendmail, ...\n"
	    "  --set KEY=VALUE    any key of pennypost.conf(5); PORT:KEY=VALUE for one port\n"
	    "  --dns HOST:PORT    the name server that is asked; without it nothing is looked "
	    "up\n\n"
	    "A certificate for the lab's name and for localhost is made in DIR/tls/default.crt.\n\n"
	    "Exit status: 0 stopped cleanly, 1 usage, 2 a user or domain was refused, 3 it could\n"
	    "not start (are the ports free?), 4 DIR cannot be used.\n",
	.words =
	    "--dir=DIR --port-base= --hostname= --domain= --user= --user-plain= --dialect= --set= "
	    "--dns=",
	.run = run,
};
