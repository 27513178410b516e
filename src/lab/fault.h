/*
 * fault: the D: lines of a conversation, by `pennypost fault KEY --dir DIR` of this same binary.
 */
#pragma once

#include "play/player.h"

/* For player_options.fault; arg is a struct verify (lab/verify.h). */
bool fault_set(void *arg, struct str key, struct play_report *r);
