/*
 * The MTA-STS policies of domains. One is asked for with the id of its TXT record: another id than
 * that of the policy we have means that it has changed. What we have stays good for its max_age
 * when its host cannot be reached, or what it says is void (RFC 8461 5.1).
 */
#include "roles/fetch/policy_priv.h"

#include "base/check.h"
#include "base/wire.h"
#include "smtp/sts.h"
#include "sys/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLICIES_MAX 10000
#define OCTETS_MAX (32u << 20)
#define BUSY_MAX 256  /* fetched at the same time */
#define REFRESH_MAX 8 /* ... because they are old, begun at a time */
#define WAITERS_MAX 16384
#define EARLY_MS 5000 /* until store must have told what it kept */
#define SWEEP_MS 60000
#define KEPT_VERSION 1

int64_t
fetch_policy_now(void)
{
	return sys_wall_ms() / 1000;
}

/* --- answers --- */

static void
say(struct relay_peer *p, uint64_t id, uint8_t status, struct str policy, const char *why)
{
	struct msg_sts m = { .status = status, .policy = policy, .why = str_of(why) };
	struct buf b = BUF_INIT(STS_POLICY_MAX + 1024);
	msg_sts_put(&b, &m);
	if (p && p->chan)
		chan_send(p->chan, IPC_STS, id, buf_str(&b), -1);
	buf_done(&b);
}

static void
say_policy(struct policy *p, struct relay_peer *to, uint64_t id)
{
	if (p->text)
		say(to, id, 0, str_n(p->text, p->len), "");
	else if (p->failed_until)
		say(to, id, 2, STR(""), p->why);
	else
		say(to, id, 1, STR(""), "");
}

static struct waiter *
waiter_new(struct policies *ps, struct list *where, struct relay_peer *p, uint64_t id)
{
	struct waiter *w = xalloc(sizeof(*w));
	w->peer = p;
	w->id = id;
	list_add_tail(where, &w->node);
	ps->n_waiters++;
	return w;
}

static void
waiter_free(struct policies *ps, struct waiter *w)
{
	list_del(&w->node);
	ps->n_waiters--;
	free(w);
}

void
fetch_policy_answer(struct policy *p)
{
	list_each(n, &p->waiters)
	{
		struct waiter *w = list_entry(n, struct waiter, node);
		say_policy(p, w->peer, w->id);
		waiter_free(p->all, w);
	}
}

/* --- what is remembered --- */

static void
drop_text(struct policy *p)
{
	if (p->text)
		p->all->octets -= p->len;
	free(p->text);
	p->text = NULL;
	p->len = 0;
	p->id[0] = '\0';
}

void
fetch_policy_stop(struct policy *p)
{
	fetch_lookup_cancel(&p->name);
	p->transfer = transfer_free(p->transfer);
	if (p->busy)
		p->all->n_busy--;
	p->busy = false;
}

static void
policy_free(struct policy *p)
{
	struct policies *ps = p->all;
	fetch_policy_stop(p);
	list_each(n, &p->waiters) waiter_free(ps, list_entry(n, struct waiter, node));
	drop_text(p);
	map_del(&ps->by_domain, str_of(p->domain));
	list_del(&p->node);
	ps->n--;
	free(p);
}

/* value empty: it is to be forgotten. */
static void
keep(struct policies *ps, struct str domain, struct str value)
{
	struct msg_keep m = { .key = domain, .value = value };
	struct buf b = BUF_INIT(KEEP_VALUE_MAX + 1024);
	msg_keep_put(&b, &m);
	if (ps->fetch->store && !b.failed)
		chan_send(ps->fetch->store, IPC_KEEP, 0, buf_str(&b), -1);
	buf_done(&b);
}

/* Room for so many more, and so many octets: those that nobody waits for go, the oldest first. */
static void
make_room(struct policies *ps, size_t more, size_t octets, const struct policy *but)
{
	list_each(n, &ps->used)
	{
		struct policy *p = list_entry(n, struct policy, node);
		if (ps->n + more <= POLICIES_MAX && ps->octets + octets <= OCTETS_MAX)
			return;
		if (p->busy || p == but)
			continue;
		if (p->text)
			keep(ps, str_of(p->domain), STR(""));
		policy_free(p);
	}
}

