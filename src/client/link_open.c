/* From a name to a connection: addresses, TCP, or the socket of a file. */
#include "base/check.h"
#include "base/num.h"
#include "client/dns.h"
#include "client/exit.h"
#include "client/link_priv.h"
#include "client/vouch_priv.h"
#include "sys/clock.h"
#include "sys/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#define REVERSE_MS 300 /* a name for an address that was typed is worth no more */
#define WHY_MAX 8192

/* An address to be tried. */
struct target {
	struct sockaddr_storage sa;
	socklen_t len;
	char text[INET6_ADDRSTRLEN + 20]; /* with a zone: "fe80::1%eth0" */
};
struct targets {
	struct target v[LINK_ADDRS_MAX];
	size_t n;
	bool typed; /* the host was an address */
	int error;  /* EAI_ code */
};

static void
add_target(struct targets *t, const struct sockaddr *sa, socklen_t len)
{
	struct target *to = &t->v[t->n];

	if (t->n == LINK_ADDRS_MAX || len > sizeof(to->sa))
		return;
	memcpy(&to->sa, sa, len);
	to->len = len;
	if (getnameinfo(sa, len, to->text, sizeof(to->text), NULL, 0, NI_NUMERICHOST) == 0)
		t->n++;
}

/* An address needs no resolver. */
static bool
add_numeric(struct targets *t, const char *text, const struct link_conf *c)
{
	struct addrinfo hints = { .ai_family = c->family,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST },
			*list;
	char service[8];

	snprintf(service, sizeof(service), "%u", c->port);
	if (getaddrinfo(text, service, &hints, &list) != 0)
		return false;
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next)
		add_target(t, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(list);
	return true;
}

/* --resolve NAME:ADDR. Returns whether it knows the name. */
static bool
add_told(struct targets *t, const char *host, const struct link_conf *c)
{
	bool known = false;

	for (size_t i = 0; i < c->n_resolve; i++) {
		if (!str_ieq(str_of(c->resolve[i].name), str_of(host)))
			continue;
		known = true;
		struct str addr = str_of(c->resolve[i].addr);
		char plain[128];
		if (addr.len > 2 && addr.p[0] == '[' && addr.p[addr.len - 1] == ']')
			addr = str_n(addr.p + 1, addr.len - 2);
		if (str_copy(plain, sizeof(plain), addr))
			add_numeric(t, plain, c);
	}
	return known;
}

static int
resolve_host(struct link *l, const char *host, struct targets *t, int64_t deadline)
{
	const struct link_conf *c = l->conf;
	struct resolve *r = resolve_addrs(host, c->port, c->family);

	if (!r)
		return link_fail(l, CLIENT_RESOLVE, "%s: no thread to look it up with", host);
	enum link_wait w = resolve_wait(l, r, deadline);
	if (w == LINK_WAIT_OK) {
		t->error = resolve_error(r);
		for (const struct addrinfo *ai = t->error ? NULL : resolve_list(r); ai;
		     ai = ai->ai_next)
			add_target(t, ai->ai_addr, ai->ai_addrlen);
	}
	resolve_done(r);
	if (w == LINK_WAIT_STOP)
		return link_fail(l, CLIENT_INTERRUPTED, "interrupted while %s was looked up", host);
	if (w == LINK_WAIT_TIME)
		return link_fail(l, CLIENT_RESOLVE,
		    "%s: the resolver did not answer in time: is the network up? "
		    "--resolve NAME:ADDRESS does without it",
		    host);
	return CLIENT_OK;
}

/* --dns: that name server has the last word, the hosts file none. */
static int
ask_own(struct link *l, const char *host, struct targets *t)
{
	char name[DNS_NAME_MAX];
	struct buf err = BUF_INIT(1024);
	struct dns d;
	struct dns_addrs a = { .status = DNS_BADNAME };
	bool ready =
	    dns_name(str_of(host), name, &err) && dns_init(&d, l->conf, l->conf->dns, &err);
	int status = CLIENT_OK;

	if (ready && dns_addrs(&d, name, &a) != DNS_FOUND)
		dns_explain(&err, host, a.status);
	for (size_t i = 0; i < a.n; i++)
		add_numeric(t, a.addr[i], l->conf);
	if (link_stopped(l))
		status =
		    link_fail(l, CLIENT_INTERRUPTED, "interrupted while %s was looked up", host);
	else if (t->n == 0)
		status = link_fail(l, CLIENT_RESOLVE, STR_FMT, STR_ARG(buf_str(&err)));
	buf_done(&err);
	return status;
}

