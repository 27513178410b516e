/* docs/format.md against what the store writes: its reader, run on a store made here; and the
 * layouts octet by octet, by numbers that stand in the document. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "store/emb.h"
#include "store/frame.h"
#include "store/fsck.h"
#include "store/record.h"
#include "store/segment.h"
#include "store_merge_kit.h"
#include "store_queue_kit.h"
#include "sys/file.h"

#include <errno.h>

#define READER_LINES_MAX 55

static int
set_up(void **state)
{
	*state = kit_dir();
	return 0;
}

static int
tear_down(void **state)
{
	kit_dir_done(*state);
	return 0;
}

/* The document beside this source, as the compiler was told where that is. */
static bool
document(struct buf *out)
{
	char path[4096];
	struct str here = str_of(__FILE__);
	struct str dir = str_first(here, str_rfind(here, '/'));
	snprintf(path, sizeof(path), STR_FMT "/../../docs/format.md", STR_ARG(dir));
	return file_read_all(path, 1u << 20, out) == 0;
}

static struct str
reader_of(struct str text)
{
	struct str from = str_skip(text, str_find_str(text, STR("```python\n")));
	assert_true(from.len > 10);
	from = str_skip(from, 10);
	return str_first(from, str_find_str(from, STR("```\n")));
}

static void
run_reader(const char *script, const char *dir, const char *address, struct buf *out)
{
	char cmd[9000];
	snprintf(cmd, sizeof(cmd), "python3 '%s' '%s' '%s'", script, dir, address);
	FILE *f = popen(cmd, "r");
	assert_non_null(f);
	assert_int_equal(file_read_fd(fileno(f), 16u << 20, out), 0);
	assert_int_equal(pclose(f), 0);
}

struct expected {
	struct store *s;
	struct buf *out;
};

static bool
expect_letter(void *arg, const struct mailbox_letter *l)
{
	struct expected *x = arg;
	char *p = xalloc(l->size);
	assert_int_equal(mailbox_letter_read(x->s, l, 0, p, l->size), l->size);
	buf_putf(x->out, "1 %u %llu\n", l->uid, (unsigned long long)l->size);
	buf_put(x->out, p, l->size);
	free(p);
	return true;
}

static bool
expect_entry(void *arg, const struct store_queued *q)
{
	struct expected *x = arg;
	char *p = xalloc(q->size);
	assert_int_equal(store_queue_read(x->s, q, 0, p, q->size), q->size);
	buf_putf(x->out, "%llu %u %llu\n", (unsigned long long)q->letter, q->part,
	    (unsigned long long)q->size);
	buf_put(x->out, p, q->size);
	free(p);
	return true;
}

/* What it says of the queue, against what is there. */
static void
queue_is_read(struct store *s, const char *script, const char *dir)
{
	struct buf got = BUF_INIT(16u << 20), want = BUF_INIT(16u << 20);
	struct store_dom d = store_dom_queue(0);
	struct store_snap *sn;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(store_queue_scan(sn, 0, 0, 0, expect_entry,
			     &(struct expected){ s, &want }),
	    0);
	store_snap_close(sn);
	run_reader(script, dir, "queue", &got);
	assert_true(want.len > 100000);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.p, want.p, want.len);
	buf_done(&got);
	buf_done(&want);
}

