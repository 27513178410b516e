/*
 * The life of parent with roles of straw: this program runs itself again as `--role NAME`, and
 * such a role counts what it is handed and says so as its status.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ipc/chan.h"
#include "ipc/msg.h"
#include "ipc/pass.h"
#include "kit/port_kit.h"
#include "roles/parent/parent_priv.h"
#include "smtp/reply.h"
#include "sys/clock.h"
#include "sys/spawn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 20000
#define FRONTS 3
#define READERS 2
#define RELAYS 2

static char dir[64];

/* --- a role of straw --- */

#define LISTENERS STATUS_CONNECTIONS
#define PEERS STATUS_GROUPS
#define TALLIES STATUS_SEGMENTS
#define SETUPS STATUS_LETTERS
#define FAULTS STATUS_REFUSED
#define FORGOTTEN STATUS_LOGINS_FAILED

static void
breach(int signo)
{
	static const char frame[16] = { 0, 0, 0, 0, 0, IPC_SYNCED, IPC_VERSION };
	(void)!write(SPAWN_FD, frame, sizeof(frame));
}

static void
hang(int signo)
{
	for (;;)
		pause();
}

static void
straw_status(const struct msg_status *s, uint64_t id)
{
	struct buf b = BUF_INIT(4096);
	msg_status_put(&b, s);
	chan_sync_send(SPAWN_FD, IPC_STATUS, id, buf_str(&b), -1);
	buf_done(&b);
}

static void
straw_ready(void)
{
	struct buf b = BUF_INIT(4096);
	msg_ready_put(&b, &(struct msg_ready){ LAYER_NO_DUMP, 4711 });
	chan_sync_send(SPAWN_FD, IPC_READY, 0, buf_str(&b), -1);
	buf_done(&b);
}

/* Counters: our own are the only ones we may write. */
static bool
tally_is_right(const struct ipc_frame *f, unsigned index)
{
	uint16_t who;
	return msg_u16_get(f->body, FRONT_MAX, &who) &&
	       (fcntl(f->fd, F_GETFL) & O_ACCMODE) == (who == index ? O_RDWR : O_RDONLY) &&
	       (fcntl(f->fd, F_GET_SEALS) & (F_SEAL_GROW | F_SEAL_SHRINK)) ==
	           (F_SEAL_GROW | F_SEAL_SHRINK);
}

static void
straw_command(int fd)
{
	struct buf b = BUF_INIT(4096);
	msg_done_put(&b, &(struct msg_done){ CTL_OK, str_of("straw") });
	chan_sync_send(fd, IPC_DONE, 7, buf_str(&b), -1);
	buf_done(&b);
}

/* One line in DIR/order for each role that was told to end. */
static void
straw_ends(const char *name)
{
	char path[96];
	snprintf(path, sizeof(path), "%s/order", getenv("STRAW_DIR"));
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dprintf(fd, "%s\n", name);
	close(fd);
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
}

/* One line in DIR/passes: the key. */
static bool
straw_passes(int from)
{
	struct pass_key k = { 0 };
	char path[96], line[2 * PASS_KEY_LEN + 2];
	if (!pass_key_read(&k, from))
		return false;
	for (size_t i = 0; i < PASS_KEY_LEN; i++)
		snprintf(line + 2 * i, 3, "%02x", k.octets[i]);
	snprintf(path, sizeof(path), "%s/passes", getenv("STRAW_DIR"));
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dprintf(fd, "%s\n", line);
	close(fd);
	return true;
}

