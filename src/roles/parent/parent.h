/*
 * parent: starts the roles, hands them their descriptors, restarts what dies, and opens the
 * door for the command line. It reads configuration, binds, forks and passes descriptors; it
 * never reads an octet of a stranger.
 *
 * DIR (conf data_dir): lock (held while we run), ctl.sock (mode 0600; peer credentials checked:
 * root or our own uid), store/ (mail; owned by the store's uid), auth/ (password hashes; owned
 * by auth's uid), tls/ (certificates and keys that parent opens; made by `pennypost tls make`).
 */
#pragma once

#include "conf/conf.h"

struct parent_options {
	const char *conf_path;    /* read again on SIGHUP; NULL: nothing to read */
	struct conf *(*reload)(void *arg, struct buf *err); /* used instead of conf_path when set */
	void *arg;
	bool maintenance;         /* no listeners, no fronts: only the command line's door */
};

/* Runs until SIGTERM, SIGINT or `stop`. Takes conf over. Returns the exit status: 0 clean. */
int parent_run(struct conf *c, const struct parent_options *o);
