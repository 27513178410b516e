/* store: mailboxes made, deleted and renamed, subscriptions, special uses and options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_mail_kit.h"

/* --- an account's names as text --- */

static bool
say_name(void *arg, const struct mail_name *n)
{
	buf_putf(arg, STR_FMT, STR_ARG(n->name));
	if (!n->exists)
		buf_putc(arg, '?');
	else if (n->mailbox)
		buf_putf(arg, "=%u", n->mailbox);
	if (n->special)
		buf_putf(arg, "/%x", n->special);
	if (n->subscribed)
		buf_putc(arg, '!');
	if (n->children)
		buf_putc(arg, '+');
	buf_putc(arg, ' ');
	return true;
}

static const char *
names(struct store *s)
{
	static struct buf text;
	struct store_dom d = store_dom_account(MAIL_ACCOUNT);
	struct store_snap *sn = NULL;
	text.max = 1u << 20;
	buf_reset(&text);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_each_name(sn, say_name, &text), 0);
	store_snap_close(sn);
	return buf_cstr(&text);
}

static int
deleted(struct store *s, const char *name)
{
	struct mail_got g = { .res = { .rc = 1 } };
	mail_delete(s, MAIL_ACCOUNT, str_of(name), mail_take, &g);
	store_wait(s);
	return g.res.rc;
}

static int
renamed(struct store *s, const char *from, const char *to)
{
	struct mail_got g = { .res = { .rc = 1 } };
	mail_rename(s, MAIL_ACCOUNT, str_of(from), str_of(to), mail_take, &g);
	store_wait(s);
	return g.res.rc;
}

static int
subscribed(struct store *s, const char *name, bool on)
{
	struct mail_got g = { .res = { .rc = 1 } };
	mail_subscribe(s, MAIL_ACCOUNT, str_of(name), on, mail_take, &g);
	store_wait(s);
	return g.res.rc;
}

#define FIRST "INBOX=1! Archive=6/10! Drafts=2/1! Junk=5/8! Sent=3/2! Trash=4/4! "

static void
a_new_account(void **state)
{
	struct store *s = kit_store(state);
	assert_string_equal(names(s), "INBOX=1 ");
	mail_account(s);
	assert_string_equal(names(s), FIRST);
	for (uint32_t i = 1; i <= 6; i++) {
		struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, i);
		struct store_snap *sn = NULL;
		struct mailbox_head h;
		assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
		assert_int_equal(mailbox_head_read(sn, &h), 0);
		assert_int_equal(h.uidnext, 1);
		store_snap_close(sn);
	}
	assert_int_equal(mail_problems_of(state), 0);
}

static void
names_are_made(void **state)
{
	struct store *s = kit_store(state);
	mail_account(s);
	struct mail_got g = mail_created(s, "a/b/c", 0);
	assert_int_equal(g.res.rc, 0);
	assert_int_equal(g.res.mailbox, 7);
	g = mail_created(s, "a/b", MAIL_USE_ALL);
	assert_int_equal(g.res.rc, 0);
	assert_int_equal(g.res.mailbox, 8);
	g = mail_created(s, "a/b", 0);
	assert_int_equal(g.res.rc, -EEXIST);
	assert_int_equal(g.res.mailbox, 8);
	mail_created(s, "a b", 0);
	assert_string_equal(names(s), "INBOX=1! Archive=6/10! Drafts=2/1! Junk=5/8! Sent=3/2! "
				      "Trash=4/4! a+ a/b=8/20+ a/b/c=7 a b=9 ");
	g = mail_created(s, "INBOX", 0);
	assert_int_equal(g.res.rc, -EEXIST);
	assert_int_equal(g.res.mailbox, 1);
	assert_int_equal(mail_created(s, "inbox", 0).res.rc, -EINVAL);
	assert_int_equal(mail_created(s, "", 0).res.rc, -EINVAL);
	assert_int_equal(mail_created(s, "/a", 0).res.rc, -EINVAL);
	assert_int_equal(mail_created(s, "a/", 0).res.rc, -EINVAL);
	char name[300];
	memset(name, 'n', sizeof(name));
	name[MAILBOX_NAME_STORED_MAX] = '\0';
	assert_int_equal(mail_created(s, name, 0).res.rc, 0);
	name[MAILBOX_NAME_STORED_MAX] = 'n';
	name[299] = '\0';
	assert_int_equal(mail_created(s, name, 0).res.rc, -E2BIG);
	assert_int_equal(mail_created(s, "INBOX/x", 0).res.rc, 0);
	assert_non_null(strstr(names(s), "INBOX=1!+ "));
	struct store_dom d = store_dom_account(MAIL_ACCOUNT);
	struct store_snap *sn = NULL;
	uint32_t number;
	struct str v;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_find_name(sn, STR("a/b"), &number), 0);
	assert_int_equal(number, 8);
	assert_int_equal(mail_find_name(sn, STR("a"), &number), -EISDIR);
	assert_int_equal(mail_find_name(sn, STR("x"), &number), -ENOENT);
	assert_int_equal(mail_find_name(sn, STR("INBOX"), &number), 0);
	assert_int_equal(mail_name_of(sn, 8, &v), 0);
	assert_true(str_eq(v, STR("a/b")));
	assert_int_equal(mail_name_of(sn, 88, &v), -ENOENT);
	store_snap_close(sn);
}

