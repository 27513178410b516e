/* store: random changes of an account's mail, with mem: and emb: side by side, across reopening,
 * compaction and a lost index; and a power cut at every frame of a move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_mail_kit.h"

#include "store/emb.h"
#include "store/frame.h"
#include "store/mail_priv.h"
#include "store/segment.h"

#define STEPS 1200u
#define AFTER 400u /* with a new index */
#define SMALL_SEGMENT (128u << 10)

static uint64_t seed = 88172645463325252u;

static uint64_t
draw(uint64_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (seed * 0x2545f4914f6cdd1dull >> 33) % below;
}

static struct store *
open_small(const char *dir)
{
	struct store_options o = kit_options();
	o.segment_bytes = SMALL_SEGMENT;
	char uri[4096];
	snprintf(uri, sizeof(uri), "%s%s", dir ? "emb:" : "mem:", dir ? dir : "");
	struct store *s = kit_open_with(uri, o);
	check(s != NULL);
	return s;
}

/* --- both do the same --- */

struct change {
	unsigned kind, mailbox, to, op;
	char uids[64], words[64], name[32], other[32];
	uint64_t id;
	size_t n, size;
	bool deleted_only;
};

static void
draw_uids(char out[64])
{
	unsigned a = 1 + (unsigned)draw(60), b = a + (unsigned)draw(20), c = b + 2;
	switch (draw(4)) {
	case 0:
		snprintf(out, 64, "%u", a);
		break;
	case 1:
		snprintf(out, 64, "%u:%u", a, b);
		break;
	case 2:
		snprintf(out, 64, "%u:%u,%u:*", a, b, c);
		break;
	default:
		snprintf(out, 64, "%u,%u:%u", a, b + 1, c + (unsigned)draw(300));
	}
}

static void
draw_words(char out[64])
{
	static const char letters[] = "SAFDT";
	size_t at = 0;
	out[0] = '\0';
	for (uint64_t n = draw(4); n; n--)
		at +=
		    (size_t)(draw(3) ? snprintf(out + at, 64 - at, "%c ", letters[draw(5)])
				     : snprintf(out + at, 64 - at, "word%u ", (unsigned)draw(30)));
}

static struct change
draw_change(uint64_t number)
{
	struct change c = { .kind = (unsigned)draw(20),
		.mailbox = 1 + (unsigned)draw(9),
		.to = 1 + (unsigned)draw(9),
		.op = (unsigned)draw(3),
		.id = 1000 + number * 20,
		.n = 1 + draw(8),
		.size = draw(20) ? draw(600) : draw(60000),
		.deleted_only = draw(2) };
	draw_uids(c.uids);
	draw_words(c.words);
	snprintf(c.name, sizeof(c.name), draw(3) ? "n%u" : "n%u/b", (unsigned)draw(5));
	snprintf(c.other, sizeof(c.other), draw(3) ? "n%u" : "n%u/c", (unsigned)draw(5));
	return c;
}

static void
do_names(struct store *s, const struct change *c, struct mail_got *g)
{
	struct str name = str_of(c->name), other = str_of(c->other);
	switch (c->id / 20 % 5) {
	case 0:
		mail_delete(s, MAIL_ACCOUNT, name, mail_take, g);
		break;
	case 1:
		mail_rename(s, MAIL_ACCOUNT, name, other, mail_take, g);
		break;
	case 2:
		mail_subscribe(s, MAIL_ACCOUNT, name, c->deleted_only, mail_take, g);
		break;
	default:
		mail_create(s, MAIL_ACCOUNT, name, c->op, mail_take, g);
	}
	store_wait(s);
}

static void
deliver(struct store *s, const struct change *c, struct mail_got *g)
{
	struct store_rcpt rcpt[2] = { { MAIL_ACCOUNT, c->mailbox > 6 ? 1 : c->mailbox,
					  STR("Delivered-To: x\r\n"), STR("x") },
		{ MAIL_ACCOUNT, MAILBOX_INBOX, STR("Delivered-To: y\r\n"), STR("y") } };
	struct store_letter l = { .letter = c->id,
		.time_ms = KIT_TIME + c->id,
		.rcpt = rcpt,
		.n_rcpt = 1 + c->deleted_only,
		.outline = c->op ? STR("an outline of a delivered letter") : STR_NULL };
	struct store_res res = { .rc = 1 };
	struct store_body *b = store_body_new(s, c->id);
	check(store_body_write(b, str_of(c->words)) == 0);
	store_accept(s, b, &l, kit_take, &res);
	store_wait(s);
	*g = (struct mail_got){ .res = { .rc = res.rc } };
}

