/* THREAD: letters, nodes, and how a forest is written (RFC 5256 4). */
#include "imap/thread_priv.h"
#include "imap/walk_priv.h"

#include "base/check.h"
#include "base/map.h"

#include <stdlib.h>
#include <sys/auxv.h>

void
thread_ids_done(struct thread_ids *ids)
{
	free(ids->id);
	free(ids->node);
	*ids = (struct thread_ids){ 0 };
}

void
thread_done(struct thread *t)
{
	free(t->letter);
	free(t->refs);
	free(t->node);
	thread_ids_done(&t->ids);
	*t = (struct thread){ 0 };
}

/* Room for `more` behind n. NULL and failed: there is none. */
static void *
grow(struct thread *t, void *p, size_t n, size_t more, size_t *cap, size_t max, size_t size)
{
	if (t->failed || more > max || n > max - more) {
		t->failed = true;
		return NULL;
	}
	if (n + more <= *cap)
		return p;
	size_t want = MIN(MAX(*cap * 2, n + more + 64), max);
	void *now = realloc(p, want * size);
	if (!now) {
		t->failed = true;
		return NULL;
	}
	*cap = want;
	return now;
}

void
thread_add(struct thread *t, const struct thread_letter *l, const uint64_t *refs)
{
	size_t cap = t->cap;
	struct thread_letter *all =
	    grow(t, t->letter, t->n, 1, &cap, THREAD_LETTERS_MAX, sizeof(*all));
	if (!all)
		return;
	t->letter = all;
	t->cap = (uint32_t)cap;
	uint64_t *ids = grow(t, t->refs, t->n_refs, l->n_refs + (size_t)1, &t->cap_refs,
	    THREAD_REFS_MAX, sizeof(*ids));
	if (!ids)
		return;
	t->refs = ids;
	t->letter[t->n] = *l;
	t->letter[t->n++].ref_at = t->n_refs;
	for (uint32_t i = 0; i < l->n_refs; i++)
		t->refs[t->n_refs++] = refs[i];
}

uint32_t
thread_node_new(struct thread *t, uint32_t letter)
{
	size_t cap = t->cap_nodes;
	struct thread_node *all =
	    grow(t, t->node, t->n_nodes, 2, &cap, THREAD_NODES_MAX, sizeof(*all));
	if (!all)
		return 0;
	t->node = all;
	t->cap_nodes = (uint32_t)cap;
	if (!t->n_nodes)
		t->node[t->n_nodes++] = (struct thread_node){ 0 };
	t->node[t->n_nodes] = (struct thread_node){ .letter = letter };
	return t->n_nodes++;
}

/* --- hashes --- */

/* Ids are hashes that whoever writes a letter can choose: where one stands in the table he cannot,
 * for it depends on a key of this process (as in base/map.c). */
static size_t
place(const struct thread_ids *ids, uint64_t id)
{
	const unsigned char *key = (const unsigned char *)getauxval(AT_RANDOM);
	check(key);
	size_t i = (size_t)siphash(key, str_n(&id, sizeof(id))) & (ids->cap - 1);
	while (ids->id[i] && ids->id[i] != id)
		i = (i + 1) & (ids->cap - 1);
	return i;
}

static bool
ids_grow(struct thread_ids *ids)
{
	struct thread_ids now = { .cap = ids->cap ? ids->cap * 2 : 256, .used = ids->used };
	now.id = calloc(now.cap, sizeof(*now.id));
	now.node = calloc(now.cap, sizeof(*now.node));
	if (!now.id || !now.node) {
		thread_ids_done(&now);
		return false;
	}
	for (size_t i = 0; i < ids->cap; i++) {
		if (!ids->id[i])
			continue;
		size_t to = place(&now, ids->id[i]);
		now.id[to] = ids->id[i];
		now.node[to] = ids->node[i];
	}
	thread_ids_done(ids);
	*ids = now;
	return true;
}

