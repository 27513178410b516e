#include "access/uidset.h"

#include "base/check.h"
#include "base/wire.h"

#include <stdlib.h>

#define FIRST_CAP 4

void
uidset_done(struct uidset *s)
{
	free(s->r);
	*s = (struct uidset){ 0 };
}

void
uidset_clear(struct uidset *s)
{
	uidset_done(s);
}

static bool
reserve(struct uidset *s, size_t n)
{
	if (n <= s->cap)
		return true;
	size_t cap = MIN(MAX(MAX(s->cap * 2, n), FIRST_CAP), (size_t)UIDSET_RANGES_MAX);
	struct uid_range *r = n <= cap ? realloc(s->r, cap * sizeof(*r)) : NULL;
	if (!r) {
		s->failed = true;
		return false;
	}
	s->r = r;
	s->cap = cap;
	return true;
}

/* The first range that ends at uid or behind it, or n. */
static size_t
ends_from(const struct uidset *s, uint32_t uid)
{
	size_t low = 0, high = s->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (s->r[mid].last < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The first range that begins behind uid, or n. */
static size_t
begins_behind(const struct uidset *s, uint32_t uid)
{
	size_t low = 0, high = s->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (s->r[mid].first <= uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Puts `with` ranges in the place of those from i to before j. */
static bool
replace(struct uidset *s, size_t i, size_t j, const struct uid_range *with, size_t n)
{
	if (n > j - i && !reserve(s, s->n - (j - i) + n))
		return false;
	memmove(s->r + i + n, s->r + j, (s->n - j) * sizeof(*s->r));
	memcpy(s->r + i, with, n * sizeof(*with));
	s->n = s->n - (j - i) + n;
	return true;
}

void
uidset_add(struct uidset *s, uint32_t first, uint32_t last)
{
	check(first > 0 && first <= last);
	struct uid_range all = { first, last };
	if (s->n == 0 || s->r[s->n - 1].last < first - 1) {
		if (reserve(s, s->n + 1))
			s->r[s->n++] = all;
		return;
	}
	/* Those that it touches become one with it. */
	size_t i = ends_from(s, first - 1);
	size_t j = begins_behind(s, last == UINT32_MAX ? last : last + 1);
	if (j - i == 1 && s->r[i].first <= first && s->r[i].last >= last)
		return;
	if (i < j) {
		all.first = MIN(first, s->r[i].first);
		all.last = MAX(last, s->r[j - 1].last);
	}
	(void)replace(s, i, j, &all, 1);
}

void
uidset_remove(struct uidset *s, uint32_t first, uint32_t last)
{
	check(first > 0 && first <= last);
	size_t i = ends_from(s, first), j = begins_behind(s, last), n = 0;
	struct uid_range rest[2];
	if (i >= j)
		return;
	if (s->r[i].first < first)
		rest[n++] = (struct uid_range){ s->r[i].first, first - 1 };
	if (s->r[j - 1].last > last)
		rest[n++] = (struct uid_range){ last + 1, s->r[j - 1].last };
	(void)replace(s, i, j, rest, n);
}

/* What takes the place of s; a failure of either stays known. */
static void
become(struct uidset *s, struct uidset *with)
{
	with->failed = with->failed || s->failed;
	free(s->r);
	*s = *with;
}

/* Both ascend, so one walk over both does it, however many there are. */
void
uidset_add_set(struct uidset *s, const struct uidset *other)
{
	struct uidset all = { .failed = other->failed };
	if (other->n <= 8 || s->n == 0) {
		for (size_t i = 0; i < other->n; i++)
			uidset_add(s, other->r[i].first, other->r[i].last);
		s->failed = s->failed || other->failed;
		return;
	}
	for (size_t i = 0, j = 0; i < s->n || j < other->n;) {
		bool mine = j == other->n || (i < s->n && s->r[i].first < other->r[j].first);
		struct uid_range r = mine ? s->r[i++] : other->r[j++];
		uidset_add(&all, r.first, r.last);
	}
	become(s, &all);
}

void
uidset_remove_set(struct uidset *s, const struct uidset *other)
{
	struct uidset rest = { .failed = other->failed };
	size_t j = 0;
	for (size_t i = 0; i < s->n; i++) {
		struct uid_range r = s->r[i];
		for (; j < other->n && other->r[j].last < r.first; j++)
			;
		for (size_t k = j; k < other->n && other->r[k].first <= r.last; k++) {
			if (other->r[k].first > r.first)
				uidset_add(&rest, r.first, other->r[k].first - 1);
			/* 0: nothing is left of it. */
			r.first = other->r[k].last < r.last ? other->r[k].last + 1 : 0;
			if (r.first == 0)
				break;
		}
		if (r.first)
			uidset_add(&rest, r.first, r.last);
	}
	become(s, &rest);
}

void
uidset_intersect(struct uidset *s, const struct uidset *other)
{
	struct uidset both = { .failed = other->failed };
	for (size_t i = 0, j = 0; i < s->n && j < other->n;) {
		const struct uid_range *a = &s->r[i], *b = &other->r[j];
		uint32_t first = MAX(a->first, b->first), last = MIN(a->last, b->last);
		if (first <= last)
			uidset_add(&both, first, last);
		if (a->last < b->last)
			i++;
		else
			j++;
	}
	become(s, &both);
}

bool
uidset_has(const struct uidset *s, uint32_t uid)
{
	size_t i = ends_from(s, uid);
	return i < s->n && s->r[i].first <= uid;
}

uint64_t
uidset_count(const struct uidset *s)
{
	uint64_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		n += (uint64_t)s->r[i].last - s->r[i].first + 1;
	return n;
}

void
uidset_copy(struct uidset *to, const struct uidset *from)
{
	*to = (struct uidset){ .failed = from->failed };
	if (from->n == 0 || !reserve(to, from->n))
		return;
	memcpy(to->r, from->r, from->n * sizeof(*to->r));
	to->n = from->n;
}

void
uidset_text(const struct uidset *s, struct buf *out)
{
	for (size_t i = 0; i < s->n; i++) {
		buf_putf(out, "%s%u", i ? "," : "", s->r[i].first);
		if (s->r[i].last != s->r[i].first)
			buf_putf(out, ":%u", s->r[i].last);
	}
}

void
uidset_put(struct buf *out, const struct uidset *s)
{
	for (size_t i = 0; i < s->n; i++) {
		put_u32(out, s->r[i].first);
		put_u32(out, s->r[i].last);
	}
}

static struct uid_range
range_at(struct str octets, size_t i)
{
	const unsigned char *p = (const unsigned char *)octets.p + i * 8;
	return (struct uid_range){ be32_get(p), be32_get(p + 4) };
}

bool
uidset_octets_ok(struct str octets, size_t max)
{
	uint64_t free_from = 1; /* where the next range may begin */
	if (octets.len % 8 || octets.len / 8 > max)
		return false;
	for (size_t i = 0; i < octets.len / 8; i++) {
		struct uid_range r = range_at(octets, i);
		if (r.first < free_from || r.last < r.first)
			return false;
		free_from = (uint64_t)r.last + 2;
	}
	return true;
}

bool
uidset_get(struct str octets, struct uidset *s)
{
	uidset_done(s);
	size_t n = octets.len / 8;
	if (!uidset_octets_ok(octets, UIDSET_RANGES_MAX))
		return false;
	if (n == 0)
		return true;
	if (!reserve(s, n)) {
		uidset_done(s);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		s->r[i] = range_at(octets, i);
	s->n = n;
	return true;
}
