/*
 * Recovery's two halves: recover.c opens the writer, replay.c reads the log into the index and
 * says what stands behind its end.
 */
#pragma once

#include "store/emb.h"
#include "store/logread.h"

/* rc, with a line in err. */
int recover_say(struct buf *err, int rc, const char *what, const char *remedy);
int recover_segment_bad(struct buf *err, int rc, uint64_t seq);

struct tail {
	bool dirty; /* something stands there */
	bool later; /* a frame of a later group: what stands before it had been synced */
};

/* What stands from off to the end of the segment. */
int tail_look(
    struct emb *e, int fd, uint64_t seq, uint64_t off, uint64_t size, struct tail *ret);
int tail_clean(int fd, uint64_t off, uint64_t size);

struct replay {
	struct emb *e;
	struct logread r;
	struct index_write w;
	struct index_meta meta;
	bool open;
	size_t ops; /* so many are committed at once */
	struct buf *err;
};

/* From meta.applied to the log's end, which e->seg_seq and e->seg_off are then. */
int replay_run(struct replay *p, uint64_t last_seq);