/* One line in DIR/secrets: the kind and the end of the name, and what the file holds. */
static bool
straw_secret(const struct ipc_frame *f)
{
	struct msg_secret m;
	char path[96], text[16] = "";
	if (!msg_secret_get(f->body, &m))
		return false;
	if (m.kind == SECRET_PASSES)
		return straw_passes(f->fd);
	snprintf(path, sizeof(path), "%s/secrets", getenv("STRAW_DIR"));
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	ssize_t n = read(f->fd, text, sizeof(text) - 1);
	struct str name = str_skip(m.name, str_rfind(m.name, '/') + 1);
	dprintf(fd, "%u " STR_FMT " %s\n", m.kind, STR_ARG(name), n < 0 ? "?" : text);
	close(fd);
	return (fcntl(f->fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
}

/* front.1 takes a fault as soon as it hears of it. */
static void
straw_fault(struct msg_status *s, const struct ipc_frame *f, unsigned index)
{
	uint16_t what;
	bool known = msg_u16_get(f->body, SMTP_SITUATION_COUNT, &what);
	s->value[known ? FAULTS : FORGOTTEN]++;
	if (known && index == 1)
		chan_sync_send(SPAWN_FD, IPC_FAULT_TAKEN, 0, f->body, -1);
}

static int
straw(const char *name)
{
	static struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct msg_status s = { .have = 1u << LISTENERS | 1u << PEERS | 1u << TALLIES |
		                        1u << SETUPS | 1u << FAULTS | 1u << FORGOTTEN };
	struct ipc_frame f;
	struct msg_setup setup = { 0 };

	signal(SIGUSR1, breach);
	signal(SIGUSR2, hang);
	while (chan_sync_recv(SPAWN_FD, &f, &store) == 0) {
		switch ((int)f.type) {
		case IPC_SETUP:
			if (!msg_setup_get(f.body, &setup) ||
			    strcmp(ipc_role_name[setup.role], name) != 0)
				return 9;
			if (s.value[SETUPS]++ == 0)
				straw_ready();
			s.value[LISTENERS] = 0;
			break;
		case IPC_LISTENER:
			s.value[LISTENERS]++;
			break;
		case IPC_UNLISTEN:
			s.value[LISTENERS]--;
			break;
		case IPC_PEER:
			s.value[PEERS]++;
			break;
		case IPC_TALLY:
			if (!tally_is_right(&f, setup.index))
				return 8;
			s.value[TALLIES]++;
			break;
		case IPC_SECRET:
			if (!straw_secret(&f))
				return 5;
			break;
		case IPC_FAULT:
			straw_fault(&s, &f, setup.index);
			break;
		case IPC_STATUS_ASK:
			straw_status(&s, f.id);
			break;
		case IPC_CTL:
			straw_command(f.fd);
			break;
		case IPC_DRAIN:
			straw_ends(name);
			return 0;
		default:
			return 7;
		}
		if (f.fd >= 0)
			close(f.fd);
	}
	return 6;
}

/* --- the test's side --- */

static void
nap(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

static bool
answers(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
	close(fd);
	return ok;
}

static const char *dns_now = "";

static struct conf *
make_conf(const uint16_t *port, size_t n)
{
	struct conf *c = conf_new();
	free(c->data_dir);
	c->data_dir = xstrdup(dir);
	c->fronts = FRONTS;
	c->readers = READERS;
	c->relays = RELAYS;
	c->lab = true;
	free(c->dns);
	c->dns = xstrdup(dns_now);
	for (size_t i = 0; i < n; i++)
		assert_non_null(conf_listener_add(c, "127.0.0.1", port[i], "smtp"));
	free(c->log_level);
	c->log_level = xstrdup("error");
	return c;
}

static uint16_t next_port[2];
static const char *const *next_dns; /* one for each reload */

static struct conf *
reload(void *arg, struct buf *err)
{
	if (next_dns)
		dns_now = *next_dns++;
	if (next_port[0])
		return make_conf(next_port, 2);
	buf_putz(err, "first mistake\nsecond mistake\n");
	return NULL;
}

static pid_t
serve(const uint16_t *port, size_t n, bool maintenance)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no server behind */
	int quiet = open("/dev/null", O_WRONLY);
	if (!getenv("PARENT_TEST_LOUD"))
		dup2(quiet, STDERR_FILENO);
	dup2(quiet, STDOUT_FILENO);
	close(quiet);
	struct parent_options o = { .reload = reload, .maintenance = maintenance };
	exit(parent_run(make_conf(port, n), &o)); /* and not _exit: leaks are to be found */
}

static int
knock(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/ctl.sock", dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int64_t until = sys_mono_ms() + WAIT_MS; sys_mono_ms() < until; nap(20))
		if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
			return fd;
	fail_msg("no door");
	return -1;
}

static void
ask_for(int fd, enum ipc_role role)
{
	struct buf b = BUF_INIT(16);
	msg_u8_put(&b, (uint8_t)role);
	assert_int_equal(chan_sync_send(fd, IPC_CTL_TO, 1, buf_str(&b), -1), 0);
	buf_done(&b);
}

static void
expect_done(int fd, enum ctl_code code, const char *text)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	struct msg_done d;
	assert_int_equal(chan_sync_recv(fd, &f, &store), 0);
	assert_int_equal(f.type, IPC_DONE);
	assert_true(msg_done_get(f.body, &d));
	assert_int_equal(d.code, code);
	assert_true(str_find_str(d.text, str_of(text)) < d.text.len || !*text);
	buf_done(&store);
}

static int
open_door(enum ipc_role role)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	int fd = knock();
	ask_for(fd, role);
	assert_int_equal(chan_sync_recv(fd, &f, &store), 0);
	assert_int_equal(f.type, IPC_CTL_OK);
	buf_done(&store);
	return fd;
}

