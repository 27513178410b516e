/*
 * APPEND (RFC 9051 6.3.12; RFC 3502, RFC 4315, RFC 6855, RFC 7889): letters stream past.
 *
 * Before a letter is invited it is asked whether it may come: what can be refused is refused in
 * front of its octets. What comes unasked (LITERAL+) is eaten before the refusal is said, so that
 * what follows is read as what it is. On the way a bare LF becomes CR LF, and the outline is made.
 */
#include "imap/imap_priv.h"

#include "mail/outline.h"

#include <stdlib.h>

#define SKIP_MAX (64u << 10)      /* a refused letter of this size is eaten in any case */
#define OUTLINES_MAX (512u << 10) /* of all letters; further ones go without */
#define LETTERS_LEN_MAX (ACCESS_CHANGE_MAX - (64u << 10))

struct imap_append {
	struct str name;
	uint64_t *ids; /* of letters that are not kept yet */
	unsigned n_ids;
	struct buf letters;
	uint16_t n_letters;
	/* the letter at hand: */
	struct imap_literal literal;
	bool has_literal, utf8;
	struct access_new letter;
	enum { LINE_BEGIN, LINE_CR, LINE_TEXT, HEADER_OVER } line; /* of its header */
	uint64_t header_len;
	struct outline_builder *outline;
	struct buf fixed;
	bool after_cr;
};

void
imap_append_free(struct imap_session *s)
{
	struct imap_append *x = s->cmd->append;
	if (!x)
		return;
	if (x->n_ids) {
		free(s->dropped);
		s->dropped = x->ids;
		s->n_dropped = x->n_ids;
		s->flags |= F_DROP;
	} else {
		free(x->ids);
	}
	buf_done(&x->letters);
	buf_done(&x->fixed);
	x->outline = outline_free(x->outline);
	free(x);
	s->cmd->append = NULL;
}

/* --- refusing --- */

/* The first refusal stands. code NULL: BAD. */
static void
refuse(struct imap_session *s, const char *code, const char *why)
{
	if (imap_is_refused(s))
		return;
	struct buf *out = imap_refusal_begin(s);
	if (code)
		(void)imap_no(s, code, "%s", why);
	else
		(void)imap_bad(s, "%s", why);
	imap_refusal_end(s, out);
}

static enum imap_run
skip_letter(struct imap_session *s)
{
	struct imap_append *x = s->cmd->append;
	uint64_t max = s->conf->max_size == UINT64_MAX ? SKIP_MAX : s->conf->max_size;
	if (x->literal.size > MAX(max, (uint64_t)SKIP_MAX)) {
		buf_puts(s->cmd->out, buf_str(&s->cmd->refusal));
		return imap_bye(s, s->cmd->out, "TOOBIG", "a literal of %llu octets is too large",
		    (unsigned long long)x->literal.size);
	}
	s->cmd->literal_left = x->literal.size;
	return RUN_LETTER;
}

/* The refusal is said as soon as nothing comes any more unasked. */
static enum imap_run
refused(struct imap_session *s)
{
	struct imap_append *x = s->cmd->append;
	if (x->has_literal && x->literal.plus)
		return skip_letter(s);
	buf_puts(s->cmd->out, buf_str(&s->cmd->refusal));
	return RUN_DONE;
}

/* --- a letter's octets --- */

/* A bare LF becomes CR LF (RFC 5322 2.3). The run is borrowed where nothing is to be changed. */
static struct str
with_crlf(struct imap_append *x, struct str octets)
{
	bool cr = x->after_cr, bare = false;
	for (size_t i = 0; i < octets.len; i++) {
		bare = bare || (octets.p[i] == '\n' && !cr);
		cr = octets.p[i] == '\r';
	}
	bool was = x->after_cr;
	x->after_cr = cr;
	if (!bare)
		return octets;
	buf_reset(&x->fixed);
	for (size_t i = 0; i < octets.len; i++) {
		if (octets.p[i] == '\n' && !was)
			buf_putc(&x->fixed, '\r');
		buf_putc(&x->fixed, octets.p[i]);
		was = octets.p[i] == '\r';
	}
	return buf_str(&x->fixed);
}

/* The header ends at the first empty line and nowhere else, as in mail/mime.h: what is kept is what
 * came, an mbox line or a damaged field with it. */
