/*
 * submit: letters that our own users hand in (RFC 6409): whose name they may carry, what is taken
 * out, how many they may be.
 */
#include "roles/front/smtp_priv.h"

#include "mail/author.h"

#include <stdlib.h>

#define HANDIN_OUT_MAX (1u << 20) /* what stays of one piece of input, which is far smaller */

/* --- whose address --- */

struct owner {
	const struct directory *directory;
	uint64_t account;
};

/* The account that has logged in, as the directory has it. */
static bool
owner_of(const struct conn *c, struct owner *ret)
{
	struct addr a;
	struct route_result r = { 0 };
	const struct directory *d = &c->front->directory;
	if (d->block.len == 0 || !c->smtp->session.authenticated ||
	    addr_mailbox(str_of(c->smtp->session.user), ADDR_SMTPUTF8, &a) != ADDR_OK)
		return false;
	route_resolve(d, &a, &r);
	bool ok = r.verdict == ROUTE_LOCAL && !r.is_alias && r.n_target == 1;
	if (ok)
		*ret = (struct owner){ d, r.target[0].account };
	route_result_done(&r);
	return ok;
}

/* Its own, with or without a detail, or one whose mail it gets. */
static bool
owns_addr(const struct owner *o, const struct addr *a)
{
	struct route_result r = { 0 };
	bool owns = false;
	route_resolve(o->directory, a, &r);
	for (size_t i = 0; i < r.n_target; i++)
		owns |= !r.target[i].remote && r.target[i].account == o->account;
	route_result_done(&r);
	return owns;
}

static bool
owns(void *arg, struct str text)
{
	struct addr a;
	return addr_mailbox(text, ADDR_SMTPUTF8, &a) == ADDR_OK && owns_addr(arg, &a);
}

static const struct conf_listener *
listener_of(const struct conn *c)
{
	return &c->settings->conf->listeners[c->listener];
}

enum smtp_situation
submit_sender(struct conn *c)
{
	const struct smtp_session *s = &c->smtp->session;
	const struct addr *from = &s->txn->from;
	struct owner o;
	/* The null sender is a report's, and anybody may send one of those. */
	if (!s->conf->submission || !listener_of(c)->own_sender || !s->authenticated || from->null)
		return SMTP_NONE;
	if (owner_of(c, &o) && owns_addr(&o, from))
		return SMTP_NONE;
	LOG(LOG_INFO, c->id, "not-owner", LOGZ("account", s->user), LOGF("from", from->whole));
	return SMTP_MAIL_NOTOWNER;
}

/* --- who may send to elsewhere --- */

static bool
is_listed(struct str list, const struct addr *a)
{
	while (list.len) {
		size_t n = str_find_any(list, " ,\t");
		struct str entry = str_first(list, n);
		list = str_skip(list, n + 1);
		if (entry.len == 0)
			continue;
		if (entry.p[0] == '@' ? str_ieq(str_skip(entry, 1), a->domain)
				      : str_ieq(entry, a->whole))
			return true;
	}
	return false;
}

bool
submit_may_relay(const struct conn *c)
{
	const struct smtp_session *s = &c->smtp->session;
	return c->smtp->relay || s->authenticated ||
	       (s->txn && is_listed(str_of(listener_of(c)->relay_sender), &s->txn->from));
}

/* --- how many --- */

/* An account in the table that counts addresses: as likely to meet one as two hashes to meet. */
static struct tally_key
account_key(const struct conn *c)
{
	static const unsigned char seed[2][16] = { "pennypost accnt", "pennypost count" };
	struct tally_key k;
	for (size_t i = 0; i < 2; i++) {
		uint64_t h = siphash(seed[i], str_of(c->smtp->session.user));
		memcpy(k.b + 8 * i, &h, 8);
	}
	return k;
}

bool
submit_over_rate(struct conn *c)
{
	struct front *f = c->front;
	uint64_t limit = listener_of(c)->limit_rcpts_per_hour_account;
	if (limit == CONF_OFF || !c->smtp->session.authenticated)
		return false;
	struct tally_key k = account_key(c);
	return rate_count(f->rates, FRONT_MAX, &k, f->clock.wall) >= limit;
}

