/*
 * session: the server's side of one SMTP or LMTP conversation (RFC 5321, RFC 2033), without I/O.
 *
 * A plain struct: no descriptor, no loop, no callback, no clock but the one passed in. The host
 * feeds octets and the session appends replies to `out`, until it needs something only the host
 * can give. smtp_session_step() returns why it stopped:
 *
 *   SMTP_MORE    all input is eaten; feed more when it comes
 *   SMTP_ASK     one question is open (session->ask, session->ask_no). No input is eaten until
 *                smtp_session_answer() brings the answer with that number
 *   SMTP_BODY    session->chunk holds octets of the letter as they are to be stored, borrowed
 *                from the input: take them, then step again
 *   SMTP_DROP    the letter under way will not be committed: forget what was taken (the reply is
 *                in out, or comes at the end of the body); then step again. The transaction is
 *                still there, so that the host can let go of txn->host_data. It comes once a
 *                body was begun or host_data is set, at the latest before SMTP_END; not after
 *                an answer to SMTP_ASK_COMMIT, with which the host has taken its letter back
 *   SMTP_UPGRADE start TLS now (after out is flushed), then smtp_session_secured(). Input behind
 *                it: close (CVE-2011-0411)
 *   SMTP_END     flush out and close
 *   SMTP_TURN    flush out; from then on the peer is the server on this connection (ATRN). The session
 *                is over
 *
 * After smtp_session_answer(), smtp_session_timeout() and smtp_session_shutdown() step again at
 * once, even without input: what waits behind a refused DATA is noticed there (R-PIPE).
 *
 * LMTP (smtp_conf.lmtp) is the same conversation with LHLO, and with one reply to the letter for
 * each recipient that was accepted, in the order of the RCPTs. The host's one answer holds for all
 * of them; it may say otherwise of one in its smtp_rcpt.outcome before it answers. With PRDR, which a
 * client asks for at MAIL, a letter for several recipients has such replies too, between a 353 and
 * the reply to the whole.
 *
 * Replies to one call can be many times longer than its input (HELP, EHLO): the ceiling of
 * `out` is the host's guard against peers that never read; out->failed means: close.
 *
 * R-rules (docs/rules.md) live here: line ends, telnet bytes, editing, dot, state, pipelining.
 * Limits come in struct smtp_conf; everything a peer can size has its cap there or below. An
 * idle session costs the struct (<= 2 KiB) plus nothing: line buffer and transaction attach at
 * the first octet and go back when they are empty.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/str.h"
#include "mail/address.h"
#include "mail/scan.h"
#include "smtp/reply.h"

#include <stdbool.h>
#include <stdint.h>

#define SMTP_LIMIT_OFF UINT64_MAX

enum smtp_helo_check { HELO_LENIENT, HELO_SYNTAX, HELO_FQDN, HELO_DNS };
enum smtp_bare_lf { BARE_LF_REJECT, BARE_LF_SESSION };

/* What the configuration says to one listener's sessions. Read-only, shared, outlives them. */
struct smtp_conf {
	const struct smtp_wording *wording;
	struct str host, ehlo_host, hub_host; /* ehlo_host, hub_host: host when not set */
	uint64_t max_size;
	bool lmtp;                  /* LHLO and a reply per recipient, instead of HELO and EHLO */
	bool ehlo;                  /* no: EHLO gets 500 */
	bool require_helo;
	bool helo_arg_optional;
	enum smtp_helo_check helo_check;
	bool angle_brackets_required;
	bool dot_space_end;         /* dot_space=end */
	bool line_editing;
	enum smtp_bare_lf bare_lf;
	bool quit_silent;
	bool vrfy, expn;
	bool add_missing_headers;   /* R-MSG-2; the host does it, the session only carries it */
	bool two_from_ok;           /* R-FROM off */
	bool starttls;              /* works here, and is advertised (a dialect's tls_advert aside) */
	bool starttls_refuse;       /* starttls=advertise-refuse: advertised, answered 454 or so */
	bool tls_required;          /* MAIL and AUTH need TLS first */
	struct str tls_required_senders; /* addresses or @domains, parted by blanks or commas */
	bool auth, auth_required;
	bool auth_cleartext;        /* passwords and mechanisms without TLS */
	bool auth_unadvertised;     /* works though it is not in the EHLO list */
	struct str mechs;           /* advertised, in this order, and the only ones that work */
	struct str mechs_tls;       /* -PLUS and EXTERNAL: advertised with TLS only; may be empty */
	bool atrn;                  /* ATRN works, and is advertised to whoever may log in */
	bool submission;            /* a client of ours hands in: the host checks and completes */
	bool burl;                  /* BURL (RFC 4468): ours who have logged in */
	bool ipmm, ipmm_brackets;   /* mail merge; [name] instead of &name; */
	uint64_t ipmm_parts;        /* limit.ipmm_parts */
	uint64_t ipmm_rcpts;        /* limit.ipmm_rcpts: of one merge, instead of rcpts_per_msg */
	bool xclient, xforward;     /* there are peers that may say who their client is: which ones,
	                             * smtp_session_trust() tells */
	/* What only a queue can keep: advertised and taken when set, else an unknown parameter. */
	bool requiretls, mt_priority, deliver_by;
	uint64_t hold_seconds;      /* FUTURERELEASE: so far ahead at most; 0: off. Ours only, see below */
	bool verp;                  /* XVERP: ours only */
	bool prdr;
	bool etrn, etrn_all;        /* ours only; everybody */
	struct str no_soliciting;   /* classes that are refused, parted by blanks; empty: all may come */
	struct str disabled;        /* service.disabled: reason, or empty */
	uint64_t bad_commands, command_line, msgs_per_session, rcpts_per_msg, hops;
	uint64_t header_lines, header_bytes;
	uint64_t conn_seconds, inject_seconds; /* SMTP_LIMIT_OFF: no limit */
	uint64_t idle_seconds, data_seconds, data_rate; /* data_rate: octets a second at least */
	uint64_t err_no;            /* lab: ${errno} */
};

