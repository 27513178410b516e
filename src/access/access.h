/*
 * access: what IMAP and POP3 ask of an account's mail, and what they are answered, as octets.
 *
 * A session makes a struct access_ask (to read) or a struct access_change (to write); whoever
 * hosts it carries the encoded form to a reader or to the store's writer and brings the answer
 * back. Each form has put and get side by side; a get checks everything, so that walking what it
 * returned cannot fail. Strings are views into the octets. Numbers are big-endian.
 *
 * Long answers come in windows of at most ACCESS_WINDOW octets: answer.more says that there is
 * more, and the same ask with `from` set to answer.next brings it. Each window is true when it is
 * made; between two of them the mailbox may change.
 *
 * Mailbox names are UTF-8, NFC, with '/' between components; "INBOX" in capitals.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "base/wire.h"
#include "access/uidset.h"

#include <stdbool.h>
#include <stdint.h>

#define ACCESS_WINDOW (256u << 10)
#define ACCESS_ASK_MAX (64u << 10)      /* octets of an ask */
#define ACCESS_RANGES_MAX 4096          /* ranges in one ask or change; the session cuts longer sets */
#define ACCESS_CHANGE_MAX (1u << 20)    /* octets of a change */
#define ACCESS_LETTERS_MAX 64           /* of one APPEND, and of one OUTLINES */
#define ACCESS_NAME_MAX 1024            /* octets of a mailbox name */
#define ACCESS_KEYWORD_MAX 128          /* octets of a keyword */
#define ACCESS_KEYWORDS 48              /* keywords of a mailbox: bits 16 to 63 of its flags; and
                                         * the most that one change names */
#define ACCESS_OUTLINE_MAX (64u << 10)  /* octets of an outline */
#define ACCESS_URL_MAX 12000            /* octets of a URL (mail/imap_url.h) */

/* Bits of a letter's flags; the same as the store's. */
enum {
	ACCESS_SEEN = 1u << 0, ACCESS_ANSWERED = 1u << 1, ACCESS_FLAGGED = 1u << 2,
	ACCESS_DELETED = 1u << 3, ACCESS_DRAFT = 1u << 4,
	ACCESS_SYSTEM = (1u << 5) - 1,
	ACCESS_KEYWORD_BIT = 16,
};

/* Attributes of a mailbox. */
enum {
	ACCESS_ALL = 1u << 0, ACCESS_ARCHIVE = 1u << 1, ACCESS_DRAFTS = 1u << 2,
	ACCESS_FLAGGED_BOX = 1u << 3, ACCESS_JUNK = 1u << 4, ACCESS_SENT = 1u << 5,
	ACCESS_TRASH = 1u << 6,        /* special uses, RFC 6154 */
	ACCESS_USES = (1u << 7) - 1,
	ACCESS_NOSELECT = 1u << 8,     /* only a parent of others */
	ACCESS_SUBSCRIBED = 1u << 9,
	ACCESS_NONEXISTENT = 1u << 10, /* subscribed to, but not there */
	ACCESS_CHILDREN = 1u << 11,    /* has some */
};

enum access_status {
	ACCESS_OK,
	ACCESS_NOT_FOUND,  /* no such mailbox */
	ACCESS_EXISTS,     /* there is one of that name */
	ACCESS_CANNOT,     /* not a name that a mailbox may have, or not to be done with this one */
	ACCESS_DENIED,     /* the pass or the right is missing */
	ACCESS_OVERQUOTA,
	ACCESS_FULL,       /* no room on the disk */
	ACCESS_LIMIT,      /* too many keywords, mailboxes, letters */
	ACCESS_FAILED,     /* for now */
	ACCESS_BAD,        /* the ask cannot be read */
	ACCESS_STATUS_COUNT
};

/* --- reading --- */

