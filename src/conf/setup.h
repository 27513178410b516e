/*
 * setup: how a role receives the configuration. Its first message, before it opens anything, is
 * IPC_SETUP with the sealed text of conf_dump(); the same message later is a reload.
 */
#pragma once

#include "conf/conf.h"
#include "ipc/chan.h"
#include "ipc/msg.h"
#include "log/log.h"

/* What a role does between its setup and its end, with the exit status as its result; a sentence in err
 * is logged. conf is its to free. */
typedef int setup_fn(void *arg, struct conf *conf, const struct msg_setup *m, struct buf *err);
/* The main function of a role: begins its log, waits for the setup, reads libcrypto's configuration,
 * and leaves the rest to fn. */
int setup_main(enum ipc_role role, setup_fn *fn, void *arg);
/* A reload: what the frame brings takes the place of *conf (or NULL), and the log its level. False: no
 * valid setup for this role, as the log says. */
bool setup_again(struct ipc_frame *f, enum ipc_role role, struct conf **conf);
/* The level for log_init(): conf's, or info. */
enum log_level setup_log_level(const struct conf *c);