static void
ask(int fd, const char *op)
{
	struct buf b = BUF_INIT(4096);
	msg_ask_put(&b, &(struct msg_ask){ .op = str_of(op) });
	assert_int_equal(chan_sync_send(fd, IPC_ASK, 5, buf_str(&b), -1), 0);
	buf_done(&b);
}

struct seen {
	char role[16], state[24];
	unsigned index;
	pid_t pid;
	unsigned restarts;
	int value[STATUS_KEY_COUNT]; /* -1: none */
};

#define SEEN_MAX (3 + FRONTS + READERS + RELAYS + 3)
struct picture {
	size_t n;
	struct seen row[SEEN_MAX];
};

static unsigned
num(struct str s)
{
	char text[32];
	assert_true(str_copy(text, sizeof(text), s));
	return (unsigned)strtoul(text, NULL, 10);
}

static void
see(struct str body, struct seen *ret)
{
	struct msg_row m;
	assert_true(msg_row_get(body, &m));
	assert_int_equal(m.n, 8 + STATUS_KEY_COUNT);
	assert_true(str_copy(ret->role, sizeof(ret->role), m.field[0]));
	ret->index = num(m.field[1]);
	ret->pid = (pid_t)num(m.field[2]);
	assert_true(str_copy(ret->state, sizeof(ret->state), m.field[3]));
	ret->restarts = num(m.field[6]);
	for (size_t k = 0; k < STATUS_KEY_COUNT; k++)
		ret->value[k] = m.field[8 + k].len ? (int)num(m.field[8 + k]) : -1;
}

static struct picture
look(void)
{
	struct picture p = { 0 };
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	int fd = open_door(ROLE_PARENT);
	ask(fd, "status");
	while (chan_sync_recv(fd, &f, &store) == 0 && f.type == IPC_ROW) {
		assert_true(p.n < SEEN_MAX);
		see(f.body, &p.row[p.n++]);
	}
	assert_int_equal(f.type, IPC_DONE);
	buf_done(&store);
	close(fd);
	return p;
}

/* Ready, and every role was asked: one that became ready behind the question has no counters. */
static bool
is_ready(const struct picture *p)
{
	for (size_t i = 1; i < p->n; i++)
		if (p->row[i].value[SETUPS] < 0)
			return false;
	return strcmp(p->row[0].state, "ready") == 0;
}

static struct picture
wait_ready(void)
{
	struct picture p = { 0 };
	for (int64_t until = sys_mono_ms() + WAIT_MS; sys_mono_ms() < until; nap(20)) {
		p = look();
		if (is_ready(&p))
			return p;
	}
	fail_msg("never ready");
	return p;
}

static struct seen *
find(struct picture *p, const char *role, unsigned index)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->row[i].role, role) == 0 && p->row[i].index == index)
			return &p->row[i];
	fail_msg("no %s.%u", role, index);
	return NULL;
}

