/* What every engine promises of letters and accounts, asked of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_kit.h"

#include <errno.h>

/* --- letters --- */

static void
letters_are_whole(void **state)
{
	struct store *s = kit_store(state);
	static const struct {
		size_t n;
		bool blank, spill;
	} rows[] = {
		{ 0, false, false },
		{ 1, false, false },
		{ 10, true, false },
		{ 4096, false, false },
		{ 4096, true, true },
		{ STORE_INLINE_MAX, false, false },
		{ STORE_INLINE_MAX + 1, false, false },
		{ 3 * STORE_INLINE_MAX, true, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t account = 100 + i;
		struct kit_letter k = { .id = i + 1,
			.first = account,
			.count = 1,
			.n = rows[i].n,
			.blank = rows[i].blank,
			.spill = rows[i].spill };
		assert_int_equal(kit_accept(s, k), 0);
		struct store_dom d = store_dom_mailbox(account, MAILBOX_INBOX);
		struct store_snap *sn;
		struct mailbox_letter l;
		assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
		assert_int_equal(mailbox_find(sn, 1, &l), 0);
		assert_int_equal(l.letter, i + 1);
		assert_int_equal(l.time_ms, KIT_TIME);
		assert_true(kit_whole(s, &l, rows[i].n, rows[i].blank));
		assert_int_equal(mailbox_find(sn, 2, &l), -ENOENT);
		store_snap_close(sn);
		assert_int_equal(kit_letters(s, account, 0, NULL), 1);
	}
	struct store_stats st;
	store_stats(s, &st);
	assert_int_equal(st.bodies_memory, 0);
}

static bool
first_letter(struct store *s, uint64_t account, struct mailbox_letter *ret)
{
	struct store_dom d = store_dom_mailbox(account, MAILBOX_INBOX);
	struct store_snap *sn;
	if (store_snap_open(s, &d, &sn, NULL) < 0)
		return false;
	bool found = mailbox_find(sn, 1, ret) == 0;
	ret->prefix = STR_NULL; /* ends with the snapshot */
	store_snap_close(sn);
	return found;
}

static void
bodies_in_pieces(void **state)
{
	static const size_t sizes[] = { 0, 1, 7, 4096, 70000, STORE_INLINE_MAX + 77 };
	static const size_t steps[] = { 1, 3, 37, 4096, 65537, 1u << 20 };
	struct store *s = kit_store(state);
	for (uint64_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct mailbox_letter l;
		kit_accept(s,
		    (struct kit_letter){ .id = i + 1, .first = i + 1, .count = 1, .n = sizes[i] });
		assert_true(first_letter(s, i + 1, &l));
		char *whole = xalloc(l.ref.len + 1), *piece = xalloc(l.ref.len + 1);
		assert_int_equal(store_read(s, &l.ref, 0, whole, l.ref.len + 1), l.ref.len);
		for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
			if (l.ref.len / steps[k] > 5000)
				continue;
			for (uint64_t off = 0; off < l.ref.len; off += steps[k]) {
				uint64_t n = MIN((uint64_t)steps[k], l.ref.len - off);
				assert_int_equal(store_read(s, &l.ref, off, piece, n), n);
				assert_memory_equal(piece, whole + off, n);
			}
		}
		assert_int_equal(store_read(s, &l.ref, l.ref.len, piece, 1), 0);
		assert_int_equal(store_read(s, &l.ref, UINT64_MAX, piece, 1), 0);
		assert_int_equal(store_ref_check(s, &l.ref), 0);
		free(whole);
		free(piece);
	}
}

