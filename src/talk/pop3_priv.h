/* pop3_priv: what the files of talk's POP3 mode share. */
#pragma once

#include "base/buf.h"
#include "client/pop3.h"
#include "talk/reading.h"
#include "talk/talk.h"

#define POP_SENT_MAX 256u
#define POP_DELETED_MAX 10000u
#define POP_READ_MAX (1u << 20)

enum pop_verb {
	PV_OTHER, PV_CAPA, PV_STLS, PV_USER, PV_PASS, PV_APOP, PV_AUTH, PV_STAT, PV_LIST, PV_UIDL,
	PV_RETR, PV_TOP, PV_DELE, PV_RSET, PV_NOOP, PV_QUIT, PV_UTF8, PV_LANG, PV_VERBS
};

struct pop_sent {
	enum pop_verb verb;
	bool many;       /* lines and a dot follow +OK */
	uint64_t number; /* of DELE, RETR */
};

struct pop_talk {
	struct talk *t;
	struct pop_sent sent[POP_SENT_MAX];
	size_t n_sent;
	bool in_lines;           /* lines of a +OK come */
	struct pop_dot dot;
	struct buf line;         /* of CAPA, in the making */
	struct buf greeting;     /* for its stamp */
	struct buf caps;         /* one a line */
	char mechs[512];
	bool caps_known, logged_in, quitting;
	bool auth_fresh, auth_typed;
	struct buf first, first_shown; /* the first message, which had no room in its command */
	struct buf user;         /* of USER, for the question behind PASS */
	uint64_t letters, octets; /* of STAT */
	uint64_t *deleted;       /* numbers that DELE marked */
	size_t n_deleted;
	struct reading *reading; /* /read, /top */
	uint64_t read_octets;
	int wrong;
};

extern const char *const pop_verb_names[]; /* ends with NULL; in the order of enum, the first is no verb */
void pop_typed(struct talk *t, struct str line, bool sure, struct mode_typed *ret);
void pop_sent(struct talk *t, struct str line, const struct mode_typed *typed);
void pop_auth(struct talk *t, struct str mech, struct str user);
void pop_auth_challenge(struct pop_talk *x, struct str text);
extern const struct talk_command pop_commands[];
