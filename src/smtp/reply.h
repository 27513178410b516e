/*
 * reply: every situation in which the server speaks, and how a dialect words it.
 *
 * The session never writes a reply text: it names a situation and the wording at hand renders
 * it. A wording is data (dialect/ loads it from a file); it is read-only and shared by all
 * sessions of a listener. Only words and advertising live here, never a decision.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* X(enumerator, "key in dialect files"). The list is the whole of rfc.dialect; a test compares. */
#define SMTP_SITUATIONS(X) \
	X(GREETING, "greeting") X(GREETING_REJECT, "greeting.reject") \
	X(GREETING_LMTP, "greeting.lmtp") X(GREETING_LMTP_REJECT, "greeting.lmtp.reject") \
	X(CONN_LIMIT_HOST, "conn.limit.host") X(CONN_LIMIT_TOTAL, "conn.limit.total") \
	X(CONN_LIMIT_LISTENER, "conn.limit.listener") X(CONN_LIMIT_TLS, "conn.limit.tls") \
	X(CONN_DISABLED, "conn.disabled") X(CONN_HTTP, "conn.http") X(SHUTDOWN, "shutdown") \
	X(TIMEOUT_IDLE, "timeout.idle") X(TIMEOUT_TOTAL, "timeout.total") \
	X(TIMEOUT_NOINJECT, "timeout.noinject") X(BADCMD_LIMIT, "badcmd.limit") \
	X(HELO_OK, "helo.ok") X(HELO_NOARG, "helo.noarg") X(HELO_BADARG, "helo.badarg") \
	X(EHLO_NOARG, "ehlo.noarg") X(EHLO_BADARG, "ehlo.badarg") \
	X(EHLO_DISABLED, "ehlo.disabled") \
	X(LHLO_NOARG, "lhlo.noarg") X(LHLO_BADARG, "lhlo.badarg") \
	X(MAIL_OK, "mail.ok") X(MAIL_SYNTAX, "mail.syntax") X(MAIL_BADADDR, "mail.badaddr") \
	X(MAIL_NEEDUTF8, "mail.needutf8") X(MAIL_NESTED, "mail.nested") \
	X(MAIL_NOHELO, "mail.nohelo") X(MAIL_NOLHLO, "mail.nolhlo") \
	X(MAIL_BADPARAM, "mail.badparam") X(MAIL_BADVALUE, "mail.badvalue") \
	X(MAIL_SIZE, "mail.size") \
	X(MAIL_TOOMANY, "mail.toomany") X(MAIL_NEEDTLS, "mail.needtls") \
	X(MAIL_NEEDTLS_SENDER, "mail.needtls.sender") X(MAIL_NEEDAUTH, "mail.needauth") \
	X(MAIL_REQUIRETLS, "mail.requiretls") X(MAIL_SOLICIT, "mail.solicit") \
	X(MAIL_REJECTED, "mail.rejected") X(MAIL_NOTOWNER, "mail.notowner") \
	X(MAIL_DOM, "mail.dom") \
	X(MAIL_QUEUEFULL, "mail.queuefull") X(MAIL_LOWRES, "mail.lowres") \
	X(MAIL_TEMPERR, "mail.temperr") \
	X(MAIL_ERRNO, "mail.errno") \
	X(RCPT_OK, "rcpt.ok") X(RCPT_OK_QUEUE, "rcpt.ok.queue") X(RCPT_SYNTAX, "rcpt.syntax") \
	X(RCPT_BADADDR, "rcpt.badaddr") X(RCPT_NEEDUTF8, "rcpt.needutf8") \
	X(RCPT_NOMAIL, "rcpt.nomail") \
	X(RCPT_BADPARAM, "rcpt.badparam") X(RCPT_BADVALUE, "rcpt.badvalue") \
	X(RCPT_UNKNOWN, "rcpt.unknown") \
	X(RCPT_RELAY, "rcpt.relay") X(RCPT_UNROUTABLE, "rcpt.unroutable") \
	X(RCPT_REJECTED, "rcpt.rejected") \
	X(RCPT_FULL, "rcpt.full") X(RCPT_GREYLIST, "rcpt.greylist") \
	X(RCPT_TOOMANY, "rcpt.toomany") X(RCPT_RATE, "rcpt.rate") X(RCPT_LOOP, "rcpt.loop") \
	X(DATA_GO, "data.go") X(DATA_ARGS, "data.args") X(DATA_NOMAIL, "data.nomail") \
	X(DATA_NORCPT, "data.norcpt") X(DATA_NORCPT_VALID, "data.norcpt.valid") \
	X(DATA_OK, "data.ok") X(DATA_OK_LMTP, "data.ok.lmtp") \
	X(DATA_TOOBIG, "data.toobig") X(DATA_HEADERTOOBIG, "data.headertoobig") \
	X(DATA_HOPS, "data.hops") \
	X(DATA_BARELF, "data.barelf") X(DATA_NUL, "data.nul") \
	X(DATA_TWOFROM, "data.twofrom") X(DATA_BINARY, "data.binary") \
	X(DATA_TEMPERR, "data.temperr") X(DATA_PERMERR, "data.permerr") \
	X(DATA_REJECTED, "data.rejected") \
	X(PRDR_GO, "prdr.go") X(PRDR_OK, "prdr.ok") X(PRDR_PART, "prdr.part") \
	X(BDAT_OK, "bdat.ok") X(BDAT_SYNTAX, "bdat.syntax") X(BDAT_OPEN, "bdat.open") \
	X(BURL_OK, "burl.ok") X(BURL_SYNTAX, "burl.syntax") X(BURL_NEEDAUTH, "burl.needauth") \
	X(BURL_BADURL, "burl.badurl") X(BURL_DENIED, "burl.denied") X(BURL_TRUST, "burl.trust") \
	X(BURL_MISSING, "burl.missing") X(BURL_UNAVAILABLE, "burl.unavailable") \
	X(RSET_OK, "rset.ok") X(NOOP_OK, "noop.ok") X(QUIT_OK, "quit.ok") \
	X(HELP_OK, "help.ok") X(HELP_UNKNOWN, "help.unknown") X(HELP_TOPIC, "help.topic") \
	X(VRFY_OK, "vrfy.ok") X(VRFY_CANNOT, "vrfy.cannot") X(VRFY_UNKNOWN, "vrfy.unknown") \
	X(VRFY_NOARG, "vrfy.noarg") X(VRFY_DISABLED, "vrfy.disabled") \
	X(EXPN_OK, "expn.ok") X(EXPN_NOARG, "expn.noarg") X(EXPN_DISABLED, "expn.disabled") \
	X(ETRN_OK, "etrn.ok") X(ETRN_NONE, "etrn.none") X(ETRN_PENDING, "etrn.pending") \
	X(ETRN_COUNT, "etrn.count") X(ETRN_SYNTAX, "etrn.syntax") \
	X(ETRN_DENIED, "etrn.denied") X(ETRN_UNABLE, "etrn.unable") X(ETRN_INTXN, "etrn.intxn") \
	X(TURN_DENIED, "turn.denied") \
	X(ATRN_NEEDAUTH, "atrn.needauth") X(ATRN_NONE, "atrn.none") X(ATRN_OK, "atrn.ok") \
	X(ATRN_DENIED, "atrn.denied") X(ATRN_BUSY, "atrn.busy") X(ATRN_INTXN, "atrn.intxn") \
	X(STARTTLS_GO, "starttls.go") X(STARTTLS_ARGS, "starttls.args") \
	X(STARTTLS_UNAVAILABLE, "starttls.unavailable") \
	X(STARTTLS_NOTSUPPORTED, "starttls.notsupported") \
	X(STARTTLS_ACTIVE, "starttls.active") X(STARTTLS_INTXN, "starttls.intxn") \
	X(AUTH_USER_PROMPT, "auth.user_prompt") X(AUTH_PASS_PROMPT, "auth.pass_prompt") \
	X(AUTH_PLAIN_PROMPT, "auth.plain_prompt") X(AUTH_OK, "auth.ok") X(AUTH_FAIL, "auth.fail") \
	X(AUTH_TEMPFAIL, "auth.tempfail") X(AUTH_CANCEL, "auth.cancel") \
	X(AUTH_BADB64, "auth.badb64") \
	X(AUTH_SYNTAX, "auth.syntax") X(AUTH_BADMECH, "auth.badmech") \
	X(AUTH_DISABLED, "auth.disabled") \
	X(AUTH_ALREADY, "auth.already") X(AUTH_INTXN, "auth.intxn") \
	X(AUTH_NEEDTLS, "auth.needtls") \
	X(AUTH_WEAK, "auth.weak") X(AUTH_TOOLONG, "auth.toolong") \
	X(CMD_UNKNOWN, "cmd.unknown") X(CMD_UNIMPL, "cmd.unimpl") \
	X(CMD_TOOLONG, "cmd.toolong") X(CMD_FLOOD, "cmd.flood") \
	X(CMD_NUL, "cmd.nul") X(CMD_BARELF, "cmd.barelf") \
	X(CMD_SYNTAX, "cmd.syntax") X(CMD_NOHELO, "cmd.nohelo") \
	X(XCLIENT_DENIED, "xclient.denied") X(XCLIENT_SYNTAX, "xclient.syntax") \
	X(XCLIENT_INTXN, "xclient.intxn") X(XFORWARD_OK, "xforward.ok") \
	X(XMRG_OK, "xmrg.ok") X(XDFN_OK, "xdfn.ok") X(XPRT_GO, "xprt.go") X(XPRT_OK, "xprt.ok") \
	X(XPRT_LAST, "xprt.last") X(ACKRCPT_OK, "ackrcpt.ok") X(XPRT_TOOBIG, "xprt.toobig") \
	X(IPMM_DATA_IN_MERGE, "ipmm.data_in_merge") X(IPMM_XPRT_IN_PLAIN, "ipmm.xprt_in_plain") \
	X(IPMM_RECEIVING_PARTS, "ipmm.receiving_parts") X(IPMM_NOT_IN_MERGE, "ipmm.not_in_merge") \
	X(IPMM_XDFN_SYNTAX, "ipmm.xdfn_syntax") X(IPMM_PART, "ipmm.part") \
	X(IPMM_PART_N, "ipmm.part_n") \
	X(IPMM_NOVALUE, "ipmm.novalue") X(IPMM_MISSING, "ipmm.missing") \
	X(IPMM_RESERVED, "ipmm.reserved") \
	X(IPMM_PARTS_SYNTAX, "ipmm.parts_syntax") X(IPMM_NUL, "ipmm.nul") \
	X(IPMM_PARAM, "ipmm.param")

