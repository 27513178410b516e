/*
 * imaptext: header values in the form they have in an IMAP answer (RFC 9051 4.3, 7.5.2).
 *
 * A string is quoted where it is ASCII on one line, else a literal; so is one with many quotes in
 * it. NULs, which neither may hold, become U+FFFD.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* How many octets of printable ASCII, but quotes and backslashes, s begins with. */
size_t imaptext_plain(struct str s);

void imaptext_string(struct buf *out, struct str s);
/* A folded value on one line; NIL where s.p is NULL. */
void imaptext_value(struct buf *out, struct str s);

/* The same for what people read, subjects and names: white space shrinks to one blank and goes at
 * both ends, and what is not plain is a literal. */
void imaptext_words(struct buf *out, struct str s);

/* Addresses of a field as a list of (name route mailbox host), groups as RFC 9051 7.5.2 marks them;
 * NIL where there is none. Each part is what Dovecot makes of it, broken addresses too. */
struct imaptext_addrs {
	struct buf text, comment, name, route, mailbox, host;
};
void imaptext_addrs_init(struct imaptext_addrs *x, size_t max); /* octets of each */
void imaptext_addrs_done(struct imaptext_addrs *x);
void imaptext_addrs(struct imaptext_addrs *x, struct buf *out, struct str value);

/* Reading it again: the next element of a list's inside, blanks in front passed over; a string
 * is told without its quotes, still escaped. False: no more, or malformed. */
enum imaptext_kind {
	IMAPTEXT_NIL, IMAPTEXT_QUOTED, IMAPTEXT_LITERAL, IMAPTEXT_LIST, IMAPTEXT_NUMBER
};
bool imaptext_next(struct str *s, enum imaptext_kind *ret_kind, struct str *ret);
void imaptext_unquote(struct buf *out, enum imaptext_kind kind, struct str s);