static void
many_at_once(void **state)
{
	struct store *s = kit_store(state);
	struct mail_got g[20];
	mail_account(s);
	for (unsigned i = 0; i < 20; i++) {
		char name[16];
		snprintf(name, sizeof(name), "p/%u", i / 2);
		mail_create(s, MAIL_ACCOUNT, str_of(name), 0, mail_take, &g[i]);
	}
	store_wait(s);
	uint32_t seen = 0;
	for (unsigned i = 0; i < 20; i += 2) {
		/* One of the two has made it. */
		assert_int_equal(g[i].res.rc + g[i + 1].res.rc, -EEXIST);
		assert_int_equal(g[i].res.mailbox, g[i + 1].res.mailbox);
		assert_in_range(g[i].res.mailbox, 7, 16);
		seen |= 1u << g[i].res.mailbox;
	}
	assert_int_equal(seen, 0x3ffu << 7);
}

static void
names_go(void **state)
{
	struct store *s = kit_store(state);
	mail_account(s);
	mail_created(s, "a/b/c", 0);
	mail_created(s, "a/b", 0);
	mail_appended(s, 8, 10, 16, 100, "S");
	assert_int_equal(deleted(s, "INBOX"), -EPERM);
	assert_int_equal(deleted(s, "x"), -ENOENT);
	assert_int_equal(deleted(s, "a"), -ENOTEMPTY);
	assert_int_equal(deleted(s, "a/b"), 0);
	assert_string_equal(names(s), FIRST "a+ a/b+ a/b/c=7 ");
	struct buf text = BUF_INIT(1u << 20);
	assert_null(mail_box_text(s, 8, &text));
	assert_string_equal(buf_cstr(&text), "none\n");
	buf_done(&text);
	assert_int_equal(deleted(s, "a/b"), -ENOTEMPTY);
	/* What comes for it afterwards. */
	assert_int_equal(mail_appended(s, 8, 50, 1, 100, "").res.rc, -ENOENT);
	assert_int_equal(mail_flag(s, 8, "1", MAIL_FLAGS_ADD, "S").res.rc, -ENOENT);
	struct store_rcpt rcpt = { MAIL_ACCOUNT, 8, STR(""), STR("x") };
	struct store_letter l = { .letter = 99, .time_ms = KIT_TIME, .rcpt = &rcpt, .n_rcpt = 1 };
	struct store_res res = { .rc = 1 };
	store_accept(s, store_body_new(s, 99), &l, kit_take, &res);
	store_wait(s);
	assert_int_equal(res.rc, 0);
	assert_int_equal(kit_letters(s, MAIL_ACCOUNT, 0, NULL), 1); /* in INBOX */
	assert_int_equal(deleted(s, "a/b/c"), 0);
	assert_string_equal(names(s), FIRST);
	struct mail_got g = mail_created(s, "a/b/c", 0);
	assert_int_equal(g.res.mailbox, 9);
	assert_int_equal(mail_problems_of(state), 0);
}

