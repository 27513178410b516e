/* store: letters put into a mailbox as they are, with marks; the making of mailboxes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"
#include "store_kit.h"

#include <errno.h>

#define TEXT STR("Subject: a\r\n\r\nbody\r\n")

static struct store_body *
body_of(struct store *s, struct str text)
{
	struct store_body *b = store_body_new(s, 7);
	assert_int_equal(store_body_write(b, text), 0);
	return b;
}

/* mark NULL: none; was NULL: absent. */
static void
append_async(struct store *s, uint32_t mailbox, const char *mark, const char *was,
    const char *value, struct store_res *res)
{
	struct mailbox_append a = { .account = 1,
		.mailbox = mailbox,
		.letter = 7,
		.time_ms = KIT_TIME,
		.flags = MAILBOX_SEEN | MAILBOX_DRAFT,
		.header_len = 12,
		.now_ms = KIT_TIME + 1,
		.history = STR("imported\n"),
		.mark = str_of(mark),
		.was = str_of(was),
		.value = str_of(value) };
	*res = (struct store_res){ .rc = 1 };
	mailbox_append(s, body_of(s, TEXT), &a, STORE_DURABLE, kit_take, res);
}

static struct store_res
append(struct store *s, uint32_t mailbox, const char *mark, const char *was, const char *value)
{
	struct store_res res;
	append_async(s, mailbox, mark, was, value, &res);
	store_wait(s);
	return res;
}

static struct store_res
create(struct store *s, const char *name)
{
	struct store_res res = { .rc = 1 };
	mailbox_create(s, 1, str_of(name), kit_take, &res);
	store_wait(s);
	return res;
}

static void
a_letter_as_it_is(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
	struct store_res r = append(s, MAILBOX_INBOX, NULL, NULL, NULL);
	struct store_snap *sn = NULL;
	struct mailbox_letter l;
	char text[64];
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.slot[0], 1);
	assert_int_not_equal(r.slot[1], 0);
	assert_int_equal(r.ver, 1);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mailbox_find(sn, 1, &l), 0);
	assert_int_equal(l.flags, MAILBOX_SEEN | MAILBOX_DRAFT);
	assert_true(l.time_ms == KIT_TIME);
	assert_int_equal(l.letter, 7);
	assert_int_equal(l.header_len, 12);
	assert_int_equal(l.size, TEXT.len);
	assert_int_equal(mailbox_letter_read(s, &l, 0, text, sizeof(text)), TEXT.len);
	assert_memory_equal(text, TEXT.p, TEXT.len);
	assert_int_equal(store_ref_check(s, &l.ref), 0);
	store_snap_close(sn);
	assert_int_equal(append(s, MAILBOX_INBOX, NULL, NULL, NULL).slot[0], 2);
	assert_int_equal(kit_letters(s, 1, 0, NULL), 2);
	/* A letter by SMTP goes on behind it. */
	assert_int_equal(kit_accept(s, (struct kit_letter){ .id = 1, .first = 1, .count = 1 }), 0);
	assert_int_equal(kit_letters(s, 1, 0, NULL), 3);
}

static void
marks_make_it_once(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
	static const struct {
		const char *mark, *was, *value;
		int rc;
	} rows[] = {
		{ "I|a", NULL, "1", 0 },
		{ "I|a", NULL, "1", -EAGAIN },
		{ "I|a", "2", "3", -EAGAIN },
		{ "I|a", "1", "2", 0 },
		{ "I|a", "1", "2", -EAGAIN },
		{ "I|a", "2", "", 0 },
		{ "I|a", NULL, "1", -EAGAIN },
		{ "I|a", "", "4", 0 },
		{ "I|a|x", NULL, "", 0 },
		{ "I|a|x", NULL, "", -EAGAIN },
		{ "I|b", "1", "2", -EAGAIN },
		{ "H", "1", "2", -E2BIG },
	};
	uint64_t letters = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct store_res r =
		    append(s, MAILBOX_INBOX, rows[i].mark, rows[i].was, rows[i].value);
		assert_int_equal(r.rc, rows[i].rc);
		letters += r.rc == 0;
		assert_int_equal(kit_letters(s, 1, 0, NULL), letters);
	}
	assert_string_equal(kit_get(s, d, "I|a"), "4");
	assert_string_equal(kit_get(s, d, "I|a|x"), "");
	assert_string_equal(kit_get(s, d, "I|b"), "-");
}

#define CHAIN 500

/* One link is missing: nothing behind it comes in, although all are under way together. */
static void
a_chain_has_no_gaps(void **state)
{
	struct store *s = kit_store(state);
	static struct store_res res[CHAIN];
	char was[16], value[16];
	for (int i = 0; i < CHAIN; i++) {
		snprintf(was, sizeof(was), "%d", i == 300 ? 9999 : i - 1);
		snprintf(value, sizeof(value), "%d", i);
		append_async(s, MAILBOX_INBOX, "I|chain", i ? was : NULL, value, &res[i]);
	}
	store_wait(s);
	for (int i = 0; i < CHAIN; i++) {
		assert_int_equal(res[i].rc, i < 300 ? 0 : -EAGAIN);
		assert_true(i >= 300 || res[i].slot[0] == (uint64_t)i + 1);
	}
	assert_int_equal(kit_letters(s, 1, 0, NULL), 300);
	assert_string_equal(kit_get(s, store_dom_mailbox(1, MAILBOX_INBOX), "I|chain"), "299");
}

