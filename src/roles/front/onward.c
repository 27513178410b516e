/*
 * onward: recipients elsewhere: who may send to them, where their mail has to go, what goes with
 * it. The queue and the relay do the rest.
 */
#include "roles/front/smtp_priv.h"

#include "base/num.h"
#include "queue/target.h"
#include "route/host.h"
#include "sys/listen.h"

#include <stdio.h>

#define VERP_MAX (2 * ADDR_PATH_MAX + 8)
#define ORCPT_MAX 500 /* octets that are made (RFC 3461 4.2) */

/* --- can it be sent there --- */

static bool
is_listed(struct str list, struct str domain)
{
	while (list.len) {
		size_t n = str_find_any(list, " ,\t");
		if (n && target_match(str_first(list, n), domain))
			return true;
		list = str_skip(list, n + 1);
	}
	return false;
}

bool
onward_backs_up(const struct conf *conf, struct str domain)
{
	return is_listed(str_of(conf->relay_domains), domain);
}

/* An error: route is there to be read: status and text, as they are written, are the reply. */
static bool
is_refused(const struct conf_route *route, struct str *ret_why)
{
	struct target t;
	if (!route || !target_parse(str_of(route->via), &t) || t.kind != TARGET_ERROR)
		return false;
	*ret_why = str_trim(str_skip(str_of(route->via), strlen("error:")));
	return true;
}

static bool
is_named(const struct conf_route *route)
{
	return route && strcmp(route->match, "*") != 0;
}

static const struct conf_route *
route_of(const struct conf *conf, const char *domain)
{
	return domain[0] ? conf_route_for(conf, str_of(domain)) : NULL;
}

/* What a route says goes, whatever we think of the domain. SMTP_NONE: mail can be sent there. */
static enum smtp_situation
judge(const struct conn *c, const struct addr *a, char domain[HOST_MAX], struct str *ret_why)
{
	const struct conf *conf = c->settings->conf;
	enum host_verdict v = host_of(a, domain);
	const struct conf_route *route = route_of(conf, domain);
	unsigned char ip[16];
	if (is_refused(route, ret_why))
		return SMTP_RCPT_REJECTED;
	if (is_named(route))
		return SMTP_NONE;
	*ret_why = str_of(host_verdict_text[v]);
	if (v == HOST_OK && a->literal && host_literal(str_of(domain), ip) &&
	    self_has_place(&c->front->self, ip, (uint16_t)conf->relay_port, false))
		*ret_why = STR("the address of this server");
	else if (v == HOST_OK)
		return SMTP_NONE;
	return SMTP_RCPT_UNROUTABLE;
}

/* --- is it elsewhere at all --- */

/* A number of ours: the one that the peer has connected to, or one at which others bring us mail.
 * What a route of its own leads to is another's. */
static bool
is_own_number(const struct conn *c, const struct addr *a)
{
	const struct conf *conf = c->settings->conf;
	char domain[HOST_MAX];
	unsigned char ip[16];
	struct sys_addr here;
	if (!a->literal || !host_literal(a->domain, ip))
		return false;
	(void)host_of(a, domain);
	if (is_named(route_of(conf, domain)))
		return false;
	if (self_has_place(&c->front->self, ip, (uint16_t)conf->relay_port, false))
		return true;
	return sys_addr_here(c->stream.fd, &here) == 0 && memcmp(here.ip, ip, sizeof(ip)) == 0;
}

/* RFC 1123 5.2.17. The domain is our first, as in reports. */
bool
onward_is_here(const struct conn *c, const struct addr *a, char dst[ADDR_PATH_MAX],
    struct addr *ret)
{
	const struct conf *conf = c->settings->conf;
	if (!is_own_number(c, a))
		return false;
	struct str who = directory_postmaster(&c->front->directory);
	struct str domain =
	    conf->n_domains ? str_of(conf->domains[0]) : str_skip(who, str_rfind(who, '@') + 1);
	if (!directory_is_local(&c->front->directory, domain))
		return false;
	int n =
	    snprintf(dst, ADDR_PATH_MAX, STR_FMT "@" STR_FMT, STR_ARG(a->local), STR_ARG(domain));
	return n < ADDR_PATH_MAX &&
	       addr_mailbox(str_n(dst, (size_t)n), ADDR_SMTPUTF8, ret) == ADDR_OK;
}

