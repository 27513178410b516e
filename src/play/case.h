/*
 * case: one conversation from start to end: its server, the play, the server's end.
 *
 * A case passes when every step did, the server ran through it without having to start a role
 * again, and ended cleanly.
 */
#pragma once

#include "play/conv.h"
#include "play/player.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CASE_LOG_MAX (1u << 20)

struct case_options {
	const char *host;   /* play against this server; NULL: one of our own */
	uint16_t port;
	const struct link_conf *link; /* how to connect; NULL: plainly */
	const struct map *vars; /* {NAME} -> text, or NULL */
	bool env;           /* ${NAME} is a variable of the environment */
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

/* Plays against a server of its own, and fills in ret->play, log and dir; NULL in a program without
 * a server. The list of commands (src/commands.c) says which. */
typedef void case_own_fn(const struct conv *c, const struct case_options *o, struct case_result *ret);
extern case_own_fn *const case_own;

/* One case as text for people. */
void case_print(FILE *out, const struct conv *c, const struct case_result *r);
/* The same as one line of JSON. */
void case_print_json(FILE *out, const struct conv *c, const struct case_result *r);
