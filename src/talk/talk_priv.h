/* talk_priv: what the files of talk share behind talk/talk.h. */
#pragma once

#include "talk/editor.h"
#include "talk/talk.h"

#include <signal.h>

extern volatile sig_atomic_t talk_interrupted, talk_resized, talk_suspended;

/* loop.c */
void talk_loop(struct talk *t);
void talk_queue_init(struct talk_queue *q);
void talk_queue_put(struct talk_queue *q, struct str line, bool entered);
void talk_queue_clear(struct talk_queue *q);
void talk_run_queues(struct talk *t);  /* sends what may go */
void talk_hide(void *t);
void talk_show(void *t);

/* session.c */
int talk_connect(struct talk *t); /* an enum client_exit; begins when it is CLIENT_OK */
void talk_pump(struct talk *t);   /* takes in and reads what came */
void talk_closed(struct talk *t, enum link_status why);
void talk_disconnect(struct talk *t);

/* history.c: ~/.local/state/pennypost/history/HOST */
struct history *talk_history_open(const char *host, void (*fn)(void *arg, const char *line), void *arg);
void talk_history_add(struct history *h, struct str line);
struct history *talk_history_close(struct history *h);
/* Pure: may this line be kept? Not when it is or may hold a secret. */
bool talk_history_keeps(struct str line);
/* Addresses of the lines of MAIL and RCPT that were kept, the last first. */
void talk_history_offer(const struct history *h, struct words *w);

/* complete.c */
void talk_complete(void *t, struct words *w);

/* local.c */
extern const struct talk_command talk_commands[];
extern const char *const talk_set_words[]; /* "timeout=", ... */
void talk_local_init(struct talk *t); /* begins to remember what happens, for /save and /explain */
void talk_local_done(struct talk *t);
const struct talk_command *talk_command_find(const struct talk *t, struct str name);

/* auth.c */
void talk_auth_drop(struct talk *t);

/* manual.c */
void talk_manual_print(struct talk *t);
