/*
 * player: plays the steps of a conversation against a server and keeps the transcript.
 *
 * The first connection ("main") is open before the first step; with `@tls implicit` every
 * connection begins with a TLS handshake. V: lines are given to `verify` and D: lines to `fault`
 * as they come; without them they are skipped (play against a server that somebody else has set
 * up).
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "client/link.h"
#include "play/conv.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PLAYER_CONNS_MAX 64
#define TRANSCRIPT_MAX (1u << 20)
#define TRANSCRIPT_LINE_MAX 400u

enum play_result {
	PLAY_PASSED,
	PLAY_FAILED,   /* an expectation was not met */
	PLAY_IMPOSSIBLE, /* it could not even be tried: no server, no connection */
};

/* What happened. Texts are escaped for a terminal. */
struct play_report {
	enum play_result result;
	int line;              /* of the step that failed; 0: none did */
	struct buf step;       /* that directive */
	struct buf expected;
	struct buf got;
	struct buf transcript; /* "c: ...", "s: ..." lines */
};

void play_report_init(struct play_report *r);
void play_report_done(struct play_report *r);
/* Notes a failure; printf for `got`. Always false. */
bool play_report_fail(struct play_report *r, enum play_result result, struct str expected,
	const char *got, ...) PRINTF(4, 5);

struct player_options {
	const char *host;
	uint16_t port;
	int64_t timeout_ms; /* how long a line may take */
	const struct link_conf *link; /* how to connect; NULL: plainly, no certificate verified */
	const struct map *vars; /* {NAME} -> text, or NULL */
	bool env;           /* ${NAME} is a variable of the environment */
	FILE *live;         /* where transcript lines go at once, or NULL */
	const volatile sig_atomic_t *stop;   /* set by a signal: give up */
	/* A V: line; false after play_report_fail(). */
	bool (*verify)(void *arg, const struct conv_step *s, struct play_report *r);
	/* A D: line: the server shall fail in this way; false after play_report_fail(). */
	bool (*fault)(void *arg, struct str key, struct play_report *r);
	void *arg;
};

void player_run(const struct conv *c, const struct player_options *o, struct play_report *r);
