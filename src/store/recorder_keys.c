#include "store/recorder_keys.h"

#include "base/map.h"
#include "base/num.h"
#include "log/log.h"

/* As far as it counts, without brackets. */
static struct str
key_bare(struct str s)
{
	s = str_trim(s);
	if (s.len >= 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
		s = str_n(s.p + 1, s.len - 2);
	return str_first(s, TRACE_KEY_MAX);
}

bool
trace_key_letter(struct str key, uint64_t *ret)
{
	struct str head = str_first(key, str_find(key, '.')), part = str_skip(key, head.len + 1);
	uint64_t n;
	if (key.len == 17 && key.p[0] == 'M')
		return num_hex(str_skip(key, 1), ret);
	return id_parse(head, ret) && (head.len == key.len || num_u64(part, UINT32_MAX, &n));
}

uint64_t
trace_key_digest(const unsigned char id[STORE_ID_LEN], struct str s)
{
	char small[TRACE_KEY_MAX];
	s = key_bare(s);
	for (size_t i = 0; i < s.len; i++)
		small[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 'a' - 'A') : s.p[i];
	return siphash(id, str_n(small, s.len));
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
	const struct trace_wanted keys[] = {
		{ t->letter ? str_of(letter) : STR_NULL, 0 },
		{ t->session ? str_of(session) : STR_NULL, 0 },
		{ t->qid, 0 },
		{ t->message_id, TRACE_KEY_MESSAGE_ID },
		{ t->from, t->kind == STORE_NOTE_LETTER ? TRACE_KEY_FROM : 0 },
		{ t->peer, TRACE_KEY_PEER },
	};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].key.len && !fn(arg, keys[i].key, keys[i].kind))
			return;
	for (struct str lines = t->rcpts; lines.p && lines.len;) {
		struct str key = line_key(t, str_cut(&lines, '\n'));
		if (key.len && !fn(arg, key, t->kind == STORE_NOTE_MAILBOX ? 0 : TRACE_KEY_TO))
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

struct comparing {
	struct str key;
	unsigned kind;
	bool found;
};

static bool
compare(void *arg, struct str key, unsigned kind)
{
	struct comparing *c = arg;
	if (c->kind == TRACE_KEY_ANY || (c->kind & kind))
		c->found = str_ieq(key_bare(key), c->key);
	return !c->found;
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

/* "<>": no table has it, for a record without a sender has no key of one. */
static bool
is_nobody(struct str key)
{
	return key.len && key_bare(key).len == 0;
}

/* Not what came without an envelope, by APPEND or an import. */
static bool
is_from_nobody(const struct trace_payload *t)
{
	return t->kind == STORE_NOTE_LETTER && t->qid.len && t->from.len == 0;
}

size_t
trace_query_wanted(const struct trace_query *q, struct trace_wanted ret[TRACE_WANTED_MAX])
{
	const struct trace_wanted all[TRACE_WANTED_MAX] = {
		{ q->key, TRACE_KEY_ANY },
		{ q->from, TRACE_KEY_FROM },
		{ q->to, TRACE_KEY_TO },
		{ q->peer, TRACE_KEY_PEER },
		{ q->message_id, TRACE_KEY_MESSAGE_ID },
	};
	size_t n = 0;
	for (size_t i = 0; i < TRACE_WANTED_MAX; i++)
		if (key_bare(all[i].key).len)
			ret[n++] = all[i];
	return n;
}

bool
trace_matches(const struct trace_payload *t, const struct trace_query *q)
{
	struct trace_wanted w[TRACE_WANTED_MAX];
	size_t n = trace_query_wanted(q, w);
	if (t->time_ms < q->since_ms || (q->until_ms && t->time_ms >= q->until_ms))
		return false;
	if ((is_nobody(q->key) || is_nobody(q->from)) && !is_from_nobody(t))
		return false;
	for (size_t i = 0; i < n; i++) {
		struct comparing c = { .key = key_bare(w[i].key), .kind = w[i].kind };
		trace_keys_each(t, compare, &c);
		if (!c.found)
			return false;
	}
	return true;
}
