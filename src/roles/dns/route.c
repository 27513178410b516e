#include "roles/dns/route.h"

#include "base/check.h"
#include "roles/dns/route_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct routes {
	struct dns *dns;
	struct list open, waiting; /* the oldest first */
	size_t n_open, n_waiting, n_waiters;
	struct map by_key;
	struct cache cache;
	struct loop_timer *timer;
	struct loop_defer done; /* routes that are answered end behind the resolver's turn */
	struct list ended;
};

static void start(struct route *r);

/* --- questions --- */

static void
set_timer(struct routes *rs)
{
	int64_t until = INT64_MAX;
	if (!list_empty(&rs->open))
		until = list_entry(rs->open.next, struct route, node)->until;
	if (!list_empty(&rs->waiting))
		until = MIN(until, list_entry(rs->waiting.next, struct route, node)->until);
	if (until == INT64_MAX)
		loop_timer_stop(rs->timer);
	else
		loop_timer_set(rs->timer, MAX(until - loop_now(rs->dns->role.loop), 1), 0);
}

static struct route *
route_new(struct routes *rs, const struct msg_mx_ask *ask, struct str key)
{
	struct route *r = xalloc(sizeof(*r));
	*r = (struct route){ .all = rs,
		.key = BUF_INIT(512),
		.mx = ask->mx,
		.want_tlsa = ask->tlsa && rs->dns->conf->dns_trust_anchor[0],
		.port = ask->port,
		.until = loop_now(rs->dns->role.loop) + ROUTE_MS,
		.ttl = ROUTE_SECONDS_MAX,
		.sts_id = BUF_INIT(32),
		.rua_text = BUF_INIT(1024) };
	buf_puts(&r->key, key);
	list_init(&r->waiters);
	list_add_tail(&rs->waiting, &r->node);
	rs->n_waiting++;
	map_put(&rs->by_key, key, r);
	return r;
}

static void
waiter_free(struct routes *rs, struct waiter *w)
{
	list_del(&w->node);
	rs->n_waiters--;
	free(w);
}

static void
route_free(struct route *r)
{
	struct routes *rs = r->all;
	lookup_cancel(&r->where);
	lookup_cancel(&r->sts);
	lookup_cancel(&r->rua);
	for (uint16_t i = 0; i < r->n; i++)
		host_free(&r->hosts[i]);
	list_each(n, &r->waiters) waiter_free(rs, list_entry(n, struct waiter, node));
	if (map_get(&rs->by_key, buf_str(&r->key)) == r)
		map_del(&rs->by_key, buf_str(&r->key));
	list_del(&r->node);
	free(r->hosts);
	buf_done(&r->key);
	buf_done(&r->sts_id);
	buf_done(&r->rua_text);
	free(r);
}

static void
answer(struct peer *p, uint64_t id, struct str body)
{
	if (p && p->chan)
		chan_send(p->chan, IPC_MX, id, body, -1);
}

/* One more of those that wait is looked up. */
static void
next(struct routes *rs)
{
	while (rs->n_open < ROUTES_OPEN && !list_empty(&rs->waiting)) {
		struct route *r = list_entry(rs->waiting.next, struct route, node);
		list_del(&r->node);
		list_add_tail(&rs->open, &r->node);
		rs->n_waiting--;
		rs->n_open++;
		r->started = true;
		start(r);
	}
}

static uint32_t
seconds_of(const struct msg_mx *m)
{
	if (m->verdict == MX_LATER || m->verdict == MX_FORGED)
		return ROUTE_LATER_SECONDS;
	return MIN(MAX(m->ttl, (uint32_t)ROUTE_SECONDS_MIN), (uint32_t)ROUTE_SECONDS_MAX);
}

/* The answer goes out, and is remembered. */
static void
settle(struct route *r)
{
	struct routes *rs = r->all;
	struct buf b = BUF_INIT(IPC_BODY_MAX), aged = BUF_INIT(IPC_BODY_MAX);
	struct msg_mx m;
	route_answer_put(&b, r);
	bool good = !b.failed && msg_mx_get(buf_str(&b), &m);
	uint32_t seconds = good ? seconds_of(&m) : ROUTE_LATER_SECONDS;
	/* What strangers write must not end us, whatever it is. */
	if (!good || !route_answer_age(&aged, buf_str(&b), seconds)) {
		buf_reset(&aged);
		route_refuse_put(&aged, MX_LATER, "what the name servers say cannot be told");
	}
	if (r->started)
		cache_put(&rs->cache, buf_str(&r->key), buf_str(&aged),
		    loop_now(rs->dns->role.loop), seconds);
	list_each(n, &r->waiters)
	{
		struct waiter *w = list_entry(n, struct waiter, node);
		answer(w->peer, w->id, buf_str(&aged));
		waiter_free(rs, w);
	}
	buf_done(&b);
	buf_done(&aged);
	map_del(&rs->by_key, buf_str(&r->key));
	list_del(&r->node);
	if (r->started)
		rs->n_open--;
	else
		rs->n_waiting--;
	/* We may stand in a function of its own look-up: it is freed at the end of the turn. */
	list_add_tail(&rs->ended, &r->node);
	loop_defer_add(rs->dns->role.loop, &rs->done);
	set_timer(rs);
}

