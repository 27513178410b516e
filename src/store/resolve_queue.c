/* resolve: a letter's entries in the queue. */
#include "store/resolve.h"

#include <errno.h>

static void
entry_put(struct buf *out, struct str key, const struct store_queued *q,
    const struct store_place *place)
{
	size_t at = batch_record_put_begin(out, key);
	queued_put(out, q, place);
	batch_record_put_end(out, at);
}

/* Ends the batch, unless there is nothing in it. */
static int
end(struct buf *out, size_t begin, uint32_t n, bool *ret_written)
{
	batch_record_end(out, begin, n);
	*ret_written = n > 0;
	return out->failed ? -ENOMEM : 0;
}

int
resolve_entries(const struct intent *in, const struct view *v, struct buf *out, bool *ret_written)
{
	struct store_dom d = store_dom_queue(0);
	struct intent each = *in;
	struct store_entry e;
	struct str value;
	uint64_t ver = 0;
	uint32_t n = 0;
	char key[QUEUED_KEY_MAX];
	int r = resolve_version(v, &d, &ver);
	if (r < 0)
		return r;
	size_t begin = batch_record_begin(out, &d, ver + 1);
	while (intent_entry_next(&each, &e)) {
		struct str k = queued_key(key, in->letter, e.part);
		r = v->get(v->arg, &d, k, &value);
		if (r < 0)
			return r;
		if (r == 1)
			continue;
		struct store_queued q = { .ref = in->ref,
			.trace_len = in->trace_len,
			.header_len = in->header_len,
			.insert_blank = in->insert_blank,
			.size = in->ref.len + (in->insert_blank ? 2 : 0),
			.value = e.value };
		entry_put(out, k, &q, &in->place);
		n++;
	}
	return end(out, begin, n, ret_written);
}

/* --- mail merge --- */

/* "m|letter8": the entries of views below this number are in the queue, or were. */
static int
progress(const struct intent *in, const struct view *v, char key[DONE_KEY_LEN], uint32_t *ret)
{
	struct store_dom d = store_dom_queue(0);
	struct str value;
	queue_key(key, 'm', in->letter);
	int r = v->get(v->arg, &d, str_n(key, DONE_KEY_LEN), &value);
	if (r == 1 && value.len != 4)
		return -EBADMSG;
	*ret = r == 1 ? be32_get((const unsigned char *)value.p) : 0;
	return r;
}

int
resolve_view_entries(const struct intent *in, struct str views, uint32_t first,
    const struct view *v, struct buf *out, bool *ret_written)
{
	struct store_dom d = store_dom_queue(0);
	struct wire w = wire_of(views);
	struct store_view one;
	uint64_t ver = 0;
	uint32_t n = 0, from = 0, number = first;
	char key[QUEUED_KEY_MAX], mark[DONE_KEY_LEN], upto[4];
	int r = progress(in, v, mark, &from);
	if (r >= 0)
		r = resolve_version(v, &d, &ver);
	if (r < 0)
		return r;
	size_t begin = batch_record_begin(out, &d, ver + 1);
	for (; w.left > 0; number++) {
		if (!store_view_get(&w, in->ref.len - in->trace_len, &one))
			return -EBADMSG;
		if (!one.entry.len || number < from)
			continue;
		struct store_queued q = { .ref = in->ref,
			.trace_len = in->trace_len,
			.header_len = one.header_len,
			.insert_blank = one.insert_blank,
			.n_pieces = one.n_pieces,
			.pieces = one.pieces,
			.size = in->trace_len + one.size + (one.insert_blank ? 2 : 0),
			.value = one.entry };
		entry_put(out, queued_key(key, in->letter, number), &q, &in->place);
		n++;
	}
	if (n) {
		be32_put((unsigned char *)upto, number);
		batch_record_put(out, str_n(mark, sizeof(mark)), str_n(upto, sizeof(upto)));
		n++;
	}
	return end(out, begin, n, ret_written);
}

int
resolve_view_end(const struct intent *in, const struct view *v, struct buf *out, bool *ret_written)
{
	struct store_dom d = store_dom_queue(0);
	uint64_t ver = 0;
	uint32_t upto;
	char mark[DONE_KEY_LEN];
	*ret_written = false;
	int r = progress(in, v, mark, &upto);
	if (r != 1)
		return r;
	r = resolve_version(v, &d, &ver);
	if (r < 0)
		return r;
	size_t begin = batch_record_begin(out, &d, ver + 1);
	batch_record_del(out, str_n(mark, sizeof(mark)));
	return end(out, begin, 1, ret_written);
}
