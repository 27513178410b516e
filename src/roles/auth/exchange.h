/*
 * exchange: one SASL exchange of one client. The loop's thread owns it; while `busy`, one thread
 * of the pool steps it and nobody else looks at what stands below `--- the thread's`.
 *
 * Its life: START makes it; each step is a job; a challenge leaves it waiting for STEP; a final
 * answer ends it, at once or when its delay is over; DROP ends it when no thread is at it, else
 * its job's end does. A STEP while one is under way is a breach of front.
 */
#pragma once

#include "roles/auth/auth_priv.h"
#include "sasl/sasl.h"

#define EXCHANGE_WHY_MAX 200

struct exchange {
	struct pool_job job;
	struct auth *auth;
	struct front_chan *front; /* NULL: nobody waits for the answer any more */
	uint64_t id;
	const struct sasl_mech *mech;
	struct buf body;             /* of START; what `start` looks at */
	struct msg_sasl_start start;
	struct oauth *oauth;
	struct loop_timer *timer;    /* of a delayed answer, or of a question about a token */
	struct buf late;             /* the answer that is held back */
	uint64_t fetch;              /* number of the question under way, or 0 */
	int64_t began;               /* of this step: loop's time */
	bool busy;

	/* --- the thread's --- */
	struct sasl *sasl;
	struct buf in;               /* the client's octets of this step */
	bool has_in;
	enum sasl_status status;
	struct passwd_note {
		char name[PASSWD_NAME_MAX]; /* the account, or the login folded */
		bool known;
		bool bare;                  /* keeps nothing that this mechanism could use */
	} who;
	uint64_t tag;                /* of the password that was tried, or 0 */
	char why[EXCHANGE_WHY_MAX];
};

/* steps.c, on a thread */
void exchange_work(struct pool_job *job);
/* steps.c: the end of an exchange is good only for an account that may be what it asks to be. */
void exchange_identify(struct exchange *ex);
void exchange_why(struct exchange *ex, const char *why); /* the first reason stays */

/*
 * ticket.c: whose account is a Kerberos principal? alice@EXAMPLE.COM is alice@example.com: the
 * realm must be in capitals and the name in small letters, so that two principals are never one
 * account; a name of several parts (alice/admin, smtp/host) is no account. False: dst is the
 * principal cut short, for counting.
 */
bool ticket_account(struct str principal, char dst[PASSWD_NAME_MAX]);
/* In place of what accounts say; on a thread. */
void ticket_lookup(void *arg, struct str name, struct sasl_account *ret);
void ticket_identify(struct exchange *ex);
