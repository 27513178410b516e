#include "smtp/session_priv.h"

/* No transaction, one, BDAT has begun in it; a mail merge, its parts have begun. */
enum state { OUTSIDE, INSIDE, CHUNKS, MERGING, PARTS, STATES };
#define HIDDEN "****"

enum {
	NO_ARGUMENT = 1u << 0,
	NEEDS_HELLO = 1u << 1,
	SMTP_ONLY = 1u << 2, /* unknown where LMTP is spoken, and the other way round: */
	LMTP_ONLY = 1u << 3,
	MERGE_ONLY = 1u << 4, /* unknown unless conf->ipmm */
	AUTH_ONLY = 1u << 5,  /* HELP knows it only where it can work: */
	TLS_ONLY = 1u << 6,
	UNLISTED = 1u << 7,
	ETRN_ONLY = 1u << 8,
	ATRN_ONLY = 1u << 9,
	BURL_ONLY = 1u << 10,
};

struct verb {
	const char *name;
	const char *syntax; /* for HELP */
	void (*run)(struct smtp_turn *t, struct str arg);
	enum smtp_situation say; /* without run: the whole answer */
	unsigned flags;
	enum smtp_situation no_hello;      /* said when HELO is required and has not come */
	enum smtp_situation wrong[STATES]; /* said in this state; 0: the verb is allowed there */
};

static const struct verb *verb_find(const struct smtp_session *s, struct str name);

static bool
is_domain(struct str arg, bool dot)
{
	return addr_domain(arg, ADDR_SMTPUTF8) == ADDR_OK && (!dot || str_find(arg, '.') < arg.len);
}

static bool
is_literal(struct str arg)
{
	struct buf mailbox = BUF_INIT(SMTP_VAR_MAX + 8);
	struct addr addr;
	buf_putz(&mailbox, "x@");
	buf_puts(&mailbox, arg);
	bool ok =
	    !mailbox.failed && addr_mailbox(buf_str(&mailbox), 0, &addr) == ADDR_OK && addr.literal;
	buf_done(&mailbox);
	return ok;
}

/* RFC 5321 4.1.4: no mail is refused because the name does not resolve; so HELO_DNS, without
 * a resolver at hand, is what HELO_FQDN is. */
static bool
helo_ok(enum smtp_helo_check check, struct str arg)
{
	if (check == HELO_LENIENT)
		return true;
	return is_domain(arg, check != HELO_SYNTAX) || is_literal(arg);
}

static void
hello(struct smtp_turn *t, struct str arg, bool esmtp)
{
	struct smtp_session *s = t->s;
	if (arg.len == 0 && (esmtp || !s->conf->helo_arg_optional)) {
		smtp_reply(t, esmtp ? SMTP_EHLO_NOARG : SMTP_HELO_NOARG, NULL);
		return;
	}
	if (arg.len && !helo_ok(s->conf->helo_check, arg)) {
		smtp_reply_arg(t, esmtp ? SMTP_EHLO_BADARG : SMTP_HELO_BADARG, arg);
		return;
	}
	smtp_txn_end(t);
	s->owed = 0;
	str_copy(s->helo, sizeof(s->helo), str_first(arg, sizeof(s->helo) - 1));
	s->esmtp = esmtp;
	s->hello = true;
	if (esmtp)
		smtp_reply_hello(t);
	else
		smtp_reply(t, SMTP_HELO_OK, NULL);
}

static void
run_helo(struct smtp_turn *t, struct str arg)
{
	hello(t, arg, false);
}

static void
run_ehlo(struct smtp_turn *t, struct str arg)
{
	if (t->s->conf->ehlo)
		hello(t, arg, true);
	else
		smtp_unknown(t, SMTP_EHLO_DISABLED, STR("EHLO"), arg, STR("EHLO"));
}

static void
run_lhlo(struct smtp_turn *t, struct str arg)
{
	hello(t, arg, true);
}

static void
run_rset(struct smtp_turn *t, struct str arg)
{
	smtp_txn_end(t);
	t->s->owed = 0;
	smtp_reply(t, SMTP_RSET_OK, NULL);
}

static void
run_noop(struct smtp_turn *t, struct str arg)
{
	smtp_reply(t, SMTP_NOOP_OK, NULL);
}