static struct policy *
policy_new(struct policies *ps, struct str domain)
{
	make_room(ps, 1, 0, NULL);
	struct policy *p = xalloc(sizeof(*p));
	p->all = ps;
	p->name = (struct name_ask){ .fn = fetch_policy_addresses, .arg = p };
	check(str_copy(p->domain, sizeof(p->domain), domain));
	list_init(&p->waiters);
	list_add_tail(&ps->used, &p->node);
	map_put(&ps->by_domain, domain, p);
	ps->n++;
	return p;
}

/* False: it is none. */
bool
fetch_policy_take(struct policy *p, struct str text, const char *id, int64_t fetched,
    struct buf *err)
{
	struct sts_policy *s = xalloc(sizeof(*s));
	bool ok = sts_parse(text, s, err);
	if (ok) {
		int64_t age = s->max_age;
		drop_text(p);
		make_room(p->all, 0, text.len, p);
		p->text = str_dup(text);
		p->len = text.len;
		p->all->octets += text.len;
		p->fetched = fetched;
		p->until = fetched + age;
		p->asked_for = false;
		check(str_copy(p->id, sizeof(p->id), str_of(id)));
	}
	free(s);
	return ok;
}

void
fetch_policy_keep(const struct policy *p)
{
	struct buf value = BUF_INIT(KEEP_VALUE_MAX);
	if (p->text) {
		put_u8(&value, KEPT_VERSION);
		put_str(&value, str_of(p->id));
		put_u64(&value, (uint64_t)p->fetched);
		put_str(&value, str_n(p->text, p->len));
	}
	keep(p->all, str_of(p->domain), buf_str(&value));
	buf_done(&value);
}

/* RFC 8461 3.3: max_age begins when it was fetched. */
static void
drop_if_old(struct policy *p)
{
	if (!p->text || p->until > fetch_policy_now())
		return;
	drop_text(p);
	fetch_policy_keep(p);
}

/* --- questions --- */

static bool
has_failed(struct policy *p, struct str id)
{
	return p->failed_until > loop_now(p->all->fetch->role.loop) &&
	       str_eq(str_of(p->failed_id), id);
}

/* A domain as it may stand in a web address. */
static bool
is_domain(struct str s)
{
	if (s.len == 0 || s.len > DOMAIN_LEN_MAX || s.p[0] == '.' || s.p[s.len - 1] == '.')
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
			(c == '.' && s.p[i - 1] != '.')))
			return false;
	}
	return true;
}

static bool
is_id(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
			(s.p[i] >= 'a' && s.p[i] <= 'z')))
			return false;
	return s.len <= STS_ID_MAX;
}

static void
join(struct policies *ps, struct relay_peer *from, uint64_t id, const struct msg_sts_ask *ask)
{
	struct policy *p = map_get(&ps->by_domain, ask->domain);
	if (p) {
		list_del(&p->node);
		list_add_tail(&ps->used, &p->node);
		drop_if_old(p);
		p->asked_for = true;
	}
	bool known = p && p->text && (ask->id.len == 0 || str_eq(str_of(p->id), ask->id));
	if (known || (p && !p->busy && has_failed(p, ask->id))) {
		say_policy(p, from, id);
		return;
	}
	if (ask->id.len == 0) {
		say(from, id, 1, STR(""), "");
		return;
	}
	bool full = ps->n_waiters >= WAITERS_MAX || (!(p && p->busy) && ps->n_busy >= BUSY_MAX);
	if (full && p && p->text) {
		say_policy(p, from, id); /* what we have is still good */
		return;
	}
	if (full) {
		say(from, id, 2, STR(""),
		    "sts-policy-fetch-error: too many policies are fetched now");
		return;
	}
	if (!p)
		p = policy_new(ps, ask->domain);
	waiter_new(ps, &p->waiters, from, id);
	if (!p->busy)
		fetch_policy_begin(p, ask->id);
}

void
policies_ask(struct policies *ps, struct relay_peer *from, uint64_t id,
    const struct msg_sts_ask *ask)
{
	if (!is_domain(ask->domain) || !is_id(ask->id)) {
		say(from, id, 1, STR(""), "");
	} else if (ps->ready) {
		join(ps, from, id, ask);
	} else if (ps->n_waiters >= WAITERS_MAX) {
		say(from, id, 2, STR(""), "sts-policy-fetch-error: too many questions are open");
	} else {
		struct waiter *w = waiter_new(ps, &ps->early, from, id);
		memcpy(w->text, ask->domain.p, ask->domain.len);
		w->ask.domain = str_n(w->text, ask->domain.len);
		if (ask->id.len)
			memcpy(w->text + ask->domain.len, ask->id.p, ask->id.len);
		w->ask.id = str_n(w->text + ask->domain.len, ask->id.len);
	}
}

