/*
 * event: what happens in a conversation, told as it happens to whoever shows or keeps it: the
 * screen (client/show.h), JSON, a transcript (client/transcript.h).
 *
 * The link (client/link.h) emits what goes over the line, line by line; the protocol's layer emits
 * a REPLY when the lines of one answer are complete; commands emit NOTE, WARN and RESULT. Every view
 * lives during the call only. A sink must not emit.
 *
 * Secrets: whoever sends one says what may be shown instead (`masked`); a sink shows the octets
 * themselves only when it was told to (--show-secrets).
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_SINKS_MAX 6

enum event_kind {
	EVENT_RESOLVE, /* text: "mail.example.com: 192.0.2.1, 2001:db8::1" */
	EVENT_TRYING,  /* text: an address */
	EVENT_CONNECT, /* text: the name, or the address when there is none */
	EVENT_TLS,     /* text: "TLSv1.3, TLS_AES_256_GCM_SHA384, CN=..., valid to ..., name matches" */
	EVENT_SEND,    /* octets */
	EVENT_LINE,    /* octets */
	EVENT_REPLY,   /* code, enhanced, text (its lines without code, parted by \n), took_us */
	EVENT_NOTE,    /* text: an explanation; shown grey behind "#  " */
	EVENT_WARN,    /* text, step; shown the same way, in yellow */
	EVENT_CLOSE,   /* text; status 0: by us, 1: by them, negative: -errno */
	EVENT_RESULT,  /* text, step, status: an enum client_exit */
	EVENT_KINDS
};

struct event {
	enum event_kind kind;
	int64_t us;          /* since events_init() */
	struct str octets;   /* SEND, LINE: as on the wire; one line with its end, or a piece of one */
	struct str masked;   /* SEND, LINE: to be shown instead; p NULL: nothing is secret */
	bool content;        /* SEND: of a letter, not a command */
	struct str text;     /* for people; one line unless said otherwise */
	int code;            /* REPLY: SMTP's; IMAP and POP3: 0, and text begins with OK, NO, BAD, +OK ... */
	struct str enhanced; /* REPLY: "5.7.1" or empty */
	int64_t took_us;     /* REPLY: since its command had gone */
	const char *step;    /* "resolve", "connect", "tls", "greeting", "hello", "starttls", "auth",
	                      * "mail", "rcpt", "data", "dot", "quit" ...; NULL: none */
	int status;
};

typedef void event_fn(void *arg, const struct event *e);

struct events {
	struct {
		event_fn *fn;
		void *arg;
	} sinks[EVENT_SINKS_MAX];
	size_t n;
	int64_t start_us; /* sys_mono_us() */
};

extern const char *const event_kind_name[EVENT_KINDS]; /* "resolve", "trying", ... */
void events_init(struct events *ev);
bool events_add(struct events *ev, event_fn *fn, void *arg); /* false: too many */
void event_emit(struct events *ev, struct event *e); /* fills in e->us */
void event_note(struct events *ev, const char *fmt, ...) PRINTF(2, 3);
void event_warn(struct events *ev, const char *step, const char *fmt, ...) PRINTF(3, 4);
/* Returns status. */
int event_result(struct events *ev, const char *step, int status, const char *fmt, ...) PRINTF(4, 5);
