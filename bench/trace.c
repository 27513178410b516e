/*
 * trace: makes the recorded histories of many letters, as the recorder would, and looks for some of
 * them by everything they are found by.
 *
 *   bench_trace [-m LETTERS] [-h OCTETS] [-s SEARCHES] [-c] [-k] DIR
 *
 *   -m  letters (1000000)   -h  octets of a letter's conversation (400)   -s  searches of each kind
 * (20) -c  the files are put out of the page cache before each search   -k  keep the files; those
 * that are there already are searched
 *
 * Each letter comes from one of a thousand senders to two of a hundred thousand recipients, by one
 * of two thousand hosts, in a session of its own, with a Message-ID and a queue id; for every
 * second one an attempt is recorded too.
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

static const unsigned char store_id[STORE_ID_LEN] = "bench-of-traces";

struct making {
	int dir, fd;
	uint64_t lsn, octets, records;
	size_t history;
	struct buf out, payload;
	struct digests digests;
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

struct adding {
	struct digests *d;
	uint64_t at;
};

static bool
add_key(void *arg, struct str key)
{
	struct adding *a = arg;
	digests_add(a->d, trace_key_digest(store_id, key), a->at);
	return true;
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
	m->digests.n = 0;
	m->now =
	    (struct table_head){ .number = h.number, .size = TRC_HEAD, .first_ms = UINT64_MAX };
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
	m->now.n = (uint32_t)m->digests.n;
	m->now.lsn = m->lsn;
	int rc = table_write(m->dir, &m->now, &m->digests);
	if (rc < 0)
		fail("the table", rc);
	m->octets += m->now.size + (uint64_t)m->digests.n * TABLE_ENTRY;
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
	struct adding a = { &m->digests, m->now.size + m->out.len };
	trc_record_put(&m->out, a.at, m->lsn, store_id, buf_str(&m->payload));
	trace_keys_each(&t, add_key, &a);
	m->now.first_ms = MIN(m->now.first_ms, n->time_ms);
	m->now.last_ms = MAX(m->now.last_ms, n->time_ms);
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
	if (m->fd >= 0)
		end_file(m);
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
search(const char *dir, struct trace_query q)
{
	struct trace_search *s;
	struct counting c = { 0, 1000 };
	int rc = trace_search_new(&s, dir, &q);
	if (rc < 0)
		fail(dir, rc);
	while ((rc = trace_search_step(s, count, &c)) == 1)
		;
	if (rc < 0)
		fail("searching", rc);
	trace_search_free(s);
	return c.n;
}

static const char *const kinds[] = { "queue id", "letter", "session", "Message-ID", "recipient",
	"sender", "peer", "a minute", "nobody" };

static struct trace_query
query_of(size_t kind, uint64_t i, char text[64])
{
	struct trace_query q = { .key = STR_NULL };
	uint64_t ms = EPOCH_MS + i * STEP_MS;
	text[0] = '\0';
	switch (kind) {
	case 0:
		snprintf(text, 64, "q%" PRIx64, i * 2654435761u);
		break;
	case 1:
	case 2:
		id_format(text, id_of(i) + kind - 1);
		break;
	case 3:
		snprintf(text, 64, "<%" PRIu64 ".message@example.net>", i);
		break;
	case 4:
		snprintf(text, 64, "user%" PRIu64 "@example.com", i * 7 % 100000);
		break;
	case 5:
		snprintf(text, 64, "sender%" PRIu64 "@example.net", i % 1000);
		break;
	case 6:
		snprintf(text, 64, "192.0.%" PRIu64 ".%" PRIu64, i % 8, i / 8 % 250);
		break;
	case 7:
		q.since_ms = ms;
		q.until_ms = ms + 60000;
		break;
	default:
		snprintf(text, 64, "nobody%" PRIu64 "@example.com", i);
	}
	q.key = str_of(text);
	return q;
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
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		uint64_t hits = 0;
		for (uint64_t i = 0; i < n; i++) {
			char text[64];
			struct trace_query q =
			    query_of(k, (i * 2 + 1) * letters / (2 * n + 1), text);
			if (cold)
				chill(trace);
			int64_t from = sys_mono_us();
			hits += search(dir, q);
			took[i] = sys_mono_us() - from;
		}
		qsort(took, n, sizeof(*took), by_size);
		printf("by %-11s %8.1f ms median, %8.1f ms worst, %.1f records each\n", kinds[k],
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
	digests_done(&m.digests);
	free(m.text);
	close(m.dir);
	return 0;
}