static int
wait_end(pid_t pid)
{
	int status = -1;
	for (int64_t until = sys_mono_ms() + WAIT_MS; sys_mono_ms() < until; nap(10))
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
	kill(pid, SIGKILL);
	fail_msg("parent does not end");
	return -1;
}

static bool
all_gone(const struct picture *p)
{
	for (int64_t until = sys_mono_ms() + WAIT_MS; sys_mono_ms() < until; nap(20)) {
		bool any = false;
		for (size_t i = 1; i < p->n; i++)
			any |= p->row[i].pid && kill(p->row[i].pid, 0) == 0;
		if (!any)
			return true;
	}
	return false;
}

static int
stop(void)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	int fd = open_door(ROLE_PARENT);
	ask(fd, "stop");
	expect_done(fd, CTL_OK, "");
	int r = chan_sync_recv(fd, &f, &store); /* until the very end */
	buf_done(&store);
	close(fd);
	return r;
}

static void
expect_order(void)
{
	static const char *const phases[] = { "front relay", "reader auth", "store" };
	char path[96], line[32];
	size_t phase = 0, n = 0;
	snprintf(path, sizeof(path), "%s/order", dir);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	for (; fgets(line, sizeof(line), f); n++) {
		line[strcspn(line, "\n")] = '\0';
		while (phase < ARRAY_LEN(phases) && !strstr(phases[phase], line))
			phase++;
		assert_true(phase < ARRAY_LEN(phases));
	}
	(void)fclose(f);
	assert_int_equal(n, FRONTS + READERS + RELAYS + 2);
}

static void
all_are_wired(void **state)
{
	uint16_t port[2] = { free_port(), free_port() };
	pid_t pid = serve(port, 2, false);
	struct picture p = wait_ready();

	assert_int_equal(p.n, 1 + 1 + READERS + 1 + RELAYS + FRONTS);
	assert_int_equal(find(&p, "parent", 0)->pid, pid);
	assert_int_equal(find(&p, "store", 0)->value[PEERS], FRONTS + READERS + RELAYS);
	assert_int_equal(find(&p, "auth", 0)->value[PEERS], FRONTS + RELAYS);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(find(&p, "reader", i)->value[PEERS], 1 + FRONTS + RELAYS);
	for (unsigned i = 0; i < FRONTS; i++) {
		assert_int_equal(find(&p, "front", i)->value[PEERS], 2 + READERS + RELAYS);
		assert_int_equal(find(&p, "front", i)->value[LISTENERS], 2);
		assert_int_equal(find(&p, "front", i)->value[TALLIES], FRONTS);
	}
	assert_int_equal(find(&p, "auth", 0)->value[STATUS_LOGINS], -1);
	assert_true(answers(port[0]) && answers(port[1]));
	assert_int_equal(stop(), -EPIPE);
	assert_int_equal(wait_end(pid), 0);
	expect_order();
	assert_false(answers(port[0]) || answers(port[1]));
	assert_true(all_gone(&p));
	char path[96];
	snprintf(path, sizeof(path), "%s/ctl.sock", dir);
	assert_int_equal(access(path, F_OK), -1);
}

/* One key for all that get it, those that came back too. */
static void
expect_passes(size_t want)
{
	char path[96], line[2][2 * PASS_KEY_LEN + 2];
	size_t n = 0;
	snprintf(path, sizeof(path), "%s/passes", dir);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	for (; fgets(line[n > 0], sizeof(line[0]), f); n++)
		assert_string_equal(line[0], line[n > 0]);
	(void)fclose(f);
	assert_int_equal(n, want);
}

