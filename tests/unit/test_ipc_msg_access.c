#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "ipc/frame.h"
#include "ipc/msg.h"

#include <stdlib.h>
#include <string.h>

/* The messages about an account's mail. */

static char big[MSG_CHANGE_MAX + 1];
#define BIG(n) str_n(big, n)
#define MAC STR("0123456789abcdef0123456789ABCDEF")

static const struct msg_enter enter = { STR("alice@example.com"), 1795300000000ull, MAC };
static const struct msg_entered entered = { 0, 7, MAC };
static const struct msg_read read_ask = { READ_SLOTS - 1, { 7, MAC }, STR("ask") };
static const struct msg_read_done read_done = { 0, READ_SLOT_SIZE };
static const struct msg_access_change change = { { 7, MAC }, 9, STR("a@b"), STR("change"),
	STR("192.0.2.1") };
static const struct msg_access_done done = { 0, STR("changed") };
static const struct msg_watch watch = { { 7, MAC }, 3, 12345678901ull };
static const struct msg_room room = { 7, 1u << 20 };

static bool
same_pass(const struct msg_pass *p)
{
	return p->account == 7 && str_eq(p->mac, MAC);
}

static bool
same_enter(struct str s)
{
	struct msg_enter m;
	return msg_enter_get(s, &m) && str_eq(m.address, enter.address) &&
	       m.time_ms == enter.time_ms && str_eq(m.mac, MAC);
}

static bool
same_entered(struct str s)
{
	struct msg_entered m;
	return msg_entered_get(s, &m) && m.status == 0 && m.account == 7 && str_eq(m.mac, MAC);
}

static bool
same_read(struct str s)
{
	struct msg_read m;
	return msg_read_get(s, &m) && m.slot == READ_SLOTS - 1 && same_pass(&m.pass) &&
	       str_eq(m.ask, STR("ask"));
}

static bool
same_read_done(struct str s)
{
	struct msg_read_done m;
	return msg_read_done_get(s, &m) && m.status == 0 && m.len == READ_SLOT_SIZE;
}

static bool
same_change(struct str s)
{
	struct msg_access_change m;
	return msg_access_change_get(s, &m) && same_pass(&m.pass) && m.session == 9 &&
	       str_eq(m.address, STR("a@b")) && str_eq(m.change, STR("change")) &&
	       str_eq(m.peer, STR("192.0.2.1"));
}

static bool
same_done(struct str s)
{
	struct msg_access_done m;
	return msg_access_done_get(s, &m) && m.status == 0 && str_eq(m.octets, STR("changed"));
}

static bool
same_watch(struct str s)
{
	struct msg_watch m;
	return msg_watch_get(s, &m) && same_pass(&m.pass) && m.mailbox == 3 &&
	       m.since == watch.since;
}

static bool
same_room(struct str s)
{
	struct msg_room m;
	return msg_room_get(s, &m) && m.account == 7 && m.octets == 1u << 20;
}

#define PUT(name, value)                                                                           \
	static void put_##value(struct buf *b)                                                     \
	{                                                                                          \
		msg_##name##_put(b, &value);                                                       \
	}
PUT(enter, enter)
PUT(entered, entered)
PUT(read, read_ask)
PUT(read_done, read_done)
PUT(access_change, change)
PUT(access_done, done)
PUT(watch, watch)
PUT(room, room)

static const struct pair {
	const char *name;
	uint16_t type;
	void (*put)(struct buf *b);
	bool (*same)(struct str s);
} pairs[] = {
	{ "enter", IPC_ENTER, put_enter, same_enter },
	{ "entered", IPC_ENTERED, put_entered, same_entered },
	{ "read", IPC_READ, put_read_ask, same_read },
	{ "read done", IPC_READ_DONE, put_read_done, same_read_done },
	{ "change", IPC_CHANGE, put_change, same_change },
	{ "change done", IPC_CHANGE_DONE, put_done, same_done },
	{ "watch", IPC_WATCH, put_watch, same_watch },
	{ "room", IPC_ROOM_ASK, put_room, same_room },
};

/* Whole, cut short at every octet (in memory of just that size), and with one octet more. */
static void
test_pairs(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct buf b = BUF_INIT(2 << 20);
		pairs[i].put(&b);
		assert_false(b.failed);
		assert_true(b.len <= frame_type(pairs[i].type)->body_max);
		if (!pairs[i].same(buf_str(&b)))
			fail_msg("%s: not the same", pairs[i].name);
		for (size_t n = 0; n < b.len; n++) {
			char *cut = xmemdup(b.p, n);
			if (pairs[i].same(str_n(cut, n)))
				fail_msg("%s: cut at %zu", pairs[i].name, n);
			free(cut);
		}
		buf_putc(&b, '\0');
		if (pairs[i].same(buf_str(&b)))
			fail_msg("%s: one more", pairs[i].name);
		buf_done(&b);
	}
}

