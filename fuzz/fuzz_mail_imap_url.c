/* URLs of letters: what is taken for one is whole, and has the names that its text has. */
#include "base/check.h"
#include "crypt/crypt.h"
#include "mail/imap_url.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(const struct imap_url *u, struct str s)
{
	check(s.len == 0 || (s.p >= u->octets && s.p + s.len <= u->octets + sizeof(u->octets)));
	for (size_t i = 0; i < s.len; i++)
		check((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str key = { "0123456789abcdef0123456789abcdef", 32 };
	static struct imap_url u;
	struct str text = str_n(data, size);
	crypt_init();
	if (imap_url_parse(text, &u))
		return 0;
	check(text.len <= IMAP_URL_MAX && u.uid && u.host.len && u.mailbox.len);
	check_name(&u, u.user);
	check_name(&u, u.mailbox);
	check_name(&u, u.section);
	check_name(&u, u.may);
	check((u.access == IMAP_URL_NO_ACCESS) == (u.rump.len == 0));
	check(u.token.len == 0 || (u.access && u.mech.len));
	check(u.token.len == 0 || u.rump.len + 1 + u.mech.len + 1 + u.token.len == text.len);
	check(u.rump.len == 0 || str_starts(text, u.rump));
	(void)imap_url_authentic(&u, key);
	return 0;
}