static void
what_dies_comes_back(void **state)
{
	static const struct {
		const char *role;
		unsigned index;
		int signo;                             /* USR1: breaks the contract */
		int store_peers, front_peers, tallies; /* afterwards; of front.2 */
	} rows[] = {
		{ "store", 0, SIGKILL, FRONTS + READERS + RELAYS, READERS + 3 + RELAYS, FRONTS },
		{ "front", 0, SIGKILL, FRONTS + READERS + RELAYS + 1, READERS + 3 + RELAYS,
		    FRONTS + 1 },
		{ "reader", 1, SIGKILL, FRONTS + READERS + RELAYS + 2, READERS + 4 + RELAYS,
		    FRONTS + 1 },
		{ "auth", 0, SIGKILL, FRONTS + READERS + RELAYS + 2, READERS + 5 + RELAYS,
		    FRONTS + 1 },
		{ "front", 1, SIGUSR1, FRONTS + READERS + RELAYS + 3, READERS + 5 + RELAYS,
		    FRONTS + 2 },
	};
	uint16_t port[1] = { free_port() };
	pid_t pid = serve(port, 1, false);
	struct picture p = wait_ready();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct seen *was = find(&p, rows[i].role, rows[i].index);
		pid_t old = was->pid;
		assert_int_equal(kill(old, rows[i].signo), 0);
		while (kill(old, 0) == 0) {
			assert_true(answers(port[0]));
			nap(1);
		}
		p = wait_ready();
		struct seen *now = find(&p, rows[i].role, rows[i].index);
		assert_int_not_equal(now->pid, old);
		assert_int_equal(now->restarts, 1);
		assert_int_equal(find(&p, "store", 0)->value[PEERS], rows[i].store_peers);
		assert_int_equal(find(&p, "front", 2)->value[PEERS], rows[i].front_peers);
		assert_int_equal(find(&p, "front", 2)->value[TALLIES], rows[i].tallies);
		assert_int_equal(find(&p, "front", 0)->value[LISTENERS], 1);
		assert_true(answers(port[0]));
	}
	expect_passes(2 + READERS + 3);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(wait_end(pid), 0);
	assert_true(all_gone(&p));
}

static void
a_dead_parent_leaves_nothing(void **state)
{
	uint16_t port[1] = { free_port() };
	pid_t pid = serve(port, 1, false);
	struct picture p = wait_ready();

	/* Nobody else gets in meanwhile. */
	assert_int_equal(wait_end(serve(port, 1, false)), EXIT_LOCKED);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(wait_end(pid), 1000 + SIGKILL);
	/* At once: the next one waits for the ports. */
	pid = serve(port, 1, false);
	struct picture q = wait_ready();
	assert_true(all_gone(&p));
	assert_true(answers(port[0]));
	assert_int_equal(kill(pid, SIGINT), 0);
	assert_int_equal(wait_end(pid), 0);
	assert_true(all_gone(&q));
}

static void
a_silent_role_is_named(void **state)
{
	uint16_t port[1] = { free_port() };
	pid_t pid = serve(port, 1, false);
	struct picture p = wait_ready();

	kill(find(&p, "auth", 0)->pid, SIGUSR2);
	p = look();
	assert_string_equal(find(&p, "auth", 0)->state, "not answering");
	assert_string_equal(find(&p, "store", 0)->state, "ready");
	/* It does not answer to DRAIN either: the second signal ends it. */
	assert_int_equal(kill(pid, SIGTERM), 0);
	nap(300);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(wait_end(pid), EXIT_BROKEN);
	assert_true(all_gone(&p));
}

static void
a_reload_moves_listeners(void **state)
{
	uint16_t port[2] = { free_port(), free_port() };
	pid_t pid = serve(port, 2, false);
	wait_ready();
	int fd = open_door(ROLE_PARENT);
	ask(fd, "reload");
	expect_done(fd, CTL_INVALID, "second mistake");
	close(fd);
	assert_int_equal(stop(), -EPIPE);
	assert_int_equal(wait_end(pid), 0);

	/* The server is a copy of us as we were: only a new one knows next_port. */
	next_port[0] = port[1];
	next_port[1] = free_port();
	pid = serve(port, 2, false);
	wait_ready();
	fd = open_door(ROLE_PARENT);
	ask(fd, "reload");
	expect_done(fd, CTL_OK, "");
	close(fd);
	struct picture p = wait_ready();
	for (unsigned i = 0; i < FRONTS; i++)
		assert_int_equal(find(&p, "front", i)->value[LISTENERS], 2);
	assert_int_equal(find(&p, "store", 0)->value[SETUPS], 2);
	assert_false(answers(port[0]));
	assert_true(answers(port[1]) && answers(next_port[1]));
	next_port[0] = 0;
	assert_int_equal(stop(), -EPIPE);
	assert_int_equal(wait_end(pid), 0);
}

