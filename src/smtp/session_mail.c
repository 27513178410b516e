#include "mail/xtext.h"
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

/* RFC 4954 5: of a client that has not logged in, nothing is believed. */
static struct str
auth_of(const struct smtp_session *s, struct arena *a, struct str given)
{
	struct buf text = BUF_INIT(PARAM_AUTH_MAX);
	struct str auth = given.len ? STR("<>") : STR_NULL;
	if (s->authenticated && xtext_decode(&text, given))
		auth = arena_str(a, buf_str(&text));
	buf_done(&text);
	return auth;
}

static bool
begin(struct smtp_turn *t, struct str given, struct addr *from, const struct smtp_params *p,
    enum smtp_situation param_error)
{
	smtp_txn_begin(t);
	struct smtp_txn *txn = t->s->txn;
	struct smtp_private *priv = smtp_priv(t->s);
	bool ok = keep_addr(&txn->arena, given, from, &txn->from_as_given);
	txn->auth = auth_of(t->s, &txn->arena, p->auth);
	txn->auth_as_given = t->s->authenticated ? keep(&txn->arena, p->auth) : txn->auth;
	txn->requiretls = p->requiretls;
	txn->hold_until = p->hold_until;
	/* RFC 6710: a stranger's word puts a letter before nobody else's. */
	txn->mt_priority = p->ours ? p->mt_priority : MIN(p->mt_priority, 0);
	txn->prdr = p->prdr;
	txn->verp = p->verp;
	memcpy(txn->verp_marks, p->verp_marks, sizeof(txn->verp_marks));
	txn->deliver_by = keep(&txn->arena, p->deliver_by);
	txn->from = *from;
	txn->declared_size = p->size;
	txn->body = p->body;
	txn->smtputf8 = p->utf8;
	txn->ret = keep(&txn->arena, p->ret);
	txn->envid = keep(&txn->arena, p->envid);
	txn->solicit = keep(&txn->arena, p->solicit);
	priv->param_error = param_error;
	priv->param_bad = keep(&txn->arena, p->bad);
	return ok && !txn->arena.failed;
}

bool
smtp_solicits(struct str refused, struct str classes, struct str *ret)
{
	while (classes.len) {
		size_t n = str_find_any(classes, ", \t\r\n");
		struct str class = str_first(classes, n), list = refused;
		classes = str_skip(classes, n + 1);
		for (size_t k; n && list.len; list = str_skip(list, k + 1)) {
			k = str_find_any(list, ", \t");
			*ret = class;
			if (str_ieq(str_first(list, k), class))
				return true;
		}
	}
	return false;
}

/* What the parameters ask for and this session cannot give. */
static enum smtp_situation
mail_param_situation(const struct smtp_session *s, enum param_verdict v, struct smtp_params *p)
{
	enum smtp_situation no = param_situation(v, SMTP_MAIL_BADPARAM, SMTP_MAIL_BADVALUE);
	if (no == SMTP_NONE && smtp_solicits(s->conf->no_soliciting, p->solicit, &p->bad))
		return SMTP_MAIL_SOLICIT;
	if (no == SMTP_NONE && p->requiretls && !s->tls)
		return SMTP_MAIL_REQUIRETLS; /* RFC 8689 2: the keyword is shown inside TLS only */
	return no;
}

static bool
merge_begin(struct smtp_session *s, const struct smtp_params *p)
{
	s->txn->merge = smtp_merge_new(s->conf);
	if (s->txn->merge)
		s->txn->merge->verp = p->verp;
	return s->txn->merge != NULL;
}

static void
take_sender(struct smtp_turn *t, struct str given, struct addr *from, struct str rest, bool merge)
{
	struct smtp_session *s = t->s;
	struct smtp_params p = { .body = BODY_7BIT,
		.conf = s->conf,
		.ours = s->ours || s->authenticated,
		.wall = t->clock->wall };
	enum param_verdict pv = smtp_params_parse(rest, merge ? PARAM_MERGE : PARAM_MAIL, &p);
	enum smtp_situation lacks = smtp_mail_lacks(s, from);
	struct smtp_vars as_given = { .v = { [SMTP_VAR_from] = from->whole,
					  [SMTP_VAR_from_as_given] = given,
					  [SMTP_VAR_from_domain] = from->domain,
					  [SMTP_VAR_arg] = str_first(given, ARG_SHOWN_MAX) } };
	if (lacks != SMTP_NONE) {
		smtp_reply(t, lacks, &as_given);
	} else if (from->utf8 && !p.utf8) {
		smtp_notef(t, "address: %s", verdict_word(ADDR_UTF8));
		smtp_reply(t, SMTP_MAIL_NEEDUTF8, &as_given);
	} else if (s->messages >= s->conf->msgs_per_session) {
		smtp_reply(t, SMTP_MAIL_TOOMANY, NULL);
	} else if (!begin(t, given, from, &p, mail_param_situation(s, pv, &p)) ||
		   (merge && !merge_begin(s, &p))) {
		smtp_txn_end(t);
		smtp_reply(t, SMTP_MAIL_LOWRES, NULL);
	} else {
		smtp_ask(t, SMTP_ASK_MAIL);
	}
}

