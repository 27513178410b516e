/*
 * Letters as files: mboxrd (From_ lines between letters, every line that begins ">*From " gets
 * one more ">", so it can be undone) and Maildir. Lines end in LF there, as the programs that
 * read these formats expect.
 */
#include "ctl/ctl_priv.h"

#include "base/date.h"

#include <inttypes.h>
#include <string.h>

static const char from_word[] = "From ";
#define FROM_LEN (sizeof from_word - 1)

static void
put(struct mbox *m, char c)
{
	m->in_line = c != '\n';
	putc_unlocked(c, m->to);
}

static void
release(struct mbox *m)
{
	if (m->from == 0)
		return;
	fwrite(from_word, 1, m->from, m->to);
	m->from = 0;
	m->in_line = true;
}

/* The start of a line: ">" goes through (one more of them may stand anywhere among them). */
static void
feed_start(struct mbox *m, char c)
{
	if (c == from_word[m->from]) {
		if (++m->from == FROM_LEN) {
			putc_unlocked('>', m->to);
			release(m);
		}
		return;
	}
	bool held = m->from > 0;
	release(m);
	if (c == '>' && !held)
		putc_unlocked(c, m->to);
	else
		put(m, c);
}

static void
feed_one(struct mbox *m, char c)
{
	if (m->in_line || m->plain)
		put(m, c);
	else
		feed_start(m, c);
}

void
mbox_feed(struct mbox *m, struct str chunk)
{
	for (size_t i = 0; i < chunk.len; i++) {
		char c = chunk.p[i];
		if (m->cr && c != '\n')
			feed_one(m, '\r');
		m->cr = c == '\r';
		if (!m->cr)
			feed_one(m, c);
	}
}

/* RFC 4155 appendix A: the sender holds no blank; without one it is MAILER-DAEMON. */
void
mbox_letter_begin(struct mbox *m, struct str return_path, uint64_t time_ms)
{
	struct buf date = BUF_INIT(64);
	m->from = 0;
	m->cr = m->in_line = false;
	if (m->plain)
		return;
	date_asctime(&date, (int64_t)(time_ms / 1000));
	fputs(from_word, m->to);
	for (size_t i = 0; i < return_path.len; i++) {
		unsigned char c = (unsigned char)return_path.p[i];
		putc_unlocked(c <= 0x20 || c == 0x7f ? '_' : c, m->to);
	}
	fputs(return_path.len ? " " : "MAILER-DAEMON ", m->to);
	fwrite(date.p, 1, date.len, m->to);
	putc_unlocked('\n', m->to);
	buf_done(&date);
}

void
mbox_flags(struct mbox *m, const char *flags)
{
	static const struct {
		char maildir, x_status;
	} map[] = { { 'R', 'A' }, { 'F', 'F' }, { 'D', 'T' }, { 'T', 'D' } };
	char x[8] = "";
	size_t n = 0;
	if (strchr(flags, 'S'))
		fputs("Status: RO\n", m->to);
	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (strchr(flags, map[i].maildir))
			x[n++] = map[i].x_status;
	if (n)
		fprintf(m->to, "X-Status: %s\n", x);
}

void
mbox_letter_end(struct mbox *m)
{
	if (m->cr)
		feed_one(m, '\r');
	m->cr = false;
	release(m);
	if (m->in_line && !m->plain)
		put(m, '\n');
	if (!m->plain)
		put(m, '\n');
}

void
maildir_name(struct buf *out, uint64_t time_ms, uint64_t uid, pid_t pid, const char *host,
    uint64_t size)
{
	buf_putf(out, "%" PRIu64 ".M%" PRIu64 "P%ldQ%" PRIu64 ".", time_ms / 1000,
	    time_ms % 1000 * 1000, (long)pid, uid);
	for (; *host; host++) {
		if (*host == '/' || *host == ':' || *host == ',')
			buf_putf(out, "\\%03o", (unsigned)*host);
		else
			buf_putc(out, *host);
	}
	buf_putf(out, ",S=%" PRIu64, size);
}