static void
fill_queue(struct store *s)
{
	static const struct kit_queued rows[] = {
		{ .id = 500, .parts = 3, .n = 1000, .blank = true },
		{ .id = 501, .parts = 1, .n = 0 },
		{ .id = 502, .parts = 2, .n = 90000, .spill = true },
	};
	struct store_dom d = store_dom_queue(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(kit_queue(s, rows[i]), 0);
	assert_int_equal(kit_queue_merge(s, (struct kit_queued){ .id = 510, .parts = 7, .n = 300 }),
	    0);
	struct store_batch *b = store_batch_new(s, &d);
	store_queue_state(b, 500, 0, STR("state"));
	store_queue_del(b, 500, 1);
	assert_int_equal(kit_commit(s, b).rc, 0);
}

static void
the_reader_reads(void **state)
{
	const char *dir = *state;
	struct buf text = BUF_INIT(1u << 20), got = BUF_INIT(16u << 20), want = BUF_INIT(16u << 20);
	if (!document(&text) || system("python3 -c '' 2>/dev/null") != 0)
		skip();
	struct str reader = reader_of(buf_str(&text));
	size_t lines = 0;
	for (size_t i = 0; i < reader.len; i++)
		lines += reader.p[i] == '\n';
	assert_in_range(lines, 10, READER_LINES_MAX);
	struct store *s = kit_open(dir);
	char *script = kit_path(dir, "reader.py");
	assert_int_equal(file_replace(script, reader, 0600), 0);
	struct store_res r = { .rc = 1 };
	static const char *const people[] = { "carol@example.com", "dave@example.com",
		"alice@example.com" };
	for (size_t i = 0; i < ARRAY_LEN(people); i++) {
		account_create(s, str_of(people[i]), kit_take, &r);
		store_wait(s);
	}
	uint64_t alice = r.slot[0];
	for (uint64_t i = 1; i <= 300; i++)
		kit_accept_async(s,
		    (struct kit_letter){ .id = i,
			.first = alice,
			.count = 2,
			.n = i * 37,
			.blank = i % 3 == 0,
			.spill = i % 20 == 0 },
		    NULL, NULL);
	store_wait(s);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(kit_merge(s, (struct kit_merge){ .id = 900 + i,
						  .first = alice - i,
						  .count = 4,
						  .n = 1000 * i + 20,
						  .spill = i == 2 }),
		    0);
	fill_queue(s);
	struct store_dom d = store_dom_mailbox(alice, MAILBOX_INBOX);
	struct store_batch *b = store_batch_new(s, &d);
	store_del(b, STR("R|\0\0\0\7"));
	assert_int_equal(kit_commit(s, b).rc, 0);
	struct store_snap *sn;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mailbox_each(sn, 1, expect_letter, &(struct expected){ s, &want }), 0);
	store_snap_close(sn);
	run_reader(script, dir, "alice@example.com", &got);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.p, want.p, want.len);
	queue_is_read(s, script, dir);
	/* And once more when bodies have moved, records have been snapped and segments are gone. */
	for (uint64_t i = 1; i <= 3000; i++) {
		kit_accept_async(s,
		    (struct kit_letter){
			.id = 1000 + i, .first = alice + 1, .count = 1, .n = 2000 },
		    NULL, NULL);
		struct store_dom bob = store_dom_mailbox(alice + 1, MAILBOX_INBOX);
		b = store_batch_new(s, &bob);
		mailbox_expunge(b, (uint32_t)i + 300);
		store_commit(b, STORE_DURABLE, NULL, NULL);
		if (i % 200 == 0)
			store_wait(s);
	}
	store_wait(s);
	emb_tidy(s);
	struct store_stats st;
	store_stats(s, &st);
	assert_true(st.compactions > 0 && st.checkpoints > 0);
	buf_reset(&got);
	run_reader(script, dir, "alice@example.com", &got);
	queue_is_read(s, script, dir);
	store_close(s);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.p, want.p, want.len);
	free(script);
	buf_done(&text);
	buf_done(&got);
	buf_done(&want);
}

/* --- a store of the first format --- */

struct old_letter {
	uint32_t uid;
	uint64_t size;
	char sum[65], address[64];
};

static bool
find_user(struct store *s, const char *address, uint64_t *ret)
{
	struct store_dom g = store_dom_directory();
	struct store_snap *sn;
	struct str v;
	char key[80];
	snprintf(key, sizeof(key), "u|%s", address);
	assert_int_equal(store_snap_open(s, &g, &sn, NULL), 0);
	int r = store_get(sn, str_of(key), &v);
	if (r == 0)
		*ret = be64_get((const unsigned char *)v.p);
	store_snap_close(sn);
	return r == 0;
}

