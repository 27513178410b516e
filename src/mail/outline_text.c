#include "base/check.h"
#include "mail/imaptext.h"
#include "mail/outline.h"
#include "mail/words.h"

/* One address out of a list: name, route, mailbox, host. */
struct address {
	enum imaptext_kind kind[4];
	struct str part[4];
};
enum { NAME, ROUTE, MAILBOX, HOST };

static bool
next_address(struct str *list, struct address *ret)
{
	enum imaptext_kind kind;
	struct str inner;
	if (!imaptext_next(list, &kind, &inner) || kind != IMAPTEXT_LIST)
		return false;
	for (int i = 0; i < 4; i++)
		if (!imaptext_next(&inner, &ret->kind[i], &ret->part[i]))
			return false;
	return true;
}

static bool
has(const struct address *a, int part)
{
	return a->kind[part] != IMAPTEXT_NIL;
}

/* A string decoded. Most are what they look like. */
static void
put_words(struct buf *out, enum imaptext_kind kind, struct str s, const struct charsets *cs)
{
	if (kind == IMAPTEXT_QUOTED && imaptext_plain(s) == s.len &&
	    str_find_str(s, STR("=?")) == s.len) {
		buf_puts(out, s);
		return;
	}
	struct buf raw = BUF_INIT(s.len);
	imaptext_unquote(&raw, kind, s);
	words_decode(cs, buf_str(&raw), out);
	buf_done(&raw);
}

/* A part decoded. */
static void
put_part(struct buf *out, const struct address *a, int part, const struct charsets *cs)
{
	put_words(out, a->kind[part], a->part[part], cs);
}

/* Name <mailbox@host> */
static void
put_address(struct buf *out, const struct address *a, const struct charsets *cs)
{
	if (has(a, NAME)) {
		put_part(out, a, NAME, cs);
		buf_puts(out, STR(" <"));
	}
	put_part(out, a, MAILBOX, cs);
	buf_putc(out, '@');
	put_part(out, a, HOST, cs);
	if (has(a, NAME))
		buf_putc(out, '>');
}

static void
put_addresses(struct buf *out, struct str list, const struct charsets *cs)
{
	struct address a;
	bool comma = false;
	while (next_address(&list, &a)) {
		if (!has(&a, HOST) && !has(&a, MAILBOX)) { /* a group ends */
			buf_putc(out, ';');
			continue;
		}
		if (comma)
			buf_puts(out, STR(", "));
		comma = has(&a, HOST);
		if (comma) {
			put_address(out, &a, cs);
		} else {
			put_part(out, &a, MAILBOX, cs);
			buf_puts(out, STR(": "));
		}
	}
}

void
outline_text(const struct outline *o, enum outline_item item, const struct charsets *cs,
    struct buf *out)
{
	struct str s = o->item[item], inner;
	enum imaptext_kind kind;
	if (!imaptext_next(&s, &kind, &inner) || kind == IMAPTEXT_NIL)
		return;
	if (kind == IMAPTEXT_LIST) {
		put_addresses(out, inner, cs);
		return;
	}
	put_words(out, kind, inner, cs);
}

/* RFC 5957 3.1: the name, else mailbox@host; of a group its name. */
static void
put_display(struct buf *out, const struct address *a, const struct charsets *cs)
{
	size_t len = out->len;
	if (has(a, NAME))
		put_part(out, a, NAME, cs);
	if (str_trim(str_skip(buf_str(out), len)).len)
		return;
	buf_trunc(out, len);
	put_part(out, a, MAILBOX, cs);
	if (has(a, HOST)) {
		buf_putc(out, '@');
		put_part(out, a, HOST, cs);
	}
}

void
outline_sort_key(const struct outline *o, enum outline_item item, bool display,
    const struct charsets *cs, struct buf *out)
{
	struct str s = o->item[item], inner;
	enum imaptext_kind kind;
	struct address a;
	if (item == OUTLINE_SUBJECT) {
		struct buf text = BUF_INIT(OUTLINE_WIDE_FIELD * 4);
		outline_text(o, item, cs, &text);
		words_base_subject(buf_str(&text), out, NULL);
		buf_done(&text);
		return;
	}
	if (!imaptext_next(&s, &kind, &inner) || kind != IMAPTEXT_LIST || !next_address(&inner, &a))
		return;
	if (display)
		put_display(out, &a, cs);
	else /* RFC 5256 3, CC, FROM and TO: as it stands, not decoded */
		imaptext_unquote(out, a.kind[MAILBOX], a.part[MAILBOX]);
}