static uint32_t
uidvalidity(struct store *s, uint32_t mailbox)
{
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, mailbox);
	struct store_snap *sn = NULL;
	struct mailbox_head h = { 0 };
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mailbox_head_read(sn, &h), 0);
	store_snap_close(sn);
	return h.uidvalidity;
}

/* Within a second: a client that has cached the one must not take it for the other. */
static void
names_come_back(void **state)
{
	struct store *s = kit_store(state);
	mail_account(s);
	for (uint32_t i = 2; i <= 6; i++)
		assert_true(uidvalidity(s, i) > uidvalidity(s, i - 1));
	uint32_t last = uidvalidity(s, mail_created(s, "a", 0).res.mailbox);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(deleted(s, "a"), 0);
		uint32_t now = uidvalidity(s, mail_created(s, "a", 0).res.mailbox);
		assert_true(now > last);
		last = now;
	}
}

static void
names_have_an_end(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom a = store_dom_account(MAIL_ACCOUNT);
	struct store_batch *b = NULL;
	char key[32];
	mail_account(s);
	for (unsigned i = 0; i < 2 * (MAIL_NAMES_MAX - 8); i++) {
		if (i % 4000 == 0)
			b = store_batch_new(s, &a);
		snprintf(key, sizeof(key), "%c|%u", i % 2 ? 'N' : 'S', i);
		store_put(b, str_of(key), i % 2 ? STR("\0\0\0\0") : STR(""), 0);
		if (i % 4000 == 3999 || i + 1 == 2 * (MAIL_NAMES_MAX - 8))
			store_commit(b, STORE_DURABLE, NULL, NULL);
	}
	store_wait(s);
	assert_int_equal(mail_created(s, "one", 0).res.rc, 0);
	assert_int_equal(mail_created(s, "two", 0).res.rc, 0);
	assert_int_equal(mail_created(s, "three", 0).res.rc, -E2BIG);
	assert_int_equal(subscribed(s, "one", true), 0);
	assert_int_equal(subscribed(s, "two", true), 0);
	assert_int_equal(subscribed(s, "three", true), -E2BIG);
	assert_int_equal(subscribed(s, "two", true), 0);
	assert_int_equal(renamed(s, "two", "three"), 0);
	assert_int_equal(deleted(s, "one"), 0);
	assert_int_equal(subscribed(s, "one", false), 0);
	assert_int_equal(mail_created(s, "four", 0).res.rc, 0);
	assert_int_equal(subscribed(s, "four", true), 0);
}

/* What is asked for once a deletion was answered, while the mail is still going. */
struct late {
	struct store *s;
	struct mail_got deleted, flagged, copied, moved;
};

static void
come_late(void *arg, const struct mail_result *res)
{
	struct late *l = arg;
	struct mail_range all = { 1, UINT32_MAX };
	l->deleted.res.rc = res->rc;
	mail_store_flags(l->s,
	    &(struct mail_flags){ .account = MAIL_ACCOUNT,
		.mailbox = 7,
		.uids = &all,
		.n_uids = 1,
		.op = MAIL_FLAGS_ADD,
		.flags = MAILBOX_SEEN },
	    mail_take, &l->flagged);
	struct mail_copy c = { .account = MAIL_ACCOUNT,
		.from = 2,
		.to = 7,
		.uids = &all,
		.n_uids = 1,
		.now_ms = MAIL_NOW };
	mail_copy(l->s, &c, mail_take, &l->copied);
	c.move = true;
	mail_copy(l->s, &c, mail_take, &l->moved);
}

