/* Which entries are meant: the filters of the command line (ipc/ops.h). */
#include "roles/store/queue_op.h"

#include "base/check.h"
#include "base/num.h"
#include "log/log.h"
#include "sys/clock.h"

#include <stdio.h>
#include <stdlib.h>

const char *const queue_trouble_word[JOB_TROUBLE_COUNT] = {
	[JOB_TROUBLE_NONE] = "",
	[JOB_TROUBLE_NAME] = "name",
	[JOB_TROUBLE_CONNECT] = "connect",
	[JOB_TROUBLE_TLS] = "tls",
	[JOB_TROUBLE_LOGIN] = "login",
	[JOB_TROUBLE_GREETING] = "greeting",
	[JOB_TROUBLE_SENDER] = "sender",
	[JOB_TROUBLE_RCPT] = "rcpt",
	[JOB_TROUBLE_LETTER] = "letter",
	[JOB_TROUBLE_CLOSED] = "closed",
	[JOB_TROUBLE_POLICY] = "policy",
	[JOB_TROUBLE_DAMAGED] = "damaged",
};

static const char *const crit_key[CRIT_COUNT] = {
	[CRIT_ID] = "id",
	[CRIT_FROM] = "from",
	[CRIT_TO] = "to",
	[CRIT_DOMAIN] = "domain",
	[CRIT_OLDER] = "older",
	[CRIT_NEWER] = "newer",
	[CRIT_ERROR] = "error",
	[CRIT_STATE] = "state",
	[CRIT_LIMIT] = "limit",
	[CRIT_REASON] = "reason",
	[CRIT_ALL] = "all",
};

const char *
queue_state_word(const struct queue_item *it)
{
	const struct sched_entry *e = it->e;
	static const char *const words[SCHED_STATES] = {
		[SCHED_WAITS] = "waiting",
		[SCHED_READY] = "ready",
		[SCHED_ACTIVE] = "active",
		[SCHED_HELD] = "held",
		[SCHED_TURN] = "turn",
		[SCHED_BUSY] = "active",
	};
	if (it->damage)
		return "damaged";
	return e->state == SCHED_WAITS && e->later ? "later" : words[e->state];
}

/* --- reading them --- */

/* A reason stands in an entry's state and in reports. */
static bool
is_line(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == '\0' || s.p[i] == '\r' || s.p[i] == '\n')
			return false;
	return true;
}

static bool
crit_get(struct str word, struct crit *c)
{
	struct str key = str_cut(&word, '=');
	for (int i = 0; i < CRIT_COUNT; i++) {
		if (!word.p || !str_eq(key, str_of(crit_key[i])))
			continue;
		c->key = (enum crit_key)i;
		bool number = i == CRIT_OLDER || i == CRIT_NEWER || i == CRIT_LIMIT;
		if ((number && !num_u64(word, UINT64_MAX / 1000, &c->number)) ||
		    (i == CRIT_REASON && !is_line(word)))
			return false;
		c->text = str_dup(word);
		return true;
	}
	return false;
}

bool
queue_filter_get(struct queue_filter *f, const struct msg_ask *m)
{
	*f = (struct queue_filter){ .now_ms = (uint64_t)sys_wall_ms() };
	for (uint16_t i = 0; i < m->n; i++) {
		struct crit c = { 0 };
		if (!crit_get(m->arg[i], &c)) {
			queue_filter_done(f);
			return false;
		}
		f->has |= 1u << c.key;
		f->crit[f->n++] = c;
	}
	return true;
}

void
queue_filter_done(struct queue_filter *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->crit[i].text);
	f->n = 0;
}

const char *
queue_filter_text(const struct queue_filter *f, enum crit_key key)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->crit[i].key == key)
			return f->crit[i].text;
	return NULL;
}

uint64_t
queue_filter_limit(const struct queue_filter *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->crit[i].key == CRIT_LIMIT)
			return f->crit[i].number;
	return UINT64_MAX;
}

/* --- one by one --- */

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* "*" stands for any octets; letters of any case. */
static bool
fits_glob(struct str pattern, struct str s)
{
	size_t p = 0, i = 0, star = SIZE_MAX, from = 0;
	while (i < s.len) {
		if (p < pattern.len && pattern.p[p] == '*') {
			star = p++;
			from = i;
		} else if (p < pattern.len && lower(pattern.p[p]) == lower(s.p[i])) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.p[p] == '*')
		p++;
	return p == pattern.len;
}

static bool
fits_address(struct str want, struct str address)
{
	if (want.len && want.p[0] == '@' && str_find(want, '*') == want.len)
		return str_iends(address, want);
	return fits_glob(want, address);
}

