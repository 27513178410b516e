/* Reports about TLS that are due: as letters of our own, and by fetch. */
#include "roles/store/tlsrpt_host.h"

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

#define TRIES_MAX 6
#define TRY_AGAIN_SECONDS 600
#define REPORT_OCTETS (2u << 20)
#define LETTER_OCTETS (1u << 20)

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
	writer_tlsrpt_key(&b, d->day);
	buf_putz(&b, c->hostname);
	find_contact(r, s);
	snprintf(s->id, sizeof(s->id), "%" PRId64 ".%016" PRIx64, tlsrpt_day_begin(d->day),
	    siphash(key, buf_str(&b)));
	s->s = (struct tlsrpt_sender){
		.organization =
		    str_of(c->tlsrpt_organization[0] ? c->tlsrpt_organization : c->hostname),
		.contact = str_of(s->contact),
		.host = str_of(c->hostname),
		.id = str_of(s->id),
		.now = writer_tlsrpt_now(),
	};
	buf_done(&b);
}

static bool
gzip(struct str in, struct buf *out)
{
	z_stream z = { 0 };
	if (in.len > REPORT_OCTETS || deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
					  Z_DEFAULT_STRATEGY) != Z_OK)
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
	d->send_at = writer_tlsrpt_now() + TRY_AGAIN_SECONDS;
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
		writer_tlsrpt_forget(t, d);
	} else if (!all || d->tries >= TRIES_MAX) {
		LOG(LOG_WARN, 0, "tls-report-dropped", LOGF("domain", tlsrpt_day_domain(d->day)),
		    LOGF("to", tlsrpt_day_rua(d->day)), LOGZ("why", "it cannot be sent there"));
		writer_tlsrpt_forget(t, d);
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

void
writer_tlsrpt_send(struct tlsrpt_host *t, struct reported *d)
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
		writer_tlsrpt_forget(t, d);
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
		LOG(LOG_INFO, 0, "tls-report-not-posted", LOGF("domain", tlsrpt_day_domain(d->day)),
		    LOGN("status", m->status), LOGF("why", m->error));
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
