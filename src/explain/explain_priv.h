/* explain_priv: what a question is taken apart into, and the table it is looked up in. */
#pragma once

#include "explain/explain.h"

/* The table that tools/codes2c.py makes. Texts are offsets into explain_pool, each ends in NUL;
 * offset 0 is the empty one. A record has one row for each way to find it. */
struct explain_row {
	uint32_t code;     /* "550", "5xx", "ECONNREFUSED", "NO" */
	uint32_t enhanced; /* "X.7.1", "5.7.606-649", "X.7.x", "[ALERT]" */
	uint32_t pattern;  /* lower case; * any octets, % one word */
	uint16_t record;
	uint16_t gram; /* hash of four octets of the pattern, or EXPLAIN_NO_GRAM */
	uint8_t reach; /* EXPLAIN_ROW_... */
	bool mark;     /* the pattern alone says who speaks and what is meant */
};
enum {
	EXPLAIN_ROW_LOOSE,    /* no pattern, or one with * in it */
	EXPLAIN_ROW_OPEN_END, /* * stands at its end only */
	EXPLAIN_ROW_WHOLE     /* no * */
};
struct explain_record {
	uint32_t who, meaning, causes, next, source, file;
	uint8_t proto, kind, actor;
	bool has_kind;
	uint16_t row; /* the first of its rows */
};
extern const char explain_pool[];
extern const struct explain_row explain_rows[];
extern const unsigned explain_row_count;
extern const struct explain_record explain_records[];
extern const unsigned explain_record_count;

#define EXPLAIN_GRAMS 8192
#define EXPLAIN_NO_GRAM UINT16_MAX

/* What is asked about. code and enhanced are views of the input; the texts stand in the struct:
 * one line, blanks joined, control characters gone; `low` in lower case and without codes. */
struct explain_question {
	enum explain_proto proto; /* EXPLAIN_ANY: it could be of any */
	bool whole;               /* a single word: it may be a name or a number of an error */
	struct str code;          /* "550", "NO", "-ERR", "10" */
	struct str enhanced;      /* "5.7.1", "[ALERT]" without arguments */
	/* Which hashes of four octets in a row `low` has: most patterns are ruled out by one look.
	 */
	uint8_t grams[EXPLAIN_GRAMS / 8];
	size_t raw_len, low_len;
	char raw[EXPLAIN_TEXT_MAX];
	char low[EXPLAIN_TEXT_MAX];
};
void explain_ask(struct explain_question *q, enum explain_proto proto, struct str text);

/* Without what transcripts put in front of a line of the server: "s:", "<-", "<<<". */
struct str explain_unlabel(struct str line);
/* Three digits from 2 to 5 in front, then a blank, - or #, or the end. */
bool explain_has_code(struct str s);
/* Where a reply begins in a line: its code, or s.len. */
size_t explain_find_reply(struct str s);

/* True when the pattern (lower case, ends in NUL) takes the whole text. */
bool explain_like(const char *pattern, struct str low);
/* "5.7.606-649" or "X.7.x" takes "5.7.610". */
bool explain_enhanced_like(const char *pattern, struct str enhanced);
