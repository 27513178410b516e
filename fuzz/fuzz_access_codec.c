/*
 * What sessions ask and are answered: octet 0 chooses the form. What is taken can be walked without
 * a failure, and put again it is the same.
 */
#include "access/access.h"
#include "base/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool
ask(struct str in, struct buf *again)
{
	struct uidset uids = { 0 };
	struct access_ask a;
	if (!access_ask_get(in, &a))
		return false;
	/* In the place of UIDs, a URL or its mechanism is carried as it was said. */
	if (a.kind == ACCESS_TOKEN || a.kind == ACCESS_URL)
		check(a.url.len <= ACCESS_URL_MAX);
	else
		check(uidset_get(a.uids, &uids) && uids.n <= ACCESS_RANGES_MAX);
	check(a.name.len <= ACCESS_NAME_MAX && a.from.name.len <= ACCESS_NAME_MAX);
	uidset_done(&uids);
	access_ask_put(again, &a);
	return true;
}

static void
walk_keywords(struct str list)
{
	unsigned n = 0;
	struct str name;
	for (; list.len; n++)
		check(access_keyword_next(&list, &name) && name.len &&
		      name.len <= ACCESS_KEYWORD_MAX);
	check(n <= ACCESS_KEYWORDS);
}

static bool
change(struct str in, struct buf *again)
{
	struct uidset uids = { 0 };
	struct access_change c;
	struct access_new l;
	if (!access_change_get(in, &c))
		return false;
	check(uidset_get(c.uids, &uids) && c.n_letters <= ACCESS_LETTERS_MAX);
	uidset_done(&uids);
	walk_keywords(c.keywords);
	struct wire w = wire_of(c.letters);
	for (unsigned i = 0; i < c.n_letters; i++) {
		check(access_new_get(&w, &l));
		walk_keywords(l.keywords);
	}
	check(wire_done(&w));
	access_change_put(again, &c);
	return true;
}

static bool
changed(struct str in, struct buf *again)
{
	struct uidset uids = { 0 };
	struct access_changed c;
	if (!access_changed_get(in, &c))
		return false;
	check(uidset_get(c.uids, &uids) && uidset_get(c.failed, &uids) && c.to_uids.len % 8 == 0);
	uidset_done(&uids);
	access_changed_put(again, &c);
	return true;
}

static bool
opened(struct str in, struct buf *again)
{
	struct wire w = wire_of(in);
	struct access_head h;
	struct access_mailbox m;
	struct access_keywords k;
	struct access_quota q;
	uint64_t floor;
	if (!access_head_get(&w, &h) || !access_mailbox_get(&w, &m) ||
	    !access_keywords_get(&w, &k) || !access_floor_get(&w, &floor) ||
	    !access_quota_get(&w, &q) || !wire_done(&w))
		return false;
	access_head_put(again, &h);
	access_mailbox_put(again, &m);
	access_keywords_put(again, &k);
	access_floor_put(again, floor);
	access_quota_put(again, &q);
	return true;
}

static bool
letters(struct str in, struct buf *again)
{
	struct wire w = wire_of(in);
	struct access_letter l;
	while (w.left) {
		if (!access_letter_get(&w, &l))
			return false;
		check(l.uid && l.at <= l.part_len && l.octets.len <= l.part_len - l.at);
		access_letter_put(again, &l);
	}
	return !w.bad;
}

static bool
changes(struct str in, struct buf *again)
{
	struct wire w = wire_of(in);
	struct access_change_row r;
	while (w.left) {
		if (!access_change_row_get(&w, &r))
			return false;
		check(!r.vanished || (r.first && r.first <= r.last));
		access_change_row_put(again, &r);
	}
	return !w.bad;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool (*const forms[])(struct str, struct buf *) = { ask, change, changed, opened,
		letters, changes };
	struct buf again = BUF_INIT(4u << 20);
	if (n == 0)
		return 0;
	struct str in = str_n(data + 1, n - 1);
	if (forms[data[0] % ARRAY_LEN(forms)](in, &again))
		check(str_eq(in, buf_str(&again)));
	buf_done(&again);
	return 0;
}
