#include "smtp/merge.h"

#include "base/date.h"

/* What a variable is for the recipient at hand; gen says whether it is this recipient's. */
struct merge_slot {
	struct str value;
	uint32_t gen;
};

/* One letter in the making. */
struct assembly {
	struct smtp_merge *m;
	struct merge_letter *out;
	bool full;    /* more pieces or words of its own than may be */
	bool no_head; /* its header reaches further than what was kept, which is the limit */
};

/* --- the values --- */

static void
put_all_parts(struct smtp_merge *m)
{
	for (uint32_t no = 1; no <= m->n_parts; no++)
		if (smtp_merge_part(m, no))
			buf_putf(&m->all, "%s%u", m->all.len ? "," : "", no);
}

void
smtp_merge_seal(struct smtp_merge *m, struct str from, int64_t sec, int zone)
{
	check(!m->slot && !m->now);
	m->from = from;
	date_rfc5322(&m->date, sec, zone);
	put_all_parts(m);
	check(!m->date.failed && !m->all.failed);
	m->slot = xalloc(MERGE_VAR_COUNT * sizeof(*m->slot));
}

static void
set(struct smtp_merge *m, uint16_t var, struct str value)
{
	check(var < MERGE_VAR_COUNT);
	m->slot[var] = (struct merge_slot){ value, m->gen };
}

/* The values of one recipient; later definitions win. */
static void
take_values(struct smtp_merge *m, const struct merge_rcpt *r)
{
	struct merge_rcpt_view v = smtp_merge_rcpt_view(r);
	struct merge_def d;
	if (++m->gen == 0) {
		memset(m->slot, 0, MERGE_VAR_COUNT * sizeof(*m->slot));
		m->gen = 1;
	}
	set(m, MERGE_PARTS, buf_str(&m->all));
	while (smtp_merge_def_next(&v.vars, &d))
		set(m, d.var, d.value);
	set(m, MERGE_FROM, m->from);
	set(m, MERGE_TO, v.to);
	set(m, MERGE_DATE, buf_str(&m->date));
	set(m, MERGE_DK, STR_NULL); /* names a key; shows nothing */
}

/* False: the tag stays as it stands (`&trade;` is most often just that). */
static bool
value_of(const struct smtp_merge *m, uint16_t var, struct str *ret)
{
	*ret = STR_NULL;
	if (var == MERGE_EMPTY)
		return true;
	check(var < MERGE_VAR_COUNT);
	if (m->slot[var].gen != m->gen)
		return m->conf->ipmm_brackets;
	*ret = m->slot[var].value;
	return true;
}

/* --- the pieces --- */

static struct merge_piece *
piece_new(struct assembly *a)
{
	struct merge_letter *out = a->out;
	if (out->n == MERGE_PIECES_MAX) {
		a->full = true;
		return NULL;
	}
	return &out->piece[out->n++];
}

static void
scan(struct assembly *a, struct str octets)
{
	scan_feed(&a->out->scan, octets);
	a->out->work += octets.len;
	if (a->out->header)
		buf_puts(a->out->header, octets);
}

/* The header scan sees what of this range was kept of the part's beginning. Where that ends, so
 * much has come that the line at hand decides, as in a letter that ends there. Only when the words
 * are much shorter than the tags were, or the line is the name of a field without end, nobody can
 * say what it would be; then it is a header too large. */
static void
scan_range(struct assembly *a, const struct merge_part *p, uint64_t from, uint64_t to)
{
	struct scan *s = &a->out->scan;
	struct str head = buf_str(&p->head);
	if (scan_in_body(s))
		return;
	uint64_t kept = MIN(to, (uint64_t)head.len);
	if (from < kept)
		scan(a, str_n(head.p + from, (size_t)(kept - from)));
	if (kept == to || scan_in_body(s))
		return;
	a->no_head |= s->size < s->limits.max_bytes + 2 || scan_undecided(s);
	scan_end(s);
}