/* References that name nothing, or not what is there. */
static void
wrong_references(void **state)
{
	struct store *s = kit_store(state);
	for (uint64_t i = 1; i <= 2; i++) {
		struct mailbox_letter l;
		size_t n = i == 1 ? 1000 : STORE_INLINE_MAX + 1000;
		kit_accept(s, (struct kit_letter){ .id = i, .first = i, .count = 1, .n = n });
		assert_true(first_letter(s, i, &l));
		struct store_ref bad[6];
		for (size_t k = 0; k < ARRAY_LEN(bad); k++)
			bad[k] = l.ref;
		bad[0].crc ^= 1;
		bad[1].lsn = 0;
		bad[2].lsn += 1u << 20;
		bad[3].len++;
		bad[4].len--;
		bad[5].lsn = UINT64_MAX;
		char *p = xalloc(l.ref.len + 1);
		for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
			/* Whatever is asked to be where no file is, or no such letter. */
			assert_true(store_ref_check(s, &bad[k]) < 0);
			assert_true(store_read(s, &bad[k], 0, p, bad[k].len) < 0);
		}
		assert_int_equal(store_ref_check(s, &bad[0]), -EBADMSG);
		free(p);
		assert_int_equal(store_ref_check(s, &l.ref), 0);
	}
}

/* One octet of each body changes on the disk. */
static void
damage_is_told(void **state)
{
	struct kit_lab *lab = *state;
	for (uint64_t i = 1; i <= 3; i++) {
		struct mailbox_letter l;
		size_t n = i == 2 ? STORE_INLINE_MAX + 1000 : 1000;
		kit_accept(lab->s, (struct kit_letter){ .id = i, .first = i, .count = 1, .n = n });
		assert_true(first_letter(lab->s, i, &l));
		if (i == 3)
			break;
		char name[64], *path;
		snprintf(name, sizeof(name), i == 1 ? "log/%08llx.seg" : "blob/%016llx",
		    (unsigned long long)(i == 1 ? l.ref.lsn >> 32 : l.ref.blob));
		path = kit_path(lab->dir, name);
		int fd = open(path, O_RDWR);
		off_t at = i == 1 ? (off_t)(l.ref.lsn & 0xffffffffu) + 40 + l.trace_len + 500 : 500;
		char c = 0, *p = xalloc(l.ref.len);
		assert_true(fd >= 0 && pread(fd, &c, 1, at) == 1);
		assert_int_equal(store_ref_check(lab->s, &l.ref), 0);
		c ^= 4;
		assert_int_equal(pwrite(fd, &c, 1, at), 1);
		close(fd);
		assert_int_equal(store_ref_check(lab->s, &l.ref), -EBADMSG);
		assert_int_equal(store_read(lab->s, &l.ref, 0, p, l.ref.len), -EBADMSG);
		free(p);
		free(path);
	}
	/* The others are whole. */
	assert_int_equal(kit_letters(lab->s, 3, 1000, NULL), 1);
}

/* A copy for each recipient, once, however often the letter comes and whoever else gets it. */
static void
repeats_add_whom_they_may(void **state)
{
	struct store *s = kit_store(state);
	uint64_t last = 0;
	static const struct kit_letter rows[] = {
		{ .id = 5, .first = 1, .count = 1, .n = 10 },
		{ .id = 5, .first = 1, .count = 3, .n = 10 }, /* accepted before: nothing more */
		{ .id = 4, .first = 2, .count = 1, .n = 10 },
		{ .id = 4, .first = 2, .count = 1, .n = 20, .spill = true },
		{ .id = 9, .first = 1, .count = 0, .n = 10 },
	};
	static const uint64_t letters[] = { 1, 1, 0, 0 };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(kit_accept(s, rows[i]), 0);
		assert_int_equal(store_accepted(s, rows[i].id), 1);
	}
	for (uint64_t i = 0; i < ARRAY_LEN(letters); i++)
		assert_int_equal(kit_letters(s, i + 1, 10, NULL), letters[i]);
	assert_int_equal(store_accepted(s, 6), 0);
	assert_int_equal(store_last_letter(s, &last), 0);
	assert_int_equal(last, 9);
}

