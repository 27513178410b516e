/*
 * mail: what IMAP and POP3 change in an account and read of it. Like all of the store's calls these
 * are asynchronous; they are resolved inside the engine, at the place that they get among the
 * commits, so that no change of another is lost between a look and a write.
 *
 * What an operation came to is a struct mail_result, which lives until the function that it is
 * handed to returns. rc: 0, or as in store.h, and
 *   -ENOENT   there is no such mailbox (account, name)
 *   -EEXIST   the name is taken
 *   -E2BIG    a cap: keywords, letters, ranges, octets
 *   -EINVAL   not a keyword, not a name, ranges that do not ascend
 *   -EPERM    not with INBOX
 *   -ENOTEMPTY a mailbox that cannot be selected has children
 * With rc < 0 nothing was changed, unless it says so below.
 *
 * Ranges of UIDs ascend and do not overlap; the last may end at UINT32_MAX ("*"). UIDs that are not
 * there are passed over. Where the operation runs in several batches, each of these is atomic.
 *
 * With level STORE_APPLIED the result comes when the next snapshot shows it; a reader process sees
 * it from then on.
 */
#pragma once

#include "store/mailbox.h"

struct mail_range {
	uint32_t first, last; /* inclusive */
};
#define MAIL_RANGES_MAX (1u << 20)
#define MAIL_COPY_RANGES_MAX 30000u
#define MAIL_KEYWORDS_MAX 48u     /* per mailbox, for ever */
#define MAIL_KEYWORD_LEN_MAX 128u /* octets */
#define MAIL_APPENDS_MAX 1000u

struct mail_result {
	int rc;
	uint64_t modseq;      /* of the mailbox after it (move: of the one they left) */
	uint32_t uidvalidity; /* copy, move, append: of the mailbox they came to */
	uint32_t mailbox;     /* create: its number */
	/* flags: that changed; expunge: that went; copy, move: the sources. Ascending. */
	const struct mail_range *uids;
	size_t n_uids;
	uint64_t count; /* of UIDs in uids */
	/* copy, move, append: the new UIDs, in the order of the sources */
	const struct mail_range *to;
	size_t n_to;
	/* flags: that were changed after `unchanged_since` */
	const struct mail_range *failed;
	size_t n_failed;
};
typedef void mail_fn(void *arg, const struct mail_result *res);

/* Who does it, for `trace`: a note of kind STORE_NOTE_MAILBOX names the letters that are \Seen or
 * \Deleted for the first time, expunged, copied or moved. who empty: none is written. */
struct mail_by {
	uint64_t session, now_ms;
	struct str who;  /* "by ann@example.com in INBOX"; <= MAIL_WHO_MAX */
	struct str peer; /* <= 64 */
};
#define MAIL_WHO_MAX 2048u

/* --- flags --- */
enum mail_flags_op { MAIL_FLAGS_ADD, MAIL_FLAGS_REMOVE, MAIL_FLAGS_REPLACE };
struct mail_flags {
	uint64_t account;
	uint32_t mailbox;
	const struct mail_range *uids;
	size_t n_uids;
	enum mail_flags_op op;
	uint64_t flags;              /* of MAILBOX_FLAGS_SYSTEM */
	const struct str *keywords;  /* names; new ones are made unless they are to be removed */
	size_t n_keywords;
	bool conditional;            /* unchanged_since counts (RFC 7162 3.1.3); it may be 0 */
	uint64_t unchanged_since;
	enum store_level level;
	struct mail_by by;
};
/* Letters whose flags stay as they are are not written, and not in uids. Each batch raises modseq
 * by one. -E2BIG: the mailbox would have more than MAIL_KEYWORDS_MAX keywords. */
void mail_store_flags(struct store *s, const struct mail_flags *f, mail_fn *fn, void *arg);

/* --- expunge --- */
struct mail_expunge {
	uint64_t account;
	uint32_t mailbox;
	const struct mail_range *uids; /* n_uids 0: all */
	size_t n_uids;
	bool deleted_only; /* those with \Deleted */
	enum store_level level;
	struct mail_by by;
};
void mail_expunge(struct store *s, const struct mail_expunge *x, mail_fn *fn, void *arg);