/* Each letter of the list is there, octet for octet. */
static size_t
old_letters(struct store *s, const char *dir, const char *list)
{
	struct old_letter o;
	char line[256];
	size_t n = 0;
	FILE *f = fopen(list, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long size;
		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%63s %u %llu %64s", o.address, &o.uid, &size, o.sum),
		    4);
		uint64_t account;
		struct store_snap *sn;
		struct mailbox_letter l;
		struct buf got = BUF_INIT(1024);
		assert_true(find_user(s, o.address, &account));
		struct store_dom d = store_dom_mailbox(account, MAILBOX_INBOX);
		assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
		assert_int_equal(mailbox_find(sn, o.uid, &l), 0);
		assert_int_equal(l.size, size);
		char *octets = xalloc(l.size), *path = kit_path(dir, "letter"), cmd[400];
		assert_int_equal(mailbox_letter_read(s, &l, 0, octets, l.size), l.size);
		store_snap_close(sn);
		assert_int_equal(file_replace(path, str_n(octets, l.size), 0600), 0);
		snprintf(cmd, sizeof(cmd), "sha256sum < '%s'", path);
		FILE *p = popen(cmd, "r");
		assert_non_null(p);
		assert_int_equal(file_read_fd(fileno(p), 1024, &got), 0);
		pclose(p);
		assert_true(str_starts(buf_str(&got), str_of(o.sum)));
		unlink(path);
		buf_done(&got);
		free(octets);
		free(path);
		n++;
	}
	fclose(f);
	return n;
}

static void
the_first_format(void **state)
{
	const char *dir = *state;
	struct str here = str_of(__FILE__);
	char *data = str_dup(str_first(here, str_rfind(here, '/')));
	char *archive = kit_path(data, "../data/store-format-1.tar.xz");
	char *list = kit_path(data, "../data/store-format-1.txt");
	char cmd[9000], *seg = kit_path(dir, "log/00000002.seg");
	struct fsck_report report;
	if (access(archive, R_OK) < 0 || system("xz --version >/dev/null 2>&1") != 0)
		skip();
	/* It unpacks as "store", which is what dir ends in. */
	snprintf(cmd, sizeof(cmd), "mkdir -p '%s' && tar -xJf '%s' -C '%s/..'", dir, archive, dir);
	assert_int_equal(system(cmd), 0);
	unsigned char head[SEG_HEAD];
	struct seg_head h;
	for (int round = 0; round < 3; round++) {
		struct store *s = kit_open(dir);
		assert_non_null(s);
		assert_int_equal(old_letters(s, dir, list), 18);
		uint64_t alice;
		assert_true(find_user(s, "alice@example.com", &alice));
		for (uint64_t i = 1; i <= 700; i++) {
			assert_int_equal(kit_accept(s,
					     (struct kit_letter){
						 .id = 1000000 * (uint64_t)(round + 1) + i,
						 .first = alice,
						 .count = 1,
						 .n = 9000 }),
			    0);
			struct store_dom d = store_dom_mailbox(alice, MAILBOX_INBOX);
			struct store_batch *b = store_batch_new(s, &d);
			mailbox_expunge(b, 11 + (uint32_t)round * 700 + (uint32_t)i);
			assert_int_equal(kit_commit(s, b).rc, 0);
		}
		emb_tidy(s);
		assert_int_equal(old_letters(s, dir, list), 18);
		store_close(s);
		assert_int_equal(fsck_run(dir, &report, NULL, NULL), 0);
		if (report.problems)
			print_message("%.*s", (int)report.text.len, report.text.p);
		assert_int_equal(report.problems, 0);
		fsck_report_done(&report);
		struct buf err = BUF_INIT(1000);
		assert_int_equal(fsck_rebuild(dir, &report, NULL, NULL, &err), 0);
		assert_int_equal(report.letters, 18);
		fsck_report_done(&report);
		buf_done(&err);
		/* The segment that was written to is of the new format now, if it is still there.
		 */
		int fd = open(seg, O_RDONLY);
		if (fd >= 0) {
			assert_int_equal(pread_all(fd, head, sizeof(head), 0), 0);
			assert_int_equal(seg_head_get(head, &h), 0);
			assert_int_equal(h.format, SEG_FORMAT);
			close(fd);
		}
	}
	free(data);
	free(archive);
	free(list);
	free(seg);
}

