/* mailread_letter: finding a letter, waiting for it, fetching and deleting it. */
#include "client/mailread_priv.h"

#include "base/num.h"
#include "mail/header.h"
#include "sys/clock.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define POP_LOOK_MAX 200u /* the newest letters that are looked at */
#define HEADER_MAX (256u << 10)
#define SLICE_MS 100

/* --- the mailbox --- */

int
mailread_select(struct mailread *m, struct str mailbox)
{
	struct buf name = BUF_INIT(4096), line = BUF_INIT(8192);
	int status;
	m->step = "select";
	if (m->proto == PROTO_POP3) {
		struct str rest;
		status = mailread_pop(m, "STAT");
		if (status == CLIENT_OK && !m->good)
			status = mailread_refused(m, CLIENT_EXPECT, "STAT");
		if (status == CLIENT_OK && !pop_pair(buf_str(&m->text), &m->exists, &rest))
			status = mailread_fail(m, CLIENT_EXPECT, "STAT says no number");
		return status;
	}
	m->exists = 0;
	imap_name_encode(mailbox, &name);
	if (imap_put_astring(&line, buf_str(&name), false) && !line.failed)
		status = mailread_command(m, "SELECT " STR_FMT, STR_ARG(buf_str(&line)));
	else
		status = mailread_fail(m, CLIENT_USAGE, "that is no name of a mailbox");
	if (status == CLIENT_OK && !m->good)
		status = mailread_refused(m, CLIENT_EXPECT, "SELECT");
	buf_done(&name);
	buf_done(&line);
	return status;
}

/* --- finding: IMAP --- */

static void
hits(struct mailread *m, const struct imap_response *r)
{
	uint64_t n;
	if (!str_ieq(r->name, STR("SEARCH")))
		return;
	for (const struct imap_node *v = r->data; v; v = v->next)
		if (num_u64(imap_node_text(v), UINT32_MAX, &n) && n > m->found)
			m->found = n; /* the newest */
}

static int
find_imap(struct mailread *m, struct str name, struct str value)
{
	struct buf a = BUF_INIT(1024), b = BUF_INIT(4096);
	int status;
	if (imap_put_astring(&a, name, false) && imap_put_astring(&b, value, false) && !b.failed) {
		m->untagged = hits;
		status = mailread_command(m, "UID SEARCH HEADER " STR_FMT " " STR_FMT,
		    STR_ARG(buf_str(&a)), STR_ARG(buf_str(&b)));
		m->untagged = NULL;
		if (status == CLIENT_OK && !m->good)
			status = mailread_refused(m, CLIENT_EXPECT, "SEARCH");
	} else {
		status = mailread_fail(m, CLIENT_USAGE, "what is looked for is no plain text");
	}
	buf_done(&a);
	buf_done(&b);
	return status;
}

/* --- finding: POP3 --- */

static void
keep_piece(void *arg, struct str piece)
{
	struct buf *b = arg;
	buf_puts(b, str_first(piece, b->max > b->len ? b->max - b->len - 1 : 0));
}

static bool
header_has(struct str block, struct str name, struct str value)
{
	struct header_field f;
	while (header_next(&block, &f))
		if (str_ieq(f.name, name) && str_find_str(f.value, value) < f.value.len)
			return true;
	return false;
}

static int
look(struct mailread *m, uint64_t i, struct str name, struct str value)
{
	struct buf head = BUF_INIT(HEADER_MAX);
	int status = mailread_pop(m, "TOP %" PRIu64 " 0", i);
	if (status == CLIENT_OK && !m->good) /* optional: RFC 1939 7 */
		status = mailread_pop(m, "RETR %" PRIu64, i);
	if (status == CLIENT_OK && m->good) {
		status = mailread_pop_lines(m, keep_piece, &head);
		if (status == CLIENT_OK && header_has(buf_str(&head), name, value))
			m->found = i;
	}
	buf_done(&head);
	return status;
}

static int
find_pop3(struct mailread *m, struct str name, struct str value)
{
	uint64_t first = m->exists > POP_LOOK_MAX ? m->exists - POP_LOOK_MAX : 0;
	int status = CLIENT_OK;
	if (m->tried > m->exists)
		m->tried = 0; /* letters went away: the numbers are others now */
	for (uint64_t i = m->exists; i > MAX(first, m->tried) && !m->found && status == CLIENT_OK;
	     i--)
		status = look(m, i, name, value);
	m->tried = m->exists;
	return status;
}