enum access_kind {
	ACCESS_MAILBOXES,  /* rows: access_mailbox, by name; from: behind this name */
	ACCESS_OPEN,       /* one row: the mailbox `name`, then its keywords */
	ACCESS_UIDS,       /* the UIDs that a session sees whose view is `since`, `uidnext`:
	                    * those there now below uidnext, and those that vanished behind since.
	                    * octets: uid ranges; from: from this UID on */
	ACCESS_LETTERS,    /* rows: access_letter, by UID, of those in `uids` (empty: all) with a
	                    * modseq above `since`; from: UID and offset */
	ACCESS_CHANGES,    /* one access_mailbox and its keywords, then what changed behind `since`:
	                    * access_change_row in order of modseq; from: modseq and UID */
	ACCESS_QUOTA,      /* access_quota */
	ACCESS_TOKEN,      /* access_token: of `url`, the rump of one that the account may give */
	ACCESS_URL,        /* the row of the letter that `url` leads to, as of LETTERS, for whoever
	                    * may read it: `name` (a login; or nobody), with `submit` as the server
	                    * that letters are handed in at. No pass is needed, the URL is one.
	                    * CANNOT: it names another server; DENIED: it is not authorized;
	                    * NOT_FOUND: there is no such letter any more */
	ACCESS_KIND_COUNT
};

enum access_what {
	ACCESS_META = 1u << 0,     /* always there */
	ACCESS_OUTLINE = 1u << 1,  /* with the outline, where there is one */
	ACCESS_OCTETS = 1u << 2,   /* with octets: those of `part` */
};
enum access_part {
	ACCESS_PART_ALL,     /* the whole letter */
	ACCESS_PART_HEADER,  /* the header with the empty line behind it */
	ACCESS_PART_TEXT,    /* what is behind that */
	ACCESS_PART_INNER,   /* counted behind the prefix: as offsets in an outline are */
	ACCESS_PART_COUNT
};

struct access_ask {
	uint8_t kind;
	bool fresh;           /* the first window: everything acknowledged until now is to be seen */
	bool submit;
	uint32_t mailbox;
	struct str name;
	uint64_t since;       /* modseq */
	uint32_t uidnext;
	unsigned what;
	uint8_t part;
	uint64_t off, len;    /* of the part; len UINT64_MAX: to its end */
	union {
		struct str uids; /* uidset_put(); empty: all */
		struct str url;  /* TOKEN, URL */
	};
	struct access_from {  /* all zeroes and empty: from the start */
		uint32_t uid;
		uint64_t n;       /* octets of the part (LETTERS), or modseq (CHANGES) */
		struct str name;
	} from;
};
void access_ask_put(struct buf *b, const struct access_ask *a);
bool access_ask_get(struct str octets, struct access_ask *ret);

/* What every answer begins with. */
struct access_head {
	bool more;
	struct access_from next;
	uint64_t modseq;      /* of the mailbox when this was made; 0 where there is none */
};
void access_head_put(struct buf *b, const struct access_head *h);
bool access_head_get(struct wire *w, struct access_head *ret);

struct access_mailbox {
	uint32_t mailbox;     /* number in its account; 0: not there */
	struct str name;
	unsigned attrs;
	uint32_t uidvalidity, uidnext;
	uint64_t modseq;
	uint64_t messages, unseen, deleted, bytes;
	uint64_t deleted_bytes; /* of those with \Deleted */
	uint32_t first_unseen; /* sequence number; OPEN of a mailbox of at most 1,000 letters; or 0 */
};
void access_mailbox_put(struct buf *b, const struct access_mailbox *m);
bool access_mailbox_get(struct wire *w, struct access_mailbox *ret);

/* The names of keyword bits 16, 17, ... */
struct access_keywords {
	uint16_t n; /* <= ACCESS_KEYWORDS */
	struct str name[ACCESS_KEYWORDS];
};
void access_keywords_put(struct buf *b, const struct access_keywords *k);
bool access_keywords_get(struct wire *w, struct access_keywords *ret);

struct access_letter {
	uint32_t uid;
	uint64_t modseq, time_ms, saved_ms, size, flags;
	uint64_t letter;      /* its id: the same for copies (RFC 8474 EMAILID) */
	uint32_t prefix_len;  /* octets in front of what an outline counts from */
	uint32_t header_len;  /* of the whole letter, with the empty line */
	bool damaged;         /* its octets cannot be read: octets are empty */
	struct str outline;   /* mail/outline.h; empty: none */
	uint64_t part_len;    /* of the part, after off and len of the ask */
	uint64_t at;          /* where in it these octets begin */
	struct str octets;
};
void access_letter_put(struct buf *b, const struct access_letter *l);
/* The octets of a row are appended by who reads them: begin puts all but those. */
size_t access_letter_begin(struct buf *b, const struct access_letter *l);
void access_letter_end(struct buf *b, size_t begin, size_t octets);
bool access_letter_get(struct wire *w, struct access_letter *ret);

