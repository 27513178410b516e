/* The queue on the disk: torn groups, crashes in the middle of a merge, compaction, an index that
 * is made anew, damage. Nothing acknowledged is lost, and nothing comes twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_crash_kit.h"
#include "store_queue_kit.h"
#include "store/record.h"
#include "store/resolve.h"

#include <errno.h>

/* --- a letter's group is torn --- */

static void
check_cut(const char *dir, const struct kit_queued *k, uint64_t off, bool decided)
{
	char *copy = cut_copy(dir, "cut", off);
	for (int round = 0; round < 2; round++) {
		struct store *s = kit_open(copy);
		assert_non_null(s);
		assert_int_equal(store_accepted(s, k->id), decided || round);
		assert_int_equal(kit_queue_there(s, *k), decided || round ? k->parts : 0);
		assert_int_equal(kit_letters(s, 1, 0, NULL), (decided || round) && k->count);
		assert_int_equal(kit_queue(s, *k), 0);
		assert_int_equal(kit_queue_there(s, *k), k->parts);
		assert_int_equal(kit_letters(s, 1, 0, NULL), k->count > 0);
		store_close(s);
		clean(copy, 0, NULL);
	}
	kit_remove(copy);
	free(copy);
}

static void
once_or_never(void **state)
{
	struct kit_lab *lab = *state;
	static const struct kit_queued rows[] = {
		{ .id = 12, .parts = 3, .n = 200 },
		{ .id = 13, .parts = 2, .n = 300, .first = 1, .count = 2, .spill = true },
	};
	store_pin(lab->s);
	assert_int_equal(kit_queue(lab->s, (struct kit_queued){ .id = 11, .parts = 1, .n = 9 }), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		static struct cuts c;
		assert_int_equal(kit_queue(lab->s, rows[i]), 0);
		find_cuts(lab->dir, rows[i].id, &c);
		/* body, history, intent, the mailboxes, the queue, done */
		assert_int_equal(c.intent, 2);
		assert_int_equal(c.n, 3 + rows[i].count + 1 + 1);
		for (size_t j = 0; j < c.n; j++) {
			check_cut(lab->dir, &rows[i], c.at[j], j > c.intent);
			check_cut(lab->dir, &rows[i], c.at[j] + 48, j > c.intent);
		}
	}
}

/* --- merges --- */

static int
entry_del(struct store *s, uint64_t letter, uint32_t part)
{
	struct store_dom d = store_dom_queue(0);
	struct store_batch *b = store_batch_new(s, &d);
	store_queue_del(b, letter, part);
	return kit_commit(s, b).rc;
}

/* What was delivered while a merge was under way does not come back when that is carried on. */
static void
delivered_before_the_end(void **state)
{
	struct kit_lab *lab = *state;
	struct kit_queued k = {
		.id = 2, .parts = 900, .first = 1, .count = 500, .n = 300, .spill = true
	};
	store_pin(lab->s);
	assert_int_equal(kit_queue_merge(lab->s, k), 0);
	static struct cuts c;
	find_cuts(lab->dir, k.id, &c);
	/* The second lot has begun; the views cannot be read then, so it stays open. */
	char *copy = cut_copy(lab->dir, "cut", c.at[c.intent + 300]);
	char *blob = kit_path(copy, "blob/0000000000000001");
	int fd = open(blob, O_RDWR);
	char octet = 0, wrong;
	assert_true(fd >= 0 && pread(fd, &octet, 1, 9000) == 1);
	wrong = octet ^ 1;
	assert_int_equal(pwrite(fd, &wrong, 1, 9000), 1);
	struct store *s = kit_open(copy);
	assert_non_null(s);
	assert_int_equal(store_accepted(s, k.id), -EAGAIN);
	uint32_t there = kit_queue_merge_there(s, k);
	assert_true(there > 0 && there < k.parts);
	assert_int_equal(entry_del(s, k.id, 0), 0);
	assert_int_equal(entry_del(s, k.id, 2), 0);
	store_close(s);
	assert_int_equal(pwrite(fd, &octet, 1, 9000), 1);
	close(fd);
	for (int round = 0; round < 2; round++) {
		s = kit_open(copy);
		assert_non_null(s);
		assert_int_equal(store_accepted(s, k.id), 1);
		assert_int_equal(kit_queue_merge_there(s, k), k.parts - 2);
		assert_int_equal(kit_letters(s, 500, 0, NULL), 1);
		store_close(s);
		clean(copy, 0, NULL);
	}
	kit_remove(copy);
	free(blob);
	free(copy);
}

