/* Subscriptions, special uses and options: single records. */
#include "store/names.h"

#include "base/check.h"
#include "base/wire.h"

#include <errno.h>
#include <stdlib.h>

struct putting {
	mail_fn *fn;
	void *arg;
};

static void
on_put(void *arg, const struct store_res *res)
{
	struct putting *p = arg;
	struct mail_result r = { .rc = res->rc == -EAGAIN ? -ENOENT : res->rc };
	if (p->fn)
		p->fn(p->arg, &r);
	free(p);
}

static void
commit(struct store_batch *b, mail_fn *fn, void *arg)
{
	struct putting *p = xalloc(sizeof(*p));
	*p = (struct putting){ fn, arg };
	store_commit(b, STORE_APPLIED, on_put, p);
}

static int
plan_subscribe(struct naming *w, struct store_snap *sn, struct store_batch *b)
{
	char octets[STORE_KEY_MAX + 2];
	struct str key = name_key(octets, 'S', buf_str(&w->name)), v;
	int r = store_get(sn, key, &v);
	if (r == (w->on ? 0 : -ENOENT))
		return 0;
	if (r == -ENOENT)
		r = names_room(sn, 'S');
	if (r < 0)
		return r;
	if (w->on)
		store_put(b, key, STR(""), 0);
	else
		store_del(b, key);
	return 1;
}

void
mail_subscribe(struct store *s, uint64_t account, struct str name, bool on, mail_fn *fn, void *arg)
{
	struct naming *w = naming_new(s, account, name, plan_subscribe, fn, arg);
	w->on = on;
	if (name.len > MAILBOX_NAME_STORED_MAX)
		return naming_refuse(w, -E2BIG);
	naming_go(w);
}

/* --- options --- */

struct str
options_key(char out[10], uint64_t account)
{
	out[0] = 'o', out[1] = '|';
	be64_put((unsigned char *)out + 2, account);
	return str_n(out, 10);
}

bool
options_get(struct str value, struct mail_options *ret)
{
	struct wire w = wire_of(value);
	uint8_t version = get_u8(&w);
	struct mail_options o = { .quota = get_u64(&w) };
	if (!wire_done(&w) || version != RECORD_VERSION)
		return false;
	*ret = o;
	return true;
}

void
mail_put_options(struct store *s, uint64_t account, const struct mail_options *o, mail_fn *fn,
    void *arg)
{
	struct store_dom d = store_dom_directory();
	struct store_batch *b = store_batch_new(s, &d);
	struct buf value = BUF_INIT(64);
	char key[10];
	put_u8(&value, RECORD_VERSION);
	put_u64(&value, o->quota);
	store_put(b, options_key(key, account), buf_str(&value), 0);
	buf_done(&value);
	commit(b, fn, arg);
}

int
mail_get_options(struct store_snap *directory, uint64_t account, struct mail_options *ret)
{
	char key[10];
	struct str v;
	int r = store_get(directory, options_key(key, account), &v);
	*ret = (struct mail_options){ 0 };
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : options_get(v, ret) ? 0 : -EBADMSG;
}
