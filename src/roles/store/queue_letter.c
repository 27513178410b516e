/*
 * Octets of short letters that came just now: they go to a relay with the job, so that no reader
 * has to find in the index, and read from the log, what was here a moment ago. A few MiB of the
 * newest are kept, and no longer than a few seconds; whoever comes later is answered by a reader.
 */
#include "roles/store/queue_priv.h"

#include "base/check.h"
#include "sys/clock.h"

#include <stdlib.h>

#define LETTERS_MAX (8u << 20)
#define AGE_MAX_MS 5000

struct short_letter {
	struct list node; /* queue->letter_list, the oldest first */
	uint64_t letter;
	int64_t came_ms;
	size_t entries; /* that were not given yet */
	struct buf octets;
};

static void
forget(struct queue *q, struct short_letter *l)
{
	map_del(&q->letters, id_key(&l->letter));
	list_del(&l->node);
	q->letters_octets -= l->octets.len;
	buf_done(&l->octets);
	free(l);
}

static struct short_letter *
oldest(struct queue *q)
{
	if (list_empty(&q->letter_list))
		return NULL;
	return list_entry(q->letter_list.next, struct short_letter, node);
}

void
queue_letter_keep(struct queue *q, uint64_t letter, struct buf *octets, size_t entries)
{
	if (octets->len == 0 || entries == 0 || map_get(&q->letters, id_key(&letter)))
		return;
	struct short_letter *l = xalloc(sizeof(*l));
	*l = (struct short_letter){
		.letter = letter, .came_ms = sys_mono_ms(), .entries = entries, .octets = *octets
	};
	*octets = (struct buf){ 0 };
	map_put(&q->letters, id_key(&l->letter), l);
	list_add_tail(&q->letter_list, &l->node);
	q->letters_octets += l->octets.len;
	while (q->letters_octets > LETTERS_MAX)
		forget(q, oldest(q));
}

/* In front of the job itself: IPC_SPOOL under its lease. */
void
queue_letter_send(struct queue *q, struct relay_peer *p, const struct lease *l)
{
	static const char ok[1]; /* ACCESS_OK */
	struct short_letter *s = map_get(&q->letters, id_key(&l->letter));
	if (!s)
		return;
	if (p->chan && s->octets.len == l->held->size)
		chan_send2(p->chan, IPC_SPOOL, l->id, str_n(ok, 1), buf_str(&s->octets));
	if (--s->entries == 0)
		forget(q, s);
}

void
queue_letters_tick(struct queue *q)
{
	int64_t now = sys_mono_ms();
	for (struct short_letter *l = oldest(q); l && now - l->came_ms > AGE_MAX_MS; l = oldest(q))
		forget(q, l);
}

void
queue_letters_done(struct queue *q)
{
	for (struct short_letter *l = oldest(q); l; l = oldest(q))
		forget(q, l);
	map_done(&q->letters);
}
