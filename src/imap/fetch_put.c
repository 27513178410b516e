/* FETCH: the items that the index has. A row is a handful of copies: no printf here. */
#include "imap/fetch_priv.h"

#include "base/check.h"
#include "base/date.h"

#define DAY_SECONDS 86400
#define ROOM 512 /* what most rows need */

static void
put(struct buf *out, const char *p, size_t n)
{
	if (out->cap - out->len < n || out->failed) {
		buf_put(out, p, n);
		return;
	}
	memcpy(out->p + out->len, p, n);
	out->len += n;
}
#define PUT(out, lit) put(out, lit, sizeof(lit) - 1)

static void
put_hex(struct buf *out, uint64_t n)
{
	char text[16];
	for (size_t i = sizeof(text); i-- > 0; n >>= 4)
		text[i] = "0123456789abcdef"[n & 15];
	put(out, text, sizeof(text));
}

/* The same few sets of flags come again and again: their texts are kept. */
static void
put_flags(struct imap_session *s, struct fetch *f, uint64_t flags)
{
	struct buf *out = s->cmd->out;
	struct fetch_flags_text *c =
	    &f->cached[(flags ^ flags >> 4 ^ flags >> 16 ^ flags >> 21) % FETCH_FLAGS_CACHED];
	if (c->len && c->flags == flags) {
		put(out, c->text, c->len);
		return;
	}
	size_t from = out->len;
	PUT(out, "FLAGS ");
	imap_put_flags(s, out, flags);
	if (out->failed || out->len - from > sizeof(c->text))
		return;
	c->flags = flags;
	c->len = (unsigned)(out->len - from);
	memcpy(c->text, out->p + from, c->len);
}

void
fetch_put_flags(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)i;
	put_flags(s, f, l->row->flags);
}

void
fetch_put_uid(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)f, (void)i;
	PUT(s->cmd->out, "UID ");
	imap_walk_number(s->cmd->out, l->row->uid);
}

static void
two(char *p, unsigned n)
{
	p[0] = (char)('0' + n / 10 % 10);
	p[1] = (char)('0' + n % 10);
}

/* "22-Nov-2026": worked out once for letters of one day. */
static const char *
day_text(struct fetch *f, int64_t day)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	if (f->day_text[0] && f->day == day)
		return f->day_text;
	struct date d = date_of(day * DAY_SECONDS, 0);
	unsigned year = (unsigned)d.year;
	two(f->day_text, (unsigned)d.day);
	f->day_text[2] = f->day_text[6] = '-';
	memcpy(f->day_text + 3, months + 3 * (d.mon - 1), 3);
	two(f->day_text + 7, year / 100);
	two(f->day_text + 9, year);
	f->day = day;
	return f->day_text;
}

/* Always in UTC: a letter's date does not change its text with the season. */
static void
put_time(struct buf *out, struct fetch *f, uint64_t ms)
{
	uint64_t sec = MIN(ms / 1000, (uint64_t)253402300799); /* the end of the year 9999 */
	unsigned in_day = (unsigned)(sec % DAY_SECONDS);
	char text[] = "\"dd-mmm-yyyy hh:mm:ss +0000\"";
	memcpy(text + 1, day_text(f, (int64_t)(sec / DAY_SECONDS)), 11);
	two(text + 13, in_day / 3600);
	two(text + 16, in_day / 60 % 60);
	two(text + 19, in_day % 60);
	put(out, text, sizeof(text) - 1);
}

void
fetch_put_internaldate(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)i;
	PUT(s->cmd->out, "INTERNALDATE ");
	put_time(s->cmd->out, f, l->row->time_ms);
}

/* RFC 8514 4.3: NIL where it is not known. */
void
fetch_put_savedate(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)i;
	PUT(s->cmd->out, "SAVEDATE ");
	if (l->row->saved_ms)
		put_time(s->cmd->out, f, l->row->saved_ms);
	else
		PUT(s->cmd->out, "NIL");
}

