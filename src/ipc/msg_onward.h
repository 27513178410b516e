/*
 * msg_onward: what is said of letters on their way to other servers; a part of ipc/msg.h, which
 * includes it and says what holds for all messages.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "base/wire.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Letters on their way to other servers. store gives jobs (a letter and its recipients at one
 * destination), each under a lease; relay brings them there and says what became of each
 * recipient. A letter's octets are a reader's to give (IPC_SPOOL_ASK); those of a short one that
 * came just now store sends itself: one IPC_SPOOL under the lease, in front of the IPC_JOB.
 *
 * A lease counts from given_ms, and anew from each STAGE; a job that is quick needs none. One that
 * is not heard of for JOB_LEASE_MS is over: its result is refused, and its relay's channel is
 * closed. relay hands no end mark to the kernel when given_ms and its last STAGE are JOB_QUIET_MS
 * ago, and sends no STAGE that might reach store too late.
 *
 * A relay that loses its store gives up what has no end mark yet, keeps the results of the rest and
 * tells them to the next store. That gives no job before all relays have said HELLO, but for those
 * that have not done so for 5 s.
 */
#define JOB_LEASE_MS 300000
#define JOB_QUIET_MS 60000
#define JOB_ENTRY_MAX (256u << 10)
#define JOB_RCPTS_MAX 500u         /* of one job */
#define JOB_TEXT_MAX 1024u           /* kept of a reply */
#define JOB_HISTORY_MAX (64u << 10)
#define SPOOL_CHUNK (256u << 10)
struct msg_job {
	uint64_t letter;
	uint32_t part;
	uint64_t size;     /* octets of the letter as it goes out, before dot-stuffing */
	uint16_t window;   /* connections to this destination that relay may have now */
	struct str qid;    /* <= 128 */
	struct str target; /* "mx:example.net", as queue/target.h has it; <= 512 */
	uint64_t turn;     /* over this turned connection, or 0 */
	uint64_t given_ms; /* sys_mono_ms() when it was given: the lease runs from there, however long
	                    * the message lay in the socket */
	struct str entry;  /* queue/entry.h; <= JOB_ENTRY_MAX */
	struct str state;  /* queue/entry.h; <= JOB_ENTRY_MAX */
};
struct msg_hello {
	uint16_t relays; /* processes that there are */
	uint16_t n;
	struct str leases; /* n encoded msg_lease; walk with msg_lease_get */
};
struct msg_lease {
	uint64_t lease, letter;
	uint32_t part;
};
enum job_stage {
	JOB_LOOKING, JOB_CONNECTING, JOB_TALKING,
	JOB_ENDING, /* the end mark follows */
	JOB_STAGE_COUNT
};
struct msg_stage {
	uint8_t stage;
	struct str where;  /* "mx1.example.net [192.0.2.1]:25", or empty; <= 400 */
};
enum job_fate {
	JOB_SENT,    /* the server has taken it */
	JOB_RELAYED, /* ... which passes our DSN wishes on (it offers DSN) */
	JOB_UNTIMED, /* ... and does not know of its deadline (BY with N): it offers no DELIVERBY */
	JOB_LATER,   /* 4xx, no connection, no name now */
	JOB_REFUSED, /* 5xx, or no way there for ever */
	JOB_DOUBT,   /* the connection was lost behind the end mark: try again (RFC 1047) */
	JOB_NOT_TRIED, /* cancelled, or the relay ends: no attempt is counted */
	JOB_FATE_COUNT
};
static inline bool
job_fate_is_sent(uint8_t fate)
{
	return fate == JOB_SENT || fate == JOB_RELAYED || fate == JOB_UNTIMED;
}
enum job_trouble { /* who is to be blamed: it slows down a host, or a recipient */
	JOB_TROUBLE_NONE,
	JOB_TROUBLE_NAME,
	JOB_TROUBLE_CONNECT,
	JOB_TROUBLE_TLS,
	JOB_TROUBLE_LOGIN,
	JOB_TROUBLE_GREETING,
	JOB_TROUBLE_SENDER,
	JOB_TROUBLE_RCPT,
	JOB_TROUBLE_LETTER,
	JOB_TROUBLE_CLOSED,
	JOB_TROUBLE_POLICY,
	JOB_TROUBLE_DAMAGED /* the letter, here: it is held */,
	JOB_TROUBLE_COUNT
};
struct msg_fate {      /* one for each recipient of the job, in its order */
	uint8_t fate;
	uint16_t code;     /* of the reply, or 0 */
	struct str status; /* "5.1.1", ours where the server gave none; <= 15 */
	struct str
	    text; /* the reply without its code, or our words; <= JOB_TEXT_MAX.
	           * msg_fate_put()   cuts what is longer and puts blanks for control octets */
};
struct msg_result {
	uint8_t trouble;
	bool dead;         /* the destination as a whole: nobody there can be reached now */
	struct str mta;    /* the host that spoke, or empty; <= 255 */
	struct str ip;     /* <= 64 */
	struct str tls;    /* "TLSv1.3 ... verified (DANE)", or empty: none; <= 256 */
	struct str tlsrpt; /* encoded tlsrpt facts (mail/tlsrpt.h), or empty; <= 4096 */
	uint64_t begun_ms, ended_ms;
	struct str history; /* the conversation, as session histories are; <= JOB_HISTORY_MAX */
	uint32_t n;
	struct str fates;  /* n encoded msg_fate; walk with msg_fate_get */
};
struct msg_spool_ask {
	uint64_t letter;
	uint32_t part;
	uint64_t off;
	uint32_t len;      /* <= SPOOL_CHUNK */
};

