/* pop3_typed: a line that somebody typed, on its way to a server of POP3. */
#include "talk/pop3_priv.h"

#include "base/num.h"

#include <string.h>

const char *const pop_verb_names[] = { "command", "CAPA", "STLS", "USER", "PASS", "APOP", "AUTH",
	"STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "RSET", "NOOP", "QUIT", "UTF8", "LANG",
	NULL };

static enum pop_verb
verb_of(struct str word)
{
	for (size_t i = 1; pop_verb_names[i]; i++)
		if (str_ieq(word, str_of(pop_verb_names[i])))
			return (enum pop_verb)i;
	return PV_OTHER;
}

/* --- secrets --- */

static void
wipe(struct buf *b)
{
	buf_wipe(b);
	buf_done(b);
}

/* PASS by itself asks; a password that was typed is masked. RFC 1939 7: blanks belong to it. */
static void
pass(struct pop_talk *x, struct str secret, struct mode_typed *ret)
{
	buf_putz(&ret->masked, "PASS <password hidden>");
	ret->secret = true;
	if (secret.len)
		return;
	struct buf name = BUF_INIT(1024), asked = BUF_INIT(4096);
	ret->nothing = !talk_credentials(x->t, STR("USER"), buf_str(&x->user), &name, &asked);
	buf_reset(&ret->send);
	buf_putz(&ret->send, "PASS ");
	buf_puts(&ret->send, buf_str(&asked));
	ret->changed = true;
	wipe(&name);
	wipe(&asked);
}

/* "APOP name": the digest is our work. */
static void
apop(struct pop_talk *x, struct str name, struct mode_typed *ret)
{
	struct buf user = BUF_INIT(1024), secret = BUF_INIT(4096);
	struct str stamp;
	if (!pop_stamp(buf_str(&x->greeting), &stamp)) {
		event_warn(x->t->ev, "auth",
		    "The greeting holds no stamp: this server has no APOP.");
		ret->nothing = true;
	} else if (!talk_credentials(x->t, STR("APOP"), name, &user, &secret)) {
		ret->nothing = true;
	} else {
		buf_reset(&ret->send);
		buf_putf(&ret->send, "APOP " STR_FMT " ", STR_ARG(buf_str(&user)));
		pop_apop_digest(stamp, buf_str(&secret), &ret->send);
		buf_putf(&ret->masked, "APOP " STR_FMT " <digest>", STR_ARG(buf_str(&user)));
		ret->changed = true;
	}
	wipe(&user);
	wipe(&secret);
}

/* "APOP name digest": the digest is made of the password. */
static void
mask_apop(struct str args, struct mode_typed *ret)
{
	struct str name = str_word(&args);
	buf_putf(&ret->masked, "APOP " STR_FMT " <digest>", STR_ARG(name));
	ret->secret = true;
}

static void
auth(struct pop_talk *x, struct str args, struct mode_typed *ret)
{
	struct str mech = str_word(&args), initial = str_trim(args);
	if (initial.len == 0 && !x->t->o->strict_typing) {
		ret->nothing = true;
		pop_auth(x->t, mech, STR_NULL);
		return;
	}
	if (initial.len) {
		buf_putf(&ret->masked, "AUTH " STR_FMT " <initial response hidden>", STR_ARG(mech));
		ret->secret = true;
	}
}

static void
quit_question(struct pop_talk *x, bool sure, struct mode_typed *ret)
{
	struct buf text = BUF_INIT(512);
	buf_putf(&text, "QUIT deletes %zu letter%s for good (", x->n_deleted,
	    x->n_deleted == 1 ? "" : "s");
	for (size_t i = 0; i < x->n_deleted && i < 10; i++)
		buf_putf(&text, "%s%llu", i ? ", " : "", (unsigned long long)x->deleted[i]);
	buf_putf(&text, "%s); RSET takes it back.", x->n_deleted > 10 ? ", ..." : "");
	if (talk_can_ask(x->t) && !sure)
		buf_putf(&ret->question, STR_FMT " Quit? (yes/no) ", STR_ARG(buf_str(&text)));
	else if (!sure)
		event_warn(x->t->ev, "quit", STR_FMT, STR_ARG(buf_str(&text)));
	buf_done(&text);
}

