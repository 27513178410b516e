/* Any octets as what a POP3 server says: views stay inside, and any split says the same. */
#include "base/check.h"
#include "client/pop3.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
take(void *arg, struct str piece)
{
	buf_puts(arg, piece);
}

static size_t
run(struct str in, size_t step, struct buf *out)
{
	struct pop_dot d = { 0 };
	size_t used = 0;
	while (used < in.len && !d.ended) {
		struct str piece = str_first(str_skip(in, used), step);
		size_t before = piece.len;
		(void)pop_dot_feed(&d, &piece, take, out);
		check(d.ended || piece.len == 0);
		used += before - piece.len;
	}
	return used;
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	if (size < 1)
		return 0;
	struct str in = str_n(data + 1, size - 1), rest, stamp;
	struct buf a = BUF_INIT(SIZE_MAX / 2), b = BUF_INIT(SIZE_MAX / 2);
	struct pop_answer answer;
	uint64_t n;
	struct str line = str_first(in, str_find(in, '\n'));
	pop_answer_read(line, &answer);
	check(answer.text.len <= line.len && answer.code.len <= line.len);
	if (pop_stamp(answer.text, &stamp))
		check(stamp.len >= 5 && stamp.p[0] == '<' && stamp.p[stamp.len - 1] == '>');
	(void)pop_many_lines(line);
	(void)pop_pair(line, &n, &rest);
	size_t x = run(in, size, &a), y = run(in, data[0] ? data[0] : 1, &b);
	check(x == y && str_eq(buf_str(&a), buf_str(&b)) && a.len <= in.len);
	buf_done(&a);
	buf_done(&b);
	return 0;
}