static struct picture
reload_again(void)
{
	int fd = open_door(ROLE_PARENT);
	ask(fd, "reload");
	expect_done(fd, CTL_OK, "");
	close(fd);
	return wait_ready();
}

static struct seen *
find_dns(struct picture *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->row[i].role, "dns") == 0)
			return &p->row[i];
	return NULL;
}

/* dns runs where the configuration wants it, and begins anew when it is to ask somebody else. */
static void
a_reload_starts_and_ends_roles(void **state)
{
	static const char *const script[] = { "192.0.2.1:53", "192.0.2.1:53", "192.0.2.2:53", "" };
	uint16_t port[2] = { free_port(), free_port() };
	memcpy(next_port, port, sizeof(port));
	next_dns = script;
	pid_t pid = serve(port, 2, false), dns = 0;
	struct picture p = wait_ready();
	assert_null(find_dns(&p));

	p = reload_again();
	assert_non_null(find_dns(&p));
	assert_int_equal(find_dns(&p)->value[PEERS], FRONTS + RELAYS + 1);
	assert_int_equal(find(&p, "front", 0)->value[PEERS], 3 + READERS + RELAYS);
	dns = find_dns(&p)->pid;
	p = reload_again();
	assert_int_equal(find_dns(&p)->pid, dns);
	reload_again();
	for (int64_t until = sys_mono_ms() + WAIT_MS; sys_mono_ms() < until; nap(20)) {
		p = wait_ready();
		if (find_dns(&p) && find_dns(&p)->pid != dns)
			break;
	}
	assert_int_not_equal(find_dns(&p)->pid, dns);
	assert_int_equal(find_dns(&p)->restarts, 0);
	reload_again();
	for (int64_t until = sys_mono_ms() + WAIT_MS; sys_mono_ms() < until; nap(20)) {
		p = wait_ready();
		if (!find_dns(&p))
			break;
	}
	assert_null(find_dns(&p));
	next_dns = NULL;
	next_port[0] = 0;
	assert_int_equal(stop(), -EPIPE);
	assert_int_equal(wait_end(pid), 0);
}

