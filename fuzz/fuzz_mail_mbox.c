/* An mbox file of any octets: split whole and in steps that it chooses itself, the letters are the
 * same, they follow one another without gaps, and what is written of them is in order. */
#include "base/check.h"
#include "mail/mbox.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
put(struct buf *out, enum mbox_verdict v, const struct mbox_letter *l)
{
	struct mbox_facts facts;
	size_t at = out->len;
	if (v == MBOX_LETTER) {
		check(l->text.len <= l->size && l->from_line.len <= l->size);
		mbox_letter_put(out, l, &facts);
		struct str octets = str_skip(buf_str(out), at);
		check(out->failed || facts.header_len <= octets.len);
		/* Every LF has its CR. */
		for (size_t i = 0; i < octets.len; i++)
			check(octets.p[i] != '\n' || (i > 0 && octets.p[i - 1] == '\r'));
	}
	buf_putf(out, "|%d", (int)v);
}

static void
split(struct str in, enum mbox_format format, uint64_t max, size_t step, struct buf *out)
{
	struct mbox_split m;
	struct mbox_letter l;
	size_t start = 0, end = 0;
	unsigned idle = 0;
	mbox_split_init(&m, format, max);
	for (;;) {
		char *copy = malloc(end - start + 1);
		check(copy != NULL);
		if (end > start)
			memcpy(copy, in.p + start, end - start);
		bool eof = end == in.len;
		enum mbox_verdict v = mbox_split_next(&m, str_n(copy, end - start), eof, &l);
		check(l.size <= end - start && !(eof && v == MBOX_MORE));
		if (v != MBOX_MORE && v != MBOX_DROP)
			put(out, v, &l);
		free(copy);
		if (v == MBOX_END || v == MBOX_GARBAGE)
			return;
		if (v == MBOX_MORE) {
			end += step < in.len - end ? step : in.len - end;
			idle = 0;
			continue;
		}
		idle = l.size ? 0 : idle + 1;
		check(idle < 4);
		start += l.size;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 3)
		return 0;
	struct buf whole = BUF_INIT(8u << 20), pieces = BUF_INIT(8u << 20);
	struct str in = str_n(data + 3, n - 3);
	enum mbox_format format = (enum mbox_format)(data[0] % 4);
	size_t step = data[1] % 64 + 1u + n / 256;
	uint64_t max = data[2] % 2 ? 40 + data[2] : 1u << 20;
	split(in, format, max, in.len + 1, &whole);
	split(in, format, max, step, &pieces);
	/* What is too large may be seen to be so earlier. */
	check(max < 1u << 20 || str_eq(buf_str(&whole), buf_str(&pieces)));
	buf_done(&whole);
	buf_done(&pieces);
	return 0;
}
