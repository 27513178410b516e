/* What a dialect shows against what a listener does. */
#include "dialect/dialect.h"

#include "base/num.h"
#include "dialect/access_words.h"

struct checker {
	const struct smtp_wording *w;
	const struct dialect_works *works;
	struct buf *warnings;
	unsigned n;
	bool starttls, auth; /* are shown, in clear or inside TLS */
};

static void PRINTF(2, 3) warn(struct checker *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(c->warnings, fmt, ap);
	buf_putc(c->warnings, '\n');
	va_end(ap);
	c->n++;
}

static bool
listed(struct str list, struct str word)
{
	for (struct str w; (w = str_word(&list)).len;)
		if (str_ieq(w, word))
			return true;
	return false;
}

static void
check_starttls(struct checker *c, struct str args)
{
	c->starttls = true;
	if (!c->works->starttls)
		warn(c,
		    "STARTTLS is shown and does not work; set starttls = yes, or let a client see "
		    "that it is refused");
}

static void
check_mechs(struct checker *c, struct str mechs)
{
	/* ${mechs}: the ones that work. */
	for (struct str m; (m = str_word(&mechs)).len;)
		if (m.p[0] != '$' && !listed(c->works->mechs, m))
			warn(c,
			    "AUTH " STR_FMT
			    " is shown and does not work; name it in mechs if it shall",
			    STR_ARG(m));
}

static void
check_auth(struct checker *c, struct str args)
{
	bool again = c->auth;
	c->auth = true;
	if (!c->works->auth && again)
		return;
	if (!c->works->auth)
		warn(c, "AUTH is shown and does not work; set auth = yes");
	else
		check_mechs(c, args);
}

static void
check_size(struct checker *c, struct str args)
{
	uint64_t n;
	struct str word = str_word(&args);
	if (num_u64(word, UINT64_MAX, &n) && n != 0 && n != c->works->max_size)
		warn(c, "SIZE " STR_FMT " is shown, but max_size is %llu", STR_ARG(word),
		    (unsigned long long)c->works->max_size);
}

static void
check_never(struct checker *c, struct str args)
{
}

static void
check_vrfy(struct checker *c, struct str args)
{
	if (!c->works->vrfy)
		warn(c,
		    "VRFY is shown, but says 252 to everything; set vrfy = yes if it shall tell");
}

static void
check_expn(struct checker *c, struct str args)
{
	if (!c->works->expn)
		warn(c, "EXPN is shown and does not work; set expn = yes");
}

static void
check_ipmm(struct checker *c, struct str args)
{
	if (!c->works->ipmm)
		warn(c, "mail merge (XMRG, XACK, VERP) is shown and does not work; set ipmm = yes");
}

static void
check_xclient(struct checker *c, struct str args)
{
	if (!c->works->xclient)
		warn(c, "XCLIENT is shown, but nobody may use it; name peers in xclient_peers");
}

static void
check_xforward(struct checker *c, struct str args)
{
	if (!c->works->xforward)
		warn(c, "XFORWARD is shown, but nobody may use it; name peers in xforward_peers");
}

static void
check_etrn(struct checker *c, struct str args)
{
	if (!c->works->etrn)
		warn(c, "ETRN is shown and does not work; set etrn = yes");
}

static void
check_prdr(struct checker *c, struct str args)
{
	if (!c->works->prdr)
		warn(c, "PRDR is shown and does not work; set prdr = yes");
}

static void
check_verp(struct checker *c, struct str args)
{
	if (!c->works->verp)
		warn(c, "XVERP is shown and does not work; set verp = yes");
}

static void
check_no_soliciting(struct checker *c, struct str args)
{
	if (!c->works->no_soliciting)
		warn(c, "NO-SOLICITING is shown, but no class is refused; name some in "
			"no_soliciting");
}

/* Enhanced codes stand behind the code of a good reply (RFC 2034 4). */
static void
check_codes(struct checker *c, struct str args)
{
	struct str text = str_skip(c->w->reply[SMTP_MAIL_OK], 4), word = str_word(&text);
	struct str class = str_cut(&word, '.'), subject = str_cut(&word, '.');
	uint64_t v;
	if (!num_u64(class, 5, &v) || !num_u64(subject, 999, &v) || !num_u64(word, 999, &v))
		warn(c, "ENHANCEDSTATUSCODES is shown, but the replies have none");
}

static void
check_absent(struct checker *c, struct str args)
{
	warn(c, "is shown and does not work in this version");
}

static const struct row {
	const char *keyword;
	void (*look)(struct checker *c, struct str args);
} rows[] = {
	{ "STARTTLS", check_starttls }, { "AUTH", check_auth }, { "SIZE", check_size },
	{ "VRFY", check_vrfy }, { "EXPN", check_expn }, { "XMRG", check_ipmm },
	{ "XACK", check_ipmm }, { "VERP", check_ipmm }, { "XLSMTP-ACKRCPT", check_ipmm },
	{ "XCLIENT", check_xclient }, { "XFORWARD", check_xforward },
	{ "ENHANCEDSTATUSCODES", check_codes }, { "PIPELINING", check_never },
	{ "8BITMIME", check_never }, { "BINARYMIME", check_never }, { "CHUNKING", check_never },
	{ "SMTPUTF8", check_never }, { "DSN", check_never }, { "HELP", check_never },
	{ "ETRN", check_etrn }, { "PRDR", check_prdr }, { "XVERP", check_verp },
	{ "NO-SOLICITING", check_no_soliciting }, { "DELIVERBY", check_never },
	{ "REQUIRETLS", check_never }, { "FUTURERELEASE", check_never },
	{ "MT-PRIORITY", check_never }, { "LIMITS", check_never }, { "BURL", check_never },
	{ "OK", check_never }, /* no capability: IIS ends its list so */
};

