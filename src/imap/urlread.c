#include "imap/urlread.h"

#include "base/check.h"
#include "imap/fetch_priv.h"
#include "mail/imap_url.h"

#include <stdlib.h>

#define ARENA_MAX (64u << 10)

struct reading {
	struct urlread u; /* first */
	struct imap_url url;
	struct arena arena;
	struct fetch_item item;
	const struct charsets *charsets;
	enum urlread_step (*take)(struct reading *r, const struct access_letter *row);
	uint64_t at; /* octets of the part that came */
	struct buf header, record;
	struct outline_builder *builder;
	struct outline outline;
};

static enum urlread_step
no(struct reading *r, enum access_status status)
{
	r->u.status = status;
	return URLREAD_NO;
}

/* --- what is asked --- */

static enum urlread_step
ask(struct reading *r, unsigned what, enum access_part part, uint64_t off, uint64_t len)
{
	struct access_ask *a = &r->u.ask;
	a->what = what;
	a->part = (uint8_t)part;
	a->off = off;
	a->len = len;
	a->from = (struct access_from){ 0 };
	r->at = 0;
	return URLREAD_ASK;
}

static enum urlread_step
ask_octets(struct reading *r, enum access_part part, uint64_t off, uint64_t len)
{
	return ask(r, ACCESS_META | ACCESS_OCTETS, part, off, len);
}

/* --- what comes --- */

static enum urlread_step
give(struct reading *r, struct str octets, uint64_t size, uint64_t left)
{
	r->u.octets = octets;
	r->u.size = size;
	r->u.left = left;
	return URLREAD_OCTETS;
}

static enum urlread_step
take_octets(struct reading *r, const struct access_letter *row)
{
	return give(r, row->octets, row->part_len, row->part_len - r->at);
}

/* HEADER.FIELDS and HEADER.FIELDS.NOT */
static enum urlread_step
take_header(struct reading *r, const struct access_letter *row)
{
	buf_puts(&r->header, row->octets);
	if (r->at < row->part_len)
		return URLREAD_ASK;
	buf_init(&r->record, WALK_WHOLE_MAX + 2);
	fetch_fields_filter(&r->item, buf_str(&r->header), &r->record);
	struct str some = buf_str(&r->record);
	some = str_skip(some, (size_t)MIN(r->item.off, (uint64_t)some.len));
	some = str_first(some, (size_t)MIN(r->item.len, (uint64_t)some.len));
	return give(r, some, some.len, 0);
}

/* Where the section begins, counted as in the outline. */
static enum urlread_step
locate(struct reading *r)
{
	const struct fetch_item *i = &r->item;
	struct outline_range o = { 0, 0 };
	bool fields = i->section == FETCH_FIELDS || i->section == FETCH_FIELDS_NOT;
	if (!outline_section(&r->outline, i->path, i->n_path, fetch_outline_what[i->section], &o))
		o = (struct outline_range){ 0, 0 };
	uint64_t skip = fields ? 0 : MIN(i->off, o.len), len = fields ? WALK_WHOLE_MAX : i->len;
	len = MIN(len, o.len - skip);
	if (len == 0)
		return give(r, STR_NULL, 0, 0);
	r->take = fields ? take_header : take_octets;
	buf_done(&r->record);
	return ask_octets(r, ACCESS_PART_INNER, o.off + skip, len);
}

static enum urlread_step
take_whole(struct reading *r, const struct access_letter *row)
{
	outline_feed(r->builder, row->octets);
	if (r->at < row->part_len)
		return URLREAD_ASK;
	bool ok = outline_end(r->builder, STR_NULL, &r->record) &&
	          outline_get(buf_str(&r->record), &r->outline);
	r->builder = outline_free(r->builder);
	return ok ? locate(r) : no(r, ACCESS_FAILED);
}

static enum urlread_step
take_outline(struct reading *r, const struct access_letter *row)
{
	buf_init(&r->record, OUTLINE_WIDE_MAX);
	buf_puts(&r->record, row->outline);
	if (row->outline.len && !r->record.failed && outline_get(buf_str(&r->record), &r->outline))
		return locate(r);
	buf_reset(&r->record);
	r->builder = outline_new_wide(r->charsets);
	r->take = take_whole;
	return ask_octets(r, ACCESS_PART_INNER, 0, UINT64_MAX);
}