/* Cut at the end: done, but how far it was still stands there. */
static void
cut_behind_done(void **state)
{
	struct kit_lab *lab = *state;
	struct kit_queued k = { .id = 2, .parts = 5, .first = 1, .count = 2, .n = 300 };
	store_pin(lab->s);
	assert_int_equal(kit_queue_merge(lab->s, k), 0);
	static struct cuts c;
	find_cuts(lab->dir, k.id, &c);
	assert_int_equal(c.type[c.n - 2], FRAME_DONE);
	assert_int_equal(c.type[c.n - 1], FRAME_BATCH);
	for (size_t j = c.intent + 1; j < c.n; j++) {
		char *copy = cut_copy(lab->dir, "cut", c.at[j]);
		struct store *s = kit_open(copy);
		assert_non_null(s);
		assert_int_equal(store_accepted(s, k.id), 1);
		assert_int_equal(kit_queue_merge_there(s, k), k.parts);
		struct store_dom d = store_dom_queue(0);
		struct store_snap *sn;
		struct str v;
		char mark[DONE_KEY_LEN];
		queue_key(mark, 'm', k.id);
		assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
		assert_int_equal(store_get(sn, str_n(mark, sizeof(mark)), &v), -ENOENT);
		store_snap_close(sn);
		store_close(s);
		clean(copy, 0, NULL);
		kit_remove(copy);
		free(copy);
	}
}

/* --- space --- */

static const struct kit_queued moved[] = {
	{ .id = 1, .parts = 3, .n = 3000, .first = 1, .count = 2 },
	{ .id = 2, .parts = 400, .n = 2000 },
	{ .id = 3, .parts = 2, .n = 5000, .spill = true, .blank = true },
	{ .id = 4, .parts = 1, .n = 100, .value = 60000 },
};
static const struct kit_queued merged = {
	.id = 5, .parts = 300, .n = 1000, .first = 1, .count = 10
};

static void
all_there(struct store *s)
{
	struct store_stats st;
	for (size_t i = 0; i < ARRAY_LEN(moved); i++)
		assert_int_equal(kit_queue_there(s, moved[i]), moved[i].parts);
	assert_int_equal(kit_queue_merge_there(s, merged), merged.parts);
	store_stats(s, &st);
	assert_int_equal(st.queue_letters, 5);
	assert_int_equal(st.queue_entries, 3 + 400 + 2 + 1 + 300);
}

static bool
has_state(struct store *s, uint64_t letter, uint32_t part, const char *want)
{
	struct store_dom d = store_dom_queue(0);
	struct store_snap *sn;
	struct store_queued q;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(store_queue_get(sn, letter, part, &q), 0);
	bool is = want ? str_eq(q.state, str_of(want)) : !q.state.p;
	store_snap_close(sn);
	return is;
}

static struct store *
made_anew(struct kit_lab *lab)
{
	struct fsck_report report;
	struct buf err = BUF_INIT(1000);
	store_close(lab->s);
	clean(lab->dir, 0, NULL);
	assert_int_equal(fsck_rebuild(lab->dir, &report, NULL, NULL, &err), 0);
	fsck_report_done(&report);
	buf_done(&err);
	return kit_open(lab->dir);
}

