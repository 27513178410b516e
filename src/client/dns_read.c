/* Queries and answers as octets (RFC 1035 4.1). Pure. */
#include "client/dns.h"

#include "base/num.h"
#include "base/utf8.h"
#include "base/wire.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define HEADER 12
#define LABEL_MAX 63
#define WIRE_NAME_MAX 255
#define RECORDS_MAX 1000 /* looked at in one answer */
#define ALIASES_MAX 32   /* kept of one answer */
#define EDNS_SIZE 1232   /* octets of an answer by UDP that no network cuts */
#define CLASS_IN 1

enum { QR = 0x8000, TC = 0x0200, RD = 0x0100, AD = 0x0020, OPCODE = 0x7800, RCODE = 0x000f };

void
dns_answer_init(struct dns_answer *a)
{
	memset(a, 0, sizeof(*a));
	buf_init(&a->texts, DNS_TEXT_MAX);
}

void
dns_answer_done(struct dns_answer *a)
{
	buf_done(&a->texts);
}

struct str
dns_rr_text(const struct dns_answer *a, size_t i)
{
	check(i < a->n && a->rr[i].at + a->rr[i].len <= a->texts.len);
	return str_n(a->texts.p ? a->texts.p + a->rr[i].at : "", a->rr[i].len);
}

/* --- queries --- */

static bool
put_name(struct buf *b, struct str name)
{
	size_t before = b->len;
	if (str_ends(name, STR(".")))
		name.len--;
	while (name.len) {
		struct str label = str_cut(&name, '.');
		if (label.len == 0 || label.len > LABEL_MAX || (name.p && name.len == 0))
			return false;
		put_u8(b, (uint8_t)label.len);
		buf_puts(b, label);
	}
	put_u8(b, 0);
	return b->len - before <= WIRE_NAME_MAX;
}

size_t
dns_query(unsigned char out[DNS_QUERY_MAX], uint16_t id, const char *name, uint16_t type)
{
	struct buf b = BUF_INIT(DNS_QUERY_MAX);
	size_t n = 0;
	put_u16(&b, id);
	put_u16(&b, RD | AD);
	put_u16(&b, 1);
	put_u16(&b, 0);
	put_u16(&b, 0);
	put_u16(&b, 1);
	if (put_name(&b, str_of(name))) {
		put_u16(&b, type);
		put_u16(&b, CLASS_IN);
		put_u8(&b, 0);
		put_u16(&b, DNS_OPT);
		put_u16(&b, EDNS_SIZE);
		put_u32(&b, 0);
		put_u16(&b, 0);
		if (!b.failed) {
			n = b.len;
			memcpy(out, b.p, n);
		}
	}
	buf_done(&b);
	return n;
}

/* --- names in answers --- */

static char
plain(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c | 0x20);
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '*' ||
	    c == '/')
		return (char)c;
	return '?';
}

/* The name at `at`, folded. Pointers only lead backwards, so none is followed twice (RFC 1035
 * 4.1.4). Returns the offset behind it, or 0: it is none. */
static size_t
take_name(struct str all, size_t at, char ret[DNS_NAME_MAX])
{
	const unsigned char *p = (const unsigned char *)all.p;
	size_t n = 0, behind = 0, lowest = at;
	for (;;) {
		if (at >= all.len)
			return 0;
		size_t len = p[at++];
		if (len == 0)
			break;
		if ((len & 0xc0) == 0xc0) {
			if (at >= all.len)
				return 0;
			size_t to = (len & 0x3f) << 8 | p[at++];
			if (to >= lowest)
				return 0;
			behind = behind ? behind : at;
			at = lowest = to;
			continue;
		}
		if (len > LABEL_MAX || len > all.len - at || n + len + 1 > WIRE_NAME_MAX - 1)
			return 0;
		for (size_t i = 0; i < len; i++)
			ret[n++] = plain(p[at + i]);
		ret[n++] = '.';
		at += len;
	}
	if (n > 0)
		n--; /* the dot behind the last label */
	else
		ret[n++] = '.';
	ret[n] = '\0';
	return behind ? behind : at;
}

/* --- records --- */

struct record {
	char owner[DNS_NAME_MAX];
	uint16_t type, class;
	uint32_t ttl;
	size_t at, len; /* its data */
};

struct reader {
	struct str all;
	size_t at;
	struct dns_answer *out;
	size_t n_alias;
	struct {
		char owner[DNS_NAME_MAX], target[DNS_NAME_MAX];
	} alias[ALIASES_MAX];
};