static void
accept_is_idempotent(void **state)
{
	struct store *s = kit_store(state);
	struct kit_letter k = { .id = 5, .first = 1, .count = 3, .n = 100 };
	struct store_res res[4];
	uint64_t last = 1;
	assert_int_equal(store_accepted(s, 5), 0);
	assert_int_equal(store_last_letter(s, &last), 0);
	assert_int_equal(last, 0);
	for (size_t i = 0; i < 4; i++) /* all in one group, as far as may be */
		kit_accept_async(s, k, kit_take, &res[i]);
	store_wait(s);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(res[i].rc, 0);
	k.n = STORE_INLINE_MAX * 2;
	assert_int_equal(kit_accept(s, k), 0);
	for (uint64_t a = 1; a <= 3; a++)
		assert_int_equal(kit_letters(s, a, 100, NULL), 1);
	assert_int_equal(store_accepted(s, 5), 1);
	assert_int_equal(store_accepted(s, 6), 0);
	assert_int_equal(store_last_letter(s, &last), 0);
	assert_int_equal(last, 5);
}

static void
many_recipients(void **state)
{
	struct store *s = kit_store(state);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 1, .first = 1, .count = 1500, .n = 500 }),
	    0);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 2, .first = 1, .count = 1500, .n = 500 }),
	    0);
	for (uint64_t a = 1; a <= 1500; a += 99)
		assert_int_equal(kit_letters(s, a, 500, NULL), 2);
	assert_int_equal(kit_letters(s, 1501, 500, NULL), 0);
	struct store_stats st;
	store_stats(s, &st);
	assert_int_equal(st.group_letters, 2);
}

static void
bodies_can_be_dropped(void **state)
{
	struct store *s = kit_store(state);
	char *p = xalloc(STORE_INLINE_MAX);
	struct store_body *small = store_body_new(s, 1), *large = store_body_new(s, 2);
	struct store_stats st;
	assert_int_equal(store_body_write(small, str_n(p, 1000)), 0);
	assert_int_equal(store_body_memory(small), 1000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(store_body_write(large, str_n(p, STORE_INLINE_MAX)), 0);
	store_stats(s, &st);
	assert_true(st.bodies_memory >= 1000);
	assert_null(store_body_free(small));
	assert_null(store_body_free(large));
	assert_null(store_body_free(NULL));
	store_stats(s, &st);
	assert_int_equal(st.bodies_memory, 0);
	free(p);
}

static void
bad_letters_are_refused(void **state)
{
	struct store *s = kit_store(state);
	char *text = xalloc(1u << 17);
	memset(text, 'x', 1u << 17);
	struct store_rcpt rcpt = { 1, 1, STR("P"), STR("r") };
	struct store_letter good = { .letter = 1, .rcpt = &rcpt, .n_rcpt = 1 };
	struct store_letter bad[4] = { good, good, good, good };
	struct store_rcpt long_rcpt = { 1, 1, STR("P"), str_n(text, 1u << 17) };
	bad[0].trace = str_n(text, 1u << 17);
	bad[1].header_len = 6;
	bad[2].rcpt = &long_rcpt;
	bad[3].qid = str_n(text, 1u << 17);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct store_res res = { .rc = 1 };
		struct store_body *b = store_body_new(s, 1);
		assert_int_equal(store_body_write(b, STR("12345")), 0);
		store_accept(s, b, &bad[i], kit_take, &res);
		store_wait(s);
		assert_int_equal(res.rc, -E2BIG);
	}
	assert_int_equal(store_accepted(s, 1), 0);
	free(text);
}

static void
long_recipients_stay_apart(void **state)
{
	struct store *s = kit_store(state);
	char a[600], b[600];
	memset(a, 'r', sizeof(a));
	memset(b, 'r', sizeof(b));
	b[sizeof(b) - 1] = 's';
	struct store_rcpt rcpt[3] = { { 1, 1, STR("P"), str_n(a, sizeof(a)) },
		{ 1, 1, STR("P"), str_n(b, sizeof(b)) }, { 1, 1, STR("P"), str_n(a, sizeof(a)) } };
	struct store_letter l = { .letter = 1, .rcpt = rcpt, .n_rcpt = 3 };
	struct store_res res = { .rc = 1 };
	store_accept(s, store_body_new(s, 1), &l, kit_take, &res);
	store_wait(s);
	assert_int_equal(res.rc, 0);
	assert_int_equal(kit_letters(s, 1, 0, NULL), 2);
}

