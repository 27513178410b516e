/* Random operations on a store: drawing them, doing them, and saying what they were. */
#pragma once

#include "store_model.h"

#define DOMS 4     /* of plain keys */
#define BOXES 4    /* accounts FIRST_BOX and on, INBOX of each */
#define FIRST_BOX 10
#define SNAPS 3
#define WATCHES 6
#define LEASES 3   /* handles; 0 and 2 want the same */
#define LEASE_TTL 900

static uint64_t seed;

/* xorshift64* (Vigna 2016): the same numbers everywhere. */
static inline uint64_t
draw(uint64_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (seed * 0x2545f4914f6cdd1dull >> 33) % below;
}

static inline struct store_dom
plain_dom(unsigned i)
{
	/* Neighbours among them: what runs over shows. */
	const struct store_dom d[DOMS] = { store_dom_account(1), store_dom_account(2),
		store_dom_account(3), store_dom_account(9) };
	return d[i];
}

static inline struct store_dom
box_dom(unsigned i)
{
	return store_dom_mailbox(FIRST_BOX + i, MAILBOX_INBOX);
}

/* --- drawing --- */

static inline void
draw_change(struct change *c)
{
	unsigned char marker[8];
	uint64_t what = draw(20), n = draw(12);
	c->slot = (int)draw(STORE_SLOTS + 1) - 1;
	c->delta = (int64_t)draw(100) - 50;
	c->slots = c->slot >= 0 ? 1u << c->slot | 1u << draw(STORE_SLOTS) : 0;
	c->key_len = (size_t)snprintf(c->key, sizeof(c->key), "k%u", (unsigned)n);
	c->value_len = (size_t)snprintf(c->value, sizeof(c->value), "v%08u", (unsigned)draw(3));
	store_slot_marker(marker, c->slot >= 0 ? (unsigned)c->slot : 0);
	if (what < 2) {
		c->kind = CHANGE_EXPECT;
	} else if (what < 3) {
		c->kind = CHANGE_ABSENT;
	} else if (what < 12) {
		c->kind = CHANGE_PUT;
		if (what == 9)
			c->value_len = draw(9); /* short: no number */
		if (what == 10 || what == 11) {
			memcpy(c->value + draw(20), marker, 8);
			c->value_len = 28;
		}
		if (what == 11 && n < 6) {
			memcpy(c->key + 1, marker, 8);
			c->key_len = 9;
		}
	} else {
		c->kind = what < 16 ? CHANGE_DEL : CHANGE_ADD;
	}
	if (c->kind == CHANGE_ADD)
		c->key_len = (size_t)snprintf(c->key, sizeof(c->key), "k%u", (unsigned)draw(4));
}

static inline void
draw_letter(struct kit_letter *l, uint64_t number)
{
	uint64_t size = draw(40);
	*l = (struct kit_letter){ .id = 1 + number / 6 + draw(60), .blank = draw(2), .spill = draw(20) == 0 };
	l->parts = draw(3) ? 0 : (uint32_t)draw(4);
	l->first = FIRST_BOX + draw(BOXES);
	l->count = draw(BOXES + FIRST_BOX - l->first + 1);
	l->n = size == 0  ? STORE_INLINE_MAX + draw(1000)
	       : size < 4 ? draw(200000)
	                  : draw(6000);
}

static inline void
draw_batch(struct op *op)
{
	op->dom = (unsigned)draw(DOMS);
	op->n = (unsigned)draw(CHANGES_MAX) + (draw(50) != 0);
	op->n = MIN(op->n, (unsigned)CHANGES_MAX);
	op->too_long = draw(100) == 0;
	op->fence = draw(6) ? -1 : (int)draw(LEASES);
	for (unsigned i = 0; i < op->n; i++)
		draw_change(&op->change[i]);
}

/* writes: one that only writes, for a process that nobody looks after. number: how many there
 * were; ids of letters and uids rise with it, and some come again. */