enum smtp_situation {
#define X(e, k) SMTP_##e,
	SMTP_SITUATIONS(X)
#undef X
	SMTP_SITUATION_COUNT,
	SMTP_NONE = -1
};
extern const char *const smtp_situation_key[SMTP_SITUATION_COUNT];
bool smtp_situation_find(struct str key, enum smtp_situation *ret);

/* What kind of reply a situation is, whatever its wording: '2' and '3' success and go on, '4'
 * and '5' a closing reply with exactly this first digit, 'r' a refusal (4xx or 5xx). */
char smtp_situation_class(enum smtp_situation s);
/* The server closes after it, whatever its wording. */
bool smtp_situation_closes(enum smtp_situation s);

/* Variables a template may name: ${host} and so on (docs/rules.md 3). */
#define SMTP_VARS(X) \
	X(host) X(HOST) X(ehlo_host) X(hub_host) X(client_ip) X(client_name) X(helo) X(from) \
	X(from_as_given) X(from_domain) X(to) X(to_as_given) X(verb) X(arg) X(cmd) X(mech) \
	X(user) X(reason) X(errno) X(qid) X(uuid) X(counter) X(counter8) X(rand7) X(size) \
	X(max_size) X(max_rcpt) X(nmsgs) X(mechs) X(verbs) X(date) X(date_rfc5322) X(sp) \
	X(empty) X(fullname) X(deliverby_min) X(limits) X(hold_limits) X(classes)
