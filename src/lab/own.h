/* own: a server of its own for one conversation, from its start to its end. */
#pragma once

#include "play/case.h"

/* A case_own_fn. The case fails, too, when the server had to start a role again on the way, or did
 * not end cleanly. */
void lab_play_own(const struct conv *c, const struct case_options *o, struct case_result *ret);