/* Where mail for a domain goes (RFC 5321 5.1, RFC 7505), with what DNSSEC says of it. */
#define MX_HOSTS_MAX 20
#define MX_ADDRS_MAX 16
#define MX_TLSA_MAX 16
enum mx_verdict {
	MX_OK, MX_NO_DOMAIN, MX_NO_MAIL /* null MX */, MX_NO_HOST /* names without addresses */,
	MX_LATER /* nobody answered */, MX_FORGED /* DNSSEC says that the answer is not true */,
	MX_OFF /* no look-ups are made here */, MX_VERDICT_COUNT
};
enum tlsa_verdict {
	TLSA_NONE, TLSA_SECURE,
	TLSA_FAILED, /* to be treated as a host that is down */
	TLSA_VERDICT_COUNT
};
/* A name of DNS or an address in brackets: not empty, nothing but visible lower-case ASCII. */
bool msg_domain_ok(struct str s);
struct msg_mx_ask {
	bool mx;           /* else `name` is a host: addresses and TLSA only */
	bool tlsa;
	uint16_t port;
	struct str name;   /* A-labels; <= 255 */
};
struct msg_mx_tlsa {
	uint8_t usage, selector, matching;
	struct str data;   /* <= 4096 */
};
struct msg_mx_host {
	uint16_t preference;
	struct str name;   /* as in MX; <= 255 */
	struct str tlsa_base; /* RFC 7672 2.2.2: whose TLSA records these are, or empty; <= 255 */
	bool secure;       /* its addresses are DNSSEC's */
	uint8_t tlsa;      /* enum tlsa_verdict */
	uint16_t n_addrs, n_tlsa;
	struct str addrs;  /* 16 octets each (IPv4 mapped), IPv6 and IPv4 as they came */
	struct str tlsas;  /* encoded msg_mx_tlsa; walk with msg_mx_tlsa_get */
};
struct msg_mx {
	uint8_t verdict;
	bool secure;       /* the MX records are DNSSEC's */
	bool implicit;     /* there is no MX: the domain itself (RFC 5321 5.1) */
	uint32_t ttl;
	struct str canonical; /* behind CNAMEs, or empty; <= 255 */
	struct str sts_id; /* of _mta-sts TXT, or empty; <= 32 */
	struct str rua;    /* of _smtp._tls TXT (RFC 8460), or empty; <= 1024 */
	struct str why;    /* a sentence when it is not OK; <= 256 */
	uint16_t n;
	struct str hosts;  /* encoded msg_mx_host, best first; walk with msg_mx_host_get */
};
struct msg_sts_ask {
	struct str domain; /* <= 255 */
	struct str id;     /* <= 32; empty: what is cached, without fetching */
};
struct msg_sts {
	uint8_t status;    /* 0: policy; 1: none; 2: it cannot be got now and none is cached */
	struct str policy; /* text; <= STS_POLICY_MAX */
	struct str why;    /* <= 256; with 2 it begins with its name in RFC 8460 4.3 and ": ", as in
	                    * "sts-policy-fetch-error: it answers 404" */
};

/* A place that a TXT record names, so anybody's: fetch posts to https only, and outside of a lab to no
 * address that is private. */
#define POST_MAX (256u << 10)
struct msg_post {
	struct str url;    /* <= 1024 */
	struct str octets; /* application/tlsrpt+gzip; <= POST_MAX */
};
#define KEEP_KEY_MAX 255
#define KEEP_VALUE_MAX (72u << 10)
struct msg_keep {
	struct str key;
	struct str value;  /* fetch's; empty: to be forgotten */
};

