#include "mail/preview.h"

#include "base/check.h"
#include "base/num.h"
#include "mail/utf.h"

#include <ctype.h>

#define SLICE 256

enum { IN_TEXT, IN_TAG_NAME, IN_TAG, IN_ENTITY };

void
preview_init(struct preview *p, const struct charsets *cs)
{
	*p = (struct preview){ .cs = cs };
	buf_init(&p->octets, SLICE * 4);
	buf_init(&p->utf8, SLICE * 16);
}

void
preview_done(struct preview *p)
{
	p->charset = charset_free(p->charset);
	buf_done(&p->octets);
	buf_done(&p->utf8);
	p->done = true;
}

void
preview_again(struct preview *p)
{
	p->charset = charset_free(p->charset);
	buf_reset(&p->octets);
	buf_reset(&p->utf8);
	p->chars = 0;
	p->len = 0;
	p->blank = p->done = false;
}

void
preview_begin(struct preview *p, enum mime_encoding encoding, struct str charset, bool html)
{
	mime_decode_init(&p->decoder, encoding);
	p->charset = charset_free(p->charset);
	p->charset = charset_new(p->cs, charset);
	if (!p->charset)
		p->charset = charset_new(NULL, STR("utf-8"));
	p->fed = 0;
	p->html = html;
	p->state = IN_TEXT;
	p->word_len = 0;
	p->skip[0] = '\0';
}

static bool
is_space(uint32_t c)
{
	if (c < 0x7f)
		return c <= ' ';
	return c <= 0xa0 || c == 0xfeff || (c >= 0x2000 && c <= 0x200f) || c == 0x2028 ||
	       c == 0x2029 || c == 0x34f;
}

/* One character of the text as it is shown. */
static void
put_char(struct preview *p, uint32_t c)
{
	if (is_space(c)) {
		p->blank = true;
		return;
	}
	if (p->blank && p->chars && p->chars < PREVIEW_CHARS) {
		p->text[p->len++] = ' ';
		p->chars++;
	}
	p->blank = false;
	if (p->chars < PREVIEW_CHARS) {
		if (c < 0x80)
			p->text[p->len++] = (char)c;
		else
			p->len += utf_write(p->text + p->len, c);
		p->chars++;
	}
	p->done |= p->chars >= PREVIEW_CHARS;
}

/* --- HTML --- */

static bool
is_one_of(struct str word, const char *const *list)
{
	for (; *list; list++)
		if (str_ieq(word, str_of(*list)))
			return true;
	return false;
}

/* A tag has been read. */
static void
tag_end(struct preview *p)
{
	static const char *const hidden[] = { "style", "script", "head", "title", NULL };
	static const char *const inner[] = { "a", "abbr", "b", "big", "code", "em", "font", "i",
		"s", "small", "span", "strong", "sub", "sup", "tt", "u", NULL };
	struct str word = str_n(p->word, p->word_len);
	bool closing = str_starts(word, STR("/"));
	struct str name = str_skip(word, closing);
	if (p->skip[0]) {
		if (closing && str_ieq(name, str_of(p->skip)))
			p->skip[0] = '\0';
	} else if (!closing && is_one_of(name, hidden)) {
		(void)str_copy(p->skip, sizeof(p->skip), name);
	} else if (!is_one_of(name, inner)) {
		p->blank = true;
	}
	p->state = IN_TEXT;
	p->word_len = 0;
}

static void
put_word(struct preview *p)
{
	for (size_t i = 0; i < p->word_len; i++)
		put_char(p, (unsigned char)p->word[i]);
}

/* "&name;" has been read, '&' and all but ';'. */
static void
entity_end(struct preview *p)
{
	static const struct {
		const char *name;
		uint32_t c;
	} known[] = { { "&amp", '&' }, { "&lt", '<' }, { "&gt", '>' }, { "&quot", '"' },
		{ "&apos", '\'' }, { "&nbsp", ' ' }, { "&zwnj", ' ' }, { "&shy", ' ' } };
	struct str word = str_n(p->word, p->word_len);
	uint64_t v = 0;
	p->state = IN_TEXT;
	if (str_istarts(word, STR("&#x")) ? num_hex(str_skip(word, 3), &v)
	    : str_starts(word, STR("&#")) ? num_u64(str_skip(word, 2), 0x10ffff, &v)
					  : false) {
		bool none = v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff);
		put_char(p, none ? UTF_NONE : (uint32_t)v);
		p->word_len = 0;
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!str_eq(word, str_of(known[i].name)))
			continue;
		put_char(p, known[i].c);
		p->word_len = 0;
		return;
	}
	put_word(p);
	p->word_len = 0;
	put_char(p, ';');
}

