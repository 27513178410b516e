/* mime_priv: what the two halves of the walk share: the tree of parts, and what is fed. */
#pragma once

#include "mail/mime.h"

/* "--", a boundary, "--" and a line end: what decides whether a line is a boundary line. */
#define HEAD_MAX (2 + MIME_BOUNDARY_MAX + 2 + 2)

enum where {
	IN_HEADER,
	IN_BODY,
	IN_BOUNDARY, /* the rest of a boundary line */
};
enum kind { KIND_MORE, KIND_BOUNDARY, KIND_EMPTY, KIND_FOLD, KIND_OTHER };

struct mime_walk {
	const struct mime_sink *sink;
	void *arg;
	enum where where;
	bool line_start; /* nothing but head was seen of the line at hand */
	bool closing;    /* IN_BOUNDARY: "--" stands behind it */
	bool field_open;
	bool cut;
	uint8_t eol_len; /* a line end, or its CR, that may belong to a boundary line */
	uint8_t head_len;
	char last_octet; /* of what was fed before */
	char eol[2];
	char head[HEAD_MAX];
	uint64_t at, lfs; /* octets and LFs behind us, eol and head among them */
	uint8_t last_eol; /* of the header line before */
	struct mime_part *part;
	struct mime_part *spare;
	uint32_t parts;
	uint32_t n_bounds;
	struct mime_part *bounds[MIME_DEPTH_MAX + 1]; /* open multiparts, outermost first */
	uint64_t first[4]; /* bit: a boundary begins with this octet; all ones: one is empty */
	struct buf field;
};

/* --- the tree --- */

struct mime_part *mime_part_push(struct mime_walk *w, uint64_t off, uint64_t line);
void mime_part_pop(struct mime_walk *w, uint64_t end, uint64_t line);
/* What the line is that begins with head; KIND_MORE: more octets are needed, which `last` denies. */
enum kind mime_line_kind(const struct mime_walk *w, struct str head, bool last,
    struct mime_part **ret, bool *ret_closing);
/* A line begins in a header that is not empty and no boundary; then octets of it. */
void mime_field_line(struct mime_walk *w, bool fold);
void mime_field_octets(struct mime_walk *w, struct str s);
/* The header of the part at hand ends, and its body begins at off. whole: an empty line was there;
 * without it a multipart cannot begin. */
void mime_header_end(struct mime_walk *w, uint64_t off, uint64_t line, bool whole);
/* The line that begins at off, behind a line end of eol octets, is a boundary of p. */
void mime_boundary_line(struct mime_walk *w, struct mime_part *p, bool closing, uint64_t off,
    size_t eol);
