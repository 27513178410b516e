/*
 * mailbox: accounts, mailboxes and their letters, as records in store's domains.
 *
 * Layout (docs/format.md): G: "u|addr" -> account8, "d|domain", "a|addr" alias, "n|account" the
 * last account's number, "x|account8" removed accounts; A: "M|mbox4" -> name, "N|name" -> mbox4;
 * B: "H" header, "R|uid4" letter, "D|letter8|rcpt" dedup (of a merge: "D|letter8|number4"),
 * "C|modseq8|uid4", "V|modseq8" -> UIDs that vanished, "K" keywords, "E|uid4" outline, "P|copy8"
 * how far a copy into it is, "I|..." marks of imports. A also: "n|mailbox", the last mailbox's
 * number, "T|mbox4" attributes, "U|mbox4" keys for URLs, "S|name" subscriptions, "P|copy8" copies
 * under way, "w|mbox4" deleted mailboxes. G also: "o|account8" options. N's value 0: the name
 * cannot be selected. Numbers in keys are big-endian; the "|" is the octet 0x7c.
 */
#pragma once

#include "store/store.h"

#define MAILBOX_INBOX 1u
#define MAILBOX_NAME_STORED_MAX (STORE_KEY_MAX - 2) /* octets of a name that can be made */

/* Bits of a letter's flags (RFC 9051 2.3.2). Bits 5 to 15 are free for more system flags, 16 to
 * 63 are for keywords that the mailbox names. */
#define MAILBOX_KEYWORD_FIRST 16u
#define MAILBOX_FLAGS_KEYWORDS (~0ull << MAILBOX_KEYWORD_FIRST)
enum {
	MAILBOX_SEEN = 1u << 0,
	MAILBOX_ANSWERED = 1u << 1,
	MAILBOX_FLAGGED = 1u << 2,
	MAILBOX_DELETED = 1u << 3,
	MAILBOX_DRAFT = 1u << 4,
	MAILBOX_FLAGS_SYSTEM = (1u << 5) - 1,
};

/* That of a mailbox to which nothing has come. RFC 7162 lets no client say 0, and one that says 1
 * has seen no letter. */
#define MAILBOX_MODSEQ_MIN 1u

struct mailbox_head {
	uint32_t uidvalidity, uidnext;
	uint64_t modseq;
	uint64_t messages, bytes;
	uint32_t unseen, deleted; /* letters without \Seen, with \Deleted */
	uint64_t deleted_bytes;   /* of those with \Deleted */
	uint64_t floor;    /* of what vanished up to this modseq not all is known */
	uint32_t vanished; /* ranges in V records */
	bool uncounted;    /* from mailbox_head_get(): version 1, unseen and deleted are not known */
};

struct mailbox_letter {
	uint32_t uid;
	uint64_t modseq;
	uint64_t time_ms;     /* internal date */
	uint64_t size;        /* of the whole letter as read: all pieces */
	uint64_t saved_ms;    /* when it came into this mailbox (RFC 8514) */
	uint64_t flags;       /* MAILBOX_SEEN ..., keywords */
	uint64_t letter;      /* the same for all its copies (RFC 8474 EMAILID) */
	struct store_ref ref;
	uint32_t trace_len;   /* octets of the ref that are our trace header */
	uint32_t header_len;  /* octets behind it that are header as received */
	bool insert_blank;
	uint64_t trace_lsn;   /* of its history's frame in the log, 0: unknown or none */
	uint32_t keep;        /* octets that body and history take in the log */
	struct str prefix;    /* view; Return-Path and Delivered-To */
	/* Of a mail merge: what stands behind the trace header is not the body, but pieces of it
	 * and octets of its own; header_len and insert_blank are of these. */
	bool merged;
	uint16_t n_pieces;
	struct str pieces;    /* view */
};
void mailbox_head_put(struct buf *b, const struct mailbox_head *h);
bool mailbox_head_get(struct str v, struct mailbox_head *ret);
/* keep 0: it is taken from the reference. */
void mailbox_letter_put(struct buf *b, const struct mailbox_letter *l);
bool mailbox_letter_get(struct str v, struct mailbox_letter *ret);
/* Cheaper: without the prefix and the pieces, which are not looked at. */
bool mailbox_meta_get(struct str v, struct mailbox_letter *ret);

