/* The way to a connection: the race of a host's addresses (RFC 8305), and unix sockets, for which
 * parent runs; and when none is begun, as we are the ones who lack something. */
#include "roles/relay/relay_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "sys/listen.h"
#include "sys/random.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const unsigned char v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

void
relay_race_end(struct conn *c)
{
	if (c->unix_ask)
		map_del(&c->relay->unix_asks, relay_key(&c->unix_ask));
	c->unix_ask = 0;
	for (size_t i = 0; i < RACE_MAX; i++) {
		struct racer *r = &c->race[i];
		if (!r->io)
			continue;
		r->io = loop_io_free(r->io);
		close(r->fd);
	}
	c->n_racing = 0;
}

/* --- the race --- */

static void
racer_failed(struct conn *c, size_t addr, int e)
{
	c->race_error = e;
	relay_conn_name(c, -1, relay_conn_host(c)->addrs[addr]);
	relay_job_notef(c->job, "%s: %s", c->where, strerror(e));
}

void
relay_race_lost(struct conn *c)
{
	char why[512];
	snprintf(why, sizeof(why), "no connection to %s: %s", relay_conn_host(c)->name,
	    c->race_error ? strerror(c->race_error) : "no address of it answers");
	relay_conn_next_host(c, JOB_LATER, JOB_TROUBLE_CONNECT, 0, "4.4.1", str_of(why));
}

/* --- what this server lacks, and no other is to blame for --- */

static bool
is_our_lack(int e)
{
	return e == EMFILE || e == ENFILE || e == ENOMEM || e == ENOBUFS || e == ENOSPC;
}

static const char *
remedy_of(int e)
{
	if (e == EMFILE)
		return "raise the hard limit of open files (LimitNOFILE= under systemd, ulimit "
		       "-Hn in a shell), or lower queue.jobs";
	if (e == ENFILE)
		return "raise fs.file-max, or lower queue.jobs";
	return "this machine is short of memory: give it more, or lower queue.jobs";
}

void
relay_race_lack(struct conn *c, int e)
{
	struct relay *r = c->relay;
	int64_t now = loop_now(r->role.loop);
	if (now >= r->lack_quiet) {
		r->lack_quiet = now + LACK_QUIET_MS;
		LOG(LOG_ERROR, 0, "no-room-to-connect", LOGZ("why", strerror(e)),
		    LOGN("most", r->fds), LOGZ("remedy", remedy_of(e)),
		    LOGZ("then", "letters are tried again every second"));
	}
	relay_conn_put_back(c, strerror(e));
}

static void
on_racer(void *arg, unsigned events)
{
	struct racer *r = arg;
	struct conn *c = r->conn;
	int e = 0, fd = r->fd;
	socklen_t len = sizeof(e);
	size_t addr = r->addr;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		e = errno;
	r->io = loop_io_free(r->io);
	c->n_racing--;
	if (e == 0) {
		relay_race_end(c);
		relay_conn_arm(c, 0);
		relay_conn_opened(c, fd, addr);
		return;
	}
	close(fd);
	racer_failed(c, addr, e);
	relay_race_next(c);
}

/* The addresses of ours that a connection may come from; the next in turn, of the right family. */
static bool
source_next(struct conn *c, bool v4, struct sys_addr *ret)
{
	const struct dest *d = c->dest;
	const char *list =
	    d->route && d->route->source[0] ? d->route->source : c->relay->conf->relay_source;
	struct sys_addr all[64];
	size_t n = 0;
	for (struct str rest = str_of(list); rest.len && n < ARRAY_LEN(all);) {
		size_t len = str_find_any(rest, " ,");
		char text[INET6_ADDRSTRLEN];
		bool got = len > 0 && str_copy(text, sizeof(text), str_first(rest, len)) &&
		           sys_addr_parse(text, &all[n]);
		rest = str_skip(rest, len + 1);
		n += got && all[n].is_v4 == v4;
	}
	if (n == 0)
		return false;
	*ret = all[(c->source + random_u64()) % n];
	return true;
}

static socklen_t
socket_address(const unsigned char *addr, uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (memcmp(addr, v4_prefix, 12) == 0) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
		memcpy(&a.sin_addr, addr + 12, 4);
		memcpy(ret, &a, sizeof(a));
		return sizeof(a);
	}
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	memcpy(&a.sin6_addr, addr, 16);
	memcpy(ret, &a, sizeof(a));
	return sizeof(a);
}

/* A socket for it, or -errno. */
static int
socket_new(const struct relay *r, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (fd < r->fds)
		return fd;
	close(fd);
	return -EMFILE;
}

/* A socket on its way to the address, or -errno. */
static int
set_out(struct conn *c, const unsigned char *addr)
{
	struct sockaddr_storage ss;
	struct sys_addr own;
	bool v4 = memcmp(addr, v4_prefix, 12) == 0;
	int fd = socket_new(c->relay, v4 ? AF_INET : AF_INET6);
	if (fd < 0)
		return fd;
	int e = 0;
	if (source_next(c, v4, &own)) {
		socklen_t len = socket_address(own.ip, 0, &ss);
		if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
			e = errno;
			LOG(LOG_WARN, 0, "source-refused", LOGZ("address", own.text),
			    LOGZ("error", strerror(e)));
		}
	}
	socklen_t len = socket_address(addr, c->plan->port, &ss);
	if (e == 0 && connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		e = errno;
	if (e == 0)
		return fd;
	close(fd);
	return -e;
}

