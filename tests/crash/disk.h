/*
 * disk: what a disk may hold after the power went, given the trace of what was written.
 *
 * A trace is played record by record. Of each file the disk keeps what was synced; everything
 * written since then is pending, as are the names made, moved and removed in a directory since
 * that directory was synced. disk_crash() makes one of the states in which the disk may be found:
 * of what is pending, each sector (512 octets) is kept, lost or torn by itself; a file's new size
 * is kept or lost; each change of a directory is kept or lost, a rename as a whole. An O_DSYNC
 * write counts as synced when it has returned.
 *
 * Not in the model: a disk that loses what it said was safe, and torn sectors in the two pages
 * that say where LMDB's tree begins (LMDB relies on a sector being written whole or not at all;
 * our own files do not).
 */
#pragma once

#include "record.h"

struct disk;
struct disk *disk_new(void);
struct disk *disk_free(struct disk *d);
/* Plays one record. */
void disk_play(struct disk *d, const struct rec *r, uint64_t place);

/* Makes the directory `to` (not there yet) a state after a power cut at `place` in the trace,
 * chosen by seed. begun: the record that stands there, or NULL; if it is a write, it was under
 * way. Returns how what was pending is treated, for people. */
const char *disk_crash(struct disk *d, const struct rec *begun, uint64_t place, uint64_t seed,
    const char *to);
/* Everything kept: what a process that was killed leaves to the next one. */
void disk_whole(const struct disk *d, const char *to);