static void
look_for_end(struct imap_append *x, struct str octets)
{
	uint64_t at = x->letter.size - octets.len;
	for (size_t i = 0; i < octets.len && x->line != HEADER_OVER; i++) {
		char c = octets.p[i];
		if (c == '\n' && x->line != LINE_TEXT) {
			x->line = HEADER_OVER;
		} else if (c == '\n') {
			x->line = LINE_BEGIN;
			x->header_len = at + i + 1;
		} else {
			x->line = c == '\r' && x->line == LINE_BEGIN ? LINE_CR : LINE_TEXT;
		}
	}
}

void
imap_append_octets(struct imap_session *s, struct str octets, struct str *ret_chunk)
{
	struct imap_append *x = s->cmd->append;
	if (imap_is_refused(s))
		return;
	if (!x->literal.eight && str_find(octets, '\0') < octets.len) {
		refuse(s, NULL, "a NUL in a letter; it needs a literal8 (RFC 3516)");
		return;
	}
	if (!x->literal.eight)
		octets = with_crlf(x, octets);
	x->letter.size += octets.len;
	if (x->fixed.failed || x->letter.size > s->conf->max_size) {
		refuse(s, "TOOBIG", "the letter is too large");
		return;
	}
	look_for_end(x, octets);
	outline_feed(x->outline, octets);
	*ret_chunk = octets;
}

static void
end_outline(struct imap_append *x, struct buf *record)
{
	bool fits = x->letters.len < OUTLINES_MAX;
	if (!fits || !outline_end(x->outline, STR_NULL, record))
		buf_reset(record);
	x->outline = outline_free(x->outline);
	x->letter.outline = buf_str(record);
}

static enum imap_run append_line(struct imap_session *s, struct str line, const char *wrong);

enum imap_run
imap_append_whole(struct imap_session *s)
{
	struct imap_append *x = s->cmd->append;
	s->cmd->line = append_line;
	if (imap_is_refused(s))
		return RUN_LINE;
	struct buf record = BUF_INIT(OUTLINE_MAX);
	if (x->line != HEADER_OVER)
		x->header_len = x->letter.size;
	x->letter.header_len = (uint32_t)MIN(x->header_len, (uint64_t)UINT32_MAX);
	end_outline(x, &record);
	access_new_put(&x->letters, &x->letter);
	buf_done(&record);
	x->n_letters++;
	if (x->letters.failed)
		refuse(s, "LIMIT", "too many letters at once");
	return RUN_LINE;
}

/* --- what stands in front of a letter --- */

static enum imap_run
may_come(struct imap_session *s, const struct imap_answer *a)
{
	struct imap_append *x = s->cmd->append;
	if (a->status != ACCESS_OK) {
		struct buf *out = imap_refusal_begin(s);
		(void)imap_refuse(s, a->status, true);
		imap_refusal_end(s, out);
		return refused(s);
	}
	x->ids[x->n_ids++] = x->letter.id = a->letter;
	x->line = LINE_BEGIN;
	x->header_len = 0;
	x->outline = outline_new(s->conf->charsets);
	x->after_cr = false;
	if (!x->literal.plus)
		buf_putz(s->cmd->out, "+ OK\r\n");
	s->cmd->literal_left = x->literal.size;
	return RUN_LETTER;
}

/* [SP flags] [SP date-time] SP literal, or SP "UTF8 (" literal8. */
static bool
letter_head(struct imap_session *s, struct imap_lex *x)
{
	struct imap_append *p = s->cmd->append;
	struct imap_literal l;
	int64_t seconds = s->cmd->clock->wall;
	p->letter = (struct access_new){ 0 };
	(void)imap_lex_sp(x);
	if (imap_lex_peek(x, '(') &&
	    imap_lex_flags(s, x, true, &p->letter.flags, &p->letter.keywords))
		(void)imap_lex_sp(x);
	if (imap_lex_peek(x, '"') && imap_lex_date_time(x, &seconds))
		(void)imap_lex_sp(x);
	p->letter.time_ms = seconds > 0 ? (uint64_t)seconds * 1000 : 0;
	p->utf8 = !x->bad && str_istarts(x->rest, STR("UTF8 ("));
	if (p->utf8)
		x->rest = str_skip(x->rest, 6);
	if (x->bad)
		return false;
	if (!imap_lex_literal_head(x->rest, &l) || l.head != x->rest.len || (p->utf8 && !l.eight))
		return imap_lex_fail(x, "a letter comes as a literal");
	return true;
}

