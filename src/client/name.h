/*
 * name: what we call ourselves in EHLO: (1) what was asked for, (2) our own full name when it
 * resolves, (3) an address literal of our end of the connection, (4) "test." and the domain of the
 * server. Never the name of the user.
 */
#pragma once

#include "base/buf.h"

/* The rule itself. own: our full name, when it resolves, or "". */
void name_rule(const char *asked, const char *own, int fd, const char *server, struct buf *out);
/* fd: the connection, or -1; server: its name or NULL. Appends the name. */
void name_of_us(const char *asked, int fd, const char *server, struct buf *out);
