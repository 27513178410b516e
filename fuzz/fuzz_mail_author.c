/* Fields taken apart at any split, and the addresses of From: every octet comes out once, in
 * order, whatever the split; addresses are inside what was read. */
#include "base/buf.h"
#include "base/check.h"
#include "mail/author.h"
#include "mail/fields.h"

#include <stdint.h>

#define TEXT_MAX (64u << 10)

static const char *const names[] = { "from", "bcc", "resent-bcc", NULL };

struct sorted {
	struct buf all, from;
};

static void
sink(void *arg, int which, struct str octets)
{
	struct sorted *s = arg;
	check(which >= FIELDS_OTHER && which < 3);
	buf_puts(&s->all, octets);
	if (which == 0)
		buf_puts(&s->from, octets);
}

static void
sort(struct str in, size_t step, struct sorted *s)
{
	struct fields f;
	fields_init(&f, names);
	*s = (struct sorted){ BUF_INIT(TEXT_MAX), BUF_INIT(TEXT_MAX) };
	for (; in.len; in = str_skip(in, step))
		fields_feed(&f, str_first(in, step), sink, s);
	fields_end(&f, sink, s);
}

static bool
look(void *arg, struct str addr)
{
	unsigned *n = arg;
	check(addr.len > 0 && ++*n <= AUTHOR_ADDRS_MAX);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_n(data, size);
	struct sorted whole, parts;
	unsigned n = 0;
	if (size < 1 || size > TEXT_MAX / 2)
		return 0;
	size_t step = data[0] % 16 + 1u;
	in = str_skip(in, 1);
	sort(in, TEXT_MAX, &whole);
	sort(in, step, &parts);
	check(str_eq(buf_str(&whole.all), in) && str_eq(buf_str(&parts.all), in));
	check(str_eq(buf_str(&whole.from), buf_str(&parts.from)));
	(void)author_each(buf_str(&whole.from), look, &n);
	n = 0;
	(void)author_each(in, look, &n);
	buf_done(&whole.all);
	buf_done(&whole.from);
	buf_done(&parts.all);
	buf_done(&parts.from);
	return 0;
}