static inline struct op
draw_op(bool writes, uint64_t number)
{
	static const struct {
		enum op_kind kind;
		unsigned share;
	} shares[] = { { OP_BATCH, 490 }, { OP_ACCEPT, 180 }, { OP_EXPUNGE, 90 },
		{ OP_QUEUE, 70 }, { OP_SYNC, 15 },
		{ OP_WAIT, 30 }, { OP_SNAP, 35 }, { OP_WATCH, 35 }, { OP_LEASE, 35 },
		{ OP_MERGE, 10 }, { OP_REOPEN, 6 }, { OP_KILL, 4 } };
	struct op op = { .fence = -1 };
	uint64_t at = draw(writes ? 845 : 1000);
	for (size_t i = 0; i < ARRAY_LEN(shares); i++) {
		op.kind = shares[i].kind;
		if (at < shares[i].share)
			break;
		at -= shares[i].share;
	}
	op.level = draw(5) ? STORE_DURABLE : STORE_APPLIED;
	if (op.kind == OP_BATCH)
		draw_batch(&op);
	if (writes)
		op.fence = -1;
	if (op.kind == OP_ACCEPT || op.kind == OP_MERGE)
		draw_letter(&op.letter, number);
	if (op.kind == OP_MERGE)
		op.letter.count = MAX(op.letter.count, (uint64_t)1);
	op.a = draw(1u << 30);
	op.b = draw(1u << 30);
	if (op.kind == OP_QUEUE) {
		op.letter.id = 1 + number / 6 - MIN(number / 6, draw(40)) + draw(60);
		op.uid = (uint32_t)draw(4);
	}
	if (op.kind == OP_EXPUNGE) {
		op.dom = (unsigned)draw(BOXES);
		op.uid = 1 + (uint32_t)draw(number / 12 + 20);
		op.uids = 1 + (uint32_t)draw(20);
	}
	return op;
}

/* --- saying --- */

static inline const char *
change_text(const struct change *c)
{
	static char text[200];
	static const char *const names[] = { "expect", "absent", "put", "del", "add" };
	int n = snprintf(text, sizeof(text), " %s ", names[c->kind]);
	for (size_t i = 0; i < c->key_len; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
		    c->key[i] >= ' ' && c->key[i] < 127 ? "%c" : "\\%02x", (unsigned char)c->key[i]);
	if (c->kind == CHANGE_ADD)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%+d", (int)c->delta);
	snprintf(text + n, sizeof(text) - (size_t)n, "(%zu) slot %d slots %x;", c->value_len,
	    c->slot, c->slots);
	return text;
}

static inline void
op_say(const struct op *op, uint64_t number)
{
	static const char *const names[OP_KINDS] = { "batch", "accept", "expunge", "queue", "sync", "wait",
		"snap", "watch", "lease", "merge", "reopen", "kill" };
	fprintf(stderr, "# %7llu %s", (unsigned long long)number, names[op->kind]);
	if (op->kind == OP_BATCH) {
		fprintf(stderr, " dom %u fence %d level %u%s:", op->dom, op->fence, op->level,
		    op->too_long ? " too long" : "");
		for (unsigned i = 0; i < op->n; i++)
			fprintf(stderr, "%s", change_text(&op->change[i]));
	} else if (op->kind == OP_ACCEPT || op->kind == OP_MERGE) {
		fprintf(stderr, " %llu to %llu+%llu, %zu octets%s%s",
		    (unsigned long long)op->letter.id, (unsigned long long)op->letter.first,
		    (unsigned long long)op->letter.count, op->letter.n,
		    op->letter.blank ? " blank" : "", op->letter.spill ? " spill" : "");
		fprintf(stderr, ", %u elsewhere", op->letter.parts);
	} else if (op->kind == OP_QUEUE) {
		fprintf(stderr, " %llu.%u a %llu b %llu", (unsigned long long)op->letter.id, op->uid,
		    (unsigned long long)op->a, (unsigned long long)op->b);
	} else if (op->kind == OP_EXPUNGE) {
		fprintf(stderr, " box %u uids %u+%u", op->dom, op->uid, op->uids);
	} else {
		fprintf(stderr, " a %llu b %llu", (unsigned long long)op->a,
		    (unsigned long long)op->b);
	}
	fprintf(stderr, "\n");
}

/* --- doing: mail merges --- */

/* All of the body, but for some octets in the middle, which are the recipient's own and happen to
 * be the same. */
static inline int
add_same_view(struct store_views *v, const struct kit_letter *l, const char *body, uint64_t i,
    struct str entry)
{
	size_t from = l->n / 3 + i % (l->n / 3 + 1), own = MIN(l->n - from, (size_t)100);
	struct buf pieces = BUF_INIT(4096);
	store_piece_put(&pieces, &(struct store_piece){ .len = from });
	store_piece_put(&pieces,
	    &(struct store_piece){ .literal = true, .text = str_n(body + from, own) });
	store_piece_put(&pieces,
	    &(struct store_piece){ .off = from + own, .len = l->n - from - own });
	struct store_view view = { .account = l->first + i,
		.mailbox = MAILBOX_INBOX,
		.prefix = STR("Delivered-To: c@d\r\n"),
		.size = l->n,
		.header_len = (uint32_t)MIN(l->n, (size_t)10),
		.insert_blank = l->blank,
		.n_pieces = 3,
		.pieces = buf_str(&pieces) };
	if (entry.p) {
		view.account = view.mailbox = 0;
		view.prefix = STR_NULL;
		view.entry = entry;
	}
	int r = store_views_add(v, &view);
	buf_done(&pieces);
	return r;
}