extern const char *const smtp_var_name[];
extern const char *const smtp_cond_name[];
enum smtp_var {
#define X(v) SMTP_VAR_##v,
	SMTP_VARS(X)
#undef X
	SMTP_VAR_COUNT
};
/* Values; an unset one renders as nothing. Peer data is cut at SMTP_VAR_MAX octets and control
 * octets (CR, LF, NUL among them) come out as '?', so no reply can be injected. */
#define SMTP_VAR_MAX 256
struct smtp_vars {
	struct str v[SMTP_VAR_COUNT];
};

/* Conditions of EHLO lines: `cap = ?cond text`, `?!cond`. */
#define SMTP_CONDS(X) \
	X(starttls) X(auth) X(etrn) X(vrfy) X(expn) X(deliverby) X(size) X(dsn) X(chunking) \
	X(smtputf8) X(ipmm) X(limits) X(tls) X(requiretls) X(futurerelease) X(mtpriority) X(xclient) \
	X(xforward) X(prdr) X(xverp) X(nosoliciting) X(atrn) X(burl)
enum smtp_cond {
#define X(c) SMTP_COND_##c,
	SMTP_CONDS(X)
#undef X
	SMTP_COND_COUNT
};

enum smtp_qid_style {
	QID_HEX, QID_POSTFIX, QID_SENDMAIL, QID_EXCHANGE, QID_IIS, QID_IRONPORT, QID_B64URL22,
	QID_STYLE_COUNT
};
extern const char *const smtp_qid_style_name[QID_STYLE_COUNT];

