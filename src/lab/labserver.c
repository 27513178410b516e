#include "lab/labserver.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/num.h"
#include "sys/clock.h"
#include "sys/random.h"
#include "lab/ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bases are multiples of 1000 below the range the kernel gives to clients; the ports of a lab
 * lie within 1000 of its base. Who has bound the base itself has the whole range. */
#define BASE_FIRST 11
#define BASE_COUNT 21
#define BASE_STRIDE 1000
#define START_TRIES 5
#define STOP_MS 15000
#define OUTPUT_MAX 65536

static const uint16_t lab_ports[] = { 24, 25, 110, 143, 366, 465, 587, 993, 995 };

/* --- ports ------------------------------------------------------------------ */

/* A socket bound to the port on both loopback addresses is all we ask: -1 when taken. */
static int
bind_port(int family, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const struct sockaddr *sa = family == AF_INET ? (const void *)&in : (const void *)&in6;
	int one = 1;

	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* Connections of an earlier case in TIME_WAIT are in nobody's way. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    bind(fd, sa, family == AF_INET ? sizeof(in) : sizeof(in6)) == 0 && listen(fd, 1) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool
is_free(uint16_t port)
{
	static const int families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		int fd = bind_port(families[i], port);
		if (fd < 0 && errno == EADDRINUSE)
			return false;
		if (fd >= 0)
			close(fd);
	}
	return true;
}

static bool
take_ports(struct labserver *l)
{
	uint64_t first = random_u64();

	for (unsigned i = 0; i < BASE_COUNT; i++) {
		l->base = (uint16_t)((BASE_FIRST + (first + i) % BASE_COUNT) * BASE_STRIDE);
		l->guard = bind_port(AF_INET, l->base);
		bool all = l->guard >= 0;
		for (size_t k = 0; all && k < ARRAY_LEN(lab_ports); k++)
			all = is_free((uint16_t)(l->base + lab_ports[k]));
		if (all)
			return true;
		if (l->guard >= 0)
			close(l->guard);
		l->guard = -1;
	}
	return false;
}

/* --- the command line --------------------------------------------------------- */

struct args {
	char **v;
	size_t n;
};

static void add(struct args *a, const char *option, const char *fmt, ...) PRINTF(3, 4);

static void
add(struct args *a, const char *option, const char *fmt, ...)
{
	struct buf text = BUF_INIT(CONV_TEXT_MAX);
	va_list ap;

	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	a->v = xrealloc(a->v, (a->n + 3) * sizeof(*a->v));
	a->v[a->n++] = xstrdup(option);
	a->v[a->n++] = str_dup(buf_str(&text));
	a->v[a->n] = NULL;
	buf_done(&text);
}

static void
args_done(struct args *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
	free(a->v);
}

static void
add_domain_of(struct args *a, const struct conv *c, struct str addr)
{
	struct str domain = str_skip(addr, str_rfind(addr, '@') + 1);

	for (size_t i = 0; i < c->n_domains; i++)
		if (str_ieq(c->domains[i], domain))
			return;
	add(a, "--domain", STR_FMT, STR_ARG(domain));
}

static bool
has_user(const struct conv *c, struct str addr)
{
	for (size_t i = 0; i < c->n_users; i++)
		if (str_ieq(c->users[i].address, addr))
			return true;
	return false;
}

static void
add_plain(struct args *a, struct str octets)
{
	struct buf b = BUF_INIT(CONV_TEXT_MAX);

	base64_enc(&b, octets);
	add(a, "--user-plain", STR_FMT, STR_ARG(buf_str(&b)));
	buf_done(&b);
}

/* The password is kept recoverably, for the mechanisms that a case may ask for. A login that the
 * address does not give is an account of its own. */
static void
add_user(struct args *a, const struct conv *c, const struct conv_user *u)
{
	struct buf b = BUF_INIT(CONV_TEXT_MAX);
	struct str local = str_first(u->address, str_rfind(u->address, '@'));

	if (u->address.len) {
		add_domain_of(a, c, u->address);
		buf_putf(&b, STR_FMT ":" STR_FMT, STR_ARG(u->address), STR_ARG(u->password));
		add_plain(a, buf_str(&b));
	}
	if (!str_ieq(u->login, u->address) && !str_ieq(u->login, local)) {
		buf_reset(&b);
		buf_putf(&b, "%c" STR_FMT "%c" STR_FMT, 0, STR_ARG(u->login), 0,
		    STR_ARG(u->password));
		add_plain(a, buf_str(&b));
	}
	buf_done(&b);
}

