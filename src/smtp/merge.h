/*
 * merge: IronPort mail merge (XMRG, XDFN, XPRT): one body in parts, many recipients, and words of
 * each in the places that the parts leave for them. docs/rules.md 4.
 *
 * Pure. The session (session_merge.c) feeds it commands and parts as they come; the host takes one
 * recipient's letter after the other out of it, as pieces: ranges of the one body that it was
 * given (all parts one behind the other, in the order they were sent) and words of this recipient.
 * Nothing of the parts is kept but where the tags stand and, for the header scan, the beginning of
 * each up to its first empty line, at most limit.header_bytes and a line more.
 *
 * Order: new; define, rcpt_add (or forget) for each recipient; xprt, part_begin, part_feed,
 * part_end for each part; seal; letter for each recipient; free. Names are known before the
 * first part comes, so a tag that nobody has defined is never kept in the first place.
 *
 * Memory: everything is counted against SMTP_MERGE_MAX. A recipient costs 24 octets, its address,
 * what the host keeps with it, and 4 octets and the value for each variable, rounded up to 16:
 * about 110 octets with three short variables.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "mail/scan.h"
#include "smtp/session.h"

#define SMTP_MERGE_MAX (64u << 20)
#define MERGE_NAME_MAX 64          /* octets of a variable's name */
#define MERGE_NAMES_MAX 1024       /* different names in one merge */
#define MERGE_VARS_MAX (64u << 10) /* octets of one recipient's definitions */
#define MERGE_PARTS_MAX 1000       /* whatever limit.ipmm_parts says */
#define MERGE_LIST_MAX 1000        /* parts of one letter: one may stand in it more than once */
#define MERGE_TAGS_MAX 2048        /* places for words in one part */
#define MERGE_PIECES_MAX 4095      /* of one letter */
#define MERGE_HELD_MAX (64u << 10) /* octets of one reply, whatever a dialect makes of it */
#define MERGE_OWN_MAX (160u << 10) /* octets of a recipient's own words in one letter */

/* Variables that are not the peer's to name: ids behind the names. */
enum merge_var {
	MERGE_FROM = MERGE_NAMES_MAX, MERGE_TO, MERGE_DATE, MERGE_PARTS, MERGE_DK, MERGE_ENVID,
	MERGE_JOBID, MERGE_VMTA, MERGE_PRIORITY,
	MERGE_VAR_COUNT,
	MERGE_EMPTY, /* a tag without a variable: it vanishes */
};

/* A place in a part. */
struct merge_tag {
	uint64_t off; /* in the part */
	uint32_t len;
	uint16_t var;
};

struct merge_part {
	bool sent;
	uint64_t off, len; /* in the body */
	struct buf head;   /* its beginning, as far as a header may reach into it */
	bool head_done;
	struct buf tags;   /* struct merge_tag, in order */
};

/* A recipient: this and its octets in one piece of the merge's arena. */
struct merge_rcpt {
	struct merge_rcpt *next;
	uint32_t vars_len;
	uint16_t host_len, to_len, notify_len, orcpt_len;
	char data[]; /* host, to, notify, orcpt, vars */
};

struct smtp_merge {
	const struct smtp_conf *conf;
	bool verp;              /* asked for at XMRG */
	struct arena arena;     /* recipients */
	size_t extra;           /* octets kept outside of it */
	struct map names;       /* folded name -> id + 1 */
	uint16_t n_names;
	struct buf pending;     /* definitions for the next RCPT, encoded */
	struct buf value;       /* scratch of the parser */
	struct merge_rcpt *first, *last;
	uint64_t n_rcpt;
	uint64_t needed[(MERGE_PARTS_MAX + 63) / 64]; /* part numbers that recipients ask for */
	uint32_t n_parts;                             /* room in part */
	struct merge_part *part;                      /* by number - 1; NULL before the first */
	uint64_t body;          /* octets of all parts so far */
	struct merge_part *now; /* the part that is coming in */
	uint32_t now_no;
	bool now_last;
	bool no_room;           /* the part at hand has more tags, or needs more memory, than may be */
	/* the tag at hand */
	bool tag_open;
	uint64_t tag_at;
	size_t tag_len;
	char tag[MERGE_NAME_MAX + 2];
	/* a refusal that was not said (XACK OFF, XLSMTP-ACKRCPT OFF): whole, with its CRLF */
	struct buf held;
	/* from seal on */
	struct str from;
	struct buf date, all;   /* *DATE; *PARTS of those who have no list */
	struct merge_slot *slot;
	uint32_t gen;
};

