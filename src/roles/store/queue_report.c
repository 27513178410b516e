/*
 * Reports, as letters of our own: from <> to the reverse-path, accepted as any other letter, so
 * that they reach a mailbox here or wait in the queue themselves.
 */
#include "roles/store/queue_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "mail/scan.h"
#include "route/directory.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define REPORT_OCTETS (4u << 20) /* REPORT_MAX, and what is said of hundreds of recipients */
#define FULL_MAX REPORT_MAX

/* --- what is due --- */

struct plan {
	struct notify_rcpt rcpt[ENTRY_RCPTS_MAX];
	struct report_rcpt row[ENTRY_RCPTS_MAX];
	struct notify_letter letter;
	struct report report;
	enum notify_verdict verdict;
	char postmaster[CONF_TEXT_MAX + 16];
};

static void
find_postmaster(struct queue *q, struct plan *p)
{
	const struct conf *c = q->role->conf;
	struct directory d;
	struct str who = queue_directory(q, &d) ? directory_postmaster(&d) : STR_NULL;
	struct str domain = str_skip(who, str_rfind(who, '@') + 1);
	if (c->postmaster[0])
		snprintf(p->postmaster, sizeof(p->postmaster), "%s", c->postmaster);
	else if (domain.len) /* one of ours: the host's own name need not be */
		snprintf(p->postmaster, sizeof(p->postmaster), "postmaster@" STR_FMT,
		    STR_ARG(str_first(domain, CONF_TEXT_MAX)));
	else
		snprintf(p->postmaster, sizeof(p->postmaster), "postmaster@%s",
		    c->n_domains ? c->domains[0] : c->hostname);
}

/* Until when it is tried, in Unix seconds. What is held (RFC 4865) has its time from then on,
 * unless it was released before; with R the sender's deadline ends it (RFC 2852). */
static int64_t
until(const struct queue_entry *e, uint64_t lifetime)
{
	uint64_t hold = e->hold_until_ms > (uint64_t)sys_wall_ms() ? 0 : e->hold_until_ms;
	uint64_t ms = MAX(e->created_ms, hold) + lifetime * 1000;
	if (e->by_ms && (e->flags & ONWARD_BY_RETURN))
		ms = MIN(ms, e->by_ms);
	return (int64_t)(ms / 1000);
}

/* 0 or -errno. To be freed. */
static struct plan *
plan_new(struct ending *x)
{
	struct queue *q = x->queue;
	struct plan *p = xalloc(sizeof(*p));
	const struct conf *c = q->role->conf;
	find_postmaster(q, p);
	const struct notify_conf conf = { .host = str_of(c->hostname),
		.postmaster = str_of(p->postmaster),
		.copies = c->queue_bounce_copies,
		.full_max = (uint32_t)c->queue_bounce_full,
		.zone = sys_zone_minutes(sys_wall_ms() / 1000) };
	if (!notify_entry(&x->entry, &x->state, &p->letter, p->rcpt)) {
		free(p);
		return NULL;
	}
	p->letter.size = x->held->size;
	for (uint32_t i = 0; i < x->entry.n_rcpts; i++) {
		p->rcpt[i].event = x->row[i].event;
		p->rcpt[i].until = until(&x->entry, c->queue_lifetime);
	}
	p->verdict = notify_plan(&conf, &p->letter, p->rcpt, x->entry.n_rcpts, p->row, &p->report);
	return p;
}

bool
report_is_due(struct ending *x)
{
	struct plan *p = plan_new(x);
	bool due = p && p->verdict != NOTIFY_NOBODY;
	free(p);
	return due;
}

/* --- the letter that it is about --- */

static int
read_letter(struct queue *q, const struct ending *x, bool full, struct buf *out)
{
	struct store_snap *sn;
	struct store_queued s;
	int rc = queue_snap(q, &sn);
	if (rc == 0)
		rc = store_queue_get(sn, x->letter, x->part, &s);
	if (rc < 0)
		return rc;
	rc = store_ref_check(q->role->store, &s.ref);
	if (rc < 0)
		return rc;
	uint64_t n = full ? s.size : (uint64_t)s.trace_len + s.header_len;
	n = MIN(n, (uint64_t)FULL_MAX);
	if (!buf_reserve(out, n))
		return -ENOMEM;
	ssize_t got = store_queue_read(q->role->store, &s, 0, out->p, n);
	if (got > 0)
		out->len = (size_t)got;
	return got < 0 ? (int)got : 0;
}

