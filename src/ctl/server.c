/*
 * Asking the server. Each role that is asked has a socket of its own, made when it is first
 * needed: connect to DIR/ctl.sock, say whom we want, and parent passes the socket on.
 *
 * When nobody answers at DIR/ctl.sock, a child of ours becomes a parent without listeners
 * (maintenance) for as long as the command takes: the same processes and the same code work on
 * the directory as ever, under the same lock.
 */
#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "base/num.h"
#include "ipc/chan.h"
#include "ipc/ops.h"
#include "roles/parent/parent.h"
#include "sys/listen.h"
#include "sys/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 60000
#define STEP_MS 20
#define PARENT_LOCKED 3 /* exit status of parent_run: somebody else has the directory */

struct str
row_field(const struct msg_row *row, size_t i)
{
	return i < row->n ? row->field[i] : STR("");
}

uint64_t
row_number(const struct msg_row *row, size_t i)
{
	uint64_t v = 0;
	(void)num_u64(row_field(row, i), UINT64_MAX, &v);
	return v;
}

static void say(struct server *s, const char *fmt, ...) PRINTF(2, 3);

static void
say(struct server *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_reset(&s->said);
	buf_vputf(&s->said, fmt, ap);
	va_end(ap);
	if (!s->quiet)
		complain_lines(buf_str(&s->said));
}

static int
door(const struct server *s, int *ret_sock)
{
	struct buf path = BUF_INIT(8192);
	buf_putf(&path, "%s/ctl.sock", s->conf->data_dir);
	int rc = buf_cstr(&path) && !path.failed ? unix_connect(path.p, ret_sock) : -ENAMETOOLONG;
	buf_done(&path);
	struct sys_peer who;
	if (rc == 0 && s->only && (sys_peer_get(*ret_sock, &who) < 0 || who.pid != s->only)) {
		close(*ret_sock);
		rc = -ECONNREFUSED;
	}
	return rc;
}

/* --- one answer --- */

static int
lost(struct server *s, int rc)
{
	if (rc == -EPIPE)
		say(s, "the server closed the connection; its log says why");
	else if (rc == -EPROTO)
		say(s, "the server's answer cannot be read; is it of the same version as this "
		       "command?");
	else
		say(s, "the connection to the server failed: %s; try again", strerror(-rc));
	s->code = CTL_FAILED;
	return EXIT_REACH;
}

static int
done(struct server *s, struct str body)
{
	struct msg_done m;
	if (!msg_done_get(body, &m))
		return lost(s, -EPROTO);
	s->code = m.code;
	buf_reset(&s->said);
	if (m.text.len)
		say(s, STR_FMT, STR_ARG(m.text));
	else if (m.code != CTL_OK)
		say(s, "the server refused, without a reason");
	return m.code == CTL_OK ? EXIT_DONE : EXIT_REFUSED;
}

static int
answer(struct server *s, int sock, uint64_t id, server_row_fn *fn, void *arg)
{
	for (;;) {
		struct ipc_frame f;
		struct msg_row row;
		int rc = chan_sync_recv(sock, &f, &s->frame);
		if (rc < 0)
			return lost(s, rc);
		if (f.fd >= 0)
			close(f.fd);
		if (f.id != id)
			return lost(s, -EPROTO);
		if (f.type == IPC_DONE)
			return done(s, f.body);
		if (f.type != IPC_ROW || !msg_row_get(f.body, &row))
			return lost(s, -EPROTO);
		if (fn)
			fn(arg, &row);
	}
}

/* --- a socket to a role --- */

static int
introduce(struct server *s, int sock, enum ipc_role role)
{
	struct buf b = BUF_INIT(16);
	struct ipc_frame f;
	msg_u8_put(&b, (uint8_t)role);
	int rc = chan_sync_send(sock, IPC_CTL_TO, 0, buf_str(&b), -1);
	buf_done(&b);
	if (rc == 0)
		rc = chan_sync_recv(sock, &f, &s->frame);
	if (rc < 0)
		return lost(s, rc);
	if (f.fd >= 0)
		close(f.fd);
	if (f.type == IPC_CTL_OK)
		return EXIT_DONE;
	return f.type == IPC_DONE && done(s, f.body) != EXIT_DONE ? EXIT_REACH : lost(s, -EPROTO);
}

