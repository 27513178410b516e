/*
 * Inside auth: the loop's thread holds channels, exchanges and keys; threads hash passwords, step
 * exchanges, sign, and write the file of accounts.
 *
 * A change of the file is made in this order: hash, write (atomically and durably), then memory,
 * then the answer; one change at a time, so the file and memory never tell different stories.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "conf/conf.h"
#include "ipc/chan.h"
#include "ipc/desk.h"
#include "ipc/pass.h"
#include "ipc/role.h"
#include "loop/loop.h"
#include "mail/srs.h"
#include "policy/guard.h"
#include "roles/auth/accounts.h"
#include "roles/auth/pool.h"
#include "tls/tls.h"

#define EXCHANGES_FRONT_MAX 4096 /* of one front, those that wait to be refused among them */
#define EXCHANGES_MAX 16384
#define SIGNS_MAX 4096       /* signatures asked for and not yet made */
#define SIGNS_FRONT_MAX 2048 /* of one front */
#define SIGNS_RELAY_MAX 256  /* of one relay, which asks for one a connection */
#define FETCHES_MAX 1024     /* tokens that somebody else is asked about */
#define TICKETS_MS (12 * 3600 * 1000)

struct keyset;
struct secrets;
struct oauth;
struct recent;
struct outgoing;

struct auth {
	struct role life; /* with parent */
	struct loop *loop;
	struct conf *conf;
	struct pool *pool, *signers;
	struct accounts accounts;
	char path[CONF_TEXT_MAX + 32]; /* of the file, as we may name it inside the sandbox */
	struct list changes;           /* the first is being written when `writing` */
	bool writing;
	struct list listings;
	struct list fronts;            /* struct front_chan */
	struct list relays;            /* of outgoing.c */
	struct outgoing *outgoing;     /* secrets of routes, or NULL: none came yet */
	size_t n_exchanges, n_signs, n_outgoing;
	struct guard *guard;
	struct recent *recent;         /* NULL: no login over POP3 had a delay yet */
	struct chan *fetch;            /* in gssapi: to auth, in the same place */
	struct map fetches;            /* number -> exchange that waits */
	uint64_t last_fetch;
	struct chan *gssapi;           /* that asks about accounts */
	bool kerberos;                 /* this is gssapi: no accounts, keys, signatures or tickets of TLS */
	bool has_keytab;
	struct pass_key passes;        /* what tickets into the mail are made with */
	struct srs_keys srs;           /* n 0: none came */
	struct secrets *secrets;       /* that are coming in */
	struct keyset *keys;
	struct oauth *oauth;           /* NULL: no tokens */
	int certs_fd;                  /* as fronts get them, or -1 */
	struct tls_ticket_key tickets[TLS_TICKET_KEYS];
	struct loop_timer *rotate;
	uint64_t n_logins, n_failed, n_signatures;
	bool said_ready; /* when the first keys have come, or the word that there are none */
};

/* ops.c */
extern const struct desk_op auth_ops[];
void auth_listings_done(struct auth *au); /* ends them unfinished */

/* change.c: takes a question over. keys NULL: take the account away. */
void auth_change_new(struct auth *au, struct desk_ask *a, const char *name, const char *keys);
void auth_changes_done(struct auth *au); /* ends them unfinished */

/* A front or a relay, in what it asks to be signed. */
struct asker {
	struct list signings; /* that are not made yet */
	size_t n;
};

/* fronts.c: channels to fronts */
struct front_chan {
	struct list node; /* auth->fronts */
	struct auth *auth;
	struct chan *chan;
	uint16_t index;
	struct asker asker;
	struct map exchanges; /* id -> struct exchange */
};
void fronts_take(struct auth *au, uint16_t index, int fd); /* takes fd over */
void fronts_certs(struct auth *au);                        /* tells all of them */
void fronts_tickets(struct auth *au);
void fronts_done(struct auth *au);
/* An id as a key; valid as long as *id. */
struct str id_key(const uint64_t *id);

/* exchange.c. False: the front broke the contract. */
bool exchange_start(struct front_chan *f, const struct ipc_frame *m);
bool exchange_step(struct front_chan *f, const struct ipc_frame *m);
bool exchange_drop(struct front_chan *f, const struct ipc_frame *m);
void exchanges_drop(struct front_chan *f); /* the front is gone */

/* mechs.c */
enum sasl_verdict auth_may(const struct auth *au, const struct msg_sasl_start *m,
    const struct sasl_mech *mech, const char **ret_why);
void auth_bindings(const struct auth *au, struct msg_sasl_start *m); /* what may be bound to */

/* sign.c: what a server signs for a front, and what a client signs for a relay: only with a
 * certificate that a route names. False: a breach. */
bool sign_take(struct front_chan *f, const struct ipc_frame *m);
bool sign_as_client(struct auth *au, struct chan *from, struct asker *a, const struct ipc_frame *m);
void sign_asker_gone(struct asker *a); /* nobody waits for its signatures any more */

/* srs.c: addresses that lead back */
void srs_secret(struct auth *au, struct str name, int fd); /* a file of keys */
bool srs_take(struct front_chan *f, const struct ipc_frame *m);

/* secrets.c */
bool secrets_take(struct auth *au, struct ipc_frame *m);
void secrets_done(struct auth *au);

/* fetch.c */
struct exchange;
bool fetch_peer(struct auth *au, int fd); /* takes fd over; false: it cannot be watched */
/* Asks about a token; false: it cannot be asked now. */
bool fetch_ask(struct auth *au, struct exchange *ex, struct str token, uint64_t *ret_number);
/* In gssapi: the same about an account. */
bool fetch_ask_account(struct auth *au, struct exchange *ex, uint64_t *ret_number);
void fetch_forget(struct auth *au, uint64_t number);
void fetch_done(struct auth *au);
/* exchange.c: the answer; NULL, or told false: none came. */
void exchange_fetched(struct exchange *ex, const struct msg_fetched *m);
void exchange_confirmed(struct exchange *ex, bool told, enum account_verdict v);
/* mechs.c: what pop3_login_delay says of a login; false: too soon. In auth: remembers it. */
void auth_delay(const struct auth *au, const struct msg_sasl_start *m, struct msg_account *ret);
bool auth_again(struct auth *au, const struct msg_account *m);

/* confirm.c: gssapi asks which accounts there are */
bool confirm_peer(struct auth *au, int fd); /* takes fd over; false: it cannot be watched */
void confirm_done(struct auth *au);
