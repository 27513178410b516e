/* Where in the files what is looked for may be. */
#include "store/recorder_find.h"

#include "base/check.h"
#include "base/num.h"
#include "log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A letter's record stands near its id's time, unless a clock was set while it came. Who looks for
 * how hundreds of letters came does without the few of which that is not true. */
#define ARRIVAL_MS 3600000u

void
look_files_init(struct window *w)
{
	*w = (struct window){ .look = xalloc(LOOK_MOST * sizeof(*w->look)), .width = 1 };
}

void
look_file_done(struct look *l)
{
	table_close(&l->table);
	trcread_close(&l->file);
	free(l->places.p);
	free(l->ranges);
	l->places = (struct places){ 0 };
	l->ranges = NULL;
	l->n_ranges = 0;
}

void
look_files_done(struct window *w)
{
	while (w->look && w->at < w->n)
		look_file_done(&w->look[w->at++]);
	free(w->look);
	w->look = NULL;
}

/* --- which records --- */

static int
by_place(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	return (a > b) - (a < b);
}

typedef int hash_fn(struct look *l, uint64_t hash);

/* The letters that the file may tell of. */
static int
each_letter(const struct window *w, struct look *l, const struct sought *s, hash_fn *fn)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < s->n_letters; i++) {
		uint64_t ms = s->letters[i] >> 22;
		char id[14];
		if (s->arrived && (s->arrived[i] || ms + ARRIVAL_MS < l->table.head.first_ms ||
				      ms > l->table.head.last_ms + ARRIVAL_MS))
			continue;
		id_format(id, s->letters[i]);
		rc = fn(l, trace_key_digest(w->id, str_of(id)));
	}
	return rc;
}

static int
ahead_one(struct look *l, uint64_t hash)
{
	table_ahead(&l->table, hash);
	return 0;
}

static int
places_of_one(struct look *l, uint64_t hash)
{
	return table_places(&l->table, hash, TRACE_KEY_ANY, &l->places);
}

static void
ahead(const struct window *w, struct look *l, const struct sought *s)
{
	if (s->letters)
		(void)each_letter(w, l, s, ahead_one);
	for (size_t i = 0; i < s->n_wanted; i++)
		table_ahead(&l->table, trace_key_digest(w->id, s->wanted[i].key));
}

/* Sorts them; of those that are there twice one stays. */
static void
unite(struct places *p)
{
	size_t n = 0;
	if (p->n)
		qsort(p->p, p->n, sizeof(*p->p), by_place);
	for (size_t i = 0; i < p->n; i++)
		if (n == 0 || p->p[n - 1] != p->p[i])
			p->p[n++] = p->p[i];
	p->n = n;
}

/* Keeps what is in both. */
static void
intersect(struct places *p, const struct places *other)
{
	size_t n = 0;
	for (size_t i = 0, k = 0; i < p->n; i++) {
		while (k < other->n && other->p[k] < p->p[i])
			k++;
		if (k < other->n && other->p[k] == p->p[i])
			p->p[n++] = p->p[i];
	}
	p->n = n;
}

static int
wanted_places(const struct window *w, struct look *l, const struct sought *s)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < s->n_wanted; i++) {
		struct places more = { 0 };
		uint64_t hash = trace_key_digest(w->id, s->wanted[i].key);
		rc = table_places(&l->table, hash, s->wanted[i].kind, i ? &more : &l->places);
		if (i)
			intersect(&l->places, &more);
		free(more.p);
	}
	return rc;
}

/* --- of which time --- */

static bool
overlaps(const struct trace_query *q, uint64_t first_ms, uint64_t last_ms)
{
	return first_ms <= last_ms && last_ms >= q->since_ms &&
	       (!q->until_ms || first_ms < q->until_ms);
}

/* The blocks of that time; what two of them share is one range. */
static int
time_ranges(struct look *l, const struct trace_query *q)
{
	struct block *b = NULL;
	size_t n = l->table.head.n_blocks;
	int rc = table_blocks(&l->table, &b);
	if (rc < 0)
		return rc;
	l->ranges = xalloc((n + 1) * sizeof(*l->ranges));
	for (size_t i = 0; i < n; i++)
		if (overlaps(q, b[i].first_ms, b[i].last_ms))
			l->ranges[l->n_ranges++] =
			    (struct range){ b[i].at, i + 1 < n ? b[i + 1].at : l->table.head.size };
	free(b);
	return 0;
}

