/* Domains and batches, as a caller builds them. */
#include "store/store_priv.h"

#include "base/check.h"
#include "store/mailbox.h"
#include "store/resolve.h"

#include <errno.h>
#include <stdlib.h>

/* --- domains --- */

static struct store_dom
dom_of(char kind, uint64_t a, uint32_t b)
{
	struct store_dom d = { { (unsigned char)kind } };
	be64_put(d.b + 1, a);
	be32_put(d.b + 9, b);
	return d;
}

struct store_dom
store_dom_directory(void)
{
	return dom_of('G', 0, 0);
}

struct store_dom
store_dom_account(uint64_t account)
{
	return dom_of('A', account, 0);
}

struct store_dom
store_dom_mailbox(uint64_t account, uint32_t mailbox)
{
	return dom_of('B', account, mailbox);
}

struct store_dom
store_dom_queue(uint32_t node)
{
	return dom_of('Q', node, 0);
}

/* --- batches --- */

struct store_batch *
store_batch_new(struct store *s, const struct store_dom *d)
{
	struct store_batch *b = xalloc(sizeof(*b));
	b->store = s;
	b->dom = *d;
	b->octets = BUF_INIT(BATCH_BYTES_MAX);
	return b;
}

struct store_batch *
store_batch_free(struct store_batch *b)
{
	if (!b)
		return NULL;
	buf_done(&b->octets);
	buf_done(&b->notes);
	free(b->ops);
	free(b);
	return NULL;
}

struct str
batch_key(const struct store_batch *b, const struct op *o)
{
	return str_n(b->octets.p + o->key, o->key_len);
}

struct str
batch_value(const struct store_batch *b, const struct op *o)
{
	return str_n(b->octets.p + o->value, o->value_len);
}

void
batch_refuse(struct store_batch *b, int rc)
{
	if (b->rc == 0)
		b->rc = rc;
}

static void
push_op(struct store_batch *b, struct op o, struct str key, struct str value)
{
	if (b->n == STORE_BATCH_OPS_MAX)
		return batch_refuse(b, -E2BIG);
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 8;
		b->ops = xrealloc(b->ops, b->cap * sizeof(*b->ops));
	}
	o.key = b->octets.len;
	o.key_len = key.len;
	buf_puts(&b->octets, key);
	o.value = b->octets.len;
	o.value_len = value.len;
	buf_puts(&b->octets, value);
	if (b->octets.failed)
		return batch_refuse(b, -E2BIG);
	b->ops[b->n++] = o;
}

static void
add_op(struct store_batch *b, struct op o, struct str key, struct str value)
{
	if (key.len == 0 || key.len > STORE_KEY_MAX || value.len > STORE_VALUE_MAX)
		return batch_refuse(b, key.len == 0 ? -EINVAL : -E2BIG);
	push_op(b, o, key, value);
}

void
store_expect(struct store_batch *b, struct str key, struct str value)
{
	add_op(b, (struct op){ .kind = value.p ? OP_EXPECT : OP_ABSENT }, key, value);
}

void
batch_expect_version(struct store_batch *b, uint64_t ver)
{
	unsigned char octets[8];
	be64_put(octets, ver);
	struct str v = str_n(octets, sizeof(octets));
	push_op(b, (struct op){ .kind = ver ? OP_EXPECT : OP_ABSENT }, STR(""), ver ? v : STR_NULL);
}

void
batch_expect_there(struct store_batch *b, struct str key)
{
	add_op(b, (struct op){ .kind = OP_PRESENT }, key, STR_NULL);
}

bool
batch_only_notes(const struct store_batch *b)
{
	return b->n == 0 && b->notes.len > 0;
}

void
store_put(struct store_batch *b, struct str key, struct str value, uint32_t slots)
{
	if (slots >> STORE_SLOTS)
		return batch_refuse(b, -EINVAL);
	add_op(b, (struct op){ .kind = OP_PUT, .slots = slots }, key, value);
}

void
store_del(struct store_batch *b, struct str key)
{
	add_op(b, (struct op){ .kind = OP_DEL }, key, STR_NULL);
}

void
mailbox_expunge(struct store_batch *b, uint32_t uid)
{
	char key[6];
	struct str k = str_n(key, letter_key(key, uid));
	add_op(b, (struct op){ .kind = OP_EXPUNGE }, k, STR_NULL);
}

void
store_add(struct store_batch *b, struct str key, int64_t delta, int slot)
{
	if (slot >= STORE_SLOTS)
		return batch_refuse(b, -EINVAL);
	add_op(b, (struct op){ .kind = OP_ADD, .delta = delta, .slot = slot }, key, STR_NULL);
}

void
store_slot_marker(unsigned char out[8], unsigned slot)
{
	memset(out, 0xff, 7);
	out[7] = (unsigned char)slot;
}

void
store_fence(struct store_batch *b, const struct store_lease *l)
{
	if (b->n_fences == STORE_FENCES)
		return batch_refuse(b, -E2BIG);
	b->fences[b->n_fences++] = lease_fence(b->store, l);
}

void
store_commit(struct store_batch *b, enum store_level level, store_fn *fn, void *arg)
{
	if (!leases_allow(b->store, b->fences, b->n_fences))
		batch_refuse(b, -ESTALE);
	struct request *r = request_new(REQ_BATCH, fn, arg);
	r->level = level;
	r->batch = b;
	r->dom = b->dom;
	store_submit(b->store, r);
}