static void
a_deleted_mailbox_takes_nothing(void **state)
{
	struct store *s = kit_store(state);
	struct late l = { .s = s };
	mail_account(s);
	for (uint64_t i = 1; i <= 1100; i++)
		kit_accept_async(s,
		    (struct kit_letter){ .id = i, .first = MAIL_ACCOUNT, .count = 1, .n = 5 }, NULL,
		    NULL);
	mail_appended(s, 2, 5000, 3, 100, "");
	assert_int_equal(mail_created(s, "b", 0).res.mailbox, 7);
	assert_int_equal(mail_copied(s, 1, 7, "1:*", true).res.count, 1100);
	mail_delete(s, MAIL_ACCOUNT, STR("b"), come_late, &l);
	store_wait(s);
	assert_int_equal(l.deleted.res.rc, 0);
	assert_int_equal(l.flagged.res.rc, -ENOENT);
	assert_int_equal(l.copied.res.rc, -ENOENT);
	assert_int_equal(l.moved.res.rc, -ENOENT);
	struct buf text = BUF_INIT(1u << 20);
	assert_null(mail_box_text(s, 2, &text));
	assert_non_null(strstr(buf_cstr(&text), "n 3 "));
	buf_reset(&text);
	assert_null(mail_box_text(s, 7, &text));
	assert_string_equal(buf_cstr(&text), "none\n");
	buf_done(&text);
	assert_int_equal(mail_problems_of(state), 0);
}

static void
names_change(void **state)
{
	struct store *s = kit_store(state);
	mail_account(s);
	mail_created(s, "a/b", MAIL_USE_IMPORTANT);
	mail_created(s, "a/b/c", 0);
	mail_created(s, "a/b/c/d", 0);
	mail_created(s, "q", 0);
	mail_appended(s, 7, 10, 3, 100, "S");
	assert_int_equal(renamed(s, "x", "y"), -ENOENT);
	assert_int_equal(renamed(s, "q", "a/b"), -EEXIST);
	assert_int_equal(renamed(s, "q", "Inbox"), -EEXIST);
	assert_int_equal(renamed(s, "a", "a/b/x"), -EINVAL);
	assert_int_equal(renamed(s, "a/b", "z/y"), 0);
	assert_string_equal(names(s), FIRST "q=10 z+ z/y=7/80+ z/y/c=8+ z/y/c/d=9 ");
	assert_int_equal(renamed(s, "z/y", "z/w"), 0);
	assert_string_equal(names(s), FIRST "q=10 z+ z/w=7/80+ z/w/c=8+ z/w/c/d=9 ");
	assert_int_equal(renamed(s, "z/w/c/d", "z/d"), 0);
	assert_string_equal(names(s), FIRST "q=10 z+ z/d=9 z/w=7/80+ z/w/c=8 ");
	assert_int_equal(renamed(s, "z", "y"), 0);
	assert_string_equal(names(s), FIRST "q=10 y+ y/d=9 y/w=7/80+ y/w/c=8 ");
	/* A name that would be too long. */
	char name[300];
	memset(name, 'n', sizeof(name));
	name[MAILBOX_NAME_STORED_MAX - 2] = '\0';
	assert_int_equal(renamed(s, "y", name), -E2BIG);
	assert_string_equal(names(s), FIRST "q=10 y+ y/d=9 y/w=7/80+ y/w/c=8 ");
	assert_int_equal(kit_letters(s, MAIL_ACCOUNT, 0, NULL), 0);
	assert_int_equal(mail_problems_of(state), 0);
}

static void
inbox_is_renamed(void **state)
{
	struct store *s = kit_store(state);
	mail_account(s);
	mail_created(s, "INBOX/x", 0);
	mail_appended(s, 1, 10, 5, 100, "S");
	assert_int_equal(renamed(s, "INBOX", "Trash"), -EEXIST);
	assert_int_equal(renamed(s, "INBOX", "old/mail"), 0);
	assert_string_equal(names(s), "INBOX=1!+ INBOX/x=7 Archive=6/10! Drafts=2/1! Junk=5/8! "
				      "Sent=3/2! Trash=4/4! old+ old/mail=8 ");
	assert_int_equal(kit_letters(s, MAIL_ACCOUNT, 0, NULL), 0);
	struct buf text = BUF_INIT(1u << 20);
	assert_null(mail_box_text(s, 8, &text));
	assert_non_null(strstr(buf_cstr(&text), "n 5 "));
	buf_done(&text);
	assert_int_equal(mail_appended(s, 1, 90, 1, 10, "").res.rc, 0);
}