/* Of the places those in the blocks of that time. */
static int
time_places(struct look *l, const struct trace_query *q)
{
	const struct table_head *h = &l->table.head;
	if (h->first_ms >= q->since_ms && (!q->until_ms || h->last_ms < q->until_ms))
		return 0;
	if (h->n_blocks == 0 || l->places.n == 0)
		return 0;
	int rc = time_ranges(l, q);
	size_t n = 0;
	for (size_t i = 0, k = 0; i < l->places.n; i++) {
		uint64_t at = (uint64_t)l->places.p[i] * TRC_ALIGN;
		while (k < l->n_ranges && l->ranges[k].to <= at)
			k++;
		if (k < l->n_ranges && l->ranges[k].from <= at)
			l->places.p[n++] = l->places.p[i];
	}
	l->places.n = n;
	free(l->ranges);
	l->ranges = NULL;
	l->n_ranges = 0;
	return rc;
}

/* --- a window --- */

static void
read_through(struct look *l)
{
	l->places.n = 0;
	free(l->ranges);
	l->ranges = xalloc(sizeof(*l->ranges));
	l->ranges[0] = (struct range){ TRC_HEAD, UINT64_MAX };
	l->n_ranges = 1;
}

static int
consult_table(const struct window *w, struct look *l, const struct sought *s)
{
	int rc = 0;
	if (s->letters) {
		rc = each_letter(w, l, s, places_of_one);
		unite(&l->places);
	} else if (s->n_wanted) {
		rc = wanted_places(w, l, s);
		if (rc == 0)
			rc = time_places(l, &s->q);
	} else if (l->table.kinds) {
		rc = time_ranges(l, &s->q);
	} else {
		read_through(l);
	}
	return rc;
}

/* With a table that is damaged the file is read through, as without one. */
static int
consult(const struct window *w, struct look *l, const struct sought *s)
{
	int rc = consult_table(w, l, s);
	if (rc != -EBADMSG && rc != -EIO)
		return rc;
	read_through(l);
	return 0;
}

void
look_file_ahead(struct look *l)
{
	size_t n = l->places.n ? l->places.n : l->n_ranges;
	size_t most = l->places.n ? AHEAD_PLACES : AHEAD_RANGES;
	if (n > l->asked)
		return;
	l->asked = n > most ? n - most : 0;
	for (size_t i = l->asked; i < n; i++) {
		if (l->places.n)
			trcread_ahead(&l->file, (uint64_t)l->places.p[i] * TRC_ALIGN, TRC_AHEAD);
		else
			trcread_ahead(&l->file, l->ranges[i].from, BLOCK_BYTES);
	}
}

/* The store's id is in each file. */
static void
take_id(struct window *w, int dir, uint64_t number)
{
	struct trcread r;
	if (!w->have_id && trcread_open(&r, dir, number) == 0) {
		memcpy(w->id, r.head.id, STORE_ID_LEN);
		w->have_id = true;
		trcread_close(&r);
	}
}

static void
open_table(struct window *w, int dir, uint64_t number)
{
	struct look *l = &w->look[w->n++];
	memset(l, 0, sizeof(*l));
	l->asked = SIZE_MAX;
	l->file = TRCREAD_NULL;
	(void)table_open(&l->table, dir, number);
	take_id(w, dir, number);
}

/* Is there anything to be looked for in it? */
static bool
load(struct window *w, struct look *l, const struct sought *s)
{
	if (l->table.fd < 0 || !w->have_id || table_load(&l->table) < 0) {
		table_close(&l->table);
		read_through(l);
		return true;
	}
	if (!overlaps(&s->q, l->table.head.first_ms, l->table.head.last_ms))
		return false;
	ahead(w, l, s);
	return true;
}

/* The file may be gone, or one that the recorder will set aside. */
static int
open_file(const struct window *w, struct look *l, int dir)
{
	int rc = w->have_id ? trcread_open_of(&l->file, dir, l->table.number, w->id)
	                    : trcread_open(&l->file, dir, l->table.number);
	if (rc == 0)
		look_file_ahead(l);
	else
		l->places.n = l->n_ranges = 0;
	return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
}

static int
make_ready(const struct window *w, struct look *l, int dir, const struct sought *s)
{
	int rc = l->useful && l->table.fd >= 0 ? consult(w, l, s) : 0;
	table_close(&l->table);
	return rc == 0 && (l->places.n || l->n_ranges) ? open_file(w, l, dir) : rc;
}

int
look_files_fill(struct window *w, int dir, const uint64_t *numbers, size_t *n,
    const struct sought *s)
{
	if (w->at == w->n && !look_files_filling(w)) {
		w->n = w->at = w->loaded = w->ready = 0;
		w->most = MIN(w->width, *n);
		w->width = MIN(2 * w->width, (size_t)LOOK_MOST);
	}
	if (w->n < w->most) {
		open_table(w, dir, numbers[--*n]);
	} else if (w->loaded < w->n) {
		struct look *l = &w->look[w->loaded++];
		l->useful = load(w, l, s);
	} else if (w->ready < w->n) {
		return make_ready(w, &w->look[w->ready++], dir, s);
	}
	return 0;
}
