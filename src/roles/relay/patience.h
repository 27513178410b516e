/*
 * patience: how long a server may take. Pure.
 *
 * Two limits, and the nearer one counts: each wait has the time of RFC 5321 4.5.3.2
 * (smtp_client_patience()), and each phase of a session a time for all its waits together, so that
 * nobody holds a connection for ever who gives an octet or a reply now and then. The second is the
 * sum of the first for a letter with one recipient; for more there is a tenth of a reply's time for
 * each, and for the letter's octets what a line of 1 KiB a second needs.
 */
#pragma once

#include "smtp/client.h"

#include <stdint.h>

enum patience_phase { PATIENCE_OPENING, PATIENCE_ENVELOPE, PATIENCE_OCTETS, PATIENCE_VERDICT };

struct patience {
	bool begun;
	enum patience_phase phase;
	int64_t until; /* ms: the end of all patience with this phase */
};

struct patience_facts {
	uint64_t reply_seconds; /* of every wait; 0: as the RFC says */
	size_t n_rcpts;
	uint64_t size;          /* octets of the letter */
	bool lmtp;              /* a verdict for each recipient */
};

/* Now it waits at this step; octets: for the socket to take more of the letter. How many ms it may
 * wait, at least 1. silence: seconds, as smtp_client_patience() says. */
int64_t patience_wait(struct patience *p, const struct patience_facts *f,
    enum smtp_client_step step, bool octets, unsigned silence, int64_t now);
