/* What is put is what is got; and what is cut off or garbled is refused, or still well-formed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "access/access.h"
#include "base/check.h"

#include <stdlib.h>

#define UIDS STR("\0\0\0\1\0\0\0\3\0\0\0\7\377\377\377\377")
#define PAIRS STR("\0\0\0\7\0\0\0\7\0\0\0\1\0\0\0\3")
#define KEYWORDS STR("\0\4$fun\0\1x")

/* Every form as octets -> is it good? and put again. */
struct form {
	const char *name;
	void (*put)(struct buf *b);
	bool (*get)(struct str octets, struct buf *again);
};

static void
ask_put(struct buf *b)
{
	const struct access_ask a = { .kind = ACCESS_LETTERS,
		.fresh = true,
		.mailbox = 7,
		.name = STR("INBOX/\xc3\xa9"),
		.since = UINT64_MAX,
		.uidnext = 9,
		.what = ACCESS_META | ACCESS_OCTETS,
		.part = ACCESS_PART_TEXT,
		.off = 1,
		.len = UINT64_MAX,
		.uids = UIDS,
		.from = { .uid = 3, .n = 1ull << 40, .name = STR("x") } };
	access_ask_put(b, &a);
}

static bool
ask_get(struct str octets, struct buf *again)
{
	struct access_ask a;
	if (!access_ask_get(octets, &a))
		return false;
	access_ask_put(again, &a);
	return true;
}

static void
url_put(struct buf *b)
{
	const struct access_ask a = { .kind = ACCESS_URL,
		.fresh = true,
		.submit = true,
		.name = STR("joe@example.com"),
		.what = ACCESS_META | ACCESS_OCTETS,
		.part = ACCESS_PART_INNER,
		.len = 7,
		.url = STR("imap://joe@example.com/INBOX/;UID=20") };
	access_ask_put(b, &a);
}

static void
token_put(struct buf *b)
{
	const struct access_token t = { 4, STR("01abcdef") };
	access_token_put(b, &t);
}

static bool
token_get(struct str octets, struct buf *again)
{
	struct wire w = wire_of(octets);
	struct access_token t;
	if (!access_token_get(&w, &t) || !wire_done(&w))
		return false;
	access_token_put(again, &t);
	return true;
}

static void
head_put(struct buf *b)
{
	const struct access_head h = { true, { 5, 6, STR("name") }, 12 };
	access_head_put(b, &h);
}

static bool
head_get(struct str octets, struct buf *again)
{
	struct wire w = wire_of(octets);
	struct access_head h;
	if (!access_head_get(&w, &h) || !wire_done(&w))
		return false;
	access_head_put(again, &h);
	return true;
}

static void
mailbox_put(struct buf *b)
{
	const struct access_mailbox m = { 4, STR("Sent"), ACCESS_SENT | ACCESS_CHILDREN, 1, 2, 3, 4,
		5, 6, 7, 8 };
	access_mailbox_put(b, &m);
}

static bool
mailbox_get(struct str octets, struct buf *again)
{
	struct wire w = wire_of(octets);
	struct access_mailbox m;
	if (!access_mailbox_get(&w, &m) || !wire_done(&w))
		return false;
	access_mailbox_put(again, &m);
	return true;
}

static void
keywords_put(struct buf *b)
{
	struct access_keywords k = { .n = ACCESS_KEYWORDS };
	for (size_t i = 0; i < k.n; i++)
		k.name[i] = STR("$Forwarded");
	access_keywords_put(b, &k);
}

static bool
keywords_get(struct str octets, struct buf *again)
{
	struct wire w = wire_of(octets);
	struct access_keywords k;
	if (!access_keywords_get(&w, &k) || !wire_done(&w))
		return false;
	access_keywords_put(again, &k);
	return true;
}

static void
letter_put(struct buf *b)
{
	const struct access_letter l = { .uid = 9,
		.modseq = 1,
		.time_ms = 2,
		.saved_ms = 3,
		.size = 4,
		.flags = UINT64_MAX,
		.letter = 5,
		.prefix_len = 6,
		.header_len = 7,
		.outline = STR("outline"),
		.part_len = 10,
		.at = 3,
		.octets = STR("octets.") };
	access_letter_put(b, &l);
}

static bool
letter_get(struct str octets, struct buf *again)
{
	struct wire w = wire_of(octets);
	struct access_letter l;
	if (!access_letter_get(&w, &l) || !wire_done(&w))
		return false;
	access_letter_put(again, &l);
	return true;
}

static void
row_put(struct buf *b)
{
	const struct access_change_row r = { .modseq = 8, .letter = { .uid = 1, .flags = 3 } };
	access_change_row_put(b, &r);
}

static void
vanished_put(struct buf *b)
{
	const struct access_change_row r = { .modseq = 8, .vanished = true, .first = 2, .last = 9 };
	access_change_row_put(b, &r);
}