/* --- begin, end --- */

bool
fetch_section_of_url(struct str section, struct arena *arena, struct fetch_item *ret)
{
	struct imap_lex x = { .rest = section };
	struct buf echo = BUF_INIT(0); /* there is nobody to repeat it to */
	if (section.len == 0)
		return true;
	return fetch_section_read(&x, arena, ret, &echo) && imap_lex_end(&x);
}

static const char *
parse(struct reading *r)
{
	const char *why = imap_url_parse(r->u.ask.url, &r->url);
	if (why)
		return why;
	if (r->url.token.len == 0)
		return "it has no URLAUTH with a token";
	if (!fetch_section_of_url(r->url.section, &r->arena, &r->item))
		return "its section is not one";
	r->u.expire = r->url.expires ? r->url.expire : INT64_MAX;
	r->item.off = r->url.off;
	r->item.len = r->url.len;
	return NULL;
}

static void
begin(struct reading *r)
{
	static const enum access_part parts[FETCH_SECTIONS] = {
		[FETCH_ALL] = ACCESS_PART_ALL,
		[FETCH_HEADER] = ACCESS_PART_HEADER,
		[FETCH_TEXT] = ACCESS_PART_TEXT,
	};
	const struct fetch_item *i = &r->item;
	if (i->n_path) {
		r->take = take_outline;
		(void)ask(r, ACCESS_META | ACCESS_OUTLINE, ACCESS_PART_ALL, 0, 0);
	} else if (i->section == FETCH_FIELDS || i->section == FETCH_FIELDS_NOT) {
		r->take = take_header;
		(void)ask_octets(r, ACCESS_PART_HEADER, 0, WALK_WHOLE_MAX);
	} else {
		r->take = take_octets;
		(void)ask_octets(r, parts[i->section], i->off, i->len);
	}
}

struct urlread *
urlread_new(struct str url, struct str who, bool submit, const struct charsets *charsets,
    const char **ret_why)
{
	struct reading *r = xalloc(sizeof(*r));
	arena_init(&r->arena, ARENA_MAX);
	buf_init(&r->header, WALK_WHOLE_MAX);
	r->charsets = charsets;
	r->u.ask = (struct access_ask){
		.kind = ACCESS_URL,
		.fresh = true,
		.submit = submit,
		.name = arena_str(&r->arena, who),
		.url = arena_str(&r->arena, url),
	};
	*ret_why = r->arena.failed ? "it is too long" : parse(r);
	if (*ret_why)
		return urlread_free(&r->u);
	begin(r);
	return &r->u;
}

struct urlread *
urlread_free(struct urlread *u)
{
	struct reading *r = (struct reading *)u;
	if (!r)
		return NULL;
	arena_done(&r->arena);
	buf_done(&r->header);
	buf_done(&r->record);
	outline_free(r->builder);
	free(r);
	return NULL;
}

/* A row that is not what was asked for: what it belongs to cannot be told. */
static bool
fits(const struct reading *r, const struct access_letter *row)
{
	return row->uid == r->url.uid && row->at == r->at && row->at <= row->part_len &&
	       row->octets.len <= row->part_len - row->at &&
	       (row->octets.len > 0 || row->at == row->part_len) &&
	       (row->at == 0 || r->take != take_octets || row->part_len == r->u.size);
}

enum urlread_step
urlread_take(struct urlread *u, enum access_status status, struct str octets)
{
	struct reading *r = (struct reading *)u;
	struct wire w = wire_of(octets);
	struct access_head head;
	struct access_letter row;
	if (status != ACCESS_OK)
		return no(r, status);
	if (!access_head_get(&w, &head))
		return no(r, ACCESS_FAILED);
	u->ask.fresh = false;
	u->ask.from = (struct access_from){ .uid = head.next.uid, .n = head.next.n };
	/* Octets that are moved about while they are read come in a later window. */
	if (!w.left)
		return head.more ? URLREAD_ASK : no(r, ACCESS_NOT_FOUND);
	if (!access_letter_get(&w, &row))
		return no(r, ACCESS_FAILED);
	if (row.damaged || !fits(r, &row))
		return no(r, ACCESS_FAILED);
	r->at += row.octets.len;
	return r->take(r, &row);
}
