/*
 * Inside SEARCH, SORT and THREAD: the program that the keys become, and how it runs.
 *
 * Keys are parsed once into an array of nodes. A letter is judged in up to three stages, each only
 * over the letters that the one before left open: from the index's row; from the outline; from the
 * octets, in one pass for all words looked for. In an AND the cheapest keys stand first, and what
 * is known is not looked at again.
 *
 * A command that searches keeps a struct that begins with a struct search in cmd->data.
 */
#pragma once

#include "imap/walk_priv.h"

#include "mail/charset.h"
#include "mail/find.h"

#include <stdlib.h>

#define SEARCH_NODES_MAX 10000
#define SEARCH_DEPTH_MAX 100
#define SEARCH_FINDERS_MAX 4 /* passes at once, of FIND_MAX questions each */
#define SEARCH_FINDS_MAX (SEARCH_FINDERS_MAX * FIND_MAX)
#define SEARCH_ITEMS_MAX 1000 /* words looked for in what the outline has, letter by letter */
#define SEARCH_ANSWER_MAX (64u << 20) /* octets of numbers */
#define SEARCH_TEXT_MAX (1u << 20)    /* of a decoded header field */

enum search_op {
	/* from the row */
	SEARCH_ALL, SEARCH_NONE, SEARCH_SET, SEARCH_FLAG, SEARCH_SIZE, SEARCH_DAY, SEARCH_SAVED,
	SEARCH_AGE, SEARCH_MODSEQ, SEARCH_EMAILID,
	/* from the outline */
	SEARCH_SENT, SEARCH_THREADID, SEARCH_ITEM,
	/* from the octets */
	SEARCH_FIND,
	/* of others */
	SEARCH_AND, SEARCH_OR, SEARCH_NOT,
};
enum search_compare { SEARCH_LESS, SEARCH_SAME, SEARCH_MORE, SEARCH_NOT_LESS, SEARCH_NOT_MORE };
enum search_stage { SEARCH_AT_ROW, SEARCH_AT_OUTLINE, SEARCH_AT_OCTETS, SEARCH_STAGES };
enum search_truth { SEARCH_NO, SEARCH_YES, SEARCH_OPEN };

struct search_node {
	uint8_t op, compare, stage;
	uint8_t item;            /* enum outline_item */
	bool want;               /* FLAG: set, or not */
	uint32_t child, next;    /* of AND, OR, NOT; 0: none */
	uint32_t find;           /* which question */
	uint64_t n;              /* size, day, bits, ... */
	struct needle *needle;
	struct imap_set *parsed; /* SET */
	bool uid;
	struct uidset set;       /* its numbers, as they are written */
};

/* RETURN (RFC 9051 6.4.4). */
enum {
	SEARCH_MIN = 1u << 0, SEARCH_MAX = 1u << 1, SEARCH_RETURN_ALL = 1u << 2,
	SEARCH_COUNT = 1u << 3, SEARCH_SAVE = 1u << 4,
	SEARCH_EXTENDED = 1u << 5, /* there was a RETURN */
};

struct search {
	struct imap_walk walk;   /* first */
	bool uid;
	unsigned returns;
	struct str charset;      /* len 0: UTF-8 */
	struct search_node *node;
	uint32_t n_nodes, cap_nodes, root; /* node 0 is none */
	unsigned depth;
	struct find_ask *finds;
	size_t n_finds;
	unsigned n_items;
	bool in_body;            /* a question about more than the header */
	bool modseq;             /* there was a MODSEQ key */
	bool row_keys, outline_keys;
	const char *no_code, *no_text; /* NO instead of BAD */
	enum imap_run (*then)(struct imap_session *); /* with the result */

	/* running */
	enum search_stage stage;
	struct uidset open, result;
	struct find *finder[SEARCH_FINDERS_MAX];
	struct search_letter {
		const struct access_letter *row;
		const struct outline *outline;
		uint32_t seq;
	} letter;
	struct buf record;       /* the outline of a letter that comes in many windows */
	struct outline outline;
	bool has_outline;
	struct buf text;         /* of the item decoded last */
	int text_item;           /* or -1 */
	struct search_found {
		uint32_t uid;
		uint64_t modseq;
	} min, max;
	uint64_t modseq_all;

	/* answering */
	struct buf answer;
	size_t said;
};
static inline struct search *
search_of(struct imap_session *s)
{
	return s->cmd->data;
}

/* search_parse.c: keys up to the end of the command. False: lex.bad, or no_text is said. */
bool search_parse(struct imap_session *s, struct search *q);
/* search_string.c: a charset's name, words in it. */
bool search_charset(struct imap_session *s, struct search *q, struct str name);
bool search_needle(struct imap_session *s, struct search *q, struct needle **ret);
bool search_fail(struct imap_session *s, const char *why);
bool search_refuse(struct search *q, const char *code, const char *why);
void search_free(struct search *q);
/* What parsing has failed with. */
enum imap_run search_wrong(struct imap_session *s, struct search *q);

/* search_eval.c */
enum search_truth search_eval(struct imap_session *s, struct search *q, uint32_t node);

/* search_run.c: takes the map, runs, then `then` with q->result. */
enum imap_run search_run(struct imap_session *s, enum imap_run (*then)(struct imap_session *));
/* Another walk by the same command. */
struct imap_walk *search_walk_again(struct imap_session *s,
    enum walk_say (*letter)(struct imap_session *, const struct walk_letter *),
    enum imap_run (*end)(struct imap_session *, enum access_status));

/* search_answer.c */
bool search_returns(struct imap_session *s, struct search *q); /* "RETURN (...) " where it is */
void search_save(struct imap_session *s, struct search *q);
/* "* ESEARCH (TAG ...) ..." into q->answer; order: uids as SORT has them, or NULL. */
void search_extended(struct imap_session *s, struct search *q, const uint32_t *order, size_t n);
/* q->answer goes out, then the tagged OK. */
enum imap_run search_say(struct imap_session *s);