/* --- layouts --- */

static const unsigned char id[STORE_ID_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	16 };

static void
segment_header(void **state)
{
	unsigned char p[SEG_HEAD];
	struct seg_head h = { .seq = 0x11, .size = 0x200000 }, got;
	memcpy(h.id, id, sizeof(id));
	seg_head_put(p, &h);
	assert_memory_equal(p, "PENNYSEG\0\0\0\5\0\0\0\x40\0\0\0\0\0\0\0\x11\0\0\0\0\0\x20\0\0",
	    32);
	assert_memory_equal(p + 32, id, 16);
	assert_int_equal(be32_get(p + 60), crc32c(0, p, 60));
	assert_int_equal(seg_head_get(p, &got), 0);
	assert_int_equal(got.seq, h.seq);
	assert_int_equal(got.size, h.size);
	for (size_t i = 0; i < SEG_HEAD; i++) {
		p[i] ^= 0x10;
		assert_true(seg_head_get(p, &got) < 0);
		p[i] ^= 0x10;
	}
	h.seq = 0;
	seg_head_put(p, &h);
	assert_int_equal(seg_head_get(p, &got), -EBADMSG);
	p[11] = SEG_FORMAT + 1;
	be32_put(p + 60, crc32c(0, p, 60));
	assert_int_equal(seg_head_get(p, &got), -EPROTONOSUPPORT);
}

static enum frame_state
whole_frame(struct str at, uint64_t lsn, const unsigned char store_id[STORE_ID_LEN],
    struct frame *ret, struct str *ret_payload)
{
	if (at.len < FRAME_HEAD)
		return FRAME_BAD;
	enum frame_state state = frame_head_get(at.p, lsn, at.len, store_id, ret);
	if (state != FRAME_OK)
		return state;
	*ret_payload = str_n(at.p + FRAME_HEAD, ret->len);
	return frame_payload_ok(ret, ret_payload->p) ? FRAME_OK : FRAME_BAD;
}

static void
frames(void **state)
{
	struct buf b = BUF_INIT(4096);
	uint64_t base = lsn_of(3, 4096);
	for (int i = 0; i < 3; i++) {
		size_t at = frame_begin(&b);
		buf_put(&b, "payload!!", 7 + (size_t)i);
		frame_end(&b, at, FRAME_TRACE, 0x0102, base, id);
	}
	assert_int_equal(b.len, 48 + 48 + 56);
	const unsigned char *p = (const unsigned char *)b.p + 48;
	assert_memory_equal(p, "PPFR\1\3\0\0\0\0\0\x08", 12);
	assert_int_equal(be32_get(p + 12), crc32c(0, "payload!", 8));
	assert_int_equal(be64_get(p + 16), (uint64_t)3 << 32 | (4096 + 48));
	assert_int_equal(be64_get(p + 24), 0x0102);
	assert_int_equal(be32_get(p + 32), 4096);
	assert_int_equal(be32_get(p + 36), crc32c(crc32c(0, id, 16), p, 36));

	struct frame f;
	struct str payload;
	uint64_t off = 0;
	for (int i = 0; i < 3; i++, off += frame_size(f.len)) {
		assert_int_equal(whole_frame(str_n(b.p + off, b.len - off), base + off, id, &f,
				     &payload),
		    FRAME_OK);
		assert_int_equal(f.type, FRAME_TRACE);
		assert_true(str_eq(payload, str_n("payload!!", 7 + (size_t)i)));
		/* At another place it is not a frame, nor when the segment ends too early. */
		assert_int_equal(whole_frame(str_n(b.p + off, b.len - off), base + off + 8, id, &f,
				     &payload),
		    FRAME_BAD);
		assert_int_equal(whole_frame(str_n(b.p + off, 47), base + off, id, &f, &payload),
		    FRAME_BAD);
	}
	assert_int_equal(off, b.len);
	/* Every octet of header and payload counts. */
	for (size_t i = 0; i < 48; i++) {
		for (int bit = 0; bit < 8; bit++) {
			b.p[i] ^= (char)(1 << bit);
			bool padding = i == 47; /* seven octets of payload, one of zeros */
			assert_int_equal(whole_frame(buf_str(&b), base, id, &f, &payload),
			    padding ? FRAME_OK : FRAME_BAD);
			b.p[i] ^= (char)(1 << bit);
		}
	}
	memset(b.p, 0, b.len);
	assert_int_equal(whole_frame(buf_str(&b), base, id, &f, &payload), FRAME_NONE);
	buf_done(&b);
}