/* Who is at the other end. Copied by smtp_session_init (text fields up to their arrays). */
struct smtp_peer {
	char ip[46];        /* text; what the server shall believe (client_ip in lab) */
	char name[256];     /* verified reverse name, or "unknown" */
	bool tls;           /* implicit: the handshake is done before the greeting */
};

enum smtp_ask {
	SMTP_ASK_NONE,
	SMTP_ASK_MAIL,   /* may a letter come in now? txn->from is set: SMTP_NONE or a refusal */
	SMTP_ASK_RCPT,   /* where does session->rcpt_asked go? SMTP_NONE: accepted (rcpt.ok) */
	SMTP_ASK_DATA,   /* a body begins: SMTP_NONE (354) or a refusal; qid may come already */
	SMTP_ASK_COMMIT, /* the letter is whole and within limits: make it durable */
	SMTP_ASK_VRFY,   /* vrfy=yes: session->arg; answer VRFY_OK/VRFY_UNKNOWN/... with vars */
	SMTP_ASK_EXPN,
	SMTP_ASK_ETRN,   /* session->arg: a domain, @domain or #queue; answer an ETRN_... situation, with
	                  * ETRN_COUNT counter */
	SMTP_ASK_TLS,    /* STARTTLS: SMTP_NONE (220, then SMTP_UPGRADE) or a refusal */
	SMTP_ASK_AUTH,   /* session->auth: a step of SASL. An answer with situation SMTP_NONE and
	                  * challenge: 334; SMTP_AUTH_OK with user: logged in; else a refusal */
	SMTP_ASK_TURN,   /* ATRN of somebody who has logged in; session->arg: domains parted by commas, or
	                  * empty: all. SMTP_NONE (250, then SMTP_TURN) or a refusal */
	SMTP_ASK_PART,   /* mail merge: a further part begins (XPRT): SMTP_NONE or a refusal */
	SMTP_ASK_BURL,   /* the next octets of session->arg, a URL. SMTP_NONE: `octets` of `size` are
	                  * at hand; they, and nothing of the peer's, are what smtp_session_step() is
	                  * fed with until it asks again or the phase is another. Or a refusal */
	SMTP_ASK_XCLIENT, /* session->asked holds all that XCLIENT has said so far. The peer is no
	                  * longer the proxy: the host finds rights and counts anew from its addr
	                  * (said, but empty: nobody knows). SMTP_NONE (then peer.ip and peer.name are
	                  * the new ones; with user, that is logged in: what LOGIN said becomes true
	                  * only so) or a refusal */
};

/* What a trusted peer says about its own client: Postfix' XCLIENT (it is that client now) and
 * XFORWARD (only for the log). Empty or 0: not said, or said to be unknown. Texts are decoded,
 * valid UTF-8 and free of control octets. */
struct smtp_xclient {
	char addr[46];              /* 192.0.2.1, 2001:db8::1 */
	char name[256];
	char helo[SMTP_VAR_MAX + 1];
	char login[512];            /* XCLIENT: who has logged in there */
	char dest_addr[46];         /* XCLIENT: where the client connected to */
	char ident[256], source[16]; /* XFORWARD: queue id upstream; LOCAL or REMOTE */
	char proto[16];             /* SMTP or ESMTP; XFORWARD: any word */
	uint16_t port, dest_port;
	unsigned said;              /* a bit for each of enum smtp_xattr that was named */
};
enum smtp_xattr {
	XATTR_NAME, XATTR_ADDR, XATTR_PORT, XATTR_PROTO, XATTR_HELO, XATTR_LOGIN, XATTR_DESTADDR,
	XATTR_DESTPORT, XATTR_IDENT, XATTR_SOURCE, XATTR_COUNT
};

