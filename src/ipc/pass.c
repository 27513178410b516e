#include "ipc/pass.h"

#include "base/buf.h"
#include "base/wire.h"
#include "crypt/crypt.h"
#include "sys/file.h"

#include <string.h>

#define ADDRESS_MAX 512

bool
pass_key_read(struct pass_key *k, int fd)
{
	struct str key;
	if (memfd_map(fd, PASS_KEY_LEN, &key) < 0)
		return false;
	bool good = key.len == PASS_KEY_LEN;
	if (good)
		memcpy(k->octets, key.p, PASS_KEY_LEN);
	k->known = k->known || good;
	memfd_unmap(key);
	return good;
}

void
pass_key_done(struct pass_key *k)
{
	explicit_bzero(k, sizeof(*k));
}

static bool
sign(const struct pass_key *k, const struct buf *what, unsigned char ret_mac[PASS_MAC_LEN])
{
	unsigned char mac[CRYPT_DIGEST_MAX];
	if (!k->known || what->failed)
		return false;
	crypt_hmac(CRYPT_SHA256, str_n(k->octets, sizeof(k->octets)), buf_str(what), mac);
	memcpy(ret_mac, mac, PASS_MAC_LEN);
	return true;
}

bool
ticket_make(const struct pass_key *k, uint16_t front, struct str address, uint64_t time_ms,
    unsigned char ret_mac[PASS_MAC_LEN])
{
	struct buf b = BUF_INIT(ADDRESS_MAX + 32);
	buf_puts(&b, STR("login\0"));
	put_u16(&b, front);
	put_str(&b, address);
	put_u64(&b, time_ms);
	bool good = sign(k, &b, ret_mac);
	buf_done(&b);
	return good;
}

bool
ticket_good(const struct pass_key *k, uint16_t front, struct str address, uint64_t time_ms,
    struct str mac, uint64_t now_ms)
{
	unsigned char want[PASS_MAC_LEN];
	if (!ticket_make(k, front, address, time_ms, want) ||
	    !crypt_equal(str_n(want, sizeof(want)), mac))
		return false;
	return time_ms > now_ms ? time_ms - now_ms <= TICKET_AHEAD_MS
	                        : now_ms - time_ms <= TICKET_MS;
}

bool
pass_make(const struct pass_key *k, uint16_t front, uint64_t account,
    unsigned char ret_mac[PASS_MAC_LEN])
{
	struct buf b = BUF_INIT(32);
	buf_puts(&b, STR("pass\0"));
	put_u16(&b, front);
	put_u64(&b, account);
	bool good = sign(k, &b, ret_mac);
	buf_done(&b);
	return good;
}

bool
pass_good(const struct pass_key *k, uint16_t front, uint64_t account, struct str mac)
{
	unsigned char want[PASS_MAC_LEN];
	return pass_make(k, front, account, want) && crypt_equal(str_n(want, sizeof(want)), mac);
}
