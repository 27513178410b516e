/* THREAD and UID THREAD (RFC 5256). */
#include "imap/search_priv.h"
#include "imap/thread_priv.h"

#include "base/check.h"
#include "mail/words.h"

#define SUBJECT_MAX (64u << 10)

struct threading {
	struct search q; /* first */
	bool (*algorithm)(struct thread *t);
	struct thread thread;
	struct buf subject, base, folded;
};

static struct threading *
threading_of(struct imap_session *s)
{
	return s->cmd->data;
}

static void
drop(struct imap_session *s)
{
	struct threading *t = threading_of(s);
	search_free(&t->q);
	thread_done(&t->thread);
	buf_done(&t->subject);
	buf_done(&t->base);
	buf_done(&t->folded);
}

/* FNV-1a. */
static uint64_t
hash(struct str s)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	return h > 1 ? h : 2;
}

static uint64_t
subject_of(struct imap_session *s, struct threading *t, const struct outline *o, bool *ret_reply)
{
	buf_reset(&t->subject);
	buf_reset(&t->base);
	buf_reset(&t->folded);
	outline_text(o, OUTLINE_SUBJECT, s->conf->charsets, &t->subject);
	words_base_subject(buf_str(&t->subject), &t->base, ret_reply);
	charset_fold(buf_str(&t->base), &t->folded);
	return t->folded.len ? hash(buf_str(&t->folded)) : 0;
}

static enum walk_say
letter(struct imap_session *s, const struct walk_letter *l)
{
	struct threading *t = threading_of(s);
	const struct outline *o = l->outline;
	uint64_t refs[OUTLINE_REFS_MAX + 1];
	struct thread_letter one = {
		.number = t->q.uid ? l->row->uid : l->seq,
		.date = o && o->has_sent ? o->sent : (int64_t)(l->row->time_ms / 1000),
	};
	if (o) {
		one.msgid = o->msgid;
		one.subject = subject_of(s, t, o, &one.reply);
		uint32_t n = outline_refs(o);
		for (uint32_t i = 0; i < n && one.n_refs < ARRAY_LEN(refs); i++)
			refs[one.n_refs++] = outline_ref(o, i);
	}
	thread_add(&t->thread, &one, refs);
	return t->thread.failed ? WALK_STOP : WALK_ON;
}

static enum imap_run
threaded(struct imap_session *s, enum access_status status)
{
	struct threading *t = threading_of(s);
	if (status != ACCESS_OK)
		return imap_refuse(s, status, false);
	if (t->thread.failed || !t->algorithm(&t->thread))
		return imap_no(s, "LIMIT", "too many letters to thread");
	buf_putz(&t->q.answer, "* THREAD");
	if (t->thread.n)
		buf_putc(&t->q.answer, ' ');
	thread_put(&t->thread, &t->q.answer);
	buf_putz(&t->q.answer, "\r\n");
	return search_say(s);
}

static enum imap_run
keys(struct imap_session *s)
{
	struct threading *t = threading_of(s);
	if (t->q.result.failed)
		return imap_no(s, "LIMIT", "too many letters to thread");
	struct imap_walk *w = search_walk_again(s, letter, threaded);
	w->what |= ACCESS_OUTLINE;
	w->outlines = true;
	struct uidset all = t->q.result;
	t->q.result = (struct uidset){ 0 };
	return imap_walk_begin(s, &all);
}

static bool
parse(struct imap_session *s, struct threading *t)
{
	struct imap_lex *x = &s->cmd->lex;
	struct str name = imap_lex_sp(x) ? imap_lex_atom(x) : STR_NULL;
	if (x->bad)
		return false;
	if (str_ieq(name, STR("REFERENCES")))
		t->algorithm = thread_references;
	else if (str_ieq(name, STR("ORDEREDSUBJECT")))
		t->algorithm = thread_subjects;
	else
		return search_fail(s, "a threading algorithm that is not known");
	(void)imap_lex_sp(x);
	struct str charset = imap_lex_astring(x, &s->cmd->arena);
	return imap_lex_sp(x) && search_charset(s, &t->q, charset) && search_parse(s, &t->q);
}

static enum imap_run
begin(struct imap_session *s, bool uid)
{
	struct threading *t = arena_alloc(&s->cmd->arena, sizeof(*t));
	if (!t)
		return imap_no(s, "LIMIT", "out of memory");
	s->cmd->data = t;
	s->cmd->drop = drop;
	t->q.uid = uid;
	buf_init(&t->subject, SUBJECT_MAX);
	buf_init(&t->base, SUBJECT_MAX);
	buf_init(&t->folded, SUBJECT_MAX);
	if (!parse(s, t))
		return search_wrong(s, &t->q);
	return search_run(s, keys);
}

enum imap_run
imap_cmd_thread(struct imap_session *s)
{
	return begin(s, false);
}

enum imap_run
imap_cmd_uid_thread(struct imap_session *s)
{
	return begin(s, true);
}
