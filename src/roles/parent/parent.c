#include "roles/parent/parent_priv.h"

#include "conf/setup.h"
#include "log/log.h"
#include "sys/file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define READER_MAX 64
#define ORPHAN_MS 1000
#define STOP_ECHO_MS 150

static void
say(const struct buf *lines)
{
	for (struct str rest = buf_str(lines); rest.len;) {
		struct str line = str_cut(&rest, '\n');
		if (line.len)
			fprintf(stderr, "pennypost: " STR_FMT "\n", STR_ARG(line));
	}
}

static void
log_lines(const char *event, const struct buf *lines)
{
	for (struct str rest = buf_str(lines); rest.len;) {
		struct str line = str_cut(&rest, '\n');
		if (line.len)
			LOG(LOG_ERROR, 0, event, LOGF("why", line));
	}
}

static void
op_status(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	status_begin(arg, a, true);
}

static void
op_listeners(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	status_listeners(arg, a);
}

static void
op_reload(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct buf err = BUF_INIT(64u << 10);
	if (reload_run(arg, &err))
		desk_done(a, CTL_OK, "%s", "");
	else
		desk_done(a, CTL_INVALID, STR_FMT,
		    STR_ARG(str_first(str_trim(buf_str(&err)), 4000)));
	log_lines("reload-refused", &err);
	buf_done(&err);
}

static void
op_stop(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	desk_done(a, CTL_OK, "%s", "");
	stop_begin(arg, "asked to");
}

static void
op_fault(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	fault_begin(arg, a, m->arg[0]);
}

static void
op_tls_reload(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct parent *p = arg;
	for (unsigned i = 0; i < p->n_children; i++)
		if (p->children[i].role == ROLE_AUTH && p->children[i].state == CHILD_READY)
			handout_secrets(&p->children[i]);
	status_begin(p, a, false);
}

static const struct desk_op ops[] = {
	{ "status", op_status, false },
	{ "listeners", op_listeners, false },
	{ "reload", op_reload, false },
	{ "stop", op_stop, false },
	{ "fault", op_fault, false },
	{ "tls.reload", op_tls_reload, false },
	{ NULL, NULL, false },
};

/* One wish to stop may come as two signals: timeout(1) signals its child, then its group. */
static void
on_term(void *arg)
{
	struct parent *p = arg;
	int64_t now = loop_now(p->loop);
	if (p->phase == PHASE_RUN) {
		p->stop_asked = now;
		stop_begin(p, "signal");
	} else if (now - p->stop_asked >= STOP_ECHO_MS) {
		stop_kill(p, "a second signal to stop");
	}
}

static void
on_hup(void *arg)
{
	struct parent *p = arg;
	struct buf err = BUF_INIT(64u << 10);

	if (p->options->reload || p->options->conf_path)
		reload_run(p, &err);
	if (p->phase == PHASE_RUN && !p->options->maintenance && place_log(p->conf, &err))
		handout_log(p);
	log_lines("reload-refused", &err);
	buf_done(&err);
}

static void
on_child(void *arg)
{
	children_reap(arg);
}

static const struct {
	int signo;
	loop_fn *fn;
} signals[PARENT_SIGNALS] = {
	{ SIGCHLD, on_child },
	{ SIGTERM, on_term },
	{ SIGINT, on_term },
	{ SIGHUP, on_hup },
};

/* Maintenance serves one command; when that was killed, nobody would ever stop us. */
static void
on_orphan_check(void *arg)
{
	struct parent *p = arg;
	if (getppid() != p->starter)
		stop_begin(p, "the command that started it is gone");
}

/* A front or relay needs a descriptor for each connection: all there is, and with a privilege more.
 */
static uint64_t
files_limit(const struct conf *c)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return 0;
	rlim_t hard = r.rlim_max, want = MAX(hard, (rlim_t)conf_files_wanted(c));
	r = (struct rlimit){ want, want };
	if (setrlimit(RLIMIT_NOFILE, &r) == 0)
		return want;
	r = (struct rlimit){ hard, hard };
	return setrlimit(RLIMIT_NOFILE, &r) == 0 ? hard : 0;
}

static void
limits(struct parent *p)
{
	struct rlimit r;
	p->files = files_limit(p->conf);
	r = (struct rlimit){ 0, 0 };
	setrlimit(RLIMIT_CORE, &r);
	umask(077);
	signal(SIGPIPE, SIG_IGN);
}

/* With root's uid the roles' uids are still to be taken, so no_new_privs is theirs to set. */
static void
drop(struct parent *p)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		p->layers |= LAYER_NO_DUMP;
	if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		p->layers |= LAYER_NO_NEW_PRIVS;
}

static int
lock(struct parent *p, struct buf *err)
{
	const char *dir = p->conf->data_dir;
	int r = dir_lock(dir, &p->lock_fd);

	if (r == 0)
		return EXIT_CLEAN;
	p->lock_fd = -1;
	if (r == -EWOULDBLOCK) {
		buf_putf(err,
		    "%s: another pennypost works on this directory; stop it (`pennypost "
		    "status` shows its process), or name another directory\n",
		    dir);
		return EXIT_LOCKED;
	}
	buf_putf(err,
	    "%s/lock: cannot lock it: %s; the directory must belong to the user who "
	    "starts the server\n",
	    dir, strerror(-r));
	return EXIT_BROKEN;
}

