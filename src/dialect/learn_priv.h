/* learn_priv: the lesson, and how a recorded reply becomes a template. */
#pragma once

#include "dialect/learn.h"
#include "smtp/reply.h"

/* What one conversation has taught so far; texts are in the arena behind `keep`. */
struct lesson {
	unsigned line;             /* where it begins */
	unsigned replies;          /* understood ones */
	unsigned other;            /* replies nobody knows what to */
	struct str host;           /* as the greeting says it */
	struct str helo, from, to; /* what the client said last, brackets taken off */
	struct str size, ehlo_host; /* of EHLO */
	struct str size_at, ehlo_host_at; /* the same, in the line at hand */
	struct str first, cap[SMTP_CAP_MAX];
	size_t n_cap;
	struct str reply[SMTP_SITUATION_COUNT]; /* "NNN text", \n between lines; as templates */
	enum smtp_qid_style style;
	bool has_style, early_mail, bare_helo, silent_quit, authed;
};

/* Appends the template of a recorded text; s says which of the client's words may stand in it. */
void learn_template(struct buf *out, struct lesson *l, enum smtp_situation s, struct str text);
/* The same for a line of the answer to EHLO. */
void learn_cap(struct buf *out, struct lesson *l, struct str text);
