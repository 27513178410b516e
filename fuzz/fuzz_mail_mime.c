/*
 * A letter in one piece and in pieces has the same outline; what the builder writes can be read,
 * and every section of it lies in the letter. The first octet says how the letter is cut.
 */
#include "base/check.h"
#include "mail/find.h"
#include "mail/outline.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool
build(struct str letter, size_t step, bool wide, struct buf *out)
{
	struct outline_builder *b = wide ? outline_new_wide(NULL) : outline_new(NULL);
	for (; letter.len; letter = str_skip(letter, step))
		outline_feed(b, str_first(letter, step));
	bool there = outline_end(b, STR("Received: by x\r\n"), out);
	outline_free(b);
	return there;
}

static void
sections(const struct outline *o, uint32_t *path, size_t n, unsigned *left)
{
	struct outline_part p;
	struct outline_range r;
	if (n == 8 || *left == 0)
		return;
	(*left)--;
	for (enum outline_what what = OUTLINE_PART; what <= OUTLINE_TEXT; what++)
		if (outline_section(o, path, n, what, &r))
			check(r.off <= o->size && r.len <= o->size - r.off);
	for (path[n] = 1; path[n] < 100 && outline_part(o, path, n + 1, &p); path[n]++) {
		check(p.body.off <= o->size && p.body.len <= o->size - p.body.off);
		sections(o, path, n + 1, left);
	}
}

static void
find(struct str letter, size_t step)
{
	static struct needle *n; /* made once: it knows an alphabet by heart */
	if (!n)
		n = needle_new(STR("a\xc3\xa4"));
	struct find_ask asks[] = { { FIND_TEXT, STR_NULL, n }, { FIND_HEADER, STR("to"), n } };
	struct find *whole = find_new(NULL, asks, ARRAY_LEN(asks));
	struct find *split = find_new(NULL, asks, ARRAY_LEN(asks));
	(void)find_feed(whole, letter);
	for (; letter.len; letter = str_skip(letter, step))
		(void)find_feed(split, str_first(letter, step));
	find_end(whole);
	find_end(split);
	for (size_t i = 0; i < ARRAY_LEN(asks); i++)
		check(find_found(whole, i) == find_found(split, i));
	find_free(whole);
	find_free(split);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf whole = BUF_INIT(OUTLINE_WIDE_MAX), split = BUF_INIT(OUTLINE_WIDE_MAX);
	struct buf text = BUF_INIT(OUTLINE_WIDE_MAX);
	struct outline o;
	uint32_t path[16];
	unsigned left = 200;
	if (n == 0)
		return 0;
	size_t step = data[0] % 61 + 1;
	struct str letter = str_n(data + 1, n - 1);
	bool there = build(letter, SIZE_MAX, false, &whole);
	check(build(letter, step, false, &split) == there);
	check(str_eq(buf_str(&whole), buf_str(&split)));
	buf_reset(&whole);
	check(build(letter, step, true, &whole));
	check(!there || str_eq(buf_str(&whole), buf_str(&split)));
	check(outline_get(buf_str(&whole), &o) && o.size == letter.len + 16);
	outline_envelope_put(&text, &o);
	outline_body_put(&text, &o, false);
	for (enum outline_item i = 0; i < OUTLINE_ITEMS; i++) {
		outline_text(&o, i, NULL, &text);
		outline_sort_key(&o, i, true, NULL, &text);
	}
	sections(&o, path, 0, &left);
	find(letter, step);
	buf_done(&whole);
	buf_done(&split);
	buf_done(&text);
	return 0;
}
