#include "roles/parent/parent_priv.h"

#include "log/log.h"
#include "sys/clock.h"
#include "sys/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void
listener_close(struct listener *l)
{
	unix_close(l);
	for (unsigned i = 0; l->sock && i < l->n_sock; i++)
		if (l->sock[i] >= 0)
			close(l->sock[i]);
	free(l->sock);
	free(l->path);
	free(l->address);
	*l = (struct listener){ 0 };
}

static int
try_first(struct listener *l, bool join, const struct unix_access *a)
{
	if (l->path)
		return unix_open(l, a);
	return listen_tcp(l->address, l->port, join ? LISTEN_REUSEPORT : 0, &l->sock[0]);
}

/* The first socket of a listener is bound without SO_REUSEPORT, so that a port somebody else
 * has is an error and not half of his connections; then the option lets the others join. */
static int
first_socket(struct listener *l, bool join, const struct unix_access *a, int64_t until)
{
	const struct timespec nap = { .tv_nsec = 50 * 1000 * 1000 };
	const int on = 1;
	int r;

	for (;;) {
		r = try_first(l, join, a);
		if (r != -EADDRINUSE || sys_mono_ms() >= until)
			break;
		nanosleep(&nap, NULL);
	}
	if (r == 0 && !join && !l->path &&
	    setsockopt(l->sock[0], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
		return -errno;
	return r;
}

/* A unix socket has one queue: all fronts take from it. */
static int
next_socket(const struct listener *l, int *ret)
{
	if (!l->path)
		return listen_tcp(l->address, l->port, LISTEN_REUSEPORT, ret);
	*ret = fcntl(l->sock[0], F_DUPFD_CLOEXEC, 0);
	return *ret < 0 ? -errno : 0;
}

static int
listener_bind(struct listener *l, unsigned n, bool join, const struct unix_access *a, int64_t until)
{
	l->sock = xalloc(n * sizeof(*l->sock));
	l->n_sock = n;
	for (unsigned i = 0; i < n; i++)
		l->sock[i] = -1;
	int r = first_socket(l, join, a, until);
	for (unsigned i = 1; r == 0 && i < n; i++)
		r = next_socket(l, &l->sock[i]);
	return r;
}

static void
explain(const struct listener *l, int code, struct buf *err)
{
	static const struct {
		int code;
		const char *remedy;
	} rows[] = {
		{ EADDRINUSE, "`ss -ltnp` shows who has it; stop that, or choose another port (for "
			      "a lab: --port-base)" },
		{ EACCES, "ports below 1024 need root or CAP_NET_BIND_SERVICE; without, choose a "
			  "higher one" },
		{ EADDRNOTAVAIL, "no interface of this machine has the address; `ip address` "
				 "lists them" },
		{ EAFNOSUPPORT, "this machine has no IPv6; remove the listener" },
		{ EMFILE, "raise the limit of open files (ulimit -n)" },
		{ EINVAL, "write an IPv4 or IPv6 address, or \"*\" for all" },
	};
	const char *remedy = "see listen(2) and bind(2)";

	if (l->path) {
		unix_explain(l, code, err);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].code == code)
			remedy = rows[i].remedy;
	buf_putf(err, "cannot listen on address %s port %u: %s; %s\n", l->address, l->port,
	    strerror(code), remedy);
}

static bool
same_place(const char *a, const char *b)
{
	struct sys_addr x, y;
	if (strcmp(a, b) == 0)
		return true;
	return sys_addr_parse(a, &x) && sys_addr_parse(b, &y) &&
	       memcmp(x.ip, y.ip, sizeof(x.ip)) == 0;
}

void
listeners_match(const struct listeners *old, const struct conf_listener *want, size_t n, int *ret)
{
	bool given[LISTENER_MAX] = { false };

	check(old->n <= LISTENER_MAX && n <= LISTENER_MAX);
	for (size_t i = 0; i < n; i++) {
		ret[i] = -1;
		for (size_t k = 0; k < old->n && ret[i] < 0; k++) {
			const struct listener *l = &old->row[k];
			if (given[k] || (!l->path && l->port != want[i].port) ||
			    !same_place(l->address, want[i].address))
				continue;
			given[k] = true;
			ret[i] = (int)k;
		}
	}
}

static bool
is_any(const char *address)
{
	struct sys_addr a;
	return strcmp(address, "*") == 0 ||
	       (sys_addr_parse(address, &a) &&
		   (strcmp(a.text, "::") == 0 || strcmp(a.text, "0.0.0.0") == 0));
}

/* A socket of ours that the kernel would hold against l: the same port, and one of the two is
 * for every address. */
static bool
overlaps(const struct listeners *ls, const struct listener *l)
{
	for (size_t i = 0; i < ls->n; i++) {
		const struct listener *o = &ls->row[i];
		if (o != l && !o->path && !l->path && o->address && o->port == l->port &&
		    (is_any(o->address) || is_any(l->address)))
			return true;
	}
	return false;
}

/* Opens what no row of old has; rows that go on are left empty. */
static bool
open_new(struct listeners *ls, const struct conf *c, unsigned n_fronts, const struct listeners *old,
    const int *match, int64_t until, struct buf *err)
{
	bool fine = true;
	for (size_t i = 0; i < ls->n; i++) {
		struct listener *l = &ls->row[i];
		struct unix_access a;
		bool named = unix_rights(&c->listeners[i], &a, err);
		fine = fine && named;
		if (match[i] >= 0 || !named)
			continue;
		l->address = xstrdup(c->listeners[i].address);
		l->path = unix_place(c, &c->listeners[i]);
		l->port = l->path ? 0 : (uint16_t)c->listeners[i].port;
		bool join = overlaps(old, l) || overlaps(ls, l);
		int r = listener_bind(l, n_fronts, join, &a, until);
		if (r < 0) {
			explain(l, -r, err);
			fine = false;
		}
	}
	return fine;
}

/* A socket that goes on may have other rights from now on. */
static void
rights_again(struct listener *l, const struct conf_listener *want)
{
	struct unix_access a;
	struct buf err = BUF_INIT(4096);
	if (!l->path)
		return;
	int r = unix_rights(want, &a, &err) ? 0 : -EINVAL;
	struct unix_access set = a;
	/* A name that is not written any more must not keep its right. */
	if (set.uid == (uid_t)-1 && l->access.uid != (uid_t)-1)
		set.uid = geteuid();
	if (set.gid == (gid_t)-1 && l->access.gid != (gid_t)-1)
		set.gid = getegid();
	if (r == 0)
		r = unix_access_set(l->path, &set);
	if (r == 0)
		l->access = a;
	if (r < 0)
		LOG(LOG_ERROR, 0, "socket-rights", LOGZ("path", l->path),
		    LOGZ("error", strerror(-r)), LOGF("why", str_trim(buf_str(&err))));
	buf_done(&err);
}

bool
listeners_open(struct listeners *ret, const struct conf *c, unsigned n_fronts,
    struct listeners *old, int64_t patience_ms, struct buf *err)
{
	struct listeners none = { 0 }, ls = { .n = c->n_listeners };
	int match[LISTENER_MAX];

	if (!old)
		old = &none;
	listeners_match(old, c->listeners, c->n_listeners, match);
	ls.row = xalloc(MAX(ls.n, 1) * sizeof(*ls.row));
	if (!open_new(&ls, c, n_fronts, old, match, sys_mono_ms() + patience_ms, err)) {
		listeners_close(&ls);
		return false;
	}
	for (size_t i = 0; i < ls.n; i++)
		if (match[i] >= 0) {
			ls.row[i] = old->row[match[i]];
			old->row[match[i]] = (struct listener){ 0 };
			rights_again(&ls.row[i], &c->listeners[i]);
		}
	*ret = ls;
	return true;
}

void
listeners_close(struct listeners *ls)
{
	for (size_t i = 0; i < ls->n; i++)
		listener_close(&ls->row[i]);
	free(ls->row);
	*ls = (struct listeners){ 0 };
}
