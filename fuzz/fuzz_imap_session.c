/*
 * A whole session with an account in memory. The first octet: bit 0 logged in, bit 1 rows come in
 * small windows, bits 2 to 7 how long the pieces are. In the rest, 0x01 and the octet behind it
 * are something that happens to the mailbox meanwhile.
 */
#include "../tests/unit/imap_talk.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
happen(struct talk *t, unsigned char what)
{
	static const struct str letter = { "Subject: x\r\n\r\nx\r\n", 17 };
	struct fake_box *b = fake_box(t->f, STR("INBOX"));
	size_t at = b->n_letters ? (what >> 2) % b->n_letters : 0;
	if ((what & 3) == 0 || b->n_letters == 0)
		(void)fake_deliver(t->f, STR("INBOX"), letter, 0);
	else if ((what & 3) == 1)
		fake_flag(t->f, STR("INBOX"), b->letter[at].uid, what & ACCESS_SYSTEM);
	else if ((what & 3) == 2)
		fake_expunge(t->f, STR("INBOX"), b->letter[at].uid);
	imap_session_stir(&t->s);
	struct str none = STR_NULL;
	talk_run(t, &none);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct fake f;
	struct talk t;
	if (size < 1 || size > 1u << 16)
		return 0;
	fake_init(&f);
	talk_init(&t, &f);
	(void)fake_create(&f, STR("a/b"), 0);
	(void)fake_create(&f, STR("Sent"), ACCESS_SENT | ACCESS_SUBSCRIBED);
	for (int i = 0; i < 4; i++)
		(void)fake_deliver(&f, STR("INBOX"),
		    STR("Subject: x\r\nFrom: a <b@c.example>\r\n\r\ntext\r\n"), 0);
	if (data[0] & 1)
		talk_login(&t);
	else
		imap_session_greet(&t.s, STR_NULL, &t.clock, &t.out);
	f.window = data[0] & 2 ? 1 : 0;
	f.quota = 1u << 20;
	struct str in = str_n(data + 1, size - 1);
	size_t piece = (data[0] >> 2) + 1u;
	while (in.len && !t.ended) {
		struct str some = str_first(in, str_find(in, '\x01'));
		in = str_skip(in, some.len);
		talk_feed(&t, some, piece);
		if (in.len >= 2 && !t.ended)
			happen(&t, (unsigned char)in.p[1]);
		in = str_skip(in, 2);
		buf_reset(&t.out);
	}
	talk_done(&t);
	check(t.maps.by_state.used == 0);
	fake_done(&f);
	return 0;
}
