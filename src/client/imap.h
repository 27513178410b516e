/*
 * imap: what an IMAP server says, taken apart without trust (RFC 3501 7, RFC 9051 7), and answers of
 * ManageSieve (RFC 5804), which have the same words. Pure.
 *
 * Octets go in, in any split; each response comes out once it is complete. Its values are a small
 * tree in an arena: atoms, strings, literals, lists. Everything is capped: of a text `text_max` octets
 * are kept (the rest is counted in `size`), lists are kept down to `depth_max`, and when the arena is
 * full what follows is read past and `cut` is set. A literal of 10^14 octets is announced, not
 * allocated; who wants all of one takes its octets as they come by `literal`. Nothing is recursive.
 *
 * Lines may end in LF alone. What is no response at all comes out as IMAP_STRANGE.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define IMAP_READER_ARENA (1u << 20)
#define IMAP_READER_TEXT (64u << 10)
#define IMAP_READER_DEPTH 40u

enum imap_node_kind { IMAP_NODE_NIL, IMAP_NODE_ATOM, IMAP_NODE_QUOTED, IMAP_NODE_LITERAL, IMAP_NODE_LIST };
struct imap_node {
	enum imap_node_kind kind;
	bool binary;             /* ~{n}: literal8 */
	uint64_t size;           /* octets there were; text may hold fewer */
	struct str text;         /* not of a list */
	struct imap_node *child, *next;
	/* private */
	struct imap_node *parent, *last;
};

enum imap_kind {
	IMAP_UNTAGGED, /* "* ..." */
	IMAP_TAGGED,
	IMAP_CONTINUE, /* "+ ..." */
	IMAP_STRANGE,  /* none of these */
};
enum imap_status { IMAP_NONE, IMAP_OK, IMAP_NO, IMAP_BAD, IMAP_PREAUTH, IMAP_BYE };
extern const char *const imap_status_name[]; /* "", "OK", ... */

struct imap_response {
	enum imap_kind kind;
	enum imap_status status;
	struct str tag;
	struct str code;        /* "UIDVALIDITY" of "[UIDVALIDITY 3]", or empty */
	struct str code_args;   /* "3" */
	struct str text;        /* for people; of a continuation and of what is strange: all of it */
	bool has_number;        /* "* 12 FETCH": number 12, name FETCH */
	uint64_t number;
	struct str name;        /* "CAPABILITY", "FETCH", ...; empty where there is a status */
	struct imap_node *data; /* the values behind the name, linked by next; may be NULL */
	bool cut;               /* there was more than is kept */
	bool broken;            /* parentheses or quotes that do not match */
};

/* Octets of a literal as they come; item: the atom before it ("BODY[]"), or empty. */
typedef void imap_literal_fn(void *arg, struct str item, uint64_t size, uint64_t off, struct str piece);

struct imap_reader {
	/* Set behind imap_reader_init() if wanted. */
	imap_literal_fn *literal;
	void *arg;
	size_t text_max;
	unsigned depth_max;
	bool sieve;             /* ManageSieve: no tags */
	/* private */
	struct arena arena;
	struct imap_response r;
	struct buf token;       /* the token, or the text, at hand */
	uint64_t token_size;
	int state, lit;
	int section;            /* inside "BODY[...]": 1, inside a quoted string there: 2 */
	bool escaped, done;
	size_t lit_at;          /* where "{n}" begins in token */
	uint64_t lit_size, lit_left;
	uint64_t depth, kept;   /* open parentheses; those of them that are lists in the tree */
	unsigned words;         /* tokens before the values */
	struct imap_node *open, *last; /* the list at hand (NULL: the top), its last value */
	struct str item;
};

void imap_reader_init(struct imap_reader *x, size_t arena_max);
void imap_reader_done(struct imap_reader *x);
/* Takes octets off *in. The response, good until the next call; NULL: all are taken, more must come. */
const struct imap_response *imap_reader_feed(struct imap_reader *x, struct str *in);
/* Octets of a literal that are still to come: what is in it is no line for people. */
uint64_t imap_reader_literal_left(const struct imap_reader *x);

/* --- values --- */
bool imap_node_is(const struct imap_node *n, const char *atom); /* in any case; NULL: false */
struct str imap_node_text(const struct imap_node *n);           /* empty for NULL, NIL and lists */
/* The value behind the atom `key` in a list of keys and values; NULL: there is none. */
const struct imap_node *imap_node_value(const struct imap_node *first, const char *key);
/* One string as a command wants it: an atom, quoted, or (line ends, NUL, octets above 0x7f without
 * utf8) nothing and false: it needs a literal. */
bool imap_put_astring(struct buf *out, struct str s, bool utf8);

/* Mailbox names: modified UTF-7 (RFC 3501 5.1.3) to UTF-8 for people, and back. What cannot be
 * decoded stays as it is. */
void imap_name_decode(struct str wire, struct buf *out);
void imap_name_encode(struct str utf8, struct buf *out);