static void
get_ready(struct policies *ps)
{
	if (ps->ready)
		return;
	ps->ready = true;
	loop_timer_stop(ps->patience);
	list_each(n, &ps->early)
	{
		struct waiter *w = list_entry(n, struct waiter, node);
		if (w->peer)
			join(ps, w->peer, w->id, &w->ask);
		waiter_free(ps, w);
	}
}

static void
on_patience(void *arg)
{
	get_ready(arg);
}

void
policies_kept(struct policies *ps, const struct msg_keep *m)
{
	struct wire w = wire_of(m->value);
	struct buf err = BUF_INIT(WHY_LEN);
	char id[STS_ID_MAX + 1];
	if (m->key.len == 0) {
		get_ready(ps);
		return;
	}
	uint8_t version = get_u8(&w);
	struct str kept_id = get_str(&w, STS_ID_MAX);
	uint64_t fetched = get_u64(&w);
	struct str text = get_str(&w, STS_POLICY_MAX);
	/* A clock that was ahead must not make it last longer. */
	int64_t since = (int64_t)MIN(fetched, (uint64_t)fetch_policy_now());
	if (!wire_done(&w) || version != KEPT_VERSION || !is_domain(m->key) || !is_id(kept_id) ||
	    map_get(&ps->by_domain, m->key))
		return;
	if (ps->n >= POLICIES_MAX) {
		keep(ps, m->key, STR(""));
		return;
	}
	check(str_copy(id, sizeof(id), kept_id));
	struct policy *p = policy_new(ps, m->key);
	if (!fetch_policy_take(p, text, id, since, &err))
		policy_free(p);
	else
		drop_if_old(p);
	buf_done(&err);
}

/* --- once in a while --- */

static void
on_sweep(void *arg)
{
	struct policies *ps = arg;
	int64_t now = loop_now(ps->fetch->role.loop), seconds = fetch_policy_now();
	int64_t old = (int64_t)ps->fetch->conf->sts_refresh;
	size_t begun = 0;
	list_each(n, &ps->used)
	{
		struct policy *p = list_entry(n, struct policy, node);
		if (p->busy)
			continue;
		drop_if_old(p);
		if (p->failed_until && p->failed_until <= now)
			p->failed_until = 0;
		if (!p->text && !p->failed_until)
			policy_free(p);
		else if (p->text && p->asked_for && !p->failed_until &&
			 seconds - p->fetched >= old && begun < REFRESH_MAX &&
			 ps->n_busy < BUSY_MAX) {
			char id[STS_ID_MAX + 1];
			memcpy(id, p->id, sizeof(id));
			begun++;
			fetch_policy_begin(p, str_of(id));
		}
	}
}

struct policies *
policies_new(struct fetch *f)
{
	struct policies *ps = xalloc(sizeof(*ps));
	int64_t every = MIN((int64_t)f->conf->sts_refresh * 1000, (int64_t)SWEEP_MS);
	ps->fetch = f;
	list_init(&ps->used);
	list_init(&ps->early);
	ps->sweep = loop_timer_new(f->role.loop, on_sweep, ps);
	ps->patience = loop_timer_new(f->role.loop, on_patience, ps);
	loop_timer_set(ps->sweep, every, every);
	loop_timer_set(ps->patience, EARLY_MS, 0);
	return ps;
}

struct policies *
policies_free(struct policies *ps)
{
	list_each(n, &ps->used) policy_free(list_entry(n, struct policy, node));
	list_each(n, &ps->early) waiter_free(ps, list_entry(n, struct waiter, node));
	map_done(&ps->by_domain);
	loop_timer_free(ps->sweep);
	loop_timer_free(ps->patience);
	free(ps);
	return NULL;
}

static void
orphan(struct list *waiters, const struct relay_peer *p)
{
	list_each(n, waiters)
	{
		struct waiter *w = list_entry(n, struct waiter, node);
		if (w->peer == p)
			w->peer = NULL;
	}
}

void
policies_orphan(struct policies *ps, const struct relay_peer *p)
{
	orphan(&ps->early, p);
	list_each(n, &ps->used) orphan(&list_entry(n, struct policy, node)->waiters, p);
}

size_t
policies_open(const struct policies *ps)
{
	return ps->n_waiters;
}
