#include "oneshot/letters.h"

#include "base/utf8.h"
#include "smtp/merge.h"

#include <stdio.h>
#include <stdlib.h>

struct letters {
	struct smtp_conf conf;
	struct smtp_merge *m;
	struct buf body;
	struct str from;
	bool sealed, parts_8bit;
	int64_t sec;
	int zone;
	struct merge_letter letter;
};

/* Why a row cannot be sent; the rest is for a server to say. */
static const char *
text_of(enum smtp_situation no)
{
	static const struct {
		enum smtp_situation no;
		const char *text;
	} rows[] = {
		{ SMTP_IPMM_RESERVED, "the name of a variable is reserved" },
		{ SMTP_IPMM_XDFN_SYNTAX, "a name or a value cannot be written as XDFN" },
		{ SMTP_IPMM_PARTS_SYNTAX,
		    "*PARTS is no list of parts that there are, as 1,3 or 1-3" },
		{ SMTP_IPMM_NUL, "a value holds a NUL" },
		{ SMTP_MAIL_LOWRES, "its values are too long (64 KiB together)" },
		{ SMTP_XPRT_TOOBIG, "its letter takes more words than a merge may put in" },
		{ SMTP_DATA_HEADERTOOBIG, "the header of its letter is too large" },
		{ SMTP_DATA_HOPS, "its letter has too many Received fields" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].no == no)
			return rows[i].text;
	return "its letter cannot be put together";
}

static bool
take_names(struct letters *l, const struct str *names, size_t n, struct buf *err)
{
	for (size_t i = 0; i < n; i++) {
		struct buf line = BUF_INIT(4096);
		buf_putf(&line, STR_FMT "=\"\"", STR_ARG(names[i]));
		enum smtp_situation no = smtp_merge_define(l->m, buf_str(&line));
		buf_done(&line);
		smtp_merge_forget(l->m);
		if (no == SMTP_NONE)
			continue;
		buf_putf(err,
		    "the column \"" STR_FMT
		    "\" is no name of a variable (%s); letters, digits, _ and - "
		    "make one, a letter first",
		    STR_ARG(names[i]), text_of(no));
		return false;
	}
	return true;
}

static bool
take_part(struct letters *l, unsigned no, struct str text, struct buf *err)
{
	char arg[16];
	struct str bad;
	int n = snprintf(arg, sizeof(arg), "%u", no);
	check(smtp_merge_xprt(l->m, str_n(arg, (size_t)n), &bad) == SMTP_NONE);
	smtp_merge_part_begin(l->m);
	bool ok = smtp_merge_part_feed(l->m, text);
	smtp_merge_part_end(l->m);
	buf_puts(&l->body, text);
	if (!ok || l->body.failed)
		buf_putf(err, "part %u is too large, or has more than %d places for words", no,
		    MERGE_TAGS_MAX);
	return ok && !l->body.failed;
}

struct letters *
letters_new(const struct str *parts, size_t n_parts, const struct str *names, size_t n_names,
    bool brackets, int64_t sec, int zone, struct buf *err)
{
	struct letters *l = xalloc(sizeof(*l));
	check(n_parts > 0 && n_parts <= LETTERS_PARTS_MAX);
	l->conf = (struct smtp_conf){ .ipmm = true,
		.ipmm_brackets = brackets,
		.ipmm_parts = n_parts,
		.max_size = UINT64_MAX / 4,
		.header_lines = UINT32_MAX,
		.header_bytes = 4u << 20,
		.hops = 100,
		.two_from_ok = true };
	l->sec = sec;
	l->zone = zone;
	buf_init(&l->body, LETTERS_BODY_MAX);
	l->m = smtp_merge_new(&l->conf);
	bool ok = take_names(l, names, n_names, err);
	for (size_t i = 0; ok && i < n_parts; i++)
		ok = take_part(l, (unsigned)i + 1, parts[i], err);
	l->parts_8bit = ok && !utf8_is_ascii(buf_str(&l->body));
	return ok ? l : letters_free(l);
}

struct letters *
letters_free(struct letters *l)
{
	if (!l)
		return NULL;
	smtp_merge_free(l->m);
	buf_done(&l->body);
	free(l);
	return NULL;
}

void
letters_from(struct letters *l, struct str from)
{
	check(!l->sealed);
	l->from = from;
	l->sealed = true;
	smtp_merge_seal(l->m, from, l->sec, l->zone);
}

bool
letters_make(struct letters *l, struct str to, struct str xdfn, struct buf *err)
{
	struct smtp_rcpt r = { .addr = { .whole = to } };
	enum smtp_situation no = SMTP_NONE;
	check(l->sealed);
	l->letter.n = 0;
	l->letter.size = 0;
	smtp_merge_clear(l->m);
	while (no == SMTP_NONE && xdfn.len)
		no = smtp_merge_define(l->m, str_cut(&xdfn, '\n'));
	if (no == SMTP_NONE && !smtp_merge_rcpt_add(l->m, &r))
		no = SMTP_MAIL_LOWRES;
	if (no == SMTP_NONE)
		no = smtp_merge_letter(l->m, l->m->last, &l->letter);
	if (no != SMTP_NONE)
		buf_putz(err, text_of(no));
	return no == SMTP_NONE;
}

size_t
letters_pieces(const struct letters *l)
{
	return l->letter.n;
}

struct str
letters_piece(const struct letters *l, size_t i)
{
	check(i < l->letter.n);
	const struct merge_piece *p = &l->letter.piece[i];
	if (p->literal)
		return p->text;
	check(p->off <= l->body.len && p->len <= l->body.len - p->off);
	return str_n(l->body.p + p->off, (size_t)p->len);
}

bool
letters_is_8bit(const struct letters *l)
{
	bool high = l->parts_8bit;
	for (size_t i = 0; !high && i < l->letter.n; i++)
		high = l->letter.piece[i].literal && !utf8_is_ascii(l->letter.piece[i].text);
	return high;
}
