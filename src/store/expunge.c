/* What becomes of a mailbox when letters go: their records, and the header that counts them. */
#include "store/resolve.h"

#include "store/mail_priv.h"

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
	return mailbox_meta_get(value, ret) ? 1 : -EBADMSG;
}

/* Those that are there; gone gets their UIDs. */
static int
del_letters(const struct store_batch *b, const struct view *v, struct buf *out, uint32_t *n,
    struct mailbox_head *h, struct ranges *gone, uint64_t *ret_bytes)
{
	struct str last = STR_NULL;
	for (size_t i = 0; i < b->n; i++) {
		const struct op *o = &b->ops[i];
		struct mailbox_letter l;
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
		/* A version-1 header is counted as it was before. */
		r = gone->count == 0 ? resolve_head(v, &b->dom, h) : 0;
		if (r < 0 || h->messages == 0 || h->bytes < l.size)
			return r < 0 && r != -ENOENT ? r : -EBADMSG;
		*n += letter_del(out, &l);
		head_count(h, &l, false);
		*ret_bytes += l.size;
		ranges_add(gone, l.uid);
	}
	return 0;
}

int
resolve_expunges(const struct store_batch *b, const struct view *v, struct buf *out, uint32_t *n,
    struct store_res *res)
{
	struct mailbox_head h = { 0 };
	struct ranges gone = { 0 };
	uint64_t bytes = 0;
	int r = del_letters(b, v, out, n, &h, &gone, &bytes);
	if (r == 0 && gone.count) {
		res->slot[0] = gone.count;
		res->slot[1] = bytes;
		h.modseq++;
		r = resolve_vanished(v, &b->dom, &h, gone.p, gone.n, out, n);
		head_put(out, &h);
		*n += 1;
	}
	ranges_done(&gone);
	return r;
}