static int
socket_to(struct server *s, enum ipc_role role, int *ret_sock)
{
	int sock = -1, status;
	if (s->sock[role] >= 0) {
		*ret_sock = s->sock[role];
		return EXIT_DONE;
	}
	int rc = door(s, &sock);
	if (rc < 0) {
		say(s, "the server in %s cannot be asked: %s; is it running?", s->conf->data_dir,
		    strerror(-rc));
		return EXIT_REACH;
	}
	status = introduce(s, sock, role);
	if (status != EXIT_DONE) {
		close(sock);
		return status;
	}
	*ret_sock = s->sock[role] = sock;
	return EXIT_DONE;
}

static void
hang_up(struct server *s, enum ipc_role role)
{
	close(s->sock[role]);
	s->sock[role] = -1;
}

int
server_ask_send(struct server *s, const char *op, const struct str *args, size_t n, int fd)
{
	const struct ipc_op *o = ipc_op_find(str_of(op));
	struct msg_ask m = { .op = str_of(op), .n = (uint16_t)n };
	struct buf body = BUF_INIT(IPC_BODY_MAX);
	int sock;
	check(o && n >= o->min_args && n <= o->max_args && n <= ASK_ARGS_MAX);
	check(o->fd == (fd >= 0));
	int status = socket_to(s, o->role, &sock);
	if (status != EXIT_DONE)
		return status;
	for (size_t i = 0; i < n; i++)
		m.arg[i] = args[i];
	msg_ask_put(&body, &m);
	if (body.failed) {
		say(s, "that is too much for one question; split it");
		status = EXIT_USAGE;
	} else {
		int rc = chan_sync_send(sock, fd >= 0 ? IPC_ASK_FD : IPC_ASK, ++s->next_id,
		    buf_str(&body), fd);
		status = rc < 0 ? lost(s, rc) : EXIT_DONE;
	}
	buf_wipe(&body); /* it may hold a password */
	buf_done(&body);
	if (status == EXIT_REACH)
		hang_up(s, o->role);
	return status;
}

int
server_ask_wait(struct server *s, const char *op, server_row_fn *fn, void *arg)
{
	const struct ipc_op *o = ipc_op_find(str_of(op));
	check(o && s->sock[o->role] >= 0);
	int status = answer(s, s->sock[o->role], s->next_id, fn, arg);
	if (status == EXIT_REACH)
		hang_up(s, o->role);
	return status;
}

int
server_ask(struct server *s, const char *op, const struct str *args, size_t n, server_row_fn *fn,
    void *arg)
{
	int status = server_ask_send(s, op, args, n, -1);
	return status == EXIT_DONE ? server_ask_wait(s, op, fn, arg) : status;
}

/* --- ready? --- */

struct readiness {
	bool parent, all;
	uint64_t store, front_least;
	bool has_front;
};

enum { ROW_ROLE = 0, ROW_STATE = 3, ROW_KEYS = 8 };

static void
readiness_row(void *arg, const struct msg_row *row)
{
	struct readiness *r = arg;
	struct str role = row_field(row, ROW_ROLE);
	bool ready = str_eq(row_field(row, ROW_STATE), STR("ready"));
	uint64_t directory = row_number(row, ROW_KEYS + STATUS_DIRECTORY);
	r->all = r->all && ready;
	if (str_eq(role, STR("parent")))
		r->parent = true;
	if (str_eq(role, STR("store")))
		r->store = directory;
	if (str_eq(role, STR("front"))) {
		r->front_least = r->has_front ? MIN(r->front_least, directory) : directory;
		r->has_front = true;
	}
}

bool
server_ready(struct server *s, int *ret_status)
{
	struct readiness r = { .all = true };
	*ret_status = server_ask(s, "status", NULL, 0, readiness_row, &r);
	return *ret_status == EXIT_DONE && r.parent && r.all &&
	       (!r.has_front || r.front_least >= r.store);
}

