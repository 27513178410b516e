/* What the codecs of msg.h share. */
#pragma once

#include "ipc/msg.h"

#define ADDRESS_MAX 1024
#define NOTIFY_MAX 64
#define QID_MAX 128
#define ENVID_MAX 256
#define RET_MAX 4
#define DOMAIN_MAX 255
#define PEER_TEXT_MAX 64
#define ACCOUNT_TEXT_MAX 512
#define WHY_MAX 256

/* A string that the other end would refuse is not sent: the buffer fails instead. */
void msg_put_capped(struct buf *b, struct str s, size_t max);
/* A string that ends up inside a line of a header or of a log. */
struct str msg_get_line(struct wire *w, size_t max);
/* Cut to max, with blanks for control octets: words for people. */
void msg_put_words(struct buf *b, struct str s, size_t max);
struct str msg_get_words(struct wire *w, size_t max);
struct str msg_get_domain(struct wire *w);

void msg_facts_put(struct buf *b, const struct msg_onward_facts *m);
bool msg_facts_get(struct wire *w, struct msg_onward_facts *ret);