void
submit_count(struct conn *c)
{
	struct front *f = c->front;
	if (!f->rate || !c->smtp->session.authenticated ||
	    listener_of(c)->limit_rcpts_per_hour_account == CONF_OFF)
		return;
	struct tally_key k = account_key(c);
	rate_add(f->rate, &k, f->clock.wall);
}

/* --- a letter while it arrives --- */

enum { HANDIN_FROM, HANDIN_BCC, HANDIN_RESENT_BCC };
static const char *const names[] = { "from", "bcc", "resent-bcc", NULL };

struct handin {
	struct fields fields;
	struct scan scan; /* of what stays */
	struct buf out, from;
	bool check_from;
};

struct handin *
handin_new(const struct conn *c)
{
	static const struct scan_limits none = { UINT64_MAX, UINT64_MAX };
	const struct smtp_session *s = &c->smtp->session;
	if (s->conf->lmtp || !(s->conf->submission || s->authenticated))
		return NULL;
	struct handin *h = xalloc(sizeof(*h));
	fields_init(&h->fields, names);
	scan_init(&h->scan, &none);
	buf_init(&h->out, HANDIN_OUT_MAX);
	buf_init(&h->from, AUTHOR_TEXT_MAX + 1);
	h->check_from = s->conf->submission && s->authenticated && listener_of(c)->own_from;
	return h;
}

struct handin *
handin_free(struct handin *h)
{
	if (!h)
		return NULL;
	buf_done(&h->out);
	buf_done(&h->from);
	free(h);
	return NULL;
}

static void
sort(void *arg, int which, struct str octets)
{
	struct handin *h = arg;
	if (which == HANDIN_FROM && h->check_from)
		buf_puts(&h->from, octets);
	if (which != HANDIN_BCC && which != HANDIN_RESENT_BCC)
		buf_puts(&h->out, octets);
}

struct str
handin_feed(struct handin *h, struct str octets)
{
	if (fields_over(&h->fields)) {
		buf_done(&h->out);
		return octets;
	}
	buf_reset(&h->out);
	fields_feed(&h->fields, octets, sort, h);
	check(!h->out.failed);
	scan_feed(&h->scan, buf_str(&h->out));
	return buf_str(&h->out);
}

struct str
handin_end(struct handin *h)
{
	buf_reset(&h->out);
	fields_end(&h->fields, sort, h);
	scan_feed(&h->scan, buf_str(&h->out));
	scan_end(&h->scan);
	return buf_str(&h->out);
}

const struct scan *
handin_scan(const struct handin *h)
{
	return &h->scan;
}

static enum author_verdict
judge_author(struct handin *h, struct conn *c)
{
	struct owner o;
	bool damaged = h->fields.damaged & 1u << HANDIN_FROM;
	if (h->from.failed || damaged)
		return AUTHOR_BAD;
	if (h->from.len == 0) /* one that only the other reader sees is nobody's to trust */
		return h->scan.count[SCAN_FROM] ? AUTHOR_BAD : AUTHOR_NONE;
	return owner_of(c, &o) ? author_each(buf_str(&h->from), owns, &o) : AUTHOR_REFUSED;
}

enum smtp_situation
handin_verdict(struct handin *h, struct conn *c, struct str *ret_reason)
{
	if (h->fields.unclear) {
		*ret_reason = STR("its header cannot be told apart");
		letter_note(c, STR_FMT, STR_ARG(*ret_reason));
		return SMTP_DATA_REJECTED;
	}
	enum author_verdict v = h->check_from ? judge_author(h, c) : AUTHOR_NONE;
	if (v == AUTHOR_OK || v == AUTHOR_NONE)
		return SMTP_NONE;
	*ret_reason = STR("an address in the From field is not yours");
	letter_note(c, "the From field %s",
	    v == AUTHOR_BAD ? "cannot be read" : "names an address that is not the account's");
	LOG(LOG_INFO, c->id, "not-author", LOGZ("account", c->smtp->session.user),
	    LOGF("from", str_trim(buf_str(&h->from))));
	return SMTP_DATA_REJECTED;
}
