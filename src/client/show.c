#include "client/show.h"

#include "cli/cli.h"
#include "client/exit.h"
#include "client/show_priv.h"
#include "explain/explain.h"

#include <ctype.h>
#include <inttypes.h>

#define CONTENT_SHOWN 60u /* lines of a letter, unless --verbose */

enum paint { PLAIN, SENT, CAME, GREY, YELLOW, DATA, NEWS, ANSWER, REFUSAL };
static const char *const paints[] = { [PLAIN] = "",
	[SENT] = "\x1b[94m",
	[CAME] = "\x1b[91m",
	[GREY] = "\x1b[90m",
	[YELLOW] = "\x1b[33m",
	[DATA] = "\x1b[31m",
	[NEWS] = "\x1b[95m",
	[ANSWER] = "\x1b[1;91m",
	[REFUSAL] = "\x1b[97;41m" };

/* --- escaping ----------------------------------------------------------------------------- */

/* The octets of the character at the beginning of s (RFC 3629 4); 0: it is none. */
size_t
show_character(struct str s, uint32_t *ret)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = c < 0x80                 ? 1
	           : c >= 0xc2 && c <= 0xdf ? 2
	           : (c & 0xf0) == 0xe0     ? 3
	           : c >= 0xf0 && c <= 0xf4 ? 4
	                                    : 0;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t v = n <= 1 ? c : c & (0x7fu >> n);

	if (n == 0 || n > s.len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		unsigned char d = (unsigned char)s.p[i];
		if ((d & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (d & 0x3fu);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*ret = v;
	return n;
}

/* What changes the order or the place of what stands beside it, or cannot be seen. */
static const struct {
	uint32_t from, to;
} hidden[] = {
	{ 0x00ad, 0x00ad },                     /* soft hyphen */
	{ 0x061c, 0x061c },                     /* Arabic letter mark */
	{ 0x180e, 0x180e }, { 0x200b, 0x200b }, /* no width */
	{ 0x200e, 0x200f },                     /* marks, embeddings, overrides, isolates */
	{ 0x2028, 0x202e },                     /* parting lines and paragraphs, too */
	{ 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, /* annotations */
	{ 0xe0000, 0xe0fff },                                       /* tags */
};

bool
show_is_hidden(uint32_t v)
{
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
		if (v >= hidden[i].from && v <= hidden[i].to)
			return true;
	return false;
}

void
show_escape(struct buf *out, struct str s)
{
	while (s.len) {
		uint32_t v = 0;
		size_t n = show_character(s, &v);
		if (n == 0 || v < 0x20 || v == 0x7f)
			buf_putf(out, "\\x%02x", (unsigned char)s.p[0]);
		else if (v >= 0x80 && v < 0xa0) /* C1: as the octets that it is made of */
			buf_putf(out, "\\x%02x\\x%02x", (unsigned char)s.p[0],
			    (unsigned char)s.p[1]);
		else if (show_is_hidden(v))
			buf_putf(out, "\\u{%04x}", v);
		else
			buf_puts(out, str_first(s, n));
		s = str_skip(s, n ? n : 1);
	}
}

/* --- putting ------------------------------------------------------------------------------ */

static bool
is_one_of(struct str word, const char *const *list)
{
	while (*list && !str_ieq(word, str_of(*list)))
		list++;
	return *list != NULL;
}

/* RFC 9051 7: status, data, message and mailbox data that came unasked, completion. */
static enum paint
imap_paint(struct str line)
{
	static const char *const bad[] = { "NO", "BAD", "BYE", NULL };
	static const char *const good[] = { "OK", "PREAUTH", NULL };
	static const char *const news[] = { "EXISTS", "RECENT", "EXPUNGE", NULL };
	struct str rest = line, tag = str_word(&rest), word = str_word(&rest);
	bool untagged = str_eq(tag, STR("*"));
	bool number = word.len && isdigit((unsigned char)word.p[0]);

	if (is_one_of(word, bad))
		return REFUSAL;
	if (is_one_of(word, good))
		return untagged ? CAME : ANSWER;
	if (untagged && number && is_one_of(str_word(&rest), news))
		return NEWS;
	return untagged ? DATA : CAME;
}

/* One line: label, octets, what was cut. */
static void
put_line(const struct show *s, struct buf *out, enum paint paint, const char *label,
    struct str octets, uint64_t total)
{
	bool color = s->color && paint != PLAIN;

	if (color)
		buf_putz(out, paints[paint]);
	buf_putz(out, label);
	show_escape(out, octets);
	if (total > octets.len)
		buf_putf(out, " [... cut: %" PRIu64 " octets in all]", total);
	if (color)
		buf_putz(out, "\x1b[0m");
	buf_putc(out, '\n');
}

static void
put_texts(const struct show *s, struct buf *out, enum paint paint, const char *label,
    struct str text)
{
	do {
		struct str line = str_cut(&text, '\n');
		put_line(s, out, paint, label, str_first(line, SHOW_LINE_MAX), line.len);
	} while (text.p);
}

void
show_note(const struct show *s, struct buf *out, struct str text)
{
	put_texts(s, out, GREY, "#  ", text);
}

static void
put_content_rest(struct show *s, struct buf *out)
{
	if (s->content && s->shown < SHOW_SEEN)
		buf_putf(out, "%s#  %u more lines of the letter (--verbose shows them)%s\n",
		    s->color ? paints[GREY] : "", s->content, s->color ? "\x1b[0m" : "");
	s->content = s->shown = 0;
}

/* The held line goes out, whole or not. */
static void
put_held(struct show *s, struct buf *out)
{
	struct str octets = str_n(s->held, s->n_held);

	if (!s->holds)
		return;
	if (s->held_content && !s->verbose && s->shown >= CONTENT_SHOWN)
		s->content++;
	else
		put_line(s, out,
		    s->held_send ? SENT
		    : s->imap    ? imap_paint(octets)
				 : CAME,
		    s->held_send ? s->us : s->them, octets, s->total);
	s->shown += s->held_content;
	s->n_held = 0;
	s->total = 0;
	s->holds = false;
}

static void
end_line(struct show *s, struct buf *out)
{
	/* CR belongs to the end; anywhere else it is shown. */
	if (s->n_held && s->n_held == s->total && s->held[s->n_held - 1] == '\r') {
		s->n_held--;
		s->total--;
	}
	put_held(s, out);
}

static void
hold(struct show *s, struct buf *out, struct str octets, bool send, bool content)
{
	if (s->holds && s->held_send != send)
		put_held(s, out);
	if (!content)
		put_content_rest(s, out);
	while (octets.len) {
		size_t lf = str_find(octets, '\n');
		bool whole = lf < octets.len;
		size_t n = MIN(lf, sizeof(s->held) - s->n_held);
		if (n)
			memcpy(s->held + s->n_held, octets.p, n);
		s->n_held += n;
		s->total += lf;
		s->holds = true;
		s->held_send = send;
		s->held_content = content;
		octets = str_skip(octets, lf + whole);
		if (whole)
			end_line(s, out);
	}
}

/* --- events ------------------------------------------------------------------------------- */

static void
on_send(struct show *s, struct buf *out, const struct event *e)
{
	bool secret = e->masked.p && !s->show_secrets;

	if (s->quiet)
		return;
	hold(s, out, secret ? e->masked : e->octets, true, e->content);
	if (secret && !(e->masked.len && e->masked.p[e->masked.len - 1] == '\n'))
		end_line(s, out);
	if (s->decode_auth && !e->content)
		show_auth_sent(s, out, e);
}

static void
on_line(struct show *s, struct buf *out, const struct event *e)
{
	bool secret = e->masked.p && !s->show_secrets;

	if (s->quiet)
		return;
	hold(s, out, secret ? e->masked : e->octets, false, false);
	if (secret && !(e->masked.len && e->masked.p[e->masked.len - 1] == '\n'))
		end_line(s, out);
	if (s->decode_auth)
		show_auth_came(s, out, e);
}

/* The reply is looked up as it would stand in a log. */
bool
show_meaning(enum show_explain when, const struct event *e, struct buf *out)
{
	struct buf reply = BUF_INIT(EXPLAIN_TEXT_MAX + 16);
	struct explain_hit hit;
	bool always = when == SHOW_EXPLAIN_ALWAYS;

	if (when == SHOW_EXPLAIN_NEVER || (!always && e->code && e->code < 400))
		return false;
	if (e->code)
		buf_putf(&reply, "%d ", e->code);
	buf_puts(&reply, str_first(e->text, EXPLAIN_TEXT_MAX));
	bool known = explain_reply_of(e->code ? EXPLAIN_SMTP : EXPLAIN_ANY, buf_str(&reply), &hit);
	bool error = known && (hit.kind == EXPLAIN_TEMPORARY || hit.kind == EXPLAIN_PERMANENT);
	known = known && (error || always);
	if (known)
		explain_short(&hit, out);
	buf_done(&reply);
	return known;
}

/* As it came: the code stands before each line. */
static void
put_refusal(struct show *s, struct buf *out, const struct event *e)
{
	struct str rest = e->text;
	struct buf line = BUF_INIT(EXPLAIN_TEXT_MAX + 16);

	do {
		struct str one = str_first(str_cut(&rest, '\n'), EXPLAIN_TEXT_MAX);
		buf_reset(&line);
		buf_putf(&line, "%d%c" STR_FMT, e->code, rest.p ? '-' : ' ', STR_ARG(one));
		put_texts(s, out, CAME, s->them, buf_str(&line));
	} while (rest.p);
	buf_done(&line);
}

static void
on_reply(struct show *s, struct buf *out, const struct event *e)
{
	struct buf text = BUF_INIT(8192);

	put_held(s, out);
	if (s->quiet && e->code >= 400)
		put_refusal(s, out, e);
	if (s->timing && !s->quiet) {
		char took[64];
		snprintf(took, sizeof(took), "answered in %.1f ms", (double)e->took_us / 1000);
		show_note(s, out, str_of(took));
	}
	if (show_meaning(s->explain, e, &text))
		show_note(s, out, buf_str(&text));
	buf_done(&text);
}

static void
on_connect(struct show *s, struct buf *out, const struct event *e)
{
	if (s->quiet)
		return;
	buf_putz(out, "Connected to ");
	show_escape(out, e->text);
	buf_putz(out, ".\n");
	if (s->escape)
		buf_putz(out, "Escape character is '^]'.\n");
}

static void
on_close(struct show *s, struct buf *out, const struct event *e)
{
	put_held(s, out);
	put_content_rest(s, out);
	if (s->quiet || (e->status == 0 && !s->verbose))
		return;
	show_escape(out, e->text);
	buf_putc(out, '\n');
}

/* What went wrong is for standard error, where it is seen when the rest goes into a file. */
static void
on_result(struct show *s, struct buf *out, const struct event *e)
{
	put_held(s, out);
	put_content_rest(s, out);
	if (e->text.len == 0 || e->status != CLIENT_OK)
		return;
	put_texts(s, out, PLAIN, "", e->text);
}

static void
complain_result(const struct event *e)
{
	struct buf text = BUF_INIT(1u << 20);
	struct str rest = e->text;

	if (e->text.len == 0 || e->status == CLIENT_OK)
		return;
	while (rest.p) {
		show_escape(&text, str_cut(&rest, '\n'));
		buf_putc(&text, '\n');
	}
	complain_lines(buf_str(&text));
	buf_done(&text);
}

static void
put_event(struct show *s, struct buf *out, const struct event *e)
{
	switch (e->kind) {
	case EVENT_SEND:
		on_send(s, out, e);
		return;
	case EVENT_LINE:
		if (!s->hold_lines)
			on_line(s, out, e);
		return;
	case EVENT_REPLY:
		on_reply(s, out, e);
		return;
	case EVENT_CLOSE:
		on_close(s, out, e);
		return;
	case EVENT_RESULT:
		on_result(s, out, e);
		return;
	case EVENT_RESOLVE:
		if (s->verbose)
			show_note(s, out, e->text);
		return;
	case EVENT_TRYING:
		if (s->quiet)
			return;
		buf_putz(out, "Trying ");
		show_escape(out, e->text);
		buf_putz(out, "...\n");
		return;
	case EVENT_CONNECT:
		on_connect(s, out, e);
		return;
	case EVENT_TLS:
	case EVENT_NOTE:
		put_held(s, out);
		if (!s->quiet)
			put_texts(s, out, e->status ? YELLOW : GREY, "#  ", e->text);
		return;
	case EVENT_WARN:
		put_held(s, out);
		put_texts(s, out, YELLOW, "#  ", e->text);
		return;
	case EVENT_KINDS:
		break;
	}
}

void
show_event(void *arg, const struct event *e)
{
	struct show *s = arg;
	struct buf out = BUF_INIT(SIZE_MAX / 2);

	put_event(s, &out, e);
	if (out.len) {
		if (s->before)
			s->before(s->arg);
		fwrite(out.p, 1, out.len, s->out);
		if (!e->content)
			fflush(s->out);
		if (s->after)
			s->after(s->arg);
	}
	if (e->kind == EVENT_RESULT)
		complain_result(e);
	if (s->show_secrets)
		buf_wipe(&out);
	buf_done(&out);
}
