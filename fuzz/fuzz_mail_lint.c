/* A letter of any octets before it is sent; and any text as the value of a field. */
#include "base/check.h"
#include "mail/compose.h"
#include "mail/lint.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
told(void *arg, const struct lint_finding *f)
{
	check(f->rule < LINT_COUNT && f->what && f->remedy);
	++*(size_t *)arg;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str letter = str_n(data, size);
	const struct lint_conf conf = { .sender = STR("a@x") };
	struct buf out = BUF_INIT(1u << 20), err = BUF_INIT(1000);
	size_t n = 0, errors = 0;
	size_t all = lint_letter(letter, &conf, told, &n, &errors);
	check(n <= LINT_MAX && n <= all && errors <= all);
	const struct compose c = { .from = STR("a@x"),
		.subject = str_first(letter, 200),
		.text = letter,
		.html = str_skip(letter, 100),
		.seed = STR("x"),
		.date = true };
	if (compose_letter(&c, &out, &err)) {
		for (size_t i = 0; i < out.len; i++)
			check((unsigned char)out.p[i] < 0x80);
		check(str_find(str_first(buf_str(&out), 20), '\0') >= MIN(out.len, 20));
	}
	buf_done(&out);
	buf_done(&err);
	return 0;
}
