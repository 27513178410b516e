/*
 * wire: a connection of the player: a link (client/link.h) whose lines can be looked at before they
 * are taken.
 *
 * Whatever we do (send, wait, look for a line), octets that arrive are taken in, so a server that
 * answers early or closes early never blocks against us.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "client/event.h"
#include "client/link.h"

#include <stdbool.h>
#include <stdint.h>

#define WIRE_IN_MAX (16u << 20)

struct wire {
	struct link link;
	struct link_conf conf;
	struct events ev;
	bool used;     /* something was sent or waited for */
	struct buf in; /* whole lines, and the pieces of one that is very long */
};

enum wire_line { WIRE_LINE, WIRE_TIMEOUT, WIRE_END, WIRE_FLOOD, WIRE_STOPPED };

/* A copy of conf is kept. sink may be NULL. CLIENT_OK or what link_open() says; why in
 * w->link.why. wire_close() is due in either case. */
int wire_open(struct wire *w, const struct link_conf *conf, event_fn *sink, void *arg);
/* CLIENT_OK, or another of client/exit.h with w->link.why. */
int wire_tls(struct wire *w, const char *alpn);
void wire_close(struct wire *w); /* may be called twice */
/* LINK_END: the server no longer takes anything. */
enum link_status wire_send(struct wire *w, struct str octets, struct str masked, bool content);
/* The next line with its line end; it stays the next line until wire_take(). At the end of the
 * connection a last line without an end counts too. */
enum wire_line wire_peek(struct wire *w, int64_t timeout_ms, struct str *ret);
void wire_take(struct wire *w, struct str line);
/* What is here and was not taken: lines, or half a line; a view. */
struct str wire_unread(struct wire *w);
/* Lets time pass. */
void wire_wait(struct wire *w, int64_t ms);