static bool
row_get(struct str octets, struct buf *again)
{
	struct wire w = wire_of(octets);
	struct access_change_row r;
	if (!access_change_row_get(&w, &r) || !wire_done(&w))
		return false;
	access_change_row_put(again, &r);
	return true;
}

static void
numbers_put(struct buf *b)
{
	const struct access_quota q = { 1, 2, UINT64_MAX };
	access_quota_put(b, &q);
	access_floor_put(b, 77);
}

static bool
numbers_get(struct str octets, struct buf *again)
{
	struct wire w = wire_of(octets);
	struct access_quota q;
	uint64_t floor;
	if (!access_quota_get(&w, &q) || !access_floor_get(&w, &floor) || !wire_done(&w))
		return false;
	access_quota_put(again, &q);
	access_floor_put(again, floor);
	return true;
}

static void
flags_put(struct buf *b)
{
	const struct access_change c = { .kind = ACCESS_FLAGS,
		.mode = ACCESS_REPLACE,
		.mailbox = 2,
		.uids = UIDS,
		.flags = ACCESS_SEEN | ACCESS_DRAFT,
		.keywords = KEYWORDS,
		.unchanged_since = UINT64_MAX };
	access_change_put(b, &c);
}

static void
append_put(struct buf *b)
{
	const struct access_new l = { UINT64_MAX, 2, 3, ACCESS_DELETED, 5, KEYWORDS, STR("out") };
	struct buf letters = BUF_INIT(10000);
	access_new_put(&letters, &l);
	access_new_put(&letters, &l);
	const struct access_change c = { .kind = ACCESS_APPEND,
		.name = STR("a"),
		.to = STR("b"),
		.attrs = ACCESS_JUNK,
		.only_deleted = true,
		.n_letters = 2,
		.letters = buf_str(&letters) };
	access_change_put(b, &c);
	buf_done(&letters);
}

static bool
change_get(struct str octets, struct buf *again)
{
	struct access_change c;
	struct buf letters = BUF_INIT(1u << 20);
	if (!access_change_get(octets, &c))
		return false;
	/* Walking cannot fail. */
	struct wire w = wire_of(c.letters);
	struct access_new l;
	struct str list = c.keywords, name;
	for (unsigned i = 0; i < c.n_letters; i++) {
		assert_true(access_new_get(&w, &l));
		access_new_put(&letters, &l);
	}
	assert_true(wire_done(&w) && str_eq(buf_str(&letters), c.letters));
	while (list.len)
		assert_true(access_keyword_next(&list, &name) && name.len);
	access_change_put(again, &c);
	buf_done(&letters);
	return true;
}

static void
changed_put(struct buf *b)
{
	const struct access_changed c = { 1, 2, 3, UIDS, PAIRS, STR("\0\0\0\5\0\0\0\5") };
	access_changed_put(b, &c);
}

static bool
changed_get(struct str octets, struct buf *again)
{
	struct access_changed c;
	if (!access_changed_get(octets, &c))
		return false;
	access_changed_put(again, &c);
	return true;
}

static const struct form forms[] = {
	{ "ask", ask_put, ask_get },
	{ "ask by URL", url_put, ask_get },
	{ "token", token_put, token_get },
	{ "head", head_put, head_get },
	{ "mailbox", mailbox_put, mailbox_get },
	{ "keywords", keywords_put, keywords_get },
	{ "letter", letter_put, letter_get },
	{ "change row", row_put, row_get },
	{ "vanished row", vanished_put, row_get },
	{ "quota and floor", numbers_put, numbers_get },
	{ "flags", flags_put, change_get },
	{ "append", append_put, change_get },
	{ "changed", changed_put, changed_get },
};

/* In a block of its own, so that a sanitizer sees a step too far. */
static bool
get_copy(const struct form *f, struct str octets, struct buf *again)
{
	char *block = octets.len ? xmemdup(octets.p, octets.len) : NULL;
	buf_reset(again);
	bool ok = f->get(str_n(block, octets.len), again);
	free(block);
	return ok;
}

static void
round_trips(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct buf b = BUF_INIT(65536), again = BUF_INIT(65536);
		forms[i].put(&b);
		assert_false(b.failed);
		if (!get_copy(&forms[i], buf_str(&b), &again) ||
		    !str_eq(buf_str(&b), buf_str(&again)))
			fail_msg("%s: does not come back", forms[i].name);
		for (size_t n = 0; n < b.len; n++)
			if (get_copy(&forms[i], str_first(buf_str(&b), n), &again))
				fail_msg("%s: is good with %zu octets", forms[i].name, n);
		buf_putc(&b, '\0');
		if (get_copy(&forms[i], buf_str(&b), &again))
			fail_msg("%s: is good with an octet more", forms[i].name);
		buf_done(&b);
		buf_done(&again);
	}
}

