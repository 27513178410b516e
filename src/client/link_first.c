/* What goes over a connection before its protocol begins: the PROXY header, what telnet says. */
#include "base/check.h"
#include "base/num.h"
#include "client/exit.h"
#include "client/link_priv.h"
#include "sys/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static bool
proxy_ends(struct link *l, struct sys_addr *from, struct sys_addr *to)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct str source = l->conf->proxy_source;
	char text[128];
	uint64_t port;

	if (getpeername(l->fd, (struct sockaddr *)&sa, &len) < 0 ||
	    !sys_addr_of((struct sockaddr *)&sa, len, to))
		return false;
	len = sizeof(sa);
	if (source.len == 0)
		return getsockname(l->fd, (struct sockaddr *)&sa, &len) == 0 &&
		       sys_addr_of((struct sockaddr *)&sa, len, from);
	size_t colon = str_rfind(source, ':');
	struct str host = str_first(source, colon);
	if (host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = str_n(host.p + 1, host.len - 2);
	if (colon == source.len || !num_u64(str_skip(source, colon + 1), 65535, &port) ||
	    !str_copy(text, sizeof(text), host) || !sys_addr_parse(text, from))
		return false;
	from->port = (uint16_t)port;
	return true;
}

/* Both ends must be of one family: IPv4 is shown as IPv6 when the other end is. */
static void
proxy_text(const struct sys_addr *a, bool v4, struct buf *out)
{
	char text[INET6_ADDRSTRLEN];

	if (v4 || !a->is_v4)
		buf_putz(out, a->text);
	else if (inet_ntop(AF_INET6, a->ip, text, sizeof(text)))
		buf_putz(out, text);
}

static void
put_u16(struct buf *b, unsigned v)
{
	buf_putc(b, (char)(v >> 8));
	buf_putc(b, (char)(v & 0xff));
}

/* The PROXY protocol, 2.1 (text) and 2.2 (binary). */
static void
put_proxy(struct buf *b, int version, const struct sys_addr *from, const struct sys_addr *to)
{
	bool v4 = from->is_v4 && to->is_v4;

	if (version == 1) {
		buf_putf(b, "PROXY TCP%c ", v4 ? '4' : '6');
		proxy_text(from, v4, b);
		buf_putc(b, ' ');
		proxy_text(to, v4, b);
		buf_putf(b, " %u %u\r\n", from->port, to->port);
		return;
	}
	buf_put(b, "\r\n\r\n\0\r\nQUIT\n", 12);
	buf_putc(b, 0x21);
	buf_putc(b, v4 ? 0x11 : 0x21);
	put_u16(b, v4 ? 12 : 36);
	buf_put(b, from->ip + (v4 ? 12 : 0), v4 ? 4 : 16);
	buf_put(b, to->ip + (v4 ? 12 : 0), v4 ? 4 : 16);
	put_u16(b, from->port);
	put_u16(b, to->port);
}

/* As telnet does on its own port: DO SGA, WILL TTYPE, NAWS, TSPEED, LFLOW, LINEMODE, NEW-ENVIRON,
 * DO STATUS (RFC 855 and what followed). */
#define TELNET_FIRST                                                                               \
	"\xff\xfd\x03\xff\xfb\x18\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x21\xff\xfb\x22\xff\xfb\x27\xff" \
	"\xfd\x05"

int
link_say_first(struct link *l)
{
	struct sys_addr from, to;
	struct buf b = BUF_INIT(1024);
	enum link_status st = LINK_OK;

	if (l->conf->proxy && !proxy_ends(l, &from, &to))
		return link_fail(l, CLIENT_CONNECT,
		    "the PROXY header needs an address and a port: --proxy-v1=192.0.2.1:1234, or "
		    "nothing for this machine's own");
	if (l->conf->proxy) {
		put_proxy(&b, l->conf->proxy, &from, &to);
		event_note(l->ev, "PROXY header, version %d: from %s port %u to %s port %u",
		    l->conf->proxy, from.text, from.port, to.text, to.port);
		st = link_send(l, buf_str(&b), STR_NULL, false);
		buf_reset(&b);
	}
	if (st == LINK_OK && l->conf->telnet_neg)
		st = link_send(l, STR(TELNET_FIRST), STR_NULL, false);
	buf_done(&b);
	return st == LINK_OK        ? CLIENT_OK
	       : st == LINK_TIMEOUT ? CLIENT_TIMEOUT
	       : st == LINK_STOPPED ? CLIENT_INTERRUPTED
	                            : CLIENT_CONNECT;
}