enum { TLS_ADVERT_REAL, TLS_ADVERT_ALWAYS, TLS_ADVERT_NEVER, TLS_ADVERT_REFUSE };

/* What a dialect's [quirks] say; -1: the dialect says nothing and the configuration decides. */
struct smtp_quirks {
	int require_helo;          /* 0 1 */
	int helo_arg_optional;     /* 0 1 */
	int angle_brackets_required;
	int tls_advert;            /* TLS_ADVERT_... */
	int auth_unadvertised;     /* 1 accept */
	int quit_silent;
	int ipmm, ipmm_brackets;
	int bad_cmd_limit;
	int echo_case;
	int bare_lf;               /* 1 session; weakens: only with lab_only */
	bool lab_only;             /* a quirk is marked with !: good only where lab = yes */
	enum smtp_qid_style qid_style;
	struct str mechs;          /* advertised list, or empty */
};

struct smtp_cap {
	int cond;        /* enum smtp_cond, or -1: always */
	bool negate;
	struct str text; /* template */
};

#define SMTP_CAP_MAX 64
#define SMTP_REPLY_LINE_MAX 510 /* octets of a line without CRLF (RFC 5321 4.5.3.1.5) */

struct access_words;

/* A complete wording: every situation has a text ("250 2.1.0 Ok", further lines after \n).
 * All views point into `text`, which the wording owns. */
struct smtp_wording {
	struct str name, label;
	struct str ehlo_first;            /* template */
	struct smtp_cap cap[SMTP_CAP_MAX];
	size_t n_cap;
	struct str reply[SMTP_SITUATION_COUNT]; /* "NNN text"; lines parted by LF */
	struct smtp_quirks quirks;
	struct access_words *access;      /* for IMAP and POP3: dialect/access_words.h; NULL: none */
	void *text;                       /* owned storage */
};

/* Appends a template with its variables put in: at most SMTP_REPLY_LINE_MAX octets, no CRLF. */
void smtp_text_put(struct buf *out, struct str text, const struct smtp_vars *vars);
/* Appends one reply with its CRLFs, multi-line form where the text has several lines. */
void smtp_reply_put(struct buf *out, const struct smtp_wording *w, enum smtp_situation s,
    const struct smtp_vars *vars);
/* The same as one part of a longer reply: with `more`, its last line too says that lines follow. */
void smtp_reply_part(struct buf *out, const struct smtp_wording *w, enum smtp_situation s,
    const struct smtp_vars *vars, bool more);
/* Whether its condition holds. STARTTLS is never shown inside TLS (RFC 3207 4.2). */
bool smtp_cap_shown(const struct smtp_cap *cap, const bool cond[SMTP_COND_COUNT]);
/* Appends the 250 reply to EHLO: first line and the capabilities that are shown. */
void smtp_ehlo_put(struct buf *out, const struct smtp_wording *w, const struct smtp_vars *vars,
    const bool cond[SMTP_COND_COUNT]);
/* The code of a situation in this wording: 250, 550, ... */
int smtp_reply_code(const struct smtp_wording *w, enum smtp_situation s);