/* The step of SASL under way, with SMTP_ASK_AUTH. Octets are the client's, base64 taken off; views
 * live until the answer. session->auth is NULL as soon as the exchange is over, also when the
 * client cancels it or breaks a rule, of which the host is not told: what it holds for an
 * exchange goes when auth is NULL or a new one begins. */
struct smtp_auth {
	bool begin;            /* AUTH was said: mech; else a response */
	char mech[32];         /* upper case */
	bool has_initial;
	struct str octets;
	unsigned steps;        /* responses so far: at most SMTP_AUTH_STEPS_MAX */
};
#define SMTP_AUTH_STEPS_MAX 16
#define SMTP_AUTH_RESPONSE_MAX 12288 /* octets of a line (RFC 4954 4) */
#define SMTP_BURL_MAX 12288          /* octets of a line with a URL */
#define SMTP_USER_MAX 512

enum smtp_body_type { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

/* A recipient that was accepted. Lives in the transaction's arena. */
struct smtp_rcpt {
	struct list node;
	struct addr addr;       /* views into the arena */
	struct str as_given;    /* the argument as the client wrote it, parameters not included */
	unsigned notify;        /* 0: not given */
	struct str notify_text; /* as given */
	struct str orcpt;       /* as given (checked xtext), or empty */
	void *host_data;        /* the host's, e.g. what route said; in the arena or NULL */
	uint32_t host_size;     /* of it: a mail merge keeps so many octets with the recipient (and
	                         * the rest of this struct not at all); at most 65535 */
	/* LMTP, PRDR: the host's word on this one alone, told while SMTP_ASK_COMMIT is open (a 2xx, 4xx
	 * or 5xx situation); SMTP_NONE: what the answer says of all. */
	enum smtp_situation outcome;
};

/* One letter under way: made at MAIL, destroyed by one function on every exit path. */
struct smtp_txn {
	struct arena arena;     /* cap: SMTP_TXN_MAX */
	struct addr from;
	struct str from_as_given;
	uint64_t declared_size; /* SIZE=, or 0 */
	enum smtp_body_type body;
	bool smtputf8;
	struct str ret;         /* "FULL", "HDRS" or empty */
	struct str envid;       /* as given (checked xtext), or empty */
	struct list rcpts;      /* struct smtp_rcpt */
	uint64_t n_rcpt;        /* accepted */
	uint64_t n_rcpt_tried;
	struct scan scan;       /* what came so far */
	bool too_big;
	bool bdat;              /* chunks, not DATA */
	struct smtp_merge *merge; /* XMRG, not MAIL: smtp/merge.h; NULL: a plain transaction */
	struct str auth;        /* AUTH= of MAIL, decoded (RFC 4954 5): an address, or "<>" where the
	                         * client says so or is nobody to believe; empty: not given */
	struct str auth_as_given; /* the same as xtext */
	bool requiretls;        /* REQUIRETLS (RFC 8689) */
	uint64_t hold_until;    /* FUTURERELEASE (RFC 4865): Unix seconds, or 0 */
	int mt_priority;        /* MT-PRIORITY (RFC 6710): -9..9 */
	struct str deliver_by;  /* BY= as given, checked (RFC 2852), or empty */
	struct str solicit;     /* SOLICIT= as given (RFC 3865), or empty */
	bool prdr;              /* asked for at MAIL */
	bool verp;              /* XVERP: a reverse-path of its own for each recipient ... */
	char verp_marks[2];     /* ... made with these in place of the first and of its @ */
	int64_t started;        /* now at MAIL */
	void *host_data;        /* the host's; it clears it before the transaction ends */
};
#define SMTP_TXN_MAX (8u << 20)

enum smtp_phase { /* changed only by one setter, which notes it in the history */
	PHASE_GREETING, PHASE_COMMAND, PHASE_DATA, PHASE_BDAT, PHASE_BDAT_SKIP, PHASE_AUTH,
	PHASE_BURL,    /* the input is what a URL leads to: SMTP_ASK_BURL */
	PHASE_TLS,     /* SMTP_UPGRADE was said: waits for smtp_session_secured() */
	PHASE_CLOSED
};

struct smtp_session {
	const struct smtp_conf *conf;
	struct smtp_peer peer;
	enum smtp_phase phase;
	enum smtp_ask ask;
	uint32_t ask_no;
	struct str chunk;          /* with SMTP_BODY */
	struct str arg;            /* with ASK_VRFY, ASK_EXPN, ASK_BURL, ... */
	struct smtp_rcpt *rcpt_asked;
	struct smtp_txn *txn;      /* NULL outside a transaction */
	bool esmtp, hello;         /* EHLO was said; EHLO or HELO was said */
	bool tls;                  /* inside TLS */
	bool ours;                 /* the host's word: this peer may send to anywhere, as who has
	                            * logged in may */
	bool authenticated;
	char user[SMTP_USER_MAX];  /* the login address, with authenticated */
	struct smtp_auth *auth;    /* while an AUTH exchange is under way */
	struct smtp_xclient *xclient;  /* what XCLIENT said, or NULL */
	struct smtp_xclient *xforward; /* what XFORWARD said of the next letter, or NULL */
	struct smtp_xclient *asked; /* with ASK_XCLIENT */
	char helo[SMTP_VAR_MAX + 1];
	uint64_t messages;         /* MAIL commands accepted */
	uint64_t delivered;        /* letters committed */
	uint64_t bad;              /* unknown commands */
	uint64_t refused;          /* replies of 4xx and 5xx so far */
	int64_t opened, last_input, last_inject;
	struct buf *history;       /* the host's, or NULL: "c:" and "s:" lines with times, secrets
	                            * masked; the session appends and stops when it is full */
	/* private: smtp/session_priv.h explains */
	struct smtp_private *priv; /* attached while there is input or a letter; NULL when idle */
	int eol;                   /* undecided, CRLF session, LF session */
	unsigned flags;
	uint64_t owed;
};

enum smtp_step { SMTP_MORE, SMTP_ASK, SMTP_BODY, SMTP_DROP, SMTP_UPGRADE, SMTP_END, SMTP_TURN };

/* An answer. situation SMTP_NONE: yes, go on with the normal reply; SMTP_SHUTDOWN and the
 * other 421s also end the session. Variables the reply needs beyond what the session knows. */
struct smtp_answer {
	enum smtp_situation situation;
	struct str qid, uuid, counter, counter8, rand7; /* for data.ok */
	struct str reason, to, fullname;
	uint64_t octets, size;     /* SMTP_ASK_BURL: at hand; of all, the same in each answer */
	struct str lines[100];     /* EXPN: members, one a line */
	size_t n_lines;
	struct str challenge;      /* SMTP_ASK_AUTH: octets, base64 is put on here */
	struct str user;           /* with SMTP_AUTH_OK: the login address. A challenge with it is the
	                            * mechanism's last word: it is sent first (RFC 4954 4), and an empty
	                            * response to it logs in */
};

/* now: monotonic ms. wall: Unix seconds and zone minutes for dates in replies. */
struct smtp_clock {
	int64_t now;
	int64_t wall;
	int zone;
};

void smtp_session_init(struct smtp_session *s, const struct smtp_conf *conf,
    const struct smtp_peer *peer, const struct smtp_clock *clock);
void smtp_session_done(struct smtp_session *s);
/* First words: refuse SMTP_NONE greets, another situation (CONN_LIMIT_...) is said and ends it. */
void smtp_session_greet(struct smtp_session *s, enum smtp_situation refuse,
    const struct smtp_clock *clock, struct buf *out);
enum smtp_step smtp_session_step(struct smtp_session *s, struct str *in,
    const struct smtp_clock *clock, struct buf *out);
/* RFC 3865: is one of these classes refused? Then *ret is the first that is. */
bool smtp_solicits(struct str refused, struct str classes, struct str *ret);
/* Whether this peer may use XCLIENT and XFORWARD; before the greeting. */
void smtp_session_trust(struct smtp_session *s, bool xclient, bool xforward);
/* The handshake is done: all that was said before is forgotten (RFC 3207 4.2). facts: a line for
 * the history, such as "TLSv1.3 TLS_AES_256_GCM_SHA384". Implicit TLS: before the greeting. */
void smtp_session_secured(struct smtp_session *s, struct str facts, const struct smtp_clock *clock);
/* The verified reverse name came; it is shown from now on. */
void smtp_session_peer_name(struct smtp_session *s, struct str name);
/* False when no question with that number is open (a stale answer: dropped). */
bool smtp_session_answer(struct smtp_session *s, uint32_t ask_no, const struct smtp_answer *a,
    const struct smtp_clock *clock, struct buf *out);
/* When smtp_session_timeout() must be called if nothing happens until then (monotonic ms). */
int64_t smtp_session_deadline(const struct smtp_session *s);
/* Says the right 421 if a deadline has passed; true: the session has ended. */
bool smtp_session_timeout(struct smtp_session *s, const struct smtp_clock *clock, struct buf *out);
/* The server stops: 421 as soon as no letter is between its last octet and its answer. */
void smtp_session_shutdown(struct smtp_session *s, const struct smtp_clock *clock, struct buf *out);
/* "SMTP", "ESMTPSA", "UTF8SMTPS", "LMTPA", ... for Received (RFC 3848, RFC 6531 4.3). */
struct str smtp_session_with(const struct smtp_session *s);