/* Is it written, and taken? `most`: it is as long as its frame may be. */
#define TAKES(name, type, ...)                                                                     \
	static bool takes_##name(struct msg_##name m, bool most)                                   \
	{                                                                                          \
		struct msg_##name got;                                                             \
		struct buf b = BUF_INIT(2 << 20);                                                  \
		msg_##name##_put(&b, &m);                                                          \
		bool ok = !b.failed && msg_##name##_get(buf_str(&b), &got);                        \
		size_t max = frame_type(type)->body_max;                                           \
		assert_true(!ok || (most ? b.len == max : b.len <= max));                          \
		buf_done(&b);                                                                      \
		return ok;                                                                         \
	}
TAKES(enter, IPC_ENTER)
TAKES(entered, IPC_ENTERED)
TAKES(read, IPC_READ)
TAKES(read_done, IPC_READ_DONE)
TAKES(access_change, IPC_CHANGE)
TAKES(access_done, IPC_CHANGE_DONE)
TAKES(watch, IPC_WATCH)

static void
test_macs(void **state)
{
	static const size_t lens[] = { 0, 31, 33 };
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		struct msg_pass pass = { 7, BIG(lens[i]) };
		assert_false(takes_enter((struct msg_enter){ STR("a@b"), 1, pass.mac }, false));
		assert_false(takes_entered((struct msg_entered){ 0, 1, pass.mac }, false));
		assert_false(takes_read((struct msg_read){ 0, pass, STR("x") }, false));
		assert_false(takes_access_change((struct msg_access_change){ pass, 1, STR("a@b"),
						     STR("x") },
		    false));
		assert_false(takes_watch((struct msg_watch){ pass, 1, 1 }, false));
	}
	assert_true(takes_entered((struct msg_entered){ 4, 0, STR_NULL }, false));
	assert_false(takes_entered((struct msg_entered){ 4, 0, MAC }, false));
}

static void
test_caps(void **state)
{
	struct msg_pass pass = { UINT64_MAX, MAC };
	for (size_t over = 0; over < 2; over++) {
		bool most = over == 0;
		assert_int_equal(takes_enter((struct msg_enter){ BIG(512 + over), 1, MAC }, most),
		    most);
		assert_int_equal(takes_read((struct msg_read){ 0, pass, BIG(MSG_ASK_MAX + over) },
				     most),
		    most);
		assert_int_equal(takes_access_change((struct msg_access_change){ pass, 1, BIG(512),
							 BIG(MSG_CHANGE_MAX + over), BIG(64) },
				     most),
		    most);
		assert_int_equal(takes_access_change((struct msg_access_change){ pass, 1,
							 STR("a@b"), STR("x"), BIG(64 + over) },
				     false),
		    most);
		assert_int_equal(takes_access_change((struct msg_access_change){ pass, 1,
							 BIG(512 + over), STR("x") },
				     false),
		    most);
		assert_int_equal(takes_access_done((struct msg_access_done){ 0,
						       BIG(MSG_CHANGE_MAX + over) },
				     most),
		    most);
	}
	assert_true(takes_entered((struct msg_entered){ 0, UINT64_MAX, MAC }, true));
	assert_true(takes_watch((struct msg_watch){ pass, UINT32_MAX, UINT64_MAX }, true));
}

static void
test_rules(void **state)
{
	struct msg_pass pass = { 7, MAC };
	assert_false(takes_read((struct msg_read){ READ_SLOTS, pass, STR("x") }, false));
	assert_true(takes_read((struct msg_read){ 0, pass, STR_NULL }, false));
	assert_false(takes_enter((struct msg_enter){ STR_NULL, 1, MAC }, false));
	assert_false(takes_enter((struct msg_enter){ STR("a@b\n"), 1, MAC }, false));
	assert_true(takes_read_done((struct msg_read_done){ 0, 0 }, true));
	assert_false(takes_read_done((struct msg_read_done){ 0, READ_SLOT_SIZE + 1 }, false));
	assert_false(takes_read_done((struct msg_read_done){ 1, 1 }, false));
	assert_true(takes_read_done((struct msg_read_done){ MSG_ACCESS_STATUS_MAX - 1, 0 }, true));
	assert_false(takes_read_done((struct msg_read_done){ MSG_ACCESS_STATUS_MAX, 0 }, true));
	assert_false(takes_access_done((struct msg_access_done){ MSG_ACCESS_STATUS_MAX, STR_NULL },
	    false));
	assert_false(takes_entered((struct msg_entered){ MSG_ACCESS_STATUS_MAX, 0, STR_NULL },
	    false));
}

static int
set_up(void **state)
{
	memset(big, 'x', sizeof(big));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_macs),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_rules),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
