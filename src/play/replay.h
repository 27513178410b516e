/* replay: plays the client's side of a recorded conversation, and compares the server's. */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "client/link.h"
#include "play/capture.h"

#include <stdbool.h>
#include <stdio.h>

enum replay_diff { REPLAY_CODE, REPLAY_ENHANCED, REPLAY_TEXT };

struct replay_options {
	struct link_conf link;
	enum replay_diff diff;
	bool color;
	FILE *out;
	/* What was masked: asked for when it is needed first; false after a message. */
	bool (*secret)(void *arg, struct buf *ret);
	void *arg;
	struct str user;
};

/* Prints the conversation as it goes: lines that are as they were behind two blanks, what was
 * recorded and is no longer so behind "- ", what came instead behind "+ ". An enum client_exit:
 * CLIENT_EXPECT when the server answers differently. */
int replay_play(const struct capture_session *s, const struct replay_options *o);
/* Do two replies, lines parted by \n, say the same? */
bool replay_same(enum capture_proto proto, enum replay_diff diff, struct str was, struct str is);