static void
on_done(void *arg)
{
	struct routes *rs = arg;
	list_each(n, &rs->ended) route_free(list_entry(n, struct route, node));
	next(rs);
}

static void
late(struct route *r)
{
	if (!r->started || !r->listed) {
		r->verdict = MX_LATER;
		snprintf(r->why, sizeof(r->why),
		    r->started ? "no name server has answered for %s in time"
			       : "too many names are being looked up; %s had to wait too long",
		    r->name);
	}
	lookup_cancel(&r->where);
	lookup_cancel(&r->sts);
	lookup_cancel(&r->rua);
	for (uint16_t i = 0; i < r->n; i++)
		host_stop(&r->hosts[i]);
	settle(r);
}

static void
on_time(void *arg)
{
	struct routes *rs = arg;
	struct list *const lists[] = { &rs->open, &rs->waiting };
	int64_t now = loop_now(rs->dns->role.loop);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list_each(n, lists[i])
		{
			struct route *r = list_entry(n, struct route, node);
			if (r->until > now)
				break;
			late(r);
		}
	set_timer(rs);
}

/* --- one question --- */

bool
route_ask_record(struct route *r, struct lookup *k, const char *name, int type,
    void (*fn)(void *arg, const struct lookup_answer *a), void *arg)
{
	k->fn = fn;
	k->arg = arg;
	return lookup_ask(k, r->all->dns->resolver, name, type);
}

void
route_ttl(struct route *r, const struct lookup_answer *a)
{
	if (a->verdict != LOOKUP_FAILED)
		r->ttl = MIN(r->ttl, a->ttl);
}

void
route_canonical(const struct lookup_answer *a, const char *name, char out[HOST_NAME_MAX + 1])
{
	out[0] = '\0';
	if (a->canonical && host_name(str_of(a->canonical), out) && strcmp(out, name) == 0)
		out[0] = '\0';
}

static void
look_if_done(struct route *r)
{
	if (r->listed && r->n_done == r->n && r->texts_open == 0)
		settle(r);
}

void
route_host_done(struct host *h)
{
	h->route->n_done++;
	look_if_done(h->route);
}

static void
host_init(struct host *h, struct route *r, uint16_t preference, const char *name)
{
	*h = (struct host){
		.route = r, .preference = preference, .tlsas = BUF_INIT(TLSA_OCTETS_MAX)
	};
	memcpy(h->name, name, strlen(name) + 1);
}

static void
begin_hosts(struct route *r)
{
	for (uint16_t i = 0; i < r->n; i++)
		host_begin(&r->hosts[i]);
	r->listed = true;
	look_if_done(r);
}

static void
only_itself(struct route *r)
{
	r->hosts = xalloc(sizeof(*r->hosts));
	host_init(&r->hosts[0], r, 0, r->name);
	r->n = 1;
	begin_hosts(r);
}

/* There is nothing more to find out. */
static void give_up(struct route *r, enum mx_verdict verdict, const char *fmt, ...) PRINTF(3, 4);
static void
give_up(struct route *r, enum mx_verdict verdict, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	r->verdict = verdict;
	lookup_cancel(&r->sts);
	lookup_cancel(&r->rua);
	settle(r);
}

static void
take_hosts(struct route *r, const struct mx_list *l)
{
	r->hosts = xalloc(l->n * sizeof(*r->hosts));
	for (uint16_t i = 0; i < l->n; i++)
		host_init(&r->hosts[i], r, l->row[i].preference, l->row[i].name);
	r->n = l->n;
	begin_hosts(r);
}

static void
take_mx(struct route *r, const struct lookup_answer *a)
{
	struct mx_list *l = xalloc(sizeof(*l));
	mx_list_read(a->data, a->n, l);
	if (l->null_mx)
		give_up(r, MX_NO_MAIL, "%s takes no mail: it has a null MX (RFC 7505)", r->name);
	else if (l->n == 0)
		give_up(r, MX_NO_HOST, "the MX records of %s name no host", r->name);
	else
		take_hosts(r, l);
	free(l);
}

static void
on_mx(void *arg, const struct lookup_answer *a)
{
	struct route *r = arg;
	route_ttl(r, a);
	r->secure = a->secure;
	route_canonical(a, r->name, r->canonical);
	if (a->verdict == LOOKUP_DATA) {
		take_mx(r, a);
	} else if (a->verdict == LOOKUP_FAILED && a->forged) {
		give_up(r, MX_FORGED, "DNSSEC says that what is told of %s is forged: %s", r->name,
		    a->why);
	} else if (a->verdict == LOOKUP_FAILED) {
		give_up(r, MX_LATER, "no name server answers for %s", r->name);
	} else if (a->no_name) {
		give_up(r, MX_NO_DOMAIN, "there is no domain %s", r->name);
	} else {
		r->implicit = true;
		only_itself(r);
	}
}