static void
make_args(struct args *a, const struct labserver *l, const struct conv *c)
{
	add(a, "pennypost", "lab");
	add(a, "--dir", "%s", l->dir);
	add(a, "--port-base", "%u", l->base);
	add(a, "--dialect", STR_FMT, STR_ARG(c->dialect));
	/* A case writes a few letters; no need to set gigabytes aside for it. */
	add(a, "--set", "store.segment_bytes=4194304");
	for (size_t i = 0; i < c->n_sets; i++)
		add(a, "--set", STR_FMT, STR_ARG(c->sets[i].assignment));
	for (size_t i = 0; i < c->n_domains; i++)
		add(a, "--domain", STR_FMT, STR_ARG(c->domains[i]));
	for (size_t i = 0; i < c->n_users; i++)
		add_user(a, c, &c->users[i]);
	for (size_t i = 0; i < c->n_logins; i++)
		add(a, "--user-plain", STR_FMT, STR_ARG(c->logins[i]));
	for (size_t i = 0; i < c->n_mailboxes; i++) {
		if (has_user(c, c->mailboxes[i]))
			continue;
		add_domain_of(a, c, c->mailboxes[i]);
		add(a, "--user", STR_FMT ":%016llx", STR_ARG(c->mailboxes[i]),
		    (unsigned long long)random_u64());
	}
}

/* --- the process ---------------------------------------------------------------- */

static _Noreturn void
become_lab(char *const argv[], int out, int log)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* However we end, the lab must not stay behind. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setpgid(0, 0); /* ^C is for us; we stop it in order */
	signal(SIGPIPE, SIG_DFL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(log, 2) < 0)
		_exit(127);
	execv("/proc/self/exe", argv);
	_exit(127);
}

/* Reads the lab's output until the line `ready`. 1 ready, 0 time is up, < 0 it ended. */
static int
wait_ready(int out, const struct labserver_options *o)
{
	struct buf text = BUF_INIT(OUTPUT_MAX);
	int64_t deadline = sys_mono_ms() + o->timeout_ms;
	int result = 0;

	while (result == 0 && !(o->stop && *o->stop)) {
		int64_t left = deadline - sys_mono_ms();
		struct pollfd p = { .fd = out, .events = POLLIN };
		if (left <= 0 || poll(&p, 1, (int)left) <= 0 || !buf_reserve(&text, 4096))
			break;
		ssize_t n = read(out, text.p + text.len, 4096);
		if (n <= 0) {
			result = -1;
			break;
		}
		text.len += (size_t)n;
		struct str all = buf_str(&text);
		if (str_starts(all, STR("ready\n")) ||
		    str_find_str(all, STR("\nready\n")) < all.len)
			result = 1;
	}
	buf_done(&text);
	return result;
}

static bool
start_once(struct labserver *l, const struct conv *c)
{
	struct args a = { 0 };
	int out[2];

	if (pipe2(out, O_CLOEXEC) < 0)
		return false;
	make_args(&a, l, c);
	l->pid = fork();
	if (l->pid == 0)
		become_lab(a.v, out[1], l->log);
	args_done(&a);
	close(out[1]);
	l->out = out[0];
	return l->pid > 0;
}

static void
forget_start(struct labserver *l)
{
	if (l->out >= 0)
		close(l->out);
	if (l->guard >= 0)
		close(l->guard);
	l->out = l->guard = -1;
}

static bool
make_dir(struct labserver *l, struct buf *why)
{
	const char *tmp = getenv("TMPDIR");
	int n =
	    snprintf(l->dir, sizeof(l->dir), "%s/pennypost-run-XXXXXX", tmp && *tmp ? tmp : "/tmp");

	if (n > 0 && (size_t)n < sizeof(l->dir) && mkdtemp(l->dir))
		return true;
	buf_putf(why, "cannot make a folder for the server in %s; set TMPDIR",
	    tmp && *tmp ? tmp : "/tmp");
	l->dir[0] = '\0';
	return false;
}

