/*
 * setup: how a role receives the configuration. Its first message, before it opens anything, is
 * IPC_SETUP with the sealed text of conf_dump(); the same message later is a reload.
 */
#pragma once

#include "conf/conf.h"
#include "ipc/chan.h"
#include "ipc/msg.h"
#include "log/log.h"

/* Waits for the first message on sock. NULL, with one line in err, when it is anything else
 * than a valid setup for this role; else the configuration, which the caller owns. */
struct conf *setup_receive(int sock, enum ipc_role role, struct msg_setup *ret, struct buf *err);
/* The same from a frame of a running channel. Closes the frame's descriptor (fd is -1 then). */
struct conf *setup_take(
    struct ipc_frame *f, enum ipc_role role, struct msg_setup *ret, struct buf *err);
/* The level for log_init(): conf's, or info. */
enum log_level setup_log_level(const struct conf *c);
