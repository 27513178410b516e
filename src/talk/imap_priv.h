/* imap_priv: what the files of talk's IMAP mode share. */
#pragma once

#include "base/buf.h"
#include "client/imap.h"
#include "talk/reading.h"
#include "talk/talk.h"

#define IMAP_SENT_MAX 256u           /* commands without an answer */
#define IMAP_UPLOAD_MAX (64u << 20)  /* octets of a file that /append sends */
#define IMAP_READ_MAX (1u << 20)     /* octets of a letter that /read asks for */

enum imap_verb {
	IV_OTHER, IV_CAPABILITY, IV_NOOP, IV_LOGOUT, IV_STARTTLS, IV_AUTHENTICATE, IV_LOGIN,
	IV_ENABLE, IV_SELECT, IV_EXAMINE, IV_LIST, IV_LSUB, IV_STATUS, IV_APPEND, IV_IDLE,
	IV_CLOSE, IV_UNSELECT, IV_FETCH, IV_SEARCH, IV_UID, IV_COMPRESS, IV_VERBS
};

struct imap_sent {
	char tag[32];
	enum imap_verb verb;
	struct buf what; /* the mailbox of SELECT */
};

enum imap_idle { IDLE_OFF, IDLE_ASKED, IDLE_ON };

struct imap_talk {
	struct talk *t;
	struct imap_reader reader;
	bool own_tags; /* a tag of the form of ours was typed: ours get another letter */
	unsigned tag;
	struct imap_sent sent[IMAP_SENT_MAX];
	size_t n_sent;
	/* What is known. */
	struct buf caps;         /* parted by blanks */
	char mechs[512];
	bool caps_fresh;         /* they came while the last command was under way */
	bool caps_known, login_disabled, logged_in, bye;
	struct buf mailbox;      /* UTF-8; empty: none is selected */
	struct buf naming;       /* of the SELECT under way */
	bool read_only;
	uint64_t exists, recent;
	/* Half done. */
	uint64_t lit_left;       /* octets of a literal that somebody types */
	bool lit_wait;           /* the server has not yet asked for it */
	bool lit_tail;           /* it is over, and what follows it in its command is still to come */
	struct buf upload;       /* what goes when it asks */
	enum imap_idle idle;
	bool auth_fresh;         /* the first message waits for the first "+" */
	bool auth_typed;         /* by hand: the next line answers a challenge */
	/* Showing. */
	bool pretty;             /* /pretty on */
	bool table;              /* the command at hand is one of ours: its answer is shown as a table */
	struct reading *reading; /* /read */
	bool reading_cut;
	int wrong;               /* the first thing that was refused */
};

/* imap_typed.c */
/* Ends with NULL; it begins in the order of enum imap_verb, and there are more. */
extern const char *const imap_verb_names[];
void imap_typed(struct talk *t, struct str line, bool sure, struct mode_typed *ret);
void imap_sent(struct talk *t, struct str line, const struct mode_typed *typed);
/* Appends the next tag and a blank. */
void imap_next_tag(struct imap_talk *x, struct buf *out);
/* A command of our own that is shown and awaited as if it were typed; masked as in client/event.h. */
bool imap_send(struct imap_talk *x, struct str line, struct str masked);

/* imap_caps.c */
bool imap_has(const struct imap_talk *x, const char *capability);
void imap_caps_forget(struct imap_talk *x);
void imap_caps_text(struct imap_talk *x, struct str s);
void imap_caps_nodes(struct imap_talk *x, const struct imap_node *n);

/* imap_auth.c */
void imap_auth(struct talk *t, struct str mech, struct str user);
void imap_auth_challenge(struct imap_talk *x, struct str text);
void imap_login(struct imap_talk *x, struct str user);

/* imap_show.c: what an untagged response says, as a table. */
void imap_show(struct imap_talk *x, const struct imap_response *r);
void imap_show_caps(struct imap_talk *x);

/* imap_local.c */
extern const struct talk_command imap_locals[];
void imap_complete(struct talk *t, struct words *w);
