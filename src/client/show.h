/*
 * show: a conversation on a screen: what the server says verbatim, in the colours and with the
 * labels that were asked for, explanations in grey behind "#  ".
 *
 * Nothing that a server sends reaches the terminal as a control: C0, DEL, C1 and what is no UTF-8
 * are shown as \x1b and the like, bidirectional controls as \u{202e}; a line of more than
 * SHOW_LINE_MAX octets is cut, and says so. Without colour the labels tell who speaks.
 */
#pragma once

#include "client/event.h"

#include <stdbool.h>
#include <stdio.h>

#define SHOW_LINE_MAX 4096u

enum show_color { SHOW_COLOR_AUTO, SHOW_COLOR_ALWAYS, SHOW_COLOR_NEVER };
enum show_explain { SHOW_EXPLAIN_ERRORS, SHOW_EXPLAIN_ALWAYS, SHOW_EXPLAIN_NEVER };

#define SHOW_SEEN (1u << 30) /* as `shown`: whoever reads has typed it */

struct show {
	FILE *out;
	bool color;           /* decided: --color, NO_COLOR, a terminal */
	const char *us, *them; /* labels: "c: " and "s: "; "" for none */
	bool quiet, verbose, timing, show_secrets, decode_auth;
	enum show_explain explain;
	bool hold_lines;      /* LINE events are not shown for now: what they say comes as a table */
	bool imap;            /* what comes is IMAP: data, news, answers, refusals differ in colour */
	/* Around each piece of output, for a line editor that must stand aside; NULL: nothing. */
	void (*before)(void *arg), (*after)(void *arg);
	void *arg;
	bool escape;          /* say "Escape character is '^]'." behind "Connected to ..." */
	/* --- its own --- */
	char held[SHOW_LINE_MAX]; /* a line whose end has not come yet, less what is cut off */
	size_t n_held;
	uint64_t total;       /* octets of that line */
	bool holds, held_send, held_content;
	unsigned content;     /* lines of a letter that were not shown */
	unsigned shown;       /* ... that were */
	char mech[32];        /* --decode-auth: of the AUTH command; "" outside of one */
	unsigned turn;        /* lines that we have sent since */
};

/* An event_fn; arg is a struct show. */
void show_event(void *arg, const struct event *e);
/* Appends s as a terminal may see it; multi-byte UTF-8 that can be printed stays. */
void show_escape(struct buf *out, struct str s);
