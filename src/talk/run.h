/* run: the command `pennypost run`. */
#pragma once

#include "ctl/ctl.h"

extern const struct ctl_cmd cmd_run;