static void
compaction_moves_entries(void **state)
{
	struct kit_lab *lab = *state;
	struct store_dom q = store_dom_queue(0);
	for (size_t i = 0; i < ARRAY_LEN(moved); i++)
		assert_int_equal(kit_queue(lab->s, moved[i]), 0);
	assert_int_equal(kit_queue_merge(lab->s, merged), 0);
	struct store_batch *b = store_batch_new(lab->s, &q);
	store_queue_state(b, 2, 17, STR("tried"));
	assert_int_equal(kit_commit(lab->s, b).rc, 0);
	churn(lab->s, CHURNED, 100);
	emb_tidy(lab->s);
	struct store_stats st;
	store_stats(lab->s, &st);
	assert_true(st.compactions > 0 && st.checkpoints > 0);
	char *seg = kit_path(lab->dir, "log/00000001.seg");
	uint64_t pin = store_pin(lab->s);
	if (access(seg, F_OK) == 0)
		assert_int_equal(compact_segment(lab->s->impl, 1), 0);
	store_unpin(lab->s, pin);
	emb_tidy(lab->s);
	assert_int_equal(access(seg, F_OK), -1);
	free(seg);
	all_there(lab->s);
	assert_true(has_state(lab->s, 2, 17, "tried") && has_state(lab->s, 2, 18, NULL));
	lab->s = made_anew(lab);
	all_there(lab->s);
	assert_true(has_state(lab->s, 2, 17, "tried") && has_state(lab->s, 2, 18, NULL));
	/* With its last entry the file of a body goes, and everything else with the others. */
	assert_int_equal(blobs_of(lab->dir), 1);
	assert_int_equal(entry_del(lab->s, 3, 0), 0);
	emb_tidy(lab->s);
	assert_int_equal(blobs_of(lab->dir), 1);
	assert_int_equal(entry_del(lab->s, 3, 1), 0);
	emb_tidy(lab->s);
	assert_int_equal(blobs_of(lab->dir), 0);
	for (uint32_t i = 0; i < 400; i++)
		assert_int_equal(entry_del(lab->s, 2, i), 0);
	kit_get(lab->s, q, "x");
	store_stats(lab->s, &st);
	assert_int_equal(st.queue_letters, 3);
	assert_int_equal(st.queue_entries, 304);
	lab->s = made_anew(lab);
	store_stats(lab->s, &st);
	assert_int_equal(st.queue_letters, 3);
	assert_int_equal(st.queue_entries, 304);
	/* The letter that mailboxes have as well is still theirs. */
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(entry_del(lab->s, 1, i), 0);
	churn(lab->s, CHURNED, 10000);
	emb_tidy(lab->s);
	assert_int_equal(kit_letters(lab->s, 2, 0, NULL), 2);
	lab->s = store_close(lab->s);
	clean(lab->dir, 0, NULL);
	lab->s = kit_open(lab->dir);
}

/* Entries come and go while it compacts; each is moved, or delivered, or both, but never twice. */
static void
compaction_beside_deliveries(void **state)
{
	struct kit_lab *lab = *state;
	struct store_dom q = store_dom_queue(0);
	struct emb *e = lab->s->impl;
	uint64_t left = 0;
	for (uint64_t id = 1; id <= 1200; id++) {
		assert_int_equal(kit_queue(lab->s,
				     (struct kit_queued){ .id = id, .parts = 2, .n = 3000 }),
		    0);
		struct store_batch *b = store_batch_new(lab->s, &q);
		if (id % 7)
			store_queue_del(b, id, 0);
		else
			store_queue_state(b, id, 0, STR("later"));
		if (id % 7 && id % 5)
			store_queue_del(b, id, 1);
		left += (id % 7 == 0) + !(id % 7 && id % 5);
		store_commit(b, STORE_DURABLE, NULL, NULL);
		if (id % 100 == 0) {
			mutex_lock(&e->m);
			e->compact_now = true;
			cond_broadcast(&e->compact_cond);
			mutex_unlock(&e->m);
		}
	}
	store_wait(lab->s);
	emb_tidy(lab->s);
	struct store_stats st;
	store_stats(lab->s, &st);
	assert_true(st.compactions > 0);
	assert_int_equal(st.queue_entries, left);
	for (uint64_t id = 1; id <= 1200; id++)
		assert_int_equal(kit_queue_there(lab->s,
				     (struct kit_queued){ .id = id, .parts = 2, .n = 3000 }),
		    (id % 7 == 0) + !(id % 7 && id % 5));
	lab->s = made_anew(lab);
	store_stats(lab->s, &st);
	assert_int_equal(st.queue_entries, left);
}

/* --- damage --- */

static int
put_raw(struct store *s, struct str key, struct str value)
{
	struct store_dom d = store_dom_queue(0);
	struct store_batch *b = store_batch_new(s, &d);
	store_put(b, key, value, 0);
	return kit_commit(s, b).rc;
}

