/*
 * mail_priv: operations on mail as they pass from the caller to the engine and back.
 *
 * An operation is cut into slices. A slice is one request: the engine calls resolve_mail() for it
 * until there are no more batches, all of which it writes in one group, in that order. What the
 * slice came to stands in the operation when the request comes back; the caller's side adds it up
 * and hands in the next slice. Batches that depend on one another are led by an intent in A, so
 * that a crash between two of them can be made good.
 */
#pragma once

#include "store/keyword.h"
#include "store/mail.h"
#include "store/resolve.h"

#define MAIL_SLICE_LETTERS 1000u
#define MAIL_SLICE_OCTETS (1u << 20) /* and a part of a segment */
#define MAIL_SLICE_LOOKED 20000u /* letters that were only looked at */
_Static_assert(64 + MAIL_COPY_RANGES_MAX * 8 <= STORE_VALUE_MAX, "a copy's intent is a value");

/* Ascending UIDs; ranges_add() joins neighbours. */
struct ranges {
	struct mail_range *p;
	size_t n, cap;
	uint64_t count;
};
void ranges_add(struct ranges *r, uint32_t uid);
void ranges_add_range(struct ranges *r, struct mail_range x);
void ranges_reset(struct ranges *r); /* empty, memory kept */
void ranges_done(struct ranges *r);
void ranges_put(struct buf *b, const struct ranges *r);
/* Behind a 32-bit number; false: they do not ascend. */
bool ranges_get(struct wire *w, size_t max, struct ranges *ret);

enum mail_kind { MAIL_FLAGS, MAIL_EXPUNGE, MAIL_COPY, MAIL_OUTLINES, MAIL_KINDS };

/* Where a copy stands between two slices. */
struct copy_state {
	uint64_t id;    /* of its intent, or 0 */
	uint32_t limit; /* no letter that came later; 0: not yet known */
	bool redo;     /* found by the sweep: where it stands is in the mark */
	bool abort;    /* take the intent away */
};

struct mail_op {
	enum mail_kind kind;
	uint64_t account;
	uint32_t mailbox; /* copy: from */
	struct ranges uids;
	uint32_t at;      /* go on with this UID */
	size_t slice_octets;
	/* flags */
	enum mail_flags_op how;
	uint64_t flags, unchanged_since;
	bool conditional;
	struct buf keywords; /* strings */
	/* expunge */
	bool deleted_only;
	/* copy */
	uint32_t to;
	bool move;
	uint64_t now_ms;
	struct copy_state copy;
	/* outlines: u32 uid, u64 letter, string */
	struct buf outlines;
	/* who does it; by.who empty: no note */
	struct mail_by by; /* views into by_text */
	char *by_text;

	/* What the slice at hand came to. */
	struct {
		struct ranges uids, to, failed;
		uint32_t at;
		bool more;
		uint64_t modseq;
		uint32_t uidvalidity;
		struct copy_state copy;
		unsigned phase; /* copy: what comes next */
		uint64_t bits;  /* flags: with those of keywords */
		struct buf records;  /* copy: strings, record and outline of each letter */
		struct ranges redo;  /* copy: sources that an interrupted slice has left behind */
		struct buf noted;    /* lines "account mailbox letter uid" */
		uint64_t noted_flags; /* that are new somewhere */
	} out;
};
void mail_op_done(struct mail_op *op);
/* The slice's next batch; step counts from 0, where a slice begins (it may do so more than once).
 * 1: its payload was appended to out; 0: there is none, out is as it was; or -errno. */
int resolve_mail(struct mail_op *op, unsigned step, const struct view *v, struct buf *out);
/* A letter of the slice has an event that its history shows. */
void mail_note_letter(struct mail_op *op, uint32_t mailbox, uint64_t letter, uint32_t uid);
/* Appends the payload of the slice's note; false: there is nothing to note. */
bool mail_note_put(const struct mail_op *op, struct buf *out);
/* For these room is kept when the disk is full. */
bool mail_frees(const struct mail_op *op);

