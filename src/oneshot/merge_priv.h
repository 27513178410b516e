/* merge_priv: what the files of the command merge share. */
#pragma once

#include "client/csv.h"
#include "client/smtp.h"
#include "mail/address.h"
#include "oneshot/letters.h"
#include "oneshot/say.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define MERGE_XDFN_LINE 900 /* octets of one XDFN, unless a single value is longer */
#define MERGE_LINE_MAX 4000 /* what servers take of a command (docs/rules.md 4) */

/* --- merge_rows.c: the table --- */
struct merge_rows {
	const char *path;
	FILE *in;
	struct csv csv;
	bool eof;
	size_t n, to;           /* columns; the one of the addresses */
	char *name[CSV_FIELDS_MAX];
};
struct merge_row {
	uint64_t no;            /* as a spreadsheet counts; the header is 1 */
	struct str to;          /* as it stands; a view until the next row */
	struct buf xdfn;        /* arguments of XDFN, a line each */
	struct buf why;         /* the row cannot be used: a clause; else empty */
};
/* Reads the header; to_column: a name, or NULL: *TO, to, email, mail, address, recipient. CLIENT_OK,
 * or CLIENT_IO, CLIENT_USAGE with a sentence in err. */
int merge_rows_open(struct merge_rows *r, const char *path, const char *separator,
    const char *to_column, struct buf *err);
void merge_rows_close(struct merge_rows *r);
/* 1: a row; 0: there are no more; -1: the table is broken, a sentence in err. */
int merge_rows_next(struct merge_rows *r, struct merge_row *row, struct buf *err);
void merge_row_init(struct merge_row *row);
void merge_row_done(struct merge_row *row);

/* --- the command --- */
struct merging {
	struct client_options *o;
	struct merge_rows rows;
	struct letters *letters;
	struct str *parts;      /* CRLF at the ends of their lines */
	size_t n_parts;
	const char *from;
	bool brackets, single;
	uint64_t total;         /* rows; 0: not known */
	uint64_t done, sent, refused, merges;
	int64_t told_us;        /* of the last line of progress */
	struct smtp_run run;
	bool opened;            /* it was */
	struct buf err;
	int status;             /* what stopped it */
};
/* Reads the next row that can be sent; those that cannot are told. 1, 0, or -1 as above. */
int merge_next(struct merging *m, struct merge_row *row);
void merge_refused(struct merging *m, uint64_t no, struct str to, const struct answer *a,
    struct str why);
void merge_progress(struct merging *m);
/* merge_wire.c: XMRG. CLIENT_OK, or what stopped it, in err; MERGE_NO_XMRG: the server has none, and
 * nothing was read of the table. */
#define MERGE_NO_XMRG (-1)
int merge_wire(struct merging *m);
