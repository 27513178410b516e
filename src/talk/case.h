/*
 * case: one conversation from start to end: its server, the play, the server's end.
 *
 * A case passes when every step did, the server ran through it without having to start a role
 * again, and ended cleanly.
 */
#pragma once

#include "talk/conv.h"
#include "talk/player.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct case_options {
	const char *host;   /* play against this server; NULL: one of our own */
	uint16_t port;
	bool keep;          /* leave the folder of our own server */
	int64_t timeout_ms; /* for one line */
	FILE *live;         /* transcript as it happens, or NULL */
	const volatile sig_atomic_t *stop;
};

struct case_result {
	struct play_report play;
	int64_t ms;
	struct buf log;     /* what our own server wrote, when the case did not pass */
	char dir[256];      /* kept folder, or empty */
};

void case_run(const struct conv *c, const struct case_options *o, struct case_result *ret);
void case_result_done(struct case_result *r);

/* One case as text for people. */
void case_print(FILE *out, const struct conv *c, const struct case_result *r);
/* The same as one line of JSON. */
void case_print_json(FILE *out, const struct conv *c, const struct case_result *r);
