/*
 * secret: passwords and tokens: from the terminal without echo, a file, a descriptor, a command, or
 * the environment's $PENNYPOST_PASSWORD; never from the command line. Wipe with buf_wipe().
 */
#pragma once

#include "base/buf.h"

#include <signal.h>
#include <stdbool.h>

struct secret_from {
	const char *file;    /* --password-file: its first line */
	const char *fd;      /* --password-fd: the same of a descriptor */
	const char *command; /* --token-cmd: the first line that it prints, by sh -c */
	const char *prompt;  /* "Password for joe@example.com: " */
	const volatile sig_atomic_t *stop; /* a signal has come: give up; may be NULL */
};

/* CLIENT_OK, or CLIENT_USAGE / CLIENT_IO / CLIENT_INTERRUPTED after a sentence in err. */
int secret_get(const struct secret_from *from, struct buf *ret, struct buf *err);