uint32_t *
thread_ids_at(struct thread_ids *ids, uint64_t id)
{
	if (ids->used * 2 >= ids->cap && !ids_grow(ids))
		return NULL;
	size_t i = place(ids, id);
	if (!ids->id[i]) {
		ids->id[i] = id;
		ids->used++;
	}
	return &ids->node[i];
}

uint32_t
thread_id_node(struct thread *t, uint64_t id)
{
	uint32_t *at = thread_ids_at(&t->ids, id);
	if (!at) {
		t->failed = true;
		return 0;
	}
	if (!*at)
		*at = thread_node_new(t, 0);
	return *at;
}

/* --- order --- */

static int
earlier(const void *pa, const void *pb)
{
	const struct thread_letter *a = pa, *b = pb;
	if (a->date != b->date)
		return a->date < b->date ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

void
thread_sort(struct thread *t)
{
	if (t->n)
		qsort(t->letter, t->n, sizeof(*t->letter), earlier);
	for (uint32_t i = 0; i < t->n; i++)
		if (t->letter[i].node)
			t->node[t->letter[i].node].letter = i + 1;
}

static void
root_add(struct thread *t, uint32_t n)
{
	if (t->last_root)
		t->node[t->last_root].next = n;
	else
		t->first_root = n;
	t->last_root = n;
}

static void
child_add(struct thread *t, uint32_t parent, uint32_t n)
{
	struct thread_node *p = &t->node[parent];
	if (p->last)
		t->node[p->last].next = n;
	else
		p->first = n;
	p->last = n;
}

void
thread_link_all(struct thread *t)
{
	t->first_root = t->last_root = 0;
	for (uint32_t i = 1; i < t->n_nodes; i++)
		t->node[i].first = t->node[i].last = t->node[i].next = 0;
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t n = t->letter[i].node, p = t->node[n].parent;
		if (!p) {
			root_add(t, n);
			continue;
		}
		if (!t->node[p].letter && !t->node[p].first)
			root_add(t, p);
		child_add(t, p, n);
	}
}

/* --- as text --- */

static bool
branches(const struct thread *t, uint32_t n)
{
	return t->node[n].first != t->node[n].last;
}

/* The deepest first letter from n on; what is on the way is written. */
static uint32_t
put_down(const struct thread *t, uint32_t n, struct buf *out)
{
	for (;;) {
		const struct thread_node *p = &t->node[n];
		if (p->letter)
			imap_walk_number(out, t->letter[p->letter - 1].number);
		if (!p->first)
			return n;
		if (p->letter)
			buf_putc(out, ' ');
		if (branches(t, n))
			buf_putc(out, '(');
		n = p->first;
	}
}

static void
put_tree(const struct thread *t, uint32_t root, struct buf *out)
{
	buf_putc(out, '(');
	uint32_t n = put_down(t, root, out);
	while (n != root) {
		uint32_t up = t->node[n].parent;
		if (branches(t, up))
			buf_putc(out, ')');
		if (t->node[n].next) {
			buf_putc(out, '(');
			n = put_down(t, t->node[n].next, out);
		} else {
			n = up;
		}
	}
	buf_putc(out, ')');
}

void
thread_put(const struct thread *t, struct buf *out)
{
	for (uint32_t n = t->first_root; n; n = t->node[n].next)
		put_tree(t, n, out);
}

/* --- ORDEREDSUBJECT --- */

bool
thread_subjects(struct thread *t)
{
	struct thread_ids first = { 0 };
	thread_sort(t);
	for (uint32_t i = 0; i < t->n && !t->failed; i++) {
		struct thread_letter *l = &t->letter[i];
		l->node = thread_node_new(t, i + 1);
		uint32_t *at = thread_ids_at(&first, l->subject ? l->subject : 1);
		t->failed = t->failed || !at;
		if (t->failed)
			break;
		if (*at)
			t->node[l->node].parent = *at;
		else
			*at = l->node;
	}
	thread_ids_done(&first);
	if (!t->failed)
		thread_link_all(t);
	return !t->failed;
}