static void
records_cut_short(void **state)
{
	struct store_rcpt rcpt[2] = { { 1, 2, STR("prefix"), STR("rcpt") },
		{ 3, 4, STR(""), STR("other") } };
	struct store_letter l = { .letter = 5,
		.session = 6,
		.time_ms = 7,
		.qid = STR("qid"),
		.from = STR("from"),
		.envid = STR("envid"),
		.ret = STR("HDRS"),
		.trace = STR("T"),
		.header_len = 3,
		.insert_blank = true,
		.history = STR("history"),
		.rcpt = rcpt,
		.n_rcpt = 2 };
	struct store_ref ref = { 8, 9, 10, 11 };
	struct buf b = BUF_INIT(4096);
	struct intent in;
	struct trace_payload t;
	struct store_rcpt got;

	intent_put(&b, &l);
	intent_set_ref(b.p, &ref);
	assert_true(intent_get(buf_str(&b), &in));
	assert_int_equal(in.letter, 5);
	assert_int_equal(in.time_ms, 7);
	assert_memory_equal(&in.ref.lsn, &ref.lsn, 8);
	assert_int_equal(in.ref.crc, 11);
	assert_true(in.insert_blank && in.trace_len == 1 && in.header_len == 3);
	assert_true(str_eq(in.from, STR("from")) && str_eq(in.envid, STR("envid")) &&
		    str_eq(in.ret, STR("HDRS")));
	assert_true(intent_next(&in, &got) && got.account == 1 && got.mailbox == 2);
	assert_true(str_eq(got.rcpt, STR("rcpt")) && str_eq(got.prefix, STR("prefix")));
	assert_true(intent_next(&in, &got) && got.account == 3 && str_eq(got.rcpt, STR("other")));
	assert_false(intent_next(&in, &got));
	for (size_t n = 0; n < b.len; n++)
		assert_false(intent_get(str_n(b.p, n), &in));
	buf_putc(&b, 'x');
	assert_false(intent_get(buf_str(&b), &in));

	struct store_entry entries[] = { { 1, STR("first") }, { 5, STR("second") } }, e;
	l.entry = entries;
	l.n_entry = 2;
	ref.len = 10;
	buf_reset(&b);
	intent_put(&b, &l);
	intent_set_ref(b.p, &ref);
	assert_int_equal(b.p[0], 4);
	assert_true(intent_get(buf_str(&b), &in) && in.n_rcpt == 2 && in.n_entries == 2);
	assert_true(intent_next(&in, &got) && intent_next(&in, &got) && !intent_next(&in, &got));
	assert_true(intent_entry_next(&in, &e) && e.part == 1 && str_eq(e.value, STR("first")));
	assert_true(intent_entry_next(&in, &e) && e.part == 5 && str_eq(e.value, STR("second")));
	assert_false(intent_entry_next(&in, &e));
	for (size_t n = 0; n < b.len; n++)
		assert_false(intent_get(str_n(b.p, n), &in));
	buf_putc(&b, 'x');
	assert_false(intent_get(buf_str(&b), &in));
	l.n_entry = 0;

	buf_reset(&b);
	l.message_id = STR("<m@i>");
	l.peer = STR("peer");
	l.onward = STR("0 0 far@away\n");
	trace_payload_put(&b, &l);
	assert_true(trace_payload_get(buf_str(&b), &t));
	assert_true(t.kind == STORE_NOTE_LETTER && str_eq(t.message_id, l.message_id) &&
		    str_eq(t.peer, l.peer));
	assert_true(t.letter == 5 && t.session == 6 && t.time_ms == 7 && str_eq(t.qid, STR("qid")));
	assert_true(str_eq(t.rcpts, STR("1 2 rcpt\n3 4 other\n0 0 far@away\n")) &&
		    str_eq(t.history, STR("history")));
	for (size_t n = 0; n < b.len; n++)
		assert_false(trace_payload_get(str_n(b.p, n), &t));

	static const char first[] = "\1\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0\7"
				    "\0\0\0\1Q\0\0\0\1f\0\0\0\0\0\0\0\0\0\0\0\1r\0\0\0\1h";
	assert_true(trace_payload_get(str_n(first, sizeof(first) - 1), &t));
	assert_true(t.kind == STORE_NOTE_LETTER && t.letter == 5 && t.time_ms == 7 &&
		    str_eq(t.rcpts, STR("r")) && t.peer.len == 0 && str_eq(t.history, STR("h")));

	buf_done(&b);
}

