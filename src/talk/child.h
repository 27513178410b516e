/* child: programs that talk runs on the terminal, and files that people name. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* Runs it and waits; signals of the terminal are the child's meanwhile. Exit status, 128 + signal,
 * or -errno. */
int child_run(const char *const *argv);
/* Has text edited by $VISUAL, $EDITOR or vi. False with a sentence in err, text as it was. */
bool child_edit(struct buf *text, size_t max, struct buf *err);
/* "~/x" is below $HOME. free() it. */
char *child_path(struct str path);
