/*
 * lint: what is wrong with a letter before it is sent, with the line it stands in and what to do.
 *
 * The letter as it is in the file: LF and CRLF both end a line. A letter that only a lenient server
 * would take, or that says something else than its writer means, gets a finding; style does not.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define LINT_MAX 100 /* findings that are told; the others are counted */

enum lint_rule {
	LINT_NO_DATE, LINT_NO_FROM, LINT_NO_MESSAGE_ID, LINT_TWICE, LINT_FROM_DIFFERS, LINT_BCC,
	LINT_FIELD_IN_BODY, LINT_NO_BLANK, LINT_NOT_FOLDED, LINT_NO_FIELD, LINT_EMPTY,
	LINT_LONG_LINE, LINT_BARE_CR, LINT_MIXED_ENDS, LINT_NUL, LINT_8BIT, LINT_8BIT_HEADER,
	LINT_NO_MIME_VERSION, LINT_NO_BOUNDARY, LINT_BOUNDARY_MISSING, LINT_BOUNDARY_OPEN,
	LINT_BLANK_BEFORE_COLON, LINT_FROM_LINE, LINT_COUNT
};
extern const char *const lint_rule_name[LINT_COUNT]; /* "no-date", ... */

struct lint_finding {
	enum lint_rule rule;
	size_t line;        /* from 1 on; 0: the letter as a whole */
	bool error;         /* it will be refused, or read as something else; else a warning */
	const char *what;   /* a sentence */
	const char *remedy; /* another */
	struct str about;   /* octets it is about, unescaped; may be empty */
};
typedef void lint_fn(void *arg, const struct lint_finding *f);

struct lint_conf {
	struct str sender;   /* of the envelope; empty: not known, or <> */
	bool eight_bit;      /* the letter goes with BODY=8BITMIME or BINARYMIME */
	bool utf8;           /* with SMTPUTF8 */
};
/* How many findings; *ret_errors of them are errors. */
size_t lint_letter(struct str letter, const struct lint_conf *conf, lint_fn *fn, void *arg,
    size_t *ret_errors);