static void
garbled(void **state)
{
	static const unsigned char with[] = { 0, 1, 2, 0x7f, 0x80, 0xff };
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct buf b = BUF_INIT(65536), again = BUF_INIT(65536);
		forms[i].put(&b);
		for (size_t n = 0; n < b.len * ARRAY_LEN(with); n++) {
			char was = b.p[n / ARRAY_LEN(with)];
			b.p[n / ARRAY_LEN(with)] = (char)with[n % ARRAY_LEN(with)];
			if (get_copy(&forms[i], buf_str(&b), &again))
				assert_true(str_eq(buf_str(&b), buf_str(&again)));
			b.p[n / ARRAY_LEN(with)] = was;
		}
		buf_done(&b);
		buf_done(&again);
	}
}

static void
octets_of_a_letter(void **state)
{
	struct buf b = BUF_INIT(1000), small = BUF_INIT(50);
	const struct access_letter l = { .uid = 1, .part_len = 6 };
	size_t begin = access_letter_begin(&b, &l);
	buf_putz(&b, "abcdef");
	access_letter_end(&b, begin, 6);
	struct wire w = wire_of(buf_str(&b));
	struct access_letter got;
	assert_true(access_letter_get(&w, &got) && wire_done(&w));
	assert_true(str_eq(got.octets, STR("abcdef")));
	/* No room: nothing is written where nothing is. */
	begin = access_letter_begin(&small, &l);
	access_letter_end(&small, begin, 0);
	assert_true(small.failed);
	buf_done(&b);
	buf_done(&small);
}

static void
ask_caps(struct access_ask *a, struct buf *b, bool want)
{
	struct access_ask got;
	buf_reset(b);
	access_ask_put(b, a);
	assert_int_equal(access_ask_get(buf_str(b), &got), want);
}

static void
change_caps(struct access_change *c, struct buf *b, bool want)
{
	struct access_change got;
	buf_reset(b);
	access_change_put(b, c);
	assert_int_equal(access_change_get(buf_str(b), &got), want);
}

static void
caps(void **state)
{
	static char name[ACCESS_NAME_MAX + 1];
	struct buf b = BUF_INIT(4u << 20), list = BUF_INIT(4u << 20);
	struct access_ask a = { .name = str_n(name, ACCESS_NAME_MAX) };
	struct access_change c = { .kind = ACCESS_FLAGS };
	ask_caps(&a, &b, true);
	a.name.len++;
	ask_caps(&a, &b, false);
	a.name.len = 0;
	for (uint32_t i = 1; i <= ACCESS_RANGES_MAX; i++) {
		put_u32(&list, 2 * i);
		put_u32(&list, 2 * i);
	}
	a.uids = c.uids = buf_str(&list);
	ask_caps(&a, &b, true);
	change_caps(&c, &b, true);
	put_u32(&list, UINT32_MAX);
	put_u32(&list, UINT32_MAX);
	a.uids = c.uids = buf_str(&list);
	ask_caps(&a, &b, false);
	change_caps(&c, &b, false);

	buf_reset(&list);
	for (int i = 0; i < ACCESS_KEYWORDS; i++)
		access_keyword_put(&list, str_n(name, ACCESS_KEYWORD_MAX));
	c.uids = STR_NULL;
	c.keywords = buf_str(&list);
	change_caps(&c, &b, true);
	access_keyword_put(&list, STR("x"));
	c.keywords = buf_str(&list);
	change_caps(&c, &b, false);
	buf_reset(&list);
	access_keyword_put(&list, str_n(name, ACCESS_KEYWORD_MAX + 1));
	c.keywords = buf_str(&list);
	change_caps(&c, &b, false);
	c.keywords = STR("\0\0");
	change_caps(&c, &b, false);
	c.keywords = STR_NULL;
	c.flags = 1u << 5;
	change_caps(&c, &b, false);
	buf_done(&b);
	buf_done(&list);
}

static void
letters_caps(void **state)
{
	struct buf b = BUF_INIT(4u << 20), list = BUF_INIT(4u << 20);
	struct access_new l = { .id = 1ull << 32 };
	struct access_change c = { .kind = ACCESS_APPEND };
	for (c.n_letters = 0; c.n_letters < ACCESS_LETTERS_MAX; c.n_letters++)
		access_new_put(&list, &l);
	c.letters = buf_str(&list);
	change_caps(&c, &b, true);
	c.n_letters--;
	change_caps(&c, &b, false);
	c.n_letters += 2;
	change_caps(&c, &b, false);
	access_new_put(&list, &l);
	c.letters = buf_str(&list);
	change_caps(&c, &b, false);
	/* A UID has 32 bits. */
	buf_reset(&list);
	access_new_put(&list, &l);
	c = (struct access_change){ .kind = ACCESS_OUTLINES, .n_letters = 1 };
	c.letters = buf_str(&list);
	change_caps(&c, &b, false);
	buf_reset(&list);
	l.id = UINT32_MAX;
	access_new_put(&list, &l);
	change_caps(&c, &b, true);
	buf_done(&b);
	buf_done(&list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(garbled),
		cmocka_unit_test(octets_of_a_letter),
		cmocka_unit_test(caps),
		cmocka_unit_test(letters_caps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
