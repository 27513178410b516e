/* The queue: entries that come with letters and merges, their states, what is read of them, and
 * notes; asked of every engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_queue_kit.h"

#include <errno.h>

/* --- both engines --- */

static void
entries_come_with_letters(void **state)
{
	struct store *s = kit_store(state);
	static const struct kit_queued rows[] = {
		{ .id = 1, .parts = 1, .n = 0 },
		{ .id = 2, .parts = 3, .n = 1, .first = 1, .count = 2 },
		{ .id = 3, .parts = 40, .n = 1000, .blank = true },
		{ .id = 4, .parts = 2, .n = 5000, .spill = true, .first = 2, .count = 3 },
		{ .id = 5, .parts = 1, .n = STORE_INLINE_MAX + 9, .blank = true },
		{ .id = 6, .parts = 2, .n = 300, .value = STORE_ENTRY_MAX },
	};
	uint64_t letters = 0, entries = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(kit_queue(s, rows[i]), 0);
		assert_int_equal(kit_queue(s, rows[i]), 0); /* idempotent */
		assert_int_equal(store_accepted(s, rows[i].id), 1);
		letters++;
		entries += rows[i].parts;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(kit_queue_there(s, rows[i]), rows[i].parts);
	assert_int_equal(kit_letters(s, 1, 0, NULL), 1);
	assert_int_equal(kit_letters(s, 2, 0, NULL), 2);
	struct store_stats st;
	store_stats(s, &st);
	assert_int_equal(st.queue_entries, entries);
	assert_int_equal(st.queue_letters, letters);
	assert_true(st.queue_bytes > STORE_INLINE_MAX);
	assert_int_equal(st.bodies_memory, 0);
}

static bool
take_ids(void *arg, const struct store_queued *q)
{
	struct buf *b = arg;
	buf_putf(b, "%llu.%u%s%s" STR_FMT " ", (unsigned long long)q->letter, q->part,
	    q->damaged ? "!" : "", q->state.p ? "=" : "", STR_ARG(q->state));
	return true;
}

static const char *
scan(struct store *s, uint64_t letter, uint32_t part, uint32_t limit)
{
	static char text[1000];
	struct store_dom d = store_dom_queue(0);
	struct store_snap *sn = NULL;
	struct buf b = BUF_INIT(sizeof(text));
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(store_queue_scan(sn, letter, part, limit, take_ids, &b), 0);
	store_snap_close(sn);
	snprintf(text, sizeof(text), "%s", buf_cstr(&b));
	buf_done(&b);
	return text;
}

static int
set_state(struct store *s, uint64_t letter, uint32_t part, const char *text)
{
	struct store_dom d = store_dom_queue(0);
	struct store_batch *b = store_batch_new(s, &d);
	if (text)
		store_queue_state(b, letter, part, str_of(text));
	else
		store_queue_del(b, letter, part);
	return kit_commit(s, b).rc;
}

static void
states_and_scans(void **state)
{
	struct store *s = kit_store(state);
	assert_string_equal(scan(s, 0, 0, 0), "");
	for (uint64_t id = 1; id <= 3; id++)
		assert_int_equal(kit_queue(s, (struct kit_queued){ .id = id, .parts = 3, .n = 50 }),
		    0);
	assert_string_equal(scan(s, 0, 0, 0), "1.0 1.1 1.2 2.0 2.1 2.2 3.0 3.1 3.2 ");
	assert_string_equal(scan(s, 1, 2, 3), "1.2 2.0 2.1 ");
	assert_int_equal(set_state(s, 2, 1, "x"), 0);
	assert_int_equal(set_state(s, 3, 2, ""), 0);
	assert_int_equal(set_state(s, 2, 1, "tried"), 0);
	assert_string_equal(scan(s, 2, 0, 0), "2.0 2.1=tried 2.2 3.0 3.1 3.2= ");
	assert_string_equal(scan(s, 2, 1, 1), "2.1=tried ");
	assert_int_equal(set_state(s, 4, 0, "x"), -EAGAIN);
	assert_int_equal(set_state(s, 2, 3, NULL), -EAGAIN);
	assert_int_equal(set_state(s, 2, 1, NULL), 0);
	assert_int_equal(set_state(s, 2, 1, NULL), -EAGAIN);
	assert_int_equal(set_state(s, 2, 1, "late"), -EAGAIN);
	assert_string_equal(scan(s, 2, 0, 0), "2.0 2.2 3.0 3.1 3.2= ");
	assert_int_equal(set_state(s, 2, 0, NULL), 0);
	assert_int_equal(set_state(s, 2, 2, NULL), 0);
	struct store_stats st;
	store_stats(s, &st);
	assert_string_equal(scan(s, 0, 0, 0), "1.0 1.1 1.2 3.0 3.1 3.2= ");
	store_stats(s, &st);
	assert_int_equal(st.queue_letters, 2);
	assert_int_equal(st.queue_entries, 6);
	/* What is gone does not come back with the same letter. */
	assert_int_equal(kit_queue(s, (struct kit_queued){ .id = 2, .parts = 3, .n = 50 }), 0);
	assert_string_equal(scan(s, 2, 0, 2), "3.0 3.1 ");
}

