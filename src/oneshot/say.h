/* say: results of the commands that ask and tell: tables for people, a line of JSON for programs. */
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "cli/cli.h"
#include "client/options.h"

#include <stddef.h>
#include <stdio.h>

#define SAY_COLUMNS_MAX 6
#define SAY_CELL_MAX (8u << 10)
#define SAY_WIDE_MAX 44 /* what is wider stands out of its column */

/* Rows are kept until they are printed, so that columns are as wide as they have to be. */
struct say_table {
	char **cell;
	size_t columns, n;
};
void say_table_init(struct say_table *t, size_t columns);
void say_cell(struct say_table *t, const char *fmt, ...) PRINTF(2, 3);
/* Prints (to NULL: not) and frees. What stands last in its row is not padded. */
void say_table_print(struct say_table *t, FILE *to);

/* One object, one line, standard output; releases it. */
void say_json(json_t *root);
/* "# text", grey where `color` says so; each line of its own. */
void say_note(const struct client_options *o, struct str lines);
void say_warn(const struct client_options *o, struct str lines);
/* An error with words of a server in it, on standard error; each line of its own. */
void say_error(struct str lines);
/* SGR for good (green), bad (red), unsure (yellow), or "" without colour. */
enum say_mood { SAY_PLAIN, SAY_GOOD, SAY_BAD, SAY_UNSURE, SAY_GREY };
const char *say_color(const struct client_options *o, enum say_mood mood);
const char *say_plain(const struct client_options *o); /* ends it */
/* These commands tell results on standard output, and show conversations only when asked to
 * (--verbose), on standard error, or in JSON beside the results. */
void say_setup(struct client_options *o);
/* The policy of STS_FOUND as JSON. */
json_t *say_policy(const struct sts_found *f);