static int
reap(struct labserver *l, int64_t timeout_ms)
{
	int64_t deadline = sys_mono_ms() + timeout_ms;
	int status = -1;

	while (l->pid > 0) {
		pid_t got = waitpid(l->pid, &status, WNOHANG);
		if (got == l->pid || (got < 0 && errno == ECHILD)) {
			l->pid = 0;
			return status;
		}
		if (sys_mono_ms() >= deadline)
			return -1;
		poll(NULL, 0, 2);
	}
	return status;
}

/* One start on fresh ports: 1 ready, 0 not in time, < 0 it ended by itself. */
static int
try_start(struct labserver *l, const struct conv *c, const struct labserver_options *o,
    struct buf *why)
{
	if (!take_ports(l)) {
		buf_putz(why, "no free range of ports between 11000 and 32000");
		return 0;
	}
	if (!start_once(l, c)) {
		buf_putf(why, "cannot start the server: %s", strerror(errno));
		return 0;
	}
	int ready = wait_ready(l->out, o);
	if (ready == 0)
		buf_putz(why, "the server did not get ready in time");
	if (ready < 0)
		reap(l, STOP_MS);
	return ready;
}

/* Somebody who does not know our rule may take a port between our look and the server's bind. */
static bool
port_was_taken(const struct labserver *l)
{
	struct buf log = BUF_INIT(CASE_LOG_MAX);
	struct str taken = str_of(strerror(EADDRINUSE));

	labserver_log(l, &log);
	bool yes = str_find_str(buf_str(&log), taken) < log.len;
	buf_done(&log);
	return yes;
}

bool
labserver_start(struct labserver *l, const struct conv *c, const struct labserver_options *o,
    struct buf *why)
{
	*l = (struct labserver){ .guard = -1, .out = -1, .keep = o->keep };
	l->log = memfd_create("lab-log", MFD_CLOEXEC);
	if (l->log < 0 || fcntl(l->log, F_SETFL, O_APPEND) < 0) {
		buf_putf(why, "memfd_create: %s", strerror(errno));
		return false;
	}
	if (!make_dir(l, why))
		return false;
	for (int i = 0; i < START_TRIES; i++) {
		int ready = try_start(l, c, o, why);
		if (ready >= 0)
			return ready > 0;
		if (!port_was_taken(l))
			break;
		forget_start(l);
	}
	buf_putz(why, "the server did not start");
	return false;
}

struct restarts {
	uint64_t sum;
};

static void
restarts_row(void *arg, const struct msg_row *row)
{
	struct restarts *r = arg;
	uint64_t n;

	if (row->n > 6 && num_u64(row->field[6], UINT32_MAX, &n))
		r->sum += n;
}

bool
labserver_restarts(const struct labserver *l, uint64_t *ret, struct buf *why)
{
	struct restarts r = { 0 };
	struct ask a = {
		.dir = l->dir, .op = "status", .row = restarts_row, .arg = &r, .timeout_ms = 10000
	};

	if (!ask_server(&a, why))
		return false;
	*ret = r.sum;
	return true;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

bool
labserver_stop(struct labserver *l, struct buf *why)
{
	bool ok = true;

	if (l->pid > 0) {
		kill(l->pid, SIGTERM);
		int status = reap(l, STOP_MS);
		if (l->pid > 0) {
			kill(l->pid, SIGKILL);
			reap(l, STOP_MS);
			buf_putz(why, "the server did not stop when told to");
			ok = false;
		} else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
			buf_putf(why, "the server did not end cleanly: %s %d",
			    WIFEXITED(status) ? "exit status" : "signal",
			    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
			ok = false;
		}
	}
	if (l->dir[0] && !l->keep)
		nftw(l->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	forget_start(l);
	return ok;
}

void
labserver_log(const struct labserver *l, struct buf *out)
{
	struct stat st;

	if (l->log < 0 || fstat(l->log, &st) < 0)
		return;
	off_t at = st.st_size > (off_t)CASE_LOG_MAX ? st.st_size - (off_t)CASE_LOG_MAX : 0;
	while (at < st.st_size && buf_reserve(out, 1)) {
		ssize_t n = pread(l->log, out->p + out->len, out->cap - out->len, at);
		if (n <= 0)
			return;
		out->len += (size_t)n;
		at += n;
	}
}

void
labserver_done(struct labserver *l)
{
	if (l->log >= 0)
		close(l->log);
	l->log = -1;
}
