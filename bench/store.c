/*
 * store: letters per second and syncs per letter that the store alone reaches.
 *
 *   bench_store DIR [LETTERS [CONCURRENCY [OCTETS [MAILBOXES [OUTLINE]]]]]
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
	uint64_t letters, octets, mailboxes, outline;
	uint64_t sent, done, failed;
	char *body;
};

static void
accepted(void *arg, const struct store_res *res)
{
	struct bench *b = arg;
	b->done++;
	if (res->rc < 0)
		b->failed++;
}

static void
send_one(struct bench *b, uint64_t base)
{
	uint64_t id = base + b->sent;
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
		.n_rcpt = 1,
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
	uint64_t base = (uint64_t)sys_wall_ms() << 22;
	struct pollfd p = { .fd = store_fd(b->s), .events = POLLIN };
	while (b->done < b->letters) {
		while (b->sent < b->letters && b->sent - b->done < concurrency)
			send_one(b, base);
		poll(&p, 1, -1);
		store_run(b->s);
	}
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
				"[OUTLINE]]]]]\n");
		return 1;
	}
	char uri[4096];
	struct buf err = BUF_INIT(4096);
	struct store_options o = STORE_OPTIONS_DEFAULT;
	struct bench b = { .letters = number(argc, argv, 2, 20000),
		.octets = number(argc, argv, 4, 4096),
		.mailboxes = number(argc, argv, 5, 1),
		.outline = number(argc, argv, 6, 0) };
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
	store_close(b.s);
	free(b.body);
	return b.failed ? 3 : 0;
}