static void
batches_cut_short(void **state)
{
	struct store_dom d = store_dom_mailbox(0x0102, 0x0304);
	struct buf b = BUF_INIT(4096);
	struct batch_record r;
	struct batch_op op;
	size_t at = batch_record_begin(&b, &d, 99);
	batch_record_put(&b, STR("k"), STR("value"));
	batch_record_del(&b, STR("gone"));
	batch_record_end(&b, at, 2);
	assert_memory_equal(b.p,
	    "B\0\0\0\0\0\0\1\2\0\0\3\4\0\0\0\0\0\0\0\0\0\0\x63\0\0\0\2\1\0\1k\0\0\0\5value\2\0\4gon"
	    "e",
	    b.len);
	assert_true(batch_record_get(buf_str(&b), &r) && r.ver == 99 && r.n == 2);
	assert_true(batch_record_next(&r, &op) && !op.del && str_eq(op.value, STR("value")));
	assert_true(batch_record_next(&r, &op) && op.del && str_eq(op.key, STR("gone")));
	assert_false(batch_record_next(&r, &op));
	for (size_t n = 0; n < b.len; n++)
		assert_false(batch_record_get(str_n(b.p, n), &r));
	b.p[27] = 3;
	assert_false(batch_record_get(buf_str(&b), &r));

	uint64_t letter, time_ms;
	buf_reset(&b);
	done_put(&b, 5, 7);
	assert_int_equal(b.len, DONE_LEN);
	assert_true(done_get(buf_str(&b), &letter, &time_ms) && letter == 5 && time_ms == 7);
	for (size_t n = 0; n < b.len; n++)
		assert_false(done_get(str_n(b.p, n), &letter, &time_ms));
	buf_done(&b);
}