static void
run_quit(struct smtp_turn *t, struct str arg)
{
	if (t->s->conf->quit_silent)
		smtp_close(t);
	else
		smtp_reply(t, SMTP_QUIT_OK, NULL);
}

static bool
is_useful(const struct smtp_conf *conf, const struct verb *v)
{
	return !((v->flags & AUTH_ONLY) && !conf->auth) &&
	       !((v->flags & ETRN_ONLY) && !conf->etrn) &&
	       !((v->flags & TLS_ONLY) && !conf->starttls) &&
	       !((v->flags & ATRN_ONLY) && !conf->atrn) && !((v->flags & BURL_ONLY) && !conf->burl);
}

static void
run_help(struct smtp_turn *t, struct str arg)
{
	if (arg.len == 0) {
		smtp_reply(t, SMTP_HELP_OK, NULL);
		return;
	}
	const struct verb *v = verb_find(t->s, arg);
	if (v && v->run && is_useful(t->s->conf, v))
		smtp_reply_arg(t, SMTP_HELP_TOPIC, str_of(v->syntax));
	else
		smtp_reply_arg(t, SMTP_HELP_UNKNOWN, arg);
}

/* RFC 6531 3.7.4.2: VRFY and EXPN may end in SMTPUTF8. */
static struct str
without_smtputf8(struct str arg)
{
	if (!str_iends(arg, STR(" SMTPUTF8")))
		return arg;
	return str_rtrim(str_first(arg, arg.len - sizeof("SMTPUTF8")));
}

static void
ask_words(struct smtp_turn *t, struct str arg, enum smtp_ask what)
{
	/* The question outlives the input; the line buffer is empty as long as it is open. */
	struct smtp_private *p = smtp_priv(t->s);
	buf_reset(&p->line);
	buf_puts(&p->line, arg);
	t->s->arg = buf_str(&p->line);
	smtp_ask(t, what);
}

static void
run_vrfy(struct smtp_turn *t, struct str arg)
{
	struct smtp_vars extra = { .v = { [SMTP_VAR_arg] = arg, [SMTP_VAR_to] = arg } };
	if (arg.len == 0)
		smtp_reply(t, SMTP_VRFY_NOARG, NULL);
	else if (!t->s->conf->vrfy)
		smtp_reply(t, SMTP_VRFY_CANNOT, &extra);
	else
		ask_words(t, without_smtputf8(arg), SMTP_ASK_VRFY);
}

static void
run_expn(struct smtp_turn *t, struct str arg)
{
	if (!t->s->conf->expn)
		smtp_reply(t, SMTP_EXPN_DISABLED, NULL);
	else if (arg.len == 0)
		smtp_reply(t, SMTP_EXPN_NOARG, NULL);
	else
		ask_words(t, without_smtputf8(arg), SMTP_ASK_EXPN);
}

static void
expn_members(struct smtp_turn *t, const struct smtp_answer *a)
{
	size_t from = t->out->len;
	size_t n = MIN(a->n_lines, ARRAY_LEN(a->lines));
	for (size_t i = 0; i < n; i++) {
		struct smtp_vars vars = { .v = { [SMTP_VAR_to] = a->lines[i] } };
		smtp_reply_part(t->out, t->s->conf->wording, SMTP_EXPN_OK, &vars, i + 1 < n);
	}
	smtp_note_replies(t, from);
}

void
smtp_answer_words(struct smtp_turn *t, const struct smtp_answer *a)
{
	struct smtp_session *s = t->s;
	struct smtp_private *p = smtp_priv(s);
	struct smtp_vars extra = smtp_answer_vars(a);
	extra.v[SMTP_VAR_arg] = s->arg;
	enum smtp_situation say = a->situation;
	if (say == SMTP_NONE)
		say = a->n_lines ? SMTP_EXPN_OK : SMTP_VRFY_CANNOT;
	if (say == SMTP_EXPN_OK && a->n_lines)
		expn_members(t, a);
	else
		smtp_reply(t, say, &extra);
	s->arg = STR_NULL;
	buf_done(&p->line);
}