static bool
has_utf8(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

/* A report that nobody can get: the postmaster, and if that is nobody, the log. */
static void
nobody(struct ending *x, struct str to)
{
	char id[14];
	id_format(id, x->letter);
	LOG(LOG_WARN, 0, "report-dropped", LOGZ("letter", id), LOGF("to", to),
	    LOGZ("why", "there is nobody of that address, nor a postmaster"));
	ending_commit(x);
}

/* Memory is short: what has to be said is not forgotten for that. */
static void
not_put(struct ending *x)
{
	char id[14];
	id_format(id, x->letter);
	LOG(LOG_ERROR, 0, "report-not-put", LOGZ("letter", id),
	    LOGZ("then", "tried again every second"));
	ending_wait(x);
}

/* False: nobody is there. */
static bool
find_way(struct ending *x, struct str to, bool utf8, struct way *w)
{
	/* What is said of a letter is as secret as it is (RFC 8689 5). */
	uint32_t kept = x->entry.flags & ONWARD_REQUIRETLS;
	struct msg_accept m = { .facts.flags =
				    ONWARD_8BIT | ONWARD_OURS | kept | (utf8 ? ONWARD_UTF8 : 0) };
	way_begin(w);
	way_add(x->queue, w, to, STR("NEVER"));
	return way_end(w, x->state.report, &m);
}

static void
send_report(struct ending *x, struct str octets, bool utf8, const struct plan *p)
{
	struct queue *q = x->queue;
	struct buf history = BUF_INIT(4096);
	struct str to = p->report.to;
	struct scan scan;
	struct way w;
	char about[14];
	bool way_there = find_way(x, to, utf8, &w);
	if (!way_there && q->role->conf->queue_bounce_copies) {
		way_done(&w);
		to = str_of(p->postmaster);
		way_there = find_way(x, to, utf8, &w);
	}
	id_format(about, x->letter);
	buf_putf(&history, "# a report of ours about letter %s (" STR_FMT ")\n", about,
	    STR_ARG(x->entry.qid));
	scan_init(&scan, &(struct scan_limits){ UINT64_MAX, UINT64_MAX });
	scan_feed(&scan, octets);
	scan_end(&scan);
	struct store_body *body = store_body_new(q->role->store, x->state.report);
	(void)store_body_write(body, octets); /* a failure stays with the body; accept tells it */
	if (way_there) {
		way_hand_in(x, &w, body, scan.header_len, scan.insert_blank, buf_str(&history),
		    ending_commit);
	} else {
		store_body_free(body);
		nobody(x, to);
	}
	way_done(&w);
	buf_done(&history);
}

static void
write_report(struct ending *x, struct plan *p)
{
	struct buf letter = BUF_INIT(FULL_MAX), out = BUF_INIT(REPORT_OCTETS);
	char id[14];
	id_format(id, x->state.report);
	int rc = read_letter(x->queue, x, p->report.full, &letter);
	writer_check(rc);
	if (rc < 0)
		buf_reset(&letter); /* what has to be said matters more */
	p->report.id = str_of(id);
	p->report.now = sys_wall_ms() / 1000;
	p->report.letter = buf_str(&letter);
	bool ok = report_put(&out, &p->report);
	if (ok)
		send_report(x, buf_str(&out),
		    p->report.utf8 && (has_utf8(p->report.to) || has_utf8(buf_str(&out))), p);
	else
		not_put(x);
	buf_done(&letter);
	buf_done(&out);
}

/* The state that says so is durable. It may have been written by an earlier life, which got further
 * than it knew. */
void
report_begin(struct ending *x)
{
	struct directory d;
	int known = store_accepted(x->queue->role->store, x->state.report);
	writer_check(known);
	x->phase = PHASE_REPORT;
	/* Without the directory nobody would be found, which is no reason to give up. */
	if (known < 0 || !queue_directory(x->queue, &d)) {
		ending_wait(x);
		return;
	}
	if (!ending_has_events(x)) { /* it is no report, but the letter itself, for mailboxes here
		                      */
		queue_here_begin(x, known > 0);
		return;
	}
	struct plan *p = known ? NULL : plan_new(x);
	if (p && p->verdict != NOTIFY_NOBODY)
		write_report(x, p);
	else
		ending_commit(x);
	free(p);
}

void
queue_report_only(struct queue *q, struct sched_entry *e)
{
	struct ending *x = queue_begin(q, e);
	if (!x)
		return;
	for (uint32_t i = 0; i < x->entry.n_rcpts; i++) {
		x->row[i].state = RCPT_SENT;
		x->row[i].event =
		    x->entry.flags & ENTRY_EXPANDED ? NOTIFY_EXPANDED : NOTIFY_DELIVERED;
	}
	x->note_kind = STORE_NOTE_REPORT;
	ending_submit(x);
}