/* --- copy and move, within an account --- */
struct mail_copy {
	uint64_t account;
	uint32_t from, to; /* may be the same */
	const struct mail_range *uids;
	size_t n_uids;
	bool move;
	uint64_t now_ms; /* becomes saved_ms */
	enum store_level level;
	struct mail_by by;
};
/* All or nothing: once begun it is finished, after a crash by mail_sweep(). A letter that another
 * session expunges meanwhile is not in uids. The copy keeps id, flags, keywords, internal date and
 * outline. A disk that fills up in the middle: a copy is taken back, rc -ENOSPC; a move tells in
 * uids and to what has moved, rc -ENOSPC, and the rest stays. Keywords for which the mailbox they
 * come to has no room are lost. */
void mail_copy(struct store *s, const struct mail_copy *c, mail_fn *fn, void *arg);

/* --- append: several letters, all or none (RFC 3502) --- */
struct mail_append {
	uint64_t letter;      /* its id */
	struct store_body *body;
	uint64_t time_ms;     /* internal date */
	uint64_t flags;       /* of MAILBOX_FLAGS_SYSTEM */
	const struct str *keywords;
	size_t n_keywords;
	uint64_t header_len;  /* octets of the body that are header */
	struct str outline;   /* or empty */
	struct str history;   /* lines for `trace`, or empty; ... */
	uint64_t session;     /* ... who handed it in, */
	struct str address;   /* ... and whose mailbox it is; or 0 and empty */
};
/* Takes the bodies over, also when it fails. uids: empty; to: the new UIDs, in order. */
void mail_append(struct store *s, uint64_t account, uint32_t mailbox, const struct mail_append *a,
    size_t n, uint64_t now_ms, enum store_level level, mail_fn *fn, void *arg);

/* --- outlines that are handed in later --- */
struct mail_outline {
	uint32_t uid;
	uint64_t letter; /* id: it must be this one's */
	struct str octets;
};
/* Put for letters that are there and have none; nothing else changes, modseq neither. UIDs
 * ascend. Result: uids. */
#define MAIL_OUTLINES_MAX 1000u /* and together at most 1 MiB */
void mail_put_outlines(struct store *s, uint64_t account, uint32_t mailbox,
    const struct mail_outline *o, size_t n, mail_fn *fn, void *arg);

/* --- mailboxes --- */
/*
 * Names are octets as the caller has made them (UTF-8, NFC), levels are separated by '/'. INBOX is
 * "INBOX"; in any other case it is refused. Missing parents are made as names that cannot be
 * selected, and go with their last child; a mailbox with children that is deleted becomes such a
 * name. Numbers are not used again.
 */
#define MAIL_SEPARATOR '/'
#define MAIL_NAMES_MAX 10000u /* of an account, and as many subscriptions; then -E2BIG */
/* RFC 6154 */
enum {
	MAIL_USE_DRAFTS = 1u << 0,
	MAIL_USE_SENT = 1u << 1,
	MAIL_USE_TRASH = 1u << 2,
	MAIL_USE_JUNK = 1u << 3,
	MAIL_USE_ARCHIVE = 1u << 4,
	MAIL_USE_ALL = 1u << 5,
	MAIL_USE_FLAGGED = 1u << 6,
	MAIL_USE_IMPORTANT = 1u << 7,
};
/* result.mailbox: its number; -EEXIST: that one's, whose header is there afterwards as well. A name
 * that could not be selected becomes a mailbox. */
void mail_create(struct store *s, uint64_t account, struct str name, uint32_t special,
    mail_fn *fn, void *arg);
/* The name is gone (or cannot be selected) when the result comes; its mail goes afterwards, in
 * slices, after a crash by mail_sweep(). -EPERM: INBOX. Subscriptions stay. */
void mail_delete(struct store *s, uint64_t account, struct str name, mail_fn *fn, void *arg);
/* With all children. INBOX: a new mailbox is made and INBOX's letters move there (RFC 9051 6.3.6);
 * its children stay. -EINVAL: into itself. Attributes go along, subscriptions stay. */
