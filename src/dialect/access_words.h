/*
 * access_words: what the IMAP and the POP3 session say, where a dialect may choose the words.
 *
 * The sections [imap] and [pop3] of a dialect file (docs/rules.md 3). As with SMTP only words and
 * advertising live here. A text is what stands behind the status: the session writes the tag,
 * OK, NO, BAD, BYE, +OK or -ERR, and the response code if there is one, then the text, then CRLF,
 * so no dialect can turn a refusal into an acceptance. A text that begins with "[" brings a
 * response code of its own, and the session leaves its own out (imap_says_code()).
 *
 * Every text but the capability lists is a template; variables are those of smtp/reply.h, of
 * which ${host} ${client_ip} ${cmd} ${arg} ${user} ${reason} ${size} ${nmsgs} ${date} are set
 * here. Peer data comes out cut and with control octets as '?'. ${cmd} is the command in upper
 * case, UID in front where it was ("UID FETCH").
 *
 * A wording is read-only, complete, and shared by all sessions of a listener; the views point
 * into the smtp_wording that it came with.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "smtp/reply.h"

/* X(enumerator, "key in [imap]"). no.privacy: refused because there is no TLS. bad.notag: a line
 * without a tag. ok: what OK says where there is no ok.CMD. */
#define IMAP_SAYS(X) \
	X(GREETING, "greeting") X(NO_LOGIN, "no.login") X(NO_PRIVACY, "no.privacy") \
	X(BAD_SYNTAX, "bad.syntax") X(BAD_NOTAG, "bad.notag") X(BYE, "bye") X(OK, "ok")
/* Lists, parted by blanks, exactly as CAPABILITY shows them behind its name; no templates.
 * Empty, as in rfc: what the listener has. */
#define IMAP_SHOWN(X) \
	X(PRE, "capability.pre") X(TLS, "capability.tls") X(AUTH, "capability.auth")
/* The commands that may have an ok.CMD of their own; "UID FETCH" is worded as FETCH is. */
#define IMAP_COMMANDS(X) \
	X(CAPABILITY) X(NOOP) X(LOGOUT) X(STARTTLS) X(AUTHENTICATE) X(LOGIN) X(ID) X(ENABLE) \
	X(SELECT) X(EXAMINE) X(CREATE) X(DELETE) X(RENAME) X(SUBSCRIBE) X(UNSUBSCRIBE) X(LIST) \
	X(LSUB) X(STATUS) X(APPEND) X(NAMESPACE) X(IDLE) X(CHECK) X(CLOSE) X(UNSELECT) X(EXPUNGE) \
	X(SEARCH) X(FETCH) X(STORE) X(COPY) X(MOVE) X(SORT) X(THREAD) X(GETQUOTA) \
	X(GETQUOTAROOT) X(SETQUOTA) X(COMPRESS) X(RESETKEY) X(GENURLAUTH) X(URLFETCH)

enum imap_says {
#define X(e, k) IMAP_SAYS_##e,
	IMAP_SAYS(X)
#undef X
	IMAP_SAYS_COUNT
};
enum imap_shown {
#define X(e, k) IMAP_SHOWN_##e, /* before TLS; inside TLS before login; after login */
	IMAP_SHOWN(X)
#undef X
	IMAP_SHOWN_COUNT
};
enum imap_ok {
#define X(c) IMAP_OK_##c,
	IMAP_COMMANDS(X)
#undef X
	IMAP_OK_COUNT
};

struct imap_wording {
	struct str says[IMAP_SAYS_COUNT];
	struct str shown[IMAP_SHOWN_COUNT]; /* len 0: what the listener has */
	struct str ok[IMAP_OK_COUNT];     /* p NULL: says[IMAP_SAYS_OK] */
};

/* X(enumerator, "key in [pop3]"). ok: what +OK says where there is no ok.CMD. */
#define POP3_SAYS(X) \
	X(GREETING, "greeting") X(ERR_AUTH, "err.auth") X(ERR_SYNTAX, "err.syntax") \
	X(QUIT, "quit") X(OK, "ok")
#define POP3_COMMANDS(X) \
	X(CAPA) X(STLS) X(AUTH) X(USER) X(PASS) X(APOP) X(LIST) X(UIDL) X(RETR) X(TOP) X(DELE) \
	X(NOOP) X(RSET) X(UTF8) X(LANG)

enum pop3_says {
#define X(e, k) POP3_SAYS_##e,
	POP3_SAYS(X)
#undef X
	POP3_SAYS_COUNT
};
enum pop3_ok {
#define X(c) POP3_OK_##c,
	POP3_COMMANDS(X)
#undef X
	POP3_OK_COUNT
};

struct pop3_wording {
	struct str says[POP3_SAYS_COUNT];
	struct str ok[POP3_OK_COUNT]; /* p NULL: says[POP3_SAYS_OK] */
};

/* Hangs on smtp_wording.access; a wording that dialect_load() made always has one. */
struct access_words {
	struct imap_wording imap;
	struct pop3_wording pop3;
};

/* A text without status, code or CRLF. vars may be NULL: all variables are empty. At most
 * SMTP_REPLY_LINE_MAX octets. */
void imap_says_put(struct buf *out, const struct imap_wording *w, enum imap_says what,
    const struct smtp_vars *vars);
/* Does the text bring a response code? Then the session writes none. */
bool imap_says_code(const struct imap_wording *w, enum imap_says what);
/* What OK says to a command, "FETCH" or "UID FETCH"; sets ${cmd} to it. */
void imap_ok_put(struct buf *out, const struct imap_wording *w, struct str cmd,
    const struct smtp_vars *vars);

void pop3_says_put(struct buf *out, const struct pop3_wording *w, enum pop3_says what,
    const struct smtp_vars *vars);
bool pop3_says_code(const struct pop3_wording *w, enum pop3_says what);
void pop3_ok_put(struct buf *out, const struct pop3_wording *w, struct str cmd,
    const struct smtp_vars *vars);