/* --- accounts --- */

struct listed {
	char text[256];
};

static bool
name_into(void *arg, uint32_t mailbox, struct str name)
{
	struct listed *l = arg;
	size_t n = strlen(l->text);
	snprintf(l->text + n, sizeof(l->text) - n, "%u " STR_FMT ",", mailbox, STR_ARG(name));
	return true;
}

static void
accounts(void **state)
{
	struct store *s = kit_store(state);
	struct store_res r = { .rc = 1 };
	struct store_dom g = store_dom_directory();
	account_create(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	uint64_t alice = r.slot[0];
	account_create(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, -EEXIST);
	account_create(s, STR("bob@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	assert_int_not_equal(r.slot[0], alice);

	struct store_dom a = store_dom_account(alice), b = store_dom_mailbox(alice, MAILBOX_INBOX);
	struct store_snap *sn;
	struct listed l = { 0 };
	struct mailbox_head h;
	assert_int_equal(store_snap_open(s, &a, &sn, NULL), 0);
	assert_int_equal(mailbox_list(sn, name_into, &l), 0);
	assert_string_equal(l.text, "1 INBOX,6 Archive,2 Drafts,5 Junk,3 Sent,4 Trash,");
	store_snap_close(sn);
	assert_int_equal(store_snap_open(s, &b, &sn, NULL), 0);
	assert_int_equal(mailbox_head_read(sn, &h), 0);
	assert_true(h.uidvalidity != 0 && h.uidnext == 1 && h.messages == 0);
	store_snap_close(sn);
	for (uint64_t i = 1; i <= 800; i++)
		kit_accept_async(s,
		    (struct kit_letter){ .id = i, .first = alice, .count = 2, .n = 50 }, NULL,
		    NULL);
	store_wait(s);
	assert_int_equal(kit_letters(s, alice, 50, NULL), 800);

	account_remove(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	assert_string_equal(kit_get(s, g, "u|alice@example.com"), "-");
	assert_int_equal(kit_letters(s, alice, 0, NULL), 0);
	assert_int_equal(kit_letters(s, alice + 1, 50, NULL), 800);
	account_remove(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, -ENOENT);
	account_sweep(s, kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	/* The number is not given out again. */
	account_create(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	assert_true(r.slot[0] > alice + 1);
	account_create(s, STR(""), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, -EINVAL);
}

static void
sweep_finishes_a_removal(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom g = store_dom_directory();
	struct store_res r = { .rc = 1 };
	for (uint64_t i = 1; i <= 10; i++)
		kit_accept(s, (struct kit_letter){ .id = i, .first = 7, .count = 1, .n = 50 });
	/* As account_remove() leaves it when the process dies after its first step. */
	struct store_batch *b = store_batch_new(s, &g);
	store_put(b, str_n("x|\0\0\0\0\0\0\0\7", 10), str_n("\0", 1), 0);
	assert_int_equal(kit_commit(s, b).rc, 0);
	account_sweep(s, kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	assert_int_equal(kit_letters(s, 7, 0, NULL), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		KIT_BOTH(letters_are_whole),
		KIT_BOTH(bodies_in_pieces),
		KIT_BOTH(wrong_references),
		cmocka_unit_test_setup_teardown(damage_is_told, kit_set_up_emb, kit_tear_down),
		KIT_BOTH(repeats_add_whom_they_may),
		KIT_BOTH(accept_is_idempotent),
		KIT_BOTH(many_recipients),
		KIT_BOTH(bodies_can_be_dropped),
		KIT_BOTH(bad_letters_are_refused),
		KIT_BOTH(long_recipients_stay_apart),
		KIT_BOTH(accounts),
		KIT_BOTH(sweep_finishes_a_removal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