void mail_rename(struct store *s, uint64_t account, struct str from, struct str to, mail_fn *fn,
    void *arg);
/* The name need not exist. Doing it again is no mistake. */
void mail_subscribe(struct store *s, uint64_t account, struct str name, bool on, mail_fn *fn,
    void *arg);
/* The key that URLs of a mailbox's letters are authorized with (RFC 4467 2.2): made of random octets
 * unless there is one, or with `renew` in any case. It goes with its mailbox. */
#define MAIL_URL_KEY_LEN 32
void mail_make_url_key(struct store *s, uint64_t account, uint32_t mailbox, bool renew, mail_fn *fn,
    void *arg);
void mail_forget_url_keys(struct store *s, uint64_t account, mail_fn *fn, void *arg);
/* Finishes copies, moves and deletions, and accounts half made, that a crash interrupted. Call it once
 * after opening the writer, before others may change mail. */
void mail_sweep(struct store *s, mail_fn *fn, void *arg);

/* --- options of an account, in the directory's domain --- */
struct mail_options {
	uint64_t quota; /* octets, 0: none */
};
void mail_put_options(struct store *s, uint64_t account, const struct mail_options *o, mail_fn *fn,
    void *arg);
/* 0 (all zero when there are none) or -errno; directory: a snapshot of store_dom_directory(). */
int mail_get_options(struct store_snap *directory, uint64_t account, struct mail_options *ret);

/* --- reading, over a snapshot of the mailbox's domain --- */
/* mailbox_head_read() and mailbox_find() stand in mailbox.h. */
struct mail_meta {
	uint32_t uid;
	uint64_t modseq, time_ms, saved_ms, size, flags, letter;
};
typedef bool mail_meta_fn(void *arg, const struct mail_meta *m);
/* Letters with UIDs from first to last, ascending. */
int mail_each_meta(
    struct store_snap *sn, uint32_t first, uint32_t last, mail_meta_fn *fn, void *arg);
/* Letters whose modseq is above since, in that order. */
int mail_each_change(struct store_snap *sn, uint64_t since, mail_meta_fn *fn, void *arg);
/* Ranges that were expunged above since, in order of time. -ESTALE: since is below the header's
 * floor, not all of them are known any more; all UIDs that are not there count. */
typedef bool mail_range_fn(void *arg, uint32_t first, uint32_t last);
int mail_each_vanished(struct store_snap *sn, uint64_t since, mail_range_fn *fn, void *arg);
/* Names by bit: fn is called for each, in order; bit is that of its flag (16...). */
typedef bool mail_keyword_fn(void *arg, unsigned bit, struct str name);
int mail_each_keyword(struct store_snap *sn, mail_keyword_fn *fn, void *arg);
/* 0, -ENOENT or -errno; the view lives with sn. */
int mail_get_outline(struct store_snap *sn, uint32_t uid, struct str *ret);

/* --- reading, over a snapshot of the account's domain --- */
struct mail_name {
	struct str name;
	uint32_t mailbox; /* 0: it cannot be selected */
	uint32_t special; /* MAIL_USE_... */
	bool subscribed;
	bool exists;   /* false: it is only subscribed to */
	bool children; /* there is a name below it */
};
typedef bool mail_name_fn(void *arg, const struct mail_name *n);
/* Every mailbox and every subscribed name: INBOX first, then in the order of octets with '/' below
 * all others, so that children follow their parent. */
int mail_each_name(struct store_snap *account, mail_name_fn *fn, void *arg);
/* The mailbox of a name; -ENOENT: there is none, -EISDIR: it cannot be selected. */
int mail_find_name(struct store_snap *account, struct str name, uint32_t *ret);
/* Its name; the view lives with the snapshot. */
int mail_name_of(struct store_snap *account, uint32_t mailbox, struct str *ret);

/* 0, -ENOENT or -errno. */
int mail_get_url_key(
    struct store_snap *account, uint32_t mailbox, unsigned char ret[MAIL_URL_KEY_LEN]);

/* Octets and letters of all mailboxes of an account: opens and closes snapshots of its own. */
int mail_usage(struct store *s, uint64_t account, uint64_t *ret_bytes, uint64_t *ret_messages);
