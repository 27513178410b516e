/* What all attempts of a day saw. */
#include "mail/tlsrpt_priv.h"

#include <stdlib.h>

#define DAY_VERSION 1
#define SECONDS_MAX (1ull << 40) /* far enough for dates of four digits */

struct tlsrpt_day *
tlsrpt_day_new(struct str domain, int64_t begin, uint32_t seconds)
{
	struct tlsrpt_day *d = xalloc(sizeof(*d));
	d->begin = begin;
	d->seconds = seconds;
	d->domain = str_dup(str_first(domain, TLSRPT_DOMAIN_MAX));
	d->rua = str_dup(STR(""));
	return d;
}

static void
detail_done(struct tlsrpt_detail *t)
{
	free(t->mx);
	free(t->helo);
	free(t->ip);
	free(t->own_ip);
	free(t->why);
}

static void
under_free(struct tlsrpt_under *u)
{
	for (size_t i = 0; i < u->n; i++)
		detail_done(&u->detail[i]);
	free(u->text);
	free(u->mx);
	free(u);
}

struct tlsrpt_day *
tlsrpt_day_free(struct tlsrpt_day *d)
{
	if (!d)
		return NULL;
	for (size_t i = 0; i < d->n; i++)
		under_free(d->under[i]);
	free(d->domain);
	free(d->rua);
	free(d);
	return NULL;
}

static void
count(uint64_t *n, uint64_t more)
{
	if (__builtin_add_overflow(*n, more, n))
		*n = UINT64_MAX;
}

static bool
same(const char *have, struct str s)
{
	return str_eq(str_of(have), s);
}

/* NULL: there is no room for another policy. */
static struct tlsrpt_under *
under_of(struct tlsrpt_day *d, enum tlsrpt_policy policy, struct str text, struct str mx)
{
	for (size_t i = 0; i < d->n; i++) {
		struct tlsrpt_under *u = d->under[i];
		if (u->policy == policy && same(u->text, text) && same(u->mx, mx))
			return u;
	}
	if (d->n == TLSRPT_POLICIES_MAX)
		return NULL;
	struct tlsrpt_under *u = xalloc(sizeof(*u));
	u->policy = policy;
	u->text = str_dup(text);
	u->mx = str_dup(mx);
	return d->under[d->n++] = u;
}

/* NULL: there is no room for another kind. */
static struct tlsrpt_detail *
detail_of(struct tlsrpt_under *u, const struct tlsrpt_session *s)
{
	for (size_t i = 0; i < u->n; i++) {
		struct tlsrpt_detail *t = &u->detail[i];
		if (t->result == s->result && same(t->mx, s->mx) && same(t->helo, s->helo) &&
		    same(t->ip, s->ip) && same(t->own_ip, s->own_ip) && same(t->why, s->why))
			return t;
	}
	if (u->n == TLSRPT_DETAILS_MAX)
		return NULL;
	struct tlsrpt_detail *t = &u->detail[u->n++];
	*t = (struct tlsrpt_detail){ .result = s->result,
		.mx = str_dup(s->mx),
		.helo = str_dup(s->helo),
		.ip = str_dup(s->ip),
		.own_ip = str_dup(s->own_ip),
		.why = str_dup(s->why) };
	return t;
}

static void
add_session(struct tlsrpt_day *d, struct tlsrpt_under *u, const struct tlsrpt_session *s)
{
	bool good = s->result == TLSRPT_OK;
	struct tlsrpt_detail *t = NULL;
	count(good ? &d->good : &d->bad, 1);
	if (u)
		count(good ? &u->good : &u->bad, 1);
	if (u && !good)
		t = detail_of(u, s);
	if (t)
		count(&t->count, 1);
}

static void
take_rua(struct tlsrpt_day *d, struct str rua)
{
	if (rua.len == 0 || same(d->rua, rua))
		return;
	free(d->rua);
	d->rua = str_dup(rua);
}

void
tlsrpt_day_add(struct tlsrpt_day *d, const struct tlsrpt_facts *f)
{
	struct tlsrpt_under *u = under_of(d, f->policy, f->text, f->mx);
	take_rua(d, f->rua);
	for (size_t i = 0; i < f->n; i++)
		add_session(d, u, &f->session[i]);
}

struct str
tlsrpt_day_rua(const struct tlsrpt_day *d)
{
	return str_of(d->rua);
}

struct str
tlsrpt_day_domain(const struct tlsrpt_day *d)
{
	return str_of(d->domain);
}

int64_t
tlsrpt_day_begin(const struct tlsrpt_day *d)
{
	return d->begin;
}

int64_t
tlsrpt_day_end(const struct tlsrpt_day *d)
{
	return d->begin + d->seconds;
}