void
pop_typed(struct talk *t, struct str line, bool sure, struct mode_typed *ret)
{
	struct pop_talk *x = t->state;
	struct str rest = line;
	enum pop_verb v = verb_of(str_word(&rest));
	buf_puts(&ret->send, line);
	if (x->auth_typed) { /* as it was typed: base64, or "*" */
		if (!str_eq(line, STR("*")))
			buf_putz(&ret->masked, "<answer hidden>");
		ret->secret = true;
		return;
	}
	if (str_trim(line).len == 0) {
		ret->nothing = true;
		return;
	}
	bool initial = v == PV_AUTH && str_find(str_trim(rest), ' ') < str_trim(rest).len;
	if ((v == PV_PASS || initial) && talk_secret_risk(t) && !sure) {
		buf_putz(&ret->question, talk_secret_risk(t));
		return;
	}
	if (v == PV_PASS)
		pass(x, str_skip(rest, 1), ret);
	else if (v == PV_APOP && str_find(str_trim(rest), ' ') == str_trim(rest).len &&
		 !t->o->strict_typing)
		apop(x, str_trim(rest), ret);
	else if (v == PV_APOP)
		mask_apop(rest, ret);
	else if (v == PV_AUTH)
		auth(x, rest, ret);
	else if (v == PV_QUIT && x->n_deleted)
		quit_question(x, sure, ret);
}

void
pop_sent(struct talk *t, struct str line, const struct mode_typed *typed)
{
	struct pop_talk *x = t->state;
	struct str sent = buf_str(&typed->send), rest = sent;
	(void)line;
	if (x->auth_typed) {
		x->auth_typed = false;
		return;
	}
	if (x->n_sent == POP_SENT_MAX) {
		event_warn(t->ev, NULL, "More than %u commands have no answer.", POP_SENT_MAX);
		return;
	}
	struct pop_sent *s = &x->sent[x->n_sent++];
	*s = (struct pop_sent){ .verb = verb_of(str_word(&rest)), .many = pop_many_lines(sent) };
	(void)num_u64(str_trim(rest), UINT32_MAX, &s->number);
	if (s->verb == PV_USER) {
		buf_reset(&x->user);
		buf_puts(&x->user, str_first(str_trim(rest), 1000));
	}
	if (s->verb == PV_AUTH && (t->auth || str_trim(rest).len))
		s->many = false;
}

static bool
send_line(struct pop_talk *x, struct str line, struct str masked)
{
	struct mode_typed typed = { .send = BUF_INIT(TALK_LINE_MAX) };
	buf_puts(&typed.send, line);
	bool ok = talk_send(x->t, line, masked);
	if (ok)
		pop_sent(x->t, line, &typed);
	buf_wipe(&typed.send);
	buf_done(&typed.send);
	return ok;
}

/* --- AUTH (RFC 5034) --- */

static void
user_pass(struct pop_talk *x, struct str user)
{
	struct talk *t = x->t;
	struct buf name = BUF_INIT(1024);
	struct str who = user.len ? user : str_of(t->o->user);
	if (who.len == 0 && talk_can_ask(t) && talk_read(t, "Name: ", &name))
		who = buf_str(&name);
	if (who.len == 0) {
		event_warn(t->ev, "auth", "Whose letters? --user NAME says it.");
	} else {
		talk_auto(t, "USER " STR_FMT, STR_ARG(who));
		talk_auto(t, "PASS");
	}
	buf_done(&name);
}

