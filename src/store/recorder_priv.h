/* Inside the recorder: the thread (recorder.c), the files it has open (recorder_files.c). */
#pragma once

#include "store/emb.h"
#include "store/recorder.h"
#include "store/recorder_file.h"

/* A file that is full. */
struct sealed {
	uint64_t number, octets, last_ms;
};

struct recorder {
	struct emb *e;
	int dir, log; /* DIR/trace; DIR/log, not ours */
	/* under e->m */
	uint64_t size, keep_ms;
	bool stop, urgent;
	struct recorder_stats stats;
	struct cond progress;
	uint64_t followed;

	/* the thread's own */
	uint64_t file_max;     /* how long a file gets, */
	uint64_t file_bytes;   /* and with a small limit */
	uint64_t at;           /* lsn: all below it is in the files or in out */
	struct sealed *sealed; /* ascending */
	size_t n_sealed, cap_sealed;
	int fd;                   /* of the file that is written to */
	struct table_head now;    /* it: number, size as written, times */
	struct contents contents; /* of it */
	struct buf out;           /* records that are still to be written */
	uint64_t records, lost;
	bool unsynced;     /* written since the last sync */
	int trouble;       /* what the disk said last, or 0 */
	unsigned troubles; /* in a row, not counting a full disk */
	int place_fd;

	struct thread thread;
};

/* recorder_files.c: all 0 or -errno */
int recorder_dir_open(struct recorder *r); /* makes it when it is not there */
/* Repairs what was interrupted and finds where to go on; *ret_cut: octets that were cut off. */
int recorder_files_open(struct recorder *r, uint64_t durable, uint64_t *ret_cut);
void recorder_files_close(struct recorder *r);
/* A history is to be written; the record's octets are kept until recorder_flush(). */
int recorder_add(struct recorder *r, uint64_t lsn, struct str payload,
    const struct trace_payload *t);
int recorder_flush(struct recorder *r);
/* What was added since the last flush is passed over. */
void recorder_drop(struct recorder *r);
int recorder_seal(struct recorder *r);   /* the file that is written to ends; there is one */
int recorder_settle(struct recorder *r); /* what is written is on the disk */
int recorder_place(struct recorder *r);  /* says how far it is */
/* Removes what is too much or too old; force: the oldest in any case. True: something went. */
bool recorder_shed(struct recorder *r, uint64_t size, uint64_t before_ms, bool force);
