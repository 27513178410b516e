/* imap_auth: AUTHENTICATE (RFC 9051 6.2.2, RFC 4959) and LOGIN with a password that is asked for.
 */
#include "talk/imap_priv.h"

#include <string.h>

void
imap_auth(struct talk *t, struct str mech, struct str user)
{
	struct imap_talk *x = t->state;
	struct buf line = BUF_INIT(64u << 10), masked = BUF_INIT(4096), out = BUF_INIT(32u << 10),
		   shown = BUF_INIT(4096);
	if (x->logged_in) {
		event_note(t->ev,
		    "Somebody is logged in already; LOGOUT and connect again to change that.");
		return;
	}
	if (x->caps_known && !x->mechs[0] && mech.len == 0 && !t->o->force_auth) {
		if (x->login_disabled)
			imap_login(x, user); /* says why not */
		else
			talk_auto(t, "LOGIN " STR_FMT, STR_ARG(user));
		return;
	}
	if (!talk_auth_begin(t, str_of(x->mechs), mech, user))
		return;
	imap_next_tag(x, &line);
	buf_putf(&line, "AUTHENTICATE %s", talk_auth_mech(t));
	buf_puts(&masked, buf_str(&line));
	x->auth_fresh = true;
	if (imap_has(x, "SASL-IR") && !t->o->no_initial_response &&
	    talk_auth_initial(t, &out, &shown) == TALK_AUTH_SEND) {
		x->auth_fresh = false;
		buf_putf(&line, " " STR_FMT, STR_ARG(buf_str(&out)));
		buf_putf(&masked, " " STR_FMT,
		    STR_ARG(shown.len ? buf_str(&shown) : buf_str(&out)));
	}
	(void)imap_send(x, buf_str(&line), x->auth_fresh ? STR_NULL : buf_str(&masked));
	struct buf *all[] = { &line, &masked, &out, &shown };
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		buf_wipe(all[i]);
		buf_done(all[i]);
	}
}

void
imap_auth_challenge(struct imap_talk *x, struct str text)
{
	struct talk *t = x->t;
	struct buf out = BUF_INIT(32u << 10), shown = BUF_INIT(4096);
	enum talk_auth_status st = TALK_AUTH_READY;
	if (x->auth_fresh)
		st = talk_auth_initial(t, &out, &shown);
	if (st == TALK_AUTH_SEND && str_eq(buf_str(&out), STR("=")))
		buf_reset(&out); /* an empty message on a line of its own */
	if (st == TALK_AUTH_READY)
		st = talk_auth_step(t, text, &out, &shown);
	x->auth_fresh = false;
	/* READY: nothing more to say, but the server waits for a line. */
	(void)talk_send(t, buf_str(&out), shown.len ? buf_str(&shown) : STR_NULL);
	buf_wipe(&out);
	buf_done(&out);
	buf_done(&shown);
}

/* Where there is no mechanism, or the password was not typed. */
void
imap_login(struct imap_talk *x, struct str user)
{
	struct talk *t = x->t;
	struct buf name = BUF_INIT(1024), secret = BUF_INIT(4096), line = BUF_INIT(16384),
		   masked = BUF_INIT(4096);
	if (x->login_disabled) {
		event_warn(t->ev, "auth",
		    "The server offers no mechanism here and forbids LOGIN "
		    "(LOGINDISABLED): nothing was sent.%s",
		    t->link.tls ? "" : " STARTTLS first.");
		x->wrong = x->wrong ? x->wrong : CLIENT_AUTH;
		return;
	}
	if (talk_secret_risk(t) && !talk_can_ask(t)) {
		event_warn(t->ev, "auth",
		    t->link.tls ? "The certificate was not verified: --ca, --verify-name or --pin "
				  "verify it. Nothing was sent."
				: "The password would cross the line in clear: --allow-cleartext "
				  "allows it, STARTTLS is better. Nothing was sent.");
		x->wrong = x->wrong ? x->wrong : CLIENT_AUTH;
		return;
	}
	if (talk_credentials(t, STR("LOGIN"), user, &name, &secret)) {
		imap_next_tag(x, &line);
		buf_putz(&line, "LOGIN ");
		bool fits = imap_put_astring(&line, buf_str(&name), false);
		buf_puts(&masked, buf_str(&line));
		buf_putz(&line, " ");
		buf_putz(&masked, " <password hidden>");
		fits = imap_put_astring(&line, buf_str(&secret), false) && fits;
		if (!fits || line.failed)
			event_warn(t->ev, "auth",
			    "A name or password that is not plain ASCII goes by "
			    "AUTHENTICATE, not by LOGIN: nothing was sent.");
		else
			(void)imap_send(x, buf_str(&line), buf_str(&masked));
	}
	struct buf *all[] = { &name, &secret, &line, &masked };
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		buf_wipe(all[i]);
		buf_done(all[i]);
	}
}
