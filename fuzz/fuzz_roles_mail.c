/*
 * What a front that was taken over may ask of the reader and of the writer: over a small account
 * in memory, each piece of the input (a 16-bit length, a kind, octets) is an ask, a change or a
 * letter on its way. The pass is good: what is behind it is to be tried. Answers can be walked.
 */
#include "access/access.h"
#include "base/check.h"
#include "base/map.h"
#include "crypt/crypt.h"
#include "ipc/msg.h"
#include "roles/store/mail_change.h"
#include "roles/store/window.h"
#include "store/mail.h"

#include <stdint.h>

#define PIECES_MAX 40
#define WINDOWS_MAX 4
#define QUOTA 20000
#define LETTER "Subject: %u\r\nFrom: a <b@c.example>\r\n\r\ntext\r\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct world {
	struct store_role role;
	struct conf conf;
	unsigned char mac[PASS_MAC_LEN];
	uint64_t account;
};

static void
take_account(void *arg, const struct store_res *res)
{
	check(res->rc == 0);
	*(uint64_t *)arg = res->slot[0];
}

static void
take_mail(void *arg, const struct mail_result *res)
{
	check(res->rc == 0);
}

static void
change(struct world *w, struct str octets)
{
	struct front_peer *f = &w->role.front[0];
	struct buf b = BUF_INIT(MSG_CHANGE_MAX + 1024);
	f->n_changes = 0; /* nobody is told: there is no channel */
	msg_access_change_put(&b,
	    &(struct msg_access_change){ .pass = { w->account, str_n(w->mac, sizeof(w->mac)) },
		.session = 7,
		.address = STR("alice@example.com"),
		.change = octets });
	check(!b.failed && writer_mail_change(f, 1, buf_str(&b)));
	check(store_wait(w->role.store) == 0);
	buf_done(&b);
}

/* The first octet: its id. */
static void
letter(struct world *w, struct str octets)
{
	struct front_peer *f = &w->role.front[0];
	if (octets.len && writer_body_open(f, (unsigned char)octets.p[0]))
		writer_body_data(f, (unsigned char)octets.p[0], str_skip(octets, 1));
}

static void
walk_letters(struct wire *w)
{
	struct access_letter l;
	uint32_t uid = 0;
	while (w->left) {
		check(access_letter_get(w, &l) && l.uid > uid);
		uid = l.uid;
	}
}

static void
walk_changes(struct wire *w)
{
	struct access_mailbox m;
	struct access_keywords k;
	struct access_change_row r;
	uint64_t floor;
	check(access_mailbox_get(w, &m) && access_keywords_get(w, &k) &&
	      access_floor_get(w, &floor));
	while (w->left)
		check(access_change_row_get(w, &r));
}

static void
walk_rest(struct wire *w, uint8_t kind)
{
	struct access_mailbox m;
	struct access_keywords k;
	struct access_quota q;
	struct access_token t;
	if (kind == ACCESS_MAILBOXES)
		while (w->left)
			check(access_mailbox_get(w, &m));
	else if (kind == ACCESS_OPEN)
		check(access_mailbox_get(w, &m) && access_keywords_get(w, &k) && wire_done(w));
	else if (kind == ACCESS_QUOTA)
		check(access_quota_get(w, &q) && wire_done(w));
	else if (kind == ACCESS_TOKEN)
		check(access_token_get(w, &t) && wire_done(w));
	else
		check(w->left % 8 == 0);
}

/* False: there is no more. */
static bool
window(struct world *world, struct access_ask *ask, char name[ACCESS_NAME_MAX])
{
	static unsigned char slot[ACCESS_WINDOW];
	struct window win = { .store = world->role.store,
		.ask = ask,
		.account = world->account,
		.conf = &world->conf };
	struct access_head head;
	uint32_t len = 0;
	if (window_fill(&win, slot, &len) != ACCESS_OK)
		return false;
	check(len <= sizeof(slot));
	struct wire w = wire_of(str_n((char *)slot, len));
	check(access_head_get(&w, &head));
	if (ask->kind == ACCESS_LETTERS || ask->kind == ACCESS_URL)
		walk_letters(&w);
	else if (ask->kind == ACCESS_CHANGES)
		walk_changes(&w);
	else
		walk_rest(&w, ask->kind);
	if (!head.more)
		return false;
	check(head.next.name.len <= ACCESS_NAME_MAX);
	ask->from = head.next;
	if (head.next.name.len)
		ask->from.name =
		    str_n(memcpy(name, head.next.name.p, head.next.name.len), head.next.name.len);
	return true;
}

static void
ask(struct world *w, struct str octets)
{
	struct access_ask a;
	char name[ACCESS_NAME_MAX];
	if (access_ask_get(octets, &a))
		for (int i = 0; i < WINDOWS_MAX && window(w, &a, name); i++)
			;
}

static void
begin(struct world *w)
{
	const struct store_options o = STORE_OPTIONS_DEFAULT;
	struct buf err = BUF_INIT(4096), text = BUF_INIT(4096);
	struct store_role *r = &w->role;
	*w = (struct world){ .conf = { .quota = QUOTA, .store_body_memory = 1u << 20 } };
	r->conf = &w->conf;
	r->directory_fd = -1;
	r->passes.known = true;
	list_init(&r->mail);
	list_init(&r->held);
	for (size_t i = 0; i < ARRAY_LEN(r->by_size); i++)
		list_init(&r->by_size[i]);
	r->front[0].role = r;
	check(store_open(&r->store, "mem:", &o, &err) == 0);
	account_create(r->store, STR("alice@example.com"), take_account, &w->account);
	check(store_wait(r->store) == 0);
	map_put(&r->accounts, id_key(&w->account), r);
	check(pass_make(&r->passes, 0, w->account, w->mac));
	for (unsigned i = 0; i < 5; i++) {
		struct mail_append a = { .letter = 1000 + i, .time_ms = 1, .header_len = 10 };
		buf_reset(&text);
		buf_putf(&text, LETTER, i);
		a.body = store_body_new(r->store, a.letter);
		check(store_body_write(a.body, buf_str(&text)) == 0);
		mail_append(r->store, w->account, 1, &a, 1, 1, STORE_APPLIED, take_mail, NULL);
	}
	check(store_wait(r->store) == 0);
	buf_done(&text);
	buf_done(&err);
}

static void
end(struct world *w)
{
	struct store_role *r = &w->role;
	writer_bodies_drop_all(&r->front[0]);
	check(r->body_memory == 0 && list_empty(&r->mail));
	entries_done(&r->entries);
	writer_usage_forget(r);
	map_done(&r->accounts);
	r->store = store_close(r->store);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static void (*const kinds[])(struct world *, struct str) = { ask, change, letter };
	static struct world w;
	struct wire in = wire_of(str_n((const char *)data, n));
	crypt_init();
	begin(&w);
	for (int i = 0; i < PIECES_MAX && in.left >= 3; i++) {
		size_t len = get_u16(&in);
		unsigned kind = get_u8(&in) % ARRAY_LEN(kinds);
		kinds[kind](&w, get_bytes(&in, MIN(len, in.left)));
	}
	end(&w);
	return 0;
}
