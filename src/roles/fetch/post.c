/* Reports about TLS go to web addresses that strangers name (RFC 8460 3). */
#include "roles/fetch/fetch_priv.h"

#include "base/check.h"
#include "log/log.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_MAX 256
#define URL_MAX_LEN 1024
#define REPLY_MAX (16u << 10) /* what it answers is not looked at */

struct post {
	struct list node; /* fetch->posts */
	struct fetch *fetch;
	uint64_t id; /* of store's question */
	char url[URL_MAX_LEN + 1], host[HOST_MAX + 1];
	struct name_ask name;
	struct transfer *transfer;
	struct buf octets;
};

static void
answer(struct fetch *f, uint64_t id, uint16_t status, const char *error)
{
	struct msg_fetched m = { .status = status, .error = str_first(str_of(error), ERROR_MAX) };
	struct buf b = BUF_INIT(1024);
	msg_fetched_put(&b, &m);
	if (f->store && !b.failed)
		chan_send(f->store, IPC_POSTED, id, buf_str(&b), -1);
	buf_done(&b);
}

static void
post_free(struct post *p)
{
	transfer_free(p->transfer);
	fetch_lookup_cancel(&p->name);
	list_del(&p->node);
	p->fetch->n_posts--;
	buf_done(&p->octets);
	free(p);
}

static void
end(struct post *p, uint16_t status, const char *error)
{
	answer(p->fetch, p->id, status, error);
	post_free(p);
}

/* Networks that are nobody's business: what is no host of the Internet (RFC 6890). */
static bool
is_private(const unsigned char a[16])
{
	static const struct {
		unsigned char net[16];
		unsigned bits;
	} nets[] = {
#define V4(a, b, c, d) { [10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d }
		{ V4(0, 0, 0, 0), 96 + 8 },
		{ V4(10, 0, 0, 0), 96 + 8 },
		{ V4(100, 64, 0, 0), 96 + 10 },
		{ V4(127, 0, 0, 0), 96 + 8 },
		{ V4(169, 254, 0, 0), 96 + 16 },
		{ V4(172, 16, 0, 0), 96 + 12 },
		{ V4(192, 0, 0, 0), 96 + 24 },
		{ V4(192, 168, 0, 0), 96 + 16 },
		{ V4(198, 18, 0, 0), 96 + 15 },
		{ V4(224, 0, 0, 0), 96 + 3 },
#undef V4
		{ { 0 }, 80 },                   /* ::, ::1 and what is left of IPv4 in IPv6 */
		{ { 0, 0x64, 0xff, 0x9b }, 32 }, /* NAT64 */
		{ { 0x20, 0x02 }, 16 },          /* 6to4 */
		{ { 0xfc }, 7 },
		{ { 0xfe, 0x80 }, 10 },
		{ { 0xfe, 0xc0 }, 10 },
		{ { 0xff }, 8 },
	};
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool v4 = memcmp(a, mapped, sizeof(mapped)) == 0;
	for (size_t i = 0; i < ARRAY_LEN(nets); i++) {
		unsigned bits = nets[i].bits, n = bits / 8, rest = bits % 8;
		if (v4 && bits < 96)
			continue;
		if (memcmp(a, nets[i].net, n) == 0 &&
		    (rest == 0 || (a[n] ^ nets[i].net[n]) >> (8 - rest) == 0))
			return true;
	}
	return false;
}

static void
on_transferred(void *arg, uint16_t status, struct str body, const char *error, bool bad_certificate)
{
	end(arg, status, error);
}

static void
on_addresses(void *arg, struct str addresses, const char *why)
{
	struct post *p = arg;
	struct fetch *f = p->fetch;
	struct buf good = BUF_INIT(ADDR_LIST_MAX * 16);
	for (size_t i = 0; i + 16 <= addresses.len; i += 16)
		if (f->conf->lab || !is_private((const unsigned char *)addresses.p + i))
			buf_put(&good, addresses.p + i, 16);
	struct transfer_how how = {
		.kind = TRANSFER_REPORT,
		.url = p->url,
		.authorities = fetch_authorities(f),
		.host = p->host,
		.addresses = buf_str(&good),
		.octets = buf_str(&p->octets),
		.max = REPLY_MAX,
	};
	if (why)
		end(p, 0, why);
	else if (good.len == 0)
		end(p, 0, "its name leads to private addresses only");
	else if (how.authorities.len == 0)
		end(p, 0,
		    "this system has no list of certificate authorities (Debian: ca-certificates)");
	else if (!(p->transfer = transfer_new(f->web, &how, on_transferred, p)))
		end(p, 0, "out of memory");
	buf_done(&good);
}

void
fetch_post_begin(struct fetch *f, uint64_t id, const struct msg_post *m)
{
	struct post *p = xalloc(sizeof(*p));
	bool literal;
	*p = (struct post){ .fetch = f,
		.id = id,
		.octets = BUF_INIT(POST_MAX),
		.name = { .fn = on_addresses, .arg = p } };
	list_add_tail(&f->posts, &p->node);
	f->n_posts++;
	buf_puts(&p->octets, m->octets);
	if (f->n_posts > POSTS_MAX)
		end(p, 0, "too many reports are being sent");
	else if (!str_istarts(m->url, STR("https://")) ||
		 !str_copy(p->url, sizeof(p->url), m->url) ||
		 !web_host(p->url, p->host, &literal) || literal)
		end(p, 0, "it is no web address of https with a name");
	else if (!fetch_lookup(f, &p->name, p->host))
		end(p, 0, fetch_why_no_dns());
}

void
fetch_posts_drop(struct fetch *f)
{
	list_each(n, &f->posts) post_free(list_entry(n, struct post, node));
}
