/*
 * verify: the V: lines of a conversation, answered by the store of a running server.
 *
 * Header values are compared unfolded, bodies line by line; both of the last letter in INBOX.
 * `queued` holds when a letter for the recipient waits or has waited (traces tell of those that are
 * gone already); `notqueued` when no server reply in the transcript has accepted it, and none waits.
 */
#pragma once

#include "play/player.h"

struct verify {
	const char *dir; /* of the server */
	int64_t timeout_ms;
};

/* For player_options.verify; arg is a struct verify. */
bool verify_step(void *arg, const struct conv_step *s, struct play_report *r);
