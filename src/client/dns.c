/* Whom to ask, and asking: UDP first, TCP when the answer was cut. */
#include "client/dns.h"

#include "base/num.h"
#include "client/link_priv.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/random.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_CONF_MAX (64u << 10)
#define DNS_PORT 53
#define TRY_MS 5000
#define TRIES 2

const struct dns_status_text dns_status_text[DNS_STATUS_COUNT] = {
	[DNS_FOUND] = { "found", "found", "" },
	[DNS_NODATA] = { "nodata", "the name exists, but has no such records",
	    "ask its owner to add them, or name another host" },
	[DNS_NXDOMAIN] = { "nxdomain", "there is no such name (NXDOMAIN)",
	    "look at its spelling, and whether the domain is still registered" },
	[DNS_SERVFAIL] = { "servfail", "the name server failed to find an answer (SERVFAIL)",
	    "the domain's own name servers are down, or its DNSSEC is broken; try again later" },
	[DNS_REFUSED] = { "refused", "the name server refuses to answer (REFUSED)",
	    "it does not serve this machine: name another one in /etc/resolv.conf or by --dns" },
	[DNS_TIMEOUT] = { "timeout", "no name server answered in time",
	    "look at the network and at /etc/resolv.conf, or name another one by --dns" },
	[DNS_UNREACHABLE] = { "unreachable", "no name server can be reached",
	    "look at the network and at /etc/resolv.conf, or name another one by --dns" },
	[DNS_BROKEN] = { "broken", "the name server's answer is damaged",
	    "ask another name server by --dns; something in between may change answers" },
	[DNS_BADNAME] = { "badname", "this cannot be a name", "look at its spelling" },
	[DNS_STOPPED] = { "stopped", "the look-up was interrupted", "" },
};

bool
dns_is_final(enum dns_status s)
{
	return s == DNS_FOUND || s == DNS_NODATA || s == DNS_NXDOMAIN || s == DNS_BADNAME;
}

void
dns_explain(struct buf *out, const char *name, enum dns_status status)
{
	const struct dns_status_text *t = &dns_status_text[status];
	buf_putf(out, "%s: %s%s%s", name, t->text, *t->remedy ? "; " : "", t->remedy);
}

/* --- whom to ask --- */

static bool
server_add(struct dns *d, struct str host, uint16_t port)
{
	char addr[46];
	int family = dns_is_address(host, addr);
	if (family == 0 || d->n == DNS_SERVERS_MAX)
		return false;
	struct dns_server *s = &d->server[d->n];
	memset(s, 0, sizeof(*s));
	if (family == AF_INET) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
		check(inet_pton(AF_INET, addr, &in.sin_addr) == 1);
		memcpy(&s->addr, &in, s->len = sizeof(in));
	} else {
		struct sockaddr_in6 in = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
		check(inet_pton(AF_INET6, addr, &in.sin6_addr) == 1);
		memcpy(&s->addr, &in, s->len = sizeof(in));
	}
	snprintf(s->text, sizeof(s->text), family == AF_INET ? "%s:%u" : "[%s]:%u", addr, port);
	d->n++;
	return true;
}

static void
take_option(struct dns *d, struct str word)
{
	uint64_t v;
	struct str name = str_cut(&word, ':');
	if (str_eq(name, STR("timeout")) && num_u64(word, 30, &v) && v)
		d->timeout_ms = (int64_t)v * 1000;
	else if (str_eq(name, STR("attempts")) && num_u64(word, 5, &v) && v)
		d->tries = (unsigned)v;
	else if (str_eq(name, STR("trust-ad")))
		d->trusted = true;
}

/* resolv.conf(5), as far as it concerns a stub. Scoped addresses (%eth0) are passed over. */
static void
take_system(struct dns *d)
{
	struct buf b = BUF_INIT(RESOLV_CONF_MAX);
	(void)file_read_all(RESOLV_CONF, RESOLV_CONF_MAX, &b);
	struct str rest = buf_str(&b);
	while (rest.len) {
		struct str line = str_cut(&rest, '\n'), word = str_word(&line);
		if (str_eq(word, STR("nameserver")))
			(void)server_add(d, str_trim(line), DNS_PORT);
		else if (str_eq(word, STR("options")))
			while ((word = str_word(&line)).len)
				take_option(d, word);
	}
	buf_done(&b);
	if (d->n == 0)
		(void)server_add(d, STR("127.0.0.1"), DNS_PORT);
}