static void
subscriptions(void **state)
{
	struct store *s = kit_store(state);
	mail_account(s);
	assert_int_equal(subscribed(s, "gone/one", true), 0);
	assert_int_equal(subscribed(s, "gone/one", true), 0);
	assert_int_equal(subscribed(s, "INBOX", false), 0);
	assert_int_equal(subscribed(s, "Junk", false), 0);
	assert_int_equal(subscribed(s, "never", false), 0);
	assert_string_equal(names(s), "INBOX=1 Archive=6/10! Drafts=2/1! Junk=5/8 Sent=3/2! "
				      "Trash=4/4! gone/one?! ");
	char name[400];
	memset(name, 'n', sizeof(name));
	name[399] = '\0';
	assert_int_equal(subscribed(s, name, true), -E2BIG);
}

static void
options(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom d = store_dom_directory();
	struct store_snap *sn = NULL;
	struct mail_got g = { .res = { .rc = 1 } };
	struct mail_options o;
	mail_account(s);
	mail_put_options(s, MAIL_ACCOUNT, &(struct mail_options){ .quota = 1u << 30 }, mail_take,
	    &g);
	store_wait(s);
	assert_int_equal(g.res.rc, 0);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_get_options(sn, MAIL_ACCOUNT, &o), 0);
	assert_int_equal(o.quota, 1u << 30);
	assert_int_equal(mail_get_options(sn, 2, &o), 0);
	assert_int_equal(o.quota, 0);
	store_snap_close(sn);
	uint64_t bytes, letters;
	mail_appended(s, 1, 10, 5, 100, "");
	mail_appended(s, 4, 20, 2, 1000, "");
	assert_int_equal(mail_usage(s, MAIL_ACCOUNT, &bytes, &letters), 0);
	assert_int_equal(bytes, 2500);
	assert_int_equal(letters, 7);
	struct store_res r = { .rc = 1 };
	account_remove(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	assert_int_equal(r.rc, 0);
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mail_get_options(sn, MAIL_ACCOUNT, &o), 0);
	assert_int_equal(o.quota, 0);
	store_snap_close(sn);
	assert_int_equal(mail_usage(s, MAIL_ACCOUNT, &bytes, &letters), 0);
	assert_int_equal(letters, 0);
}

/* A deletion that a crash has interrupted after its first step. */
static void
the_sweep_wipes(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom a = store_dom_account(MAIL_ACCOUNT);
	struct mail_got g = { .res = { .rc = 1 } };
	mail_account(s);
	mail_created(s, "b", 0);
	mail_appended(s, 7, 10, 5, 100, "S");
	struct store_batch *b = store_batch_new(s, &a);
	store_del(b, STR("N|b"));
	store_del(b, STR("M|\0\0\0\7"));
	store_put(b, STR("w|\0\0\0\7"), STR("\0"), 0);
	assert_int_equal(kit_commit(s, b).rc, 0);
	mail_sweep(s, mail_take, &g);
	store_wait(s);
	assert_int_equal(g.res.rc, 0);
	struct buf text = BUF_INIT(1u << 20);
	assert_null(mail_box_text(s, 7, &text));
	assert_string_equal(buf_cstr(&text), "none\n");
	buf_done(&text);
}

/* A crash behind the directory's entry: the sweep makes the rest, once. */
static void
the_sweep_finishes_an_account(void **state)
{
	struct store *s = kit_store(state);
	struct store_dom g = store_dom_directory();
	struct store_batch *b = store_batch_new(s, &g);
	store_put(b, STR("n|account"), STR("\0\0\0\0\0\0\0\1"), 0);
	store_put(b, STR("u|alice@example.com"), STR("\0\0\0\0\0\0\0\1"), 0);
	assert_int_equal(kit_commit(s, b).rc, 0);
	assert_string_equal(names(s), "INBOX=1 ");
	for (int i = 0; i < 2; i++) {
		struct mail_got got = { .res = { .rc = 1 } };
		mail_sweep(s, mail_take, &got);
		store_wait(s);
		assert_int_equal(got.res.rc, 0);
		assert_string_equal(names(s), FIRST);
	}
	assert_int_equal(mail_problems_of(state), 0);
}