static void
letter_records(void **state)
{
	struct mailbox_letter l = { .uid = 1,
		.modseq = 2,
		.time_ms = 3,
		.size = 6 + 100 + 2,
		.saved_ms = 33,
		.flags = 5 | 1ull << 63,
		.letter = 6,
		.ref = { 7, 8, 100, 9 },
		.trace_len = 40,
		.header_len = 50,
		.insert_blank = true,
		.trace_lsn = 0x77,
		.keep = 4321,
		.prefix = STR("prefix") },
			      got;
	struct buf b = BUF_INIT(4096);
	mailbox_letter_put(&b, &l);
	assert_int_equal(b.len, 106 + 6);
	assert_int_equal(b.p[0], 4);
	assert_int_equal(be64_get((unsigned char *)b.p + 41), 7);
	assert_int_equal(be64_get((unsigned char *)b.p + 78), 0x77);
	assert_int_equal(be32_get((unsigned char *)b.p + 86), 4321);
	assert_int_equal(be32_get((unsigned char *)b.p + 90), 1u << 31);
	assert_int_equal(be64_get((unsigned char *)b.p + 94), 33);
	assert_memory_equal(b.p + 106, "prefix", 6);
	assert_true(mailbox_letter_get(buf_str(&b), &got));
	assert_true(got.uid == 1 && got.modseq == 2 && got.time_ms == 3 && got.size == l.size &&
		    got.flags == l.flags && got.saved_ms == 33 && got.letter == 6 &&
		    got.ref.len == 100 && got.trace_len == 40 && got.header_len == 50 &&
		    got.insert_blank);
	for (size_t n = 0; n < b.len; n++)
		assert_false(mailbox_letter_get(str_n(b.p, n), &got));
	/* Sizes that do not agree. */
	static const size_t wrong[] = { 4, 28, 64, 72, 76 };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char was = b.p[wrong[i]];
		b.p[wrong[i]] = wrong[i] == 4 ? 0 : 127;
		assert_false(mailbox_letter_get(buf_str(&b), &got));
		b.p[wrong[i]] = was;
	}
	/* As older programs wrote it: no place, flags of 32 bits. */
	memmove(b.p + 90, b.p + 102, b.len - 102);
	b.len -= 12;
	b.p[0] = 2;
	assert_true(mailbox_letter_get(buf_str(&b), &got));
	assert_true(got.flags == 5 && got.saved_ms == 3 && got.keep == 4321);
	memmove(b.p + 78, b.p + 90, b.len - 90);
	b.len -= 12;
	b.p[0] = 1;
	assert_true(mailbox_letter_get(buf_str(&b), &got));
	assert_true(got.flags == 5 && got.trace_lsn == 0 && str_eq(got.prefix, STR("prefix")));
	buf_done(&b);
}

static void
head_records(void **state)
{
	struct mailbox_head h = { .uidvalidity = 1,
		.uidnext = 2,
		.modseq = 3,
		.messages = 4,
		.bytes = 5,
		.unseen = 6,
		.deleted = 7,
		.deleted_bytes = 10,
		.floor = 8,
		.vanished = 9 },
			    got;
	struct buf b = BUF_INIT(4096);
	mailbox_head_put(&b, &h);
	assert_memory_equal(b.p,
	    "\2\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\5"
	    "\0\0\0\6\0\0\0\7\0\0\0\0\0\0\0\xa\0\0\0\0\0\0\0\x8\0\0\0\x9",
	    b.len);
	assert_int_equal(b.len, 61);
	assert_true(mailbox_head_get(buf_str(&b), &got) && !got.uncounted);
	assert_true(got.unseen == 6 && got.deleted == 7 && got.deleted_bytes == 10 &&
		    got.floor == 8 && got.vanished == 9);
	for (size_t n = 0; n < b.len; n++)
		assert_false(mailbox_head_get(str_n(b.p, n), &got));
	b.p[0] = 1;
	assert_true(mailbox_head_get(str_n(b.p, 33), &got) && got.uncounted && got.bytes == 5);
	b.p[0] = 3;
	assert_false(mailbox_head_get(buf_str(&b), &got));
	buf_done(&b);
}

static void
joined_checksums(void **state)
{
	char p[3000];
	kit_fill(p, sizeof(p), 3);
	static const size_t rows[][2] = { { 0, 0 }, { 0, 9 }, { 9, 0 }, { 1, 1 }, { 100, 2900 },
		{ 2999, 1 } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t a = crc32c(0, p, rows[i][0]), c = crc32c(0, p + rows[i][0], rows[i][1]);
		assert_int_equal(crc32c_join(a, c, rows[i][1]),
		    crc32c(0, p, rows[i][0] + rows[i][1]));
	}
}