/* --- may it be sent there --- */

/* user%elsewhere, elsewhere!user, "user@elsewhere": the host that we stand in for trusts us, and
 * might send it on (RFC 5321 F.2). */
static bool
is_routed_by_sender(struct str local)
{
	return str_find_any(local, "%!@") < local.len;
}

enum smtp_situation
onward_allows(struct conn *c, const struct addr *to, struct str *ret_why)
{
	char domain[HOST_MAX];
	const struct conf *conf = c->settings->conf;
	bool lmtp = c->smtp->session.conf->lmtp;
	(void)host_of(to, domain);
	bool backs_up = onward_backs_up(conf, str_of(domain));
	if (!lmtp && (submit_may_relay(c) || (backs_up && !is_routed_by_sender(to->local))))
		return backs_up && !directory_may_exist(&c->front->directory, to)
		           ? SMTP_RCPT_UNKNOWN
		           : SMTP_NONE;
	/* Where a domain has moved to is for everybody to know. */
	const struct conf_route *route = route_of(conf, domain);
	return is_named(route) && is_refused(route, ret_why) ? SMTP_RCPT_REJECTED : SMTP_RCPT_RELAY;
}

/* --- one recipient --- */

/* The words of NOTIFY without SUCCESS (RFC 3461 5.2.7.3). */
static struct str
without_success(struct str notify, char dst[64])
{
	struct buf b = BUF_INIT(63);
	if (str_find(notify, ',') == notify.len && !str_ieq(notify, STR("SUCCESS")))
		return notify;
	while (notify.len) {
		struct str word = str_cut(&notify, ',');
		if (!str_ieq(word, STR("SUCCESS")))
			buf_putf(&b, "%s" STR_FMT, b.len ? "," : "", STR_ARG(word));
	}
	bool ok = str_copy(dst, 64, b.len ? buf_str(&b) : STR("NEVER"));
	buf_done(&b);
	check(ok);
	return str_of(dst);
}

struct str
onward_notify(const struct smtp_rcpt *r, bool expanded, char dst[64])
{
	return expanded && r->notify & NOTIFY_SUCCESS ? without_success(r->notify_text, dst)
	                                              : r->notify_text;
}

static bool
is_xchar(char c)
{
	return c > ' ' && c < 0x7f && c != '+' && c != '=';
}

/* RFC 3461 4.2, 5.2.7: who forwards names the address that the sender wrote. */
static struct str
made_orcpt(const struct addr *a, struct buf *b)
{
	static const char hex[] = "0123456789ABCDEF";
	if (a->utf8)
		return STR_NULL;
	buf_reset(b);
	buf_putz(b, "rfc822;");
	for (size_t i = 0; i < a->whole.len; i++) {
		unsigned char o = (unsigned char)a->whole.p[i];
		if (is_xchar(a->whole.p[i])) {
			buf_putc(b, a->whole.p[i]);
		} else {
			buf_putc(b, '+');
			buf_putc(b, hex[o >> 4]);
			buf_putc(b, hex[o & 15]);
		}
	}
	return b->failed ? STR_NULL : buf_str(b);
}

/* An address of ASCII letters goes out in A-labels, which every server knows; one that needs
 * SMTPUTF8 anyway stays as it was written (RFC 6531 3.2). */