int
mailread_find(struct mailread *m, struct str name, struct str value, uint64_t *ret_id)
{
	m->step = "find";
	m->found = 0;
	int status = m->proto == PROTO_POP3 ? find_pop3(m, name, value) : find_imap(m, name, value);
	if (status == CLIENT_OK)
		*ret_id = m->found;
	return status;
}

/* --- waiting --- */

static bool
stopped(const struct mailread *m)
{
	return m->link->conf->stop && *m->link->conf->stop;
}

static int
pass_time(struct mailread *m, int64_t until)
{
	while (sys_mono_ms() < until && !stopped(m))
		(void)poll(NULL, 0, SLICE_MS);
	return stopped(m) ? mailread_lost(m, LINK_STOPPED) : CLIENT_OK;
}

/* Lines that come by themselves, up to news or the time. */
static int
listen_idle(struct mailread *m, int64_t until)
{
	uint64_t before = m->exists;
	while (m->exists <= before && sys_mono_ms() < until && !stopped(m)) {
		struct str line;
		enum link_status s = link_line_now(m->link, &line);
		if (s == LINK_AGAIN) {
			struct pollfd p = { .fd = link_fd(m->link), .events = link_wants(m->link) };
			if (poll(&p, 1, SLICE_MS) > 0)
				(void)link_take_in(m->link);
			continue;
		}
		if (s != LINK_OK && s != LINK_PIECE)
			return mailread_lost(m, s);
		const struct imap_response *r;
		while ((r = imap_reader_feed(&m->reader, &line))) {
			if (r->status == IMAP_BYE || r->kind == IMAP_TAGGED)
				return mailread_fail(m, CLIENT_CLOSED,
				    "wait: the server ended IDLE");
			if (r->kind == IMAP_UNTAGGED && str_ieq(r->name, STR("EXISTS")))
				m->exists = r->number;
		}
	}
	return CLIENT_OK;
}

static int
wait_idle(struct mailread *m, int64_t until)
{
	const struct imap_response *r = NULL;
	struct mailread_line l;
	uint64_t before = m->exists;
	mailread_line_init(&l);
	mailread_tag(m, &l);
	mailread_line_puts(&l, STR("IDLE"));
	int status = mailread_line_send(m, &l);
	if (status == CLIENT_OK)
		status = mailread_next(m, &r);
	if (status == CLIENT_OK && r->kind != IMAP_CONTINUE) {
		mailread_keep(m, r);
		m->has_idle = false; /* it was promised; NOOP will do */
		status = pass_time(m, MIN(until, sys_mono_ms() + 1000));
	} else if (status == CLIENT_OK) {
		if (m->exists <= before)
			status = listen_idle(m, until);
		mailread_line_puts(&l, STR("DONE"));
		if (status == CLIENT_OK)
			status = mailread_line_send(m, &l);
		if (status == CLIENT_OK)
			status = mailread_tagged(m);
	}
	mailread_line_done(&l);
	return status == CLIENT_OK && stopped(m) ? mailread_lost(m, LINK_STOPPED) : status;
}

int
mailread_wait(struct mailread *m, int64_t ms)
{
	int64_t until = sys_mono_ms() + ms;
	m->step = "wait";
	if (m->proto == PROTO_IMAP && m->has_idle)
		return wait_idle(m, until);
	int status = pass_time(m, until);
	if (status == CLIENT_OK && m->proto == PROTO_IMAP)
		status = mailread_command(m, "NOOP");
	return status;
}

/* --- fetching --- */

static void
hand_on(void *arg, struct str piece)
{
	struct mailread *m = arg;
	m->letter_size += piece.len;
	m->letter(m->letter_arg, piece);
}

static bool
is_letter(struct str item)
{
	return str_ieq(item, STR("BODY[]")) || str_ieq(item, STR("RFC822"));
}

