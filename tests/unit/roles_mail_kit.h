/* A town whose front reads and changes mail: passes, slots, asks, changes. */
#pragma once

#include "roles_store_kit.h"

#include "access/access.h"
#include "crypt/crypt.h"
#include "ipc/pass.h"
#include "sys/clock.h"

struct mail {
	struct town t;
	struct pass_key key;
	int read; /* front 0's channel to the reader */
	const unsigned char *slots;
	uint64_t next_id;
	unsigned char pass[PASS_MAC_LEN]; /* Alice's, for front 0 */
	struct buf store, octets; /* the last frame; what the last answer holds */
};

static inline void
give_key(struct kit *k, const struct pass_key *key)
{
	struct buf b = BUF_INIT(64);
	int fd = memfd_sealed("passes", str_n(key->octets, sizeof(key->octets)));
	assert_true(fd >= 0);
	msg_secret_put(&b, &(struct msg_secret){ .kind = SECRET_PASSES });
	assert_int_equal(chan_sync_send(k->sock, IPC_SECRET, 0, buf_str(&b), fd), 0);
	close(fd);
	buf_done(&b);
}

static inline void
take_slots(int fd, const unsigned char **ret)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	assert_int_equal(kit_recv(fd, &f, &store), 0);
	assert_int_equal(f.type, IPC_SLOTS);
	assert_int_equal(memfd_window_map(f.fd, READ_SLOTS * READ_SLOT_SIZE, ret), 0);
	assert_int_equal(write(f.fd, "x", 1), -1); /* it is not ours to write */
	close(f.fd);
	buf_done(&store);
}

static inline void
mail_open(struct mail *m, const char *const *sets)
{
	crypt_init();
	*m = (struct mail){ .key = { .known = true },
		.store = BUF_INIT(IPC_BODY_MAX + 64),
		.octets = BUF_INIT(IPC_BODY_MAX) };
	memset(m->key.octets, 'k', sizeof(m->key.octets));
	town_open(&m->t, sets);
	give_key(&m->t.store, &m->key);
	give_key(&m->t.reader, &m->key);
	town_people(&m->t);
	m->read = kit_peer(&m->t.reader, ROLE_FRONT, 0);
	take_slots(m->read, &m->slots);
	assert_true(pass_make(&m->key, 0, m->t.alice, m->pass));
}

static inline void
mail_close(struct mail *m)
{
	close(m->read);
	memfd_window_unmap(m->slots, READ_SLOTS * READ_SLOT_SIZE);
	town_close(&m->t);
	buf_done(&m->store);
	buf_done(&m->octets);
}

static inline struct str
alices(struct mail *m)
{
	return str_n(m->pass, sizeof(m->pass));
}

/* --- reading --- */

static inline void
send_read(struct mail *m, uint64_t id, uint16_t slot, uint64_t account, struct str mac,
    struct str ask)
{
	struct buf b = BUF_INIT(IPC_BODY_MAX);
	msg_read_put(&b, &(struct msg_read){ slot, { account, mac }, ask });
	assert_false(b.failed);
	assert_int_equal(chan_sync_send(m->read, IPC_READ, id, buf_str(&b), -1), 0);
	buf_done(&b);
}

/* The answer to id; its octets are copied out of the slot. */
static inline enum access_status
have_read(struct mail *m, uint64_t id, uint16_t slot)
{
	struct ipc_frame f;
	struct msg_read_done done;
	assert_int_equal(kit_recv(m->read, &f, &m->store), 0);
	assert_int_equal(f.type, IPC_READ_DONE);
	assert_true(f.id == id);
	assert_true(msg_read_done_get(f.body, &done));
	buf_reset(&m->octets);
	buf_put(&m->octets, m->slots + (size_t)slot * READ_SLOT_SIZE, done.len);
	return done.status;
}

static inline enum access_status
ask_as(struct mail *m, uint64_t account, struct str mac, const struct access_ask *a)
{
	struct buf ask = BUF_INIT(ACCESS_ASK_MAX);
	uint64_t id = ++m->next_id;
	uint16_t slot = (uint16_t)(id % READ_SLOTS);
	access_ask_put(&ask, a);
	assert_false(ask.failed);
	send_read(m, id, slot, account, mac, buf_str(&ask));
	buf_done(&ask);
	return have_read(m, id, slot);
}

static inline enum access_status
ask(struct mail *m, const struct access_ask *a)
{
	return ask_as(m, m->t.alice, alices(m), a);
}

/* An ask that must go well; the wire behind the head. */
static inline struct wire
ask_rows(struct mail *m, const struct access_ask *a, struct access_head *ret)
{
	enum access_status status = ask(m, a);
	if (status != ACCESS_OK)
		fail_msg("ask %u came to %d", a->kind, status);
	struct wire w = wire_of(buf_str(&m->octets));
	assert_true(access_head_get(&w, ret));
	return w;
}

/* --- changing --- */

static inline void
send_change(struct mail *m, int fd, uint64_t id, uint64_t account, struct str mac, struct str change)
{
	struct buf b = BUF_INIT(IPC_BODY_MAX);
	msg_access_change_put(&b, &(struct msg_access_change){ .pass = { account, mac }, .change = change });
	assert_false(b.failed);
	assert_int_equal(chan_sync_send(fd, IPC_CHANGE, id, buf_str(&b), -1), 0);
	buf_done(&b);
}

/* The next frame that is not about directory and state. */
static inline struct ipc_frame
next_frame(struct mail *m, int fd)
{
	struct ipc_frame f;
	do
		assert_int_equal(kit_recv(fd, &f, &m->store), 0);
	while (f.type == IPC_STORE_STATE || (f.type == IPC_DIRECTORY && close(f.fd) == 0));
	return f;
}

static inline enum access_status
have_changed(struct mail *m, uint64_t id, struct access_changed *ret)
{
	struct ipc_frame f = next_frame(m, m->t.front);
	struct msg_access_done done;
	assert_int_equal(f.type, IPC_CHANGE_DONE);
	assert_true(f.id == id);
	assert_true(msg_access_done_get(f.body, &done));
	buf_reset(&m->octets);
	buf_puts(&m->octets, done.octets);
	if (done.status == ACCESS_OK)
		assert_true(access_changed_get(buf_str(&m->octets), ret));
	return done.status;
}

static inline enum access_status
change_as(struct mail *m, uint64_t account, struct str mac, const struct access_change *c,
    struct access_changed *ret)
{
	struct buf b = BUF_INIT(ACCESS_CHANGE_MAX);
	uint64_t id = ++m->next_id;
	access_change_put(&b, c);
	assert_false(b.failed);
	send_change(m, m->t.front, id, account, mac, buf_str(&b));
	buf_done(&b);
	return have_changed(m, id, ret);
}

static inline enum access_status
change(struct mail *m, const struct access_change *c, struct access_changed *ret)
{
	return change_as(m, m->t.alice, alices(m), c, ret);
}

/* --- sets, as text --- */

static inline const char *
uids_text(struct str octets)
{
	static struct buf b = { .max = 1u << 20 };
	struct wire w = wire_of(octets);
	buf_reset(&b);
	while (w.left) {
		uint32_t first = get_u32(&w), last = get_u32(&w);
		buf_putf(&b, first == last ? "%s%u" : "%s%u:%u", b.len ? "," : "", first, last);
	}
	return buf_cstr(&b);
}

static inline struct str
uids_of(unsigned char out[8], uint32_t first, uint32_t last)
{
	be32_put(out, first);
	be32_put(out + 4, last);
	return str_n(out, 8);
}