/* A record that does not decode is told as such, and hides none of the others. */
static void
damaged_records(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_queue(0);
	struct store_snap *sn;
	struct store_queued q;
	assert_int_equal(kit_queue(s, (struct kit_queued){ .id = 1, .parts = 3, .n = 50 }), 0);
	struct store_batch *b = store_batch_new(s, &d);
	store_put(b, str_n("t|\0\0\0\0\0\0\0\1|\0\0\0\1", 15), STR("rubbish"), 0);
	store_put(b, STR("t|what"), STR("rubbish"), 0);
	assert_int_equal(kit_commit(s, b).rc, 0);
	assert_string_equal(scan(s, 0, 0, 0), "1.0 1.1! 1.2 ");
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(store_queue_get(sn, 1, 1, &q), -EBADMSG);
	store_snap_close(sn);
	assert_int_equal(set_state(s, 1, 1, NULL), 0);
	assert_string_equal(scan(s, 0, 0, 0), "1.0 1.2 ");
}

/* A batch that is fenced, conflicts, or belongs elsewhere. */
static void
bad_changes(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom q = store_dom_queue(0), a = store_dom_account(1);
	assert_int_equal(kit_queue(s, (struct kit_queued){ .id = 1, .parts = 2, .n = 50 }), 0);
	struct store_batch *b = store_batch_new(s, &a);
	store_queue_del(b, 1, 0);
	assert_int_equal(kit_commit(s, b).rc, -EINVAL);
	b = store_batch_new(s, &q);
	store_queue_del(b, 1, 0);
	store_queue_state(b, 1, 7, STR("x"));
	assert_int_equal(kit_commit(s, b).rc, -EAGAIN);
	assert_string_equal(scan(s, 0, 0, 0), "1.0 1.1 ");
	b = store_batch_new(s, &q);
	for (uint32_t i = 0; i < STORE_BATCH_OPS_MAX; i++)
		store_queue_del(b, 1, i);
	assert_int_equal(kit_commit(s, b).rc, -E2BIG);
}

static void
bad_entries(void **state)
{
	struct store *s = kit_store(state);
	static char big[STORE_ENTRY_MAX + 1];
	static struct store_entry many[STORE_ENTRIES_MAX + 1];
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct store_entry){ (uint32_t)i, STR("v") };
	const struct store_entry empty[] = { { 0, STR("") } };
	const struct store_entry long_one[] = { { 0, str_n(big, sizeof(big)) } };
	const struct store_entry same[] = { { 1, STR("v") }, { 1, STR("w") } };
	const struct store_entry back[] = { { 2, STR("v") }, { 1, STR("w") } };
	const struct {
		const struct store_entry *e;
		size_t n;
		int rc;
	} rows[] = {
		{ empty, 1, -E2BIG }, { long_one, 1, -E2BIG }, { same, 2, -E2BIG },
		{ back, 2, -E2BIG }, { many, STORE_ENTRIES_MAX + 1, -E2BIG },
		{ many, STORE_ENTRIES_MAX / 2, 0 }, /* all of them need more than this segment */
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct store_res res = { .rc = 1 };
		struct store_letter l = { .letter = 1 + i,
			.time_ms = KIT_TIME,
			.entry = rows[i].e,
			.n_entry = rows[i].n };
		store_accept(s, store_body_new(s, l.letter), &l, kit_take, &res);
		store_wait(s);
		assert_int_equal(res.rc, rows[i].rc);
		assert_int_equal(store_accepted(s, l.letter), rows[i].rc == 0);
	}
	struct store_stats st;
	assert_string_equal(scan(s, 0, 0, 1), "6.0 ");
	store_stats(s, &st);
	assert_int_equal(st.queue_entries, STORE_ENTRIES_MAX / 2);
	assert_int_equal(st.queue_letters, 1);
}

