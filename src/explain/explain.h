/*
 * explain: what a reply, an error or a bounce means, who has to act, and what to try next.
 *
 * The knowledge is data/codes/ (*.codes), made into a constant table when the program is built:
 * nothing is read or parsed when it runs, and nothing here allocates, waits or remembers. All
 * texts of a hit live as long as the program, except code and enhanced, which are views of what
 * was asked about when it had them.
 *
 * Several records may fit one line. They come from the special to the general: the very text,
 * then a pattern, then reply code with enhanced code, then either alone, then the subject
 * (x.7.x), then the class (5xx). RFC 5321 4.2.1 and RFC 3463 2 say what a class means, so
 * nearly every reply has at least that.
 *
 * What may be asked about: a reply of SMTP or LMTP (one line or several, with `s:` or other
 * marks of transcripts in front, codes as `5.7.1` or `#5.7.1`), a line of a log with a reply in
 * it, a response of IMAP, POP3 or ManageSieve, an error of TLS, DNS or the system in words or by
 * its name, a bare code. Octets may be anything; what is longer than EXPLAIN_TEXT_MAX is cut.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPLAIN_TEXT_MAX 1536 /* octets of a reply that are looked at */
#define EXPLAIN_HITS_MAX 16   /* more than this are never returned */

enum explain_proto {
	EXPLAIN_ANY, /* find out by the look of it */
	EXPLAIN_SMTP,
	EXPLAIN_IMAP,
	EXPLAIN_POP3,
	EXPLAIN_SIEVE,
	EXPLAIN_TLS,
	EXPLAIN_DNS,
	EXPLAIN_OS, /* connections, system calls, exit statuses */
	EXPLAIN_PROTO_COUNT
};
extern const char *const explain_proto_name[EXPLAIN_PROTO_COUNT]; /* "smtp" */

enum explain_kind {
	EXPLAIN_NEUTRAL,   /* says something, neither good nor bad */
	EXPLAIN_GOOD,      /* done */
	EXPLAIN_GO_ON,     /* the other side waits for more */
	EXPLAIN_TEMPORARY, /* the same may work later */
	EXPLAIN_PERMANENT, /* the same will fail again */
	EXPLAIN_KIND_COUNT
};
extern const char *const explain_kind_name[EXPLAIN_KIND_COUNT]; /* "temporary" */

enum explain_who {
	EXPLAIN_NOBODY,          /* nothing to do: it is good, or retries happen by themselves */
	EXPLAIN_SENDER,          /* who wrote the letter */
	EXPLAIN_RECIPIENT,       /* whose mailbox it is */
	EXPLAIN_SENDER_ADMIN,    /* of the server that sends */
	EXPLAIN_RECIPIENT_ADMIN, /* of the server that answers */
	EXPLAIN_LIST_OWNER,
	EXPLAIN_PROVIDER, /* a mailbox provider, a list of blocked addresses, a relay service */
	EXPLAIN_CLIENT,   /* the program or person that speaks the protocol */
	EXPLAIN_WHO_COUNT
};
extern const char *const explain_who_name[EXPLAIN_WHO_COUNT]; /* "sender's administrator" */

/* How a record was found, best first. */
enum explain_match {
	EXPLAIN_BY_TEXT,     /* the very words; single words in them may vary */
	EXPLAIN_BY_PATTERN,  /* words in it */
	EXPLAIN_BY_BOTH,     /* reply code and enhanced code */
	EXPLAIN_BY_ENHANCED, /* enhanced code, or a code in brackets */
	EXPLAIN_BY_CODE,     /* reply code, name or number of an error */
	EXPLAIN_BY_SUBJECT,  /* x.7.x */
	EXPLAIN_BY_CLASS     /* 5xx */
};

struct explain_hit {
	enum explain_proto proto;
	enum explain_kind kind;
	enum explain_who actor; /* the first of who */
	enum explain_match match;
	bool exact;          /* the record speaks of this very text, not of a kind of it */
	unsigned record;     /* the same number: the same record */
	struct str code;     /* "550", "NO", "-ERR", "ECONNREFUSED"; may be empty */
	struct str enhanced; /* "5.7.1", "[ALERT]"; may be empty */
	struct str who;      /* in words, one or several: "sender or sender's administrator" */
	struct str meaning;
	struct str causes; /* may be empty */
	struct str next;   /* may be empty */
	struct str source; /* "RFC 5321 4.2.3", "AsyncOS" */
};

/* The best one; false: nothing is known, not even the class. */
bool explain_reply(struct str reply, struct explain_hit *ret);
/* The same when it is known who speaks; EXPLAIN_ANY looks at the text. */
bool explain_reply_of(enum explain_proto proto, struct str reply, struct explain_hit *ret);
/* Up to max of them, the best first. Returns how many; 0: nothing is known. */
size_t explain_line(struct str line, struct explain_hit *hits, size_t max);
size_t explain_line_of(enum explain_proto proto, struct str line, struct explain_hit *hits,
    size_t max);

/* One line without its end: "452 4.3.1 temporary, server side (...). Sender should retry." */
void explain_short(const struct explain_hit *hit, struct buf *out);

/* Every record, for lists: i from 0 while true. match is as if it were found by what it has. */
struct explain_record_view {
	struct explain_hit hit;
	struct str pattern; /* the first one, may be empty */
	struct str file;    /* "asyncos": the file of data/codes/ it stands in */
};
bool explain_record(unsigned i, struct explain_record_view *ret);