/* The address takes part in the race: 0 or an errno. */
static int
racer_begin(struct conn *c, size_t addr)
{
	struct racer *r = &c->race[addr];
	int fd = set_out(c, relay_conn_host(c)->addrs[addr]);
	if (fd < 0)
		return -fd;
	*r = (struct racer){ .conn = c, .fd = fd, .addr = addr };
	r->io = loop_io_new(c->relay->role.loop, fd, on_racer, r);
	if (!r->io) {
		int e = errno;
		close(fd);
		return e;
	}
	loop_io_want(r->io, LOOP_WRITE);
	c->n_racing++;
	c->race_until =
	    loop_now(c->relay->role.loop) + (int64_t)c->relay->conf->relay_connect_seconds * 1000;
	return 0;
}

static bool
has_next(const struct conn *c)
{
	return c->next_addr < MIN(relay_conn_host(c)->n_addrs, (size_t)RACE_MAX);
}

/* The next address sets out; when none is left and none on its way, the host is lost. Where it is
 * we who lack something, what is on its way may still arrive; if nothing is, connections that rest
 * give way. */
void
relay_race_next(struct conn *c)
{
	for (int e = -1; e && has_next(c);) {
		e = racer_begin(c, c->next_addr);
		if (is_our_lack(e)) {
			if (c->n_racing > 0)
				break;
			if (relay_conn_end_idle(c->relay))
				continue;
			relay_race_lack(c, e);
			return;
		}
		if (e)
			racer_failed(c, c->next_addr, e);
		c->next_addr++;
	}
	int64_t left = c->race_until - loop_now(c->relay->role.loop);
	if (c->n_racing == 0)
		relay_race_lost(c);
	else
		relay_conn_arm(c, MAX(has_next(c) ? MIN(left, (int64_t)RACE_MS) : left, 1));
}

/* Addresses that could not set out for want of a descriptor get those of the ones that do not
 * answer. */
void
relay_race_late(struct conn *c)
{
	bool more = !c->unix_ask && has_next(c);
	if (more && loop_now(c->relay->role.loop) < c->race_until) {
		relay_race_next(c);
		return;
	}
	relay_job_notef(c->job, "no answer in %llu seconds",
	    (unsigned long long)c->relay->conf->relay_connect_seconds);
	c->race_error = ETIMEDOUT;
	relay_race_end(c);
	if (more)
		relay_race_next(c);
	else
		relay_race_lost(c);
}

/* --- a unix socket: parent connects --- */

static void
unix_begin(struct conn *c)
{
	struct relay *r = c->relay;
	c->unix_ask = ++r->next_id;
	c->need = PLAN_CLEAR;
	map_put(&r->unix_asks, relay_key(&c->unix_ask), c);
	chan_send(r->role.parent, IPC_UNIX_ASK, c->unix_ask, c->dest->target.host, -1);
	relay_conn_arm(c, (int64_t)r->conf->relay_connect_seconds * 1000);
}

void
relay_conn_connected(struct conn *c, int fd, int e)
{
	c->unix_ask = 0;
	relay_conn_arm(c, 0);
	if (fd >= c->relay->fds) {
		close(fd);
		fd = -1;
		e = EMFILE;
	}
	if (fd >= 0) {
		relay_conn_opened(c, fd, 0);
		return;
	}
	if (is_our_lack(e)) {
		relay_race_lack(c, e);
		return;
	}
	relay_job_notef(c->job, "%s: %s", c->where, strerror(e));
	relay_race_lost(c);
}

bool
relay_conn_may(struct conn *c, const char **ret_why)
{
	const struct job *j = c->job;
	return plan_for_letter(relay_conn_host(c), j->entry.flags & ONWARD_REQUIRETLS,
	    j->entry.flags & ONWARD_TLS_OPTIONAL, &c->need, ret_why);
}

void
relay_race_begin(struct conn *c)
{
	const char *why = relay_login_away(c);
	c->state = CONN_RACES;
	c->next_addr = 0;
	c->race_error = 0;
	c->source++;
	str_copy(c->mta, sizeof(c->mta), str_of(relay_conn_host(c)->name));
	snprintf(c->where, sizeof(c->where), "%s", relay_conn_host(c)->name);
	if (why) {
		relay_conn_put_back(c, why);
		return;
	}
	if (relay_secure_lacks(c))
		return;
	if (c->plan->port == 0) {
		check(c->dest->target.kind == TARGET_LMTP);
		unix_begin(c);
		return;
	}
	if (!relay_conn_may(c, &why)) {
		relay_job_notef(c->job, "%s: %s", c->mta, why);
		relay_conn_next_host(c, JOB_REFUSED, JOB_TROUBLE_POLICY, 0, "5.7.30", str_of(why));
		return;
	}
	relay_race_next(c);
}
