/* FETCH and STORE by any arguments, over a mailbox of a few letters. */
#include "../tests/unit/imap_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
letters_make(struct fake *f)
{
	static const char *const all[] = {
		"From: Joe <joe@example.net>\r\nSubject: Hi\r\n\r\nhello\r\nworld\r\n",
		"Content-Type: multipart/mixed; boundary=qq\r\n\r\n--qq\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\nAGFiYw==\r\n--qq\r\n"
		"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntext\r\n--qq--\r\n",
		"\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		(void)fake_deliver(f, STR("INBOX"), str_of(all[i]), 0);
	buf_reset(&fake_letter(fake_box(f, STR("INBOX")), 3)->outline);
}

/* As letters_make() has made them once. */
static void
letters(struct fake *f)
{
	static struct fake made;
	if (!made.n_boxes) {
		fake_init(&made);
		letters_make(&made);
	}
	const struct fake_box *from = fake_box(&made, STR("INBOX"));
	struct fake_box *b = fake_box(f, STR("INBOX"));
	for (size_t i = 0; i < from->n_letters; i++) {
		const struct fake_letter *l = &from->letter[i];
		struct fake_letter *to = fake_add(f, b);
		buf_puts(&to->octets, buf_str(&l->octets));
		buf_puts(&to->outline, buf_str(&l->outline));
		to->header_len = l->header_len;
		to->flags = l->flags;
		to->modseq = ++b->modseq;
	}
}

/* The first octet: how small windows are. Then a command's name and arguments. */
static void
run(const char *name, const uint8_t *data, size_t size)
{
	struct fake f;
	struct talk t;
	struct buf line = BUF_INIT(1u << 20);
	fake_init(&f);
	letters(&f);
	talk_init(&t, &f);
	talk_login(&t);
	(void)talk_say(&t, "s SELECT INBOX (CONDSTORE)\r\n");
	f.octets = data[0] & 0x1f;
	f.window = data[0] >> 5;
	buf_putz(&line, name);
	buf_put(&line, data + 1, size - 1);
	buf_putz(&line, "\r\n");
	talk_feed(&t, buf_str(&line), SIZE_MAX);
	check(!t.out.failed);
	talk_done(&t);
	fake_done(&f);
	buf_done(&line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 4096)
		return 0;
	run("t FETCH ", data, size);
	run("t UID FETCH ", data, size);
	run("t STORE ", data, size);
	return 0;
}
