/*
 * conn: one TCP connection of the player, plain or inside TLS: sending, and reading line by line
 * with a deadline.
 *
 * Whatever we do (send, wait, look for a line), octets that arrive are taken in, so a server
 * that answers early or closes early never blocks against us. `at_end` is set once the server
 * has closed (or reset); lines that came before it can still be read.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "tls/tls.h"

#include <stdbool.h>
#include <stdint.h>

#define CONN_INPUT_MAX (16u << 20)

struct conn {
	int fd;          /* -1: not open */
	struct tls *tls; /* NULL: plain */
	struct buf in;
	bool at_end;
};

enum conn_line { CONN_LINE, CONN_TIMEOUT, CONN_END, CONN_FLOOD };

/* host: an address or a name. 0 or -errno; -ENOENT when the name has no address. */
int conn_open(struct conn *c, const char *host, uint16_t port, int64_t timeout_ms);
/* The TLS handshake, now; name: of the server, or NULL; alpn: the protocol that is offered (RFC
 * 7301), or NULL. Nobody's certificate is verified: what is played is the conversation. False, and
 * why appended, when it fails. */
bool conn_tls(struct conn *c, const char *name, const char *alpn, int64_t timeout_ms,
    struct buf *why);
void conn_close(struct conn *c); /* may be called twice */
/* 0, -ETIMEDOUT, -EPIPE when the server no longer takes anything, or another -errno. */
int conn_send(struct conn *c, struct str octets, int64_t timeout_ms);
/* The next line with its line end; it stays the next line until conn_take(). At the end of
 * the connection a last line without an end counts too. */
enum conn_line conn_peek(struct conn *c, int64_t timeout_ms, struct str *ret);
void conn_take(struct conn *c, struct str line);
/* Lets time pass. */
void conn_wait(struct conn *c, int64_t ms);
