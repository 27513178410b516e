/* --set assignments, one a line, and the dump's text. */
#include "base/check.h"
#include "conf/conf_priv.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
set_all(struct str text)
{
	struct buf err = BUF_INIT(1u << 20), x = BUF_INIT(64u << 20), y = BUF_INIT(64u << 20);
	struct conf *c = conf_new();
	conf_listener_add(c, "127.0.0.1", 10025, "smtp")->stands_for = 25;
	conf_listener_add(c, "::1", 10025, "smtp");
	while (text.p) {
		buf_reset(&err);
		struct str line = str_cut(&text, '\n');
		if (str_find_str(line, STR("dialect_dir")) == line.len)
			check(conf_set(c, line, &err) == (err.len == 0));
	}
	c->lab = true;
	conf_settle(c);
	conf_dump(c, &x);
	struct conf *d = conf_undump(buf_str(&x), &err);
	check(d);
	conf_dump(d, &y);
	check(str_eq(buf_str(&x), buf_str(&y)));
	conf_free(c);
	conf_free(d);
	buf_done(&x);
	buf_done(&y);
	buf_done(&err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf err = BUF_INIT(1u << 20);
	set_all(str_n(data, size));
	struct conf *c = conf_undump(str_n(data, size), &err);
	conf_free(c);
	buf_done(&err);
	return 0;
}
