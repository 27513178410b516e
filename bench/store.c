/*
 * store: letters per second and syncs per letter that the store alone reaches.
 *
 *   bench_store DIR [LETTERS [CONCURRENCY [OCTETS [MAILBOXES [OUTLINE [ENTRIES [KEEP]]]]]]]
 *
 * With ENTRIES each letter is for elsewhere: it has so many entries in the queue and comes to no
 * mailbox. Unless KEEP is 1 the entries go again when the letter is accepted, each with a history;
 * else it is told how long it takes to read the queue.
 *
 * One thread hands letters in, as the store's role does: CONCURRENCY of them are under way at
 * any time. Each letter has an outline of OUTLINE octets. DIR is made if need be and not removed.
 */
#include "base/check.h"
#include "store/mailbox.h"
#include "store/store.h"
#include "sys/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bench {
	struct store *s;
	uint64_t letters, octets, mailboxes, outline, entries;
	bool keep;
	uint64_t base, sent, accepted, done, failed;
	char *body;
};

#define ENTRIES_MAX 1000u
#define VALUE                                                                                      \
	"an entry as it is: domain, reverse-path, recipients and what else is needed; so many "    \
	"octets"

static void
over(void *arg, const struct store_res *res)
{
	struct bench *b = arg;
	b->done++;
	if (res->rc < 0)
		b->failed++;
}

/* What becomes of a letter that was brought to another server. */
static void
delivered(struct bench *b, uint64_t letter)
{
	struct store_dom d = store_dom_queue(0);
	struct store_batch *batch = store_batch_new(b->s, &d);
	for (uint32_t i = 0; i < b->entries; i++) {
		store_note(batch,
		    &(struct store_note){ .kind = STORE_NOTE_ATTEMPT,
			.letter = letter,
			.rcpts = STR("b@example.com\n"),
			.octets = STR("c: EHLO a.example.org\ns: 250 b\nc: QUIT\n") });
		store_queue_del(batch, letter, i);
	}
	store_commit(batch, STORE_DURABLE, over, b);
}

static void
accepted(void *arg, const struct store_res *res)
{
	struct bench *b = arg;
	/* Answers come in the order of the letters. */
	uint64_t letter = b->base + b->accepted++;
	if (res->rc < 0 || b->entries == 0 || b->keep)
		over(b, res);
	else
		delivered(b, letter);
}

static void
send_one(struct bench *b)
{
	struct store_entry entry[ENTRIES_MAX];
	uint64_t id = b->base + b->sent;
	for (uint32_t i = 0; i < b->entries; i++)
		entry[i] = (struct store_entry){ i, STR(VALUE VALUE VALUE) };
	struct store_rcpt rcpt = { .account = 1 + b->sent % b->mailboxes,
		.mailbox = MAILBOX_INBOX,
		.prefix = STR("Return-Path: <a@example.org>\r\nDelivered-To: b@example.com\r\n"),
		.rcpt = STR("b@example.com") };
	struct store_letter l = { .letter = id,
		.session = 7,
		.time_ms = (uint64_t)sys_wall_ms(),
		.qid = STR("4C2x7k1m2nz9"),
		.from = STR("a@example.org"),
		.trace = STR("Received: from a.example.org (a.example.org [192.0.2.1])\r\n"
			     "\tby b.example.com with ESMTP id 4C2x7k1m2nz9; Fri, 25 Sep 2026 "
			     "14:27:48 +0200\r\n"),
		.header_len = 200,
		.history = STR("S: 220 b.example.com\nC: EHLO a.example.org\nC: MAIL "
			       "FROM:<a@example.org>\n"
			       "C: RCPT TO:<b@example.com>\nC: DATA\n"),
		.rcpt = &rcpt,
		.n_rcpt = b->entries == 0,
		.entry = entry,
		.n_entry = b->entries,
		.outline = str_n(b->body, b->outline) };
	struct store_body *body = store_body_new(b->s, id);
	store_body_write(body, str_n(b->body, b->octets));
	store_accept(b->s, body, &l, accepted, b);
	b->sent++;
}

static double
cpu_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
run(struct bench *b, uint64_t concurrency)
{
	b->base = (uint64_t)sys_wall_ms() << 22;
	struct pollfd p = { .fd = store_fd(b->s), .events = POLLIN };
	while (b->done < b->letters) {
		while (b->sent < b->letters && b->sent - b->done < concurrency)
			send_one(b);
		poll(&p, 1, -1);
		store_run(b->s);
	}
}

static bool
count(void *arg, const struct store_queued *q)
{
	++*(uint64_t *)arg;
	return true;
}

static void
read_queue(struct bench *b)
{
	struct store_dom d = store_dom_queue(0);
	struct store_snap *sn = NULL;
	uint64_t n = 0;
	check(store_snap_open(b->s, &d, &sn, NULL) == 0);
	int64_t start = sys_mono_ms();
	check(store_queue_scan(sn, 0, 0, 0, count, &n) == 0);
	printf("%llu entries read in %.3f s\n", (unsigned long long)n,
	    (double)(sys_mono_ms() - start) / 1000);
	store_snap_close(sn);
}

static uint64_t
number(int argc, char **argv, int i, uint64_t otherwise)
{
	return i < argc ? strtoull(argv[i], NULL, 10) : otherwise;
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: store DIR [LETTERS [CONCURRENCY [OCTETS [MAILBOXES "
				"[OUTLINE [ENTRIES [KEEP]]]]]]]\n");
		return 1;
	}
	char uri[4096];
	struct buf err = BUF_INIT(4096);
	struct store_options o = STORE_OPTIONS_DEFAULT;
	struct bench b = { .letters = number(argc, argv, 2, 20000),
		.octets = number(argc, argv, 4, 4096),
		.mailboxes = number(argc, argv, 5, 1),
		.outline = number(argc, argv, 6, 0),
		.entries = MIN(number(argc, argv, 7, 0), (uint64_t)ENTRIES_MAX),
		.keep = number(argc, argv, 8, 0) };
	uint64_t concurrency = number(argc, argv, 3, 50);
	snprintf(uri, sizeof(uri), "emb:%s", argv[1]);
	if (b.mailboxes == 0 || concurrency == 0 || b.octets < 200) {
		fprintf(stderr, "store: at least 1 mailbox, 1 under way, 200 octets\n");
		return 1;
	}
	if (store_open(&b.s, uri, &o, &err) < 0) {
		fprintf(stderr, "store: %s\n", buf_cstr(&err));
		return 2;
	}
	b.body = xalloc(b.octets);
	memset(b.body, 'x', b.octets);
	int64_t start = sys_mono_ms();
	double cpu = cpu_seconds();
	run(&b, concurrency);
	double sec = (double)(sys_mono_ms() - start) / 1000;
	cpu = cpu_seconds() - cpu;
	struct store_stats st;
	store_stats(b.s, &st);
	printf("%llu letters of %llu octets, %llu under way: %.0f letters/s, %.3f syncs/letter, "
	       "%.1f letters/group, %.4f index commits/letter, %.1f us CPU/letter, %llu failed\n",
	    (unsigned long long)b.letters, (unsigned long long)b.octets,
	    (unsigned long long)concurrency, (double)b.letters / sec,
	    (double)st.groups / (double)b.letters, (double)b.letters / (double)st.groups,
	    (double)st.index_commits / (double)b.letters, cpu * 1e6 / (double)b.letters,
	    (unsigned long long)b.failed);
	if (b.entries && b.keep)
		read_queue(&b);
	store_close(b.s);
	free(b.body);
	return b.failed ? 3 : 0;
}
