/* smtp_priv: what the files of SMTP's and LMTP's mode share. */
#pragma once

#include "talk/letter.h"
#include "talk/talk_priv.h"
#include "talk/track.h"

struct smtp_talk {
	struct track track;
	struct letter letter;
	struct buf ready;      /* a letter that goes as soon as 354 comes */
	bool has_ready;
	bool collecting;       /* lines are kept for BDAT, without a 354 */
	uint64_t bdat_left;    /* octets of a chunk that are still to be typed */
	bool initial_due;      /* AUTH was sent without the initial response */
	bool wants_auth;       /* --auth, and not tried yet */
	bool strange_told;
	struct buf name;       /* of ours, when it was found out */
	struct str attachments[32]; /* owned: what ~a named */
	size_t n_attachments;
};

static inline struct smtp_talk *
smtp_of(struct talk *t)
{
	return t->state;
}

struct str smtp_name(struct talk *t); /* for EHLO */
void smtp_notes(struct talk *t, struct str lines, bool warn);

/* smtp_reply.c */
void smtp_received(struct talk *t, struct str line, bool piece, bool again);
void smtp_login(struct talk *t, struct str mech, struct str user);

/* smtp_data.c */
void smtp_data_begin(struct talk *t);  /* 354 came */
void smtp_data_typed(struct talk *t, struct str line, struct mode_typed *ret);
void smtp_letter_drop(struct smtp_talk *s);
void smtp_send_file(struct talk *t, struct str path);

/* smtp_compose.c */
bool smtp_lint(struct talk *t, struct str text); /* false: it must not go */
bool smtp_compose(struct talk *t, struct buf *out); /* with what was attached; false: told why */

/* smtp_words.c, pure */
void smtp_words(const struct track *track, struct words *w);

/* smtp_local.c */
extern const struct talk_command smtp_commands[];