/* 0: there is none. */
static int
url_key(struct store *s, uint32_t mailbox, unsigned char ret[MAIL_URL_KEY_LEN])
{
	struct store_dom d = store_dom_account(MAIL_ACCOUNT);
	struct store_snap *sn = NULL;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	int rc = mail_get_url_key(sn, mailbox, ret);
	store_snap_close(sn);
	return rc;
}

static int
url_key_made(struct store *s, uint32_t mailbox, bool renew)
{
	struct mail_got g = { .res = { .rc = 1 } };
	mail_make_url_key(s, MAIL_ACCOUNT, mailbox, renew, mail_take, &g);
	store_wait(s);
	return g.res.rc;
}

/* Keys for URLs: made once, made anew, forgotten, gone with their mailbox. */
static void
url_keys(void **state)
{
	struct store *s = kit_store(state);
	struct mail_got g = { .res = { .rc = 1 } };
	unsigned char first[MAIL_URL_KEY_LEN], again[MAIL_URL_KEY_LEN], other[MAIL_URL_KEY_LEN];
	mail_account(s);
	mail_created(s, "b", 0);
	assert_int_equal(url_key(s, 1, first), -ENOENT);
	assert_int_equal(url_key_made(s, 99, false), -ENOENT);
	assert_int_equal(url_key_made(s, 1, false), 0);
	assert_int_equal(url_key_made(s, 7, true), 0);
	assert_int_equal(url_key(s, 1, first), 0);
	assert_int_equal(url_key(s, 7, other), 0);
	assert_memory_not_equal(first, other, sizeof(first));
	assert_int_equal(url_key_made(s, 1, false), 0);
	assert_int_equal(url_key(s, 1, again), 0);
	assert_memory_equal(first, again, sizeof(first));
	assert_int_equal(url_key_made(s, 1, true), 0);
	assert_int_equal(url_key(s, 1, again), 0);
	assert_memory_not_equal(first, again, sizeof(first));
	mail_delete(s, MAIL_ACCOUNT, STR("b"), mail_take, &g);
	store_wait(s);
	assert_int_equal(url_key(s, 7, other), -ENOENT);
	mail_forget_url_keys(s, MAIL_ACCOUNT, mail_take, &g);
	store_wait(s);
	assert_int_equal(g.res.rc, 0);
	assert_int_equal(url_key(s, 1, again), -ENOENT);
	mail_forget_url_keys(s, MAIL_ACCOUNT, mail_take, &g);
	store_wait(s);
	assert_int_equal(g.res.rc, 0);
	assert_int_equal(mail_problems_of(state), 0);
}

/* A client that has seen an empty mailbox knows modseq 1 (RFC 7162 3.1.2.1: 0 is no number). */
static void
first_letters_are_news(void **state)
{
	struct store *s = kit_store(state);
	mail_account(s);
	mail_created(s, "b", 0);
	assert_int_equal(mail_appended(s, 7, 10, 1, 100, "").res.modseq, 2);
	assert_int_equal(mail_appended(s, MAILBOX_INBOX, 20, 1, 100, "").res.modseq, 2);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		KIT_BOTH(a_new_account),
		KIT_BOTH(names_are_made),
		KIT_BOTH(many_at_once),
		KIT_BOTH(names_go),
		KIT_BOTH(names_come_back),
		cmocka_unit_test_setup_teardown(names_have_an_end, kit_set_up_emb, kit_tear_down),
		KIT_BOTH(a_deleted_mailbox_takes_nothing),
		KIT_BOTH(names_change),
		KIT_BOTH(inbox_is_renamed),
		KIT_BOTH(subscriptions),
		KIT_BOTH(options),
		KIT_BOTH(url_keys),
		KIT_BOTH(the_sweep_wipes),
		KIT_BOTH(the_sweep_finishes_an_account),
		KIT_BOTH(first_letters_are_news),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