void
pop_auth(struct talk *t, struct str mech, struct str user)
{
	struct pop_talk *x = t->state;
	struct buf line = BUF_INIT(64u << 10), masked = BUF_INIT(4096), out = BUF_INIT(32u << 10),
		   shown = BUF_INIT(4096);
	struct str wanted = str_of(t->o->mechs);
	if (mech.len == 0 && (str_ieq(wanted, STR("USER")) || str_ieq(wanted, STR("APOP"))))
		mech = wanted;
	if (str_ieq(mech, STR("APOP"))) {
		talk_auto(t, "APOP " STR_FMT, STR_ARG(user.len ? user : str_of(t->o->user)));
		return;
	}
	if (str_ieq(mech, STR("USER")) ||
	    (x->caps_known && !x->mechs[0] && mech.len == 0 && !t->o->force_auth)) {
		user_pass(x, user);
		return;
	}
	if (!talk_auth_begin(t, str_of(x->mechs), mech, user))
		return;
	buf_putf(&line, "AUTH %s", talk_auth_mech(t));
	buf_puts(&masked, buf_str(&line));
	x->auth_fresh = true;
	buf_reset(&x->first);
	if (!t->o->no_initial_response && talk_auth_initial(t, &out, &shown) == TALK_AUTH_SEND) {
		/* RFC 5034 4: the line must not be longer than 255 octets; what has no room comes
		 * later. */
		x->auth_fresh = line.len + out.len > 250;
		struct str what = buf_str(&out), seen = shown.len ? buf_str(&shown) : what;
		buf_puts(x->auth_fresh ? &x->first : &line, x->auth_fresh ? STR_NULL : STR(" "));
		buf_puts(x->auth_fresh ? &x->first : &line, what);
		buf_puts(x->auth_fresh ? &x->first_shown : &masked,
		    x->auth_fresh ? STR_NULL : STR(" "));
		buf_puts(x->auth_fresh ? &x->first_shown : &masked, seen);
	}
	(void)send_line(x, buf_str(&line), x->auth_fresh ? STR_NULL : buf_str(&masked));
	struct buf *all[] = { &line, &masked, &out, &shown };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		wipe(all[i]);
}

void
pop_auth_challenge(struct pop_talk *x, struct str text)
{
	struct talk *t = x->t;
	struct buf out = BUF_INIT(32u << 10), shown = BUF_INIT(4096);
	enum talk_auth_status st = TALK_AUTH_READY;
	if (x->auth_fresh && x->first.len) {
		buf_puts(&out, buf_str(&x->first));
		buf_puts(&shown, buf_str(&x->first_shown));
		buf_wipe(&x->first);
		st = TALK_AUTH_SEND;
	} else if (x->auth_fresh) {
		st = talk_auth_initial(t, &out, &shown);
	}
	if (st == TALK_AUTH_SEND && str_eq(buf_str(&out), STR("=")))
		buf_reset(&out);
	if (st == TALK_AUTH_READY)
		st = talk_auth_step(t, text, &out, &shown);
	x->auth_fresh = false;
	(void)talk_send(t, buf_str(&out), shown.len ? buf_str(&shown) : STR_NULL);
	wipe(&out);
	wipe(&shown);
}

/* --- local commands --- */

static void
read_letter(struct talk *t, struct str args, const char *fmt)
{
	struct pop_talk *x = t->state;
	struct buf line = BUF_INIT(64);
	uint64_t n;
	if (!t->connected || !x || x->n_sent || t->mode->waits(t) != MODE_FREE) {
		event_warn(t->ev, NULL, "Something else is under way: wait for its answer.");
		return;
	}
	if (!num_u64(str_trim(args), UINT32_MAX, &n) || n == 0) {
		event_warn(t->ev, NULL, "Which letter? /read 12");
		return;
	}
	buf_putf(&line, "%s %llu%s", fmt, (unsigned long long)n,
	    str_eq(str_of(fmt), STR("TOP")) ? " 20" : "");
	x->reading = reading_free(x->reading);
	if (send_line(x, buf_str(&line), STR_NULL)) {
		x->reading = reading_new();
		x->read_octets = 0;
		t->o->show.hold_lines = !t->o->show.verbose;
	}
	buf_done(&line);
}

static void
cmd_read(struct talk *t, struct str args)
{
	read_letter(t, args, "RETR");
}

static void
cmd_top(struct talk *t, struct str args)
{
	read_letter(t, args, "TOP");
}

const struct talk_command pop_commands[] = {
	{ "read", "N", "a letter as text", cmd_read, false },
	{ "top", "N", "its header and the first 20 lines as text", cmd_top, false },
	{ 0 },
};