static struct mail_got
do_change(struct store *s, const struct change *c)
{
	struct mail_got g = { .res = { .rc = 1 } };
	if (c->kind < 5)
		return mail_appended(s, c->mailbox, c->id, c->n, c->size, c->words);
	if (c->kind < 8)
		deliver(s, c, &g);
	else if (c->kind < 12)
		return mail_flag(s, c->mailbox, c->uids, c->op, c->words);
	else if (c->kind < 14)
		return mail_expunged(s, c->mailbox, c->uids, c->deleted_only || draw(1));
	else if (c->kind < 19)
		return mail_copied(s, c->mailbox, c->to, c->uids, c->kind < 17);
	else
		do_names(s, c, &g);
	return g;
}

static bool
name_text(void *arg, const struct mail_name *n)
{
	buf_putf(arg, STR_FMT "=%u/%x%c%c ", STR_ARG(n->name), n->mailbox, n->special,
	    n->subscribed ? '!' : ' ', n->children ? '+' : ' ');
	return true;
}

/* All of the account. */
static void
account_text(struct store *s, struct buf *out)
{
	struct store_dom d = store_dom_account(MAIL_ACCOUNT);
	struct store_snap *sn = NULL;
	buf_reset(out);
	check(store_snap_open(s, &d, &sn, NULL) == 0);
	check(mail_each_name(sn, name_text, out) == 0);
	store_snap_close(sn);
	for (uint32_t i = 1; i < 40; i++) {
		buf_putf(out, "\nmailbox %u: ", i);
		const char *wrong = mail_box_text(s, i, out);
		if (wrong)
			fprintf(stderr, "# mailbox %u: %s\n", i, wrong);
		check(!wrong);
	}
	check(!out->failed);
}

static void
cut_outlines(struct buf *b)
{
	struct str s = buf_str(b), line;
	struct buf out = BUF_INIT(b->max);
	while ((line = str_cut(&s, '\n')).p) {
		buf_puts(&out, str_first(line, str_find_str(line, STR(" o="))));
		buf_putc(&out, '\n');
		if (!s.p)
			break;
	}
	buf_done(b);
	*b = out;
}

/* outlines false: a rebuilt index may lack them. */
static void
assert_same(struct store *mem, struct store *emb, bool outlines)
{
	struct buf a = BUF_INIT(64u << 20), b = BUF_INIT(64u << 20);
	account_text(mem, &a);
	account_text(emb, &b);
	if (!outlines) {
		cut_outlines(&a);
		cut_outlines(&b);
	}
	if (!str_eq(buf_str(&a), buf_str(&b)))
		fprintf(stderr, "# mem: " STR_FMT "\n# emb: " STR_FMT "\n", STR_ARG(buf_str(&a)),
		    STR_ARG(buf_str(&b)));
	assert_true(str_eq(buf_str(&a), buf_str(&b)));
	buf_done(&a);
	buf_done(&b);
}

static void
reopen(struct store **emb, const char *dir, bool rebuild)
{
	store_close(*emb);
	assert_int_equal(mail_problems(dir), 0);
	if (rebuild) {
		char *index = kit_path(dir, "index");
		kit_remove(index);
		free(index);
	}
	*emb = open_small(dir);
	struct mail_got g = { .res = { .rc = 1 } };
	mail_sweep(*emb, mail_take, &g);
	store_wait(*emb);
	assert_int_equal(g.res.rc, 0);
}

