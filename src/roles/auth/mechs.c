/* Which mechanism may be used where, and when: what front has checked is checked again. */
#include "roles/auth/auth_priv.h"

#include "roles/auth/recent.h"
#include "sys/clock.h"
#include "sys/random.h"

static bool
listed(struct str mechs, const char *name)
{
	for (struct str w = str_word(&mechs); w.len; w = str_word(&mechs))
		if (str_ieq(w, str_of(name)))
			return true;
	return false;
}

/* RFC 5802 6: a client that says "y" was deceived only where a -PLUS was offered. */
void
auth_bindings(const struct auth *au, struct msg_sasl_start *m)
{
	struct str mechs = str_trim(str_of(au->conf->listeners[m->listener].mechs));
	if (mechs.len == 0)
		return;
	for (struct str w = str_word(&mechs); w.len; w = str_word(&mechs))
		if (str_iends(w, STR("-PLUS")))
			return;
	m->exporter = m->endpoint = m->unique = STR_NULL;
}

/* Kerberos has a process of its own. */
static bool
is_served(const struct auth *au, const struct sasl_mech *mech)
{
	bool token = mech->need == SASL_NEED_TOKEN;
	return (mech->need == SASL_NEED_TICKET) == au->kerberos && (!token || au->oauth);
}

enum sasl_verdict
auth_may(const struct auth *au, const struct msg_sasl_start *m, const struct sasl_mech *mech,
    const char **ret_why)
{
	if (m->listener >= au->conf->n_listeners) {
		*ret_why = "the listener is not known after a reload";
		return SASL_V_TEMPFAIL;
	}
	if (au->kerberos && !au->has_keytab) {
		*ret_why = "there is no keytab";
		return SASL_V_TEMPFAIL;
	}
	const struct conf_listener *l = &au->conf->listeners[m->listener];
	struct str mechs = str_trim(str_of(l->mechs));
	bool offered = mech && mech->pop && l->pop3_apop && str_eq(m->service, STR("pop"));
	bool asked_for = mech && (mech->weak || mech->need == SASL_NEED_TICKET);
	*ret_why = NULL;
	if (!mech || !is_served(au, mech))
		*ret_why = "no such mechanism";
	else if (mech->pop ? !offered : mechs.len ? !listed(mechs, mech->name) : asked_for)
		*ret_why = "the mechanism is not on for this listener";
	else if (!m->tls && !str_eq(str_of(l->auth_cleartext), STR("allow")))
		*ret_why = "the mechanism needs TLS";
	else if (!m->tls && (mech->binds || mech->need == SASL_NEED_EXTERNAL))
		*ret_why = "the mechanism leans on TLS";
	return *ret_why ? SASL_V_BADMECH : SASL_V_OK;
}

/* All logins over POP3 count, as soon as one listener has a delay; the delay is this listener's. */
void
auth_delay(const struct auth *au, const struct msg_sasl_start *m, struct msg_account *ret)
{
	const struct conf *c = au->conf;
	uint64_t delay =
	    m->listener < c->n_listeners ? c->listeners[m->listener].pop3_login_delay : 0;
	ret->pop = str_eq(m->service, STR("pop"));
	ret->delay = (uint32_t)MIN(delay, (uint64_t)UINT32_MAX);
}

bool
auth_again(struct auth *au, const struct msg_account *m)
{
	unsigned char key[16];
	if (!m->pop || (m->delay == 0 && !au->recent))
		return true;
	if (!au->recent) {
		random_bytes(key, sizeof(key));
		au->recent = recent_new(key);
		explicit_bzero(key, sizeof(key));
	}
	return recent_login(au->recent, m->name, (int64_t)m->delay * 1000, sys_mono_ms());
}