/* docs/rules.md 2: that TLS is missing is said before anything else is looked at. */
void
smtp_mail_begin(struct smtp_turn *t, struct str arg, bool merge)
{
	static const struct path_words words = { SMTP_MAIL_SYNTAX, SMTP_MAIL_BADADDR,
		SMTP_MAIL_NEEDUTF8, SMTP_VAR_from_as_given };
	const struct smtp_conf *conf = t->s->conf;
	unsigned loose = conf->angle_brackets_required ? 0 : ADDR_LOOSE;
	struct str path = arg;
	struct addr from;
	if (conf->tls_required && !t->s->tls) {
		smtp_reply(t, SMTP_MAIL_NEEDTLS, NULL);
		return;
	}
	if (!path_begins(&path, STR("FROM"))) {
		refuse_path(t, &words, ADDR_SYNTAX, arg, STR_NULL);
		return;
	}
	struct str rest = path;
	enum addr_verdict v = addr_path(&rest, loose | ADDR_SMTPUTF8 | ADDR_NULL, &from);
	if (v != ADDR_OK)
		refuse_path(t, &words, v, arg, path);
	else
		take_sender(t, str_first(path, path.len - rest.len), &from, rest, merge);
}

void
smtp_mail(struct smtp_turn *t, struct str arg)
{
	smtp_mail_begin(t, arg, false);
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
		smtp_reply_answer(t, s->txn->merge ? SMTP_XMRG_OK : SMTP_MAIL_OK, a);
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

/* True: the question is asked. */
static bool
take_rcpt(struct smtp_turn *t, struct str arg)
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
		return false;
	}
	struct str rest = path;
	enum addr_verdict v = addr_path(&rest, flags, &to);
	if (v != ADDR_OK) {
		refuse_path(t, &words, v, arg, path);
		return false;
	}
	if (txn->n_rcpt >= (txn->merge ? conf->ipmm_rcpts : conf->rcpts_per_msg)) {
		smtp_reply(t, SMTP_RCPT_TOOMANY, NULL);
		return false;
	}
	struct smtp_params p = { .utf8 = txn->smtputf8 };
	enum smtp_situation bad = param_situation(smtp_params_parse(rest, PARAM_RCPT, &p),
	    SMTP_RCPT_BADPARAM, SMTP_RCPT_BADVALUE);
	if (bad != SMTP_NONE) {
		smtp_reply_arg(t, bad, p.bad);
		return false;
	}
	struct smtp_private *priv = smtp_priv(t->s);
	priv->before_rcpt = arena_mark(&txn->arena);
	t->s->rcpt_asked = rcpt_new(txn, str_first(path, path.len - rest.len), &to, &p);
	if (t->s->rcpt_asked) {
		smtp_ask(t, SMTP_ASK_RCPT);
		return true;
	}
	arena_rewind(&txn->arena, &priv->before_rcpt);
	smtp_reply(t, SMTP_RCPT_TOOMANY, NULL);
	return false;
}

void
smtp_rcpt(struct smtp_turn *t, struct str arg)
{
	bool merge = t->s->txn->merge;
	if (!take_rcpt(t, arg) && merge && t->s->txn)
		smtp_merge_forget(t->s->txn->merge);
}

/* A merge has its own copy of each recipient, and room for very many of them. */
static bool
rcpt_keep(struct smtp_txn *txn, struct smtp_rcpt *r)
{
	if (txn->merge && !smtp_merge_rcpt_add(txn->merge, r))
		return false;
	if (!txn->merge)
		list_add_tail(&txn->rcpts, &r->node);
	txn->n_rcpt++;
	return true;
}

void
smtp_answer_rcpt(struct smtp_turn *t, const struct smtp_answer *a)
{
	struct smtp_session *s = t->s;
	struct smtp_rcpt *r = s->rcpt_asked;
	enum smtp_situation say = a->situation == SMTP_NONE ? SMTP_RCPT_OK : a->situation;
	struct smtp_vars vars = rcpt_vars(r, smtp_answer_vars(a));
	bool good = smtp_situation_class(say) == '2';
	bool merge = s->txn->merge;
	s->rcpt_asked = NULL;
	if (good && !rcpt_keep(s->txn, r)) {
		good = false;
		say = SMTP_RCPT_TOOMANY;
	} else if (!good && merge) {
		smtp_merge_forget(s->txn->merge);
	}
	smtp_reply(t, say, &vars);
	s->flags &= ~(unsigned)F_QUIET;
	/* Else a peer could fill the arena with names that nobody has. A 421 has ended it. */
	if ((!good || merge) && s->txn)
		arena_rewind(&s->txn->arena, &s->priv->before_rcpt);
}
