/*
 * mailbox: accounts, mailboxes and their letters, as records in store's domains.
 *
 * Layout (docs/format.md): G: "u|addr" -> account8, "d|domain", "a|addr" alias, "n|account" the
 * last account's number, "x|account8" removed accounts; A: "M|mbox4" -> name, "N|name" -> mbox4;
 * B: "H" header, "R|uid4" letter, "D|letter8|rcpt" dedup, "C|modseq8|uid4".
 * Numbers in keys are big-endian; the "|" is the octet 0x7c.
 */
#pragma once

#include "store/store.h"

#define MAILBOX_INBOX 1u
#define MAILBOX_NAME_MAX 1024

struct mailbox_head {
	uint32_t uidvalidity, uidnext;
	uint64_t modseq;
	uint64_t messages, bytes;
};

struct mailbox_letter {
	uint32_t uid;
	uint64_t modseq;
	uint64_t time_ms;     /* internal date */
	uint64_t size;        /* of the whole letter as read: all pieces */
	uint32_t flags;       /* for IMAP, later */
	uint64_t letter;
	struct store_ref ref;
	uint32_t trace_len;   /* octets of the ref that are our trace header */
	uint32_t header_len;  /* octets behind it that are header as received */
	bool insert_blank;
	struct str prefix;    /* view; Return-Path and Delivered-To */
};
void mailbox_head_put(struct buf *b, const struct mailbox_head *h);
bool mailbox_head_get(struct str v, struct mailbox_head *ret);
void mailbox_letter_put(struct buf *b, const struct mailbox_letter *l);
bool mailbox_letter_get(struct str v, struct mailbox_letter *ret);

/* Creates the account with INBOX: directory record and mailbox. Completes with -EEXIST as rc
 * when the address is taken. slot[0]: the account's id. */
void account_create(struct store *s, struct str address, store_fn *fn, void *arg);
/* Removes the directory entry at once and the mail with it (bodies are freed by compaction). */
void account_remove(struct store *s, struct str address, store_fn *fn, void *arg);
/* Finishes removals that a crash interrupted. Call it once after opening the writer. */
void account_sweep(struct store *s, store_fn *fn, void *arg);

/* Reading, over a snapshot of the mailbox domain. */
int mailbox_head_read(struct store_snap *sn, struct mailbox_head *ret);
typedef bool mailbox_each_fn(void *arg, const struct mailbox_letter *l);
int mailbox_each(struct store_snap *sn, uint32_t from_uid, mailbox_each_fn *fn, void *arg);
int mailbox_find(
    struct store_snap *sn, uint32_t uid, struct mailbox_letter *ret); /* views live with sn */
/* Octets of the whole letter (prefix, trace, header, inserted CRLF, body) from off on. */
ssize_t mailbox_letter_read(
    struct store *s, const struct mailbox_letter *l, uint64_t off, void *dst, size_t n);

typedef bool mailbox_list_fn(void *arg, uint32_t mailbox, struct str name);
int mailbox_list(struct store_snap *account, mailbox_list_fn *fn, void *arg);

/* Trace records, read from the log itself. id: a queue id as shown, or a letter's or session's
 * id in its 13-character form. Calls fn for each letter that matches, oldest first. */
struct trace_record {
	uint64_t letter, session, time_ms;
	struct str qid, from, history;
	struct str rcpts; /* lines "account mailbox address" */
};
typedef bool trace_fn(void *arg, const struct trace_record *t);
int trace_find(const char *dir, struct str id, trace_fn *fn, void *arg);
/* The same in slices: looks through one segment, the first whose number is *seq or more, and
 * moves *seq behind it; 0: there is no more. Begin with 1. */
int trace_find_slice(
    const char *dir, struct str id, uint64_t *seq, trace_fn *fn, void *arg);