/* Creates the account with INBOX and, subscribed and with their special uses, Drafts, Sent, Trash,
 * Junk and Archive. Completes with -EEXIST as rc when the address is taken. slot[0]: the account's
 * id. */
void account_create(struct store *s, struct str address, store_fn *fn, void *arg);
/* Removes the directory entry at once and the mail with it (bodies are freed by compaction). */
void account_remove(struct store *s, struct str address, store_fn *fn, void *arg);
/* Finishes removals that a crash interrupted. Call it once after opening the writer. */
void account_sweep(struct store *s, store_fn *fn, void *arg);

/* Makes a mailbox: slot[0] is its number. -EEXIST when the name is taken: slot[0] is that one's
 * number, and its header is there afterwards as well. -EINVAL: no name, or INBOX in another
 * case; -E2BIG: longer than MAILBOX_NAME_STORED_MAX. Numbers are not used again. */
void mailbox_create(struct store *s, uint64_t account, struct str name, store_fn *fn, void *arg);

/*
 * Appends one letter to one mailbox: its body and one batch in the same group, all or nothing.
 * The octets are the whole letter; nothing is put in front of them.
 *
 * A mark makes it exactly once: the record `mark` of the mailbox's domain must hold `was` (p
 * NULL: must be absent), else nothing is written (-EAGAIN); the same batch makes it `value`. A
 * chain of letters, each of which expects what the one before has left, is appended in order
 * and without gaps, however many are under way. Marks begin with "I|".
 *
 * rc -ENOENT: there is no such mailbox. slot[0]: uid, slot[1]: uidvalidity. Takes body over and
 * copies the rest.
 */
struct mailbox_append {
	uint64_t account;
	uint32_t mailbox;
	uint64_t letter;      /* its id */
	uint64_t time_ms;     /* internal date */
	uint64_t flags;       /* of MAILBOX_FLAGS_SYSTEM */
	uint64_t header_len;  /* octets of the body that are header */
	uint64_t now_ms;      /* for its history, and saved_ms; 0: time_ms */
	struct str history;   /* one or more lines for `trace`, or empty */
	uint64_t session;     /* with the history: who brought it, and whose mailbox it is */
	struct str address;
	struct str mark, was, value; /* mark empty: none */
	struct str outline;   /* or empty */
};
void mailbox_append(struct store *s, struct store_body *body, const struct mailbox_append *a,
    enum store_level level, store_fn *fn, void *arg);
/* Removes the mark and those that begin with it and "|", in batches of their own. */
void mailbox_forget_marks(struct store *s, uint64_t account, uint32_t mailbox, struct str mark,
    store_fn *fn, void *arg);

/* Reading, over a snapshot of the mailbox domain. The header always has all counts: that of
 * version 1 is counted here. */
int mailbox_head_read(struct store_snap *sn, struct mailbox_head *ret);
typedef bool mailbox_each_fn(void *arg, const struct mailbox_letter *l);
int mailbox_each(struct store_snap *sn, uint32_t from_uid, mailbox_each_fn *fn, void *arg);
int mailbox_find(
    struct store_snap *sn, uint32_t uid, struct mailbox_letter *ret); /* views live with sn */
/* Octets of the whole letter (prefix, trace, header, inserted CRLF, body) from off on. */
ssize_t mailbox_letter_read(
    struct store *s, const struct mailbox_letter *l, uint64_t off, void *dst, size_t n);

/* In a batch of a mailbox's domain: the letter goes, if it is there, and is no longer counted in
 * the header, which nobody else may put in the same batch. UIDs must ascend. slot[0] and slot[1]
 * of the result: how many letters went and their octets. The record that the letter came ("D")
 * is the caller's to delete: no intent that names the letter is open once it can be seen. */
void mailbox_expunge(struct store_batch *b, uint32_t uid);

typedef bool mailbox_list_fn(void *arg, uint32_t mailbox, struct str name);
int mailbox_list(struct store_snap *account, mailbox_list_fn *fn, void *arg);