static void
literal(void *arg, struct str item, uint64_t size, uint64_t off, struct str piece)
{
	struct mailread *m = arg;
	(void)size;
	if (!is_letter(item))
		return;
	m->found = 1;
	if (off == 0)
		m->letter_size = 0; /* it begins; the same may come once more */
	hand_on(m, piece);
}

/* A short letter may come as a quoted string. */
static void
quoted_letter(struct mailread *m, const struct imap_response *r)
{
	const struct imap_node *list = r->data;
	if (!str_ieq(r->name, STR("FETCH")) || !list || list->kind != IMAP_NODE_LIST)
		return;
	const struct imap_node *v = imap_node_value(list->child, "BODY[]");
	if (!v || v->kind != IMAP_NODE_QUOTED)
		return;
	m->found = 1;
	hand_on(m, v->text);
}

static int
fetch_imap(struct mailread *m, uint64_t id)
{
	m->reader.literal = literal;
	m->reader.arg = m;
	m->untagged = quoted_letter;
	m->found = 0;
	int status = mailread_command(m, "UID FETCH %" PRIu64 " (UID BODY.PEEK[])", id);
	m->reader.literal = NULL;
	m->untagged = NULL;
	if (status == CLIENT_OK && !m->good)
		status = mailread_refused(m, CLIENT_EXPECT, "FETCH");
	if (status == CLIENT_OK && !m->found)
		status = mailread_fail(m, CLIENT_EXPECT, "FETCH brought no letter: it is gone");
	return status;
}

int
mailread_fetch(struct mailread *m, uint64_t id, void (*fn)(void *arg, struct str piece), void *arg,
    uint64_t *ret_size)
{
	int status;
	m->step = "fetch";
	m->letter = fn;
	m->letter_arg = arg;
	m->letter_size = 0;
	if (m->proto == PROTO_IMAP) {
		status = fetch_imap(m, id);
	} else {
		status = mailread_pop(m, "RETR %" PRIu64, id);
		m->letter_size = 0;
		if (status == CLIENT_OK && !m->good)
			status = mailread_refused(m, CLIENT_EXPECT, "RETR");
		else if (status == CLIENT_OK)
			status = mailread_pop_lines(m, hand_on, m);
	}
	m->letter = NULL;
	if (status == CLIENT_OK)
		*ret_size = m->letter_size;
	m->letter_size = 0;
	return status;
}

/* --- deleting --- */

/* Without UIDPLUS (RFC 4315) EXPUNGE takes all that are marked: only when ours is the only one. */
static int
expunge(struct mailread *m, uint64_t id)
{
	if (mailread_has(m, "UIDPLUS") || mailread_has(m, "IMAP4rev2"))
		return mailread_command(m, "UID EXPUNGE %" PRIu64, id);
	m->found = 0;
	m->untagged = hits;
	int status = mailread_command(m, "UID SEARCH DELETED NOT UID %" PRIu64, id);
	m->untagged = NULL;
	if (status != CLIENT_OK || !m->good || m->found > 0) {
		event_note(m->ev,
		    "the letter is marked \\Deleted; others are, too, so nothing was expunged");
		return status;
	}
	return mailread_command(m, "EXPUNGE");
}

int
mailread_delete(struct mailread *m, uint64_t id)
{
	m->step = "delete";
	int status =
	    m->proto == PROTO_POP3
		? mailread_pop(m, "DELE %" PRIu64, id)
		: mailread_command(m, "UID STORE %" PRIu64 " +FLAGS.SILENT (\\Deleted)", id);
	if (status == CLIENT_OK && m->good && m->proto == PROTO_IMAP)
		status = expunge(m, id);
	if (status == CLIENT_OK && !m->good)
		status = mailread_refused(m, CLIENT_EXPECT, "the deletion");
	return status;
}

/* A server that closes without a word does not spoil what was done. */
int
mailread_bye(struct mailread *m)
{
	m->step = "logout";
	int status =
	    m->proto == PROTO_POP3 ? mailread_pop(m, "QUIT") : mailread_command(m, "LOGOUT");
	/* POP3 deletes only now (RFC 1939 6). */
	if (m->proto == PROTO_POP3 && status == CLIENT_OK && !m->good)
		return mailread_refused(m, CLIENT_EXPECT, "QUIT");
	return m->proto == PROTO_POP3 ? status : CLIENT_OK;
}