struct msg_login_start {
	struct str route;  /* name of the route in the configuration; <= 255 */
	struct str host;   /* for GSSAPI and DIGEST-MD5; <= 255 */
	struct str mechs;  /* offered, parted by blanks; <= 512 */
	bool tls, verified;
	bool certified;                        /* the server has seen our certificate */
	struct str exporter, endpoint, unique; /* channel bindings, each <= 64 */
};
enum login_verdict {
	LOGIN_SAY,
	LOGIN_DONE, /* the server may say yes now */
	LOGIN_NONE, /* no way; why */
	LOGIN_VERDICT_COUNT
};
struct msg_login {
	uint8_t verdict;
	struct str mech;   /* with the first answer; <= 32 */
	bool has_octets;   /* an initial response or an answer, which may be empty */
	struct str octets; /* <= 12288 */
	struct str why;    /* <= 256 */
};

struct msg_srs_ask {
	bool reverse;      /* an SRS address that comes back; else one to be rewritten */
	struct str addr;   /* <= 1024 */
	struct str domain; /* to be rewritten: the domain of ours that it shall lead back to; <= 255 */
};

#define TURN_DOMAINS_MAX 256
enum turn_verdict { TURN_YES, TURN_EMPTY /* 453 */, TURN_NO /* 451 */, TURN_VERDICT_COUNT };
struct msg_turn {
	uint16_t n;        /* domains */
	struct str domains; /* n strings, each <= 255; walk with get_str() */
	struct str who;    /* account and peer, for history; <= 512 */
	bool tls;          /* the connection is secured */
};
struct msg_guest {
	uint16_t listener; /* whose rules hold for it */
	struct str ip;     /* of the peer; <= 64 */
	struct str tls;    /* how it is secured, or empty; <= 256 */
	struct str domains; /* what it may bring, parted by blanks; <= 4096 */
};

void msg_job_put(struct buf *b, const struct msg_job *m);
bool msg_job_get(struct str body, struct msg_job *ret);
void msg_hello_put(struct buf *b, const struct msg_hello *m);
bool msg_hello_get(struct str body, struct msg_hello *ret);
void msg_lease_put(struct buf *b, const struct msg_lease *m);
bool msg_lease_get(struct wire *w, struct msg_lease *ret); /* advances w */
void msg_stage_put(struct buf *b, const struct msg_stage *m);
bool msg_stage_get(struct str body, struct msg_stage *ret);
void msg_fate_put(struct buf *b, const struct msg_fate *m);
bool msg_fate_get(struct wire *w, struct msg_fate *ret); /* advances w */
void msg_result_put(struct buf *b, const struct msg_result *m);
bool msg_result_get(struct str body, struct msg_result *ret);
void msg_spool_ask_put(struct buf *b, const struct msg_spool_ask *m);
bool msg_spool_ask_get(struct str body, struct msg_spool_ask *ret);
void msg_mx_ask_put(struct buf *b, const struct msg_mx_ask *m);
bool msg_mx_ask_get(struct str body, struct msg_mx_ask *ret);
void msg_mx_tlsa_put(struct buf *b, const struct msg_mx_tlsa *m);
bool msg_mx_tlsa_get(struct wire *w, struct msg_mx_tlsa *ret); /* advances w */
void msg_mx_host_put(struct buf *b, const struct msg_mx_host *m);
bool msg_mx_host_get(struct wire *w, struct msg_mx_host *ret); /* advances w */
void msg_mx_put(struct buf *b, const struct msg_mx *m);
bool msg_mx_get(struct str body, struct msg_mx *ret);
void msg_sts_ask_put(struct buf *b, const struct msg_sts_ask *m);
bool msg_sts_ask_get(struct str body, struct msg_sts_ask *ret);
void msg_sts_put(struct buf *b, const struct msg_sts *m);
bool msg_sts_get(struct str body, struct msg_sts *ret);
void msg_post_put(struct buf *b, const struct msg_post *m);
bool msg_post_get(struct str body, struct msg_post *ret);
void msg_keep_put(struct buf *b, const struct msg_keep *m);
bool msg_keep_get(struct str body, struct msg_keep *ret);
void msg_login_start_put(struct buf *b, const struct msg_login_start *m);
bool msg_login_start_get(struct str body, struct msg_login_start *ret);
void msg_login_put(struct buf *b, const struct msg_login *m);
bool msg_login_get(struct str body, struct msg_login *ret);
void msg_srs_ask_put(struct buf *b, const struct msg_srs_ask *m);
bool msg_srs_ask_get(struct str body, struct msg_srs_ask *ret);
void msg_turn_put(struct buf *b, const struct msg_turn *m);
bool msg_turn_get(struct str body, struct msg_turn *ret);
void msg_guest_put(struct buf *b, const struct msg_guest *m);
bool msg_guest_get(struct str body, struct msg_guest *ret);
