/* fault: in a lab, the next matching situation is answered as if something had gone wrong. */
#include "roles/front/smtp_priv.h"

static const struct {
	const char *prefix;
	enum smtp_ask ask;
} matches[] = {
	{ "mail.", SMTP_ASK_MAIL },
	{ "rcpt.", SMTP_ASK_RCPT },
	{ "data.", SMTP_ASK_COMMIT },
	{ "starttls.", SMTP_ASK_TLS },
	{ "conn.limit.tls", SMTP_ASK_TLS },
	{ "auth.", SMTP_ASK_AUTH },
};

bool
fault_take(struct front *f, const struct ipc_frame *m)
{
	uint16_t v;
	if (str_eq(m->body, STR("\xff\xff"))) { /* somebody else's connection met it */
		f->fault = SMTP_NONE;
		return true;
	}
	if (!f->settings->conf->lab || !msg_u16_get(m->body, SMTP_SITUATION_COUNT, &v))
		return false;
	f->fault = v;
	return true;
}

static void
taken(struct front *f, struct conn *c)
{
	struct buf body = BUF_INIT(16);
	LOG(LOG_WARN, c->id, "fault", LOGZ("situation", smtp_situation_key[f->fault]));
	msg_u16_put(&body, (uint16_t)f->fault);
	chan_send(f->parent, IPC_FAULT_TAKEN, 0, buf_str(&body), -1);
	buf_done(&body);
	f->fault = SMTP_NONE;
}

bool
fault_strikes(struct conn *c, struct smtp_answer *a)
{
	struct front *f = c->front;
	bool waits = (c->smtp->letter && c->smtp->letter->state == LETTER_ASKED) ||
	             (c->login && c->login->asked);
	if (f->fault == SMTP_NONE || waits)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(matches); i++) {
		if (matches[i].ask != c->smtp->session.ask ||
		    !str_starts(str_of(smtp_situation_key[f->fault]), str_of(matches[i].prefix)))
			continue;
		a->situation = (enum smtp_situation)f->fault;
		taken(f, c);
		return true;
	}
	return false;
}

bool
fault_shuts(struct conn *c)
{
	struct front *f = c->front;
	if (f->fault != SMTP_SHUTDOWN || !c->smtp || c->smtp->session.phase != PHASE_COMMAND)
		return false;
	taken(f, c);
	return true;
}
