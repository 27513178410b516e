/* Any octets as lines of a server: no control reaches the screen or a transcript but line ends,
 * what is shown is UTF-8 and short, and JSON and conversations stay what they are. */
#include "base/check.h"
#include "base/utf8.h"
#include "client/show.h"
#include "client/transcript.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
look(struct str s, bool ends)
{
	check(utf8_valid(s));
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		check(c != 0x7f && (c >= 0x20 || (ends && c == '\n')));
		check(!(c == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0));
		check(!(c == 0xe2 && (unsigned char)s.p[i + 1] == 0x80 &&
			(unsigned char)s.p[i + 2] >= 0xaa && (unsigned char)s.p[i + 2] <= 0xae));
	}
}

static void
show(struct str in, size_t step)
{
	char *text = NULL;
	size_t len = 0;
	struct show s = { .us = "c: ", .them = "s: ", .decode_auth = true, .verbose = true };

	s.out = open_memstream(&text, &len);
	check(s.out);
	for (size_t k = 0; in.len; in = str_skip(in, step), k++) {
		struct event e = { .kind = k % 3 ? EVENT_LINE : EVENT_SEND,
			.octets = str_first(in, step) };
		show_event(&s, &e);
		e = (struct event){ .kind = k % 2 ? EVENT_NOTE : EVENT_CLOSE,
			.text = str_first(in, step),
			.status = 1 };
		show_event(&s, &e);
	}
	fclose(s.out);
	look(str_n(text, len), true);
	free(text);
}

static void
json(struct str in)
{
	struct buf b = BUF_INIT(1 << 20);
	struct event e = { .kind = EVENT_LINE, .octets = in, .text = in };

	for (int kind = 0; kind < EVENT_KINDS; kind++) {
		buf_reset(&b);
		e.kind = (enum event_kind)kind;
		transcript_json(&b, &e, false);
		look(buf_str(&b), false);
		json_t *o = json_loadb(b.p, b.len, JSON_ALLOW_NUL, NULL);
		check(o);
		json_decref(o);
	}
	buf_done(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	struct buf b = BUF_INIT(1 << 20);

	if (n > 16384)
		return 0;
	show_escape(&b, in);
	check(!b.failed);
	look(buf_str(&b), false);
	buf_done(&b);
	show(in, SIZE_MAX / 2);
	show(in, 1 + n % 7);
	json(in);
	return 0;
}