static enum imap_run
next_letter(struct imap_session *s, struct imap_lex *x)
{
	struct imap_append *p = s->cmd->append;
	if (!letter_head(s, x))
		refuse(s, NULL, x->why);
	else if (p->literal.size == 0)
		refuse(s, "CANNOT", "an empty letter: nothing is kept");
	else if (p->literal.size > s->conf->max_size || p->literal.size > INT64_MAX)
		refuse(s, "TOOBIG", "the letter is too large");
	else if (p->n_letters == ACCESS_LETTERS_MAX)
		refuse(s, "LIMIT", "too many letters at once");
	if (imap_is_refused(s))
		return refused(s);
	s->letter_size = p->literal.size;
	s->letter_name = p->name;
	return imap_ask(s, IMAP_ASK_LETTER, may_come);
}

/* --- the end --- */

/* The ranges may stand in any order (access.h). */
static void
put_uids(struct buf *out, struct str octets)
{
	struct wire w = wire_of(octets);
	const char *comma = "";
	while (w.left && !w.bad) {
		uint32_t first = get_u32(&w), last = get_u32(&w);
		buf_putf(out, first == last ? "%s%u" : "%s%u:%u", comma, first, last);
		comma = ",";
	}
}

static enum imap_run
appended(struct imap_session *s, const struct imap_answer *a)
{
	struct imap_append *x = s->cmd->append;
	struct access_changed c;
	if (a->status != ACCESS_OK || !access_changed_get(a->octets, &c))
		return imap_refuse(s, imap_answer_status(a), true);
	x->n_ids = 0;
	struct buf code = BUF_INIT(IMAP_LINE_MAX);
	buf_putf(&code, "APPENDUID %u ", c.uidvalidity);
	put_uids(&code, c.to_uids);
	if (s->view && s->view->mailbox == c.mailbox)
		s->view->stirred = true;
	const char *text = c.to_uids.len && !code.failed ? buf_cstr(&code) : NULL;
	enum imap_run run = imap_ok(s, text, NULL);
	buf_done(&code);
	return run;
}

/* What stands behind a letter: the end, or another one. */
static enum imap_run
append_line(struct imap_session *s, struct str line, const char *wrong)
{
	struct imap_append *x = s->cmd->append;
	struct imap_lex lex = { .rest = line, .utf8 = imap_is_utf8(s) };
	x->has_literal = imap_line_literal(line, &x->literal);
	if (wrong)
		refuse(s, NULL, wrong);
	else if (x->utf8 && !imap_lex_char(&lex, ')'))
		refuse(s, NULL, lex.why);
	if (imap_is_refused(s))
		return refused(s);
	if (lex.rest.len)
		return next_letter(s, &lex);
	s->change = (struct access_change){ .kind = ACCESS_APPEND,
		.name = x->name,
		.n_letters = x->n_letters,
		.letters = buf_str(&x->letters) };
	return imap_change(s, appended);
}

enum imap_run
imap_cmd_append(struct imap_session *s)
{
	struct imap_command *c = s->cmd;
	struct imap_lex *x = &c->lex;
	struct imap_append *p = c->append = xalloc(sizeof(*p));
	p->ids = xalloc(ACCESS_LETTERS_MAX * sizeof(*p->ids));
	buf_init(&p->letters, LETTERS_LEN_MAX);
	buf_init(&p->fixed, 2 * IMAP_LINE_MAX);
	struct str last = str_rtrim(str_skip(buf_str(&c->text), c->line_at));
	p->has_literal = imap_line_literal(last, &p->literal);
	if (str_ends(x->rest, STR("\r\n")))
		x->rest.len -= 2;
	(void)imap_lex_sp(x);
	struct str wire = imap_lex_astring(x, &c->arena);
	if (x->bad) {
		refuse(s, NULL, x->why);
		return refused(s);
	}
	struct buf *out = imap_refusal_begin(s);
	enum imap_run run;
	(void)imap_name(s, wire, &p->name, &run);
	imap_refusal_end(s, out);
	return imap_is_refused(s) ? refused(s) : next_letter(s, x);
}
