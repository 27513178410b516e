/* What becomes of a mailbox when letters go: their records, and the header that counts them. */
#include "store/resolve.h"

#include "store/mailbox.h"

#include <errno.h>

/* 1: *ret is the letter's record (without its prefix); 0: there is none; or -errno. */
static int
letter_of(const struct view *v, const struct store_dom *d, struct str key,
    struct mailbox_letter *ret)
{
	struct str value;
	int r = v->get(v->arg, d, key, &value);
	if (r != 1)
		return r;
	if (!mailbox_letter_get(value, ret))
		return -EBADMSG;
	ret->prefix = ret->pieces = STR_NULL; /* they may stand in the buffer that we write to */
	return 1;
}

static int
put_head(const struct view *v, const struct store_dom *d, struct buf *out,
    const struct store_res *res)
{
	struct str value;
	struct mailbox_head h;
	int r = v->get(v->arg, d, HEAD_KEY, &value);
	if (r < 0)
		return r;
	if (r == 0 || !mailbox_head_get(value, &h) || h.messages < res->slot[0] ||
	    h.bytes < res->slot[1])
		return -EBADMSG;
	h.messages -= res->slot[0];
	h.bytes -= res->slot[1];
	h.modseq++;
	size_t at = batch_record_put_begin(out, HEAD_KEY);
	mailbox_head_put(out, &h);
	batch_record_put_end(out, at);
	return 0;
}

int
resolve_expunges(const struct store_batch *b, const struct view *v, struct buf *out, uint32_t *n,
    struct store_res *res)
{
	struct str last = STR_NULL;
	uint64_t gone = 0;
	for (size_t i = 0; i < b->n; i++) {
		const struct op *o = &b->ops[i];
		struct mailbox_letter l;
		char change[15];
		if (o->kind != OP_EXPUNGE)
			continue;
		struct str key = batch_key(b, o);
		/* Twice in one batch it would be counted twice. */
		if (b->dom.b[0] != 'B' || (last.p && str_cmp(last, key) >= 0))
			return -EINVAL;
		last = key;
		int r = letter_of(v, &b->dom, key, &l);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		batch_record_del(out, key);
		batch_record_del(out, str_n(change, change_key(change, l.modseq, l.uid)));
		*n += 2;
		gone++;
		res->slot[1] += l.size;
	}
	if (gone == 0)
		return 0;
	res->slot[0] = gone;
	*n += 1;
	return put_head(v, &b->dom, out, res);
}
