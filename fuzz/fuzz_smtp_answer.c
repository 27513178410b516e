/* Lines of a server, as a client reads them, and what they say about its capabilities. */
#include "base/check.h"
#include "smtp/answer.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str left = str_n(data, size);
	struct answer a;
	struct caps c;
	answer_init(&a);
	caps_init(&c);
	while (left.p) {
		enum answer_status s = answer_line(&a, str_cut(&left, '\n'));
		check(a.text.len <= ANSWER_TEXT_MAX && !a.text.failed);
		check(a.code == 0 || (a.code >= 200 && a.code <= 599));
		if (s == ANSWER_MORE)
			continue;
		check(s != ANSWER_DONE || a.code != 0);
		caps_read(&c, &a);
		check(str_find(str_of(c.mechs), '\n') == strlen(c.mechs));
		if (s != ANSWER_STRANGE)
			answer_reset(&a);
	}
	answer_done(&a);
	caps_done(&c);
	return 0;
}
