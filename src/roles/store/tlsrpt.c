/*
 * Reports about TLS (RFC 8460): what relays saw is added up by domain and day, written down once in
 * a while under "y|", the day's begin and the domain in the queue's domain, and sent when the day is
 * over: as letters of our own, and by fetch. What is counted is a sample: of the last
 * seconds before a crash nothing is told.
 */
#include "mail/tlsrpt.h"

#include "base/check.h"
#include "log/log.h"
#include "mail/address.h"
#include "mail/scan.h"
#include "roles/store/queue_priv.h"
#include "route/directory.h"
#include "sys/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define DAYS_MAX 10000       /* domains of a day; more are not reported */
#define FLUSH_SECONDS 15
#define FLUSH_MOST 256       /* written at a time */
#define FLUSH_OCTETS (1u << 20)
#define SEND_MOST 4          /* sent in a second */
#define TRIES_MAX 6
#define TRY_AGAIN_SECONDS 600
#define LATE_MOST 14400      /* RFC 8460 5.4: not everybody at midnight */
#define REPORT_OCTETS (2u << 20)
#define LETTER_OCTETS (1u << 20)

struct reported {
	struct list node;  /* host->now or host->due */
	struct tlsrpt_day *day;
	bool dirty;        /* not written down as it is */
	int64_t send_at;   /* due: Unix seconds */
	unsigned tries, open, done; /* done: a bit for each place that has its report */
	uint64_t post_id[TLSRPT_PLACES_MAX]; /* 0: none is under way */
};

struct tlsrpt_host {
	struct store_role *role;
	bool loaded;
	struct map by_domain; /* of the current days */
	struct list now, due;
	size_t n;
	int64_t flush_at;
	uint64_t last_post;
};

static int64_t
seconds_now(void)
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

static void
put_key(struct buf *b, const struct tlsrpt_day *d)
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
	put_key(&key, d->day);
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
		h->flush_at = seconds_now() + FLUSH_SECONDS;
}

static void
forget(struct tlsrpt_host *h, struct reported *d)
{
	const struct store_dom dom = store_dom_queue(0);
	struct buf key = BUF_INIT(STORE_KEY_MAX);
	put_key(&key, d->day);
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
	int64_t period = (int64_t)h->role->conf->tlsrpt_period, now = seconds_now();
	struct reported *d = map_get(&h->by_domain, domain);
	if (d && tlsrpt_day_end(d->day) > now)
		return d;
	if (h->n >= DAYS_MAX)
		return NULL;
	if (d)
		map_del(&h->by_domain, domain);
	return reported_new(h,
	    tlsrpt_day_new(domain, now - now % period, (uint32_t)period));
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

/* --- sent --- */

struct sender { /* what a report says of us */
	char contact[CONF_TEXT_MAX + 16], id[64];
	struct tlsrpt_sender s;
};

static void
find_contact(struct store_role *r, struct sender *s)
{
	const struct conf *c = r->conf;
	struct directory dir;
	struct addr a;
	const char *const rows[] = { c->tlsrpt_contact, c->postmaster };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i][0] && addr_mailbox(str_of(rows[i]), 0, &a) == ADDR_OK) {
			snprintf(s->contact, sizeof(s->contact), "%s", rows[i]);
			return;
		}
	struct str who = queue_directory(r->queue, &dir) ? directory_postmaster(&dir) : STR_NULL;
	struct str domain = str_first(str_skip(who, str_rfind(who, '@') + 1), CONF_TEXT_MAX);
	if (domain.len == 0)
		domain = str_of(c->n_domains ? c->domains[0] : c->hostname);
	snprintf(s->contact, sizeof(s->contact), "postmaster@" STR_FMT, STR_ARG(domain));
}

/* The same report has the same id, however often it is sent. */
static void
sender_init(struct sender *s, struct store_role *r, const struct reported *d)
{
	const struct conf *c = r->conf;
	static const unsigned char key[16] = "tls-report-ident";
	struct buf b = BUF_INIT(1024);
	put_key(&b, d->day);
	buf_putz(&b, c->hostname);
	find_contact(r, s);
	snprintf(s->id, sizeof(s->id), "%" PRId64 ".%016" PRIx64, tlsrpt_day_begin(d->day),
	    siphash(key, buf_str(&b)));
	s->s = (struct tlsrpt_sender){
		.organization = str_of(c->tlsrpt_organization[0] ? c->tlsrpt_organization : c->hostname),
		.contact = str_of(s->contact),
		.host = str_of(c->hostname),
		.id = str_of(s->id),
		.now = seconds_now(),
	};
	buf_done(&b);
}

