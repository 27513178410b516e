/* A relay and a front that are played here, with a store role that has a queue. */
#pragma once

#include "roles_store_kit.h"

#include "access/access.h"
#include "queue/entry.h"
#include "sys/clock.h"

/* --- a relay --- */

struct fake {
	int fd;
	struct buf store;
	struct ipc_frame f;
	struct msg_job job;
	struct queue_entry entry;
};

static inline void
hello(struct fake *r, struct town *t, const struct msg_lease *lease, uint16_t n)
{
	struct buf b = BUF_INIT(1u << 16), list = BUF_INIT(1u << 16);
	*r = (struct fake){ .fd = kit_peer(&t->store, ROLE_RELAY, 0),
		.store = BUF_INIT(IPC_BODY_MAX + 64) };
	for (uint16_t i = 0; i < n; i++)
		msg_lease_put(&list, &lease[i]);
	const struct msg_hello m = { 1, n, buf_str(&list) };
	msg_hello_put(&b, &m);
	assert_int_equal(chan_sync_send(r->fd, IPC_RELAY_HELLO, 0, buf_str(&b), -1), 0);
	buf_done(&b);
	buf_done(&list);
}

static inline void
bye(struct fake *r)
{
	close(r->fd);
	buf_done(&r->store);
}

static inline void
next_job(struct fake *r)
{
	do /* the octets of a short letter stand in front of its job, under the same lease */
		assert_int_equal(kit_recv(r->fd, &r->f, &r->store), 0);
	while (r->f.type == IPC_SPOOL);
	assert_int_equal(r->f.type, IPC_JOB);
	assert_true(msg_job_get(r->f.body, &r->job));
	assert_true(queue_entry_get(r->job.entry, &r->entry));
}

static inline void
say(struct fake *r, uint64_t lease, uint32_t n, enum job_fate fate, uint16_t code, bool dead)
{
	struct buf b = BUF_INIT(1u << 16), list = BUF_INIT(1u << 16);
	for (uint32_t i = 0; i < n; i++)
		msg_fate_put(&list, &(struct msg_fate){ (uint8_t)fate, code,
					fate == JOB_SENT    ? STR("2.0.0")
					: fate == JOB_LATER ? STR("4.7.1")
							    : STR("5.1.1"),
					STR("what the server said") });
	const struct msg_result m = { .dead = dead,
		.trouble = fate == JOB_SENT ? JOB_TROUBLE_NONE : JOB_TROUBLE_RCPT,
		.mta = STR("mx.example.net"),
		.ip = STR("192.0.2.1"),
		.begun_ms = 5,
		.ended_ms = 9,
		.history = STR("+1ms # mx.example.net [192.0.2.1]:25\n"),
		.n = n,
		.fates = buf_str(&list) };
	msg_result_put(&b, &m);
	assert_int_equal(chan_sync_send(r->fd, IPC_JOB_RESULT, lease, buf_str(&b), -1), 0);
	buf_done(&b);
	buf_done(&list);
}

static inline void
say_talking(struct fake *r, uint64_t lease)
{
	struct buf b = BUF_INIT(1024);
	const struct msg_stage m = { JOB_TALKING, STR("mx.example.net [192.0.2.1]:25") };
	msg_stage_put(&b, &m);
	assert_int_equal(chan_sync_send(r->fd, IPC_JOB_STAGE, lease, buf_str(&b), -1), 0);
	buf_done(&b);
}

/* What else comes is passed over. */
static inline void
taken(struct fake *r, uint64_t lease)
{
	do
		assert_int_equal(kit_recv(r->fd, &r->f, &r->store), 0);
	while (r->f.type == IPC_JOB || r->f.type == IPC_SPOOL || r->f.type == IPC_JOB_CANCEL);
	assert_int_equal(r->f.type, IPC_JOB_TAKEN);
	assert_true(r->f.id == lease);
}

/* --- a front --- */

static uint64_t ids_behind_ms; /* letters that came so long ago */

static inline uint64_t
new_id(void)
{
	static uint64_t seq;
	return ((uint64_t)sys_wall_ms() - ids_behind_ms) << 22 | (++seq & 0xfff);
}

static inline uint64_t
hand_in(struct town *t, const char *from, const char *const *to, const char *notify)
{
	struct buf body = BUF_INIT(1u << 20), onward = BUF_INIT(1u << 20), rcpts = BUF_INIT(4096);
	uint64_t id = new_id();
	struct msg_accept m = { .session = 42,
		.time_ms = (uint64_t)sys_wall_ms(),
		.size = sizeof(LETTER) - 1,
		.header_len = sizeof(HEAD) - 1,
		.qid = STR("Q1234"),
		.from = str_of(from),
		.trace = STR("Received: by test\r\n"),
		.message_id = STR("<1@test>"),
		.facts.flags = ONWARD_OURS };
	for (; *to; to++) {
		struct str domain = str_skip(str_of(*to), str_find(str_of(*to), '@') + 1);
		const struct msg_onward o = {
			.rcpt = str_of(*to), .domain = domain, .notify = str_of(notify)
		};
		if (str_eq(domain, STR("example.com"))) {
			const struct msg_rcpt r = {
				.account = t->bob, .rcpt = o.rcpt, .notify = o.notify
			};
			msg_rcpt_put(&rcpts, &r);
			m.n_rcpt++;
		} else {
			msg_onward_put(&onward, &o);
			m.n_onward++;
		}
	}
	m.onward = buf_str(&onward);
	m.rcpts = buf_str(&rcpts);
	msg_accept_put(&body, &m);
	send_body(t->front, id, STR(LETTER));
	assert_int_equal(chan_sync_send(t->front, IPC_ACCEPT, id, buf_str(&body), -1), 0);
	assert_int_equal(accepted(t->front, id), ACCEPT_OK);
	buf_done(&body);
	buf_done(&onward);
	buf_done(&rcpts);
	return id;
}

#define HAND_IN(t, from, ...) hand_in(t, from, (const char *const[]){ __VA_ARGS__, NULL }, "")

static inline void
wait_count(struct town *t, const char *what)
{
	for (int i = 0; i < 500; i++) {
		if (KIT_ASK(&t->store, &t->out, "queue.count") == CTL_OK &&
		    str_starts(buf_str(&t->out), str_of(what)))
			return;
		usleep(20000);
	}
	fail_msg("the queue has %s instead of %s", buf_cstr(&t->out), what);
}

static inline void
wait_messages(struct town *t, const char *address, uint64_t n)
{
	for (int i = 0; i < 500 && messages_of(t, address) != n; i++)
		usleep(20000);
	assert_int_equal(messages_of(t, address), n);
}
