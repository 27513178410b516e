/*
 * mail_change: what a user changes, asked for by a front. A change is under way from IPC_CHANGE
 * until the engine has it applied, and is answered exactly once; it outlives its front, then it
 * is answered to nobody. The bodies of an APPEND are gone from the front's bodies when it ends,
 * whatever came of it.
 */
#pragma once

#include "roles/store/store_priv.h"
#include "store/mail.h"

struct mail_change {
	struct list node; /* role->mail, or role->held */
	struct store_role *role;
	struct front_peer *front;
	uint64_t life; /* of its channel */
	uint64_t id;
	uint64_t who;  /* account of the pass */
	uint64_t session;   /* as `trace` shows them */
	struct str address, peer;
	struct access_change c; /* views into octets */
	struct entry at, to;    /* the mailbox, and where letters go to */
	uint64_t account;       /* of names that are made, removed, changed */
	uint64_t memory;        /* octets that the engine holds for it */
	char octets[];
};

/* mail_answer.c: ends it. res may be NULL with a status that is not ACCESS_OK. */
void mail_change_end(struct mail_change *m, enum access_status status,
    const struct mail_result *res);
/* The same from what the engine said; as a mail_fn. */
void mail_changed(void *arg, const struct mail_result *res);
