/* Letters that a server cannot take as they are: another form of them, made in memory. */
#include "roles/relay/relay_priv.h"

#include <stdio.h>
#include <string.h>

/* What stands between this letter and this server. */
static unsigned
need_of(const struct conn *c)
{
	const struct job *j = c->job;
	const struct caps *caps = smtp_client_caps(c->client);
	bool esmtp = smtp_client_esmtp(c->client);
	const struct fit_server server = {
		.eight = esmtp && caps_have(caps, CAPS_8BITMIME),
		.binary =
		    esmtp && caps_have(caps, CAPS_BINARYMIME) && caps_have(caps, CAPS_CHUNKING),
		.utf8 = j->entry.flags & ONWARD_UTF8,
		.long_lines = c->relay->conf->relay_long_lines,
	};
	return fit_need(&j->scan, &server);
}

/* --- room: what all letters that are converted take together has a limit --- */

/* The letter, and three times of it as quoted-printable at the worst. */
static size_t
room_for(const struct job *j)
{
	return 4 * (size_t)j->msg.size;
}

/* A letter that is larger than all the room may have it alone. */
static bool
fits(const struct job *j)
{
	size_t others = j->relay->room;
	return others == 0 || others + room_for(j) <= ROOM_MAX;
}

/* A small letter does not wait behind a large one that finds no room. */
static bool
take_room(struct job *j)
{
	struct relay *r = j->relay;
	if (j->spool.room)
		return true;
	if (fits(j)) {
		list_del(&j->cramped);
		j->spool.room = room_for(j);
		r->room += j->spool.room;
		return true;
	}
	if (list_empty(&j->cramped)) {
		list_add_tail(&r->cramped, &j->cramped);
		relay_job_notef(j, "it waits: too many large letters are being converted");
	}
	return false;
}

static void
keep_room(struct job *j, size_t n)
{
	struct relay *r = j->relay;
	r->room -= j->spool.room - n;
	j->spool.room = n;
	loop_defer_add(r->role.loop, &r->has_room);
}

void
convert_forget(struct job *j)
{
	struct spool *s = &j->spool;
	bool waits = !list_empty(&j->cramped);
	buf_done(&s->raw);
	buf_done(&s->whole);
	s->converted = false;
	s->need = 0;
	list_del(&j->cramped);
	if (waits || s->room)
		keep_room(j, 0);
}

void
convert_late(struct conn *c)
{
	struct job *j = c->job;
	const char *why = "too many large letters are being converted: there was no room in memory "
			  "for this one in time";
	relay_job_notef(j, "%s", why);
	relay_job_fate_rest(j, JOB_LATER, 0, "4.3.1", str_of(why));
	relay_conn_end_job(c);
	relay_conn_close(c);
}

void
convert_has_room(void *arg)
{
	struct relay *r = arg;
	struct list line = LIST_INIT(line);
	while (!list_empty(&r->cramped)) {
		struct list *n = r->cramped.next;
		list_del(n);
		list_add_tail(&line, n);
	}
	/* Any of them may leave the line while one is driven. */
	while (!list_empty(&line)) {
		struct job *j = list_entry(line.next, struct job, cramped);
		list_del(&j->cramped);
		list_add_tail(&r->cramped, &j->cramped);
		if (fits(j))
			relay_conn_more(j->conn);
	}
}

/* --- the letter --- */

static bool
refuse(struct conn *c, const char *status, const char *why)
{
	struct job *j = c->job;
	relay_job_notef(j, "%s", why);
	relay_job_fate_rest(j, JOB_REFUSED, 0, status, str_of(why));
	j->trouble = JOB_TROUBLE_LETTER;
	return false;
}

/* All octets of the letter in one piece; false: not yet, or never (spool.failed). */
static bool
collect(struct job *j)
{
	struct spool *s = &j->spool;
	struct str piece;
	while (s->raw.len < j->msg.size) {
		if (!spool_at(j, s->raw.len, &piece))
			return false;
		buf_puts(&s->raw, piece);
		if (s->raw.failed)
			return false;
	}
	return true;
}

static bool
make(struct conn *c, unsigned need)
{
	struct job *j = c->job;
	struct spool *s = &j->spool;
	char why[256];
	enum downgrade v = fit_make(buf_str(&s->raw), need, &s->whole);
	if (v == DOWNGRADE_OK) {
		s->need = need;
		s->converted = true;
		relay_job_notef(j, "converted for this server: %s%s%s",
		    need & FIT_EIGHT ? "no 8-bit octets" : "",
		    (need & FIT_EIGHT) && (need & ~FIT_EIGHT) ? ", " : "",
		    need & FIT_LINES  ? "lines encoded"
		    : need & FIT_WRAP ? "lines wrapped"
				      : "");
		buf_done(&s->raw);
		keep_room(j, MIN(s->whole.len, s->room));
		return true;
	}
	/* A long line that cannot be encoded is sent as it is: most servers take it. */
	if (!(need & FIT_EIGHT)) {
		relay_job_notef(j, "its long lines stay: %s", downgrade_text[v]);
		convert_forget(j);
		s->need = need;
		return true;
	}
	snprintf(why, sizeof(why),
	    "the server does not offer 8BITMIME, and the letter cannot be converted: %s",
	    downgrade_text[v]);
	return refuse(c, "5.6.3", why);
}

enum convert
convert_letter(struct conn *c)
{
	struct job *j = c->job;
	struct spool *s = &j->spool;
	unsigned need = need_of(c);
	if (need && need == s->need)
		return CONVERT_DONE;
	if (s->need || need == 0)
		convert_forget(j);
	if (need == 0)
		return CONVERT_DONE;
	if (need & FIT_REFUSE) {
		refuse(c, "5.6.0",
		    "the letter has lines of more than 998 octets, which are not sent on "
		    "(relay.long_lines)");
		return CONVERT_FAILED;
	}
	if (j->msg.size > WHOLE_MAX) {
		refuse(c, "5.6.3",
		    "the server does not take the letter as it is, and it is too large to "
		    "be converted");
		return CONVERT_FAILED;
	}
	if (!take_room(j))
		return CONVERT_WAITS;
	if (!collect(j))
		return s->failed ? CONVERT_FAILED : CONVERT_WAITS;
	return make(c, need) ? CONVERT_DONE : CONVERT_FAILED;
}
