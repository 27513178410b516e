/* vouch_priv: what the files of vouch share with the link. */
#pragma once

#include "client/vouch.h"

/* For link_open(): asks for what link_conf.vouch wants. CLIENT_OK, or a status with l->why. */
int vouch_begin(struct link *l);
void vouch_end(struct link *l);
/* The server is not to be used: the sentence and the status, or lenient: keeps it, CLIENT_OK. */
int vouch_object(struct link *l, int status, const char *fmt, ...) PRINTF(3, 4);
/* The host in A-labels, "" when it is an address or no name. */
void vouch_host(const struct link *l, char ret[DNS_NAME_MAX]);
int dane_begin(struct link *l, struct dns *d);
