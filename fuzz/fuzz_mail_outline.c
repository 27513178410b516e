/* Any octets as the record of an outline: what can be read can be shown, and is what IMAP may see.
 */
#include "base/check.h"
#include "base/utf8.h"
#include "mail/outline.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Parentheses match, and nothing but strings, NIL and numbers is between them. */
static void
check_text(struct str s)
{
	size_t depth = 0;
	for (size_t i = 0; i < s.len; i++) {
		check(s.p[i] != '\0');
		if (s.p[i] == '(') {
			depth++;
		} else if (s.p[i] == ')') {
			check(depth-- > 0);
		} else if (s.p[i] == '"') {
			for (i++; i < s.len && s.p[i] != '"'; i++) {
				i += s.p[i] == '\\';
				check(i < s.len && s.p[i] != '\n' && s.p[i] != '\r');
			}
			check(i < s.len);
		} else if (s.p[i] == '{') {
			size_t octets = 0;
			for (i++; i < s.len && s.p[i] != '}'; i++)
				octets = octets * 10 + (size_t)(s.p[i] - '0');
			i += 2 + octets;
			check(i < s.len);
		}
		check(depth > 0 || i + 1 == s.len);
	}
	check(depth == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf text = BUF_INIT(4 << 20);
	struct outline o;
	struct outline_part p;
	struct outline_range r;
	if (!outline_get(str_n(data, n), &o))
		return 0;
	outline_envelope_put(&text, &o);
	check_text(buf_str(&text));
	for (int extended = 0; extended < 2; extended++) {
		buf_reset(&text);
		outline_body_put(&text, &o, extended);
		check_text(buf_str(&text));
	}
	for (enum outline_item i = 0; i < OUTLINE_ITEMS; i++) {
		outline_text(&o, i, NULL, &text);
		outline_sort_key(&o, i, false, NULL, &text);
	}
	check(utf8_valid(o.preview));
	for (uint32_t i = 0; i < outline_refs(&o); i++)
		(void)outline_ref(&o, i);
	for (uint32_t a = 0; a < 5; a++)
		for (uint32_t b = 0; b < 5; b++) {
			uint32_t path[] = { a, b, 1, 1 };
			for (size_t k = 0; k <= ARRAY_LEN(path); k++) {
				(void)outline_part(&o, path, k, &p);
				if (outline_section(&o, path, k, OUTLINE_TEXT, &r))
					check(r.off <= o.size && r.len <= o.size - r.off);
			}
		}
	buf_done(&text);
	return 0;
}
