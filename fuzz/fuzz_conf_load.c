/* A configuration file: loaded, shown, loaded again, dumped and read back. */
#include "base/check.h"
#include "conf/conf_priv.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 forgets the text it was reading when a string does not end. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

/* What loads must survive both ways of writing it down. */
static void
round_trip(const struct conf *c)
{
	struct buf x = BUF_INIT(64u << 20), y = BUF_INIT(64u << 20), shown = BUF_INIT(64u << 20),
		   err = BUF_INIT(1u << 20);
	conf_dump(c, &x);
	struct conf *d = conf_undump(buf_str(&x), &err);
	check(d);
	conf_dump(d, &y);
	check(str_eq(buf_str(&x), buf_str(&y)));
	conf_free(d);
	conf_show(c, false, &shown);
	d = conf_new();
	check(conf_load_text(d, "/nonexistent/again", buf_str(&shown), &err));
	conf_free(d);
	buf_done(&x);
	buf_done(&y);
	buf_done(&shown);
	buf_done(&err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_n(data, size);
	/* No other file may be read from here. */
	static const char *const files[] = { "@include", "dialect_dir", "file" };
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (str_find_str(text, str_of(files[i])) < text.len)
			return 0;
	struct buf err = BUF_INIT(64u << 20), warnings = BUF_INIT(1u << 20);
	struct conf *c = conf_new();
	bool ok = conf_load_text(c, "/nonexistent/fuzz", text, &err);
	check(ok == (err.len == 0));
	(void)conf_check(c, &err, &warnings);
	if (ok)
		round_trip(c);
	conf_free(c);
	buf_done(&err);
	buf_done(&warnings);
	return 0;
}
