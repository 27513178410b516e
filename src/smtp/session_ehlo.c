/* What EHLO lists: a dialect's lines whose condition holds in this session, at this moment. */
#include "base/date.h"
#include "smtp/session_priv.h"

#include <stdio.h>

/* RFC 9422 4: a value is 1 to 999999; a limit that is none of these is not told. */
static bool
limit_tellable(uint64_t v)
{
	return v >= 1 && v <= 999999;
}

struct str
smtp_limits_text(char *dst, size_t n, const struct smtp_conf *conf)
{
	size_t len = 0;
	if (limit_tellable(conf->msgs_per_session))
		len += (size_t)snprintf(dst, n, "MAILMAX=%u ", (unsigned)conf->msgs_per_session);
	if (limit_tellable(conf->rcpts_per_msg))
		len += (size_t)snprintf(dst + len, n - len, "RCPTMAX=%u ",
		    (unsigned)conf->rcpts_per_msg);
	return str_n(dst, len ? len - 1 : 0);
}

/* RFC 4865 3: how many seconds ahead, and when that is. */
struct str
smtp_hold_text(char *dst, size_t n, const struct smtp_conf *conf, int64_t wall)
{
	uint64_t ahead = MIN(conf->hold_seconds, (uint64_t)999999999);
	struct date d = date_of(wall + (int64_t)ahead, 0);
	int len = snprintf(dst, n, "%llu %04d-%02d-%02dT%02d:%02d:%02dZ", (unsigned long long)ahead,
	    d.year, d.mon, d.day, d.hour, d.min, d.sec);
	check(len > 0);
	return str_n(dst, MIN((size_t)len, n - 1));
}

struct str
smtp_mechs(const struct smtp_session *s, char *dst, size_t n)
{
	struct buf b = BUF_INIT(n);
	/* A dialect may show what does not work here. */
	buf_puts(&b, s->conf->mechs.len ? s->conf->mechs : s->conf->wording->quirks.mechs);
	if (s->tls && s->conf->mechs_tls.len) {
		buf_putz(&b, b.len ? " " : "");
		buf_puts(&b, s->conf->mechs_tls);
	}
	struct str text = str_first(buf_str(&b), n);
	if (text.len)
		memcpy(dst, text.p, text.len);
	buf_done(&b);
	return str_n(dst, text.len);
}

/* A dialect may show STARTTLS where it does not work, or hide it where it does. */
static bool
starttls_shown(const struct smtp_session *s)
{
	switch (s->conf->wording->quirks.tls_advert) {
	case TLS_ADVERT_ALWAYS:
	case TLS_ADVERT_REFUSE:
		return !s->tls;
	case TLS_ADVERT_NEVER:
		return false;
	default:
		return !s->tls && (s->conf->starttls || s->conf->starttls_refuse);
	}
}

static bool
auth_works(const struct smtp_session *s)
{
	const struct smtp_conf *conf = s->conf;
	return conf->auth && (s->tls || (conf->auth_cleartext && !conf->tls_required)) &&
	       (conf->mechs.len || (s->tls && conf->mechs_tls.len));
}

static void
conditions(const struct smtp_session *s, bool cond[SMTP_COND_COUNT])
{
	const struct smtp_conf *conf = s->conf;
	bool ours = s->ours || s->authenticated;
	const bool now[SMTP_COND_COUNT] = {
		[SMTP_COND_starttls] = starttls_shown(s),
		[SMTP_COND_tls] = s->tls,
		[SMTP_COND_auth] = auth_works(s),
		[SMTP_COND_atrn] = conf->atrn && auth_works(s),
		[SMTP_COND_etrn] = conf->etrn && (conf->etrn_all || ours),
		[SMTP_COND_prdr] = conf->prdr,
		[SMTP_COND_burl] = conf->burl && s->authenticated,
		[SMTP_COND_xverp] = conf->verp && ours,
		[SMTP_COND_nosoliciting] = conf->no_soliciting.len > 0,
		[SMTP_COND_vrfy] = conf->vrfy,
		[SMTP_COND_expn] = conf->expn,
		[SMTP_COND_deliverby] = conf->deliver_by,
		[SMTP_COND_size] = conf->max_size != SMTP_LIMIT_OFF,
		[SMTP_COND_dsn] = true,
		[SMTP_COND_chunking] = true,
		[SMTP_COND_smtputf8] = true,
		[SMTP_COND_ipmm] = conf->ipmm,
		[SMTP_COND_limits] =
		    limit_tellable(conf->msgs_per_session) || limit_tellable(conf->rcpts_per_msg),
		[SMTP_COND_requiretls] = conf->requiretls && s->tls,
		[SMTP_COND_futurerelease] = conf->hold_seconds > 0 && ours,
		[SMTP_COND_mtpriority] = conf->mt_priority,
		[SMTP_COND_xclient] = conf->xclient && (s->flags & F_XCLIENT),
		[SMTP_COND_xforward] = conf->xforward && (s->flags & F_XFORWARD),
	};
	memcpy(cond, now, sizeof(now));
}

/* Not every dialect lists AUTH where it works; some list it where it does not. */
bool
smtp_auth_shown(const struct smtp_session *s)
{
	const struct smtp_wording *w = s->conf->wording;
	bool cond[SMTP_COND_COUNT];
	conditions(s, cond);
	for (size_t i = 0; i < w->n_cap; i++)
		if (smtp_cap_shown(&w->cap[i], cond) &&
		    (str_istarts(w->cap[i].text, STR("AUTH ")) ||
			str_istarts(w->cap[i].text, STR("AUTH="))))
			return true;
	return false;
}

void
smtp_reply_hello(struct smtp_turn *t)
{
	size_t from = t->out->len;
	bool cond[SMTP_COND_COUNT];
	struct smtp_vars vars;
	struct smtp_scratch x;
	conditions(t->s, cond);
	smtp_vars_fill(t, STR_NULL, &vars, &x, NULL);
	smtp_ehlo_put(t->out, t->s->conf->wording, &vars, cond);
	smtp_note_replies(t, from);
}
