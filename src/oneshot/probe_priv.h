/* probe_priv: what the files of the command probe share. */
#pragma once

#include "client/dns.h"
#include "client/smtp.h"
#include "mail/address.h"
#include "oneshot/verdict.h"

/* One address and what became of it. No pointers to what is made later: with --parallel it stands in
 * memory that processes share. */
struct probe {
	const char *text;            /* as given */
	struct addr addr;            /* views of text */
	bool bad;                    /* not an address */
	char domain[DNS_NAME_MAX];   /* in A-labels, or a literal */
	size_t group;
	bool done;
	enum probe_verdict verdict;
	int trouble;                 /* exit status, when it could not be asked */
	char host[DNS_NAME_MAX];     /* who was asked */
	char step[12];
	bool tls;
	int code;
	char enhanced[16];
	char reply[400];             /* first line of the text, escaped */
	int random_code;             /* --catchall-test; 0: not asked */
	char random_enhanced[16];
	char note[300];
};

/* The command as it runs. */
struct probing {
	struct client_options *o;
	struct probe *probe;
	size_t n, groups;
	const char *server;          /* --server, or NULL */
	const char *verb;            /* "VRFY", "EXPN", or NULL: RCPT */
	const char *from;            /* without brackets */
	void (*tell)(const struct probing *p, const struct probe *one); /* NULL: later */
};

/* probe_ask.c: one host. False: it did not answer; the next one may, unless it is the last. */
bool probe_host(struct probing *p, size_t group, const struct client_options *o, bool last);
struct probe *probe_next(struct probing *p, size_t group); /* not done yet, or NULL */
void probe_done(struct probing *p, struct probe *one, enum probe_verdict v, int trouble);
/* All that are not done of a group. */
void probe_rest(struct probing *p, size_t group, enum probe_verdict v, int trouble, const char *host,
    const char *step, struct str note);