struct access_change_row {
	uint64_t modseq;
	bool vanished;        /* first to last are gone; else `letter` is new or has other flags */
	uint32_t first, last;
	struct access_letter letter; /* without octets and outline */
};
void access_change_row_put(struct buf *b, const struct access_change_row *r);
bool access_change_row_get(struct wire *w, struct access_change_row *ret);
/* CHANGES, behind mailbox and keywords: the vanished before this modseq are not known any more. */
void access_floor_put(struct buf *b, uint64_t floor);
bool access_floor_get(struct wire *w, uint64_t *ret);

struct access_quota {
	uint64_t limit;       /* octets; 0: none */
	uint64_t used, messages;
};
void access_quota_put(struct buf *b, const struct access_quota *q);
bool access_quota_get(struct wire *w, struct access_quota *ret);

struct access_token {
	uint32_t mailbox;
	struct str token;     /* empty: the mailbox has no key yet (ACCESS_KEY) */
};
void access_token_put(struct buf *b, const struct access_token *t);
bool access_token_get(struct wire *w, struct access_token *ret);

/* --- writing --- */

enum access_change_kind {
	ACCESS_FLAGS,       /* mailbox, uids, mode, flags, keywords, unchanged_since */
	ACCESS_EXPUNGE,     /* mailbox, uids (empty: all), only_deleted */
	ACCESS_COPY,        /* mailbox, uids, name: into */
	ACCESS_MOVE,
	ACCESS_APPEND,      /* name: into; letters */
	ACCESS_CREATE,      /* name, attrs */
	ACCESS_DELETE,      /* name */
	ACCESS_RENAME,      /* name, to */
	ACCESS_SUBSCRIBE,   /* name */
	ACCESS_UNSUBSCRIBE,
	ACCESS_OUTLINES,    /* mailbox; letters: uid in `id`, outline */
	ACCESS_KEY,         /* mailbox, or name: its key for URLs, made unless there is one (mode ADD), or
	                     * made anew (REPLACE); or the keys of all mailboxes are forgotten (REMOVE) */
	ACCESS_CHANGE_COUNT
};
enum access_mode { ACCESS_ADD, ACCESS_REMOVE, ACCESS_REPLACE, ACCESS_MODE_COUNT };

struct access_new { /* a letter of APPEND, whose octets went to the writer under this id */
	uint64_t id, size, time_ms, flags; /* flags: system ones */
	uint32_t header_len;  /* as mailbox_append() wants it: without the empty line */
	struct str keywords;  /* names, each behind a u16 of its length */
	struct str outline;   /* or empty */
};
struct access_change {
	uint8_t kind, mode;
	uint32_t mailbox;
	struct str name, to;
	unsigned attrs;
	struct str uids;
	uint64_t flags;
	struct str keywords;  /* names, each behind a u16 of its length */
	uint64_t unchanged_since; /* UINT64_MAX: any */
	bool only_deleted;
	uint16_t n_letters;
	struct str letters;   /* encoded access_new; walk with access_new_get() */
};
void access_change_put(struct buf *b, const struct access_change *c);
bool access_change_get(struct str octets, struct access_change *ret);
void access_new_put(struct buf *b, const struct access_new *l);
bool access_new_get(struct wire *w, struct access_new *ret);
void access_keyword_put(struct buf *b, struct str name);
bool access_keyword_next(struct str *list, struct str *ret); /* false: no more, or malformed */

struct access_changed {
	uint64_t modseq;       /* of the mailbox, afterwards; of COPY, APPEND: of the target; of MOVE:
	                        * of the source */
	uint32_t uidvalidity;  /* COPY, MOVE, APPEND: of the target; CREATE: of the new one */
	uint32_t mailbox;      /* CREATE; COPY, MOVE, APPEND: the target */
	struct str uids;       /* FLAGS, EXPUNGE: those that were changed; COPY, MOVE: those copied;
	                        * uidset_put() */
	struct str to_uids;    /* COPY, MOVE, APPEND: what they are there, in the same order: pairs
	                        * first, last as ranges that may not be merged */
	struct str failed;     /* FLAGS: modified since */
};
void access_changed_put(struct buf *b, const struct access_changed *c);
bool access_changed_get(struct str octets, struct access_changed *ret);
