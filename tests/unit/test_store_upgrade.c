/* store: one of the third format, which knew no keywords, no counts of unread letters and no names
 * but those of imports, and one of the fourth, which knew no queue, are opened, read, changed,
 * checked, and their index made anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypt/crypt.h"
#include "store/emb.h"
#include "store_mail_kit.h"
#include "store_queue_kit.h"
#include "sys/file.h"

#define LETTERS_3 30
#define LETTERS_4 16
#define BOXES_MAX 16

static int
set_up(void **state)
{
	crypt_init();
	*state = kit_dir();
	return 0;
}

static int
tear_down(void **state)
{
	kit_dir_done(*state);
	return 0;
}

/* --- the letters of the list --- */

static uint64_t
flags_of(const char *letters)
{
	static const struct {
		char letter;
		uint64_t flag;
	} rows[] = { { 'D', MAILBOX_DRAFT }, { 'F', MAILBOX_FLAGGED }, { 'R', MAILBOX_ANSWERED },
		{ 'S', MAILBOX_SEEN }, { 'T', MAILBOX_DELETED } };
	uint64_t flags = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strchr(letters, rows[i].letter))
			flags |= rows[i].flag;
	return flags;
}

static bool
sum_is(struct str octets, const char *hex)
{
	unsigned char sum[CRYPT_DIGEST_MAX];
	char text[65];
	crypt_digest(CRYPT_SHA256, octets, sum);
	for (size_t i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", sum[i]);
	return strcmp(text, hex) == 0;
}

static void
is_letter(struct store *s, const char *line)
{
	char address[64], mailbox[64], flags[16], sum[65];
	struct mailbox_letter l;
	struct store_snap *sn;
	struct str value;
	unsigned uid, size;
	uint32_t number;
	assert_int_equal(sscanf(line, "%63s %63s %u %u %15s %64s", address, mailbox, &uid, &size,
			     flags, sum),
	    6);
	struct store_dom d = store_dom_directory();
	struct buf key = BUF_INIT(100);
	buf_putf(&key, "u|%s", address);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(store_get(sn, buf_str(&key), &value), 0);
	uint64_t account = be64_get((const unsigned char *)value.p);
	store_snap_close(sn);
	buf_done(&key);
	d = store_dom_account(account);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_find_name(sn, str_of(mailbox), &number), 0);
	store_snap_close(sn);
	d = store_dom_mailbox(account, number);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mailbox_find(sn, uid, &l), 0);
	assert_int_equal(l.size, size);
	assert_int_equal(l.flags & MAILBOX_FLAGS_SYSTEM, flags_of(flags));
	char *octets = xalloc(size);
	assert_int_equal(mailbox_letter_read(s, &l, 0, octets, size), size);
	assert_true(sum_is(str_n(octets, size), sum));
	free(octets);
	store_snap_close(sn);
}

static void
letters_are_there(struct store *s, const char *list, size_t want)
{
	char line[256];
	size_t n = 0;
	FILE *f = fopen(list, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		is_letter(s, line);
		n++;
	}
	fclose(f);
	assert_int_equal(n, want);
}

/* --- everything of the first account as text --- */

struct telling {
	struct buf *out;
	uint32_t box[BOXES_MAX];
	size_t n;
};

static bool
tell_name(void *arg, const struct mail_name *n)
{
	struct telling *t = arg;
	buf_putf(t->out, STR_FMT " %u %x %d %d\n", STR_ARG(n->name), n->mailbox, n->special,
	    n->subscribed, n->exists);
	if (n->mailbox) {
		assert_true(t->n < BOXES_MAX);
		t->box[t->n++] = n->mailbox;
	}
	return true;
}

static void
tell(struct store *s, struct buf *out)
{
	struct telling t = { .out = out };
	struct store_dom d = store_dom_account(MAIL_ACCOUNT);
	struct store_snap *sn;
	buf_reset(out);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_each_name(sn, tell_name, &t), 0);
	store_snap_close(sn);
	for (size_t i = 0; i < t.n; i++)
		assert_null(mail_box_text(s, t.box[i], out));
}

static struct mailbox_head
head(struct store *s, uint32_t mailbox)
{
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, mailbox);
	struct store_snap *sn = NULL;
	struct mailbox_head h = { 0 };
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mailbox_head_read(sn, &h), 0);
	store_snap_close(sn);
	return h;
}

/* --- it lives on --- */

static void
old_heads(struct store *s)
{
	struct mailbox_head inbox = head(s, 1), work = head(s, 2);
	assert_int_equal(inbox.messages, 8);
	assert_int_equal(inbox.unseen, 8);
	assert_int_equal(inbox.deleted, 0);
	assert_int_equal(inbox.modseq, 11);
	assert_int_equal(work.messages, 6);
	assert_int_equal(work.unseen, 1);
	assert_int_equal(work.deleted, 2);
	assert_int_equal(work.modseq, 8);
	assert_int_equal(work.floor, 8);
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, 2);
	struct store_snap *sn = NULL;
	struct buf text = BUF_INIT(1000);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_true(mail_each_vanished(sn, 7, mail_text_vanished, &text) < 0);
	assert_int_equal(mail_each_vanished(sn, 8, mail_text_vanished, &text), 0);
	assert_int_equal(text.len, 0);
	store_snap_close(sn);
	buf_done(&text);
}