static void
add_range(struct assembly *a, const struct merge_part *p, uint64_t from, uint64_t to)
{
	struct merge_letter *out = a->out;
	struct merge_piece *last = out->n ? &out->piece[out->n - 1] : NULL;
	if (from == to)
		return;
	if (last && !last->literal && last->off + last->len == p->off + from) {
		last->len += to - from;
	} else {
		last = piece_new(a);
		if (!last)
			return;
		*last = (struct merge_piece){ .off = p->off + from, .len = to - from };
	}
	out->size += to - from;
	scan_range(a, p, from, to);
}

static void
add_literal(struct assembly *a, struct str text)
{
	struct merge_letter *out = a->out;
	if (text.len == 0)
		return;
	if (text.len > MERGE_OWN_MAX - out->own) {
		a->full = true;
		return;
	}
	struct merge_piece *piece = piece_new(a);
	if (!piece)
		return;
	*piece = (struct merge_piece){ .literal = true, .text = text };
	out->own += text.len;
	out->size += text.len;
	if (!scan_in_body(&out->scan))
		scan(a, text);
}

static void
add_part(struct assembly *a, const struct merge_part *p)
{
	const struct merge_tag *tag = (const struct merge_tag *)(const void *)p->tags.p;
	size_t n = p->tags.len / sizeof(*tag);
	uint64_t at = 0;
	/* A letter may look at so many tags and no more, whether they leave a piece or not. */
	a->out->work += n * 16 + 64;
	for (size_t i = 0; i < n && !a->full; i++) {
		struct str value;
		if (!value_of(a->m, tag[i].var, &value))
			continue;
		add_range(a, p, at, tag[i].off);
		add_literal(a, value);
		at = tag[i].off + tag[i].len;
	}
	if (!a->full)
		add_range(a, p, at, p->len);
}

static enum smtp_situation
verdict(const struct assembly *a)
{
	const struct smtp_conf *conf = a->m->conf;
	const struct scan *s = &a->out->scan;
	if (a->full || a->out->size > conf->max_size)
		return SMTP_XPRT_TOOBIG;
	if (a->no_head || s->header_too_big)
		return SMTP_DATA_HEADERTOOBIG;
	if (s->count[SCAN_RECEIVED] > conf->hops)
		return SMTP_DATA_HOPS;
	if (s->count[SCAN_FROM] > 1 && !conf->two_from_ok)
		return SMTP_DATA_TWOFROM;
	return SMTP_NONE;
}

#define TAGS_SEEN_MAX (2 * MERGE_PIECES_MAX) /* in one letter */

enum smtp_situation
smtp_merge_letter(struct smtp_merge *m, const struct merge_rcpt *r, struct merge_letter *ret)
{
	struct assembly a = { .m = m, .out = ret };
	const struct scan_limits limits = { m->conf->header_lines, m->conf->header_bytes };
	size_t tags = 0;
	check(m->slot != NULL);
	ret->n = 0;
	ret->size = ret->own = 0;
	ret->work = 512;
	if (ret->header)
		buf_reset(ret->header);
	scan_init(&ret->scan, &limits);
	take_values(m, r);
	struct str list = m->slot[MERGE_PARTS].value;
	struct merge_range range;
	while (list.len && !a.full && smtp_merge_range(&list, m->n_parts, &range)) {
		for (uint32_t no = range.from; no <= range.to && !a.full; no++) {
			const struct merge_part *p = smtp_merge_part(m, no);
			check(p != NULL); /* XPRT LAST has seen to it */
			tags += p->tags.len / sizeof(struct merge_tag);
			a.full = tags > TAGS_SEEN_MAX;
			if (!a.full)
				add_part(&a, p);
		}
	}
	scan_end(&ret->scan);
	if (ret->header)
		buf_trunc(ret->header, MIN(ret->header->len, (size_t)ret->scan.header_len));
	return verdict(&a);
}
