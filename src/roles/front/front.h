/* front: speaks with strangers. Its channel to parent is fd 3; everything else comes through it. */
#pragma once

#include "sys/sandbox.h"

int front_main(void);
/* What front gives up before its first message from anybody but parent; a test tries it. */
struct sandbox front_sandbox(uint64_t conns, uid_t uid, gid_t gid);
