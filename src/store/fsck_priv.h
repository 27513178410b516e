/* fsck: what its two passes share. The log is read first, then the index against it. */
#pragma once

#include "base/map.h"
#include "store/fsck.h"
#include "store/index.h"
#include "store/logread.h"
#include "store/mailbox.h"
#include "store/record.h"

#define FSCK_TEXT_MAX (4u << 20) /* of problems; more are only counted */
#define FSCK_MOMENT_MS 100       /* what looks wrong beside a running server is looked at again */

struct fsck_ver {
	uint64_t last;    /* the domain's version in the log */
	uint64_t applied; /* the same, of what the index must have */
};

struct fsck {
	struct fsck_report *report;
	void (*progress)(void *arg, uint64_t done, uint64_t all);
	void *arg;
	uint64_t done, all;
	int dir, log, blob, readers;
	unsigned char id[STORE_ID_LEN];
	bool has_id;
	struct index ix;
	bool has_index;
	uint64_t applied;  /* of the index, before the log was read */
	struct map vers;   /* domain to struct fsck_ver * */
	struct map users;  /* account8 to itself: known or removed accounts */
	struct checkpoint cp; /* the last one seen in the log */
	bool at_end;       /* the log's end was found: what follows is not written yet */
	struct logread at; /* the segment that a reference was last looked up in */
};

void fsck_problem(struct fsck *f, const char *fmt, ...) PRINTF(2, 3);
void fsck_step(struct fsck *f, uint64_t octets);
void fsck_moment(void);
void fsck_forget_versions(struct fsck *f);
/* fsck_log.c */
int fsck_log(struct fsck *f);
/* fsck_body.c */
void fsck_blob(struct fsck *f, uint64_t lsn, const struct blob_record *b);
/* Does ref lead to a frame that is this letter's body? NULL, or what is wrong. */
const char *fsck_ref(struct fsck *f, const struct store_ref *ref, uint64_t letter);
/* fsck_index.c */
int fsck_index(struct fsck *f);
/* fsck_refs.c: in the index, what is derived against what it is derived from */
int fsck_derived(struct fsck *f, MDB_txn *txn);
void fsck_letter_derived(struct fsck *f, MDB_txn *txn, const struct store_dom *d, uint32_t uid,
    const struct mailbox_letter *l);
int fsck_checkpoint(struct fsck *f);
int fsck_checkpoint_noted(struct fsck *f, struct checkpoint *ret);
