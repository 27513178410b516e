/* Keys of mailboxes, with which URLs of their letters are authorized: A's "U|mailbox4". */
#include "store/names.h"

#include "sys/random.h"

#include <errno.h>

#define FORGET_STEP 1000 /* keys in a batch */

bool
url_key_get(struct str value, unsigned char ret[MAIL_URL_KEY_LEN])
{
	struct wire w = wire_of(value);
	uint8_t version = get_u8(&w);
	struct str octets = get_bytes(&w, MAIL_URL_KEY_LEN);
	if (!wire_done(&w) || version != RECORD_VERSION)
		return false;
	memcpy(ret, octets.p, MAIL_URL_KEY_LEN);
	return true;
}

int
mail_get_url_key(struct store_snap *account, uint32_t mailbox, unsigned char ret[MAIL_URL_KEY_LEN])
{
	char key[6];
	struct str v;
	int r = store_get(account, str_n(key, number_key(key, 'U', mailbox)), &v);
	return r < 0 ? r : url_key_get(v, ret) ? 0 : -EBADMSG;
}

static int
plan_make(struct naming *w, struct store_snap *sn, struct store_batch *b)
{
	unsigned char octets[1 + MAIL_URL_KEY_LEN] = { RECORD_VERSION };
	char key[6];
	struct str v;
	int r = store_get(sn, str_n(key, number_key(key, 'M', w->number)), &v);
	if (r < 0 && !(r == -ENOENT && w->number == MAILBOX_INBOX))
		return r;
	struct str k = str_n(key, number_key(key, 'U', w->number));
	r = store_get(sn, k, &v);
	if (r != -ENOENT && (r < 0 || !w->on))
		return r;
	random_bytes(octets + 1, MAIL_URL_KEY_LEN);
	store_put(b, k, str_n(octets, sizeof(octets)), 0);
	explicit_bzero(octets, sizeof(octets));
	return 1;
}

void
mail_make_url_key(struct store *s, uint64_t account, uint32_t mailbox, bool renew, mail_fn *fn,
    void *arg)
{
	struct naming *w = naming_new(s, account, STR_NULL, plan_make, fn, arg);
	w->number = mailbox;
	w->on = renew;
	naming_go(w);
}

struct forgetting {
	struct store_batch *b;
	size_t n;
};

static bool
forget_one(void *arg, struct str key, struct str value)
{
	struct forgetting *f = arg;
	store_del(f->b, key);
	f->n++;
	return true;
}

static int
plan_forget(struct naming *w, struct store_snap *sn, struct store_batch *b)
{
	struct forgetting f = { .b = b };
	int r = store_scan(sn, STR("U|"), STR("U}"), FORGET_STEP, false, forget_one, &f);
	if (f.n < FORGET_STEP)
		w->then = NULL; /* these were the last */
	return r < 0 ? r : f.n > 0;
}

void
mail_forget_url_keys(struct store *s, uint64_t account, mail_fn *fn, void *arg)
{
	struct naming *w = naming_new(s, account, STR_NULL, plan_forget, fn, arg);
	w->then = naming_go;
	naming_go(w);
}
