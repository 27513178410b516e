/*
 * recorder: keeps histories longer than the log does, so that they can be found in a moment.
 *
 * A thread of its own follows the log up to what is durable, a few times a second, and copies
 * each history's frame into DIR/trace (recorder_file.h). Nothing waits for it: letters are
 * acknowledged without it, and a search looks through what it has not followed yet in the log
 * itself. No segment is freed before it has been followed and what it held is on the disk.
 *
 * When a file is full, or a tenth of keep_ms old, its table is written and the next one begun. The
 * oldest files go when they are older than keep_ms or all take more than `size`. A disk that is
 * full takes the oldest file; if there is only one left, histories are passed over, and the log
 * says so: letters come first.
 *
 * kill -9 at any time: nothing is lost but time, since the log has it. After a power loss the last
 * file is cut behind its last whole record, or at its first gap, and the log is followed from
 * there.
 *
 * Opening, closing and the rest belong to the thread that has the store.
 */
#pragma once

#include "base/buf.h"
#include "store/recorder_keys.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

#define RECORDER_FILE_BYTES (32u << 20)
#define RECORDER_DAY_MS UINT64_C(86400000)

struct recorder;
struct recorder_options {
	uint64_t file_bytes; /* RECORDER_FILE_BYTES; less with a small size */
	uint64_t size;       /* of all files */
	uint64_t keep_ms;
};

/* s: opened with the option `followed`, engine "emb:"; it is closed after the recorder. 0 or -errno
 * with one line in err. */
int recorder_open(struct recorder **ret, struct store *s, const struct recorder_options *o,
    struct buf *err);
/* Follows what is durable, writes it and ends. NULL is allowed; returns NULL. */
struct recorder *recorder_close(struct recorder *r);
void recorder_limits(struct recorder *r, uint64_t size, uint64_t keep_ms);
/* Blocks until everything that is durable now is followed (tests). */
void recorder_sync(struct recorder *r);

struct recorder_stats {
	uint64_t records, files, octets; /* written since the start; there now */
	uint64_t lag;                    /* octets of the log that are not followed yet */
	uint64_t lost;                   /* histories passed over since the start */
};
void recorder_stats(struct recorder *r, struct recorder_stats *ret);

/* --- finding; any process that may read DIR --- */
struct trace_found {
	struct trace_payload t; /* views until the callback returns */
	uint64_t lsn;
};
typedef bool trace_found_fn(void *arg, const struct trace_found *f); /* false: stop */
struct trace_search;
/* What q has is copied. 0 or -errno. */
int trace_search_new(struct trace_search **ret, const char *dir, const struct trace_query *q);
/* All that is about these letters; arrival: only how each came, and that only where the time in its
 * id says that it should be. Copied. */
int trace_search_letters(struct trace_search **ret, const char *dir, const uint64_t *letters,
    size_t n, bool arrival);
struct trace_search *trace_search_free(struct trace_search *s);
/* A slice of the work, some milliseconds: 1: there is more; 0: that was all; or -errno. Newest
 * files come first; a history may come twice (with the same lsn) while the recorder goes on. */
int trace_search_step(struct trace_search *s, trace_found_fn *fn, void *arg);

/* Histories in the log from lsn on, in order, at most max octets of log; *ret_lsn: where to go on.
 * lsn 0: from the end. For who looks on. 0 or -errno. */
int trace_follow(const char *dir, uint64_t lsn, uint64_t max, trace_found_fn *fn, void *arg,
    uint64_t *ret_lsn);