void
fetch_put_size(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)f, (void)i;
	PUT(s->cmd->out, "RFC822.SIZE ");
	imap_walk_number(s->cmd->out, l->row->size);
}

void
fetch_put_modseq(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)f, (void)i;
	PUT(s->cmd->out, "MODSEQ (");
	imap_walk_number(s->cmd->out, l->row->modseq);
	PUT(s->cmd->out, ")");
}

/* RFC 8474 5.1: the same letter, copied or moved, keeps it. */
void
fetch_put_emailid(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)f, (void)i;
	PUT(s->cmd->out, "EMAILID (M");
	put_hex(s->cmd->out, l->row->letter);
	PUT(s->cmd->out, ")");
}

void
fetch_put_threadid(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)f, (void)i;
	if (!l->outline || !l->outline->thread) {
		PUT(s->cmd->out, "THREADID NIL");
		return;
	}
	PUT(s->cmd->out, "THREADID (T");
	put_hex(s->cmd->out, l->outline->thread);
	PUT(s->cmd->out, ")");
}

/* A letter that cannot be read has an envelope and a body all the same: empty ones. */
void
fetch_put_envelope(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)i;
	PUT(s->cmd->out, "ENVELOPE ");
	if (l->outline) {
		outline_envelope_put(s->cmd->out, l->outline);
		return;
	}
	PUT(s->cmd->out, "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
	fetch_damaged(f, l->row->uid);
}

static void
put_structure(struct imap_session *s, struct fetch *f, const struct walk_letter *l, bool extended)
{
	if (l->outline) {
		outline_body_put(s->cmd->out, l->outline, extended);
		return;
	}
	PUT(s->cmd->out, "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)");
	fetch_damaged(f, l->row->uid);
}

void
fetch_put_body(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)i;
	PUT(s->cmd->out, "BODY ");
	put_structure(s, f, l, false);
}

void
fetch_put_bodystructure(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)i;
	PUT(s->cmd->out, "BODYSTRUCTURE ");
	put_structure(s, f, l, true);
}

/* RFC 8970 3.1: NIL where it is not at hand, "" where there is nothing to show. */
void
fetch_put_preview(struct imap_session *s, struct fetch *f, const struct walk_letter *l,
    const struct fetch_item *i)
{
	(void)f, (void)i;
	PUT(s->cmd->out, "PREVIEW ");
	if (!l->outline)
		PUT(s->cmd->out, "NIL");
	else if (!l->outline->preview.len)
		PUT(s->cmd->out, "\"\"");
	else
		imap_put_string(s->cmd->out, l->outline->preview,
		    s->enabled & (IMAP_UTF8 | IMAP_REV2));
}

/* "* 1 FETCH (" and the items of the index; a blank stands in front of each but the first. */
void
fetch_begin(struct imap_session *s, struct fetch *f, const struct walk_letter *l)
{
	struct buf *out = s->cmd->out;
	bool any = false;
	(void)buf_reserve(out, ROOM);
	if (f->see_later)
		uidset_add(&f->wanted, l->row->uid, l->row->uid);
	PUT(out, "* ");
	imap_walk_number(out, l->seq);
	PUT(out, " FETCH (");
	/* RFC 9051 6.4.5: flags that this command has changed are told. */
	if (f->changed.n && !f->flags && uidset_has(&f->changed, l->row->uid)) {
		put_flags(s, f, l->row->flags);
		any = true;
		if ((s->enabled & IMAP_CONDSTORE) && !f->modseq) {
			PUT(out, " ");
			fetch_put_modseq(s, f, l, NULL);
		}
	}
	for (size_t k = 0; k < f->n_index; k++) {
		if (any)
			PUT(out, " ");
		any = true;
		f->items[k].put(s, f, l, &f->items[k]);
	}
	if (any && f->n_index < f->n_items)
		PUT(out, " ");
}
