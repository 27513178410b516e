/* fsck: reads everything in a store's directory, changes nothing, and says what is wrong. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdint.h>

struct fsck_report {
	uint64_t segments, frames, letters, mailboxes, queued, records, bodies_checked, bytes;
	uint64_t histories; /* files of them */
	uint64_t problems;
	struct buf text; /* one line per problem; empty when there is none */
};
/* 0 when it could look (problems counts what it found), else -errno. Works beside a running
 * server. progress may be NULL. */
int fsck_run(const char *dir, struct fsck_report *ret,
    void (*progress)(void *arg, uint64_t done, uint64_t all), void *arg);
/* The same; queued judges what the store does not look into: an entry's value and state (p NULL: none).
 * NULL, or what is wrong with them. */
typedef const char *fsck_queued_fn(struct str value, struct str state);
int fsck_run_queued(const char *dir, struct fsck_report *ret, fsck_queued_fn *queued,
    void (*progress)(void *arg, uint64_t done, uint64_t all), void *arg);
/* Makes the index of a store that nobody has open anew; ret->letters and ret->mailboxes are what
 * it has. 0 or -errno with a line in err. */
int fsck_rebuild(const char *dir, struct fsck_report *ret,
    void (*progress)(void *arg, uint64_t done, uint64_t all), void *arg, struct buf *err);
void fsck_report_done(struct fsck_report *r);
