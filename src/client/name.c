#include "client/name.h"

#include "client/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOKUP_MS 1000 /* a name server that is silent must not hold us */

/* A name of at least two labels that somebody else might know us by. */
static bool
is_full_name(struct str s)
{
	size_t dot = str_find(s, '.');

	if (dot == 0 || dot >= s.len || s.len > 253 || s.p[s.len - 1] == '.' ||
	    str_istarts(s, STR("localhost")))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		            (c >= '0' && c <= '9') || c == '-' || c == '.';
		if (!fine || (c == '.' && s.p[i + 1] == '.'))
			return false;
	}
	return true;
}

/* Our own name, when it resolves. Asked for once. */
static const char *
own_name(void)
{
	static char name[256];
	static bool known;
	char host[256] = "";

	if (known)
		return name;
	known = true;
	if (gethostname(host, sizeof(host) - 1) < 0 || !*host)
		return name;
	struct resolve *r = resolve_canonical(host);
	if (r && resolve_wait_ms(r, LOOKUP_MS) && resolve_error(r) == 0) {
		const struct addrinfo *ai = resolve_list(r);
		struct str canonical = str_of(ai ? ai->ai_canonname : NULL);
		if (is_full_name(canonical))
			str_copy(name, sizeof(name), canonical);
		else if (is_full_name(str_of(host)))
			str_copy(name, sizeof(name), str_of(host));
	}
	resolve_done(r);
	return name;
}

/* RFC 5321 4.1.3 */
static bool
put_literal(int fd, struct buf *out)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char text[INET6_ADDRSTRLEN];

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return false;
	if (sa.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&sa;
		if (!inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)))
			return false;
		buf_putf(out, "[%s]", text);
		return true;
	}
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&sa;
	if (sa.ss_family != AF_INET6)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		if (!inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, text, sizeof(text)))
			return false;
		buf_putf(out, "[%s]", text);
		return true;
	}
	if (!inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)))
		return false;
	buf_putf(out, "[IPv6:%s]", text);
	return true;
}

/* mail.example.com: test.example.com; example.com: test.example.com. */
static void
put_test_name(struct str server, struct buf *out)
{
	unsigned char address[16];
	char text[256];

	if (server.len && server.p[server.len - 1] == '.')
		server.len--;
	if (!str_copy(text, sizeof(text), server) || !is_full_name(server) ||
	    inet_pton(AF_INET, text, address) == 1) {
		buf_putz(out, "localhost");
		return;
	}
	size_t first = str_find(server, '.');
	struct str domain = str_skip(server, first + 1);
	buf_putz(out, "test.");
	buf_puts(out, str_find(domain, '.') < domain.len ? domain : server);
}

void
name_rule(const char *asked, const char *own, int fd, const char *server, struct buf *out)
{
	if (asked && *asked)
		buf_putz(out, asked);
	else if (*own)
		buf_putz(out, own);
	else if (!put_literal(fd, out))
		put_test_name(str_of(server), out);
}

void
name_of_us(const char *asked, int fd, const char *server, struct buf *out)
{
	name_rule(asked, asked && *asked ? "" : own_name(), fd, server, out);
}
