/* Any octets as a header value: what is decoded is UTF-8, and no longer than it may be; folded and
 * searched in pieces it is the same as whole. */
#include "base/check.h"
#include "base/utf8.h"
#include "mail/mime.h"
#include "mail/words.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
decode(struct str s, enum mime_encoding encoding, size_t step, struct buf *out, bool *ret_bad)
{
	struct mime_decoder d;
	mime_decode_init(&d, encoding);
	for (; s.len; s = str_skip(s, step))
		mime_decode(&d, str_first(s, step), out);
	mime_decode_end(&d, out);
	*ret_bad = d.bad;
}

static void
search(struct str text, struct str word)
{
	struct needle *n = needle_new(word);
	struct searcher s;
	if (!n)
		return;
	searcher_init(&s, n);
	for (size_t i = 0; i < text.len; i++)
		(void)searcher_feed(&s, str_n(text.p + i, 1));
	check(s.found == needle_in(n, text));
	needle_free(n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
	bool bad_a, bad_b, reply;
	if (n > 4096)
		return 0;
	words_decode(NULL, in, &a);
	check(!a.failed && utf8_valid(buf_str(&a)) && a.len <= 3 * n);
	words_base_subject(buf_str(&a), &b, &reply);
	check(b.len <= a.len);
	if (n % 16 == 0) { /* a needle costs more than all the rest */
		search(buf_str(&a), str_first(buf_str(&a), 7));
		search(in, str_skip(in, n / 2));
	}
	for (enum mime_encoding e = MIME_7BIT; e <= MIME_UNKNOWN; e++) {
		buf_reset(&a);
		buf_reset(&b);
		decode(in, e, SIZE_MAX, &a, &bad_a);
		decode(in, e, 1 + n % 5, &b, &bad_b);
		check(str_eq(buf_str(&a), buf_str(&b)) && bad_a == bad_b && a.len <= n + n);
	}
	buf_done(&a);
	buf_done(&b);
	return 0;
}