/* RFC 1985 5.1: a domain, @ and a domain for all below it too, # and the name of a queue. */
static bool
is_node(struct str arg)
{
	bool queue = str_starts(arg, STR("#"));
	if (!queue && !str_starts(arg, STR("@")))
		return is_domain(arg, false);
	arg = str_skip(arg, 1);
	if (!queue)
		return is_domain(arg, false);
	for (size_t i = 0; i < arg.len; i++)
		if (arg.p[i] <= ' ' || arg.p[i] > '~')
			return false;
	return arg.len > 0 && arg.len <= ADDR_DOMAIN_MAX;
}

static void
run_etrn(struct smtp_turn *t, struct str arg)
{
	const struct smtp_session *s = t->s;
	if (!is_node(arg))
		smtp_reply_arg(t, SMTP_ETRN_SYNTAX, arg);
	else if (s->conf->etrn)
		ask_words(t, arg, SMTP_ASK_ETRN);
	else
		smtp_reply_arg(t, SMTP_ETRN_DENIED, arg);
}

static const struct verb verbs[] = {
	{ "EHLO", "EHLO domain", run_ehlo, .flags = SMTP_ONLY }, /* RFC 2033 4.1 */
	{ "HELO", "HELO domain", run_helo, .flags = SMTP_ONLY },
	{ "LHLO", "LHLO domain", run_lhlo, .flags = LMTP_ONLY },
	{ "MAIL", "MAIL FROM:<address> [SIZE=n] [BODY=type] [SMTPUTF8] [RET=FULL|HDRS] [ENVID=id]",
	    smtp_mail, .flags = NEEDS_HELLO, .no_hello = SMTP_MAIL_NOHELO,
	    .wrong = { [INSIDE] = SMTP_MAIL_NESTED,
		[CHUNKS] = SMTP_MAIL_NESTED,
		[MERGING] = SMTP_MAIL_NESTED,
		[PARTS] = SMTP_IPMM_RECEIVING_PARTS } },
	{ "RCPT", "RCPT TO:<address> [NOTIFY=when] [ORCPT=type;address]", smtp_rcpt,
	    .wrong = { [OUTSIDE] = SMTP_RCPT_NOMAIL,
		[CHUNKS] = SMTP_BDAT_OPEN,
		[PARTS] = SMTP_IPMM_RECEIVING_PARTS } },
	{ "DATA", "DATA", smtp_data },
	{ "BDAT", "BDAT size [LAST]", smtp_bdat },
	{ "BURL", "BURL imap-url [LAST]", smtp_burl, .flags = SMTP_ONLY | BURL_ONLY },
	{ "RSET", "RSET", run_rset, .flags = NO_ARGUMENT },
	{ "NOOP", "NOOP [text]", run_noop },
	{ "VRFY", "VRFY address", run_vrfy },
	{ "EXPN", "EXPN list", run_expn },
	{ "HELP", "HELP [command]", run_help },
	{ "QUIT", "QUIT", run_quit, .flags = NO_ARGUMENT },
	{ "AUTH", "AUTH mechanism [initial-response]", smtp_auth, .flags = NEEDS_HELLO | AUTH_ONLY,
	    .no_hello = SMTP_CMD_NOHELO },
	{ "STARTTLS", "STARTTLS", smtp_starttls, .flags = TLS_ONLY },
	{ "ETRN", "ETRN node, @domain or #queue", run_etrn,
	    .flags = NEEDS_HELLO | SMTP_ONLY | ETRN_ONLY, .no_hello = SMTP_CMD_NOHELO,
	    .wrong = { [INSIDE] = SMTP_ETRN_INTXN, /* RFC 1985 4 */
		[CHUNKS] = SMTP_ETRN_INTXN,
		[MERGING] = SMTP_ETRN_INTXN,
		[PARTS] = SMTP_ETRN_INTXN } },
	{ "XMRG", "XMRG FROM:<address> [VERP] and what MAIL has", smtp_xmrg,
	    .flags = NEEDS_HELLO | MERGE_ONLY, .no_hello = SMTP_MAIL_NOHELO },
	{ "XDFN", "XDFN name=value...", smtp_xdfn, .flags = MERGE_ONLY },
	{ "XPRT", "XPRT number [LAST]", smtp_xprt, .flags = MERGE_ONLY },
	{ "XLSMTP-ACKRCPT", "XLSMTP-ACKRCPT ON|OFF", smtp_ackrcpt, .flags = MERGE_ONLY },
	{ "XACK", "XACK ON|OFF", smtp_xack, .flags = MERGE_ONLY },
	{ "XCLIENT", "XCLIENT name=value...", smtp_xclient, .flags = UNLISTED },
	{ "XFORWARD", "XFORWARD name=value...", smtp_xforward, .flags = UNLISTED },
	{ "TURN", .say = SMTP_TURN_DENIED, .flags = SMTP_ONLY },
	{ "ATRN", "ATRN [domain,domain]", smtp_atrn, .flags = SMTP_ONLY | ATRN_ONLY,
	    .wrong = { [INSIDE] = SMTP_ATRN_INTXN, /* RFC 2645 5.2.1 */
		[CHUNKS] = SMTP_ATRN_INTXN,
		[MERGING] = SMTP_ATRN_INTXN,
		[PARTS] = SMTP_ATRN_INTXN } },
	{ "SEND", .say = SMTP_CMD_UNIMPL }, /* RFC 821; RFC 5321 F.6 */
	{ "SOML", .say = SMTP_CMD_UNIMPL },
	{ "SAML", .say = SMTP_CMD_UNIMPL },
};

