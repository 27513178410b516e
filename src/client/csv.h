/*
 * csv: rows of a table as text (RFC 4180), one at a time: fields parted by commas (or what the first
 * row parts them by: ";" or tab), in quotes where they hold one of these, quotes doubled there, rows
 * ended by CRLF, LF or CR. A byte order mark at the beginning and empty rows are passed over.
 *
 * Octets come by csv_feed() in any pieces; csv_next() takes rows out. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CSV_ROW_MAX (256u << 10) /* octets of a row */
#define CSV_FIELDS_MAX 1000

enum csv_status {
	CSV_ROW,
	CSV_MORE,  /* feed more, or say that it ended */
	CSV_END,
	CSV_WRONG, /* csv->why, in csv->row; it goes no further */
};

struct csv {
	char sep;           /* 0: found in the first row */
	struct buf in;      /* not yet taken */
	bool ended, begun;
	uint64_t row;       /* of the row at hand, as a spreadsheet counts: the first is 1 */
	const char *why;
	struct buf text;    /* the fields of the row, without quotes, one behind the other */
	size_t n;
	size_t end[CSV_FIELDS_MAX];
};

void csv_init(struct csv *c, char sep);
void csv_done(struct csv *c);
void csv_feed(struct csv *c, struct str octets);
void csv_end(struct csv *c);
enum csv_status csv_next(struct csv *c);
/* A field of the row, until the next csv_next(); empty when there are fewer. */
struct str csv_field(const struct csv *c, size_t i);