static bool
gzip(struct str in, struct buf *out)
{
	z_stream z = { 0 };
	if (in.len > REPORT_OCTETS ||
	    deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	size_t room = deflateBound(&z, in.len);
	bool ok = buf_reserve(out, room);
	if (ok) {
		z.next_in = (unsigned char *)(uintptr_t)in.p;
		z.avail_in = (unsigned)in.len;
		z.next_out = (unsigned char *)out->p + out->len;
		z.avail_out = (unsigned)room;
		ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
		out->len += ok ? z.total_out : 0;
	}
	deflateEnd(&z);
	return ok;
}

static void
again(struct reported *d)
{
	d->send_at = seconds_now() + TRY_AGAIN_SECONDS;
}

struct handed {
	struct store_role *role;
	struct parcels parcels;
	uint64_t id, size;
};

static void
handed_in(void *arg, const struct store_res *res)
{
	struct handed *h = arg;
	writer_check(res->rc);
	if (res->rc == 0 && h->role->queue)
		queue_accepted(h->role->queue, h->id, &h->parcels, h->size);
	else if (res->rc < 0)
		LOG(LOG_ERROR, 0, "tls-report-not-stored", LOGZ("error", strerror(-res->rc)));
	parcels_done(&h->parcels);
	free(h);
}

static void
hand_in(struct store_role *r, uint64_t id, struct way *w, struct str letter)
{
	struct buf lines = BUF_INIT(1u << 20);
	struct scan scan;
	char qid[14];
	id_format(qid, id);
	scan_init(&scan, &(struct scan_limits){ UINT64_MAX, UINT64_MAX });
	scan_feed(&scan, letter);
	scan_end(&scan);
	parcels_put_lines(&lines, &w->parcels);
	struct store_body *body = store_body_new(r->store, id);
	(void)store_body_write(body, letter); /* a failure stays with the body */
	struct handed *h = xalloc(sizeof(*h));
	*h = (struct handed){ r, w->parcels, id, letter.len };
	const struct store_letter l = { .letter = id,
		.time_ms = (uint64_t)sys_wall_ms(),
		.qid = str_of(qid),
		.header_len = scan.header_len,
		.history = STR("# a report of ours about TLS (RFC 8460)\n"),
		.rcpt = w->rcpt,
		.n_rcpt = w->n,
		.entry = w->parcels.entry,
		.n_entry = w->parcels.n,
		.onward = buf_str(&lines) };
	w->parcels = (struct parcels){ 0 };
	store_accept(r->store, body, &l, handed_in, h);
	loop_defer_add(r->loop, &r->go);
	buf_done(&lines);
}

/* False: it cannot be sent there. */
static bool
send_letter(struct tlsrpt_host *t, struct reported *d, const struct sender *s, struct str to,
    struct str gz)
{
	struct queue *q = t->role->queue;
	struct buf out = BUF_INIT(LETTER_OCTETS);
	struct msg_accept m = { .facts.flags = ONWARD_OURS | ONWARD_TLS_OPTIONAL };
	uint64_t id = queue_next_id(q);
	struct way w;
	way_begin(&w);
	tlsrpt_letter_put(&out, d->day, &s->s, to, gz);
	bool ok = !out.failed && way_add(q, &w, to, STR("NEVER")) && way_end(&w, id, &m);
	if (ok)
		hand_in(t->role, id, &w, buf_str(&out));
	way_done(&w);
	buf_done(&out);
	return ok;
}

static bool
send_post(struct tlsrpt_host *t, struct reported *d, size_t place, const char *url, struct str gz)
{
	struct msg_post m = { .url = str_of(url), .octets = gz };
	uint64_t id = ++t->last_post;
	if (!writer_fetch_post(t->role, id, &m))
		return false;
	d->post_id[place] = id;
	d->open++;
	return true;
}

static void
finish_if_done(struct tlsrpt_host *t, struct reported *d, unsigned all)
{
	if (d->open)
		return;
	if (all && (d->done & all) == all) {
		LOG(LOG_INFO, 0, "tls-report-sent", LOGF("domain", tlsrpt_day_domain(d->day)),
		    LOGF("to", tlsrpt_day_rua(d->day)),
		    LOGN("sessions", tlsrpt_day_sessions(d->day)));
		forget(t, d);
	} else if (!all || d->tries >= TRIES_MAX) {
		LOG(LOG_WARN, 0, "tls-report-dropped", LOGF("domain", tlsrpt_day_domain(d->day)),
		    LOGF("to", tlsrpt_day_rua(d->day)), LOGZ("why", "it cannot be sent there"));
		forget(t, d);
	} else {
		again(d);
	}
}

static unsigned
places_of(const struct reported *d, struct tlsrpt_place place[TLSRPT_PLACES_MAX])
{
	struct str rua = tlsrpt_day_rua(d->day);
	unsigned n = 0;
	while (n < TLSRPT_PLACES_MAX && tlsrpt_place_next(&rua, &place[n]))
		n++;
	return n;
}

static void
send_to(struct tlsrpt_host *t, struct reported *d, const struct sender *s, struct str gz)
{
	struct tlsrpt_place *place = xalloc(TLSRPT_PLACES_MAX * sizeof(*place));
	unsigned n = places_of(d, place);
	for (unsigned i = 0; i < n; i++) {
		bool mail = place[i].kind == TLSRPT_MAILTO;
		if (d->done & 1u << i)
			continue;
		if (mail && send_letter(t, d, s, str_of(place[i].text), gz))
			d->done |= 1u << i;
		else if (!mail)
			(void)send_post(t, d, i, place[i].text, gz);
	}
	free(place);
	d->tries++;
	finish_if_done(t, d, (1u << n) - 1);
}

static void
send_one(struct tlsrpt_host *t, struct reported *d)
{
	struct buf json = BUF_INIT(REPORT_OCTETS), gz = BUF_INIT(POST_MAX);
	struct sender s;
	sender_init(&s, t->role, d);
	tlsrpt_report_put(&json, d->day, &s.s);
	if (!json.failed && gzip(buf_str(&json), &gz)) {
		send_to(t, d, &s, buf_str(&gz));
	} else {
		LOG(LOG_ERROR, 0, "tls-report-dropped", LOGF("domain", tlsrpt_day_domain(d->day)),
		    LOGZ("why", "it is too long"));
		forget(t, d);
	}
	buf_done(&json);
	buf_done(&gz);
}

static struct reported *
posting(struct tlsrpt_host *t, uint64_t id, unsigned *ret_place)
{
	list_each(n, &t->due)
	{
		struct reported *d = list_entry(n, struct reported, node);
		for (unsigned i = 0; i < TLSRPT_PLACES_MAX; i++)
			if (d->post_id[i] == id) {
				*ret_place = i;
				return d;
			}
	}
	return NULL;
}

static void
post_ended(struct tlsrpt_host *t, struct reported *d, unsigned place, bool fine)
{
	struct tlsrpt_place *all = xalloc(TLSRPT_PLACES_MAX * sizeof(*all));
	unsigned n = places_of(d, all);
	free(all);
	d->post_id[place] = 0;
	d->open--;
	d->done |= fine ? 1u << place : 0;
	finish_if_done(t, d, (1u << n) - 1);
}

void
writer_tlsrpt_posted(struct store_role *r, uint64_t id, const struct msg_fetched *m)
{
	unsigned place;
	struct reported *d = r->tlsrpt && id ? posting(r->tlsrpt, id, &place) : NULL;
	if (!d)
		return;
	bool fine = m->status >= 200 && m->status <= 299;
	if (!fine)
		LOG(LOG_INFO, 0, "tls-report-not-posted",
		    LOGF("domain", tlsrpt_day_domain(d->day)), LOGN("status", m->status),
		    LOGF("why", m->error));
	post_ended(r->tlsrpt, d, place, fine);
}

void
writer_tlsrpt_fetch_gone(struct store_role *r)
{
	if (!r->tlsrpt)
		return;
	list_each(n, &r->tlsrpt->due)
	{
		struct reported *d = list_entry(n, struct reported, node);
		for (unsigned i = 0; d->open && i < TLSRPT_PLACES_MAX; i++) {
			bool last = d->open == 1;
			if (!d->post_id[i])
				continue;
			post_ended(r->tlsrpt, d, i, false);
			if (last)
				break; /* it may be gone */
		}
	}
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
	int64_t now = seconds_now();
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
		send_one(t, d);
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
