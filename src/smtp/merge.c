#include "smtp/merge.h"

#include "base/num.h"

#include <stdlib.h>

#define DEF_HEAD 4 /* id and length of a value, two octets each */

/* Which of the ways to write tags lets a peer set a reserved variable. */
enum { SET_NEVER, SET_ALWAYS, SET_BRACKETS };

static const struct reserved {
	const char *name;
	enum merge_var var;
	int settable;
} reserved[] = {
	{ "*from", MERGE_FROM, SET_NEVER },
	{ "*to", MERGE_TO, SET_NEVER },
	{ "*date", MERGE_DATE, SET_NEVER },
	{ "*parts", MERGE_PARTS, SET_ALWAYS },
	{ "*part", MERGE_PARTS, SET_ALWAYS },
	{ "*dk", MERGE_DK, SET_ALWAYS },
	{ "*envid", MERGE_ENVID, SET_BRACKETS },
	{ "*jobid", MERGE_JOBID, SET_BRACKETS },
	{ "*vmta", MERGE_VMTA, SET_BRACKETS },
	{ "*priority", MERGE_PRIORITY, SET_BRACKETS },
};

struct smtp_merge *
smtp_merge_new(const struct smtp_conf *conf)
{
	struct smtp_merge *m = xalloc(sizeof(*m));
	m->conf = conf;
	m->n_parts = (uint32_t)MIN(conf->ipmm_parts, (uint64_t)MERGE_PARTS_MAX);
	arena_init(&m->arena, SMTP_MERGE_MAX);
	buf_init(&m->pending, MERGE_VARS_MAX);
	buf_init(&m->value, MERGE_VARS_MAX);
	buf_init(&m->held, MERGE_HELD_MAX);
	buf_init(&m->date, 64);
	buf_init(&m->all, MERGE_PARTS_MAX * 5);
	return m;
}

struct smtp_merge *
smtp_merge_free(struct smtp_merge *m)
{
	if (!m)
		return NULL;
	for (uint32_t i = 0; m->part && i < m->n_parts; i++) {
		buf_done(&m->part[i].head);
		buf_done(&m->part[i].tags);
	}
	free(m->part);
	free(m->slot);
	map_done(&m->names);
	arena_done(&m->arena);
	buf_done(&m->pending);
	buf_done(&m->value);
	buf_done(&m->held);
	buf_done(&m->date);
	buf_done(&m->all);
	free(m);
	return NULL;
}

bool
smtp_merge_charge(struct smtp_merge *m, size_t n)
{
	size_t used = m->arena.used + m->extra;
	if (used > SMTP_MERGE_MAX || n > SMTP_MERGE_MAX - used)
		return false;
	m->extra += n;
	return true;
}

size_t
smtp_merge_memory(const struct smtp_merge *m)
{
	return m->arena.used + m->extra + m->pending.len;
}

