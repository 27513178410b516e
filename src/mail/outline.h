/*
 * outline: what IMAP shows of a letter without reading it again (RFC 9051 7.5.2): ENVELOPE,
 * BODYSTRUCTURE, where each section begins and ends, the preview, its thread, the date in it.
 *
 * A builder is fed the letter while it arrives, in any split, and writes the outline as a compact
 * record. struct outline is a view of a record: outline_get() checks all of it, so that nothing
 * done with the view can fail; it points into the record and lives as long. Texts are in the form
 * they have on the wire. Offsets count from the first octet of the trace.
 *
 * Two sizes: outline_new() is for letters from strangers, OUTLINE_MEMORY octets at most, and makes
 * no outline where that is too little; outline_new_wide() is for a FETCH that finds none stored,
 * and always makes one: fields that would pass OUTLINE_WIDE_MEMORY are then taken as absent.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "mail/mime.h"

#include <stdbool.h>
#include <stdint.h>

#define OUTLINE_MAX (64u << 10)           /* octets of a record that is stored */
#define OUTLINE_WIDE_MAX (16u << 20)      /* of one that is made for a FETCH */
#define OUTLINE_MEMORY (256u << 10)       /* what a builder may use */
#define OUTLINE_WIDE_MEMORY (8u << 20)
#define OUTLINE_WIDE_FIELD (2u << 20)     /* octets of a field */
#define OUTLINE_REFS_MAX 64               /* message ids: the first, and the last of the others */

/* The items of an ENVELOPE in their order. */
enum outline_item {
	OUTLINE_DATE, OUTLINE_SUBJECT, OUTLINE_FROM, OUTLINE_SENDER, OUTLINE_REPLY_TO, OUTLINE_TO,
	OUTLINE_CC, OUTLINE_BCC, OUTLINE_IN_REPLY_TO, OUTLINE_MESSAGE_ID, OUTLINE_ITEMS
};

/* --- making one --- */

struct outline_builder;
struct charsets; /* mail/charset.h: for the preview; NULL: only UTF-8, ASCII and Latin-1 */
struct outline_builder *outline_new(const struct charsets *cs);
struct outline_builder *outline_new_wide(const struct charsets *cs);
struct outline_builder *outline_free(struct outline_builder *b); /* NULL is fine; returns NULL */
/* Ready for another letter, with the memory it has, and returned; or freed, and NULL returned. */
struct outline_builder *outline_again(struct outline_builder *b);
void outline_feed(struct outline_builder *b, struct str octets);
/*
 * trace: header lines (CRLF) that stand in front of the octets fed; an envelope field in it counts
 * where the letter itself has none. Appends the record to out. False, and out as before: there
 * is no outline (too large for the builder or for out, or no memory). A letter into which an empty
 * line is put behind its header (scan.h, insert_blank) is another letter: do not ask for its
 * outline then, a FETCH makes it. Only outline_free() or outline_again() may follow.
 */
bool outline_end(struct outline_builder *b, struct str trace, struct buf *out);

/* --- reading one --- */

struct outline {
	uint64_t size;                   /* octets of the letter, the trace with them */
	uint64_t thread;                 /* of the first message id of References, In-Reply-To or
	                                  * Message-ID; 0: there is none */
	uint64_t msgid;                  /* of Message-ID; 0: there is none */
	bool has_sent;
	int64_t sent;                    /* the Date field as Unix time */
	int64_t sent_day;                /* days since 1970-01-01 as written, without its zone, for
	                                  * SENTBEFORE and its kin (RFC 9051 6.4.4) */
	struct str preview;              /* UTF-8; empty: there is no text */
	/* private */
	struct str item[OUTLINE_ITEMS];
	struct str body, cuts, parts, refs;
	uint32_t n_parts;
	uint64_t n_cuts;
};
bool outline_get(struct str record, struct outline *ret);

void outline_envelope_put(struct buf *out, const struct outline *o); /* "(...)" */
/* BODYSTRUCTURE, or BODY where extended is false. */
void outline_body_put(struct buf *out, const struct outline *o, bool extended);
/* Wire form of one item: NIL, a string, or a list of addresses. */
struct str outline_item(const struct outline *o, enum outline_item item);

struct outline_range {
	uint64_t off, len;
};
enum outline_what {
	OUTLINE_PART,   /* [1.2]; without a path: the whole letter */
	OUTLINE_MIME,   /* [1.2.MIME]; needs a path */
	OUTLINE_HEADER, /* [HEADER], [1.2.HEADER]: of the letter, or of a letter in a part */
	OUTLINE_TEXT,   /* [TEXT], [1.2.TEXT] */
};
/* False: the letter has no such section. HEADER and TEXT of a part that is no letter are empty.
 * Path: part numbers from 1 on (RFC 9051 6.4.5.1). */
bool outline_section(const struct outline *o, const uint32_t *path, size_t n,
    enum outline_what what, struct outline_range *ret);

struct outline_part {
	enum mime_class kind;
	enum mime_encoding encoding;
	struct str charset;      /* as written; empty: none */
	struct outline_range header, body;
	uint64_t lines;          /* LFs in the body */
	uint32_t children;
};
/* The part that [path] names, for BINARY[path]; without a path the letter itself. */
bool outline_part(const struct outline *o, const uint32_t *path, size_t n,
    struct outline_part *ret);

/* Hashes of the message ids that THREAD=REFERENCES links, oldest first (RFC 5256 REFERENCES step
 * 1): those of References, else the first of In-Reply-To. i < outline_refs(o). */
uint32_t outline_refs(const struct outline *o);
uint64_t outline_ref(const struct outline *o, uint32_t i);

/* --- for SEARCH and SORT: UTF-8 out of the wire form --- */

/* Text, or addresses as "Name <local@domain>, ...", decoded (RFC 2047); nothing for NIL. */
void outline_text(const struct outline *o, enum outline_item item, const struct charsets *cs,
    struct buf *out);
/* What SORT compares, not yet folded: base subject (RFC 5256 2.1); of addresses the local part of
 * the first one, or with `display` what RFC 5957 says. */
void outline_sort_key(const struct outline *o, enum outline_item item, bool display,
    const struct charsets *cs, struct buf *out);

/* The hash of one message id, with or without its angle brackets; never 0. It is FNV-1a of 64 bits
 * over what is between the brackets, white space and quotes taken off, and is stored: it stays. */
uint64_t outline_id_hash(struct str id);
