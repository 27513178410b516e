/* Header fields: folding (RFC 5322 2.2.3) and encoded words (RFC 2047). */
#include "mail/compose.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/utf8.h"

#define WORD_MAX 75u   /* octets of an encoded word: RFC 2047 2 */
#define WORD_FRAME 17u /* =?iso-8859-1?B?...?= */

/* A field that is being written: where its line stands. */
struct field {
	struct buf *out;
	size_t at;
	bool first; /* nothing but the name stands in it */
};

/* A word, behind a blank or on a line of its own. */
static void
put_word(struct field *f, struct str word)
{
	if (!f->first && f->at + 1 + word.len > COMPOSE_LINE) {
		buf_putz(f->out, "\r\n");
		f->at = 0;
	}
	buf_putc(f->out, ' ');
	buf_puts(f->out, word);
	f->at += 1 + word.len;
	f->first = false;
}

/* Whole characters of text, as many as one encoded word holds. */
static size_t
fits(struct str text)
{
	size_t most = (WORD_MAX - WORD_FRAME) / 4 * 3, n = MIN(text.len, most);
	while (n < text.len && n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--;
	return n ? n : MIN(text.len, most);
}

static void
put_encoded(struct field *f, struct str text)
{
	const char *charset = utf8_valid(text) ? "utf-8" : "iso-8859-1";
	while (text.len > 0) {
		struct buf b = BUF_INIT(200);
		size_t n = fits(text);
		buf_putf(&b, "=?%s?B?", charset);
		base64_enc(&b, str_first(text, n));
		buf_putz(&b, "?=");
		put_word(f, buf_str(&b));
		buf_done(&b);
		text = str_skip(text, n);
	}
}

/* The quoted string at the start of s, with its quotes; 0: there is none. */
static size_t
quoted_len(struct str s)
{
	if (s.len < 2 || s.p[0] != '"')
		return 0;
	for (size_t i = 1; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return 0;
}

/* The words at the start of s that need encoding, with the blanks between them. */
static size_t
foreign_len(struct str s)
{
	size_t end = 0;
	for (size_t i = 0; i < s.len;) {
		struct str rest = str_skip(s, i);
		struct str word = str_first(rest, str_find_any(rest, " \t"));
		if (word.len > 0 && utf8_is_ascii(word) && !str_starts(word, STR("=?")))
			break;
		i += word.len;
		if (word.len > 0)
			end = i;
		while (i < s.len && (s.p[i] == ' ' || s.p[i] == '\t'))
			i++;
	}
	return end;
}

static void
put_unquoted(struct field *f, struct str s)
{
	struct buf b = BUF_INIT(s.len);
	for (size_t i = 1; i + 1 < s.len; i++) {
		if (s.p[i] == '\\' && i + 2 < s.len)
			i++;
		buf_putc(&b, s.p[i]);
	}
	put_encoded(f, buf_str(&b));
	buf_done(&b);
}

bool
compose_field(struct buf *out, struct str name, struct str value, bool utf8)
{
	struct field f = { .out = out, .at = name.len + 1, .first = true };
	for (size_t i = 0; i < value.len; i++)
		if (((unsigned char)value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
			return false;
	buf_puts(out, name);
	buf_putc(out, ':');
	utf8 = utf8 && utf8_valid(value);
	for (value = str_trim(value); value.len > 0; value = str_ltrim(value)) {
		size_t quoted = quoted_len(value);
		size_t foreign = utf8 || quoted ? 0 : foreign_len(value);
		size_t n = quoted ? quoted : foreign;
		if (quoted && !utf8 && !utf8_is_ascii(str_first(value, quoted))) {
			put_unquoted(&f, str_first(value, quoted));
		} else if (foreign) {
			put_encoded(&f, str_first(value, foreign));
		} else {
			/* A quoted string may have something behind it without a blank. */
			struct str rest = str_skip(value, n);
			rest = str_first(rest, str_find_any(rest, " \t"));
			if (utf8 || utf8_is_ascii(rest))
				n += rest.len;
			put_word(&f, str_first(value, n));
		}
		value = str_skip(value, n);
	}
	if (f.first)
		buf_putc(out, ' ');
	buf_putz(out, "\r\n");
	return true;
}