struct smtp_merge *smtp_merge_new(const struct smtp_conf *conf);
struct smtp_merge *smtp_merge_free(struct smtp_merge *m); /* NULL is allowed */

/* Octets that it holds, more or less. */
size_t smtp_merge_memory(const struct smtp_merge *m);

/* The argument of XDFN: SMTP_NONE, or why it changes nothing. */
enum smtp_situation smtp_merge_define(struct smtp_merge *m, struct str arg);
/* The recipient is refused: what was defined for it is gone. */
void smtp_merge_forget(struct smtp_merge *m);
/* Keeps a recipient with what was defined for it and host_size octets at host_data. False: there is
 * no room; what was defined is forgotten all the same. */
bool smtp_merge_rcpt_add(struct smtp_merge *m, const struct smtp_rcpt *r);

/* Forgets all recipients; names, parts and the seal stay. For a sender that puts one letter together
 * after the other. */
void smtp_merge_clear(struct smtp_merge *m);

/* The argument of XPRT. SMTP_NONE: now_no and now_last are set; else *ret_bad is the word to name. */
enum smtp_situation smtp_merge_xprt(struct smtp_merge *m, struct str arg, struct str *ret_bad);
void smtp_merge_part_begin(struct smtp_merge *m);
/* Octets of the part, as they are stored. False: no_room is set, from now on. */
bool smtp_merge_part_feed(struct smtp_merge *m, struct str octets);
void smtp_merge_part_end(struct smtp_merge *m);
/* The part with this number, or NULL when it has not come. */
const struct merge_part *smtp_merge_part(const struct smtp_merge *m, uint32_t no);
/* All parts are there. from: as long as m lives; sec, zone: the date of all letters. */
void smtp_merge_seal(struct smtp_merge *m, struct str from, int64_t sec, int zone);

/* What a recipient was added with; views into m. */
struct merge_rcpt_view {
	struct str host, to, notify, orcpt, vars;
};
struct merge_rcpt_view smtp_merge_rcpt_view(const struct merge_rcpt *r);

struct merge_piece {
	bool literal;
	struct str text;   /* literal: into m, or into a constant */
	uint64_t off, len; /* else: of the body */
};

/* A letter put together. Large: the caller keeps one for all, zeroed before the first. */
struct merge_letter {
	struct buf *header; /* in: NULL, or gets the octets of the header */
	size_t n;
	struct merge_piece piece[MERGE_PIECES_MAX];
	uint64_t size;
	uint64_t own;      /* octets of literals */
	uint64_t work;     /* how much was looked at: for a host that counts its time */
	struct scan scan;  /* of its header; size, line ends and so on are not the letter's */
};

/* After seal: the letter of r. SMTP_NONE, or why the merge cannot be taken. */
enum smtp_situation smtp_merge_letter(struct smtp_merge *m, const struct merge_rcpt *r,
    struct merge_letter *ret);

/* --- between the files of merge --- */

struct merge_range {
	uint32_t from, to;
};
/* The next range of a *PARTS list, off the list; false: it is not one. */
bool smtp_merge_range(struct str *list, uint32_t max, struct merge_range *ret);
bool smtp_merge_name_octet(const char *name, size_t len, char c); /* may c follow? */
int smtp_merge_name_find(const struct smtp_merge *m, struct str folded); /* -1: nobody has it */
bool smtp_merge_charge(struct smtp_merge *m, size_t n); /* false: over SMTP_MERGE_MAX */
/* Definitions in the form in which they are kept. */
struct merge_def {
	uint16_t var;
	struct str value;
};
bool smtp_merge_def_next(struct str *vars, struct merge_def *ret);
