/* transcript_priv: what the formats share. */
#pragma once

#include "client/transcript.h"

#define TRANSCRIPT_LINE_MAX (256u << 10) /* of a line that a conv can hold */

struct transcript_kept {
	bool goes_on;         /* the file had something in it */
	bool in_line, in_send; /* a line whose end has not come */
	struct buf line;      /* conv: that line */
	uint64_t total;       /* its octets */
	bool headed, talked;  /* conv: the head is written; something went over the line */
	unsigned connections;
};
struct str transcript_octets(const struct event *e, bool show_secrets);
void transcript_conv(struct transcript *t, struct buf *out, const struct event *e);
void transcript_conv_flush(struct transcript *t, struct buf *out);
