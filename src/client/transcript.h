/*
 * transcript: a conversation kept in a file, appended to as it happens, with secrets masked unless
 * it is told otherwise.
 *
 *   telnet  as the page of a manual has it: Trying, Connected, lines as they are, to be copied
 *   conv    a conversation of `pennypost run`: what was sent as C:, what came as S: with the text
 *           escaped for a regular expression, TLS as T:, the end as E: or X:
 *   json    one object per event (a line each)
 *   html    a page of its own, what is sent in blue, what is received in red
 */
#pragma once

#include "client/event.h"

#include <stdbool.h>
#include <stdio.h>

enum transcript_format { TRANSCRIPT_TELNET, TRANSCRIPT_CONV, TRANSCRIPT_JSON, TRANSCRIPT_HTML };

struct transcript {
	FILE *to;
	enum transcript_format format;
	bool show_secrets;
	const char *us, *them; /* labels of telnet and html; "" for none */
	const char *proto;     /* "smtp", ...: for the head of a conv */
	uint16_t port;
	const char *opening;   /* of a conv, or NULL: directives between the head and the events */
	bool begun;            /* the head was written */
	bool failed;           /* the file could not be written; errno is in `error` */
	int error;
	void *kept;            /* what a format keeps between events */
};

bool transcript_format_find(struct str name, enum transcript_format *ret);
/* Opens for appending; NULL `path` or "-": standard output. 0 or -errno. */
int transcript_open(struct transcript *t, const char *path, enum transcript_format format);
void transcript_event(void *arg, const struct event *e); /* an event_fn */
int transcript_close(struct transcript *t); /* 0 or -errno of any write */
/* One event as a line of JSON, without its line end: --json shows the same. */
void transcript_json(struct buf *out, const struct event *e, bool show_secrets);
/* "explain", the event behind a reply whose meaning is known. */
void transcript_json_meaning(struct buf *out, const struct event *reply, struct str meaning);