static struct str
as_sent(const struct addr *a, const char *domain, char dst[ADDR_PATH_MAX + HOST_MAX])
{
	bool ascii_local = true;
	for (size_t i = 0; i < a->local.len; i++)
		ascii_local &= (unsigned char)a->local.p[i] < 0x80;
	if (!a->utf8 || !ascii_local)
		return a->whole;
	int n = snprintf(dst, ADDR_PATH_MAX + HOST_MAX, STR_FMT "@%s", STR_ARG(a->local), domain);
	return str_n(dst, (size_t)n);
}

/* ann@example.org sends to joe@example.net as ann+joe=example.net@example.org. */
static struct str
verp(const struct smtp_txn *t, const struct addr *to, char dst[VERP_MAX])
{
	const struct addr *from = &t->from;
	if (!t->verp || from->null || from->quoted || to->quoted || to->literal)
		return STR_NULL;
	int n = snprintf(dst, VERP_MAX, STR_FMT "%c" STR_FMT "%c" STR_FMT "@" STR_FMT,
	    STR_ARG(from->local), t->verp_marks[0], STR_ARG(to->local), t->verp_marks[1],
	    STR_ARG(to->domain), STR_ARG(from->domain));
	check(n > 0 && n < VERP_MAX);
	/* Too long for servers (RFC 5321 4.5.3.1): the sender's own, then. */
	struct addr made;
	struct str path = str_n(dst, (size_t)n);
	return addr_mailbox(path, ADDR_SMTPUTF8, &made) == ADDR_OK ? path : STR_NULL;
}

enum smtp_situation
onward_put(struct conn *c, const struct smtp_rcpt *rcpt, const struct onward_way *way,
    struct str address, struct buf *out, struct str *ret_why)
{
	struct addr a;
	char domain[HOST_MAX], sent[ADDR_PATH_MAX + HOST_MAX], notify[64], own[VERP_MAX];
	struct buf orcpt = BUF_INIT(ORCPT_MAX);
	enum smtp_situation no = SMTP_NONE;
	*ret_why = STR("not one that can exist");
	if (addr_mailbox(address, ADDR_SMTPUTF8, &a) != ADDR_OK)
		no = SMTP_RCPT_UNROUTABLE;
	else if (!directory_is_local(&c->front->directory, a.domain))
		no = judge(c, &a, domain, ret_why);
	else if (!host_ascii(a.domain, domain))
		no = SMTP_RCPT_UNROUTABLE;
	if (no != SMTP_NONE)
		return no;
	struct msg_onward m = {
		.rcpt = as_sent(&a, domain, sent),
		.domain = str_of(domain),
		.from = way->via.len ? way->from : verp(c->smtp->session.txn, &a, own),
		.notify = onward_notify(rcpt, way->expanded, notify),
		.orcpt = rcpt->orcpt,
		.via = way->via,
	};
	if (way->via.len && m.orcpt.len == 0)
		m.orcpt = made_orcpt(&rcpt->addr, &orcpt);
	msg_onward_put(out, &m);
	buf_done(&orcpt);
	letter_note(c, STR_FMT ": elsewhere, " STR_FMT, STR_ARG(rcpt->addr.whole),
	    STR_ARG(address));
	return SMTP_NONE;
}

/* --- all of them --- */

static struct str
domain_of(const struct rcpt_route *route)
{
	const char *behind = (const char *)(route->account + route->n);
	return str_n(behind, route->onward_len);
}

/* Whoever is named twice, or by two aliases, gets one letter. */
static bool
is_new(struct map *seen, const struct msg_onward *m)
{
	static char there;
	struct buf key = BUF_INIT(4096);
	size_t at = str_rfind(m->rcpt, '@');
	buf_puts(&key, str_first(m->rcpt, at));
	buf_putc(&key, '@');
	buf_puts(&key, m->domain);
	bool fresh = !map_get(seen, buf_str(&key));
	if (fresh)
		map_put(seen, buf_str(&key), &there);
	buf_done(&key);
	return fresh;
}