/* --- a server of our own --- */

static _Noreturn void
become_parent(struct conf *c)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	_exit(parent_run(c, &(struct parent_options){ .maintenance = true }));
}

/* The helper ended before it was ready: its status, or -1 while it lives. */
static int
helper_status(struct server *s)
{
	int status;
	pid_t pid = waitpid(s->helper, &status, WNOHANG);
	if (pid == 0)
		return -1;
	s->helper = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_USAGE;
}

static void
helper_start(struct server *s)
{
	(void)fflush(NULL);
	s->helper = fork();
	if (s->helper == 0)
		become_parent(s->conf);
}

/* Waits until the server answers and every role of it is ready. */
static int
wait_ready(struct server *s)
{
	int status = EXIT_REACH, ended;
	bool quiet = s->quiet;
	s->quiet = true;
	for (int ms = 0; ms < START_MS; ms += STEP_MS) {
		if (server_ready(s, &status)) {
			s->quiet = quiet;
			return EXIT_DONE;
		}
		if (s->helper && (ended = helper_status(s)) >= 0) {
			/* Another command has the directory for a moment: use its server, or wait.
			 */
			if (ended != PARENT_LOCKED)
				break;
			helper_start(s);
		}
		if (s->helper < 0) {
			complain("a process cannot be started: %s", strerror(errno));
			break;
		}
		usleep(STEP_MS * 1000);
	}
	s->quiet = quiet;
	say(s, "no server works on %s, and none could be started; the lines above say why",
	    s->conf->data_dir);
	return EXIT_REACH;
}

static bool
is_dir(const struct server *s, const char *name)
{
	struct stat st;
	struct buf path = BUF_INIT(8192);
	buf_putf(&path, "%s/%s", s->conf->data_dir, name);
	bool is = buf_cstr(&path) && !path.failed && stat(path.p, &st) == 0 && S_ISDIR(st.st_mode);
	buf_done(&path);
	return is;
}

/* Who only asks makes no store: a directory that was mistyped is no empty server. One that a file
 * names may be made. */
static bool
has_what_it_needs(const struct server *s, enum server_need need)
{
	if (need == NEED_STORE)
		return is_dir(s, "store");
	return s->conf->n_listeners > 0 || is_dir(s, ".");
}

void
server_init(struct server *s, struct conf *c)
{
	*s = (struct server){
		.conf = c, .frame = BUF_INIT(IPC_BODY_MAX + 4096), .said = BUF_INIT(64u << 10)
	};
	for (size_t i = 0; i < ROLE_COUNT; i++)
		s->sock[i] = -1;
}

int
server_open(struct server *s, struct conf *c, enum server_need need)
{
	int sock, rc;
	server_init(s, c);
	rc = door(s, &sock);
	if (rc == 0) {
		close(sock);
		return EXIT_DONE;
	}
	if (rc == -EACCES || rc == -EPERM) {
		say(s, "%s: %s; only root and the user who started the server may ask it",
		    c->data_dir, strerror(-rc));
		return EXIT_REACH;
	}
	if (!has_what_it_needs(s, need)) {
		say(s,
		    "there is no server in %s; name one with --config FILE or --dir DIR, or start "
		    "one with `pennypost lab`",
		    c->data_dir);
		return EXIT_REACH;
	}
	if (need == NEED_SERVER) {
		say(s,
		    "no server is running in %s; start it with `pennypost serve` or `pennypost "
		    "lab`",
		    c->data_dir);
		return EXIT_REACH;
	}
	helper_start(s);
	return wait_ready(s);
}

void
server_close(struct server *s)
{
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (s->conf && s->sock[i] >= 0)
			close(s->sock[i]);
	if (s->helper > 0) {
		kill(s->helper, SIGTERM);
		while (waitpid(s->helper, NULL, 0) < 0 && errno == EINTR)
			;
	}
	buf_done(&s->frame);
	buf_done(&s->said);
	conf_free(s->conf);
	*s = (struct server){ 0 };
}