static const struct verb *
verb_find(const struct smtp_session *s, struct str name)
{
	unsigned other = s->conf->lmtp ? SMTP_ONLY | MERGE_ONLY : LMTP_ONLY;
	other |= s->conf->ipmm ? 0 : MERGE_ONLY;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (!(verbs[i].flags & other) && str_ieq(name, str_of(verbs[i].name)))
			return &verbs[i];
	return NULL;
}

bool
smtp_is_xdfn(const struct smtp_session *s, struct str line)
{
	const struct verb *v = verb_find(s, str_word(&line));
	return v && v->run == smtp_xdfn;
}

struct str
smtp_verbs(const struct smtp_session *s, char *dst, size_t n)
{
	struct buf b = BUF_INIT(n);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		const struct verb *v = verb_find(s, str_of(verbs[i].name));
		if (v && v->run && !(v->flags & UNLISTED) && is_useful(s->conf, v))
			buf_putf(&b, "%s%s", b.len ? " " : "", v->name);
	}
	struct str text = buf_str(&b);
	memcpy(dst, text.p, text.len);
	buf_done(&b);
	return str_n(dst, text.len);
}

void
smtp_unknown(struct smtp_turn *t, enum smtp_situation say, struct str verb, struct str arg,
    struct str line)
{
	struct smtp_session *s = t->s;
	struct smtp_vars extra = { .v = {
				       [SMTP_VAR_verb] = verb,
				       [SMTP_VAR_arg] = arg,
				       [SMTP_VAR_cmd] = line,
				   } };
	if (++s->bad > s->conf->bad_commands)
		say = SMTP_BADCMD_LIMIT;
	smtp_reply(t, say, &extra);
}

/* What the history shows of a line: never a secret. When AUTH is refused the peer may go on all
 * the same with what it would have said next. */
void
smtp_note_line(struct smtp_turn *t, struct str line)
{
	struct str rest = line = str_trim(line);
	struct str word = str_word(&rest);
	if (t->s->phase == PHASE_AUTH) {
		smtp_note(t, "c: ", STR(HIDDEN));
	} else if (str_istarts(word, STR("AUTH="))) {
		smtp_note(t, "c (the secret left out): ", STR("AUTH="));
		t->s->flags |= F_AFTER_AUTH;
	} else if (str_ieq(word, STR("AUTH"))) {
		struct str mech = str_word(&rest);
		if (smtp_auth_secret(t->s, mech))
			rest = str_skip(line, word.len);
		smtp_note(t, str_trim(rest).len ? "c (the secret left out): " : "c: ",
		    str_first(line, line.len - rest.len));
		t->s->flags |= F_AFTER_AUTH;
	} else if (str_ieq(word, STR("BURL"))) {
		/* The token of a URL is behind its last colon (RFC 4467 3). */
		struct str url = str_word(&rest);
		size_t colon = str_rfind(url, ':');
		bool token = str_find(str_first(url, colon), ';') < colon && colon < url.len;
		smtp_note(t, token ? "c (the secret left out): " : "c: ",
		    token ? str_first(line, (size_t)(url.p + colon + 1 - line.p)) : line);
	} else if ((t->s->flags & F_AFTER_AUTH) && !verb_find(t->s, word)) {
		smtp_note(t, "c: ", STR(HIDDEN));
	} else {
		smtp_note(t, "c: ", line);
	}
}

