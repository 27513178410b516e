/* What people type and servers answer: the first octet of each line says which. */
#include "base/check.h"
#include "talk/letter.h"
#include "talk/track.h"
#include "talk/typed.h"
#include "talk/unescape.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
typed_line(struct track *t, struct letter *l, struct str line)
{
	struct buf out = BUF_INIT(256u << 10), masked = BUF_INIT(256u << 10),
		   warnings = BUF_INIT(256u << 10);
	struct typed typed;
	struct str arg;
	typed_make(line, STR("me.example.com"), &out);
	typed_mask(buf_str(&out), &masked);
	typed_read(buf_str(&out), &typed);
	track_warn(t, &typed, &warnings);
	buf_reset(&masked);
	typed_mask_answer(str_of(t->auth_mech), t->auth_nth, line, &masked);
	buf_reset(&masked);
	octets_read(line, &masked);
	letter_typed(l, line, false, &arg);
	track_sent(t, t->phase == TRACK_AUTH ? TRACK_AUTH_ANSWER : TRACK_COMMAND, buf_str(&out));
	buf_done(&out);
	buf_done(&masked);
	buf_done(&warnings);
}

static void
server_line(struct track *t, struct str line)
{
	struct buf out = BUF_INIT(256u << 10);
	if (track_line(t, line) == TRACK_REPLY)
		track_teach(t, &out);
	track_prompt(t, &out);
	track_step(&t->done);
	track_status(t, true);
	buf_done(&out);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static struct track t;
	struct letter l;
	struct buf out = BUF_INIT(4u << 20);
	struct str rest = str_n(data, size);
	track_init(&t, size > 0 && data[0] == 'l');
	letter_init(&l);
	track_sent(&t, TRACK_GREETING, STR_NULL);
	while (rest.p && rest.len) {
		struct str line = str_cut(&rest, '\n');
		if (str_starts(line, STR("C:")))
			typed_line(&t, &l, str_skip(line, 2));
		else if (str_starts(line, STR(".")))
			track_sent(&t, TRACK_DOT, STR_NULL);
		else if (str_starts(line, STR("T")))
			track_secured(&t);
		else if (str_starts(line, STR("H")))
			letter_field_set(&l, STR("Subject"), str_skip(line, 1));
		else
			server_line(&t, line);
	}
	letter_field(&l, STR("Subject"), &out);
	letter_stuff(buf_str(&l.text), &out);
	buf_done(&out);
	letter_done(&l);
	track_done(&t);
	return 0;
}
