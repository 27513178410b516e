/*
 * record: everything a process does to the files below one directory, written down as it happens.
 *
 * The program's own pwrite(), fdatasync(), renameat()... stand in front of the C library's, for
 * our code and for LMDB's alike; calls on other files pass through. The trace and the table of
 * files lie in memory shared with the parent, so several lives of a store, one after another in
 * forked processes on the same directory, make one trace. What is written past these calls would
 * be missed; the simulator notices, because it compares the trace's outcome with the directory.
 *
 * A sync is written down twice, when it begins and when it has succeeded: what was written while
 * it ran is not covered.
 *
 * Besides, a life can be ended (as by SIGKILL) at the N-th record, and the N-th call of a kind
 * can fail.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rec_kind {
	REC_WRITE = 1, /* node, off, len octets */
	REC_SIZE,      /* node, off: the new size */
	REC_SYNC,      /* node: begins */
	REC_SYNCED,    /* node, off: place of its REC_SYNC in the trace */
	REC_MAKE,      /* node: directory, node2: the new file, name */
	REC_MKDIR,     /* the same with a directory */
	REC_LINK,      /* the same with a file that has a name already */
	REC_UNLINK,    /* node: directory, name */
	REC_RENAME,    /* node, name to node2, name2 */
	REC_NOTE,      /* node: enum note, node2 and off: what is noted (facts.h) */
	REC_LIFE,      /* another process begins */
};
enum { REC_DURABLE = 1, REC_ZEROS = 2 }; /* flags of REC_WRITE: O_DSYNC; zeros, not kept */

struct rec {
	uint32_t kind, flags, node, node2, name_len, name2_len;
	uint64_t off, len;
	/* name, name2 and the data follow, then zeros up to a multiple of 8 */
};

enum rec_call { CALL_WRITE, CALL_SYNC, CALL_SIZE, CALL_RENAME, CALL_UNLINK, CALL_OPEN, CALL_N };

#define REC_FILES_MAX 65536
struct rec_shared {
	uint64_t tail;    /* octets of the trace so far */
	uint64_t n;       /* records */
	uint64_t kill_at; /* the record after which the process ends, 0: none */
	uint64_t calls[CALL_N];
	enum rec_call fail_call;
	uint64_t fail_at;  /* which call of that kind, counted from 1; 0: none */
	uint64_t fail_for; /* how many calls in a row fail */
	int fail_errno;    /* 0: a short write */
	uint64_t failed;   /* calls that did */
	unsigned sync_us;  /* a sync takes up to this long */
	char root[4096];
	uint32_t files;
	struct {
		uint64_t dev, ino;
	} file[REC_FILES_MAX]; /* index: node; 0 is the root */
};

/* Everything below root is recorded from now on; root must exist. In the parent, once a trace. */
struct rec_shared *rec_new(const char *root);
void rec_free(struct rec_shared *r);
const char *rec_trace(const struct rec_shared *r);
/* In a child: from here on its calls are recorded. */
void rec_begin(struct rec_shared *r);
void rec_note(uint32_t kind, uint32_t a, uint64_t b);

static inline const struct rec *
rec_at(const char *trace, uint64_t off)
{
	return (const struct rec *)(const void *)(trace + off);
}
static inline uint64_t
rec_size(const struct rec *r)
{
	uint64_t data = r->kind == REC_WRITE && !(r->flags & REC_ZEROS) ? r->len : 0;
	return (sizeof(*r) + r->name_len + r->name2_len + data + 7) & ~(uint64_t)7;
}
static inline const char *
rec_name(const struct rec *r)
{
	return (const char *)(r + 1);
}
static inline const char *
rec_data(const struct rec *r)
{
	return (const char *)(r + 1) + r->name_len + r->name2_len;
}
