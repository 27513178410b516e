/*
 * slots: reads, and the memory that their answers come in.
 *
 * The reader makes the memory and writes it; here it is mapped for reading. A slot is the reader's
 * from the question to its answer, and ours until the answer is used up.
 */
#include "roles/front/visit_priv.h"

#include "sys/file.h"

_Static_assert(READ_SLOT_SIZE >= ACCESS_WINDOW, "a window fits into a slot");

static void
unmap(struct front *f)
{
	if (f->slots)
		memfd_window_unmap(f->slots, READ_SLOTS_SIZE);
	f->slots = NULL;
}

unsigned
slots_free(const struct front *f)
{
	unsigned n = 0;
	for (size_t i = 0; i < READ_SLOTS; i++)
		n += !f->slot[i];
	return n;
}

static void
send_read(struct question *q, uint16_t slot)
{
	struct front *f = q->front;
	struct buf body = BUF_INIT(ACCESS_ASK_MAX + 256);
	struct msg_read m = {
		.slot = slot,
		.pass = visit_pass(q->conn->visit),
		.ask = buf_str(&q->body),
	};
	list_del(&q->node);
	q->slot = slot;
	q->asked = true;
	f->slot[slot] = q;
	msg_read_put(&body, &m);
	check(!body.failed);
	chan_send(f->reader, IPC_READ, q->id, buf_str(&body), -1);
	buf_done(&body);
}

static void
ask_waiting(struct front *f)
{
	for (uint16_t i = 0; i < READ_SLOTS && f->reader && f->slots; i++) {
		if (f->slot[i] || list_empty(&f->reads))
			continue;
		struct question *q = list_entry(f->reads.next, struct question, node);
		if (q->conn->visit->open == q)
			list_del(&q->conn->parked);
		send_read(q, i);
	}
}

void
slots_ask(struct question *q)
{
	list_add_tail(&q->front->reads, &q->node);
	ask_waiting(q->front);
	if (!q->asked && (!q->front->reader || !q->front->slots))
		conn_park(q->conn);
}

void
slots_release(struct question *q)
{
	list_del(&q->node);
	if (q->slot < 0)
		return;
	q->front->slot[q->slot] = NULL;
	q->slot = -1;
	ask_waiting(q->front);
}

struct str
slots_text(const struct front *f, const struct question *q)
{
	return str_n(f->slots + (size_t)q->slot * READ_SLOT_SIZE, q->len);
}

bool
slots_take(struct front *f, const struct ipc_frame *m)
{
	if (m->fd < 0 || f->slots || memfd_window_map(m->fd, READ_SLOTS_SIZE, &f->slots) < 0)
		return false;
	ask_waiting(f);
	return true;
}

bool
slots_answered(struct front *f, const struct ipc_frame *m)
{
	struct msg_read_done d;
	struct question *q = question_find(f, m->id, QUESTION_READ);
	if (!msg_read_done_get(m->body, &d) || d.status >= ACCESS_STATUS_COUNT || !q)
		return false;
	q->done = true;
	q->status = d.status;
	q->len = d.len;
	if (!q->conn)
		question_free(q);
	else if (q->conn->visit->open == q)
		visit_tell_read(q);
	return true;
}

/* Answers in the old memory go with it: what is still wanted is asked again. */
static void
ask_again(struct question *q)
{
	q->asked = q->done = false;
	q->slot = -1;
	if (!q->conn || q->conn->visit->ahead == q) {
		if (q->conn)
			q->conn->visit->ahead = NULL;
		question_free(q);
		return;
	}
	list_del(&q->node);
	list_add_tail(&q->front->reads, &q->node);
	conn_park(q->conn);
}

void
slots_reader_gone(struct front *f)
{
	size_t pos = 0;
	struct str key;
	void *v;
	unmap(f);
	memset(f->slot, 0, sizeof(f->slot));
	while (map_next(&f->questions, &pos, &key, &v)) {
		struct question *q = v;
		if (q->kind == QUESTION_READ)
			ask_again(q);
		else if (q->kind == QUESTION_ENTER && !q->conn)
			question_free(q);
		else if (q->kind == QUESTION_ENTER) {
			q->asked = false;
			conn_park(q->conn);
		}
	}
}
