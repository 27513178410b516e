#include "mail/words.h"

#include "base/check.h"
#include "base/num.h"
#include "mail/mime.h"
#include "mail/utf.h"

#define WORD_MAX 1024 /* octets of an encoded word; RFC 2047 2 says 75 */

/* =?charset?encoding?text?= */
struct word {
	struct str charset, text;
	enum mime_encoding encoding; /* MIME_QP: the Q of RFC 2047 4.2 */
	size_t len;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* s begins with "=?". */
static bool
word_at(struct str s, struct word *ret)
{
	struct str all = str_first(s, WORD_MAX), rest = str_skip(all, 2);
	struct word w = { .charset = str_cut(&rest, '?') };
	struct str encoding = rest.p ? str_cut(&rest, '?') : STR_NULL;
	size_t end = rest.p ? str_find_str(rest, STR("?=")) : 0;
	if (!rest.p || end == rest.len || encoding.len != 1 || w.charset.len == 0 ||
	    str_find_any(w.charset, " \t\r\n") < w.charset.len)
		return false;
	w.text = str_first(rest, end);
	w.encoding = (encoding.p[0] | 0x20) == 'b' ? MIME_BASE64 : MIME_QP;
	if (w.encoding == MIME_QP && (encoding.p[0] | 0x20) != 'q')
		return false;
	w.charset = str_first(w.charset, str_find(w.charset, '*')); /* RFC 2231 5 */
	w.len = (size_t)(w.text.p - s.p) + end + 2;
	*ret = w;
	return true;
}

static void
decode_q(struct str s, struct buf *out)
{
	uint64_t v;
	for (size_t i = 0; i < s.len; i++) {
		struct str hex = str_first(str_skip(s, i + 1), 2);
		if (s.p[i] == '_') {
			buf_putc(out, ' ');
		} else if (s.p[i] == '=' && hex.len == 2 && num_hex(hex, &v)) {
			buf_putc(out, (char)v);
			i += 2;
		} else {
			buf_putc(out, s.p[i]);
		}
	}
}

/* One decoding: words side by side share a conversion, for some cut characters in two. */
struct decoding {
	const struct charsets *cs;
	struct charset *open;
	struct str charset;
	struct buf octets;
	struct buf *out;
};

static void
close_charset(struct decoding *d)
{
	if (d->open)
		charset_end(d->open, d->out);
	d->open = charset_free(d->open);
}

/* Of a charset that is not known, what is ASCII or UTF-8 in it can be read. */
static void
put_word(struct decoding *d, const struct word *w)
{
	struct mime_decoder dec;
	if (!d->open || !str_ieq(d->charset, w->charset)) {
		struct charset *c = charset_new(d->cs, w->charset);
		if (!c)
			c = charset_new(NULL, STR("utf-8"));
		close_charset(d);
		d->open = c;
		d->charset = w->charset;
	}
	buf_reset(&d->octets);
	if (w->encoding == MIME_BASE64) {
		mime_decode_init(&dec, MIME_BASE64);
		mime_decode(&dec, w->text, &d->octets);
		mime_decode_end(&dec, &d->octets);
	} else {
		decode_q(w->text, &d->octets);
	}
	charset_feed(d->open, buf_str(&d->octets), d->out);
}

/* Text that is no encoded word: unfolded, and UTF-8 as far as it is. */
static void
put_text(struct decoding *d, struct str s)
{
	close_charset(d);
	while (s.len) {
		size_t n = str_find_any(s, "\r\n");
		(void)charset_to_utf8(NULL, STR("utf-8"), str_first(s, n), d->out);
		s = str_skip(s, n);
		if (s.len)
			s = str_skip(s, str_starts(s, STR("\r\n")) ? 2 : 1);
		if (s.len && !is_blank(s.p[0]))
			buf_putc(d->out, ' ');
	}
}

void
words_decode(const struct charsets *cs, struct str value, struct buf *out)
{
	struct decoding d = { .cs = cs, .octets = BUF_INIT(WORD_MAX), .out = out };
	bool after_word = false;
	while (value.len) {
		struct word w;
		size_t n = str_find_str(value, STR("=?"));
		struct str text = str_first(value, n), word = str_skip(value, n);
		bool is_word = word.len && word_at(word, &w);
		bool blank = str_trim(text).len == 0;
		if (!is_word) /* "=?" is text like other */
			text = str_first(value, word.len ? n + 2 : n);
		if (text.len && !(blank && after_word && is_word))
			put_text(&d, text);
		value = str_skip(value, text.len);
		after_word = is_word;
		if (is_word) {
			put_word(&d, &w);
			value = str_skip(word, w.len);
		}
	}
	close_charset(&d);
	buf_done(&d.octets);
}

/* --- base subject: RFC 5256 2.1 --- */

/* Step 1: runs of white space are one blank. */
static void
squeeze(struct str s, struct buf *out)
{
	bool blank = false;
	for (size_t i = 0; i < s.len; i++) {
		if (is_blank(s.p[i])) {
			blank = true;
			continue;
		}
		if (blank && out->len)
			buf_putc(out, ' ');
		blank = false;
		buf_putc(out, s.p[i]);
	}
}

/* "[" *BLOBCHAR "]" *WSP: its length, or 0. */
static size_t
blob_len(struct str s)
{
	if (s.len == 0 || s.p[0] != '[')
		return 0;
	size_t n = 1 + str_find_any(str_skip(s, 1), "[]");
	if (n >= s.len || s.p[n] != ']')
		return 0;
	for (n++; n < s.len && s.p[n] == ' ';)
		n++;
	return n;
}

/* ("re" / ("fw" ["d"])) *WSP [subj-blob] ":": its length, or 0. */
static size_t
refwd_len(struct str s)
{
	size_t n = 2;
	if (str_istarts(s, STR("fwd")))
		n = 3;
	else if (!str_istarts(s, STR("re")) && !str_istarts(s, STR("fw")))
		return 0;
	while (n < s.len && s.p[n] == ' ')
		n++;
	n += blob_len(str_skip(s, n));
	return n < s.len && s.p[n] == ':' ? n + 1 : 0;
}

/* Step 2: trailers. */
static struct str
cut_trailers(struct str s, bool *reply)
{
	for (;;) {
		s = str_rtrim(s);
		if (!str_iends(s, STR("(fwd)")))
			return s;
		s.len -= 5;
		*reply = true;
	}
}

/* Steps 3 to 5: *subj-blob subj-refwd, as often as it comes; then blobs in front of something. */
static struct str
cut_leaders(struct str s, bool *reply)
{
	for (;;) {
		s = str_ltrim(s);
		struct str behind = s, last = s;
		size_t n;
		while ((n = blob_len(behind))) {
			last = behind;
			behind = str_skip(behind, n);
		}
		n = refwd_len(behind);
		if (n == 0)
			return behind.len ? behind : last;
		s = str_skip(behind, n);
		*reply = true;
	}
}

void
words_base_subject(struct str subject, struct buf *out, bool *ret_reply)
{
	struct buf flat = BUF_INIT(subject.len);
	bool reply = false;
	squeeze(subject, &flat);
	struct str s = buf_str(&flat);
	for (;;) {
		s = cut_leaders(cut_trailers(s, &reply), &reply);
		if (!str_istarts(s, STR("[fwd:")) || !str_ends(s, STR("]"))) /* step 6 */
			break;
		s = str_first(str_skip(s, 5), s.len - 6);
		reply = true;
	}
	buf_puts(out, s);
	out->failed |= flat.failed;
	buf_done(&flat);
	if (ret_reply)
		*ret_reply = reply;
}