static inline int
merge_letter(struct store *s, const struct kit_letter *l)
{
	struct store_body *b = store_body_new(s, l->id);
	struct store_views *v = store_views_new(s, l->id);
	struct store_res res = { .rc = 1 };
	char trace[64], *p = xalloc(l->n + 1);
	snprintf(trace, sizeof(trace), KIT_TRACE, (unsigned long long)l->id);
	kit_fill(p, l->n, l->id);
	check(store_body_write(b, str_n(p, l->n)) == 0);
	for (uint64_t i = 0; i < l->count; i++)
		check(add_same_view(v, l, p, i, STR_NULL) == 0);
	for (uint32_t i = 0; i < l->parts; i++)
		check(add_same_view(v, l, p, l->count + i, STR("entry of a merge")) == 0);
	if (l->spill)
		check(store_views_spill(v) == 0);
	struct store_letter letter = { .letter = l->id,
		.time_ms = KIT_TIME,
		.from = STR("a@b"),
		.trace = str_of(trace),
		.prefix = STR("Return-Path: <a@b>\r\n") };
	store_merge(s, b, v, &letter, kit_take, &res);
	store_wait(s);
	free(p);
	return res.rc;
}

/* --- doing: those that write --- */

static inline void
do_batch(struct store *s, const struct op *op, const struct store_lease *l, store_fn *fn, void *arg)
{
	struct store_dom d = plain_dom(op->dom);
	struct store_batch *b = store_batch_new(s, &d);
	for (unsigned i = 0; i < op->n; i++) {
		const struct change *c = &op->change[i];
		struct str key = str_n(c->key, c->key_len), value = str_n(c->value, c->value_len);
		switch (c->kind) {
		case CHANGE_EXPECT:
			store_expect(b, key, value);
			break;
		case CHANGE_ABSENT:
			store_expect(b, key, STR_NULL);
			break;
		case CHANGE_PUT:
			store_put(b, key, value, c->slots);
			break;
		case CHANGE_DEL:
			store_del(b, key);
			break;
		case CHANGE_ADD:
			store_add(b, key, c->delta, c->slot);
			break;
		}
	}
	if (op->too_long) {
		static const char key[STORE_KEY_MAX + 1] = "k";
		store_del(b, str_n(key, sizeof(key)));
	}
	if (l)
		store_fence(b, l);
	store_commit(b, op->level, fn, arg);
}

static inline void
do_expunge(struct store *s, const struct op *op, store_fn *fn, void *arg)
{
	struct store_dom d = box_dom(op->dom);
	struct store_batch *b = store_batch_new(s, &d);
	for (uint32_t i = 0; i < op->uids; i++)
		mailbox_expunge(b, op->uid + i);
	store_commit(b, op->level, fn, arg);
}

static inline void
do_queue(struct store *s, const struct op *op, store_fn *fn, void *arg)
{
	struct store_dom d = store_dom_queue(0);
	struct store_batch *b = store_batch_new(s, &d);
	enum queue_what what = op->a % QUEUE_WHATS;
	char state[8];
	snprintf(state, sizeof(state), "s%d", (int)(op->b % 5));
	if (op->b % 3 == 0)
		store_note(b, &(struct store_note){ .kind = STORE_NOTE_ATTEMPT,
				  .letter = op->letter.id, .octets = STR("c: QUIT\n") });
	if (what != QUEUE_DEL)
		store_queue_state(b, op->letter.id, op->uid, str_of(state));
	if (what != QUEUE_STATE)
		store_queue_del(b, op->letter.id, op->uid + (what == QUEUE_BOTH));
	store_commit(b, op->level, fn, arg);
}

static inline void
do_write(struct store *s, const struct op *op, const struct store_lease *l, store_fn *fn, void *arg)
{
	if (op->kind == OP_BATCH)
		do_batch(s, op, l, fn, arg);
	else if (op->kind == OP_ACCEPT)
		kit_accept_async(s, op->letter, fn, arg);
	else if (op->kind == OP_EXPUNGE)
		do_expunge(s, op, fn, arg);
	else if (op->kind == OP_QUEUE)
		do_queue(s, op, fn, arg);
	else
		store_sync(s, fn, arg);
}
