/*
 * scan: one pass over a letter while it arrives: where the header ends (R-MSG-3), what it
 * holds, how many hops, whether lines end as they should.
 *
 * Feed it the octets as they are stored (dot-unstuffed), in any split; call scan_end() once.
 * Memory is bounded (one field name and counters). R-MSG-3 in one pass: a field is
 * 1*(0x21-0x39 / 0x3B-0x7E), perhaps blanks (RFC 5322 4.5), and ":". At a line that is neither
 * field nor continuation the scanner stops counting; if a field comes before the next empty
 * line the lines between were a damaged continuation (`repaired`), else the header ended there
 * and `insert_blank` says that an empty line belongs there. Undecided lines that would pass a
 * limit count as: the header ended before them. Limits are judged line by line.
 *
 * A bare LF ends a line here, so that no field can hide behind one; it is flagged as well.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define SCAN_NAME_MAX 76

enum scan_field {
	SCAN_RECEIVED, SCAN_FROM, SCAN_SENDER, SCAN_DATE, SCAN_MESSAGE_ID, SCAN_TO, SCAN_CC,
	SCAN_BCC,
	SCAN_SUBJECT, SCAN_RETURN_PATH, SCAN_DELIVERED_TO, SCAN_FIELD_COUNT
};

struct scan_limits {
	uint64_t max_lines; /* header lines; UINT64_MAX: no limit */
	uint64_t max_bytes; /* header octets */
};

struct scan {
	struct scan_limits limits;
	/* results; final after scan_end() */
	uint64_t size;         /* octets fed */
	uint64_t header_len;   /* octets that are header, the empty line not counted */
	uint64_t header_lines;
	uint32_t fields;       /* fields seen */
	uint32_t count[SCAN_FIELD_COUNT];
	bool insert_blank;
	bool repaired;         /* a damaged continuation was taken in */
	bool header_too_big;   /* a limit was passed; header_len is then where */
	bool bare_cr, bare_lf, nul;
	bool eight_bit;        /* an octet above 0x7f somewhere */
	bool no_final_eol;     /* the last line has no CRLF */
	/* private */
	int state, line;       /* where in the letter, what the line at hand is so far */
	bool after_cr;
	uint64_t doubt_lines;  /* undecided ones, which begin at header_len */
	char name[SCAN_NAME_MAX];
	uint32_t name_len;     /* SCAN_NAME_MAX + 1: longer than any name we look for */
};

void scan_init(struct scan *s, const struct scan_limits *limits);
void scan_feed(struct scan *s, struct str chunk);
void scan_end(struct scan *s);
/* The header is over: nothing that follows changes what is known of it. */
bool scan_in_body(const struct scan *s);
/* The line at hand is not done, and may be a field or none. */
bool scan_undecided(const struct scan *s);