static void
named(void *arg, const struct mail_result *res)
{
	*(int *)arg = res->rc;
}

static void
change(struct store *s)
{
	int rc = 1;
	uint64_t modseq = head(s, 2).modseq;
	assert_int_equal(mail_created(s, "New", MAIL_USE_ARCHIVE).res.mailbox, 3);
	assert_string_equal(mail_flag(s, 2, "2:3,7", MAIL_FLAGS_ADD, "F $Work").uids, "2:3,7");
	assert_true(head(s, 2).modseq > modseq);
	assert_string_equal(mail_copied(s, 2, 3, "2:4", false).to, "1:3");
	assert_string_equal(mail_copied(s, 1, 3, "4,8:9", true).to, "4:6");
	assert_string_equal(mail_expunged(s, 3, "1", false).uids, "1");
	assert_string_equal(mail_appended(s, 3, 7000000, 2, 100, "S Other").to, "7:8");
	mail_rename(s, MAIL_ACCOUNT, STR("Work/2025"), STR("Old/2025"), named, &rc);
	store_wait(s);
	assert_int_equal(rc, 0);
	mail_subscribe(s, MAIL_ACCOUNT, STR("Old/2025"), true, named, &rc);
	store_wait(s);
	assert_int_equal(rc, 0);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){
				 .id = 9000000, .first = MAIL_ACCOUNT, .count = 2, .n = 3000 }),
	    0);
	struct store_res r = { .rc = 1 };
	account_create(s, STR("carol@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
}

static struct store *
again(struct store *s, const char *dir)
{
	store_close(s);
	assert_int_equal(mail_problems(dir), 0);
	return kit_open(dir);
}

/* The list of what is in it, on the heap; NULL: it cannot be unpacked here. */
static char *
unpack(const char *dir, int format)
{
	struct str here = str_of(__FILE__);
	char *data = str_dup(str_first(here, str_rfind(here, '/'))), name[64], cmd[9000];
	snprintf(name, sizeof(name), "../data/store-format-%d.tar.xz", format);
	char *archive = kit_path(data, name);
	snprintf(name, sizeof(name), "../data/store-format-%d.txt", format);
	char *list = kit_path(data, name);
	bool can = access(archive, R_OK) == 0 && system("xz --version >/dev/null 2>&1") == 0;
	/* It unpacks as "store", which is what dir ends in. */
	snprintf(cmd, sizeof(cmd), "mkdir -p '%s' && tar -xJf '%s' -C '%s/..'", dir, archive, dir);
	if (can)
		assert_int_equal(system(cmd), 0);
	else
		free(list);
	free(data);
	free(archive);
	return can ? list : NULL;
}

static void
the_third_format(void **state)
{
	const char *dir = *state;
	char *list = unpack(dir, 3);
	struct buf before = BUF_INIT(1u << 20), after = BUF_INIT(1u << 20), err = BUF_INIT(1000);
	struct fsck_report report;
	if (!list)
		skip();
	struct store *s = kit_open(dir);
	assert_non_null(s);
	letters_are_there(s, list, LETTERS_3);
	old_heads(s);
	s = again(s, dir);
	letters_are_there(s, list, LETTERS_3);
	old_heads(s);
	change(s);
	tell(s, &before);
	for (int round = 0; round < 3; round++) {
		s = again(s, dir);
		assert_non_null(s);
		tell(s, &after);
		assert_string_equal(buf_cstr(&before), buf_cstr(&after));
		if (round == 1)
			emb_tidy(s);
		if (round == 0) {
			store_close(s);
			assert_int_equal(fsck_rebuild(dir, &report, NULL, NULL, &err), 0);
			fsck_report_done(&report);
			s = kit_open(dir);
		}
	}
	store_close(s);
	buf_done(&before);
	buf_done(&after);
	buf_done(&err);
	free(list);
}

static void
has_queue(struct store *s, const struct kit_queued *k)
{
	struct store_stats st;
	assert_int_equal(kit_queue_there(s, *k), k->parts);
	store_stats(s, &st);
	assert_int_equal(st.queue_letters, 1);
	assert_int_equal(st.queue_entries, k->parts);
}

static void
the_fourth_format(void **state)
{
	const char *dir = *state;
	char *list = unpack(dir, 4);
	struct kit_queued k = {
		.id = 9000000ull << 40, .parts = 3, .n = 900, .first = 2, .count = 1
	};
	struct buf err = BUF_INIT(1000);
	struct fsck_report report;
	if (!list)
		skip();
	struct store *s = kit_open(dir);
	assert_non_null(s);
	letters_are_there(s, list, LETTERS_4);
	s = again(s, dir);
	letters_are_there(s, list, LETTERS_4);
	assert_int_equal(kit_queue(s, k), 0);
	has_queue(s, &k);
	s = again(s, dir);
	has_queue(s, &k);
	emb_tidy(s);
	s = again(s, dir);
	has_queue(s, &k);
	store_close(s);
	assert_int_equal(fsck_rebuild(dir, &report, NULL, NULL, &err), 0);
	fsck_report_done(&report);
	s = kit_open(dir);
	has_queue(s, &k);
	letters_are_there(s, list, LETTERS_4);
	store_close(s);
	assert_int_equal(mail_problems(dir), 0);
	buf_done(&err);
	free(list);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_third_format, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_fourth_format, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
