/*
 * mime: the tree of a letter's parts while the letter arrives, and what its transfer encodings
 * hide (RFC 2045, RFC 2046, RFC 5322).
 *
 * A walk is fed octets in any split and tells a sink what it finds, in order: a part begins, each
 * field of its header, the end of its header, the octets of a leaf's body, the end of the part.
 * Nothing is held but the field and the line at hand, so memory is bounded whatever comes; every
 * octet is looked at a fixed number of times.
 *
 * The readings of Dovecot are ours where RFC 2046 leaves a choice, so that the part numbers a
 * client has kept stay what they were: a boundary line need only begin with the boundary (the
 * longest open one that fits wins), the line end in front of it belongs to it, Content-Type alone
 * makes a letter MIME, a header ends at an empty line or at an open boundary and nowhere else.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define MIME_PARTS_MAX 10000     /* of a letter; the last one goes on to its end */
#define MIME_DEPTH_MAX 100       /* what is nested deeper is a leaf */
#define MIME_FIELD_MAX (64u << 10) /* octets kept of a field unless said otherwise */
#define MIME_BOUNDARY_MAX 80     /* octets that count of a boundary */

enum mime_class {
	MIME_LEAF,      /* neither of these */
	MIME_TEXT,      /* text/... */
	MIME_MULTIPART,
	MIME_MESSAGE,   /* message/rfc822, message/global: one child, the letter in it */
};

enum mime_encoding {
	MIME_7BIT, MIME_8BIT, MIME_BINARY, /* identity */
	MIME_QP, MIME_BASE64,
	MIME_UNKNOWN, /* Content-Transfer-Encoding names another */
};
enum mime_encoding mime_encoding_of(struct str name); /* without blanks around it */

/* --- the walk --- */

struct mime_part {
	struct mime_part *parent; /* NULL: the letter itself */
	uint32_t index;        /* the letter is 0; children count on, in order */
	uint32_t number;       /* which child of its parent it is, from 1 on */
	uint32_t depth;
	uint32_t children;     /* so far */
	enum mime_class kind;  /* known when the header has ended */
	bool digest;           /* children without Content-Type are letters (RFC 2046 5.1.5) */
	bool broken;           /* its Content-Type cannot be read: a MIME_LEAF, perhaps text */
	bool opaque;           /* nested too deep: a MIME_LEAF whatever its type says */
	bool mime;             /* Content fields count: MIME-Version or Content-Type was seen */
	bool envelope;         /* the letter, or the letter in a MIME_MESSAGE */
	uint64_t header_off, body_off, end; /* octets; body_off behind the empty line */
	uint64_t header_line, body_line, end_line; /* LFs in front of each */
	void *data;            /* the sink's */
	/* private */
	bool typed, bounded;
	uint8_t blank; /* octets of the empty line */
	uint8_t boundary_len;
	char boundary[MIME_BOUNDARY_MAX];
};

struct mime_field {
	struct str name;  /* blanks in front of the colon are off; a line without a colon is all name */
	struct str value; /* behind the colon and one blank, folded as it stands, last line end off */
	bool cut;         /* there was more than is kept */
	/* The first Content-Type of a part, taken apart, for the time of the call; or NULL. */
	const struct mime_value *type;
};

/* Any may be NULL. A part is good until its `end` has been told. */
struct mime_sink {
	void (*begin)(void *arg, struct mime_part *p);
	void (*field)(void *arg, struct mime_part *p, const struct mime_field *f);
	void (*header_end)(void *arg, struct mime_part *p);
	void (*body)(void *arg, struct mime_part *p, struct str octets);
	void (*end)(void *arg, struct mime_part *p);
};

struct mime_walk;
struct mime_walk *mime_walk_new(const struct mime_sink *sink, void *arg, size_t field_max);
struct mime_walk *mime_walk_free(struct mime_walk *w); /* NULL is fine; returns NULL */
void mime_walk_reset(struct mime_walk *w); /* to the start of another letter */
void mime_walk_feed(struct mime_walk *w, struct str octets);
/* The letter ends: what is open is closed, the letter itself last. */
void mime_walk_end(struct mime_walk *w);
uint64_t mime_walk_size(const struct mime_walk *w); /* octets fed */

/* --- Content-Type and its kin --- */

struct mime_param {
	struct str name, value; /* of RFC 2231: joined, still encoded, the name with its last '*' */
};
#define MIME_PARAMS_MAX 64
struct mime_value {
	struct str word;        /* "text", "attachment", "base64"; as written */
	struct str sub;         /* "plain"; may be empty */
	bool broken;            /* there is no type, or something behind it that is none */
	size_t n_params;
	struct mime_param params[MIME_PARAMS_MAX];
};
struct arena;
/* Views point into value or into the arena. False: the arena is full. */
bool mime_type_parse(struct str value, struct arena *a, struct mime_value *ret);  /* word "/" sub */
bool mime_token_parse(struct str value, struct arena *a, struct mime_value *ret); /* one word */
/* The value of a parameter, or STR_NULL; any case. */
struct str mime_param(const struct mime_value *v, const char *name);

/* --- transfer encodings --- */

/*
 * Decodes a body in any split. What cannot be decoded is passed over (base64) or taken as it
 * stands (quoted-printable) and sets `bad`: SEARCH goes on, BINARY answers NO [UNKNOWN-CTE].
 * A soft failure of out leaves the decoder as if it had been put.
 */
struct mime_decoder {
	enum mime_encoding encoding;
	bool bad;
	/* private */
	uint32_t bits;
	uint8_t n;        /* characters of base64 in bits */
	bool padded;      /* '=' was seen */
	uint8_t held;
	char hold[128];   /* quoted-printable: an escape, or blanks at what may be the end of a line */
};
void mime_decode_init(struct mime_decoder *d, enum mime_encoding encoding);
void mime_decode(struct mime_decoder *d, struct str in, struct buf *out);
void mime_decode_end(struct mime_decoder *d, struct buf *out);
