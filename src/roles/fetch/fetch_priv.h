/*
 * Inside fetch: a question of auth becomes one POST to the web address that the configuration
 * names, and its answer goes back. Nobody else can name an address.
 *
 * It opens no file once it has given up its rights, and looks no name up: dns does. The password
 * and the authorities of its own come from parent as descriptors (IPC_SECRET); the system's
 * authorities are read before the sandbox, when the web address is an https one.
 */
#pragma once

#include "base/list.h"
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

struct secrets {
	struct buf password, authorities;
	bool has_password;
};

struct web; /* web.c: libcurl in the loop */

struct request {
	struct list node; /* fetch->requests */
	struct fetch *fetch;
	uint64_t id;  /* of auth's question */
	uint64_t ask; /* of ours to dns; 0: none is open */
	struct loop_timer *timer;
	struct buf form;
	struct transfer *transfer; /* NULL: waits for dns */
};

struct fetch {
	struct role role;
	struct conf *conf;
	struct chan *auth, *dns;
	struct secrets secrets, coming;
	struct buf system; /* authorities of the system */
	struct web *web;
	struct list requests;
	size_t n_requests;
	uint64_t last_ask;
	char host[HOST_MAX + 1]; /* of the web address */
	bool literal;            /* it is an IP address */
};

/* request.c */
void fetch_request_begin(struct fetch *f, uint64_t id, struct str form);
void fetch_drop_all(struct fetch *f); /* nobody waits for them any more */
void fetch_addresses(struct fetch *f, uint64_t ask, struct str addresses); /* dns has answered */
void fetch_no_dns(struct fetch *f);

/* web.c. A transfer ends by its function, once, or by transfer_free(). */
struct transfer;
typedef void transfer_fn(void *arg, uint16_t status, struct str body, const char *error);
struct web *web_new(struct loop *l);
struct web *web_free(struct web *w);
/* The host of a web address without brackets; false: it has none. */
bool web_host(const char *url, char out[HOST_MAX + 1], bool *ret_literal);
struct transfer_how {
	const char *url;
	const char *client;   /* "": without a name */
	struct str password;
	struct str authorities;
	const char *host;
	struct str addresses; /* of host, 16 octets each; empty: host is one */
	struct str form;      /* lives as long as the transfer */
};
struct transfer *transfer_new(struct web *w, const struct transfer_how *how, transfer_fn *fn,
    void *arg); /* NULL: no memory */
struct transfer *transfer_free(struct transfer *t);
