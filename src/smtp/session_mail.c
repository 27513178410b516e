#include "smtp/param.h"
#include "smtp/session_priv.h"

#define ARG_SHOWN_MAX 64 /* octets of an argument that a reply repeats */

/* "FROM:" or "TO:" with blanks around the colon; false when it is not there. */
static bool
path_begins(struct str *arg, struct str word)
{
	if (!str_istarts(*arg, word))
		return false;
	struct str rest = str_ltrim(str_skip(*arg, word.len));
	if (rest.len == 0 || rest.p[0] != ':')
		return false;
	*arg = str_ltrim(str_skip(rest, 1));
	return true;
}

static const char *
verdict_word(enum addr_verdict v)
{
	static const char *const words[ADDR_COUNT] = {
		[ADDR_OK] = "good",
		[ADDR_SYNTAX] = "no path",
		[ADDR_BAD] = "malformed",
		[ADDR_LONG] = "too long",
		[ADDR_ROUTE] = "a source route or a relay trick",
		[ADDR_BAIT] = "bait for a shell",
		[ADDR_UTF8] = "UTF-8 without SMTPUTF8",
	};
	return words[v];
}

/* The situations in which the two verbs refuse a path. */
struct path_words {
	enum smtp_situation syntax, bad, need_utf8;
	enum smtp_var as_given;
};

static void
refuse_path(struct smtp_turn *t, const struct path_words *w, enum addr_verdict v, struct str arg,
    struct str path)
{
	struct str shown = str_first(path, str_find_any(path, " \t"));
	struct smtp_vars extra = { .v = { [SMTP_VAR_arg] = str_first(arg, ARG_SHOWN_MAX) } };
	extra.v[w->as_given] = shown;
	if (w->as_given == SMTP_VAR_to_as_given)
		extra.v[SMTP_VAR_to] = shown;
	smtp_notef(t, "address: %s", verdict_word(v));
	if (v == ADDR_SYNTAX)
		smtp_reply(t, w->syntax, &extra);
	else
		smtp_reply(t, v == ADDR_UTF8 ? w->need_utf8 : w->bad, &extra);
}

static void
rebase(struct str *view, struct str from, struct str to)
{
	if (view->p)
		view->p = to.p + (view->p - from.p);
}

/* An address whose views point into text moves with the text into the arena. */
static bool
keep_addr(struct arena *a, struct str text, struct addr *addr, struct str *ret_text)
{
	struct str copy = arena_str(a, text);
	if (!copy.p)
		return false;
	rebase(&addr->whole, text, copy);
	rebase(&addr->local, text, copy);
	rebase(&addr->domain, text, copy);
	*ret_text = copy;
	return true;
}

/* Empty stays empty; everything else gets a copy that lives as long as the transaction. */
static struct str
keep(struct arena *a, struct str s)
{
	return s.len ? arena_str(a, s) : STR_NULL;
}

static enum smtp_situation
param_situation(enum param_verdict v, enum smtp_situation unknown, enum smtp_situation value)
{
	return v == PARAM_OK ? SMTP_NONE : v == PARAM_UNKNOWN ? unknown : value;
}

static bool
begin(struct smtp_turn *t, struct str given, struct addr *from, const struct smtp_params *p,
    enum smtp_situation param_error)
{
	smtp_txn_begin(t);
	struct smtp_txn *txn = t->s->txn;
	struct smtp_private *priv = smtp_priv(t->s);
	bool ok = keep_addr(&txn->arena, given, from, &txn->from_as_given);
	txn->from = *from;
	txn->declared_size = p->size;
	txn->body = p->body;
	txn->smtputf8 = p->utf8;
	txn->ret = keep(&txn->arena, p->ret);
	txn->envid = keep(&txn->arena, p->envid);
	priv->param_error = param_error;
	priv->param_bad = keep(&txn->arena, p->bad);
	return ok && !txn->arena.failed;
}

void
smtp_mail(struct smtp_turn *t, struct str arg)
{
	static const struct path_words words = { SMTP_MAIL_SYNTAX, SMTP_MAIL_BADADDR,
		SMTP_MAIL_NEEDUTF8, SMTP_VAR_from_as_given };
	const struct smtp_conf *conf = t->s->conf;
	unsigned loose = conf->angle_brackets_required ? 0 : ADDR_LOOSE;
	struct str path = arg;
	struct addr from;
	if (!path_begins(&path, STR("FROM"))) {
		refuse_path(t, &words, ADDR_SYNTAX, arg, STR_NULL);
		return;
	}
	struct str rest = path;
	enum addr_verdict v = addr_path(&rest, loose | ADDR_SMTPUTF8 | ADDR_NULL, &from);
	if (v != ADDR_OK) {
		refuse_path(t, &words, v, arg, path);
		return;
	}
	struct smtp_params p = { .body = BODY_7BIT };
	enum param_verdict pv = smtp_params_parse(rest, PARAM_MAIL, &p);
	if (from.utf8 && !p.utf8) {
		refuse_path(t, &words, ADDR_UTF8, arg, path);
	} else if (t->s->messages >= conf->msgs_per_session) {
		smtp_reply(t, SMTP_MAIL_TOOMANY, NULL);
	} else if (!begin(t, str_first(path, path.len - rest.len), &from, &p,
		       param_situation(pv, SMTP_MAIL_BADPARAM, SMTP_MAIL_BADVALUE))) {
		smtp_txn_end(t);
		smtp_reply(t, SMTP_MAIL_LOWRES, NULL);
	} else {
		smtp_ask(t, SMTP_ASK_MAIL);
	}
}

