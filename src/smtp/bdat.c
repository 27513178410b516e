#include "smtp/bdat.h"

#include "base/num.h"

enum bdat_verdict
bdat_parse(struct str arg, struct bdat *ret)
{
	uint64_t size;
	if (!num_u64(str_word(&arg), UINT64_MAX, &size))
		return BDAT_UNKNOWN;
	struct str word = str_word(&arg);
	bool last = str_ieq(word, STR("LAST"));
	*ret = (struct bdat){ .size = size, .left = size, .last = last };
	if ((word.len && !last) || str_word(&arg).len)
		return BDAT_BAD;
	return BDAT_GOOD;
}

struct str
bdat_take(struct bdat *b, struct str *in)
{
	size_t n = in->len < b->left ? in->len : (size_t)b->left;
	struct str chunk = str_first(*in, n);
	*in = str_skip(*in, n);
	b->left -= n;
	return chunk;
}