static void
queue_records(void **state)
{
	struct store_dom q = store_dom_queue(0), other = store_dom_account(1);
	char key[QUEUED_KEY_MAX];
	struct buf b = BUF_INIT(4096), pieces = BUF_INIT(100);
	struct store_queued got, e = { .ref = { 1ull << 32 | 64, 0, 30, 9 },
		.trace_len = 10,
		.header_len = 5,
		.insert_blank = true,
		.size = 32,
		.value = STR("value") };
	struct store_place place = { 1ull << 32 | 128, 200 }, at;
	uint64_t letter = 0;
	uint32_t part = 0;
	struct str k = queued_key(key, 0x0102030405060708, 9);
	assert_memory_equal(k.p, "t|\1\2\3\4\5\6\7\10|\0\0\0\11", 15);
	assert_true(k.len == 15 && queued_key_get(&q, k, false, &letter, &part));
	assert_true(letter == 0x0102030405060708 && part == 9);
	assert_false(queued_key_get(&other, k, false, &letter, &part));
	assert_false(queued_key_get(&q, k, true, &letter, &part));
	k = queued_state_key(key, 1, 2);
	assert_true(k.len == 16 && k.p[15] == 's' && queued_key_get(&q, k, true, &letter, &part));
	assert_false(queued_key_get(&q, k, false, &letter, &part));

	queued_put(&b, &e, &place);
	assert_int_equal(b.len, 1 + 28 + 12 + 4 + 4 + 1 + 8 + 2 + 4 + 4 + 5);
	assert_true(queued_get(buf_str(&b), &got, &at) && at.trace == place.trace &&
		    at.keep == 200);
	assert_true(got.ref.lsn == e.ref.lsn && got.size == 32 && got.insert_blank &&
		    got.header_len == 5 && str_eq(got.value, e.value));
	for (size_t n = 0; n < b.len; n++)
		assert_false(queued_get(str_n(b.p, n), &got, &at));
	const struct store_queued wrong[] = {
		{ .ref.len = 30, .trace_len = 31, .size = 30, .value = STR("v") },
		{ .ref.len = 30, .trace_len = 10, .header_len = 21, .size = 30, .value = STR("v") },
		{ .ref.len = 30, .size = 31, .value = STR("v") },
		{ .ref.len = 30, .size = 30 },
		{ .ref.len = 30, .size = 30, .pieces = STR("x"), .value = STR("v") },
		{ .ref.len = UINT64_MAX, .insert_blank = true, .size = 1, .value = STR("v") },
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		buf_reset(&b);
		queued_put(&b, &wrong[i], &place);
		assert_false(queued_get(buf_str(&b), &got, &at));
	}
	/* Of a merge: 4 octets of its own and 6 of the body, which has 20. */
	store_piece_put(&pieces, &(struct store_piece){ .literal = true, .text = STR("own ") });
	store_piece_put(&pieces, &(struct store_piece){ .off = 14, .len = 6 });
	e.n_pieces = 2;
	e.pieces = buf_str(&pieces);
	e.size = 22;
	buf_reset(&b);
	queued_put(&b, &e, &place);
	assert_true(queued_get(buf_str(&b), &got, &at) && got.n_pieces == 2);
	e.ref.len = 29;
	buf_reset(&b);
	queued_put(&b, &e, &place);
	assert_false(queued_get(buf_str(&b), &got, &at));
	buf_done(&b);
	buf_done(&pieces);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_reader_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_first_format, set_up, tear_down),
		cmocka_unit_test(segment_header),
		cmocka_unit_test(queue_records),
		cmocka_unit_test(frames),
		cmocka_unit_test(records_cut_short),
		cmocka_unit_test(batches_cut_short),
		cmocka_unit_test(letter_records),
		cmocka_unit_test(head_records),
		cmocka_unit_test(joined_checksums),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