static void
fsck_tells(void **state)
{
	struct kit_lab *lab = *state;
	char key[QUEUED_KEY_MAX];
	struct buf value = BUF_INIT(4096);
	struct store_queued q = {
		.ref = { .lsn = lsn_of(1, 640), .len = 7 }, .size = 7, .value = STR("v")
	};
	struct store_place place = { 0, 48 };
	assert_int_equal(kit_queue(lab->s, (struct kit_queued){ .id = 1, .parts = 2, .n = 900 }),
	    0);
	queued_put(&value, &q, &place);
	assert_int_equal(put_raw(lab->s, queued_key(key, 9, 3), buf_str(&value)), 0);
	lab->s = store_close(lab->s);
	clean(lab->dir, 1, "queue: entry 0000000000009.3 (lsn 4294967936): ");
	lab->s = kit_open(lab->dir);
	assert_int_equal(entry_del(lab->s, 9, 3), 0);
	assert_int_equal(put_raw(lab->s, queued_state_key(key, 1, 7), STR("x")), 0);
	lab->s = store_close(lab->s);
	clean(lab->dir, 1, "the state of entry 0000000000001.7 has no entry");
	lab->s = kit_open(lab->dir);
	struct store_dom d = store_dom_queue(0);
	struct store_batch *b = store_batch_new(lab->s, &d);
	store_del(b, queued_state_key(key, 1, 7));
	assert_int_equal(kit_commit(lab->s, b).rc, 0);
	assert_int_equal(put_raw(lab->s, queued_key(key, 1, 1), STR("bad")), 0);
	lab->s = store_close(lab->s);
	clean(lab->dir, 1, "queue: entry 0000000000001.1: its record does not decode; ");
	lab->s = kit_open(lab->dir);
	assert_int_equal(kit_queue_there(lab->s,
			     (struct kit_queued){ .id = 1, .parts = 2, .n = 900 }),
	    UINT32_MAX);
	buf_done(&value);
}

/* --- histories --- */

struct histories {
	struct buf text;
};

static bool
take_history(void *arg, const struct trace_found *found)
{
	struct histories *h = arg;
	const struct trace_payload *t = &found->t;
	buf_putf(&h->text, "%u|" STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT "\n", t->kind,
	    STR_ARG(t->message_id), STR_ARG(t->peer), STR_ARG(t->rcpts), STR_ARG(t->history));
	return true;
}

static void
notes_are_found(void **state)
{
	struct kit_lab *lab = *state;
	struct store_dom q = store_dom_queue(0);
	struct histories h = { BUF_INIT(4096) };
	struct kit_queued k = { .id = 1, .parts = 1, .n = 5, .first = 3, .count = 1 };
	assert_int_equal(kit_queue(lab->s, k), 0);
	struct store_batch *b = store_batch_new(lab->s, &q);
	store_note(b, &(struct store_note){ .kind = STORE_NOTE_ATTEMPT,
			  .letter = 1,
			  .qid = STR("Q1"),
			  .rcpts = STR("e@f\n"),
			  .peer = STR("192.0.2.9"),
			  .octets = STR("talk") });
	store_queue_del(b, 1, 0);
	assert_int_equal(kit_commit(lab->s, b).rc, 0);
	/* Refused, so nothing happened. */
	b = store_batch_new(lab->s, &q);
	store_note(b,
	    &(struct store_note){ .kind = STORE_NOTE_QUEUE, .letter = 1, .octets = STR("no") });
	store_queue_del(b, 1, 0);
	assert_int_equal(kit_commit(lab->s, b).rc, -EAGAIN);
	assert_int_equal(kit_trace(lab->dir, STR("0000000000001"), take_history, &h), 0);
	assert_string_equal(buf_cstr(&h.text),
	    "0|<x@y>|192.0.2.1|3 1 c@d\n0 0 e@f\n|C: MAIL\nS: 250\n\n"
	    "1||192.0.2.9|e@f\n|talk\n");
	buf_done(&h.text);
	lab->s = store_close(lab->s);
	clean(lab->dir, 0, NULL);
	lab->s = kit_open(lab->dir);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(once_or_never, set_up_people, kit_tear_down),
		cmocka_unit_test_setup_teardown(delivered_before_the_end, set_up_people,
		    kit_tear_down),
		cmocka_unit_test_setup_teardown(cut_behind_done, set_up_people, kit_tear_down),
		cmocka_unit_test_setup_teardown(compaction_moves_entries, set_up_people,
		    kit_tear_down),
		cmocka_unit_test_setup_teardown(compaction_beside_deliveries, set_up_people,
		    kit_tear_down),
		cmocka_unit_test_setup_teardown(fsck_tells, set_up_people, kit_tear_down),
		cmocka_unit_test_setup_teardown(notes_are_found, set_up_people, kit_tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
