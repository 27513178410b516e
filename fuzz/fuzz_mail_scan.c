/* A letter in any split gives the same results as in one piece, and no result is impossible. */
#include "base/check.h"
#include "mail/header.h"
#include "mail/scan.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct scan
scan_steps(struct str letter, const struct scan_limits *limits, size_t step)
{
	struct scan s;
	scan_init(&s, limits);
	while (letter.len) {
		struct str piece = str_first(letter, step);
		char *own = xmemdup(piece.p, piece.len);
		scan_feed(&s, str_n(own, piece.len));
		free(own);
		letter = str_skip(letter, piece.len);
	}
	scan_end(&s);
	return s;
}

static void
same(const struct scan *a, const struct scan *b)
{
	check(a->size == b->size && a->header_len == b->header_len &&
	      a->header_lines == b->header_lines);
	check(a->fields == b->fields && memcmp(a->count, b->count, sizeof(a->count)) == 0);
	check(a->insert_blank == b->insert_blank && a->repaired == b->repaired);
	check(a->header_too_big == b->header_too_big && a->bare_cr == b->bare_cr &&
	      a->bare_lf == b->bare_lf);
	check(a->nul == b->nul && a->eight_bit == b->eight_bit &&
	      a->no_final_eol == b->no_final_eol);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 3)
		return 0;
	struct scan_limits limits = { data[0] ? data[0] : UINT64_MAX,
		data[1] ? data[1] * 16u : UINT64_MAX };
	struct str letter = str_n(data + 3, n - 3);
	struct scan whole = scan_steps(letter, &limits, letter.len),
		    one = scan_steps(letter, &limits, 1);
	struct scan some = scan_steps(letter, &limits, data[2] + 2u);
	same(&whole, &one);
	same(&whole, &some);
	check(whole.header_len <= whole.size && whole.header_lines <= whole.header_len);
	check(!whole.repaired || whole.fields >= 1);
	check(whole.header_too_big ||
	      (whole.header_len <= limits.max_bytes && whole.header_lines <= limits.max_lines));
	struct str block = str_first(letter, whole.header_len);
	struct header_field f;
	uint32_t fields = 0;
	while (header_next(&block, &f))
		fields++;
	check(block.len == 0 && fields == whole.fields);
	return 0;
}
