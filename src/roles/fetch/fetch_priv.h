/*
 * Inside fetch: the web, for others. Three kinds of things are asked for, each with a file of its own:
 *
 * request.c: a question of auth becomes one POST to the web address that the configuration names;
 * nobody else can name it.
 * policy.c:  the MTA-STS policies of domains (RFC 8461), for relays: fetched, remembered, fetched
 * again before they are old. store keeps them beyond our lives.
 * post.c:    reports about TLS (RFC 8460), for store, to web addresses that strangers name: https only,
 * and outside of a lab to no private address.
 *
 * It opens no file once it has given up its rights, and looks no name up: dns does. The password
 * and the authorities of oauth come from parent as descriptors (IPC_SECRET); the system's authorities,
 * or those of relay.authorities, are read before the sandbox. No redirect is ever followed.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "conf/conf.h"
#include "ipc/chan.h"
#include "ipc/role.h"
#include "loop/loop.h"

#define REQUESTS_MAX 64             /* open ones; more are refused at once */
#define REQUEST_MS 10000            /* patience with one */
#define ANSWER_MAX (256u << 10)     /* octets of an answer */
#define AUTHORITIES_MAX (4u << 20)  /* octets of PEM text */
#define PASSWORD_MAX (64u << 10)    /* octets of the file; its first line counts */
#define HOST_MAX 255
#define POSTS_MAX 16

struct fetch;

struct secrets {
	struct buf password, authorities;
	bool has_password;
};

/* Embedded in who asks. */
struct name_ask {
	struct list node; /* fetch->asks, while id is not 0 */
	uint64_t id;
	void (*fn)(void *arg, struct str addresses, const char *why); /* why NULL: there are some */
	void *arg;
};

struct web; /* web.c: libcurl in the loop */

struct request {
	struct list node; /* fetch->requests */
	struct fetch *fetch;
	uint64_t id;  /* of auth's question */
	struct name_ask name;
	struct loop_timer *timer;
	struct buf form;
	struct transfer *transfer; /* NULL: waits for dns */
};

struct relay_peer {
	struct fetch *fetch;
	struct chan *chan; /* NULL: not there */
};

struct policies;

struct fetch {
	struct role role;
	struct conf *conf;
	struct chan *auth, *dns, *store;
	struct relay_peer relay[RELAY_MAX];
	struct secrets secrets, coming;
	struct buf system;  /* authorities of the system */
	struct buf vouch;   /* relay.authorities: for hosts of policies and reports */
	bool own_vouch;     /* ... instead of those of the system */
	struct web *web;
	struct list requests;
	size_t n_requests;
	struct list asks;
	uint64_t last_ask;
	char host[HOST_MAX + 1]; /* of the web address */
	bool literal;            /* it is an IP address */
	struct policies *policies;
	struct list posts;
	size_t n_posts;
};

/* lookup.c */
/* False: dns does not run, and fn is not called. Else fn is called once, later, unless cancelled. */
bool fetch_lookup(struct fetch *f, struct name_ask *a, const char *host);
void fetch_lookup_cancel(struct name_ask *a);
void fetch_addresses(struct fetch *f, uint64_t id, struct str addresses); /* dns has answered */
void fetch_no_dns(struct fetch *f);
const char *fetch_why_no_dns(void);

/* request.c */
void fetch_request_begin(struct fetch *f, uint64_t id, struct str form);
void fetch_drop_all(struct fetch *f); /* nobody waits for them any more */

/* policy.c */
struct policies *policies_new(struct fetch *f);
struct policies *policies_free(struct policies *ps);
void policies_ask(struct policies *ps, struct relay_peer *p, uint64_t id, const struct msg_sts_ask *ask);
void policies_orphan(struct policies *ps, const struct relay_peer *p);
void policies_kept(struct policies *ps, const struct msg_keep *m); /* store has told one; empty key: all */
size_t policies_open(const struct policies *ps); /* askers that wait */

/* post.c: false is a breach. */
void fetch_post_begin(struct fetch *f, uint64_t id, const struct msg_post *m);
void fetch_posts_drop(struct fetch *f);

/* fetch.c: what https hosts of strangers are verified by. */
struct str fetch_authorities(const struct fetch *f);

/* web.c. A transfer ends by its function, once, or by transfer_free(). */
struct transfer;
/* status 0: error says why, and bad_certificate whether its certificate was it. */
typedef void transfer_fn(void *arg, uint16_t status, struct str body, const char *error,
    bool bad_certificate);
struct web *web_new(struct loop *l);
struct web *web_free(struct web *w);
/* The host of a web address without brackets; false: it has none. */
bool web_host(const char *url, char out[HOST_MAX + 1], bool *ret_literal);
enum transfer_kind {
	TRANSFER_FORM,   /* POST of a form; JSON comes back */
	TRANSFER_GET,    /* text/plain comes back */
	TRANSFER_REPORT, /* POST of a report about TLS */
	TRANSFER_KINDS
};
struct transfer_how {
	enum transfer_kind kind;
	const char *url;
	const char *client;   /* "" or NULL: without a name */
	struct str password;
	struct str authorities;
	const char *host;
	struct str addresses; /* of host, 16 octets each; empty: host is one */
	struct str octets;    /* that are posted; they live as long as the transfer */
	size_t max;           /* octets of the answer */
};
struct transfer *transfer_new(struct web *w, const struct transfer_how *how, transfer_fn *fn,
    void *arg); /* NULL: no memory */
struct transfer *transfer_free(struct transfer *t);