static void
merges_elsewhere(void **state)
{
	struct store *s = kit_store(state);
	static const struct kit_queued rows[] = {
		{ .id = 20, .parts = 3, .n = 100 },
		{ .id = 21, .parts = 1500, .n = 300, .first = 5, .count = 700 },
		{ .id = 22, .parts = 2, .n = 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(kit_queue_merge(s, rows[i]), 0);
		assert_int_equal(kit_queue_merge(s, rows[i]), 0);
		assert_int_equal(store_accepted(s, rows[i].id), 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(kit_queue_merge_there(s, rows[i]), rows[i].parts);
	assert_int_equal(kit_letters(s, 5, 0, NULL), 1);
	assert_int_equal(kit_letters(s, 704, 0, NULL), 1);
	/* The mark of how far it was is gone. */
	assert_string_equal(kit_get(s, store_dom_queue(0), "m|\0\0\0\0\0\0\0\x15"), "-");
	struct store_stats st;
	store_stats(s, &st);
	assert_int_equal(st.queue_entries, 1505);
	assert_int_equal(st.queue_letters, 3);
}

static void
notes(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom q = store_dom_queue(0), a = store_dom_account(1);
	struct store_note n = {
		.kind = STORE_NOTE_ATTEMPT, .letter = 1, .octets = STR("c: EHLO\n")
	};
	assert_int_equal(kit_queue(s, (struct kit_queued){ .id = 1, .parts = 1, .n = 5 }), 0);
	struct store_batch *b = store_batch_new(s, &q);
	store_queue_del(b, 1, 0);
	store_note(b, &n);
	store_note(b, &n);
	uint64_t ver = kit_commit(s, b).ver;
	assert_true(ver > 0);
	/* Alone they raise nothing. */
	b = store_batch_new(s, &q);
	store_note(b, &n);
	struct store_res res = kit_commit(s, b);
	assert_int_equal(res.rc, 0);
	assert_int_equal(res.ver, ver);
	b = store_batch_new(s, &a);
	store_note(b, &n);
	assert_int_equal(kit_commit(s, b).ver, 0);
	n.kind = STORE_NOTE_KINDS;
	b = store_batch_new(s, &a);
	store_note(b, &n);
	assert_int_equal(kit_commit(s, b).rc, -EINVAL);
	n.kind = STORE_NOTE_QUEUE;
	char *big = xalloc(STORE_NOTE_MAX + 1);
	n.octets = str_n(big, STORE_NOTE_MAX + 1);
	b = store_batch_new(s, &a);
	store_note(b, &n);
	assert_int_equal(kit_commit(s, b).rc, -E2BIG);
	/* More than a batch may have. */
	n.octets = str_n(big, STORE_NOTE_MAX);
	b = store_batch_new(s, &a);
	store_put(b, STR("k"), STR("v"), 0);
	for (int i = 0; i < 40; i++)
		store_note(b, &n);
	assert_int_equal(kit_commit(s, b).rc, -E2BIG);
	assert_string_equal(kit_get(s, a, "k"), "-");
	free(big);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		KIT_BOTH(entries_come_with_letters),
		KIT_BOTH(states_and_scans),
		KIT_BOTH(damaged_records),
		KIT_BOTH(bad_changes),
		KIT_BOTH(bad_entries),
		KIT_BOTH(merges_elsewhere),
		KIT_BOTH(notes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