static void
put_file(const char *name)
{
	char path[96];
	snprintf(path, sizeof(path), "%s/tls/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	dprintf(fd, "<%s>", name);
	close(fd);
}

static void
expect_secrets(const char *want)
{
	char path[96], text[4096] = "";
	snprintf(path, sizeof(path), "%s/secrets", dir);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_string_equal(text, want);
}

/* auth gets whole pairs, the default first, at its start and when it is asked for. */
static void
auth_gets_the_keys(void **state)
{
	static const char *const files[] = { "b.crt", "b.key", "a.crt", "a.key", "default.crt",
		"default.key", "alone.crt", "lonely.key", "c.crt", "c.key" };
	uint16_t port[1] = { free_port() };
	char path[96];
	snprintf(path, sizeof(path), "%s/tls", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		put_file(files[i]);
	snprintf(path, sizeof(path), "%s/tls/c.key", dir);
	assert_int_equal(unlink(path) | mkfifo(path, 0600), 0); /* nobody is to wait for it */
	pid_t pid = serve(port, 1, false);
	wait_ready();
	expect_secrets("0 default.crt <default.crt>\n1 default.key <default.key>\n"
		       "0 a.crt <a.crt>\n1 a.key <a.key>\n0 b.crt <b.crt>\n1 b.key <b.key>\n"
		       "9 srs.key # Keys of the s\n10  \n");
	put_file("alone.key");
	int fd = open_door(ROLE_PARENT);
	ask(fd, "tls.reload");
	expect_done(fd, CTL_OK, "");
	close(fd);
	expect_secrets("0 default.crt <default.crt>\n1 default.key <default.key>\n"
		       "0 a.crt <a.crt>\n1 a.key <a.key>\n0 alone.crt <alone.crt>\n"
		       "1 alone.key <alone.key>\n0 b.crt <b.crt>\n1 b.key <b.key>\n"
		       "9 srs.key # Keys of the s\n10  \n");
	assert_int_equal(stop(), -EPIPE);
	assert_int_equal(wait_end(pid), 0);
}

static void
ask_fault(const char *key, enum ctl_code code, const char *text)
{
	struct buf b = BUF_INIT(4096);
	int fd = open_door(ROLE_PARENT);
	msg_ask_put(&b, &(struct msg_ask){ .op = STR("fault"), .n = 1, .arg = { str_of(key) } });
	assert_int_equal(chan_sync_send(fd, IPC_ASK, 5, buf_str(&b), -1), 0);
	expect_done(fd, code, text);
	buf_done(&b);
	close(fd);
}

/* Whoever has an answer to a fault knows that every front has heard of it. */
static void
a_fault_is_answered_once(void **state)
{
	uint16_t port[1] = { free_port() };
	pid_t pid = serve(port, 1, false);
	wait_ready();
	ask_fault("no.such", CTL_INVALID, "no.such");
	ask_fault("rcpt.ok", CTL_INVALID, "rcpt.ok");
	ask_fault("data.ok", CTL_INVALID, "data.ok");
	ask_fault("data.temperr", CTL_OK, "");
	struct picture p = look();
	for (unsigned i = 0; i < FRONTS; i++) {
		assert_int_equal(find(&p, "front", i)->value[FAULTS], 1);
		assert_int_equal(find(&p, "front", i)->value[FORGOTTEN], i != 1);
	}
	assert_int_equal(stop(), -EPIPE);
	assert_int_equal(wait_end(pid), 0);
}

static void
the_door_is_guarded(void **state)
{
	static const char junk[24] = "GET / HTTP/1.0\r\n\r\n";
	uint16_t port[1] = { free_port() };
	pid_t pid = serve(port, 1, false);
	wait_ready();

	int fd = knock();
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	expect_done(fd, CTL_INVALID, "versions");
	close(fd);

	fd = knock();
	ask_for(fd, ROLE_FRONT);
	expect_done(fd, CTL_REFUSED, "front");
	close(fd);

	fd = open_door(ROLE_STORE);
	expect_done(fd, CTL_OK, "straw");
	close(fd);

	fd = open_door(ROLE_PARENT);
	ask(fd, "user.list");
	expect_done(fd, CTL_INVALID, "");
	close(fd);

	/* A question that does not wait for CTL_OK. */
	unsigned char both[24 + 16] = { 0, 0, 0, 1, 0, IPC_CTL_TO, IPC_VERSION };
	both[16] = ROLE_STORE;
	fd = knock();
	assert_int_equal(write(fd, both, sizeof(both)), sizeof(both));
	expect_done(fd, CTL_INVALID, "question");
	close(fd);

	struct stat st;
	char path[96];
	snprintf(path, sizeof(path), "%s/ctl.sock", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stop(), -EPIPE);
	assert_int_equal(wait_end(pid), 0);
}

static void
maintenance_listens_nowhere(void **state)
{
	uint16_t port[1] = { free_port() };
	pid_t pid = serve(port, 1, true);
	struct picture p = wait_ready();
	assert_int_equal(p.n, 1 + 1 + READERS + 1);
	assert_false(answers(port[0]));
	assert_int_equal(stop(), -EPIPE);
	assert_int_equal(wait_end(pid), 0);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
	return remove(path);
}

static int
make_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/pennypost-test-XXXXXX");
	return mkdtemp(dir) && setenv("STRAW_DIR", dir, 1) == 0 ? 0 : -1;
}

static int
remove_dir(void **state)
{
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_are_wired, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(what_dies_comes_back, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_dead_parent_leaves_nothing, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_silent_role_is_named, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_reload_moves_listeners, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_reload_starts_and_ends_roles, make_dir,
		    remove_dir),
		cmocka_unit_test_setup_teardown(auth_gets_the_keys, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_fault_is_answered_once, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(the_door_is_guarded, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(maintenance_listens_nowhere, make_dir, remove_dir),
	};
	if (argc == 3 && strcmp(argv[1], "--role") == 0)
		return straw(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
