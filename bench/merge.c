/*
 * merge: what a recipient of a mail merge costs in the store alone.
 *
 *   bench_merge DIR [RECIPIENTS [PARTS [VARIABLES]]]
 *
 * One merge: PARTS octets of body, of which every recipient gets all, with VARIABLES of 12 octets
 * each between its pieces, each into a mailbox of its own. Prints time, and what log and index have
 * grown by, for each recipient. DIR is made if need be and not removed.
 */
#include "base/check.h"
#include "store/mailbox.h"
#include "store/store.h"
#include "sys/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VARIABLE "Mr. Miller, " /* 12 octets */

struct bench {
	struct store *s;
	const char *dir;
	uint64_t recipients, parts, variables;
	int64_t handed_in, done; /* when, in us */
	int rc;
};

static void
merged(void *arg, const struct store_res *res)
{
	struct bench *b = arg;
	b->rc = res->rc;
	b->done = sys_mono_us();
}

static void
add_view(struct store_views *v, const struct bench *b, struct buf *pieces, uint64_t i)
{
	uint64_t each = b->parts / (b->variables + 1);
	buf_reset(pieces);
	for (uint64_t j = 0; j <= b->variables; j++) {
		if (j)
			store_piece_put(pieces,
			    &(struct store_piece){ .literal = true, .text = STR(VARIABLE) });
		store_piece_put(pieces, &(struct store_piece){ .off = j * each,
					    .len = j < b->variables ? each : b->parts - j * each });
	}
	struct store_view view = { .account = 1 + i,
		.mailbox = MAILBOX_INBOX,
		.prefix = STR("Delivered-To: somebody@example.com\r\n"),
		.size = b->parts + b->variables * (sizeof(VARIABLE) - 1),
		.header_len = (uint32_t)MIN(b->parts, (uint64_t)200),
		.n_pieces = (uint16_t)(2 * b->variables + 1),
		.pieces = buf_str(pieces) };
	check(store_views_add(v, &view) == 0);
}

static void
run(struct bench *b)
{
	uint64_t id = (uint64_t)sys_wall_ms() << 22;
	struct store_body *body = store_body_new(b->s, id);
	struct store_views *views = store_views_new(b->s, id);
	struct buf pieces = BUF_INIT(STORE_VIEW_MAX);
	char *text = xalloc(b->parts + 1);
	memset(text, 'x', b->parts);
	check(store_body_write(body, str_n(text, b->parts)) == 0);
	for (uint64_t i = 0; i < b->recipients; i++)
		add_view(views, b, &pieces, i);
	b->handed_in = sys_mono_us();
	store_merge(b->s, body, views,
	    &(struct store_letter){ .letter = id,
		.time_ms = (uint64_t)sys_wall_ms(),
		.qid = STR("4C2x7k1m2nz9"),
		.from = STR("a@example.org"),
		.trace = STR("Received: from a.example.org (a.example.org [192.0.2.1])\r\n"
			     "\tby b.example.com with ESMTP id 4C2x7k1m2nz9; Fri, 25 Sep 2026 "
			     "14:27:48 +0200\r\n"),
		.history = STR("S: 220 b.example.com\nC: XMRG FROM:<a@example.org>\n"),
		.prefix = STR("Return-Path: <a@example.org>\r\n") },
	    merged, b);
	check(store_wait(b->s) == 0);
	free(text);
	buf_done(&pieces);
}

/* Octets of log so far. */
static uint64_t
log_octets(const struct bench *b, const struct store_options *o)
{
	struct store_cut cut = { .lsn = 0 };
	check(store_cut(b->s, &cut) == 0);
	return ((cut.lsn >> 32) - 1) * o->segment_bytes + (uint32_t)cut.lsn;
}

static uint64_t
index_octets(const struct bench *b)
{
	char path[4096];
	struct stat st;
	snprintf(path, sizeof(path), "%s/index/data.mdb", b->dir);
	return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static double
cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static uint64_t
number(int argc, char **argv, int i, uint64_t otherwise)
{
	return i < argc ? strtoull(argv[i], NULL, 10) : otherwise;
}

int
main(int argc, char **argv)
{
	char uri[4096];
	struct buf err = BUF_INIT(4096);
	struct store_options o = STORE_OPTIONS_DEFAULT;
	if (argc < 2) {
		fprintf(stderr, "usage: merge DIR [RECIPIENTS [PARTS [VARIABLES]]]\n");
		return 1;
	}
	struct bench b = { .dir = argv[1],
		.recipients = number(argc, argv, 2, 10000),
		.parts = number(argc, argv, 3, 4096),
		.variables = number(argc, argv, 4, 5),
		.rc = 1 };
	if (b.recipients == 0 || b.recipients > STORE_VIEWS_MAX || b.variables > 1000) {
		fprintf(stderr, "merge: 1 to %u recipients, at most 1000 variables\n",
		    STORE_VIEWS_MAX);
		return 1;
	}
	snprintf(uri, sizeof(uri), "emb:%s", argv[1]);
	if (store_open(&b.s, uri, &o, &err) < 0) {
		fprintf(stderr, "merge: %s\n", buf_cstr(&err));
		return 2;
	}
	uint64_t log = log_octets(&b, &o), index = index_octets(&b);
	int64_t start = sys_mono_us();
	double cpu = cpu_us(), n = (double)b.recipients;
	run(&b);
	cpu = cpu_us() - cpu;
	struct store_stats st;
	store_stats(b.s, &st);
	printf("%llu recipients, %llu octets of parts, %llu variables: %.1f us/recipient to hand "
	       "in, %.1f us/recipient to deliver, %.1f us CPU/recipient, log %.0f and index %.0f "
	       "octets/recipient, %llu syncs, %llu index commits%s\n",
	    (unsigned long long)b.recipients, (unsigned long long)b.parts,
	    (unsigned long long)b.variables, (double)(b.handed_in - start) / n,
	    (double)(b.done - b.handed_in) / n, cpu / n, (double)(log_octets(&b, &o) - log) / n,
	    (double)(index_octets(&b) - index) / n, (unsigned long long)st.groups,
	    (unsigned long long)st.index_commits, b.rc ? ", FAILED" : "");
	store_close(b.s);
	return b.rc ? 3 : 0;
}
