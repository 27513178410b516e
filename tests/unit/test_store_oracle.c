/* The same random operations on mem: and on emb:, with emb: closed and opened, and its index
 * thrown away, in between; afterwards every domain must be the same. The seed is fixed and
 * printed; PENNYPOST_TEST_SEED sets another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_kit.h"

#include <errno.h>

#define ROUNDS 25
#define STEPS 120
#define DOMAINS 4

static uint64_t seed;

/* xorshift64* (Vigna 2016): the same numbers everywhere. */
static uint64_t
draw(uint64_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (seed * 0x2545f4914f6cdd1dull >> 33) % below;
}

struct side {
	struct store *s;
	struct store_res res[STEPS];
};

static struct store_dom
some_domain(void)
{
	uint64_t i = draw(DOMAINS);
	return i == 0 ? store_dom_directory() : i == 1 ? store_dom_queue(7) : store_dom_account(i);
}

static void
make_batch(struct store_batch *b[2])
{
	size_t n = 1 + draw(6);
	for (size_t i = 0; i < n; i++) {
		char key[24], value[24];
		unsigned char marker[8];
		snprintf(key, sizeof(key), "k%u", (unsigned)draw(12));
		snprintf(value, sizeof(value), "v%08u", (unsigned)draw(3));
		uint64_t what = draw(10), slot = draw(STORE_SLOTS), delta = draw(100);
		store_slot_marker(marker, (unsigned)slot);
		for (int k = 0; k < 2; k++) {
			if (what < 1)
				store_expect(b[k], str_of(key), str_of(value));
			else if (what < 2)
				store_expect(b[k], str_of(key), STR_NULL);
			else if (what < 5)
				store_put(b[k], str_of(key), str_of(value), 0);
			else if (what < 6)
				store_put(b[k], str_of(key), str_n(marker, 8), 1u << slot);
			else if (what < 8)
				store_del(b[k], str_of(key));
			else
				store_add(b[k], str_of(key), (int64_t)delta - 50, (int)slot);
		}
	}
}

static void
step(struct side *side, size_t i)
{
	uint64_t what = draw(10);
	if (what < 7) {
		struct store_dom d = some_domain();
		struct store_batch *b[2] = { store_batch_new(side[0].s, &d),
			store_batch_new(side[1].s, &d) };
		enum store_level level = draw(4) ? STORE_DURABLE : STORE_APPLIED;
		make_batch(b);
		for (int k = 0; k < 2; k++)
			store_commit(b[k], level, kit_take, &side[k].res[i]);
	} else {
		struct kit_letter l = { .id = 1 + draw(400),
			.first = 10 + draw(3),
			.count = draw(4),
			.blank = draw(2) };
		l.n = draw(20) ? draw(3000) : STORE_INLINE_MAX + draw(1000);
		for (int k = 0; k < 2; k++)
			kit_accept_async(side[k].s, l, kit_take, &side[k].res[i]);
	}
	if (draw(30) == 0)
		store_wait(side[draw(2)].s);
}

/* --- comparing --- */

struct walk {
	struct buf text;
	struct store *s;
	bool letters;
};

static bool
walk_one(void *arg, struct str key, struct str value)
{
	struct walk *w = arg;
	struct mailbox_letter l;
	buf_puts(&w->text, key);
	buf_putz(&w->text, "=");
	if (w->letters && key.p[0] == 'R') {
		/* Places differ; what stands there must not. */
		check(mailbox_letter_get(value, &l));
		char *p = xalloc(l.size);
		check(mailbox_letter_read(w->s, &l, 0, p, l.size) == (ssize_t)l.size);
		buf_putf(&w->text, "%u %llu %llu %x ", l.uid, (unsigned long long)l.modseq,
		    (unsigned long long)l.letter, l.ref.crc);
		buf_put(&w->text, p, l.size);
		free(p);
	} else {
		buf_puts(&w->text, value);
	}
	buf_putz(&w->text, "\n");
	return true;
}

static struct buf
contents(struct store *s, struct store_dom d)
{
	struct walk w = { .text = BUF_INIT(SIZE_MAX / 2), .s = s, .letters = d.b[0] == 'B' };
	struct store_snap *sn;
	uint64_t ver;
	check(store_snap_open(s, &d, &sn, &ver) == 0);
	buf_putf(&w.text, "%llu\n", (unsigned long long)ver);
	check(store_scan(sn, STR_NULL, STR_NULL, 0, false, walk_one, &w) == 0);
	check(store_scan(sn, STR("k1"), STR("k6"), 3, true, walk_one, &w) == 0);
	store_snap_close(sn);
	return w.text;
}

static void
compare(struct side *side)
{
	struct store_dom doms[12] = { store_dom_directory(), store_dom_queue(7),
		store_dom_account(2), store_dom_account(3), store_dom_queue(0) };
	size_t n = 5;
	for (uint64_t a = 10; a < 16; a++)
		doms[n++] = store_dom_mailbox(a, MAILBOX_INBOX);
	for (size_t i = 0; i < n; i++) {
		struct buf a = contents(side[0].s, doms[i]), b = contents(side[1].s, doms[i]);
		assert_true(str_eq(buf_str(&a), buf_str(&b)));
		buf_done(&a);
		buf_done(&b);
	}
	for (uint64_t id = 1; id <= 400; id += 7)
		assert_int_equal(store_accepted(side[0].s, id), store_accepted(side[1].s, id));
}

static void
same_as_the_oracle(void **state)
{
	char *dir = kit_dir(), *index = kit_path(dir, "index");
	static struct side side[2];
	const char *given = getenv("PENNYPOST_TEST_SEED");
	seed = given ? strtoull(given, NULL, 0) : 20261122;
	print_message("# seed %llu\n", (unsigned long long)seed);
	side[0].s = kit_open(NULL);
	side[1].s = kit_open(dir);
	for (int round = 0; round < ROUNDS; round++) {
		memset(side[0].res, 0, sizeof(side[0].res));
		memset(side[1].res, 0, sizeof(side[1].res));
		for (size_t i = 0; i < STEPS; i++)
			step(side, i);
		store_wait(side[0].s);
		store_wait(side[1].s);
		for (size_t i = 0; i < STEPS; i++) {
			assert_int_equal(side[0].res[i].rc, side[1].res[i].rc);
			assert_int_equal(side[0].res[i].ver, side[1].res[i].ver);
			assert_memory_equal(side[0].res[i].slot, side[1].res[i].slot,
			    sizeof(side[0].res[i].slot));
		}
		compare(side);
		if (round % 3 == 2) {
			store_close(side[1].s);
			if (round % 2)
				kit_remove(index);
			side[1].s = kit_open(dir);
			assert_non_null(side[1].s);
			compare(side);
		}
	}
	store_close(side[0].s);
	store_close(side[1].s);
	free(index);
	kit_dir_done(dir);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_the_oracle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
