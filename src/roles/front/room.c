/* room: whether an account's quota has room for a letter. Only the store's writer knows. */
#include "roles/front/visit_priv.h"

#include "route/route.h"

static void
send_ask(struct conn *c)
{
	struct front *f = c->front;
	if (!f->store) {
		conn_park(c);
		return;
	}
	list_del(&c->parked);
	c->room->asked = true;
	chan_send(f->store, IPC_ROOM_ASK, c->room->id, buf_str(&c->room->body), -1);
}

bool
room_counts(const struct conn *c)
{
	return c->front->settings->conf->quota > 0;
}

bool
room_limited(const struct conn *c, struct str user)
{
	struct route_result r = { 0 };
	struct addr a;
	if (room_counts(c))
		return true;
	if (!c->front->directory.block.len || addr_mailbox(user, ADDR_SMTPUTF8, &a) != ADDR_OK)
		return false;
	route_resolve(&c->front->directory, &a, &r);
	bool limited = r.n_target == 1 && r.target[0].limited;
	route_result_done(&r);
	return limited;
}

void
room_ask(struct conn *c, uint64_t account, uint64_t octets)
{
	struct msg_room m = { account, octets };
	check(!c->room);
	c->room = question_new(c, QUESTION_ROOM);
	msg_room_put(&c->room->body, &m);
	check(!c->room->body.failed);
	send_ask(c);
}

void
room_again(struct conn *c)
{
	if (!c->room->asked)
		send_ask(c);
}

void
room_drop(struct conn *c)
{
	c->room = question_drop(c->room);
}

bool
room_answered(struct front *f, const struct ipc_frame *m)
{
	uint8_t yes;
	struct question *q = question_find(f, m->id, QUESTION_ROOM);
	if (!msg_u8_get(m->body, 2, &yes) || !q)
		return false;
	struct conn *c = q->conn;
	question_free(q);
	if (!c)
		return true;
	c->room = NULL;
	c->protocol->room(c, yes == 1);
	return true;
}

/* The next store is asked again. */
void
room_store_gone(struct front *f)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&f->questions, &pos, &key, &v)) {
		struct question *q = v;
		if (q->kind != QUESTION_ROOM || !q->asked)
			continue;
		q->asked = false;
		if (q->conn)
			conn_park(q->conn);
		else
			question_free(q);
	}
}