static void
mailboxes_are_made_once(void **state)
{
	struct store *s = kit_store(state);
	assert_int_equal(append(s, 2, NULL, NULL, NULL).rc, -ENOENT);
	struct store_res r = create(s, "Old");
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.slot[0], 2);
	r = create(s, "Old");
	assert_int_equal(r.rc, -EEXIST);
	assert_int_equal(r.slot[0], 2);
	assert_int_equal(create(s, "old").slot[0], 3);
	assert_int_equal(create(s, "inbox").rc, -EEXIST);
	assert_int_equal(create(s, "INBOX").slot[0], MAILBOX_INBOX);
	assert_int_equal(create(s, "").rc, -EINVAL);
	char name[MAILBOX_NAME_STORED_MAX + 2];
	memset(name, 'x', sizeof(name));
	name[MAILBOX_NAME_STORED_MAX + 1] = '\0';
	assert_int_equal(create(s, name).rc, -E2BIG);
	name[MAILBOX_NAME_STORED_MAX] = '\0';
	assert_int_equal(create(s, name).slot[0], 4);
	assert_int_equal(append(s, 2, NULL, NULL, NULL).slot[0], 1);
	assert_int_equal(append(s, 5, NULL, NULL, NULL).rc, -ENOENT);
}

/* Two that are made at the same time get two numbers; two of one name are one. */
static void
mailboxes_at_once(void **state)
{
	struct store *s = kit_store(state);
	struct store_res r[4] = { { .rc = 1 }, { .rc = 1 }, { .rc = 1 }, { .rc = 1 } };
	static const char *const names[] = { "a", "b", "a", "c" };
	for (size_t i = 0; i < 4; i++)
		mailbox_create(s, 1, str_of(names[i]), kit_take, &r[i]);
	store_wait(s);
	assert_int_equal(r[0].slot[0], r[2].slot[0]);
	assert_true((r[0].rc == 0) != (r[2].rc == 0));
	assert_int_equal(r[1].rc, 0);
	assert_int_equal(r[3].rc, 0);
	assert_true(r[0].slot[0] != r[1].slot[0] && r[1].slot[0] != r[3].slot[0] &&
		    r[0].slot[0] != r[3].slot[0]);
}

static void
marks_are_forgotten(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
	struct store_res r = { .rc = 1 };
	for (int i = 0; i < 2500; i++) {
		char mark[32];
		snprintf(mark, sizeof(mark), "I|a|%d", i);
		struct store_batch *b = store_batch_new(s, &d);
		store_put(b, str_of(mark), STR(""), 0);
		store_commit(b, STORE_DURABLE, NULL, NULL);
	}
	append(s, MAILBOX_INBOX, "I|a", NULL, "1");
	append(s, MAILBOX_INBOX, "I|ab", NULL, "2");
	append(s, MAILBOX_INBOX, "I|ab|x", NULL, "3");
	mailbox_forget_marks(s, 1, MAILBOX_INBOX, STR("I|a"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	assert_string_equal(kit_get(s, d, "I|a"), "-");
	assert_string_equal(kit_get(s, d, "I|a|0"), "-");
	assert_string_equal(kit_get(s, d, "I|a|2499"), "-");
	assert_string_equal(kit_get(s, d, "I|ab"), "2");
	assert_string_equal(kit_get(s, d, "I|ab|x"), "3");
	mailbox_forget_marks(s, 1, MAILBOX_INBOX, STR("R|a"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, -EINVAL);
	assert_int_equal(kit_letters(s, 1, 0, NULL), 3);
}

/* A letter that was under way to an account must not make its mailbox anew. */
static void
a_removed_account_takes_nothing(void **state)
{
	struct kit_lab *l = *state;
	struct store_dom g = store_dom_directory();
	struct store_batch *b = store_batch_new(l->s, &g);
	store_put(b, STR("x|\0\0\0\0\0\0\0\1"), STR("\0"), 0);
	assert_int_equal(kit_commit(l->s, b).rc, 0);
	assert_int_equal(append(l->s, MAILBOX_INBOX, "I|a", NULL, "0").rc, -ENOENT);
	assert_int_equal(kit_letters(l->s, 1, 0, NULL), 0);
}

/* What is durable is there again, letter and mark together, from the log alone. */
static void
appended_letters_survive(void **state)
{
	struct kit_lab *l = *state;
	struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
	for (int i = 0; i < 50; i++) {
		char was[16], value[16];
		snprintf(was, sizeof(was), "%d", i - 1);
		snprintf(value, sizeof(value), "%d", i);
		assert_int_equal(append(l->s, MAILBOX_INBOX, "I|a", i ? was : NULL, value).rc, 0);
	}
	char *copy = kit_dir();
	kit_copy(l->dir, copy);
	char *index = kit_path(copy, "index");
	kit_remove(index);
	free(index);
	struct store *s = kit_open(copy);
	assert_non_null(s);
	assert_int_equal(kit_letters(s, 1, 0, NULL), 50);
	assert_string_equal(kit_get(s, d, "I|a"), "49");
	store_close(s);
	kit_dir_done(copy);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		KIT_BOTH(a_letter_as_it_is),
		KIT_BOTH(marks_make_it_once),
		KIT_BOTH(a_chain_has_no_gaps),
		KIT_BOTH(mailboxes_are_made_once),
		KIT_BOTH(mailboxes_at_once),
		KIT_BOTH(marks_are_forgotten),
		KIT_BOTH(a_removed_account_takes_nothing),
		cmocka_unit_test_setup_teardown(appended_letters_survive, kit_set_up_emb,
		    kit_tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
