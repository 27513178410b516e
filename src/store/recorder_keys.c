#include "store/recorder_keys.h"

#include "base/map.h"
#include "base/num.h"
#include "log/log.h"

static struct str
strip_brackets(struct str s)
{
	s = str_trim(s);
	if (s.len >= 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
		return str_n(s.p + 1, s.len - 2);
	return s;
}

size_t
trace_key_fold(char out[TRACE_KEY_MAX], struct str s)
{
	s = str_first(strip_brackets(s), TRACE_KEY_MAX);
	for (size_t i = 0; i < s.len; i++)
		out[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 'a' - 'A') : s.p[i];
	return s.len;
}

uint64_t
trace_key_digest(const unsigned char id[STORE_ID_LEN], struct str s)
{
	char folded[TRACE_KEY_MAX];
	size_t n = trace_key_fold(folded, s);
	return siphash(id, str_n(folded, n));
}

/* --- what a history has --- */

/* The address of a line, or the letter of a mailbox event. */
static struct str
line_key(const struct trace_payload *t, struct str line)
{
	struct str rest = line, first = str_word(&rest), second = str_word(&rest);
	uint64_t n;
	if (!second.len || !num_u64(first, UINT64_MAX, &n) || !num_u64(second, UINT32_MAX, &n))
		return str_trim(line);
	return t->kind == STORE_NOTE_MAILBOX ? str_word(&rest) : str_trim(rest);
}

void
trace_keys_each(const struct trace_payload *t, trace_key_fn *fn, void *arg)
{
	char letter[14], session[14];
	id_format(letter, t->letter);
	id_format(session, t->session);
	const struct str keys[] = { t->letter ? str_of(letter) : STR_NULL,
		t->session ? str_of(session) : STR_NULL, t->qid, t->message_id, t->from, t->peer };
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].len && !fn(arg, keys[i]))
			return;
	for (struct str lines = t->rcpts; lines.p && lines.len;) {
		struct str key = line_key(t, str_cut(&lines, '\n'));
		if (key.len && !fn(arg, key))
			return;
	}
}

void
trace_letters_each(const struct trace_payload *t, trace_letter_fn *fn, void *arg)
{
	uint64_t id;
	if (t->letter)
		fn(arg, t->letter);
	if (t->kind != STORE_NOTE_MAILBOX)
		return;
	for (struct str lines = t->rcpts; lines.p && lines.len;)
		if (id_parse(line_key(t, str_cut(&lines, '\n')), &id) && id != t->letter)
			fn(arg, id);
}

/* --- what is asked for --- */

struct wanted {
	char folded[TRACE_KEY_MAX];
	size_t n;
	bool found;
};

static bool
compare(void *arg, struct str key)
{
	struct wanted *w = arg;
	char folded[TRACE_KEY_MAX];
	size_t n = trace_key_fold(folded, key);
	w->found = n == w->n && memcmp(folded, w->folded, n) == 0;
	return !w->found;
}

static bool
same(struct str a, struct str b)
{
	struct wanted w;
	w.n = trace_key_fold(w.folded, a);
	(void)compare(&w, b);
	return w.found;
}

static bool
goes_to(const struct trace_payload *t, struct str to)
{
	struct str lines = t->rcpts;
	while (t->kind != STORE_NOTE_MAILBOX && lines.p && lines.len)
		if (same(to, line_key(t, str_cut(&lines, '\n'))))
			return true;
	return false;
}

struct about {
	uint64_t letter;
	bool found;
};

static void
is_it(void *arg, uint64_t letter)
{
	struct about *a = arg;
	a->found = a->found || a->letter == letter;
}

bool
trace_is_about(const struct trace_payload *t, uint64_t letter)
{
	struct about a = { letter, false };
	trace_letters_each(t, is_it, &a);
	return a.found;
}

bool
trace_matches(const struct trace_payload *t, const struct trace_query *q)
{
	struct wanted w = { .found = false };
	if (t->time_ms < q->since_ms || (q->until_ms && t->time_ms >= q->until_ms))
		return false;
	if ((q->from.len && (t->kind != STORE_NOTE_LETTER || !same(q->from, t->from))) ||
	    (q->to.len && !goes_to(t, q->to)) || (q->peer.len && !same(q->peer, t->peer)) ||
	    (q->message_id.len && !same(q->message_id, t->message_id)))
		return false;
	if (!q->key.len)
		return true;
	w.n = trace_key_fold(w.folded, q->key);
	trace_keys_each(t, compare, &w);
	return w.found;
}

struct str
trace_query_key(const struct trace_query *q)
{
	return q->key.len          ? q->key
	       : q->message_id.len ? q->message_id
	       : q->to.len         ? q->to
	       : q->from.len       ? q->from
	                           : q->peer;
}