static bool
broken(struct dns_answer *a, const char *why)
{
	a->status = DNS_BROKEN;
	a->n = 0;
	str_copy(a->why, sizeof(a->why), str_of(why));
	return false;
}

static bool
take_record(struct reader *r, struct record *ret)
{
	size_t at = take_name(r->all, r->at, ret->owner);
	if (at == 0)
		return broken(r->out, "a record's name is cut off or loops");
	struct wire w = wire_of(str_skip(r->all, at));
	ret->type = get_u16(&w);
	ret->class = get_u16(&w);
	ret->ttl = get_u32(&w);
	ret->len = get_u16(&w);
	ret->at = at + 10;
	if (w.bad || ret->len > r->all.len - ret->at)
		return broken(r->out, "it is shorter than it says");
	r->at = ret->at + ret->len;
	return true;
}

/* A name that is the rest of the record's data from `skip` on. */
static bool
take_target(struct reader *r, const struct record *rec, size_t skip, char ret[DNS_NAME_MAX])
{
	if (skip >= rec->len)
		return false;
	return take_name(str_first(r->all, rec->at + rec->len), rec->at + skip, ret) ==
	       rec->at + rec->len;
}

static bool
take_strings(struct reader *r, struct str data, struct dns_rr *rr)
{
	struct buf *texts = &r->out->texts, whole = BUF_INIT(UINT16_MAX);
	size_t before = texts->len;
	bool ok = data.len > 0;
	while (ok && data.len) {
		size_t n = (unsigned char)data.p[0];
		data = str_skip(data, 1);
		ok = n <= data.len;
		buf_puts(&whole, str_first(data, n));
		data = str_skip(data, n);
	}
	utf8_escape(texts, buf_str(&whole));
	buf_done(&whole);
	if (texts->failed) { /* no room: told by `more`, as records over their number are */
		buf_trunc(texts, before);
		texts->failed = false;
		r->out->more = true;
		return false;
	}
	rr->at = before;
	rr->len = texts->len - before;
	return ok;
}

static bool
take_tlsa(struct reader *r, struct str data, struct dns_rr *rr)
{
	struct buf *texts = &r->out->texts;
	const unsigned char *p = (const unsigned char *)data.p;
	if (data.len < 4 || data.len > 1024)
		return false;
	rr->at = texts->len;
	buf_putf(texts, "%u %u %u ", p[0], p[1], p[2]);
	for (size_t i = 3; i < data.len; i++)
		buf_putf(texts, "%02x", p[i]);
	rr->len = texts->len - rr->at;
	if (texts->failed) {
		buf_trunc(texts, rr->at);
		texts->failed = false;
		r->out->more = true;
		return false;
	}
	return true;
}

static bool
take_address(struct str data, int family, struct dns_rr *rr)
{
	rr->family = family;
	return data.len == (family == AF_INET ? 4 : 16) &&
	       inet_ntop(family, data.p, rr->addr, sizeof(rr->addr));
}

/* The data of a record of the type that was asked for; false: left out. */
static bool
take_data(struct reader *r, const struct record *rec, struct dns_rr *rr)
{
	struct str data = str_n(r->all.p + rec->at, rec->len);
	struct wire w = wire_of(data);
	switch (rec->type) {
	case DNS_A:
		return take_address(data, AF_INET, rr);
	case DNS_AAAA:
		return take_address(data, AF_INET6, rr);
	case DNS_MX:
		rr->pref = get_u16(&w);
		return take_target(r, rec, 2, rr->target);
	case DNS_SRV:
		rr->pref = get_u16(&w);
		rr->weight = get_u16(&w);
		rr->port = get_u16(&w);
		return take_target(r, rec, 6, rr->target);
	case DNS_PTR:
	case DNS_CNAME:
		return take_target(r, rec, 0, rr->target);
	case DNS_TXT:
		return take_strings(r, data, rr);
	case DNS_TLSA:
		return take_tlsa(r, data, rr);
	default:
		return false;
	}
}

/* --- answers --- */

/* Aliases first: they may stand behind what they lead to. */
static bool
take_aliases(struct reader *r, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct record rec;
		if (!take_record(r, &rec))
			return false;
		if (rec.type != DNS_CNAME || rec.class != CLASS_IN || r->n_alias == ALIASES_MAX)
			continue;
		if (!take_target(r, &rec, 0, r->alias[r->n_alias].target))
			return broken(r->out, "an alias leads to no name");
		memcpy(r->alias[r->n_alias++].owner, rec.owner, DNS_NAME_MAX);
	}
	return true;
}

