/*
 * log: what has happened in this conversation, kept for /save and /explain. Secrets are kept as what
 * is shown instead of them. The oldest half goes when there is no more room.
 */
#pragma once

#include "client/event.h"

#define LOG_OCTETS_MAX (8u << 20)
#define LOG_EVENTS_MAX 20000u

struct log_entry;
struct log {
	struct log_entry **v;
	size_t n, octets;
	bool cut; /* something is missing at the beginning */
};

void log_keep(void *arg, const struct event *e); /* an event_fn */
void log_done(struct log *l);
void log_replay(const struct log *l, event_fn *fn, void *arg);
/* The text of the nth reply from the end (1: the last), "550 5.7.1 ..."; false: there is none. */
bool log_reply(const struct log *l, size_t n, struct buf *ret);