/* --- names --- */

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool
smtp_merge_name_octet(const char *name, size_t len, char c)
{
	if (len == 0)
		return is_alpha(c) || c == '*';
	if (len == 1 && name[0] == '*')
		return is_alpha(c);
	return is_alpha(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static const struct reserved *
reserved_find(const struct smtp_merge *m, struct str folded)
{
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (str_eq(folded, str_of(reserved[i].name)) &&
		    (reserved[i].settable != SET_BRACKETS || m->conf->ipmm_brackets))
			return &reserved[i];
	return NULL;
}

int
smtp_merge_name_find(const struct smtp_merge *m, struct str folded)
{
	if (folded.len && folded.p[0] == '*') {
		const struct reserved *r = reserved_find(m, folded);
		return r ? (int)r->var : -1;
	}
	return (int)(intptr_t)map_get(&m->names, folded) - 1;
}

/* The id of a name that is being defined. */
static enum smtp_situation
name_id(struct smtp_merge *m, struct str folded, uint16_t *ret)
{
	int id = smtp_merge_name_find(m, folded);
	if (folded.p[0] == '*') {
		const struct reserved *r = reserved_find(m, folded);
		if (!r || r->settable == SET_NEVER)
			return SMTP_IPMM_RESERVED;
	} else if (id < 0) {
		if (m->n_names >= MERGE_NAMES_MAX || !smtp_merge_charge(m, 2 * MERGE_NAME_MAX))
			return SMTP_MAIL_LOWRES;
		id = m->n_names++;
		map_put(&m->names, folded, (void *)(intptr_t)(id + 1));
	}
	*ret = (uint16_t)id;
	return SMTP_NONE;
}

/* --- XDFN --- */

bool
smtp_merge_range(struct str *list, uint32_t max, struct merge_range *ret)
{
	uint64_t from, to;
	struct str word = str_cut(list, ',');
	struct str low = str_cut(&word, '-');
	if (!num_u64(low, max, &from) || from == 0)
		return false;
	to = from;
	if (word.p && (!num_u64(word, max, &to) || to < from))
		return false;
	*ret = (struct merge_range){ (uint32_t)from, (uint32_t)to };
	return true;
}

static bool
parts_ok(const struct smtp_merge *m, struct str list)
{
	uint64_t n = 0;
	do {
		struct merge_range r;
		if (!smtp_merge_range(&list, m->n_parts, &r))
			return false;
		n += r.to - r.from + 1;
	} while (list.p && n <= MERGE_LIST_MAX);
	return n <= MERGE_LIST_MAX;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
at_end(struct str in)
{
	return in.len == 0 || is_blank(in.p[0]);
}

static char
take(struct str *in)
{
	char c = in->p[0];
	*in = str_skip(*in, 1);
	return c;
}

/* "/" x: x itself, whatever it is. */
static bool
take_escaped(struct smtp_merge *m, struct str *in)
{
	if (in->len == 0)
		return false;
	buf_putc(&m->value, take(in));
	return true;
}

static bool
value_quoted(struct smtp_merge *m, struct str *in, char close)
{
	for (;;) {
		if (in->len == 0)
			return false;
		char c = take(in);
		if (c == '"')
			break;
		if (c != '/')
			buf_putc(&m->value, c);
		else if (!take_escaped(m, in))
			return false;
	}
	if (close && (in->len == 0 || take(in) != close))
		return false;
	return at_end(*in);
}

static bool
value_plain(struct smtp_merge *m, struct str *in, char close)
{
	while (!at_end(*in)) {
		char c = take(in);
		if (c == '"')
			return false;
		if (close && c == close && at_end(*in))
			return true;
		if (c != '/')
			buf_putc(&m->value, c);
		else if (!take_escaped(m, in))
			return false;
	}
	return !close;
}

/* The name at the start of *in, folded. */
static bool
take_name(struct str *in, char name[MERGE_NAME_MAX + 2], size_t *ret_len)
{
	size_t n = 0;
	while (in->len && smtp_merge_name_octet(name, n, in->p[0])) {
		char c = take(in);
		if (n > MERGE_NAME_MAX)
			return false;
		name[n++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	*ret_len = n;
	return n > 1 || (n == 1 && name[0] != '*');
}

static void
put_def(struct smtp_merge *m, uint16_t id, struct str value)
{
	uint16_t len = (uint16_t)value.len;
	buf_put(&m->pending, &id, sizeof(id));
	buf_put(&m->pending, &len, sizeof(len));
	buf_puts(&m->pending, value);
}

bool
smtp_merge_def_next(struct str *vars, struct merge_def *ret)
{
	uint16_t len;
	if (vars->len < DEF_HEAD)
		return false;
	memcpy(&ret->var, vars->p, sizeof(ret->var));
	memcpy(&len, vars->p + sizeof(ret->var), sizeof(len));
	check(len <= vars->len - DEF_HEAD);
	ret->value = str_n(vars->p + DEF_HEAD, len);
	*vars = str_skip(*vars, DEF_HEAD + (size_t)len);
	return true;
}

/* One pair off *in, into pending. */
static enum smtp_situation
define_pair(struct smtp_merge *m, struct str *in)
{
	char name[MERGE_NAME_MAX + 2], close = 0;
	size_t len;
	uint16_t id;
	if (in->p[0] == '<' || in->p[0] == '[')
		close = take(in) == '<' ? '>' : ']';
	if (!take_name(in, name, &len))
		return SMTP_IPMM_XDFN_SYNTAX;
	if (at_end(*in) || (close && in->p[0] == close))
		return SMTP_IPMM_NOVALUE;
	if (take(in) != '=')
		return SMTP_IPMM_XDFN_SYNTAX;
	if (at_end(*in) || (close && in->p[0] == close && at_end(str_skip(*in, 1))))
		return SMTP_IPMM_NOVALUE;
	enum smtp_situation no = name_id(m, str_n(name, len), &id);
	if (no != SMTP_NONE)
		return no;
	buf_reset(&m->value);
	bool quoted = in->p[0] == '"';
	if (quoted)
		take(in);
	if (!(quoted ? value_quoted : value_plain)(m, in, close))
		return SMTP_IPMM_XDFN_SYNTAX;
	struct str value = buf_str(&m->value);
	if (m->value.failed || value.len > UINT16_MAX)
		return SMTP_MAIL_LOWRES;
	if (id == MERGE_PARTS && !parts_ok(m, value))
		return SMTP_IPMM_PARTS_SYNTAX;
	put_def(m, id, value);
	return SMTP_NONE;
}

enum smtp_situation
smtp_merge_define(struct smtp_merge *m, struct str arg)
{
	size_t before = m->pending.len;
	enum smtp_situation no = SMTP_NONE;
	if (str_find(arg, '\0') < arg.len)
		return SMTP_IPMM_NUL;
	/* A value must never make a line of its own. */
	arg = str_ltrim(arg);
	if (arg.len == 0 || str_find_any(arg, "\r\n") < arg.len)
		return SMTP_IPMM_XDFN_SYNTAX;
	while (no == SMTP_NONE && arg.len) {
		no = define_pair(m, &arg);
		arg = str_ltrim(arg);
	}
	if (no == SMTP_NONE && m->pending.failed)
		no = SMTP_MAIL_LOWRES;
	if (no != SMTP_NONE)
		buf_trunc(&m->pending, before);
	m->pending.failed = false;
	return no;
}

void
smtp_merge_forget(struct smtp_merge *m)
{
	buf_reset(&m->pending);
}

/* --- recipients --- */

/* The last *PARTS in vars, or STR_NULL. */
static struct str
list_of(struct str vars)
{
	struct str list = STR_NULL;
	struct merge_def d;
	while (smtp_merge_def_next(&vars, &d))
		if (d.var == MERGE_PARTS)
			list = d.value;
	return list;
}

static void
need_parts(struct smtp_merge *m, struct str list)
{
	struct merge_range r;
	while (list.p && smtp_merge_range(&list, m->n_parts, &r))
		for (uint32_t i = r.from - 1; i < r.to; i++)
			m->needed[i / 64] |= UINT64_C(1) << (i % 64);
}

static char *
put_octets(char *to, struct str s)
{
	if (s.len)
		memcpy(to, s.p, s.len);
	return to + s.len;
}

static bool
fits16(size_t n)
{
	return n <= UINT16_MAX;
}

bool
smtp_merge_rcpt_add(struct smtp_merge *m, const struct smtp_rcpt *r)
{
	struct str host = str_n(r->host_data, r->host_size), vars = buf_str(&m->pending);
	struct str to = r->addr.whole, notify = r->notify_text, orcpt = r->orcpt;
	struct merge_rcpt *keep = NULL;
	if (fits16(host.len) && fits16(to.len) && fits16(notify.len) && fits16(orcpt.len)) {
		size_t n = sizeof(*keep) + host.len + to.len + notify.len + orcpt.len + vars.len;
		n = (n + 15) & ~(size_t)15;
		if (n <= SMTP_MERGE_MAX - MIN(m->arena.used + m->extra, SMTP_MERGE_MAX))
			keep = arena_alloc(&m->arena, n);
	}
	if (keep) {
		keep->vars_len = (uint32_t)vars.len;
		keep->host_len = (uint16_t)host.len;
		keep->to_len = (uint16_t)to.len;
		keep->notify_len = (uint16_t)notify.len;
		keep->orcpt_len = (uint16_t)orcpt.len;
		char *at = put_octets(keep->data, host);
		at = put_octets(at, to);
		at = put_octets(at, notify);
		at = put_octets(at, orcpt);
		put_octets(at, vars);
		need_parts(m, list_of(vars));
		*(m->last ? &m->last->next : &m->first) = keep;
		m->last = keep;
		m->n_rcpt++;
	}
	smtp_merge_forget(m);
	return keep != NULL;
}

void
smtp_merge_clear(struct smtp_merge *m)
{
	smtp_merge_forget(m);
	m->first = m->last = NULL;
	m->n_rcpt = 0;
	memset(m->needed, 0, sizeof(m->needed));
	arena_reset(&m->arena);
}

struct merge_rcpt_view
smtp_merge_rcpt_view(const struct merge_rcpt *r)
{
	struct merge_rcpt_view v;
	const char *at = r->data;
	v.host = str_n(at, r->host_len);
	v.to = str_n(at += r->host_len, r->to_len);
	v.notify = str_n(at += r->to_len, r->notify_len);
	v.orcpt = str_n(at += r->notify_len, r->orcpt_len);
	v.vars = str_n(at += r->orcpt_len, r->vars_len);
	return v;
}
