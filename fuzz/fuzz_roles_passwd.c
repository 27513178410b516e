/* The file of password hashes: whatever stands in it, it is taken or refused with a line and a
 * remedy; what was taken comes out as a file that is taken again. */
#include "base/check.h"
#include "roles/auth/passwd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct passwd p = { .map = MAP_NULL }, again = { .map = MAP_NULL };
	struct buf err = BUF_INIT(4096), text = BUF_INIT(PASSWD_FILE_MAX);
	bool ok = passwd_parse(&p, str_n(data, size), "passwd", &err);
	check(ok == (err.len == 0));
	passwd_text(&p, "somebody@example.com", "!locked", &text);
	check(!text.failed);
	buf_reset(&err);
	check(passwd_parse(&again, buf_str(&text), "passwd", &err));
	check(passwd_find(&again, "somebody@example.com"));
	check(passwd_count(&again) ==
	      passwd_count(&p) + (passwd_find(&p, "somebody@example.com") ? 0 : 1));
	passwd_done(&p);
	passwd_done(&again);
	buf_done(&err);
	buf_done(&text);
	return 0;
}