static bool
is_loopback(const struct dns_server *s)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (s->addr.ss_family == AF_INET) {
		memcpy(&in, &s->addr, sizeof(in));
		return ntohl(in.sin_addr.s_addr) >> 24 == 127;
	}
	memcpy(&in6, &s->addr, sizeof(in6));
	return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

/* A bit in an answer proves nothing when everybody on the way can set it (RFC 4035 4.9.3). */
static bool
all_loopback(const struct dns *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (!is_loopback(&d->server[i]))
			return false;
	return true;
}

static bool
take_given(struct dns *d, const char *server, struct buf *err)
{
	struct str host = str_of(server), port = STR_NULL;
	char addr[46];
	uint64_t n = DNS_PORT;
	if (!dns_is_address(host, addr)) {
		size_t colon = str_rfind(host, ':');
		port = str_skip(host, colon + 1);
		host = str_first(host, colon);
	}
	if ((port.p && !num_u64(port, UINT16_MAX, &n)) || n == 0 ||
	    !server_add(d, host, (uint16_t)n)) {
		buf_putf(err,
		    "--dns %s: write the address of a name server, as 192.0.2.53, 192.0.2.53:5353 "
		    "or [2001:db8::53]:5353",
		    server);
		return false;
	}
	return true;
}

bool
dns_init(struct dns *d, const struct link_conf *conf, const char *server, struct buf *err)
{
	*d = (struct dns){
		.conf = conf, .own = server != NULL, .timeout_ms = TRY_MS, .tries = TRIES
	};
	if (server && !take_given(d, server, err))
		return false;
	if (!server)
		take_system(d);
	d->trusted = d->trusted || d->own || all_loopback(d);
	if (conf->timeout_ms > 0)
		d->timeout_ms = MIN(d->timeout_ms, conf->timeout_ms);
	return true;
}

/* --- waiting --- */

static enum dns_status
of_errno(int err)
{
	return err == ETIMEDOUT || err == EAGAIN ? DNS_TIMEOUT : DNS_UNREACHABLE;
}

/* DNS_FOUND: ready. */
static enum dns_status
wait_for(const struct dns *d, int fd, short what, int64_t until)
{
	static const enum dns_status of[] = { [LINK_WAIT_OK] = DNS_FOUND,
		[LINK_WAIT_TIME] = DNS_TIMEOUT,
		[LINK_WAIT_STOP] = DNS_STOPPED };
	const struct link l = { .conf = d->conf, .fd = -1 };
	return of[link_wait(&l, fd, what, until)];
}

/* A socket that reads without waiting and is closed on exec, connected or about to be; -errno. */
static int
socket_to(const struct dns_server *s, int type)
{
	int fd = socket(s->addr.ss_family, type, 0);
	if (fd < 0)
		return -errno;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
#ifdef SO_NOSIGPIPE
	int one = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof(one));
