/* questions: what was asked of another process and has no answer yet. */
#include "roles/front/visit_priv.h"

#include <stdlib.h>

static struct str
key_of(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

struct question *
question_new(struct conn *c, enum question_kind kind)
{
	static const size_t most[] = {
		[QUESTION_ENTER] = 0,
		[QUESTION_READ] = ACCESS_ASK_MAX,
		[QUESTION_CHANGE] = ACCESS_CHANGE_MAX,
		[QUESTION_ROOM] = 16,
	};
	struct front *f = c->front;
	struct question *q = xalloc(sizeof(*q));
	*q = (struct question){
		.id = ++f->question_id, .kind = kind, .front = f, .conn = c, .slot = -1
	};
	list_init(&q->node);
	buf_init(&q->body, most[kind]);
	map_put(&f->questions, key_of(&q->id), q);
	return q;
}

struct question *
question_free(struct question *q)
{
	if (!q)
		return NULL;
	struct front *f = q->front;
	map_del(&f->questions, key_of(&q->id));
	buf_done(&q->body);
	slots_release(q);
	free(q);
	return NULL;
}

struct question *
question_find(struct front *f, uint64_t id, enum question_kind kind)
{
	struct question *q = map_get(&f->questions, key_of(&id));
	return q && q->kind == kind && q->asked && !q->done ? q : NULL;
}

struct question *
question_drop(struct question *q)
{
	if (!q)
		return NULL;
	q->conn = NULL;
	return q->asked && !q->done ? NULL : question_free(q);
}