static void
check_cap(struct checker *c, struct str text)
{
	struct str args = text, keyword = str_word(&args);
	if (str_istarts(keyword, STR("AUTH="))) {
		args = str_skip(text, 5);
		keyword = STR("AUTH");
	}
	keyword = str_first(keyword, str_find(keyword, '$')); /* ${sp} at its end */
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_ieq(keyword, str_of(rows[i].keyword))) {
			rows[i].look(c, args);
			return;
		}
	}
	buf_putf(c->warnings, STR_FMT " ", STR_ARG(keyword));
	check_absent(c, args);
}

/* Conditions under which a line appears at all, in clear or inside TLS. */
static void
conditions(const struct checker *c, bool tls, bool cond[SMTP_COND_COUNT])
{
	const struct dialect_works *k = c->works;
	int advert = c->w->quirks.tls_advert;
	bool starttls = !tls && advert != TLS_ADVERT_NEVER &&
	                (k->starttls || advert == TLS_ADVERT_ALWAYS || advert == TLS_ADVERT_REFUSE);
	const bool now[SMTP_COND_COUNT] = {
		[SMTP_COND_starttls] = starttls,
		[SMTP_COND_tls] = tls,
		[SMTP_COND_auth] =
		    k->auth && k->mechs.len && (tls || (k->auth_cleartext && !k->tls_required)),
		[SMTP_COND_vrfy] = k->vrfy,
		[SMTP_COND_expn] = k->expn,
		[SMTP_COND_size] = k->max_size != UINT64_MAX,
		[SMTP_COND_dsn] = true,
		[SMTP_COND_chunking] = true,
		[SMTP_COND_smtputf8] = true,
		[SMTP_COND_ipmm] = k->ipmm,
		[SMTP_COND_limits] = true,
		[SMTP_COND_deliverby] = true,
		[SMTP_COND_requiretls] = tls,
		[SMTP_COND_futurerelease] = true,
		[SMTP_COND_mtpriority] = true,
		[SMTP_COND_etrn] = k->etrn,
		[SMTP_COND_prdr] = k->prdr,
		[SMTP_COND_xverp] = k->verp,
		[SMTP_COND_nosoliciting] = k->no_soliciting,
	};
	memcpy(cond, now, sizeof(now));
}

static void
check_hidden(struct checker *c)
{
	const struct dialect_works *k = c->works;
	if (k->starttls && !c->starttls)
		warn(c, "STARTTLS works and is not shown: clients that would encrypt will not");
	if (k->auth && !c->auth && !k->auth_unadvertised)
		warn(c, "AUTH is on but not shown, so it does not work; set auth_unadvertised = "
			"accept");
	if (k->auth && !k->auth_cleartext && !k->starttls)
		warn(c, "AUTH is on, but needs TLS, which is off");
}

/* --- IMAP --- */

static void
check_imap_word(struct checker *c, struct str word, bool tls)
{
	const struct dialect_works *k = c->works;
	struct str name = word;
	if (str_istarts(word, STR("APPENDLIMIT="))) /* RFC 7889 3: with or without a number */
		name = STR("APPENDLIMIT");
	if (str_istarts(word, STR("AUTH="))) {
		check_mechs(c, str_skip(word, 5));
		return;
	}
	if (tls && str_ieq(word, STR("STARTTLS")))
		warn(c, "[imap] STARTTLS is shown inside TLS, where it is refused");
	else if (!tls && str_ieq(word, STR("STARTTLS")) && !k->starttls)
		warn(c, "[imap] STARTTLS is shown and does not work; set starttls = yes");
	else if (!listed(k->imap, name) && !str_ieq(word, STR("STARTTLS")))
		warn(c, "[imap] " STR_FMT " is shown and does not work in this version",
		    STR_ARG(word));
}

static void
check_imap_list(struct checker *c, enum imap_shown which)
{
	const struct dialect_works *k = c->works;
	struct str list = c->w->access->imap.shown[which], rest = list;
	bool clear = which == IMAP_SHOWN_PRE;
	for (struct str word; (word = str_word(&rest)).len;)
		check_imap_word(c, word, !clear);
	if (list.len && clear && k->starttls && !listed(list, STR("STARTTLS")))
		warn(c,
		    "[imap] STARTTLS works and is not shown: clients that would encrypt will not");
	if (list.len && clear && !k->auth_cleartext && !listed(list, STR("LOGINDISABLED")))
		warn(c, "[imap] LOGINDISABLED is not shown, and LOGIN does not work before TLS: "
			"passwords will come in clear");
}

unsigned
dialect_check(const struct smtp_wording *w, const struct dialect_works *works, struct buf *warnings)
{
	struct checker c = { .w = w, .works = works, .warnings = warnings };
	bool clear[SMTP_COND_COUNT], tls[SMTP_COND_COUNT];
	conditions(&c, false, clear);
	conditions(&c, true, tls);
	for (size_t i = 0; i < w->n_cap; i++)
		if (smtp_cap_shown(&w->cap[i], clear) ||
		    (works->starttls && smtp_cap_shown(&w->cap[i], tls)))
			check_cap(&c, w->cap[i].text);
	check_hidden(&c);
	for (int i = 0; works->imap.len && w->access && i < IMAP_SHOWN_COUNT; i++)
		check_imap_list(&c, (enum imap_shown)i);
	return c.n;
}