static const char *
family_word(int family)
{
	return family == AF_INET ? "IPv4 " : family == AF_INET6 ? "IPv6 " : "";
}

static int
no_address(struct link *l, const char *host, const struct targets *t)
{
	const char *family = family_word(l->conf->family);

	if (t->error == EAI_AGAIN)
		return link_fail(l, CLIENT_RESOLVE,
		    "%s: the resolver has no answer now: is the network up, and does "
		    "/etc/resolv.conf name a server? --resolve %s:ADDRESS does without it",
		    host, host);
	if (t->error == 0 || t->error == EAI_NONAME
#ifdef EAI_NODATA
	    || t->error == EAI_NODATA
#endif
#ifdef EAI_ADDRFAMILY
	    || t->error == EAI_ADDRFAMILY
#endif
	)
		return link_fail(l, CLIENT_RESOLVE,
		    "%s has no %saddress: check the spelling%s; the mail servers of a domain "
		    "are found with --mx, and listed by `pennypost mx %s`",
		    host, family, *family ? ", or leave out -4 and -6" : "", host);
	return link_fail(l, CLIENT_RESOLVE, "%s: %s", host, gai_strerror(t->error));
}

static void
tell_addresses(struct link *l, const char *host, const struct targets *t)
{
	struct buf b = BUF_INIT(8192);
	struct event e = { .kind = EVENT_RESOLVE, .step = "resolve" };

	buf_putf(&b, "%s:", host);
	for (size_t i = 0; i < t->n; i++)
		buf_putf(&b, "%s %s", i ? "," : "", t->v[i].text);
	e.text = buf_str(&b);
	event_emit(l->ev, &e);
	buf_done(&b);
}

/* The host without the brackets of an IPv6 literal. */
static bool
bare_host(const char *host, char out[256])
{
	struct str s = str_of(host);

	if (s.len > 2 && s.p[0] == '[' && s.p[s.len - 1] == ']')
		s = str_n(s.p + 1, s.len - 2);
	if (str_istarts(s, STR("IPv6:")))
		s = str_skip(s, 5);
	return s.len > 0 && str_copy(out, 256, s);
}

static int
find_targets(struct link *l, const char *host, struct targets *t, int64_t deadline)
{
	const struct link_conf *c = l->conf;

	if (add_told(t, host, c)) {
		if (t->n == 0)
			return link_fail(l, CLIENT_RESOLVE, "--resolve names no %saddress for %s",
			    family_word(c->family), host);
	} else if (add_numeric(t, host, c)) {
		t->typed = true;
		return CLIENT_OK;
	} else if (c->dns) {
		int status = ask_own(l, host, t);
		if (status != CLIENT_OK)
			return status;
	} else {
		int status = resolve_host(l, host, t, deadline);
		if (status != CLIENT_OK)
			return status;
		if (t->n == 0)
			return no_address(l, host, t);
	}
	tell_addresses(l, host, t);
	return CLIENT_OK;
}

/* --- TCP ---------------------------------------------------------------------------------- */

static int
bind_to(const struct link *l, int fd, int family)
{
	struct addrinfo hints = { .ai_family = family,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_PASSIVE },
			*list;

	if (!l->conf->bind)
		return 0;
	if (getaddrinfo(l->conf->bind, NULL, &hints, &list) != 0)
		return -EAFNOSUPPORT;
	int error = bind(fd, list->ai_addr, list->ai_addrlen) < 0 ? -errno : 0;
	freeaddrinfo(list);
	return error;
}

