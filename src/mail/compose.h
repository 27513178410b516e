/*
 * compose: a letter from its parts (RFC 5322, RFC 2045-2047, RFC 2231): header, text, HTML,
 * attachments. Lines end in CRLF, none is longer than 998 octets, and all is ASCII unless `utf8`.
 *
 * Pure: the time, the Message-ID and the octets that make boundaries unique come in.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMPOSE_LINE 76u /* octets of a line, where it can be folded */

struct compose_file {
	struct str name;   /* as it will be shown; may be empty */
	struct str type;   /* "image/png"; empty: by its name */
	struct str octets;
};

/* Empty texts are left out. */
struct compose {
	struct str from;             /* of the header: "Joe <joe@example.com>" */
	const struct str *to;        /* addresses of the To field */
	size_t n_to;
	struct str subject;
	const struct str *fields;    /* "Name: value"; those named here replace ours */
	size_t n_fields;
	struct str text, html;       /* UTF-8; any line ends */
	const struct compose_file *files;
	size_t n_files;
	bool date;                   /* write one */
	int64_t sec;                 /* Unix time */
	int zone;                    /* minutes east of UTC */
	struct str message_id;       /* "x@example.com", without brackets */
	struct str seed;             /* letters and digits, different for each letter: boundaries */
	bool utf8;                   /* header fields may hold UTF-8 (RFC 6532) */
	bool eicar;                  /* attach the test file that virus scanners know */
	bool gtube;                  /* add the line that spam filters know */
};

/* False with a sentence in err: a field that is none, a control character in a value. out: as large
 * as the letter; its ceiling is the caller's. */
bool compose_letter(const struct compose *c, struct buf *out, struct buf *err);
/* One field, folded, encoded words where it has to be. */
bool compose_field(struct buf *out, struct str name, struct str value, bool utf8);