/* --- for those who resolve --- */
/* One batch of a mailbox under way. */
struct box {
	const struct view *v;
	struct store_dom dom;
	struct mailbox_head head;
	struct buf *out;
	size_t begin;
	uint32_t n;
};
/* Begins a batch, with the header as it is but for modseq, which is raised. */
int box_begin(struct box *b, const struct view *v, uint64_t account, uint32_t mailbox,
    uint64_t time_ms, struct buf *out);
/* 1, or -errno and out is as it was. write false: nothing has changed, then 0. */
int box_end(struct box *b, int r, bool write);
/* Operations that it takes from a batch. */
uint32_t letter_del(struct buf *out, const struct mailbox_letter *l);
/* The op's next letter from *at on: 1 and its record, copied to record and decoded; 0: there are no
 * more; or -errno. */
int next_letter(struct uid_walk *w, const struct ranges *uids, uint32_t *at, struct buf *record,
    struct mailbox_letter *ret);
int resolve_copy(struct mail_op *op, unsigned step, const struct view *v, struct buf *out);
/* Takes letters out: b's header and V as well. */
int box_vanish(struct box *b, const struct ranges *gone);

/* --- copy intents: A "P|id8", and the mark in the mailbox they go to, of the same name --- */
struct copy_intent {
	uint32_t from, to;
	bool move;
	uint64_t now_ms;
	struct ranges uids;
};
#define COPY_KEY_LEN 10
void copy_key(char out[COPY_KEY_LEN], uint64_t id);
void copy_intent_put(struct buf *b, const struct copy_intent *c);
bool copy_intent_get(struct str value, struct copy_intent *ret); /* ranges_done() */
struct copy_mark {
	uint32_t upto;      /* all UIDs up to it are done, but for the sources that stand here */
	struct ranges uids; /* of the last slice: copied; a move takes them out of their mailbox */
};
void copy_mark_put(struct buf *b, const struct copy_mark *m);
bool copy_mark_get(struct str value, struct copy_mark *ret);

/* --- append.c --- */
bool append_fits(const struct mailbox_append *a, const struct store_body *body);
/* Takes body over. keywords: encoded strings. */
struct letter *append_letter(
    struct store_body *body, const struct mailbox_append *a, struct str keywords);

/* --- names.c, options.c, urlkey.c --- */
/* The value of A's "T|mailbox4": version (1), 4 special use. */
bool special_get(struct str value, uint32_t *ret);
void special_put(struct buf *b, uint32_t special);
/* The value of A's "U|mailbox4". */
bool url_key_get(struct str value, unsigned char ret[MAIL_URL_KEY_LEN]);
struct str options_key(char out[10], uint64_t account);
bool options_get(struct str value, struct mail_options *ret);
/* A batch that makes a mailbox's header unless it is there (-EAGAIN). */
struct store_batch *head_batch(struct store *s, uint64_t account, uint32_t mailbox);
/* Special folders that an account is made with: numbers from MAILBOX_INBOX + 1. */
struct mail_folder {
	const char *name;
	uint32_t special;
};
#define MAIL_FOLDERS 5u
extern const struct mail_folder mail_folders[MAIL_FOLDERS];
/* "w|mailbox4" of a deleted mailbox: one octet. */
enum wipe_state { WIPE_OPEN, WIPE_DONE };

/* --- wipe.c --- */
/* Removes all keys of a domain, some at a time. Of a mailbox why says what the histories of its
 * letters end with; else NULL. */
void domain_wipe(
    struct store *s, const struct store_dom *d, const char *why, store_fn *fn, void *arg);
/* The same for a deleted mailbox, whose state in A becomes WIPE_DONE. */
void mailbox_wipe(struct store *s, uint64_t account, uint32_t mailbox, store_fn *fn, void *arg);

/* --- account.c --- */
/* Makes the folders of an account that has an entry in the directory and nothing else. */
void account_finish(struct store *s, uint64_t account, store_fn *fn, void *arg);

/* --- mail.c --- */
/* Goes on with a copy whose intent is there; takes c's ranges over. */
void copy_redo(struct store *s, uint64_t account, uint64_t id, struct copy_intent *c, mail_fn *fn,
    void *arg);
