/* Between library.c, which runs exchanges of Cyrus SASL, and library_open.c, which sets it up. */
#pragma once

#include "sasl/sasl_priv.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

/* A mechanism that is none: asking for it gives a connection our generator and our log. */
#define SASL_ARM_MECH "X-PENNYPOST-ARM"

/* What the library asks when it wants to know an account. */
int sasl_library_lookup(void *glob, sasl_server_params_t *params, unsigned flags, const char *user,
    unsigned len);
