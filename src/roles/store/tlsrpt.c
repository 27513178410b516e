/*
 * Reports about TLS (RFC 8460): what relays saw is added up by domain and day, written down once in
 * a while under "y|", the day's begin and the domain in the queue's domain, and sent when the day
 * is over: as letters of our own, and by fetch. What is counted is a sample: of the last seconds
 * before a crash nothing is told.
 */
#include "roles/store/tlsrpt_host.h"

#include "log/log.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define DAYS_MAX 10000 /* domains of a day; more are not reported */
#define FLUSH_SECONDS 15
#define FLUSH_MOST 256 /* written at a time */
#define FLUSH_OCTETS (1u << 20)
#define SEND_MOST 4     /* sent in a second */
#define LATE_MOST 14400 /* RFC 8460 5.4: not everybody at midnight */

int64_t
writer_tlsrpt_now(void)
{
	return sys_wall_ms() / 1000;
}

static struct reported *
reported_new(struct tlsrpt_host *h, struct tlsrpt_day *day)
{
	struct reported *d = xalloc(sizeof(*d));
	d->day = day;
	list_add_tail(&h->now, &d->node);
	map_put(&h->by_domain, tlsrpt_day_domain(day), d);
	h->n++;
	return d;
}

static void
reported_free(struct tlsrpt_host *h, struct reported *d)
{
	if (map_get(&h->by_domain, tlsrpt_day_domain(d->day)) == d)
		map_del(&h->by_domain, tlsrpt_day_domain(d->day));
	list_del(&d->node);
	tlsrpt_day_free(d->day);
	free(d);
	h->n--;
}

/* --- written down --- */

void
writer_tlsrpt_key(struct buf *b, const struct tlsrpt_day *d)
{
	buf_putz(b, "y|");
	put_u64(b, (uint64_t)tlsrpt_day_begin(d));
	buf_puts(b, tlsrpt_day_domain(d));
}

static void
on_written(void *arg, const struct store_res *res)
{
	writer_check(res->rc);
	if (res->rc < 0)
		LOG(LOG_WARN, 0, "tls-reports-not-kept", LOGZ("why", strerror(-res->rc)));
}

static size_t
write_one(struct store_batch *b, struct reported *d)
{
	struct buf key = BUF_INIT(STORE_KEY_MAX), value = BUF_INIT(TLSRPT_DAY_MAX);
	writer_tlsrpt_key(&key, d->day);
	tlsrpt_day_put(&value, d->day);
	if (!key.failed && !value.failed)
		store_put(b, buf_str(&key), buf_str(&value), 0);
	size_t octets = value.len;
	d->dirty = false;
	buf_done(&key);
	buf_done(&value);
	return octets;
}

/* False: there is more. */
static bool
flush_list(struct tlsrpt_host *h, struct list *l)
{
	const struct store_dom dom = store_dom_queue(0);
	struct store_batch *b = NULL;
	size_t n = 0, octets = 0;
	list_each(node, l)
	{
		struct reported *d = list_entry(node, struct reported, node);
		if (!d->dirty)
			continue;
		if (n == FLUSH_MOST || octets > FLUSH_OCTETS)
			break;
		if (!b)
			b = store_batch_new(h->role->store, &dom);
		octets += write_one(b, d);
		n++;
	}
	if (b)
		store_commit(b, STORE_DURABLE, on_written, h);
	return n < FLUSH_MOST && octets <= FLUSH_OCTETS;
}

static void
flush(struct tlsrpt_host *h)
{
	if (flush_list(h, &h->now) && flush_list(h, &h->due))
		h->flush_at = writer_tlsrpt_now() + FLUSH_SECONDS;
}

void
writer_tlsrpt_forget(struct tlsrpt_host *h, struct reported *d)
{
	const struct store_dom dom = store_dom_queue(0);
	struct buf key = BUF_INIT(STORE_KEY_MAX);
	writer_tlsrpt_key(&key, d->day);
	if (!key.failed && !h->role->settling) {
		struct store_batch *b = store_batch_new(h->role->store, &dom);
		store_del(b, buf_str(&key));
		store_commit(b, STORE_DURABLE, on_written, h);
	}
	buf_done(&key);
	reported_free(h, d);
}

