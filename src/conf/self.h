/*
 * self: who this server is to others: its names, its addresses, the ports at which it takes mail. What
 * is brought there comes back, and turns in circles (RFC 5321 5.1, 6.3).
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct self {
	struct str *names;
	size_t n_names;
	unsigned char (*addrs)[16]; /* IPv4 mapped into IPv6 */
	size_t n_addrs;
	uint16_t *ports; /* a host of ours at another port is another server */
	size_t n_ports;
};

/* The addresses of this host, as it is now: before a sandbox closes the view of it. */
void self_look(struct self *s);
/* Names and ports, in place of those of an older configuration. */
void self_take(struct self *s, const struct conf *c);
void self_done(struct self *s);

/* With or without the dot at its end. */
bool self_has_name(const struct self *s, struct str name);
bool self_has_port(const struct self *s, uint16_t port);
/* led: a name led to this address, so that 127.0.0.0/8 and ::1 are this server, whatever listens
 * there. By number another server may well be meant, which has an address of that kind for itself. */
bool self_has_place(const struct self *s, const unsigned char ip[16], uint16_t port, bool led);
