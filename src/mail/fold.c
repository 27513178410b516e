#include "mail/charset.h"

#include "base/check.h"
#include "base/utf8.h"
#include "mail/utf.h"

#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>

#define BLOCK 4096
#define SHORT 256 /* octets of a text that is looked through at once */

/* --- folding --- */

/* Pure ASCII; simple enough for the compiler to take many octets at a time. */
static void
fold_ascii(char *dst, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		dst[i] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
	}
}

/* RFC 5051 2: titlecase, then decomposed as far as it goes, whatever the kind. */
static void
fold_char(uint32_t c, struct buf *out)
{
	ucs4_t stack[4 * UC_DECOMPOSITION_MAX_LENGTH];
	size_t n = 0;
	if (c >= 0x3400 && c <= 0x9fff) { /* ideographs: there is nothing to do */
		utf_put(out, c);
		return;
	}
	stack[n++] = uc_totitle(c);
	while (n) {
		ucs4_t parts[UC_DECOMPOSITION_MAX_LENGTH], v = stack[--n];
		int tag, k = uc_decomposition(v, &tag, parts);
		if (k <= 0 || n + (size_t)k > ARRAY_LEN(stack)) {
			utf_put(out, v);
			continue;
		}
		while (k-- > 0)
			stack[n++] = parts[k];
	}
}

/* What characters of the alphabets around Latin fold to, two at most: looked up once. */
#define KNOWN_FIRST 0x80
#define KNOWN_END 0x590
struct known {
	uint16_t to[KNOWN_END - KNOWN_FIRST][2]; /* 0: look it up; second 0: there is only one */
};

static void
learn(struct known *k)
{
	char room[64];
	for (uint32_t c = KNOWN_FIRST; c < KNOWN_END; c++) {
		struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
		uint32_t first = 0, second = 0;
		fold_char(c, &b);
		struct str s = buf_str(&b);
		int n = utf_next(s, &first);
		s = str_skip(s, (size_t)n);
		n = s.len ? utf_next(s, &second) : 0;
		if (s.len == (size_t)n && first <= UINT16_MAX && second <= UINT16_MAX) {
			k->to[c - KNOWN_FIRST][0] = (uint16_t)first;
			k->to[c - KNOWN_FIRST][1] = (uint16_t)second;
		}
	}
}

static void
fold_known(const struct known *k, uint32_t c, struct buf *out)
{
	const uint16_t *to = k && c < KNOWN_END ? k->to[c - KNOWN_FIRST] : NULL;
	if (!to || !to[0]) {
		fold_char(c, out);
		return;
	}
	if (!buf_reserve(out, 8))
		return;
	out->len += utf_write(out->p + out->len, to[0]);
	if (to[1])
		out->len += utf_write(out->p + out->len, to[1]);
}

/* Folds whole characters from s; returns what is left: an incomplete one. With a limit: as many as
 * fit while out stays below it. */
static struct str
fold(const struct known *k, struct str s, size_t limit, struct buf *out)
{
	while (s.len && out->len < limit) {
		uint32_t c;
		if ((unsigned char)s.p[0] >= 0x80) {
			int n = utf_next(s, &c);
			if (n == 0)
				break;
			if (n > 0)
				fold_known(k, c, out);
			s = str_skip(s, n < 0 ? 1 : (size_t)n);
			continue;
		}
		size_t ascii = utf_ascii(str_first(s, limit - out->len));
		if (!buf_reserve(out, ascii))
			return STR_NULL;
		fold_ascii(out->p + out->len, str_first(s, ascii));
		out->len += ascii;
		s = str_skip(s, ascii);
	}
	return s;
}

void
charset_fold(struct str utf8, struct buf *out)
{
	(void)fold(NULL, utf8, SIZE_MAX, out);
}

/* --- searching --- */

struct needle {
	struct known known;
	size_t len;
	char p[];
};

struct needle *
needle_new(struct str utf8)
{
	struct buf folded = BUF_INIT(NEEDLE_MAX);
	struct needle *n = NULL;
	struct str left = fold(NULL, utf8, SIZE_MAX, &folded);
	if (left.len == 0 && !folded.failed && (utf8.len == 0 || folded.len)) {
		n = xalloc(sizeof(*n) + folded.len);
		n->len = folded.len;
		learn(&n->known);
		if (folded.len)
			memcpy(n->p, folded.p, folded.len);
	}
	buf_done(&folded);
	return n;
}

struct needle *
needle_free(struct needle *n)
{
	free(n);
	return NULL;
}

void
searcher_init(struct searcher *s, const struct needle *n)
{
	s->needle = n;
	s->found = n->len == 0;
	s->tail = s->part = 0;
}

/* Folds into a block behind the tail of the last one, and looks there. */
static struct str
search_block(struct searcher *s, struct str in)
{
	char block[NEEDLE_MAX + BLOCK + 4 * UC_DECOMPOSITION_MAX_LENGTH * 4];
	struct buf b = { .p = block, .len = s->tail, .cap = sizeof(block), .max = sizeof(block) };
	const struct needle *n = s->needle;
	if (s->tail)
		memcpy(block, s->back, s->tail);
	struct str left = fold(&n->known, in, s->tail + BLOCK, &b);
	if (b.len >= n->len && memmem(block, b.len, n->p, n->len)) {
		s->found = true;
		return STR_NULL;
	}
	s->tail = (uint32_t)MIN(b.len, n->len - 1);
	if (s->tail)
		memcpy(s->back, block + b.len - s->tail, s->tail);
	return left;
}

bool
searcher_feed(struct searcher *s, struct str utf8)
{
	while (s->part && utf8.len && !s->found) {
		s->partial[s->part++] = utf8.p[0];
		utf8 = str_skip(utf8, 1);
		struct str left = search_block(s, str_n(s->partial, s->part));
		memmove(s->partial, left.p ? left.p : s->partial, left.len);
		s->part = (uint32_t)left.len;
	}
	while (utf8.len && !s->found) {
		struct str left = search_block(s, utf8);
		if (left.len == utf8.len) { /* the start of a character */
			s->part = (uint32_t)MIN(left.len, sizeof(s->partial) - 1);
			memcpy(s->partial, left.p, s->part);
			break;
		}
		utf8 = left;
	}
	return s->found;
}

bool
needle_in(const struct needle *n, struct str utf8)
{
	char folded[SHORT];
	if (utf8.len <= SHORT && utf_ascii(utf8) == utf8.len) {
		fold_ascii(folded, utf8);
		return n->len == 0 || memmem(folded, utf8.len, n->p, n->len);
	}
	struct searcher s;
	searcher_init(&s, n);
	return searcher_feed(&s, utf8);
}