static bool
fits_id(struct str want, const struct queue_item *it)
{
	char id[14];
	uint64_t part;
	id_format(id, it->letter);
	if (str_eq(want, str_of(id)) || (want.len > 0 && str_eq(want, it->v.qid)))
		return true;
	size_t dot = str_rfind(want, '.');
	return dot < want.len && str_eq(str_first(want, dot), str_of(id)) &&
	       num_u64(str_skip(want, dot + 1), UINT32_MAX, &part) && part == it->part;
}

static bool
contains(struct str s, struct str what)
{
	for (size_t i = 0; what.len > 0 && i + what.len <= s.len; i++)
		if (str_ieq(str_first(str_skip(s, i), what.len), what))
			return true;
	return false;
}

static bool
fits_reply(struct str want, const struct queue_told *t)
{
	char code[8];
	int n = snprintf(code, sizeof(code), "%u", t->code);
	if (t->code && str_eq(want, str_n(code, (size_t)n)))
		return true;
	if (t->code && want.len == 3 && str_iends(want, STR("xx")) && want.p[0] == code[0])
		return true;
	return str_eq(want, t->status) || contains(t->text, want);
}

static bool
fits_error(struct str want, const struct queue_state *s)
{
	struct wire w = wire_of(s->rcpts);
	struct queue_told t;
	if (s->attempts == 0)
		return false;
	for (uint8_t i = JOB_TROUBLE_NONE + 1; i < JOB_TROUBLE_COUNT; i++)
		if (str_ieq(want, str_of(queue_trouble_word[i])))
			return s->trouble == i;
	for (uint32_t i = 0; i < s->n && queue_told_get(&w, &t); i++)
		if (t.state != RCPT_SENT && fits_reply(want, &t))
			return true;
	return false;
}

static bool
fits_to(struct str want, const struct queue_entry *v)
{
	struct wire w = wire_of(v->rcpts);
	struct queue_rcpt r;
	for (uint32_t i = 0; i < v->n_rcpts && queue_rcpt_get(&w, &r); i++)
		if (fits_address(want, r.addr))
			return true;
	return false;
}

/* Of a record that does not decode nobody knows how old it is, or whose. */
static bool
is_told(const struct queue_item *it, enum crit_key key)
{
	static const unsigned always = 1u << CRIT_ID | 1u << CRIT_STATE | 1u << CRIT_LIMIT |
	                               1u << CRIT_REASON | 1u << CRIT_ALL;
	return it->v.n_rcpts > 0 || (always & 1u << key);
}

static bool
fits_one(const struct queue_filter *f, const struct crit *c, const struct queue_item *it)
{
	struct str text = str_of(c->text);
	uint64_t age = f->now_ms > it->v.created_ms ? f->now_ms - it->v.created_ms : 0;
	switch (c->key) {
	case CRIT_ID:
		return fits_id(text, it);
	case CRIT_FROM:
		return fits_address(text, it->v.from) ||
		       (it->v.sender.len && fits_address(text, it->v.sender));
	case CRIT_TO:
		return fits_to(text, &it->v);
	case CRIT_DOMAIN:
		return sched_fits(text, it->v.domain);
	case CRIT_OLDER:
		return age >= c->number * 1000;
	case CRIT_NEWER:
		return age < c->number * 1000;
	case CRIT_ERROR:
		return fits_error(text, &it->s);
	case CRIT_STATE:
		return strcmp(c->text, queue_state_word(it)) == 0;
	case CRIT_LIMIT:
	case CRIT_REASON:
	case CRIT_ALL:
	case CRIT_COUNT:
		return true;
	}
	return true;
}

/* All keys that are given, and of each any of its values. */
bool
queue_filter_fits(const struct queue_filter *f, const struct queue_item *it)
{
	unsigned fits = 0;
	for (size_t i = 0; i < f->n; i++)
		if (!(fits & 1u << f->crit[i].key) && is_told(it, f->crit[i].key) &&
		    fits_one(f, &f->crit[i], it))
			fits |= 1u << f->crit[i].key;
	return fits == f->has;
}

/* What can be told without reading the entry: false: it does not fit. */
bool
queue_filter_may_fit(struct queue *q, const struct queue_filter *f, const struct sched_entry *e)
{
	bool domain = !(f->has & 1u << CRIT_DOMAIN), state = !(f->has & 1u << CRIT_STATE);
	for (size_t i = 0; i < f->n; i++) {
		struct str text = str_of(f->crit[i].text);
		if (f->crit[i].key == CRIT_DOMAIN && !domain)
			domain = sched_fits(text, sched_domain_of(q->sched, e));
		else if (f->crit[i].key == CRIT_STATE && !state)
			state =
			    str_eq(text, str_of(queue_state_word(&(struct queue_item){ .e = e })));
	}
	return domain && state;
}