#endif
	if (connect(fd, (const struct sockaddr *)&s->addr, s->len) != 0 && errno != EINPROGRESS) {
		int err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* --- asking --- */

struct question {
	struct dns *d;
	const char *name;
	uint16_t type, id;
	unsigned char octets[DNS_QUERY_MAX + 2]; /* behind a length, as TCP wants it */
	size_t len;
	struct dns_answer *ret;
};

static enum dns_status
ask_udp(struct question *q, const struct dns_server *s)
{
	char in[4096];
	int fd = socket_to(s, SOCK_DGRAM);
	if (fd < 0)
		return of_errno(-fd);
	int64_t until = sys_mono_ms() + q->d->timeout_ms;
	enum dns_status status = DNS_FOUND;
	if (send(fd, q->octets + 2, q->len, 0) < 0)
		status = of_errno(errno);
	while (status == DNS_FOUND) {
		status = wait_for(q->d, fd, POLLIN, until);
		if (status != DNS_FOUND)
			break;
		ssize_t n = recv(fd, in, sizeof(in), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			status = of_errno(errno);
		else if (dns_read(str_n(in, (size_t)n), q->id, q->name, q->type, q->ret))
			break;
		else if (sys_mono_ms() >= until) /* strays: waited on for, but not for ever */
			status = DNS_TIMEOUT;
	}
	close(fd);
	return status;
}

static enum dns_status
send_all(struct question *q, int fd, int64_t until)
{
	size_t done = 0;
	while (done < q->len + 2) {
		enum dns_status status = wait_for(q->d, fd, POLLOUT, until);
		if (status != DNS_FOUND)
			return status;
		ssize_t n = send(fd, q->octets + done, q->len + 2 - done, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return of_errno(errno);
		done += n > 0 ? (size_t)n : 0;
	}
	return DNS_FOUND;
}

static enum dns_status
read_all(struct question *q, int fd, int64_t until, struct buf *in)
{
	size_t want = 2;
	while (in->len < want) {
		enum dns_status status = wait_for(q->d, fd, POLLIN, until);
		if (status != DNS_FOUND)
			return status;
		if (!buf_reserve(in, want - in->len))
			return DNS_BROKEN;
		ssize_t n = recv(fd, in->p + in->len, want - in->len, 0);
		if (n == 0)
			return DNS_BROKEN;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return of_errno(errno);
		in->len += n > 0 ? (size_t)n : 0;
		if (in->len == 2)
			want = 2 + ((size_t)(unsigned char)in->p[0] << 8 | (unsigned char)in->p[1]);
	}
	return DNS_FOUND;
}

static enum dns_status
ask_tcp(struct question *q, const struct dns_server *s)
{
	struct buf in = BUF_INIT(UINT16_MAX + 2);
	int fd = socket_to(s, SOCK_STREAM);
	if (fd < 0)
		return of_errno(-fd);
	int64_t until = sys_mono_ms() + q->d->timeout_ms;
	enum dns_status status = send_all(q, fd, until);
	if (status == DNS_FOUND)
		status = read_all(q, fd, until, &in);
	if (status == DNS_FOUND &&
	    !dns_read(str_skip(buf_str(&in), 2), q->id, q->name, q->type, q->ret))
		status = DNS_BROKEN;
	buf_done(&in);
	close(fd);
	return status;
}

/* What this server says, its silence included. */
static enum dns_status
ask_server(struct question *q, const struct dns_server *s)
{
	enum dns_status status = ask_udp(q, s);
	if (status == DNS_FOUND && q->ret->truncated)
		status = ask_tcp(q, s);
	if (status == DNS_FOUND && q->ret->truncated) {
		status = DNS_BROKEN;
		str_copy(q->ret->why, sizeof(q->ret->why), STR("it is cut even by TCP"));
	}
	return status == DNS_FOUND ? q->ret->status : status;
}

/* Of several failures the one that says most. */
static enum dns_status
worse(enum dns_status a, enum dns_status b)
{
	static const unsigned char weight[DNS_STATUS_COUNT] = { [DNS_UNREACHABLE] = 1,
		[DNS_TIMEOUT] = 2,
		[DNS_REFUSED] = 3,
		[DNS_BROKEN] = 4,
		[DNS_SERVFAIL] = 5 };
	return weight[a] >= weight[b] ? a : b;
}

static enum dns_status
ask_servers(struct question *q)
{
	enum dns_status best = DNS_UNREACHABLE;
	for (unsigned try = 0; try < q->d->tries; try++) {
		bool silent = false;
		for (size_t i = 0; i < q->d->n; i++) {
			enum dns_status status = ask_server(q, &q->d->server[i]);
			if (dns_is_final(status) || status == DNS_STOPPED)
				return status;
			silent |= status == DNS_TIMEOUT;
			best = worse(best, status);
		}
		if (!silent)
			break; /* they have said it once */
	}
	return best;
}

enum dns_status
dns_ask(struct dns *d, const char *name, uint16_t type, struct dns_answer *ret)
{
	struct question q = { .d = d, .name = name, .type = type, .ret = ret };
	struct buf texts = ret->texts;
	buf_reset(&texts);
	memset(ret, 0, sizeof(*ret));
	ret->texts = texts;
	q.id = (uint16_t)random_u64();
	q.len = dns_query(q.octets + 2, q.id, name, type);
	q.octets[0] = (unsigned char)(q.len >> 8);
	q.octets[1] = (unsigned char)q.len;
	enum dns_status status = q.len ? ask_servers(&q) : DNS_BADNAME;
	if (status != DNS_FOUND)
		ret->n = 0;
	ret->ad = ret->ad && d->trusted;
	return ret->status = status;
}