static void
engines_agree(void **state)
{
	char *dir = kit_dir();
	const char *text_seed = getenv("STORE_SEED");
	if (text_seed)
		seed ^= strtoull(text_seed, NULL, 0) * 0x9e3779b97f4a7c15u;
	struct store *mem = open_small(NULL), *emb = open_small(dir);
	mail_account(mem);
	mail_account(emb);
	for (uint64_t i = 0; i < STEPS; i++) {
		struct change c = draw_change(i);
		struct mail_got a = do_change(mem, &c), b = do_change(emb, &c);
		if (a.res.rc != b.res.rc || a.res.modseq != b.res.modseq ||
		    strcmp(a.uids, b.uids) != 0 || strcmp(a.to, b.to) != 0)
			fprintf(stderr, "# step %llu kind %u: rc %d %d uids %s / %s to %s / %s\n",
			    (unsigned long long)i, c.kind, a.res.rc, b.res.rc, a.uids, b.uids, a.to,
			    b.to);
		assert_int_equal(a.res.rc, b.res.rc);
		assert_int_equal(a.res.modseq, b.res.modseq);
		assert_int_equal(a.res.mailbox, b.res.mailbox);
		assert_string_equal(a.uids, b.uids);
		assert_string_equal(a.to, b.to);
		if (i % 100 == 99)
			assert_same(mem, emb, true);
		if (i % 150 == 149)
			emb_tidy(emb);
		if (i % 200 == 199) {
			reopen(&emb, dir, false);
			assert_same(mem, emb, true);
		}
	}
	/* Outlines are lost with the index; slices may differ from here on. */
	reopen(&emb, dir, true);
	assert_same(mem, emb, false);
	struct buf text = BUF_INIT(64u << 20);
	for (uint64_t i = STEPS; i < STEPS + AFTER; i++) {
		struct change c = draw_change(i);
		do_change(emb, &c);
		if (i % 100 == 99) {
			account_text(emb, &text);
			emb_tidy(emb);
			reopen(&emb, dir, i % 200 == 199);
		}
	}
	buf_done(&text);
	store_close(mem);
	store_close(emb);
	kit_dir_done(dir);
}

/* --- a power cut --- */

struct cut {
	uint64_t seq, off;
};

/* Places of all frames of the log from `from` on. */
static size_t
frames_from(const char *dir, uint64_t from, struct cut *out, size_t max)
{
	char *log = kit_path(dir, "log");
	int fd = open(log, O_RDONLY | O_DIRECTORY);
	uint64_t *seqs;
	size_t n_seqs, n = 0;
	assert_int_equal(seg_list(fd, &seqs, &n_seqs), 0);
	for (size_t i = 0; i < n_seqs; i++) {
		struct seg_head h;
		int f = seg_open(fd, seqs[i], O_RDONLY, &h);
		check(f >= 0);
		for (uint64_t off = SEG_HEAD; n < max && off + FRAME_HEAD <= h.size;) {
			unsigned char p[12];
			check(pread_all(f, p, sizeof(p), off) == 0);
			if (memcmp(p, "PPFR", 4) != 0)
				break;
			if (lsn_of(seqs[i], off) >= from)
				out[n++] = (struct cut){ seqs[i], off };
			off += frame_size(be32_get(p + 8));
		}
		close(f);
	}
	free(seqs);
	close(fd);
	free(log);
	return n;
}

/* From there on nothing was written. */
static void
cut_log(const char *dir, struct cut c)
{
	char *log = kit_path(dir, "log");
	int fd = open(log, O_RDONLY | O_DIRECTORY);
	uint64_t *seqs;
	size_t n;
	check(seg_list(fd, &seqs, &n) == 0);
	for (size_t i = 0; i < n; i++) {
		char name[SEG_NAME_LEN];
		seg_name(name, seqs[i]);
		if (seqs[i] < c.seq)
			continue;
		int f = openat(fd, name, O_RDWR);
		struct stat st;
		check(f >= 0 && fstat(f, &st) == 0);
		uint64_t from = seqs[i] == c.seq ? c.off : SEG_HEAD;
		char *zeros = xalloc((size_t)st.st_size - from);
		check(pwrite_all(f, zeros, (size_t)st.st_size - from, from) == 0);
		free(zeros);
		close(f);
	}
	free(seqs);
	close(fd);
	free(log);
}

/* Which letters are where; each must be in exactly one of the two (or, of a copy, in the first and,
 * all or none, in the second). */
struct place {
	uint8_t in[2][1000];
	unsigned box;
	uint64_t n[2];
};