static void
counts(struct parent *p)
{
	const struct conf *c = p->conf;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t fronts = c->fronts ? c->fronts : (uint64_t)MAX(cores, 1);

	p->n_fronts = p->options->maintenance ? 0 : (unsigned)MIN(fronts, FRONT_MAX);
	p->n_readers = (unsigned)MIN(MAX(c->readers, 1), READER_MAX);
	p->n_relays = (unsigned)MIN(c->relays ? c->relays : (uint64_t)MAX(cores, 1), RELAY_MAX);
}

/* Everything that can go wrong before the first process exists. Exit status. */
static int
prepare(struct parent *p, struct buf *err)
{
	struct conf *c = p->conf;

	limits(p);
	if (!place_make(c, p->options->maintenance, err))
		return EXIT_BROKEN;
	int status = lock(p, err);
	if (status != EXIT_CLEAN)
		return status;
	if (!uids_find(c, p->options->maintenance, &p->uids, err) || !place_own(c, &p->uids, err) ||
	    (!p->options->maintenance && !place_gssapi(c, &p->uids, err)))
		return EXIT_BROKEN;
	counts(p);
	if (p->options->maintenance) {
		free(c->log_level);
		c->log_level = xstrdup("error");
	} else if (!listeners_open(&p->listeners, c, p->n_fronts, NULL, BIND_PATIENCE_MS, err)) {
		return EXIT_BROKEN;
	}
	p->conf_fd = handout_seal(c);
	if (p->conf_fd < 0) {
		buf_putf(err, "cannot hand the configuration to the roles: %s\n",
		    strerror(-p->conf_fd));
		return EXIT_BROKEN;
	}
	p->passes_fd = handout_passes_new();
	if (p->passes_fd < 0) {
		buf_putf(err, "cannot make the key of passes: %s\n", strerror(-p->passes_fd));
		return EXIT_BROKEN;
	}
	p->loop = loop_new();
	if (!doors_open(p, err) || (!p->options->maintenance && !place_log(c, err)))
		return EXIT_BROKEN;
	return EXIT_CLEAN;
}

static void
warn_files(const struct parent *p)
{
	uint64_t want = conf_files_wanted(p->conf);
	if (p->files < want && p->n_fronts)
		LOG(p->conf->lab ? LOG_INFO : LOG_WARN, 0, "few-descriptors",
		    LOGN("have", p->files), LOGN("want", want),
		    LOGZ("remedy",
			"raise the hard limit of open files (LimitNOFILE= under systemd, "
			"ulimit -Hn in a shell), or lower limit.conns_total or queue.jobs"));
}

static void
announce(const struct parent *p)
{
	LOG(LOG_INFO, 0, "start", LOGZ("version", PENNYPOST_VERSION), LOGN("pid", getpid()),
	    LOGZ("dir", p->conf->data_dir));
	for (size_t i = 0; i < p->listeners.n; i++)
		LOG(LOG_INFO, 0, "listener", LOGZ("address", p->listeners.row[i].address),
		    LOGN("port", p->listeners.row[i].port));
}

static void
live(struct parent *p)
{
	log_init("parent", STDERR_FILENO, setup_log_level(p->conf));
	announce(p);
	warn_files(p);
	drop(p);
	for (size_t i = 0; i < PARENT_SIGNALS; i++)
		p->signals[i] = loop_signal_new(p->loop, signals[i].signo, signals[i].fn, p);
	p->desk = desk_new(p->loop, ROLE_PARENT, ops, p);
	if (p->options->maintenance) {
		p->orphan_timer = loop_timer_new(p->loop, on_orphan_check, p);
		loop_timer_set(p->orphan_timer, ORPHAN_MS, ORPHAN_MS);
	}
	p->started = loop_now(p->loop);
	children_init(p);
	children_start(p);
	loop_run(p->loop);
	LOG(LOG_INFO, 0, "end", LOGN("status", p->exit_status));
}

/* Undoes whatever of prepare() and live() was done. The lock goes before the last answers'
 * channels: whoever asked to stop and sees the end may start again at once. */
static void
finish(struct parent *p)
{
	status_end(p);
	figures_end(p);
	children_done(p);
	doors_close(p);
	listeners_close(&p->listeners);
	if (p->conf_fd >= 0)
		close(p->conf_fd);
	if (p->passes_fd >= 0)
		close(p->passes_fd);
	if (p->lock_fd >= 0)
		close(p->lock_fd);
	if (p->desk)
		desk_flush(p->desk);
	desk_free(p->desk);
	for (size_t i = 0; i < PARENT_SIGNALS; i++)
		loop_signal_free(p->signals[i]);
	loop_timer_free(p->phase_timer);
	loop_timer_free(p->orphan_timer);
	loop_free(p->loop);
	conf_free(p->conf);
}

int
parent_run(struct conf *c, const struct parent_options *o)
{
	struct parent p = { .options = o,
		.conf = c,
		.lock_fd = -1,
		.conf_fd = -1,
		.passes_fd = -1,
		.doors.fd = -1,
		.starter = getppid() };
	struct buf err = BUF_INIT(64u << 10);

	list_init(&p.statuses);
	list_init(&p.figures);
	list_init(&p.doors.waiting);
	p.exit_status = prepare(&p, &err);
	/* Whoever wants maintenance tries again when another has the directory for a moment. */
	if (!o->maintenance || p.exit_status != EXIT_LOCKED)
		say(&err);
	buf_done(&err);
	if (p.exit_status == EXIT_CLEAN)
		live(&p);
	finish(&p);
	return p.exit_status;
}