static int
finish_connect(const struct link *l, int fd, int64_t deadline)
{
	int error = 0;
	socklen_t len = sizeof(error);

	switch (link_wait(l, fd, POLLOUT, deadline)) {
	case LINK_WAIT_TIME:
		return -ETIMEDOUT;
	case LINK_WAIT_STOP:
		return -EINTR;
	case LINK_WAIT_OK:
		break;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

static int
socket_new(int family)
{
	int fd = socket(family, SOCK_STREAM, 0), one = 1;

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
#ifdef SO_NOSIGPIPE
	setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof(one));
#endif
	/* What goes in one piece leaves in one piece, and at once. */
	if (family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int
connect_to(const struct link *l, const struct target *t, int64_t deadline)
{
	int fd = socket_new(t->sa.ss_family);

	if (fd < 0)
		return fd;
	int error = bind_to(l, fd, t->sa.ss_family);
	if (error == 0 && connect(fd, (const struct sockaddr *)&t->sa, t->len) < 0)
		error = errno == EINPROGRESS ? finish_connect(l, fd, deadline) : -errno;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

/* What a failure to connect may be cured with. */
static void
connect_reason(const struct link *l, int error, struct buf *b)
{
	uint16_t port = l->conf->port;

	switch (error) {
	case ECONNREFUSED:
		buf_putf(b,
		    "connection refused: nothing listens on port %u there, or a firewall "
		    "says no",
		    port);
		if (port == 25)
			buf_putz(b, "; mail programs use 587 or 465");
		break;
	case ETIMEDOUT:
		buf_putz(b, "no answer in time: a firewall?");
		buf_putz(b, port == 25 ? " Many networks block port 25: try 587 or 465"
				       : " --timeout waits longer");
		break;
	case ENETUNREACH:
	case EHOSTUNREACH:
		buf_putf(b,
		    "%s: no way there from this machine; -4 or -6 asks for the other "
		    "family of addresses",
		    strerror(error));
		break;
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
		buf_putf(b, "%s%s", strerror(error),
		    l->conf->bind ? ": does --bind name an address of this machine, of the same "
				    "family?"
				  : "");
		break;
	default:
		buf_putz(b, strerror(error));
	}
}

static int
connect_failed(struct link *l, const char *host, const struct targets *t, int error)
{
	struct buf b = BUF_INIT(1024);

	connect_reason(l, error, &b);
	link_fail(l, 0, "cannot connect to %s port %u: %s", host, l->conf->port,
	    buf_cstr(&b) ? b.p : "");
	if (t->n > 1)
		buf_putf(&l->why, " (the last of %zu addresses)", t->n);
	buf_done(&b);
	if (error == EINTR && link_stopped(l))
		return link_fail(l, CLIENT_INTERRUPTED, "interrupted while connecting to %s", host);
	return error == ETIMEDOUT ? CLIENT_TIMEOUT : CLIENT_CONNECT;
}

static int
try_all(struct link *l, const char *host, const struct targets *t)
{
	int error = EHOSTUNREACH;

	for (size_t i = 0; i < t->n; i++) {
		event_emit(l->ev,
		    &(struct event){
			.kind = EVENT_TRYING, .text = str_of(t->v[i].text), .step = "connect" });
		int fd = connect_to(l, &t->v[i], sys_mono_ms() + l->conf->timeout_ms);
		if (fd >= 0) {
			l->fd = fd;
			snprintf(l->peer, sizeof(l->peer), "%s", t->v[i].text);
			return CLIENT_OK;
		}
		error = -fd;
		if (link_stopped(l))
			break;
		if (i + 1 < t->n)
			event_warn(l->ev, "connect", "%s: %s", t->v[i].text, strerror(error));
	}
	return connect_failed(l, host, t, error);
}

/* --- the socket of a file: unix:/run/lmtp --------------------------------------------------- */

static int
open_file(struct link *l, const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = strlen(path);

	if (n >= sizeof(to.sun_path))
		return link_fail(l, CLIENT_CONNECT, "%s: the path is longer than a socket's may be",
		    path);
	memcpy(to.sun_path, path, n);
	int fd = socket_new(AF_UNIX), error = fd < 0 ? -fd : 0;
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
		error = errno;
		close(fd);
	}
	if (error)
		return link_fail(l, CLIENT_CONNECT, "cannot connect to %s: %s%s", path,
		    strerror(error),
		    error == ECONNREFUSED ? ": no server listens there now"
		    : error == EACCES     ? ": who may use it, is told by its file and directories"
					  : "");
	l->fd = fd;
	snprintf(l->label, sizeof(l->label), "%.300s", path);
	snprintf(l->peer, sizeof(l->peer), "%.60s", path);
	event_emit(l->ev,
	    &(struct event){ .kind = EVENT_CONNECT, .text = str_of(path), .step = "connect" });
	return link_say_first(l);
}

/* --- */

/* A reverse name is what the owner of the address likes it to be. */
static bool
is_name(const char *s)
{
	for (const char *p = s; *p; p++) {
		bool plain = (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
		             (*p >= 'A' && *p <= 'Z') || *p == '-' || *p == '_' || *p == '.';
		if (!plain)
			return false;
	}
	return *s != '\0';
}

static void
know_peer(struct link *l, const char *host, const struct targets *t, struct resolve *reverse)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct sys_addr a;

	l->peer_port = l->conf->port;
	if (getpeername(l->fd, (struct sockaddr *)&sa, &len) == 0 &&
	    sys_addr_of((struct sockaddr *)&sa, len, &a))
		l->peer_port = a.port;
	if (!t->typed)
		snprintf(l->name, sizeof(l->name), "%s", host);
	else if (reverse && resolve_wait_ms(reverse, REVERSE_MS) && resolve_error(reverse) == 0 &&
		 is_name(resolve_text(reverse)))
		str_copy(l->name, sizeof(l->name), str_of(resolve_text(reverse)));
	if (*l->name)
		snprintf(l->label, sizeof(l->label), "%s (%s) port %u", l->name, l->peer,
		    l->peer_port);
	else
		snprintf(l->label, sizeof(l->label), "%s port %u", l->peer, l->peer_port);
	event_emit(l->ev, &(struct event){ .kind = EVENT_CONNECT,
			      .text = str_of(*l->name ? l->name : l->peer),
			      .step = "connect" });
}

int
link_open(struct link *l, const struct link_conf *conf, struct events *ev)
{
	struct targets t = { 0 };
	struct resolve *reverse = NULL;
	char host[256];

	*l = (struct link){ .conf = conf,
		.ev = ev,
		.fd = -1,
		.in = BUF_INIT(LINK_IN_MAX + 1),
		.why = BUF_INIT(WHY_MAX),
		.verdict = BUF_INIT(WHY_MAX) };
	if (link_path(conf))
		return open_file(l, link_path(conf));
	if (!conf->host || !bare_host(conf->host, host))
		return link_fail(l, CLIENT_RESOLVE, "%s is no name of a host",
		    conf->host && *conf->host ? conf->host : "nothing");
	snprintf(l->label, sizeof(l->label), "%s port %u", host, conf->port);
	int status = vouch_begin(l);
	if (status == CLIENT_OK)
		status = find_targets(l, host, &t, sys_mono_ms() + conf->timeout_ms);
	if (status != CLIENT_OK)
		return status;
	if (t.typed) /* it is found while we connect */
		reverse = resolve_name((struct sockaddr *)&t.v[0].sa, t.v[0].len);
	status = try_all(l, host, &t);
	if (status == CLIENT_OK)
		know_peer(l, host, &t, reverse);
	resolve_done(reverse);
	return status == CLIENT_OK ? link_say_first(l) : status;
}

void
link_close(struct link *l)
{
	if (!l->conf) /* never opened: its descriptor would be standard input */
		return;
	if (l->fd >= 0) {
		if (l->tls)
			tls_close_notify(l->tls);
		link_tell_close(l, 0, "Connection closed.");
		close(l->fd);
	}
	l->tls = tls_free(l->tls);
	link_deflate_close(l);
	vouch_end(l);
	l->fd = -1;
	buf_done(&l->in);
	l->start = l->scanned = 0;
	buf_done(&l->why);
	buf_done(&l->verdict);
}
