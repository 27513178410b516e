/*
 * outgoing: logins at other servers (smarthosts), made here for relay, which knows no secret.
 *
 * relay names the route and says what the server offers and how the connection is secured; here the
 * mechanism is chosen, the strongest first, and every answer made. A password leaves in clear over a
 * connection whose other end is verified, or where the route has auth_cleartext = allow; nowhere
 * else. Steps are work for the threads of passwords: a server may ask for many rounds of SCRAM.
 *
 * With EXTERNAL the certificate that relay has shown says who we are; its key is here, and relay
 * asks for the signature (sign.c). GSSAPI is gssapi_out's, which is this file and no other
 * mechanism: it begins with a ticket, and a role that gets tickets has a network (gssapi.c).
 */
#pragma once

#include "roles/auth/auth_priv.h"

#include <stdbool.h>

#define RELAY_LOGINS_MAX 4096 /* of one relay at a time */

/* A relay's channel; takes fd over. False: it cannot be watched. */
bool outgoing_take(struct auth *au, uint16_t index, int fd);
/* A file of a route, which parent opened; and the end of them: those are the secrets from now on. */
void outgoing_secret(struct auth *au, struct str name, int fd);
void outgoing_secrets_end(struct auth *au);
void outgoing_done(struct auth *au);
void outgoing_certs(struct auth *au); /* tells all relays */