static void
on_sts(void *arg, const struct lookup_answer *a)
{
	struct route *r = arg;
	r->texts_open--;
	if (a->verdict == LOOKUP_DATA)
		sts_id_read(a->data, a->n, &r->sts_id);
	look_if_done(r);
}

static void
on_rua(void *arg, const struct lookup_answer *a)
{
	struct route *r = arg;
	r->texts_open--;
	if (a->verdict == LOOKUP_DATA)
		rua_read(a->data, a->n, &r->rua_text);
	look_if_done(r);
}

static void
ask_text(struct route *r, struct lookup *k, const char *before,
    void (*fn)(void *arg, const struct lookup_answer *a))
{
	char name[HOST_NAME_MAX + 32];
	int n = snprintf(name, sizeof(name), "%s%s", before, r->name);
	if (n <= HOST_NAME_MAX && route_ask_record(r, k, name, DNS_TXT, fn, r))
		r->texts_open++;
}

static void
start(struct route *r)
{
	if (!r->mx) {
		only_itself(r);
		return;
	}
	ask_text(r, &r->sts, "_mta-sts.", on_sts);
	ask_text(r, &r->rua, "_smtp._tls.", on_rua);
	if (!route_ask_record(r, &r->where, r->name, DNS_MX, on_mx, r))
		give_up(r, MX_LATER, "%s cannot be asked for", r->name);
}

/* --- all of them --- */

struct routes *
routes_new(struct dns *d)
{
	struct routes *rs = xalloc(sizeof(*rs));
	rs->dns = d;
	list_init(&rs->open);
	list_init(&rs->waiting);
	list_init(&rs->ended);
	cache_init(&rs->cache, ROUTE_CACHE_MAX, ROUTE_CACHE_OCTETS);
	rs->timer = loop_timer_new(d->role.loop, on_time, rs);
	loop_defer_init(&rs->done, on_done, rs);
	return rs;
}

struct routes *
routes_free(struct routes *rs)
{
	struct list *const lists[] = { &rs->open, &rs->waiting, &rs->ended };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list_each(n, lists[i]) route_free(list_entry(n, struct route, node));
	loop_defer_del(&rs->done);
	loop_timer_free(rs->timer);
	map_done(&rs->by_key);
	cache_done(&rs->cache);
	free(rs);
	return NULL;
}

static void
refuse(struct peer *p, uint64_t id, enum mx_verdict verdict, const char *why)
{
	struct buf b = BUF_INIT(4096);
	route_refuse_put(&b, verdict, why);
	answer(p, id, buf_str(&b));
	buf_done(&b);
}

static bool
from_cache(struct routes *rs, struct peer *p, uint64_t id, struct str key)
{
	struct buf b = BUF_INIT(IPC_BODY_MAX);
	struct str known;
	uint32_t left;
	bool found = cache_get(&rs->cache, key, loop_now(rs->dns->role.loop), &known, &left) &&
	             route_answer_age(&b, known, left);
	if (found)
		answer(p, id, buf_str(&b));
	buf_done(&b);
	return found;
}

static void
join(struct routes *rs, struct peer *p, uint64_t id, const struct msg_mx_ask *ask, struct str key)
{
	struct route *r = map_get(&rs->by_key, key);
	if (rs->n_waiters >= WAITERS_MAX || (!r && rs->n_open + rs->n_waiting >= ROUTES_MAX)) {
		refuse(p, id, MX_LATER, "too many names are being looked up");
		return;
	}
	bool fresh = !r;
	if (fresh) {
		r = route_new(rs, ask, key);
		check(str_copy(r->name, sizeof(r->name), ask->name));
	}
	struct waiter *w = xalloc(sizeof(*w));
	*w = (struct waiter){ .peer = p, .id = id };
	list_add_tail(&r->waiters, &w->node);
	rs->n_waiters++;
	if (fresh) {
		next(rs);
		set_timer(rs);
	}
}

void
routes_ask(struct routes *rs, struct peer *p, uint64_t id, const struct msg_mx_ask *ask)
{
	char name[HOST_NAME_MAX + 1];
	struct msg_mx_ask clean = *ask;
	struct buf key = BUF_INIT(512);
	rs->dns->n_asked++;
	if (!host_name(ask->name, name)) {
		refuse(p, id, MX_NO_DOMAIN, "this is no name that a domain can have");
		return;
	}
	clean.name = str_of(name);
	clean.port = ask->tlsa ? ask->port : 0;
	msg_mx_ask_put(&key, &clean);
	if (!from_cache(rs, p, id, buf_str(&key)))
		join(rs, p, id, &clean, buf_str(&key));
	buf_done(&key);
}

void
routes_orphan(struct routes *rs, const struct peer *p)
{
	struct list *const lists[] = { &rs->open, &rs->waiting };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list_each(n, lists[i])
		{
			struct route *r = list_entry(n, struct route, node);
			list_each(k, &r->waiters)
			{
				struct waiter *w = list_entry(k, struct waiter, node);
				if (w->peer == p)
					w->peer = NULL;
			}
		}
}

size_t
routes_open(const struct routes *rs)
{
	return rs->n_open + rs->n_waiting;
}
