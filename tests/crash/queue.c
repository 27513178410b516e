#include "queue.h"

#include "letter.h"

#include "base/check.h"
#include "base/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what is handed in --- */

uint32_t
queue_part(const struct plan_op *op, uint32_t k)
{
	return op->merge ? op->count + k : k;
}

static void
value_of(char ret[48], const struct plan_op *op, uint32_t k)
{
	snprintf(ret, 48, "entry %llu.%u", (unsigned long long)op->letter, k);
}

void
queue_entries_of(const struct plan_op *op, struct queue_entries *ret)
{
	for (uint32_t k = 0; k < op->parts; k++) {
		value_of(ret->text[k], op, k);
		ret->entry[k] = (struct store_entry){ queue_part(op, k), str_of(ret->text[k]) };
	}
}

/* --- what is done to it --- */

struct change {
	struct work *w;
	uint32_t i, k, number; /* number 0: it goes */
};

static void
changed(void *arg, const struct store_res *res)
{
	struct change *c = arg;
	struct work *w = c->w;
	w->under_way--;
	if (res->rc == 0)
		work_tell(w, c->number ? NOTE_STATE_PUT : NOTE_ENTRY_GONE, c->i,
		    c->k | (uint64_t)c->number << 8);
	else if (work_right_failure(w, res->rc))
		w->dead |= res->rc == -EIO;
	else
		work_say(w, "entry %u of letter %u: %s", c->k, c->i, strerror(-res->rc));
	free(c);
}

static void
change_entry(struct work *w, const struct plan_op *old, uint32_t i, uint32_t k, uint64_t r)
{
	struct store_dom d = store_dom_queue(0);
	struct store_batch *b = store_batch_new(w->s, &d);
	struct change *c = xalloc(sizeof(*c));
	unsigned char number[4];
	bool go = r % 3 == 0 || w->facts.entry[i][k].putting == UINT8_MAX;
	*c = (struct change){ w, i, k, go ? 0 : w->facts.entry[i][k].putting + 1u };
	if (r >> 8 & 1)
		store_note(b, &(struct store_note){ .kind = STORE_NOTE_ATTEMPT,
				  .letter = old->letter,
				  .octets = STR("c: EHLO here\ns: 250 there\n") });
	be32_put(number, c->number);
	if (go)
		store_queue_del(b, old->letter, queue_part(old, k));
	else
		store_queue_state(b, old->letter, queue_part(old, k),
		    str_n(number, sizeof(number)));
	work_tell(w, go ? NOTE_ENTRY_GOING : NOTE_STATE_PUTTING, i, k | (uint64_t)c->number << 8);
	w->under_way++;
	store_commit(b, r >> 9 & 1 ? STORE_APPLIED : STORE_DURABLE, changed, c);
}

void
queue_do(struct work *w, const struct plan_op *op)
{
	uint32_t left = (op->r >> 20) % 4 ? 1 : 12;
	for (uint32_t tries = 0; left && w->facts.next > 1 && tries < 16 + left * 4; tries++) {
		uint32_t i = (uint32_t)((op->r + tries * 7919u) % (w->facts.next - 1));
		struct plan_op old = plan_op(&w->plan, i);
		if (w->facts.letter[i] != FACT_ACCEPTED || old.parts == 0)
			continue;
		uint32_t k = (uint32_t)((op->r >> 40) + tries) % old.parts;
		if (w->facts.entry[i][k].gone)
			continue;
		change_entry(w, &old, i, k, (op->r >> 24) + tries);
		left--;
	}
}

/* --- what is there --- */

struct reading {
	struct work *w;
	uint8_t (*seen)[FACTS_PARTS];
	uint64_t n;
};

static bool
state_is_right(const struct work *w, uint32_t i, uint32_t k, struct str state)
{
	uint32_t number = 0;
	if (state.p && state.len != 4)
		return false;
	if (state.p)
		number = be32_get((const unsigned char *)state.p);
	return number >= w->facts.entry[i][k].put && number <= w->facts.entry[i][k].putting &&
	       (number != 0 || !state.p);
}

static bool
take_entry(void *arg, const struct store_queued *q)
{
	struct reading *r = arg;
	struct work *w = r->w;
	char value[48];
	uint32_t i = plan_index(q->letter);
	struct plan_op op = plan_op(&w->plan, i);
	uint32_t k = q->part - queue_part(&op, 0);
	r->n++;
	if (i >= w->facts.n || op.letter != q->letter || k >= op.parts)
		return work_say(w, "the queue has an entry that nobody made");
	if (r->seen[i][k]++)
		return work_say(w, "entry %u of letter %u is there twice", k, i);
	value_of(value, &op, k);
	if (!str_eq(q->value, str_of(value)))
		return work_say(w, "entry %u of letter %u has another value", k, i);
	if (!state_is_right(w, i, k, q->state))
		return work_say(w, "entry %u of letter %u has a wrong state", k, i);
	if (!letter_is_queued(w->s, &op, k, q))
		return work_say(w, "entry %u of letter %u: its octets are damaged", k, i);
	return true;
}

bool
queue_read(struct work *w, uint8_t (*seen)[FACTS_PARTS])
{
	struct store_dom d = store_dom_queue(0);
	struct store_snap *sn = NULL;
	struct reading x = { .w = w, .seen = seen };
	struct store_stats st;
	int r = store_snap_open(w->s, &d, &sn, NULL);
	if (r == 0)
		r = store_queue_scan(sn, 0, 0, 0, take_entry, &x);
	store_snap_close(sn);
	if (r < 0)
		return work_say(w, "the queue: %s", strerror(-r));
	store_stats(w->s, &st);
	if (st.queue_entries != x.n)
		return work_say(w, "the queue has %llu entries, %llu are counted",
		    (unsigned long long)x.n, (unsigned long long)st.queue_entries);
	return !w->says[0];
}

bool
queue_judge(struct work *w, uint32_t i, const uint8_t seen[FACTS_PARTS], uint32_t *ret_there,
    bool *ret_gone)
{
	struct plan_op op = plan_op(&w->plan, i);
	enum fact fact = w->facts.letter[i];
	for (uint32_t k = 0; k < op.parts; k++) {
		uint8_t gone = w->facts.entry[i][k].gone;
		*ret_there += seen[k];
		*ret_gone |= gone != 0;
		if (seen[k] && (fact == FACT_NONE || fact == FACT_REFUSED))
			return work_say(w, "entry %u of letter %u is there, which was %s", k, i,
			    fact == FACT_NONE ? "never sent" : "refused");
		if (seen[k] && gone == 2)
			return work_say(w, "entry %u of letter %u is there again", k, i);
		if (!seen[k] && fact == FACT_ACCEPTED && gone == 0)
			return work_say(w, "letter %u was acknowledged and its entry %u is lost", i,
			    k);
	}
	return true;
}