/* Those that were named, or those that aliases lead to. */
static void
put_those(const struct smtp_txn *t, bool named, struct map *seen, struct buf *out, uint32_t *ret_n)
{
	list_each(node, &t->rcpts)
	{
		const struct smtp_rcpt *r = list_entry(node, struct smtp_rcpt, node);
		const struct rcpt_route *route = r->host_data;
		struct wire w = wire_of(domain_of(route));
		struct msg_onward m;
		for (uint32_t i = 0; r->outcome == SMTP_NONE && i < route->n_onward; i++) {
			check(msg_onward_get(&w, &m));
			if ((m.via.len == 0) != named || !is_new(seen, &m))
				continue;
			msg_onward_put(out, &m);
			++*ret_n;
		}
	}
}

/* What was wished of a recipient who was named comes before what is left of it behind an alias. */
void
onward_put_all(const struct smtp_txn *t, struct buf *out, uint32_t *ret_n)
{
	struct map seen = MAP_NULL;
	put_those(t, true, &seen, out, ret_n);
	put_those(t, false, &seen, out, ret_n);
	map_done(&seen);
}

void
onward_put_expanded(const struct smtp_txn *t, struct buf *out)
{
	list_each(node, &t->rcpts)
	{
		const struct smtp_rcpt *r = list_entry(node, struct smtp_rcpt, node);
		const struct rcpt_route *route = r->host_data;
		if (r->outcome != SMTP_NONE || !route->expanded || !(r->notify & NOTIFY_SUCCESS))
			continue;
		put_str(out, r->addr.whole);
		put_str(out, r->orcpt);
	}
}

/* RFC 2852 4: seconds;mode[T], checked when it came. */
static void
put_deliver_by(struct str by, uint64_t now_ms, struct msg_onward_facts *f)
{
	struct str time = str_cut(&by, ';');
	bool minus = time.len && time.p[0] == '-';
	uint64_t seconds = 0;
	if (time.len && (time.p[0] == '-' || time.p[0] == '+'))
		time = str_skip(time, 1);
	if (!by.p || !num_u64(time, 999999999, &seconds))
		return;
	f->by_ms = minus ? now_ms - MIN(seconds * 1000, now_ms - 1) : now_ms + seconds * 1000;
	f->flags |= str_istarts(by, STR("R")) ? ONWARD_BY_RETURN : 0;
	f->flags |= by.len == 2 ? ONWARD_BY_TRACE : 0;
}

/* RFC 6531 3.2 asks for a server that knows SMTPUTF8; a letter that turns out to be ASCII does not
 * need one. */
static bool
needs_utf8(const struct smtp_txn *t, bool eight_bit)
{
	bool utf8 = eight_bit || t->from.utf8 || t->merge;
	list_each(node, &t->rcpts) utf8 |= list_entry(node, struct smtp_rcpt, node)->addr.utf8;
	return t->smtputf8 && utf8;
}

struct msg_onward_facts
onward_facts(const struct conn *c, bool eight_bit, uint64_t now_ms)
{
	const struct smtp_session *s = &c->smtp->session;
	const struct smtp_txn *t = s->txn;
	struct msg_onward_facts f = {
		.priority = (int8_t)t->mt_priority,
		.auth = t->auth_as_given,
		.account = str_of(s->authenticated ? s->user : ""),
	};
	const struct {
		bool is;
		enum onward_flag flag;
	} rows[] = {
		{ eight_bit, ONWARD_8BIT },
		{ t->body == BODY_BINARYMIME, ONWARD_BINARY },
		{ needs_utf8(t, eight_bit), ONWARD_UTF8 },
		{ t->requiretls, ONWARD_REQUIRETLS },
		{ c->smtp->relay || s->authenticated, ONWARD_OURS },
		{ s->conf->submission, ONWARD_SUBMITTED },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		f.flags |= rows[i].is ? (uint32_t)rows[i].flag : 0;
	if (t->hold_until)
		f.hold_until_ms = t->hold_until * 1000;
	if (t->deliver_by.len)
		put_deliver_by(t->deliver_by, now_ms, &f);
	return f;
}