static enum state
state_of(const struct smtp_session *s)
{
	if (!s->txn)
		return OUTSIDE;
	if (s->txn->merge)
		return smtp_merging_parts(s->txn) ? PARTS : MERGING;
	return s->txn->bdat ? CHUNKS : INSIDE;
}

static enum smtp_situation
objection(const struct smtp_session *s, const struct verb *v, struct str arg)
{
	if ((v->flags & NEEDS_HELLO) && s->conf->require_helo && !s->hello)
		return v->no_hello;
	if (v->wrong[state_of(s)])
		return v->wrong[state_of(s)];
	if ((v->flags & NO_ARGUMENT) && arg.len)
		return SMTP_CMD_SYNTAX;
	return SMTP_NONE;
}

/* XLSMTP-ACKRCPT OFF, XACK OFF: in a merge, the answer to this verb is not wanted. */
static bool
is_quiet(const struct smtp_session *s, const struct verb *v)
{
	unsigned flag = v->run == smtp_rcpt ? F_RCPT_QUIET : v->run == smtp_xdfn ? F_XDFN_QUIET : 0;
	return s->txn && s->txn->merge && (s->flags & flag);
}

#define SHOWN_MAX 64

/* How replies name a verb (quirk echo_case): as it was typed, in capitals, or, where the dialect
 * says nothing, known ones in capitals. */
static struct str
shown(const struct smtp_session *s, struct str typed, const struct verb *v, char dst[SHOWN_MAX])
{
	int echo = s->conf->wording->quirks.echo_case;
	if (echo == 1 || (echo < 0 && !v))
		return typed;
	if (v)
		return str_of(v->name);
	typed = str_first(typed, SHOWN_MAX);
	for (size_t i = 0; i < typed.len; i++)
		dst[i] =
		    typed.p[i] >= 'a' && typed.p[i] <= 'z' ? (char)(typed.p[i] - 0x20) : typed.p[i];
	return str_n(dst, typed.len);
}

void
smtp_command(struct smtp_turn *t, struct str line)
{
	struct str arg = line = str_trim(line);
	struct str word = str_word(&arg);
	arg = str_ltrim(arg);
	const struct verb *v = verb_find(t->s, word);
	char upper[SHOWN_MAX];
	struct str name = shown(t->s, word, v, upper);
	bool secret = t->s->flags & F_AFTER_AUTH;
	smtp_note_line(t, line);
	if (v && v->run != smtp_auth)
		t->s->flags &= ~(unsigned)F_AFTER_AUTH;
	if (!v && secret) {
		smtp_unknown(t, SMTP_CMD_UNKNOWN, STR(HIDDEN), STR(HIDDEN), STR(HIDDEN));
		return;
	}
	if (!v && t->s->conf->ipmm && !t->s->conf->lmtp && str_istarts(word, STR("XLSMTP-"))) {
		smtp_reply_arg(t, SMTP_IPMM_PARAM, word);
		return;
	}
	if (!v) {
		smtp_unknown(t, SMTP_CMD_UNKNOWN, name, arg, line);
		return;
	}
	if (is_quiet(t->s, v))
		t->s->flags |= F_QUIET;
	enum smtp_situation no = objection(t->s, v, arg);
	struct smtp_vars extra = { .v = {
				       [SMTP_VAR_verb] = name,
				       [SMTP_VAR_cmd] = line,
				       [SMTP_VAR_arg] =
					   no == SMTP_CMD_SYNTAX ? str_of(v->syntax) : arg,
				   } };
	if (no != SMTP_NONE)
		smtp_reply(t, no, &extra);
	else if (v->run)
		v->run(t, arg);
	else
		smtp_reply(t, v->say, &extra);
	if (t->s->ask == SMTP_ASK_NONE)
		t->s->flags &= ~(unsigned)F_QUIET;
	/* A proxy that has said who its client is passes on what that one says from now on. */
	if ((t->s->flags & F_IS_CLIENT) &&
	    !(v && (v->run == smtp_xclient || v->run == smtp_xforward)))
		t->s->flags &= ~(unsigned)(F_IS_CLIENT | F_XCLIENT | F_XFORWARD);
}