static void
html_text(struct preview *p, uint32_t c)
{
	if (c == '<') {
		p->state = IN_TAG_NAME;
		p->word_len = 0;
	} else if (p->skip[0]) {
		return;
	} else if (c == '&') {
		p->state = IN_ENTITY;
		p->word[0] = '&';
		p->word_len = 1;
	} else {
		put_char(p, c);
	}
}

static void
html_char(struct preview *p, uint32_t c)
{
	bool word = c < 0x80 && (isalnum((int)c) || (p->word_len == 0 && c == '/') ||
				    (p->state == IN_ENTITY && c == '#'));
	if (p->state == IN_TEXT) {
		html_text(p, c);
	} else if (p->state == IN_TAG && c != '>') {
		return;
	} else if (word && p->word_len < sizeof(p->word)) {
		p->word[p->word_len++] = (char)c;
	} else if (p->state == IN_ENTITY) {
		if (c == ';') {
			entity_end(p);
			return;
		}
		p->state = IN_TEXT;
		put_word(p);
		p->word_len = 0;
		html_text(p, c);
	} else if (c == '>') {
		tag_end(p);
	} else {
		p->state = IN_TAG;
	}
}

/* --- feeding --- */

/* put_char() for the ASCII at the start of s, as far as there is room; how many octets. */
static size_t
put_ascii(struct preview *p, struct str s)
{
	unsigned chars = p->chars;
	char *o = p->text + p->len;
	bool blank = p->blank;
	size_t i = 0;
	for (; i < s.len && chars < PREVIEW_CHARS; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x7f)
			break;
		if (c <= ' ') {
			blank = true;
			continue;
		}
		if (blank && chars && ++chars)
			*o++ = ' ';
		blank = false;
		if (chars < PREVIEW_CHARS && ++chars)
			*o++ = (char)c;
	}
	p->blank = blank;
	p->chars = chars;
	p->len = (size_t)(o - p->text);
	p->done |= chars >= PREVIEW_CHARS;
	return i;
}

static void
take_text(struct preview *p)
{
	struct str s = buf_str(&p->utf8);
	for (size_t i = 0, n; i < s.len && !p->done; i += n) {
		uint32_t c = (unsigned char)s.p[i];
		if (!p->html && c < 0x7f) {
			n = put_ascii(p, str_skip(s, i));
			continue;
		}
		int len = c < 0x80 ? 1 : utf_next(str_skip(s, i), &c);
		if (len <= 0)
			break;
		if (p->html)
			html_char(p, c);
		else
			put_char(p, c);
		n = (size_t)len;
	}
	buf_reset(&p->utf8);
}

bool
preview_feed(struct preview *p, struct str octets)
{
	while (octets.len && !p->done && p->fed < PREVIEW_INPUT_MAX) {
		struct str slice = str_first(octets, SLICE);
		octets = str_skip(octets, slice.len);
		p->fed += slice.len;
		buf_reset(&p->octets);
		mime_decode(&p->decoder, slice, &p->octets);
		charset_feed(p->charset, buf_str(&p->octets), &p->utf8);
		take_text(p);
	}
	return !p->done && p->fed < PREVIEW_INPUT_MAX;
}

void
preview_end(struct preview *p)
{
	if (p->charset && !p->done) {
		buf_reset(&p->octets);
		mime_decode_end(&p->decoder, &p->octets);
		charset_feed(p->charset, buf_str(&p->octets), &p->utf8);
		charset_end(p->charset, &p->utf8);
		take_text(p);
	}
	p->charset = charset_free(p->charset);
	p->blank = true; /* between this part and the next */
	p->done |= p->chars > 0;
}