static bool
load_one(void *arg, struct str key, struct str value)
{
	struct tlsrpt_host *h = arg;
	struct tlsrpt_day *day = tlsrpt_day_get(value);
	/* There may be two of one domain: the older one will be due at once. */
	if (!day)
		LOG(LOG_WARN, 0, "tls-report-damaged", LOGN("octets", value.len));
	else if (h->n >= DAYS_MAX)
		tlsrpt_day_free(day);
	else
		reported_new(h, day);
	return true;
}

static void
load(struct tlsrpt_host *h)
{
	const struct store_dom dom = store_dom_queue(0);
	struct store_snap *sn;
	int rc = store_snap_open(h->role->store, &dom, &sn, NULL);
	writer_check(rc);
	if (rc < 0)
		return; /* the next second */
	rc = store_scan(sn, STR("y|"), STR("y}"), DAYS_MAX, false, load_one, h);
	store_snap_close(sn);
	writer_check(rc);
	h->loaded = true;
}

static struct tlsrpt_host *
host_of_role(struct store_role *r)
{
	struct tlsrpt_host *t = r->tlsrpt;
	if (!t) {
		t = r->tlsrpt = xalloc(sizeof(*t));
		t->role = r;
		list_init(&t->now);
		list_init(&t->due);
	}
	if (!t->loaded)
		load(t);
	return t;
}

/* --- counted --- */

static struct reported *
day_of(struct tlsrpt_host *h, struct str domain)
{
	int64_t period = (int64_t)h->role->conf->tlsrpt_period, now = writer_tlsrpt_now();
	struct reported *d = map_get(&h->by_domain, domain);
	if (d && tlsrpt_day_end(d->day) > now)
		return d;
	if (h->n >= DAYS_MAX)
		return NULL;
	if (d)
		map_del(&h->by_domain, domain);
	return reported_new(h, tlsrpt_day_new(domain, now - now % period, (uint32_t)period));
}

void
writer_tlsrpt_take(struct store_role *r, struct str octets)
{
	struct wire w = wire_of(octets);
	struct tlsrpt_host *h;
	struct tlsrpt_facts *f;
	if (!r->conf->tlsrpt || octets.len == 0)
		return;
	h = host_of_role(r);
	f = xalloc(sizeof(*f));
	while (w.left && tlsrpt_facts_get(&w, f)) {
		struct reported *d = f->rua.len ? day_of(h, f->domain) : NULL;
		if (!d)
			continue;
		tlsrpt_day_add(d->day, f);
		d->dirty = true;
	}
	free(f);
}

/* --- once a second --- */

static void
look_at_days(struct tlsrpt_host *t, int64_t now)
{
	static const unsigned char key[16] = "tls-report-time.";
	list_each(n, &t->now)
	{
		struct reported *d = list_entry(n, struct reported, node);
		int64_t end = tlsrpt_day_end(d->day), begin = tlsrpt_day_begin(d->day);
		if (end > now && begin <= now)
			continue;
		int64_t spread = MIN((end - begin) / 6, (int64_t)LATE_MOST);
		d->send_at = spread > 0 ? end + (int64_t)(siphash(key, tlsrpt_day_domain(d->day)) %
							  (uint64_t)spread)
		                        : end;
		if (map_get(&t->by_domain, tlsrpt_day_domain(d->day)) == d)
			map_del(&t->by_domain, tlsrpt_day_domain(d->day));
		list_del(&d->node);
		list_add_tail(&t->due, &d->node);
	}
}

void
writer_tlsrpt_tick(struct store_role *r)
{
	int64_t now = writer_tlsrpt_now();
	size_t sent = 0;
	struct tlsrpt_host *t = host_of_role(r);
	look_at_days(t, now);
	if (t->flush_at <= now)
		flush(t);
	list_each(n, &t->due)
	{
		struct reported *d = list_entry(n, struct reported, node);
		if (d->open || d->send_at > now || !r->queue || sent == SEND_MOST)
			continue;
		sent++;
		writer_tlsrpt_send(t, d);
	}
}

void
writer_tlsrpt_settle(struct store_role *r)
{
	struct tlsrpt_host *t = r->tlsrpt;
	while (t && (!flush_list(t, &t->now) || !flush_list(t, &t->due)))
		;
}

void
writer_tlsrpt_done(struct store_role *r)
{
	struct tlsrpt_host *t = r->tlsrpt;
	if (!t)
		return;
	list_each(n, &t->now) reported_free(t, list_entry(n, struct reported, node));
	list_each(n, &t->due) reported_free(t, list_entry(n, struct reported, node));
	map_done(&t->by_domain);
	free(t);
	r->tlsrpt = NULL;
}
