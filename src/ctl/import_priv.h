/*
 * import_priv: mailbox import. A source is one or more parts (an mbox file, a Maildir folder),
 * each of which goes into one mailbox and is one job there. Letters are packed, and a pack is
 * with the server while the next one is made.
 *
 * A job's marks stand in the mailbox and change with each letter, in one batch: an mbox file has
 * one, which says where its last letter is; a directory has one for each file's name. So it does
 * not matter where an import was cut short, or what the server's last answer would have been.
 */
#pragma once

#include "base/buf.h"
#include "ctl/ctl_priv.h"
#include "ipc/pack.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define JOB_HEX 32

enum import_kind { IMPORT_MBOX, IMPORT_MAILDIR, IMPORT_EML };

struct import_counts {
	uint64_t letters, octets; /* in the mailbox since this command began */
	uint64_t known;           /* were there already */
	uint64_t too_large, internal, gone;
};

struct import {
	struct ctl_call *call;
	const char *address;
	enum import_kind kind;
	const char *format; /* as asked for, or NULL */
	uint64_t max;       /* octets of a letter */
	struct import_counts n;

	/* the part at hand */
	char *source;     /* its name for people and for the letters' history */
	uint64_t account;
	uint64_t mailbox; /* 0: it would be made (dry run) */
	char job[JOB_HEX + 1]; /* empty: not resumable */
	struct buf position;   /* the job's own mark as it was, empty: none */
	struct buf keys;       /* PACK_KEY_LEN octets each, in order */

	/* packs */
	struct buf pack;
	size_t n_packed;
	bool under_way, sent; /* a pack; one ever was */
	int status; /* EXIT_DONE, or how it failed; then nothing more is sent */

	/* progress */
	int64_t began_ms, shown_ms;
	uint64_t todo, done; /* octets of a file, or letters of a directory */
	uint64_t seen, seen_octets; /* letters read */
	bool shown;
};

/* SIGINT or SIGTERM came: end soon. */
extern volatile sig_atomic_t import_signal;
bool import_goes_on(const struct import *i);

/* import_job.c */
/* Finds the mailbox and what the job there has done; `identity` names the job: kind and path,
 * NULL: it cannot be resumed. False after a message, with i->status set. */
bool import_part_begin(struct import *i, const char *mailbox, const char *identity);
bool import_knows(const struct import *i, const unsigned char key[PACK_KEY_LEN]);
void import_key(unsigned char out[PACK_KEY_LEN], struct str name);

/* import_send.c: between begin and end the caller appends the letter's octets to i->pack. */
size_t import_letter_begin(struct import *i);
void import_letter_drop(struct import *i, size_t at);
/* Sends the pack when it is full. */
void import_letter_end(struct import *i, size_t at, const struct pack_letter *l);
bool import_part_end(struct import *i); /* sends what is left and waits; false: it failed */

/* import_mbox.c, import_dir.c: true, or false with i->status set after a message. */
bool import_mbox(struct import *i, const char *path, const char *mailbox);
/* Opens a source; a descriptor or -errno. Root follows a symbolic link only if it is root's own:
 * anybody can make one that leads to somebody else's mail. */
int import_open(const char *path, int flags);
bool import_dir(struct import *i, const char *path, const char *mailbox);

/* import_show.c */
void import_show(struct import *i, bool now);
void import_show_clear(struct import *i);
void import_show_end(struct import *i);
/* Something that happened, control characters escaped; above the progress. */
void import_note(struct import *i, const char *fmt, ...) PRINTF(2, 3);
