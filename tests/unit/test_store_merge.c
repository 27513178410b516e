/* Mail merges: one body, many letters made of its pieces; asked of every engine, and of the one
 * with files through crashes, compaction and damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"
#include "store_crash_kit.h"
#include "store_merge_kit.h"
#include "store/emb.h"
#include "store/fsck.h"
#include "store/logread.h"
#include "store/record.h"
#include "store/resolve.h"

#include <errno.h>

/* --- both engines --- */

static void
merges_are_whole(void **state)
{
	struct store *s = kit_store(state);
	static const struct kit_merge rows[] = {
		{ .id = 1, .first = 1, .count = 1, .n = 0 },
		{ .id = 2, .first = 1, .count = 3, .n = 1 },
		{ .id = 3, .first = 1, .count = 40, .n = 1000 },
		{ .id = 4, .first = 20, .count = 40, .n = 1000, .spill = true },
		{ .id = 5, .first = 1, .count = 1300, .n = 50 },
		{ .id = 6, .first = 100, .count = 1300, .n = 300, .spill_views = true },
		{ .id = 7, .first = 1, .count = 3, .n = STORE_INLINE_MAX + 7 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(kit_merge(s, rows[i]), 0);
		assert_int_equal(store_accepted(s, rows[i].id), 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(kit_merge_there(s, rows[i]), rows[i].count);
	struct store_stats st;
	store_stats(s, &st);
	assert_int_equal(st.bodies_memory, 0);
}

static void
accepted_once(void **state)
{
	struct store *s = kit_store(state);
	struct kit_merge k = { .id = 9, .first = 1, .count = 30, .n = 100 };
	struct store_res res[2] = { { .rc = 1 }, { .rc = 1 } };
	kit_merge_async(s, k, kit_take, &res[0]);
	kit_merge_async(s, k, kit_take, &res[1]);
	store_wait(s);
	assert_int_equal(res[0].rc, 0);
	assert_int_equal(res[1].rc, -EAGAIN);
	assert_int_equal(kit_merge(s, k), 0);
	assert_int_equal(kit_merge_there(s, k), k.count);
}

/* Other letters come and go while two merges are under way. */
static void
beside_other_letters(void **state)
{
	struct store *s = kit_store(state);
	struct kit_merge a = { .id = 10, .first = 1, .count = 1500, .n = 200 };
	struct kit_merge b = { .id = 11, .first = 700, .count = 1500, .n = 90 };
	struct store_res res[3] = { { .rc = 1 }, { .rc = 1 }, { .rc = 1 } };
	kit_merge_async(s, a, kit_take, &res[0]);
	kit_merge_async(s, b, kit_take, &res[1]);
	kit_accept_async(s, (struct kit_letter){ .id = 12, .first = 1000, .count = 3, .n = 30 },
	    kit_take, &res[2]);
	store_wait(s);
	for (size_t i = 0; i < ARRAY_LEN(res); i++)
		assert_int_equal(res[i].rc, 0);
	assert_int_equal(kit_merge_there(s, a), a.count);
	assert_int_equal(kit_merge_there(s, b), b.count);
	assert_int_equal(kit_letters(s, 1001, 0, NULL), 3);
}

static void
several_to_one_mailbox(void **state)
{
	struct store *s = kit_store(state);
	struct store_views *v = store_views_new(s, 1);
	struct store_body *b = store_body_new(s, 1);
	struct store_res res = { .rc = 1 };
	for (int i = 0; i < 3; i++)
		assert_int_equal(store_views_add(v,
				     &(struct store_view){ .account = 4, .mailbox = 1 }),
		    0);
	store_merge(s, b, v, &(struct store_letter){ .letter = 1 }, kit_take, &res);
	store_wait(s);
	assert_int_equal(res.rc, 0);
	assert_int_equal(kit_letters(s, 4, 0, NULL), 3);
}

static void
piece_put(struct buf *b, uint64_t off, uint64_t len)
{
	store_piece_put(b, &(struct store_piece){ .off = off, .len = len });
}

static void
bad_views(void **state)
{
	struct store *s = kit_store(state);
	struct buf one = BUF_INIT(64), huge = BUF_INIT(64), many = BUF_INIT(1u << 20);
	piece_put(&one, 3, 5);
	piece_put(&huge, UINT64_MAX - 1, 2);
	for (unsigned i = 0; i <= STORE_VIEW_PIECES_MAX; i++)
		piece_put(&many, 0, 0);
	const struct {
		struct store_view v;
		int rc;
	} rows[] = {
		{ { .size = 5, .n_pieces = 1, .pieces = buf_str(&one) }, 0 },
		{ { .size = 5, .header_len = 5, .n_pieces = 1, .pieces = buf_str(&one) }, 0 },
		{ { .size = 5, .header_len = 6, .n_pieces = 1, .pieces = buf_str(&one) }, -EINVAL },
		{ { .size = 4, .n_pieces = 1, .pieces = buf_str(&one) }, -EINVAL },
		{ { .size = 5, .n_pieces = 0, .pieces = buf_str(&one) }, -EINVAL },
		{ { .size = 10, .n_pieces = 2, .pieces = buf_str(&one) }, -EINVAL },
		{ { .size = 5, .n_pieces = 1, .pieces = str_first(buf_str(&one), 16) }, -EINVAL },
		{ { .size = 2, .n_pieces = 1, .pieces = buf_str(&huge) }, -EINVAL },
		{ { .n_pieces = STORE_VIEW_PIECES_MAX + 1, .pieces = buf_str(&many) }, -EINVAL },
	};
	struct store_views *v = store_views_new(s, 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(store_views_add(v, &rows[i].v), rows[i].rc);
	assert_int_equal(store_views_count(v), 2);
	assert_int_equal(store_views_end(v), 8);
	/* The body is one octet short; then there is nobody to send it to; then it is too long. */
	struct store_letter l[3] = { { .letter = 1 }, { .letter = 1 }, { .letter = 1 } };
	char *text = xalloc(1u << 17);
	memset(text, 'x', 1u << 17);
	l[2].from = str_n(text, 1u << 17);
	for (size_t i = 0; i < ARRAY_LEN(l); i++) {
		struct store_res res = { .rc = 1 };
		struct store_body *b = store_body_new(s, 1);
		assert_int_equal(store_body_write(b, STR("1234567")), 0);
		store_merge(s, b, v, &l[i], kit_take, &res);
		store_wait(s);
		assert_int_equal(res.rc, -E2BIG);
		v = store_views_new(s, 1);
		if (i == 1)
			assert_int_equal(store_views_add(v, &(struct store_view){ .account = 1 }),
			    0);
	}
	assert_null(store_views_free(v));
	assert_null(store_views_free(NULL));
	assert_int_equal(store_accepted(s, 1), 0);
	struct store_stats st;
	store_stats(s, &st);
	assert_int_equal(st.bodies_memory, 0);
	free(text);
	buf_done(&one);
	buf_done(&huge);
	buf_done(&many);
}

static void
removed_accounts_are_passed_over(void **state)
{
	struct store *s = kit_store(state);
	struct store_res r = { .rc = 1 };
	account_create(s, STR("a@b"), kit_take, &r);
	store_wait(s);
	struct kit_merge k = { .id = 1, .first = r.slot[0], .count = 3, .n = 10 };
	account_remove(s, STR("a@b"), kit_take, &r);
	store_wait(s);
	assert_int_equal(kit_merge(s, k), 0);
	assert_int_equal(kit_letters(s, k.first, 0, NULL), 0);
	assert_int_equal(kit_merge_there(s, k), 2);
}

static void
letters_go_as_others_do(void **state)
{
	struct store *s = kit_store(state);
	struct kit_merge k = { .id = 1, .first = 1, .count = 5, .n = 100, .spill = true };
	assert_int_equal(kit_merge(s, k), 0);
	struct store_dom d = store_dom_mailbox(2, MAILBOX_INBOX);
	char mark[DEDUP_KEY_MAX];
	struct store_batch *b = store_batch_new(s, &d);
	mailbox_expunge(b, 1);
	store_del(b, str_n(mark, dedup_key(mark, 1, STR("\0\0\0\1"))));
	struct store_res res = kit_commit(s, b);
	assert_int_equal(res.rc, 0);
	assert_int_equal(res.slot[0], 1);
	struct buf want = BUF_INIT(4096);
	kit_merge_want(&want, &k, 1);
	assert_int_equal(res.slot[1], want.len);
	buf_done(&want);
	assert_int_equal(kit_merge_there(s, k), 4);
	struct store_snap *sn;
	struct str v;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(store_get(sn, str_n(mark, 15), &v), -ENOENT);
	store_snap_close(sn);
}

/* --- crashes --- */

/* Cut there, everybody has it or nobody; sent again it comes once. */
static void
check_cut(const char *dir, const struct kit_merge *k, uint64_t off, bool decided)
{
	char *copy = cut_copy(dir, "cut", off);
	struct store *s = kit_open(copy);
	assert_non_null(s);
	assert_int_equal(store_accepted(s, k->id), decided);
	assert_int_equal(kit_merge_there(s, *k), decided ? k->count : 0);
	assert_int_equal(kit_merge(s, *k), 0);
	assert_int_equal(kit_merge_there(s, *k), k->count);
	store_close(s);
	clean(copy, 0, NULL);
	kit_remove(copy);
	free(copy);
}

static void
all_or_nothing(void **state)
{
	struct kit_lab *lab = *state;
	static const struct kit_merge rows[] = {
		{ .id = 2, .first = 1, .count = 5, .n = 300 },
		{ .id = 3, .first = 1, .count = 450, .n = 300, .spill = true, .spill_views = true },
	};
	kit_accept(lab->s, (struct kit_letter){ .id = 1, .first = 1, .count = 2, .n = 100 });
	store_pin(lab->s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		static struct cuts c;
		assert_int_equal(kit_merge(lab->s, rows[i]), 0);
		find_cuts(lab->dir, rows[i].id, &c);
		assert_int_equal(c.n, c.intent + 1 + rows[i].count + 1);
		assert_int_equal(c.type[c.n - 1], FRAME_DONE);
		for (size_t j = 0; j <= c.intent; j++) {
			check_cut(lab->dir, &rows[i], c.at[j], false);
			check_cut(lab->dir, &rows[i], c.at[j] + 48, false);
		}
		const size_t later[] = { c.intent + 1, c.intent + 3, c.n - 40, c.n - 2, c.n - 1 };
		for (size_t j = i ? 0 : 3; j < ARRAY_LEN(later); j++)
			check_cut(lab->dir, &rows[i],
			    c.at[MAX(later[j], c.intent + 1)] + j % 2 * 48, true);
	}
}

/* Views that cannot be read: said so, not done, and not the end of everything else. */
static void
damaged_views(void **state)
{
	struct kit_lab *lab = *state;
	struct kit_merge k = { .id = 2, .first = 1, .count = 700, .n = 300, .spill_views = true };
	store_pin(lab->s);
	assert_int_equal(kit_merge(lab->s, k), 0);
	static struct cuts c;
	find_cuts(lab->dir, k.id, &c);
	char *copy = cut_copy(lab->dir, "cut", c.at[c.intent + 100]);
	char *blob = kit_path(copy, "blob/0000000000000001");
	int fd = open(blob, O_RDWR);
	char octet = 0;
	assert_true(fd >= 0 && pread(fd, &octet, 1, 4000) == 1);
	octet ^= 1;
	assert_int_equal(pwrite(fd, &octet, 1, 4000), 1);
	struct store *s = kit_open(copy);
	assert_non_null(s);
	assert_int_equal(store_accepted(s, k.id), -EAGAIN);
	assert_int_equal(kit_merge_there(s, k), 99);
	assert_int_equal(kit_merge(s, k), -EAGAIN);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 7, .first = 9, .count = 1, .n = 9 }),
	    0);
	/* A mark stays while its merge may be carried out again. */
	struct store_dom d = store_dom_mailbox(5, MAILBOX_INBOX);
	char mark[DEDUP_KEY_MAX];
	struct str key = str_n(mark, dedup_key(mark, k.id, STR("\0\0\0\4")));
	struct store_batch *b = store_batch_new(s, &d);
	mailbox_expunge(b, 1);
	store_del(b, key);
	assert_int_equal(kit_commit(s, b).rc, 0);
	store_close(s);
	clean(copy, 1, "wrong checksum");
	/* Mended, it goes on where it was; what was expunged stays away. */
	octet ^= 1;
	assert_int_equal(pwrite(fd, &octet, 1, 4000), 1);
	close(fd);
	s = kit_open(copy);
	assert_non_null(s);
	assert_int_equal(store_accepted(s, k.id), 1);
	assert_int_equal(kit_merge_there(s, k), k.count - 1);
	assert_int_equal(kit_letters(s, 5, 0, NULL), 0);
	store_close(s);
	clean(copy, 0, NULL);
	kit_remove(copy);
	free(copy);
	/* And without the file at all. */
	copy = cut_copy(lab->dir, "cut", c.at[c.intent + 100]);
	free(blob);
	blob = kit_path(copy, "blob/0000000000000001");
	assert_int_equal(unlink(blob), 0);
	s = kit_open(copy);
	assert_non_null(s);
	assert_int_equal(store_accepted(s, k.id), -EAGAIN);
	store_close(s);
	clean(copy, 1, "the log names it");
	kit_remove(copy);
	free(blob);
	free(copy);
}

/* --- space --- */

static void
compaction_moves_the_body(void **state)
{
	struct kit_lab *lab = *state;
	static const struct kit_merge rows[] = {
		{ .id = 1, .first = 1, .count = 700, .n = 3000 },
		{ .id = 2,
		    .first = 1,
		    .count = 300,
		    .n = 3000,
		    .spill = true,
		    .spill_views = true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(kit_merge(lab->s, rows[i]), 0);
	churn(lab->s, CHURNED, 100);
	emb_tidy(lab->s);
	struct store_stats st;
	store_stats(lab->s, &st);
	assert_true(st.compactions > 0 && st.checkpoints > 0);
	/* While a pin is held nobody else compacts. */
	char *seg = kit_path(lab->dir, "log/00000001.seg");
	uint64_t pin = store_pin(lab->s);
	if (access(seg, F_OK) == 0)
		assert_int_equal(compact_segment(lab->s->impl, 1), 0);
	store_unpin(lab->s, pin);
	emb_tidy(lab->s);
	assert_int_equal(access(seg, F_OK), -1);
	/* The views are needed no more. */
	assert_int_equal(blobs_of(lab->dir), 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(kit_merge_there(lab->s, rows[i]), rows[i].count);
	lab->s = store_close(lab->s);
	clean(lab->dir, 0, NULL);
	struct fsck_report report;
	struct buf err = BUF_INIT(1000);
	assert_int_equal(fsck_rebuild(lab->dir, &report, NULL, NULL, &err), 0);
	assert_int_equal(report.letters, 1000);
	fsck_report_done(&report);
	buf_done(&err);
	lab->s = kit_open(lab->dir);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(kit_merge_there(lab->s, rows[i]), rows[i].count);
	/* When the last letter goes, so does the file of the body. */
	for (uint64_t i = 0; i < 300; i++) {
		struct store_dom d = store_dom_mailbox(1 + i, MAILBOX_INBOX);
		struct store_batch *b = store_batch_new(lab->s, &d);
		mailbox_expunge(b, 2);
		store_commit(b, STORE_DURABLE, NULL, NULL);
	}
	store_wait(lab->s);
	emb_tidy(lab->s);
	assert_int_equal(blobs_of(lab->dir), 0);
	assert_int_equal(kit_merge_there(lab->s, rows[0]), 700);
	free(seg);
}

/* A merge that cannot end keeps its body, its views and its intent, whatever is freed. */
static void
an_open_merge_keeps_what_it_needs(void **state)
{
	struct kit_lab *lab = *state;
	struct kit_merge k = { .id = 2, .first = 1, .count = 700, .n = 300, .spill_views = true };
	store_pin(lab->s);
	assert_int_equal(kit_merge(lab->s, k), 0);
	static struct cuts c;
	find_cuts(lab->dir, k.id, &c);
	char *copy = cut_copy(lab->dir, "cut", c.at[c.intent + 100]);
	char *blob = kit_path(copy, "blob/0000000000000001");
	char *index = kit_path(copy, "index");
	int fd = open(blob, O_RDWR);
	char octet = 0, wrong;
	assert_true(fd >= 0 && pread(fd, &octet, 1, 4000) == 1);
	wrong = octet ^ 1;
	assert_int_equal(pwrite(fd, &wrong, 1, 4000), 1);
	struct store *s = kit_open(copy);
	churn(s, CHURNED, 100);
	emb_tidy(s);
	struct store_stats st;
	store_stats(s, &st);
	assert_true(st.compactions > 0 && st.checkpoints > 0);
	store_close(s);
	/* The index that is made from the checkpoint has it too. */
	kit_remove(index);
	assert_int_equal(pwrite(fd, &octet, 1, 4000), 1);
	close(fd);
	s = kit_open(copy);
	assert_non_null(s);
	assert_int_equal(store_accepted(s, k.id), 1);
	assert_int_equal(kit_merge_there(s, k), k.count);
	store_close(s);
	clean(copy, 0, NULL);
	kit_remove(copy);
	free(index);
	free(blob);
	free(copy);
}

/* A checkpoint while merges are under way: what the index is made from has every intent. */
static void
checkpoints_beside_merges(void **state)
{
	struct kit_lab *lab = *state;
	struct store_res res[20];
	for (uint64_t i = 0; i < ARRAY_LEN(res); i++) {
		res[i].rc = 1;
		kit_merge_async(lab->s,
		    (struct kit_merge){ .id = 1 + i, .first = 1 + 10 * i, .count = 600, .n = 500 },
		    kit_take, &res[i]);
	}
	churn(lab->s, CHURNED, 100);
	emb_tidy(lab->s);
	for (uint64_t i = 0; i < ARRAY_LEN(res); i++)
		assert_int_equal(res[i].rc, 0);
	lab->s = store_close(lab->s);
	char *index = kit_path(lab->dir, "index");
	kit_remove(index);
	free(index);
	lab->s = kit_open(lab->dir);
	for (uint64_t i = 0; i < ARRAY_LEN(res); i++)
		assert_int_equal(kit_merge_there(lab->s, (struct kit_merge){ .id = 1 + i,
							     .first = 1 + 10 * i,
							     .count = 600,
							     .n = 500 }),
		    600);
	lab->s = store_close(lab->s);
	clean(lab->dir, 0, NULL);
	lab->s = kit_open(lab->dir);
}

/* --- records --- */

static void
records_of_merges(void **state)
{
	struct store_letter l = { .letter = 5,
		.time_ms = 7,
		.trace = STR("T"),
		.from = STR("f"),
		.prefix = STR("prefix") };
	struct store_ref ref = { 8, 9, 10, 11 }, views = { 12, 13, 14, 15 };
	struct buf b = BUF_INIT(4096);
	struct intent in;
	intent_put_merge(&b, &l, 3);
	intent_set_ref(b.p, &ref);
	intent_set_views(b.p, &views);
	assert_int_equal(b.p[0], 3);
	assert_int_equal(be64_get((unsigned char *)b.p + 57), 12);
	assert_memory_equal(b.p + b.len - 26, "Q\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0q|\0\0\0\0\0\0\0\5",
	    26);
	assert_true(intent_get(buf_str(&b), &in) && in.n_views == 3 && in.views.len == 14 &&
		    in.ref.blob == 9 && in.trace_len == 1 && str_eq(in.prefix, STR("prefix")));
	for (size_t n = 0; n < b.len; n++)
		assert_false(intent_get(str_n(b.p, n), &in));
	for (size_t i = b.len - 26; i < b.len; i++) {
		b.p[i] ^= 1;
		assert_false(intent_get(buf_str(&b), &in));
		b.p[i] ^= 1;
	}
	b.p[88] = 0; /* no views */
	assert_false(intent_get(buf_str(&b), &in));

	struct buf pieces = BUF_INIT(4096);
	store_piece_put(&pieces, &(struct store_piece){ .literal = true, .text = STR("abc") });
	piece_put(&pieces, 20, 40);
	assert_memory_equal(pieces.p, "\1\0\0\0\3abc\0\0\0\0\0\0\0\0\x14\0\0\0\0\0\0\0\x28", 25);
	struct mailbox_letter m = { .uid = 1,
		.modseq = 2,
		.time_ms = 3,
		.size = 6 + 40 + 43 + 2,
		.letter = 6,
		.ref = { 7, 8, 100, 9 },
		.trace_len = 40,
		.header_len = 43,
		.insert_blank = true,
		.keep = 4321,
		.prefix = STR("prefix"),
		.merged = true,
		.n_pieces = 2,
		.pieces = buf_str(&pieces) };
	struct mailbox_letter got;
	buf_reset(&b);
	mailbox_letter_put(&b, &m);
	assert_int_equal(b.p[0], 5);
	assert_int_equal(b.len, 106 + 6 + 2 + 4 + 25);
	assert_true(mailbox_letter_get(buf_str(&b), &got) && got.merged && got.n_pieces == 2 &&
		    str_eq(got.pieces, m.pieces) && got.size == m.size);
	for (size_t n = 0; n < b.len; n++)
		assert_false(mailbox_letter_get(str_n(b.p, n), &got));
	/* Size, header, number of pieces, a literal's length, a piece's end. */
	static const size_t wrong[] = { 28, 76, 113, 122, 134, 142 };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char was = b.p[wrong[i]];
		b.p[wrong[i]] = 127;
		assert_false(mailbox_letter_get(buf_str(&b), &got));
		b.p[wrong[i]] = was;
	}
	assert_true(mailbox_letter_get(buf_str(&b), &got));
	buf_done(&pieces);
	buf_done(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		KIT_BOTH(merges_are_whole),
		KIT_BOTH(accepted_once),
		KIT_BOTH(beside_other_letters),
		KIT_BOTH(several_to_one_mailbox),
		KIT_BOTH(bad_views),
		KIT_BOTH(removed_accounts_are_passed_over),
		KIT_BOTH(letters_go_as_others_do),
		cmocka_unit_test_setup_teardown(all_or_nothing, set_up_people, kit_tear_down),
		cmocka_unit_test_setup_teardown(damaged_views, set_up_people, kit_tear_down),
		cmocka_unit_test_setup_teardown(compaction_moves_the_body, set_up_people,
		    kit_tear_down),
		cmocka_unit_test_setup_teardown(an_open_merge_keeps_what_it_needs, set_up_people,
		    kit_tear_down),
		cmocka_unit_test_setup_teardown(checkpoints_beside_merges, set_up_people,
		    kit_tear_down),
		cmocka_unit_test(records_of_merges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
