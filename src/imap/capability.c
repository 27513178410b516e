/* CAPABILITY (RFC 9051 6.1.1): what works here and now, or what a dialect or the file says. */
#include "imap/imap_priv.h"

#include "dialect/access_words.h"

/* What there is before login, and what only behind it. */
#define EARLY "IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ID ENABLE IDLE"
#define LATE                                                                                       \
	"IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS UNSELECT CHILDREN "         \
	"LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE MOVE ESEARCH SEARCHRES WITHIN "  \
	"CONDSTORE QRESYNC STATUS=SIZE MULTIAPPEND BINARY QUOTA QUOTA=RES-STORAGE "                \
	"UTF8=ACCEPT OBJECTID SAVEDATE PREVIEW SORT SORT=DISPLAY THREAD=REFERENCES "               \
	"THREAD=ORDEREDSUBJECT URLAUTH URL-PARTIAL"

const char *
imap_capabilities(void)
{
	return EARLY " LOGINDISABLED " LATE " COMPRESS=DEFLATE APPENDLIMIT";
}

static bool
listed(struct str list, struct str mech)
{
	for (struct str word; (word = str_word(&list)).len;)
		if (str_ieq(word, mech))
			return true;
	return false;
}

bool
imap_mech_works(const struct imap_session *s, struct str mech)
{
	return mech.len < sizeof(((struct imap_auth *)0)->mech) &&
	       (listed(s->conf->mechs, mech) || (s->tls && listed(s->conf->mechs_tls, mech)));
}

bool
imap_auth_allowed(const struct imap_session *s)
{
	return s->tls || (s->conf->auth_cleartext && !s->conf->tls_required);
}

bool
imap_login_allowed(const struct imap_session *s)
{
	return imap_auth_allowed(s) && imap_mech_works(s, STR("PLAIN"));
}

static void
put_mechs(struct buf *out, struct str list)
{
	for (struct str word; (word = str_word(&list)).len;)
		buf_putf(out, " AUTH=" STR_FMT, STR_ARG(word));
}

static void
put_early(const struct imap_session *s, struct buf *out)
{
	buf_putz(out, EARLY);
	if (!s->tls && (s->conf->starttls || s->conf->starttls_refuse))
		buf_putz(out, " STARTTLS");
	if (!imap_login_allowed(s))
		buf_putz(out, " LOGINDISABLED");
	if (!imap_auth_allowed(s))
		return;
	put_mechs(out, s->conf->mechs);
	if (s->tls)
		put_mechs(out, s->conf->mechs_tls);
}

/* The list that was configured for a session like this one; empty: none. */
static struct str
chosen(const struct imap_session *s)
{
	const struct imap_conf *conf = s->conf;
	if (s->state != IMAP_STRANGER && s->state != IMAP_GREETING)
		return conf->wording->shown[IMAP_SHOWN_AUTH];
	if (s->tls)
		return conf->capability_tls.len ? conf->capability_tls
		                                : conf->wording->shown[IMAP_SHOWN_TLS];
	return conf->capability_pre.len ? conf->capability_pre
	                                : conf->wording->shown[IMAP_SHOWN_PRE];
}

void
imap_put_capabilities(const struct imap_session *s, struct buf *out)
{
	struct str list = chosen(s);
	if (list.len) {
		buf_puts(out, list);
		return;
	}
	if (s->state == IMAP_STRANGER || s->state == IMAP_GREETING) {
		put_early(s, out);
		return;
	}
	buf_putz(out, LATE);
	if (!(s->flags & F_DEFLATED))
		buf_putz(out, " COMPRESS=DEFLATE");
	if (s->conf->max_size != UINT64_MAX)
		buf_putf(out, " APPENDLIMIT=%llu", (unsigned long long)s->conf->max_size);
}

void
imap_tell_capabilities(struct imap_session *s)
{
	struct buf *out = s->cmd->out;
	buf_putz(out, "* CAPABILITY ");
	imap_put_capabilities(s, out);
	buf_putz(out, "\r\n");
}

enum imap_run
imap_cmd_capability(struct imap_session *s)
{
	if (!imap_lex_end(&s->cmd->lex))
		return imap_bad(s, "%s", s->cmd->lex.why);
	imap_tell_capabilities(s);
	return imap_ok(s, NULL, NULL);
}
