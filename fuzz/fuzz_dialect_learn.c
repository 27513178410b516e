/*
 * A transcript somebody kept: what is made of it is a dialect that loads.
 */
#include "dialect/dialect.h"
#include "dialect/learn.h"

#include "base/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
find(void *arg, struct str name, struct str *ret_text)
{
	const struct buf *made = arg;
	if (str_eq(name, STR("learned"))) {
		*ret_text = buf_str(made);
		return true;
	}
	return dialect_find_builtin(NULL, name, ret_text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = BUF_INIT(1u << 24), notes = BUF_INIT(1u << 20), err = BUF_INIT(1u << 20);
	const struct learn_options o = { STR("learned"), STR("a file"), size ? data[0] & 3 : 0 };
	if (size && dialect_learn(str_n(data + 1, size - 1), &o, &out, &notes) &&
	    out.len <= DIALECT_FILE_MAX) {
		struct smtp_wording *w = dialect_load(STR("learned"), find, &out, &err);
		if (!w)
			check_failed(buf_cstr(&err), __FILE__, __LINE__);
		dialect_free(w);
	}
	check(notes.len > 0 || size == 0);
	buf_done(&out);
	buf_done(&notes);
	buf_done(&err);
	return 0;
}
