#include "facts.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS 1780000000000u /* in 2026; ids begin with their time */
#define ID_SHIFT 22

static uint64_t
mix(uint64_t a, uint64_t b)
{
	uint64_t z = a * 0x9e3779b97f4a7c15u + b * 0xd6e8feb86659fd93u + 0x94d049bb133111ebu;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

struct plan
plan_of(uint64_t seed, uint32_t n)
{
	static const uint64_t sizes[] = { 128u << 10, 128u << 10, 320u << 10, 1u << 20 };
	return (struct plan){ seed, n, sizes[mix(seed, 1) % ARRAY_LEN(sizes)] };
}

static size_t
size_of(uint64_t r)
{
	unsigned kind = r % 100;
	r >>= 8;
	if (kind < 3)
		return 270000 + r % 50000; /* more than stands in the log */
	return kind < 25 ? 20000 + r % 60000 : r % 3000;
}

struct plan_op
plan_op(const struct plan *p, uint32_t i)
{
	static const struct {
		enum plan_kind kind;
		unsigned of_100;
	} shares[] = {
		{ PLAN_LETTER, 37 },
		{ PLAN_REPEAT, 3 },
		{ PLAN_DELETE, 13 },
		{ PLAN_BATCH, 6 },
		{ PLAN_ABANDON, 2 },
		{ PLAN_WAIT, 5 },
		{ PLAN_RUN, 5 },
		{ PLAN_READ, 2 },
		{ PLAN_KEEP, 4 },
		{ PLAN_POST, 16 },
		{ PLAN_QUEUE, 7 },
	};
	uint64_t r = mix(p->seed, 1000 + i), r2 = mix(r, 2);
	unsigned share = r % 100, k = 0;
	while (k < ARRAY_LEN(shares) - 1 && share >= shares[k].of_100)
		share -= shares[k++].of_100;
	struct plan_op op = { .kind = shares[k].kind, .r = mix(r, 3) };
	op.letter = ((uint64_t)DAY_MS + i) << ID_SHIFT | 1;
	op.first = 1 + (uint32_t)(r2 % FACTS_ACCOUNTS);
	op.count = 1 + (uint32_t)((r2 >> 8) % (FACTS_ACCOUNTS + 1 - op.first));
	op.size = size_of(r2 >> 16);
	op.spill = (r2 >> 60) == 0;
	op.blank = r2 >> 59 & 1;
	op.merge = (r2 >> 56 & 7) == 0;
	op.parts = op.r >> 55 & 1 ? (uint32_t)((op.r >> 56) % (FACTS_PARTS + 1)) : 0;
	return op;
}

uint32_t
plan_index(uint64_t letter)
{
	return (uint32_t)((letter >> ID_SHIFT) - DAY_MS);
}

void
plan_fill(char *p, size_t n, uint64_t letter)
{
	static char ring[8192];
	if (!ring[0])
		for (size_t i = 0; i < sizeof(ring); i++)
			ring[i] = (char)('a' + mix(7, i) % 26);
	size_t from = mix(letter, 4) % sizeof(ring);
	while (n) {
		size_t step = MIN(n, sizeof(ring) - from);
		memcpy(p, ring + from, step);
		p += step, n -= step, from = 0;
	}
}

void
facts_init(struct facts *f, uint32_t n)
{
	*f = (struct facts){ .n = n };
	f->letter = xalloc(n + 1);
	f->deleted = xalloc((n + 1) * sizeof(*f->deleted));
	f->entry = xalloc((n + 1) * sizeof(*f->entry));
	f->post = xalloc(n + 1);
	f->post_n = xalloc((n + 1) * sizeof(*f->post_n));
}

void
facts_done(struct facts *f)
{
	free(f->letter);
	free(f->deleted);
	free(f->entry);
	free(f->post);
	free(f->post_n);
}

void
facts_note(struct facts *f, enum note what, uint32_t a, uint64_t b)
{
	bool of_letter = what < NOTE_PUTTING || what == NOTE_STEP;
	bool of_post = what >= NOTE_POST_ASKED && what <= NOTE_POST_TORN;
	bool of_entry = what >= NOTE_ENTRY_GOING && what <= NOTE_STATE_PUT;
	struct fact_entry *e = NULL;
	check(a < (of_letter || of_post || of_entry ? f->n
		      : what == NOTE_POST_TOP       ? FACTS_BOXES
						    : FACTS_POST + 1u));
	check(!of_letter || b <= FACTS_ACCOUNTS);
	if (of_entry) {
		check((b & 0xff) < FACTS_PARTS && b >> 8 <= UINT8_MAX);
		e = &f->entry[a][b & 0xff];
	}
	switch (what) {
	case NOTE_ENTRY_GOING:
		e->gone = MAX(e->gone, 1);
		break;
	case NOTE_ENTRY_GONE:
		e->gone = 2;
		break;
	case NOTE_STATE_PUTTING:
		e->putting = MAX(e->putting, (uint8_t)(b >> 8));
		break;
	case NOTE_STATE_PUT:
		e->put = MAX(e->put, (uint8_t)(b >> 8));
		break;
	case NOTE_ASKED:
		if (f->letter[a] != FACT_ACCEPTED)
			f->letter[a] = FACT_ASKED;
		break;
	case NOTE_ACCEPTED:
		f->accepted += f->letter[a] != FACT_ACCEPTED;
		f->letter[a] = FACT_ACCEPTED;
		break;
	case NOTE_REFUSED:
		f->letter[a] = FACT_REFUSED;
		break;
	case NOTE_DELETING:
		f->deleted[a][b] = MAX(f->deleted[a][b], 1);
		break;
	case NOTE_DELETED:
		f->deleted[a][b] = 2;
		break;
	case NOTE_PUTTING:
		f->putting[a] = MAX(f->putting[a], b);
		break;
	case NOTE_PUT:
		f->put[a] = MAX(f->put[a], b);
		break;
	case NOTE_STEP:
		f->next = a + 1;
		break;
	case NOTE_ACCOUNT:
		f->account[a] = true;
		break;
	case NOTE_POST_ASKED:
		f->post[a] = POST_ASKED;
		break;
	case NOTE_POST_DONE:
		f->post[a] = POST_DONE;
		f->post_n[a] = (uint32_t)b;
		break;
	case NOTE_POST_TORN:
		f->post[a] = POST_TORN;
		break;
	case NOTE_POST_TOP:
		f->top_uid[a] = MAX(f->top_uid[a], (uint32_t)(b >> 32));
		f->top_modseq[a] = MAX(f->top_modseq[a], (uint32_t)b);
		break;
	}
}