static bool
see_letter(void *arg, const struct mail_meta *m)
{
	struct place *p = arg;
	assert_true(m->letter < 1000);
	p->in[p->box][m->letter]++;
	p->n[p->box]++;
	return true;
}

static void
look(struct store *s, struct place *p)
{
	static const uint32_t boxes[2] = { 1, 2 };
	*p = (struct place){ 0 };
	for (p->box = 0; p->box < 2; p->box++) {
		struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, boxes[p->box]);
		struct store_snap *sn = NULL;
		struct buf text = BUF_INIT(16u << 20);
		assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
		assert_int_equal(mail_each_meta(sn, 1, UINT32_MAX, see_letter, p), 0);
		store_snap_close(sn);
		assert_null(mail_box_text(s, boxes[p->box], &text));
		buf_done(&text);
	}
}

#define CUT_LETTERS 300u

static bool
any_key(void *arg, struct str key, struct str value)
{
	*(bool *)arg = true;
	return false;
}

static bool
has_intent(struct store *s)
{
	struct store_dom d = store_dom_account(MAIL_ACCOUNT);
	struct store_snap *sn = NULL;
	bool any = false;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(store_scan(sn, STR("P|"), STR("P}"), 0, false, any_key, &any), 0);
	store_snap_close(sn);
	return any;
}

static struct store *
open_slices(const char *dir)
{
	struct store_options o = kit_options();
	o.segment_bytes = SEG_SIZE_MIN; /* some 30 letters in a slice */
	char uri[4096];
	snprintf(uri, sizeof(uri), "emb:%s", dir);
	struct store *s = kit_open_with(uri, o);
	check(s != NULL);
	return s;
}

static void
cut_once(const char *dir, struct cut c, bool move, bool again)
{
	char *copy = kit_dir();
	struct place p;
	struct mail_got g = { .res = { .rc = 1 } };
	kit_copy(dir, copy);
	char *index = kit_path(copy, "index");
	kit_remove(index);
	free(index);
	cut_log(copy, c);
	struct store *s = open_slices(copy);
	bool open = has_intent(s);
	mail_sweep(s, mail_take, &g);
	if (again) {
		/* The same once more: nothing comes twice. */
		store_wait(s);
		mail_sweep(s, mail_take, &g);
	}
	store_wait(s);
	assert_int_equal(g.res.rc, 0);
	assert_false(has_intent(s));
	look(s, &p);
	if (move) {
		for (size_t i = 1; i <= CUT_LETTERS; i++)
			assert_int_equal(p.in[0][i] + p.in[1][i], 1);
		if (open)
			assert_int_equal(p.n[0], 0);
	} else {
		assert_int_equal(p.n[0], CUT_LETTERS);
		assert_true(p.n[1] == 0 || p.n[1] == CUT_LETTERS);
	}
	store_close(s);
	assert_int_equal(mail_problems(copy), 0);
	kit_dir_done(copy);
}

static void
cut_everywhere(bool move)
{
	char *dir = kit_dir();
	struct store *s = open_slices(dir);
	struct store_cut cut;
	static struct cut at[2000];
	mail_account(s);
	for (uint64_t i = 1; i <= CUT_LETTERS; i++)
		kit_accept_async(s,
		    (struct kit_letter){ .id = i, .first = MAIL_ACCOUNT, .count = 1, .n = 20 },
		    NULL, NULL);
	store_wait(s);
	assert_int_equal(store_cut(s, &cut), 0);
	struct mail_got g = mail_copied(s, 1, 2, "1:*", move);
	assert_int_equal(g.res.rc, 0);
	assert_int_equal(g.res.count, CUT_LETTERS);
	store_close(s);
	size_t n = frames_from(dir, cut.lsn, at, ARRAY_LEN(at));
	assert_in_range(n, move ? 15 : 8, ARRAY_LEN(at) - 1);
	for (size_t i = 0; i < n; i++)
		cut_once(dir, at[i], move, i % 2);
	kit_dir_done(dir);
}

static void
cut_moves(void **state)
{
	cut_everywhere(true);
}

static void
cut_copies(void **state)
{
	cut_everywhere(false);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(engines_agree),
		cmocka_unit_test(cut_moves),
		cmocka_unit_test(cut_copies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
