/* mailread_priv: what the parts of mailread share. */
#pragma once

#include "client/exit.h"
#include "client/mailread.h"
#include "client/pop3.h"

/* Sets m->why. Returns status. */
int mailread_fail(struct mailread *m, int status, const char *fmt, ...) PRINTF(3, 4);
/* The same for a link that cannot go on. */
int mailread_lost(struct mailread *m, enum link_status s);
/* "it said no" */
int mailread_refused(struct mailread *m, int status, const char *what);

/* A command's line: what goes, and what is shown instead of it when that differs. */
struct mailread_line {
	struct buf text, shown;
	bool secret;
};
void mailread_line_init(struct mailread_line *l);
void mailread_line_done(struct mailread_line *l); /* wipes */
/* The same for both; and different octets. */
void mailread_line_puts(struct mailread_line *l, struct str s);
void mailread_line_secret(struct mailread_line *l, struct str s, struct str shown);
int mailread_line_send(struct mailread *m, struct mailread_line *l);

/* The next tag and a blank (IMAP); nothing else. */
void mailread_tag(struct mailread *m, struct mailread_line *l);
/* The next response that is no untagged one; those go to m->untagged. CLIENT_OK and *ret. */
int mailread_next(struct mailread *m, const struct imap_response **ret);
/* Sends, waits for the tagged response: m->good, m->code, m->text. CLIENT_OK also for NO and BAD. */
int mailread_command(struct mailread *m, const char *fmt, ...) PRINTF(2, 3);
int mailread_tagged(struct mailread *m);
void mailread_keep(struct mailread *m, const struct imap_response *r); /* into good, code, text */

/* POP3: one line of an answer, kept the same way. */
int mailread_pop_answer(struct mailread *m, enum pop_status *ret);
int mailread_pop(struct mailread *m, const char *fmt, ...) PRINTF(2, 3);
/* The lines behind it, without dots, to fn. */
int mailread_pop_lines(struct mailread *m, void (*fn)(void *arg, struct str piece), void *arg);

void mailread_caps_nodes(struct mailread *m, const struct imap_node *n);
void mailread_caps_text(struct mailread *m, struct str s);
