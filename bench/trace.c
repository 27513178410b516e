/*
 * trace: makes the recorded histories of many letters, as the recorder would, and looks for some of
 * them by everything they are found by.
 *
 *   bench_trace [-m LETTERS] [-h OCTETS] [-s SEARCHES] [-c] [-k] DIR
 *
 *   -m  letters (1000000)
 *   -h  octets of a letter's conversation (400)
 *   -s  searches of each kind (20)
 *   -c  the page cache is emptied before each search: all of it where that is allowed
 *       (/proc/sys/vm/drop_caches), else of these files
 *   -k  keep the files; those that are there already are searched
 *
 * Each letter comes from one of a thousand senders to two of a hundred thousand recipients, by one
 * of two thousand hosts, in a session of its own, with a Message-ID and a queue id; for every
 * second one an attempt is recorded too. A search ends at a thousand records. The newest file has
 * no table, as in a server that is at work.
 */
#include "base/check.h"
#include "base/num.h"
#include "log/log.h"
#include "store/recorder.h"
#include "store/recorder_file.h"
#include "store/segment.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EPOCH_MS UINT64_C(1780000000000)
#define STEP_MS 86
#define RECORDS_MAX 1000

static const unsigned char store_id[STORE_ID_LEN] = "bench-of-traces";

struct making {
	int dir, fd;
	uint64_t lsn, octets, records;
	size_t history;
	struct buf out, payload;
	struct contents contents;
	struct table_head now;
	char *text;
};

static void
fail(const char *what, int rc)
{
	fprintf(stderr, "bench_trace: %s: %s\n", what, strerror(-rc));
	exit(2);
}

static uint64_t
id_of(uint64_t i)
{
	return (EPOCH_MS + i * STEP_MS) << 22 | (i & 0xfff);
}

