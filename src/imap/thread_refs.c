/* THREAD=REFERENCES (RFC 5256 3, steps 1 to 6). */
#include "imap/thread_priv.h"

#include "base/check.h"

/* --- step 1: who answers whom --- */

static uint32_t
root_of(struct thread *t, uint32_t n)
{
	while (t->node[n].up) {
		uint32_t up = t->node[n].up;
		if (t->node[up].up)
			t->node[n].up = t->node[up].up;
		n = up;
	}
	return n;
}

/* A child that has no parent is the root of its tree: there is a loop if it is the parent's, too.
 */
static void
adopt(struct thread *t, uint32_t parent, uint32_t child)
{
	if (t->node[child].parent || root_of(t, parent) == child)
		return;
	t->node[child].parent = parent;
	t->node[child].up = parent;
}

/* An id that two letters have belongs to the first. */
static void
own_nodes(struct thread *t)
{
	for (uint32_t i = 0; i < t->n && !t->failed; i++) {
		struct thread_letter *l = &t->letter[i];
		uint32_t n = l->msgid ? thread_id_node(t, l->msgid) : 0;
		if (!n || t->node[n].letter)
			n = thread_node_new(t, 0);
		if (t->failed)
			return;
		t->node[n].letter = i + 1;
		l->node = n;
	}
}

/* 1 (B), before (A): the last reference of a letter goes before what others say of it. */
static void
last_refs(struct thread *t)
{
	for (uint32_t i = 0; i < t->n && !t->failed; i++) {
		const struct thread_letter *l = &t->letter[i];
		if (!l->n_refs)
			continue;
		uint32_t parent = thread_id_node(t, t->refs[l->ref_at + l->n_refs - 1]);
		if (parent)
			adopt(t, parent, l->node);
	}
}

/* 1 (A). A letter without references loses the parent that letters before it gave it. */
static void
other_refs(struct thread *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct thread_letter *l = &t->letter[i];
		uint32_t parent = l->n_refs ? thread_id_node(t, t->refs[l->ref_at]) : 0;
		for (uint32_t k = 1; k < l->n_refs; k++) {
			uint32_t child = thread_id_node(t, t->refs[l->ref_at + k]);
			if (t->failed)
				return;
			uint32_t own = t->node[child].letter;
			bool later = own > i && !t->letter[own - 1].n_refs;
			if (!later)
				adopt(t, parent, child);
			parent = child;
		}
	}
}

/* --- steps 2 and 3: dummies go, but for those that hold a thread together --- */

/* The nearest letter above, or the dummy at the top. */
static uint32_t
above(struct thread *t, uint32_t n)
{
	uint32_t top = n;
	while (!t->node[top].letter && t->node[top].parent)
		top = t->node[top].up;
	while (n != top) {
		uint32_t up = t->node[n].up;
		t->node[n].up = top;
		n = up;
	}
	return top;
}

static void
prune(struct thread *t)
{
	for (uint32_t i = 1; i < t->n_nodes; i++)
		t->node[i].up = t->node[i].parent;
	/* `first` counts what a dummy at the top would hold. */
	for (uint32_t i = 0; i < t->n; i++) {
		struct thread_node *n = &t->node[t->letter[i].node];
		if (!n->parent)
			continue;
		n->last = above(t, n->parent);
		t->node[n->last].first++;
	}
	for (uint32_t i = 0; i < t->n; i++) {
		struct thread_node *n = &t->node[t->letter[i].node];
		if (!n->parent)
			continue;
		const struct thread_node *p = &t->node[n->last];
		n->parent = p->letter || p->first > 1 ? n->last : 0;
	}
}

/* --- step 5: threads with one subject become one --- */

static const struct thread_letter *
speaker(const struct thread *t, uint32_t root)
{
	uint32_t n = t->node[root].letter ? root : t->node[root].first;
	return &t->letter[t->node[n].letter - 1];
}

static bool
is_reply(const struct thread *t, uint32_t root)
{
	return t->node[root].letter && speaker(t, root)->reply;
}

static void
subject_note(struct thread *t, uint32_t root, struct thread_ids *subjects)
{
	uint64_t subject = speaker(t, root)->subject;
	uint32_t *at = subject ? thread_ids_at(subjects, subject) : NULL;
	if (!at) {
		t->failed = t->failed || subject;
		return;
	}
	if (!*at || (t->node[*at].letter &&
			(!t->node[root].letter || (is_reply(t, *at) && !is_reply(t, root)))))
		*at = root;
}

/* All children of a dummy go over to another. */
static void
children_move(struct thread *t, uint32_t from, uint32_t to)
{
	for (uint32_t n = t->node[from].first; n; n = t->node[n].next)
		t->node[n].parent = to;
}

static void
subject_merge(struct thread *t, uint32_t root, struct thread_ids *subjects)
{
	uint64_t subject = speaker(t, root)->subject;
	uint32_t *at = subject ? thread_ids_at(subjects, subject) : NULL;
	if (!at || *at == root)
		return;
	bool dummy = !t->node[root].letter;
	if (!t->node[*at].letter && dummy) {
		children_move(t, root, *at);
		return;
	}
	if (!t->node[*at].letter || (is_reply(t, root) && !is_reply(t, *at))) {
		t->node[root].parent = *at;
		return;
	}
	uint32_t both = thread_node_new(t, 0);
	if (!both)
		return;
	t->node[root].parent = t->node[*at].parent = both;
	*at = both;
}

static void
merge(struct thread *t)
{
	struct thread_ids subjects = { 0 };
	for (uint32_t n = t->first_root; n && !t->failed; n = t->node[n].next)
		subject_note(t, n, &subjects);
	for (uint32_t n = t->first_root; n && !t->failed; n = t->node[n].next)
		subject_merge(t, n, &subjects);
	thread_ids_done(&subjects);
}

bool
thread_references(struct thread *t)
{
	own_nodes(t);
	last_refs(t);
	if (!t->failed)
		other_refs(t);
	if (t->failed)
		return false;
	prune(t);
	/* Step 4: all are in order of their dates when they are linked. */
	thread_sort(t);
	thread_link_all(t);
	merge(t);
	if (!t->failed)
		thread_link_all(t);
	return !t->failed;
}