uint64_t
tlsrpt_day_sessions(const struct tlsrpt_day *d)
{
	uint64_t all = d->good;
	count(&all, d->bad);
	return all;
}

/* --- as octets --- */

static void
put_detail(struct buf *b, const struct tlsrpt_detail *t)
{
	put_u8(b, (uint8_t)t->result);
	tlsrpt_text_put(b, str_of(t->mx), TLSRPT_DOMAIN_MAX, false);
	tlsrpt_text_put(b, str_of(t->helo), TLSRPT_HELO_MAX, false);
	tlsrpt_text_put(b, str_of(t->ip), TLSRPT_IP_MAX, false);
	tlsrpt_text_put(b, str_of(t->own_ip), TLSRPT_IP_MAX, false);
	tlsrpt_text_put(b, str_of(t->why), TLSRPT_WHY_MAX, false);
	put_u64(b, t->count);
}

void
tlsrpt_day_put(struct buf *b, const struct tlsrpt_day *d)
{
	put_u8(b, DAY_VERSION);
	put_u64(b, (uint64_t)d->begin);
	put_u32(b, d->seconds);
	tlsrpt_text_put(b, str_of(d->domain), TLSRPT_DOMAIN_MAX, false);
	tlsrpt_text_put(b, str_of(d->rua), TLSRPT_RUA_MAX, false);
	put_u64(b, d->good);
	put_u64(b, d->bad);
	put_u8(b, (uint8_t)d->n);
	for (size_t i = 0; i < d->n; i++) {
		const struct tlsrpt_under *u = d->under[i];
		put_u8(b, (uint8_t)u->policy);
		tlsrpt_text_put(b, str_of(u->text), TLSRPT_POLICY_TEXT, true);
		tlsrpt_text_put(b, str_of(u->mx), TLSRPT_POLICY_TEXT, true);
		put_u64(b, u->good);
		put_u64(b, u->bad);
		put_u8(b, (uint8_t)u->n);
		for (size_t k = 0; k < u->n; k++)
			put_detail(b, &u->detail[k]);
	}
}

static void
get_detail(struct wire *w, struct tlsrpt_under *u)
{
	struct tlsrpt_session s;
	uint8_t result = get_u8(w);
	w->bad |= result == TLSRPT_OK || result >= TLSRPT_RESULTS;
	s.result = result;
	s.mx = tlsrpt_text_get(w, TLSRPT_DOMAIN_MAX, false);
	s.helo = tlsrpt_text_get(w, TLSRPT_HELO_MAX, false);
	s.ip = tlsrpt_text_get(w, TLSRPT_IP_MAX, false);
	s.own_ip = tlsrpt_text_get(w, TLSRPT_IP_MAX, false);
	s.why = tlsrpt_text_get(w, TLSRPT_WHY_MAX, false);
	uint64_t n = get_u64(w);
	struct tlsrpt_detail *t = w->bad ? NULL : detail_of(u, &s);
	w->bad |= !t || t->count != 0 || n == 0; /* none is there twice */
	if (!w->bad)
		t->count = n;
}

static void
get_under(struct wire *w, struct tlsrpt_day *d)
{
	uint8_t policy = get_u8(w);
	struct str text = tlsrpt_text_get(w, TLSRPT_POLICY_TEXT, true);
	struct str mx = tlsrpt_text_get(w, TLSRPT_POLICY_TEXT, true);
	size_t before = d->n;
	w->bad |= policy >= TLSRPT_POLICY_KINDS;
	struct tlsrpt_under *u = w->bad ? NULL : under_of(d, policy, text, mx);
	w->bad |= d->n == before;
	if (w->bad)
		return;
	u->good = get_u64(w);
	u->bad = get_u64(w);
	unsigned n = get_u8(w);
	for (unsigned i = 0; !w->bad && i < n; i++)
		get_detail(w, u);
}

struct tlsrpt_day *
tlsrpt_day_get(struct str octets)
{
	struct wire w = wire_of(octets);
	uint8_t version = get_u8(&w);
	uint64_t begin = get_u64(&w);
	uint32_t seconds = get_u32(&w);
	struct str domain = tlsrpt_text_get(&w, TLSRPT_DOMAIN_MAX, false);
	struct str rua = tlsrpt_text_get(&w, TLSRPT_RUA_MAX, false);
	if (w.bad || version != DAY_VERSION || domain.len == 0 || begin > SECONDS_MAX ||
	    seconds == 0)
		return NULL;
	struct tlsrpt_day *d = tlsrpt_day_new(domain, (int64_t)begin, seconds);
	take_rua(d, rua);
	d->good = get_u64(&w);
	d->bad = get_u64(&w);
	unsigned n = get_u8(&w);
	for (unsigned i = 0; !w.bad && i < n; i++)
		get_under(&w, d);
	return wire_done(&w) ? d : tlsrpt_day_free(d);
}