static void
begin_file(struct making *m)
{
	char name[TRC_NAME_LEN];
	unsigned char head[TRC_HEAD];
	struct trc_head h = { m->now.number + 1, EPOCH_MS, m->lsn, { 0 } };
	memcpy(h.id, store_id, STORE_ID_LEN);
	trc_head_put(head, &h);
	trc_name(name, h.number, "trc");
	m->fd = openat(m->dir, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	int rc = m->fd < 0 ? -1 : pwrite_all(m->fd, head, sizeof(head), 0);
	if (rc < 0)
		fail(name, rc);
	contents_reset(&m->contents);
	m->now =
	    (struct table_head){ .number = h.number, .size = TRC_HEAD, .first_ms = UINT64_MAX };
	memcpy(m->now.id, store_id, STORE_ID_LEN);
}

static void
flush(struct making *m)
{
	int rc = pwrite_all(m->fd, m->out.p, m->out.len, m->now.size);
	if (rc < 0)
		fail("writing", rc);
	m->now.size += m->out.len;
	buf_reset(&m->out);
}

static void
end_file(struct making *m)
{
	flush(m);
	m->now.lsn = m->lsn;
	int rc = table_write(m->dir, &m->now, &m->contents);
	if (rc < 0)
		fail("the table", rc);
	m->octets += m->now.size + table_octets(&m->now);
	close(m->fd);
	m->fd = -1;
}

static void
add(struct making *m, const struct store_note *n)
{
	struct trace_payload t;
	buf_reset(&m->payload);
	trace_payload_put_note(&m->payload, n);
	check(!m->payload.failed && trace_payload_get(buf_str(&m->payload), &t));
	uint64_t size = trc_size(m->payload.len);
	if (m->fd >= 0 && m->now.size + m->out.len + size > RECORDER_FILE_BYTES)
		end_file(m);
	if (m->fd < 0)
		begin_file(m);
	uint64_t at = m->now.size + m->out.len;
	trc_record_put(&m->out, at, m->lsn, store_id, buf_str(&m->payload));
	contents_add(&m->contents, &m->now, at, &t);
	m->lsn += 4096;
	m->records++;
	if (m->out.len > (1u << 20))
		flush(m);
}

static void
add_letter(struct making *m, uint64_t i)
{
	char qid[24], from[48], rcpts[128], mid[64], peer[24];
	snprintf(qid, sizeof(qid), "q%" PRIx64, i * 2654435761u);
	snprintf(from, sizeof(from), "sender%" PRIu64 "@example.net", i % 1000);
	snprintf(rcpts, sizeof(rcpts),
	    "%" PRIu64 " 1 user%" PRIu64 "@example.com\n0 0 user%" PRIu64 "@example.org\n", i % 977,
	    i * 7 % 100000, i * 13 % 100000);
	snprintf(mid, sizeof(mid), "<%" PRIu64 ".message@example.net>", i);
	snprintf(peer, sizeof(peer), "192.0.%" PRIu64 ".%" PRIu64, i % 8, i / 8 % 250);
	struct store_note n = { .kind = STORE_NOTE_LETTER,
		.letter = id_of(i),
		.session = id_of(i) + 1,
		.time_ms = EPOCH_MS + i * STEP_MS,
		.qid = str_of(qid),
		.from = str_of(from),
		.rcpts = str_of(rcpts),
		.message_id = str_of(mid),
		.peer = str_of(peer),
		.octets = str_n(m->text, m->history) };
	add(m, &n);
	if (i % 2)
		return;
	n.kind = STORE_NOTE_ATTEMPT;
	n.from = n.message_id = n.peer = STR_NULL;
	n.octets = str_n(m->text, m->history / 2);
	add(m, &n);
}

static void
make(struct making *m, uint64_t letters)
{
	int64_t from = sys_mono_ms();
	for (uint64_t i = 0; i < letters; i++)
		add_letter(m, i);
	if (m->fd >= 0) {
		flush(m);
		m->octets += m->now.size;
		close(m->fd);
	}
	double s = (double)(sys_mono_ms() - from) / 1000;
	printf("made %" PRIu64 " letters, %" PRIu64 " records, %" PRIu64
	       " files, %.2f GB in %.1f s (%.0f "
	       "letters/s)\n",
	    letters, m->records, m->now.number, (double)m->octets / 1e9, s, (double)letters / s);
}

/* --- searching --- */

static void
chill(int dir)
{
	int all = open("/proc/sys/vm/drop_caches", O_WRONLY);
	if (all >= 0) {
		bool done = write(all, "3\n", 2) == 2;
		close(all);
		if (done)
			return;
	}
	uint64_t *numbers = NULL;
	size_t n = 0;
	check(trc_list(dir, &numbers, &n) == 0);
	for (size_t i = 0; i < 2 * n; i++) {
		char name[TRC_NAME_LEN];
		trc_name(name, numbers[i / 2], i % 2 ? "idx" : "trc");
		int fd = openat(dir, name, O_RDONLY);
		if (fd < 0)
			continue;
		(void)fdatasync(fd);
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
	}
	free(numbers);
}

struct counting {
	uint64_t n, limit;
};

static bool
count(void *arg, const struct trace_found *f)
{
	struct counting *c = arg;
	return ++c->n < c->limit;
}

static uint64_t
run(struct trace_search *s)
{
	struct counting c = { 0, RECORDS_MAX };
	int rc;
	while ((rc = trace_search_step(s, count, &c)) == 1)
		;
	if (rc < 0)
		fail("searching", rc);
	trace_search_free(s);
	return c.n;
}

static uint64_t
search(const char *dir, const struct trace_query *q)
{
	struct trace_search *s;
	int rc = trace_search_new(&s, dir, q);
	if (rc < 0)
		fail(dir, rc);
	return run(s);
}

/* n letters from all over the files. */
static uint64_t
search_letters(const char *dir, uint64_t letters, uint64_t from, size_t n, bool arrival)
{
	struct trace_search *s;
	uint64_t *id = xalloc(n * sizeof(*id));
	for (size_t i = 0; i < n; i++)
		id[i] = id_of((from + i * (letters / n + 1)) % letters);
	int rc = trace_search_letters(&s, dir, id, n, arrival);
	free(id);
	if (rc < 0)
		fail(dir, rc);
	return run(s);
}

enum kind {
	BY_QID,
	BY_LETTER,
	BY_SESSION,
	BY_MESSAGE_ID,
	BY_RCPT,
	BY_SENDER,
	BY_PEER,
	BY_MINUTE,
	BY_NOBODY,
	BY_BOTH,
	BY_WRONG,
	BY_LETTERS,
	BY_ARRIVALS,
	KINDS
};
static const char *const kinds[KINDS] = { "queue id", "letter", "session", "Message-ID",
	"recipient", "sender", "peer", "a minute", "nobody", "sender and recipient",
	"a sender that is a recipient", "100 letters", "1000 arrivals" };

static void
text_of(enum kind kind, uint64_t i, char text[64])
{
	if (kind == BY_QID)
		snprintf(text, 64, "q%" PRIx64, i * 2654435761u);
	else if (kind == BY_LETTER || kind == BY_SESSION)
		id_format(text, id_of(i) + (kind == BY_SESSION));
	else if (kind == BY_MESSAGE_ID)
		snprintf(text, 64, "<%" PRIu64 ".message@example.net>", i);
	else if (kind == BY_SENDER)
		snprintf(text, 64, "sender%" PRIu64 "@example.net", i % 1000);
	else if (kind == BY_PEER)
		snprintf(text, 64, "192.0.%" PRIu64 ".%" PRIu64, i % 8, i / 8 % 250);
	else if (kind == BY_NOBODY)
		snprintf(text, 64, "nobody%" PRIu64 "@example.com", i);
	else
		snprintf(text, 64, "user%" PRIu64 "@example.com", i * 7 % 100000);
}

static uint64_t
look_for(const char *dir, enum kind kind, uint64_t letters, uint64_t i)
{
	char text[64], sender[64];
	struct trace_query q = { .key = STR_NULL };
	uint64_t ms = EPOCH_MS + i * STEP_MS;
	text_of(kind, i, text);
	text_of(BY_SENDER, i, sender);
	if (kind == BY_LETTERS || kind == BY_ARRIVALS)
		return search_letters(dir, letters, i, kind == BY_LETTERS ? 100 : 1000,
		    kind == BY_ARRIVALS);
	if (kind == BY_MINUTE)
		q = (struct trace_query){ .since_ms = ms, .until_ms = ms + 60000 };
	else if (kind == BY_BOTH)
		q = (struct trace_query){ .from = str_of(sender), .to = str_of(text) };
	else if (kind == BY_WRONG)
		q = (struct trace_query){ .from = str_of(text) };
	else
		q.key = str_of(text);
	return search(dir, &q);
}

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void
look(const char *dir, int trace, uint64_t letters, uint64_t n, bool cold)
{
	int64_t *took = xalloc((n + 1) * sizeof(*took));
	for (size_t k = 0; k < KINDS; k++) {
		uint64_t hits = 0;
		for (uint64_t i = 0; i < n; i++) {
			if (cold)
				chill(trace);
			int64_t from = sys_mono_us();
			hits += look_for(dir, (enum kind)k, letters,
			    (i * 2 + 1) * letters / (2 * n + 1));
			took[i] = sys_mono_us() - from;
		}
		qsort(took, n, sizeof(*took), by_size);
		printf("by %-28s %8.1f ms median, %8.1f ms worst, %.1f records each\n", kinds[k],
		    (double)took[n / 2] / 1000, (double)took[n - 1] / 1000,
		    (double)hits / (double)n);
	}
	free(took);
}

int
main(int argc, char **argv)
{
	uint64_t letters = 1000000, history = 400, searches = 20;
	bool cold = false, keep = false;
	for (int c; (c = getopt(argc, argv, "m:h:s:ck")) != -1;) {
		uint64_t *to = c == 'm' ? &letters : c == 'h' ? &history : &searches;
		cold = cold || c == 'c';
		keep = keep || c == 'k';
		if (c == '?' || (c != 'c' && c != 'k' && !num_u64(str_of(optarg), 1u << 30, to)))
			return 1;
	}
	if (optind + 1 != argc || letters == 0 || searches == 0)
		return fprintf(stderr, "usage: bench_trace [-m N] [-h N] [-s N] [-c] [-k] DIR\n"),
		       1;
	char path[4096];
	snprintf(path, sizeof(path), "%s/log", argv[optind]);
	int rc = dir_make(path, 0700);
	snprintf(path, sizeof(path), "%s/trace", argv[optind]);
	if (rc == 0)
		rc = dir_make(path, 0700);
	struct making m = { .dir = open(path, O_RDONLY | O_DIRECTORY),
		.fd = -1,
		.lsn = 64,
		.history = history,
		.out = BUF_INIT(4u << 20),
		.payload = BUF_INIT(1u << 20) };
	if (rc < 0 || m.dir < 0)
		fail(path, rc < 0 ? rc : -1);
	m.text = xalloc(history + 1);
	for (size_t i = 0; i < history; i++)
		m.text[i] = i % 60 == 59 ? '\n' : (char)('a' + i % 26);
	char first[TRC_NAME_LEN];
	trc_name(first, 1, "trc");
	if (!keep || faccessat(m.dir, first, F_OK, 0) != 0)
		make(&m, letters);
	look(argv[optind], m.dir, letters, searches, cold);
	buf_done(&m.out);
	buf_done(&m.payload);
	contents_done(&m.contents);
	free(m.text);
	close(m.dir);
	return 0;
}
