/* header: walk the fields of a header block that is held in memory (for showing and tests). */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

struct header_field {
	struct str name;  /* without the colon, blanks before it trimmed */
	struct str value; /* behind the colon, still folded, outer blanks trimmed */
	struct str raw;   /* the whole field with its line ends */
};

/* Takes the next field off *block; false at the empty line, the end, or a line that is no
 * field (damaged continuations are taken into the field before them as R-MSG-3 says). */
bool header_next(struct str *block, struct header_field *ret);
/* Unfolds a value: line ends vanish, the blanks behind them become one. */
void header_unfold(struct buf *out, struct str value);
