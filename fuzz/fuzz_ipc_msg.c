/*
 * Every decoder of ipc/msg.h: the first octet picks one, the rest is the body. What is taken
 * must be written back as the very same octets.
 */
#include "base/check.h"
#include "ipc/chan.h"
#include "ipc/msg.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROUND_TRIP(name)                                                                           \
	static bool name##_trip(struct str body, struct buf *out)                                  \
	{                                                                                          \
		struct msg_##name m;                                                               \
		if (!msg_##name##_get(body, &m))                                                   \
			return false;                                                              \
		msg_##name##_put(out, &m);                                                         \
		return true;                                                                       \
	}

ROUND_TRIP(setup)
ROUND_TRIP(peer)
ROUND_TRIP(ready)
ROUND_TRIP(status)
ROUND_TRIP(store_state)
ROUND_TRIP(ask)
ROUND_TRIP(row)
ROUND_TRIP(done)
ROUND_TRIP(secret)
ROUND_TRIP(sign)
ROUND_TRIP(sasl_start)
ROUND_TRIP(sasl)
ROUND_TRIP(fetch)
ROUND_TRIP(fetched)
ROUND_TRIP(enter)
ROUND_TRIP(entered)
ROUND_TRIP(read)
ROUND_TRIP(read_done)
ROUND_TRIP(access_change)
ROUND_TRIP(access_done)
ROUND_TRIP(watch)
ROUND_TRIP(room)
ROUND_TRIP(job)
ROUND_TRIP(hello)
ROUND_TRIP(stage)
ROUND_TRIP(result)
ROUND_TRIP(spool_ask)
ROUND_TRIP(mx_ask)
ROUND_TRIP(mx)
ROUND_TRIP(sts_ask)
ROUND_TRIP(sts)
ROUND_TRIP(login_start)
ROUND_TRIP(login)
ROUND_TRIP(srs_ask)
ROUND_TRIP(turn)
ROUND_TRIP(guest)

static bool
accept_trip(struct str body, struct buf *out)
{
	struct msg_accept m;
	struct msg_rcpt r;
	if (!msg_accept_get(body, &m))
		return false;
	struct buf rcpts = BUF_INIT(IPC_BODY_MAX);
	struct wire w = wire_of(m.rcpts);
	for (uint32_t i = 0; i < m.n_rcpt; i++) {
		check(msg_rcpt_get(&w, &r));
		msg_rcpt_put(&rcpts, &r);
	}
	check(wire_done(&w) && str_eq(buf_str(&rcpts), m.rcpts));
	struct msg_onward o;
	buf_reset(&rcpts);
	w = wire_of(m.onward);
	for (uint32_t i = 0; i < m.n_onward; i++) {
		check(msg_onward_get(&w, &o));
		msg_onward_put(&rcpts, &o);
	}
	check(wire_done(&w) && str_eq(buf_str(&rcpts), m.onward));
	msg_accept_put(out, &m);
	buf_done(&rcpts);
	return true;
}

/* As many views as there are; each piece again, and what it may ask of a body. */
static bool
views_trip(struct str body, struct buf *out)
{
	struct msg_view m;
	struct msg_piece piece;
	struct wire w = wire_of(body);
	while (w.left > 0) {
		if (!msg_view_get(&w, &m))
			return false;
		struct buf pieces = BUF_INIT(VIEW_MAX);
		struct wire p = wire_of(m.pieces);
		uint64_t size = 0;
		for (uint16_t i = 0; i < m.n_pieces; i++) {
			check(msg_piece_get(&p, &piece));
			check(piece.off + piece.len >= piece.off);
			size += piece.literal ? piece.text.len : piece.len;
			msg_piece_put(&pieces, &piece);
		}
		check(wire_done(&p) && str_eq(buf_str(&pieces), m.pieces) && size == m.size);
		msg_view_put(out, &m);
		buf_done(&pieces);
	}
	return true;
}

static bool
u8_trip(struct str body, struct buf *out)
{
	uint8_t v;
	if (!msg_u8_get(body, ACCEPT_COUNT, &v))
		return false;
	check(v < ACCEPT_COUNT);
	msg_u8_put(out, v);
	return true;
}

static bool
u16_trip(struct str body, struct buf *out)
{
	uint16_t v;
	if (!msg_u16_get(body, LISTENER_MAX, &v))
		return false;
	check(v < LISTENER_MAX);
	msg_u16_put(out, v);
	return true;
}

static bool
u32_trip(struct str body, struct buf *out)
{
	uint32_t v;
	if (!msg_u32_get(body, &v))
		return false;
	msg_u32_put(out, v);
	return true;
}

static bool (*const trips[])(struct str body, struct buf *out) = {
	setup_trip,
	peer_trip,
	ready_trip,
	status_trip,
	store_state_trip,
	ask_trip,
	row_trip,
	done_trip,
	accept_trip,
	u8_trip,
	u16_trip,
	u32_trip,
	secret_trip,
	sign_trip,
	sasl_start_trip,
	sasl_trip,
	fetch_trip,
	fetched_trip,
	views_trip,
	enter_trip,
	entered_trip,
	read_trip,
	read_done_trip,
	access_change_trip,
	access_done_trip,
	watch_trip,
	room_trip,
	job_trip,
	hello_trip,
	stage_trip,
	result_trip,
	spool_ask_trip,
	mx_ask_trip,
	mx_trip,
	sts_ask_trip,
	sts_trip,
	login_start_trip,
	login_trip,
	srs_ask_trip,
	turn_trip,
	guest_trip,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	/* A copy of just this size, so that one octet too far is found. */
	char *copy = xmemdup(data + 1, size - 1);
	struct str body = str_n(copy, size - 1);
	struct buf out = BUF_INIT(2 * IPC_BODY_MAX);
	if (trips[data[0] % ARRAY_LEN(trips)](body, &out)) {
		check(!out.failed);
		check(str_eq(buf_str(&out), body));
	}
	buf_done(&out);
	free(copy);
	return 0;
}