/* docs/rules.md 2: what the host refuses comes before the size, the size before the options. */
void
smtp_answer_mail(struct smtp_turn *t, const struct smtp_answer *a)
{
	struct smtp_session *s = t->s;
	struct smtp_private *p = smtp_priv(s);
	if (a->situation != SMTP_NONE) {
		smtp_reply_answer(t, a->situation, a);
		smtp_txn_end(t);
	} else if (s->txn->declared_size > s->conf->max_size) {
		smtp_reply(t, SMTP_MAIL_SIZE, NULL);
		smtp_txn_end(t);
	} else if (p->param_error != SMTP_NONE) {
		smtp_reply_arg(t, p->param_error, p->param_bad);
		smtp_txn_end(t);
	} else {
		s->messages++;
		smtp_reply_answer(t, SMTP_MAIL_OK, a);
	}
}

static struct smtp_vars
rcpt_vars(const struct smtp_rcpt *r, struct smtp_vars vars)
{
	vars.v[SMTP_VAR_to] = r->addr.whole;
	vars.v[SMTP_VAR_to_as_given] = r->as_given;
	return vars;
}

static struct smtp_rcpt *
rcpt_new(struct smtp_txn *txn, struct str given, struct addr *to, const struct smtp_params *p)
{
	struct arena *a = &txn->arena;
	struct smtp_rcpt *r = arena_alloc(a, sizeof(*r));
	if (!r || !keep_addr(a, given, to, &r->as_given))
		return NULL;
	list_init(&r->node);
	r->outcome = SMTP_NONE;
	r->addr = *to;
	r->notify = p->notify;
	r->notify_text = keep(a, p->notify_text);
	r->orcpt = keep(a, p->orcpt);
	return a->failed ? NULL : r;
}

void
smtp_rcpt(struct smtp_turn *t, struct str arg)
{
	static const struct path_words words = { SMTP_RCPT_SYNTAX, SMTP_RCPT_BADADDR,
		SMTP_RCPT_NEEDUTF8, SMTP_VAR_to_as_given };
	const struct smtp_conf *conf = t->s->conf;
	struct smtp_txn *txn = t->s->txn;
	unsigned flags = (conf->angle_brackets_required ? 0 : ADDR_LOOSE) | ADDR_BARE_POSTMASTER |
	                 (txn->smtputf8 ? ADDR_SMTPUTF8 : 0);
	struct str path = arg;
	struct addr to;
	txn->n_rcpt_tried++;
	if (!path_begins(&path, STR("TO"))) {
		refuse_path(t, &words, ADDR_SYNTAX, arg, STR_NULL);
		return;
	}
	struct str rest = path;
	enum addr_verdict v = addr_path(&rest, flags, &to);
	if (v != ADDR_OK) {
		refuse_path(t, &words, v, arg, path);
		return;
	}
	if (txn->n_rcpt >= conf->rcpts_per_msg) {
		smtp_reply(t, SMTP_RCPT_TOOMANY, NULL);
		return;
	}
	struct smtp_params p = { .utf8 = txn->smtputf8 };
	enum smtp_situation bad = param_situation(smtp_params_parse(rest, PARAM_RCPT, &p),
	    SMTP_RCPT_BADPARAM, SMTP_RCPT_BADVALUE);
	if (bad != SMTP_NONE) {
		smtp_reply_arg(t, bad, p.bad);
		return;
	}
	struct smtp_private *priv = smtp_priv(t->s);
	priv->before_rcpt = arena_mark(&txn->arena);
	t->s->rcpt_asked = rcpt_new(txn, str_first(path, path.len - rest.len), &to, &p);
	if (t->s->rcpt_asked) {
		smtp_ask(t, SMTP_ASK_RCPT);
	} else {
		arena_rewind(&txn->arena, &priv->before_rcpt);
		smtp_reply(t, SMTP_RCPT_TOOMANY, NULL);
	}
}

void
smtp_answer_rcpt(struct smtp_turn *t, const struct smtp_answer *a)
{
	struct smtp_session *s = t->s;
	struct smtp_rcpt *r = s->rcpt_asked;
	enum smtp_situation say = a->situation == SMTP_NONE ? SMTP_RCPT_OK : a->situation;
	struct smtp_vars vars = rcpt_vars(r, smtp_answer_vars(a));
	bool good = smtp_situation_class(say) == '2';
	s->rcpt_asked = NULL;
	if (good) {
		list_add_tail(&s->txn->rcpts, &r->node);
		s->txn->n_rcpt++;
	}
	smtp_reply(t, say, &vars);
	/* Else a peer could fill the arena with names that nobody has. A 421 has ended it. */
	if (!good && s->txn)
		arena_rewind(&s->txn->arena, &s->priv->before_rcpt);
}
