/* What the codecs of msg.h share. */
#pragma once

#include "ipc/msg.h"

/* A string that the other end would refuse is not sent: the buffer fails instead. */
void msg_put_capped(struct buf *b, struct str s, size_t max);
/* A string that ends up inside a line of a header or of a log. */
struct str msg_get_line(struct wire *w, size_t max);