static bool
follow(struct reader *r, uint16_t type)
{
	struct dns_answer *a = r->out;
	if (type == DNS_CNAME)
		return true;
	for (size_t i = 0; i < r->n_alias;) {
		if (!str_eq(str_of(r->alias[i].owner), str_of(a->owner))) {
			i++;
			continue;
		}
		if (++a->aliases > DNS_CHAIN_MAX)
			return broken(a, "its aliases (CNAME) lead in a circle, or too far");
		memcpy(a->owner, r->alias[i].target, DNS_NAME_MAX);
		i = 0;
	}
	return true;
}

static bool
take_all(struct reader *r, unsigned count, uint16_t type)
{
	struct dns_answer *a = r->out;
	unsigned damaged = 0;
	for (unsigned i = 0; i < count; i++) {
		struct record rec;
		struct dns_rr rr = { 0 };
		if (!take_record(r, &rec))
			return false;
		if (rec.type != type || rec.class != CLASS_IN ||
		    !str_eq(str_of(rec.owner), str_of(a->owner)))
			continue;
		bool more = a->more;
		rr.ttl = rec.ttl;
		if (!take_data(r, &rec, &rr))
			damaged += a->more == more;
		else if (a->n == DNS_RR_MAX)
			a->more = true;
		else
			a->rr[a->n++] = rr;
	}
	if (damaged && a->n == 0)
		return broken(a, "its records are damaged");
	if (damaged)
		str_copy(a->why, sizeof(a->why), STR("some of its records are damaged"));
	return true;
}

static void
take_code(struct dns_answer *a, unsigned rcode)
{
	static const enum dns_status by_code[] = { DNS_FOUND, DNS_BROKEN, DNS_SERVFAIL,
		DNS_NXDOMAIN, DNS_REFUSED, DNS_REFUSED };
	a->status = rcode < ARRAY_LEN(by_code) ? by_code[rcode] : DNS_REFUSED;
	if (rcode == 1)
		str_copy(a->why, sizeof(a->why),
		    STR("it does not understand our question (FORMERR)"));
	else if (a->status == DNS_REFUSED && rcode != 5)
		str_copy(a->why, sizeof(a->why), STR("it says so with an unusual code"));
}

static bool
same_question(struct reader *r, const char *name, uint16_t type)
{
	char asked[DNS_NAME_MAX];
	struct str want = str_of(name);
	size_t at = take_name(r->all, HEADER, asked);
	if (str_ends(want, STR(".")))
		want.len--;
	if (at == 0 || r->all.len - at < 4)
		return false;
	struct wire w = wire_of(str_skip(r->all, at));
	r->at = at + 4;
	if (get_u16(&w) != type || get_u16(&w) != CLASS_IN)
		return false;
	if (want.len != strlen(asked))
		return false;
	for (size_t i = 0; i < want.len; i++)
		if (want.p[i] != '.' && plain((unsigned char)want.p[i]) != asked[i])
			return false;
	memcpy(r->out->owner, asked, sizeof(asked));
	return true;
}

bool
dns_read(struct str octets, uint16_t id, const char *name, uint16_t type, struct dns_answer *ret)
{
	struct reader *r = xalloc(sizeof(*r));
	struct wire w = wire_of(octets);
	struct buf texts = ret->texts;
	bool ours = false;
	buf_reset(&texts);
	memset(ret, 0, sizeof(*ret));
	ret->texts = texts;
	r->all = octets;
	r->out = ret;
	uint16_t got = get_u16(&w), flags = get_u16(&w), questions = get_u16(&w),
		 records = get_u16(&w);
	(void)get_u32(&w);
	if (w.bad || got != id || !(flags & QR) || (flags & OPCODE))
		goto out;
	/* Who refuses may leave the question out. */
	bool bare = questions == 0 && (flags & RCODE) && (flags & RCODE) != 3;
	if (!bare && (questions != 1 || !same_question(r, name, type)))
		goto out;
	ours = true;
	ret->ad = flags & AD;
	ret->truncated = flags & TC;
	take_code(ret, flags & RCODE);
	if (ret->truncated || (ret->status != DNS_FOUND && ret->status != DNS_NXDOMAIN))
		goto out;
	if (records > RECORDS_MAX) {
		broken(ret, "it has more than 1000 records");
		goto out;
	}
	size_t first = r->at;
	if (!take_aliases(r, records) || !follow(r, type))
		goto out;
	r->at = first;
	if (take_all(r, records, type) && ret->status == DNS_FOUND && ret->n == 0)
		ret->status = DNS_NODATA;
	if (ret->status == DNS_NXDOMAIN)
		ret->n = 0;
out:
	free(r);
	return ours;
}
