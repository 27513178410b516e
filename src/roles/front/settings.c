#include "roles/front/front_priv.h"

#include "dialect/access_words.h"
#include "sasl/sasl.h"

#include <stdlib.h>

#define LMTP_RCPTS_MAX 1000
#define MECHS_MAX 1024  /* octets of a list of mechanisms */
#define BAD_COMMANDS 4u /* limit.bad_commands where nobody has set it */

static bool
find_dialect(void *arg, struct str name, struct str *ret_text)
{
	const struct conf *c = arg;
	for (size_t i = 0; i < c->n_dialects; i++) {
		if (str_eq(str_of(c->dialects[i].name), name)) {
			*ret_text = str_of(c->dialects[i].text);
			return true;
		}
	}
	return dialect_find_builtin(NULL, name, ret_text);
}

/* yes, no, or what the dialect says, or fallback where it says nothing. */
static bool
tri(const char *value, const char *yes, const char *no, int quirk, bool fallback)
{
	if (strcmp(value, yes) == 0)
		return true;
	if (strcmp(value, no) == 0)
		return false;
	return quirk < 0 ? fallback : quirk == 1;
}

static struct str
or_else(const char *value, struct str fallback)
{
	return value && value[0] ? str_of(value) : fallback;
}

static enum smtp_helo_check
helo_check_of(const char *name)
{
	static const char *const names[] = { "lenient", "syntax", "fqdn", "dns" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum smtp_helo_check)i;
	return HELO_LENIENT;
}

/* As tri(): the dialect is asked where the configuration says nothing. It may be stricter than
 * ours; more patience is for a lab. */
static uint64_t
bad_commands(const struct conf_listener *l, const struct smtp_quirks *q)
{
	uint64_t quirk = (uint64_t)MAX(q->bad_cmd_limit, 0);
	if (l->limit_bad_commands != BAD_COMMANDS || q->bad_cmd_limit < 0)
		return l->limit_bad_commands;
	return l->lab ? quirk : MIN(quirk, BAD_COMMANDS);
}

static void
translate_limits(const struct conf_listener *l, struct smtp_conf *s)
{
	s->max_size = l->max_size;
	s->command_line = l->limit_command_line;
	s->msgs_per_session = l->limit_msgs_per_session;
	s->rcpts_per_msg = l->limit_rcpts_per_msg;
	/* A reply for each, and all of them must have room at once (STREAM_OUT_MAX). */
	if (conf_is_lmtp(l))
		s->rcpts_per_msg = MIN(s->rcpts_per_msg, (uint64_t)LMTP_RCPTS_MAX);
	s->hops = l->limit_hops;
	s->header_lines = l->limit_header_lines;
	s->header_bytes = l->limit_header_bytes;
	s->conn_seconds = l->limit_conn_seconds;
	s->inject_seconds = l->limit_inject_seconds;
	s->idle_seconds = l->limit_idle_seconds;
	s->data_seconds = l->limit_data_seconds;
	s->data_rate = l->limit_data_rate;
	s->err_no = l->err_no;
}

/* Which list a mechanism belongs to, or none: the weak ones, and Kerberos, must be asked for. */
static struct buf *
list_for(const struct sasl_mech *m, bool named, struct buf *plain, struct buf *tls)
{
	if (!m || m->pop || ((m->weak || m->need == SASL_NEED_TICKET) && !named))
		return NULL;
	return m->binds || m->need == SASL_NEED_EXTERNAL ? tls : plain;
}

static void
add_mechs(struct str names, bool named, struct buf *plain, struct buf *tls)
{
	for (struct str word; (word = str_word(&names)).len;) {
		char name[SASL_MECH_MAX];
		if (!str_copy(name, sizeof(name), word))
			continue;
		for (char *p = name; *p; p++)
			*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
		struct buf *out = list_for(sasl_mech_find(str_of(name)), named, plain, tls);
		if (!out)
			continue;
		if (out->len)
			buf_putc(out, ' ');
		buf_putz(out, name);
	}
}

/* The configuration's list, or the dialect's, or ours. */
static void
list_mechs(const struct conf *c, const struct conf_listener *l, struct str of_dialect,
    struct buf *plain, struct buf *tls)
{
	if (l->mechs[0]) {
		add_mechs(str_of(l->mechs), true, plain, tls);
		return;
	}
	if (of_dialect.len) {
		add_mechs(of_dialect, false, plain, tls);
		return;
	}
	add_mechs(STR("SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1"), false,
	    plain, tls);
	if (l->tls_client_ca[0])
		add_mechs(STR("EXTERNAL"), false, plain, tls);
	if (c->oauth_keys[0] || c->oauth_introspect_url[0])
		add_mechs(STR("OAUTHBEARER XOAUTH2"), false, plain, tls);
	add_mechs(STR("PLAIN LOGIN"), false, plain, tls);
}

static void
translate_doors(const struct conf_listener *l, const struct smtp_quirks *q, struct smtp_conf *s)
{
	s->starttls_refuse = strcmp(l->starttls, "advertise-refuse") == 0;
	s->tls_required = conf_tls_required(l);
	s->tls_required_senders = conf_is_lmtp(l) ? STR_NULL : str_of(l->tls_required_senders);
	s->auth = conf_auth(l);
	s->auth_required = conf_auth_required(l);
	s->auth_cleartext = strcmp(l->auth_cleartext, "allow") == 0;
	s->auth_unadvertised =
	    tri(l->auth_unadvertised, "accept", "refuse", q->auth_unadvertised, false);
	s->submission = conf_submission(l);
	s->burl = s->submission && s->auth;
	s->ipmm = tri(l->ipmm, "yes", "no", q->ipmm, false) && !conf_is_lmtp(l);
	s->ipmm_brackets = tri(l->ipmm_subst, "brackets", "entities", q->ipmm_brackets, false);
	s->ipmm_parts = l->limit_ipmm_parts;
	s->ipmm_rcpts = l->limit_ipmm_rcpts;
	s->xclient = l->xclient_peers[0] != '\0';
	s->xforward = l->xforward_peers[0] != '\0';
}

/* What needs a queue, and those who use it. LMTP has none (RFC 2033 4.1). */
static void
translate_onward(const struct conf *c, const struct conf_listener *l, struct smtp_conf *s)
{
	if (s->lmtp)
		return;
	s->requiretls = s->mt_priority = s->deliver_by = true;
	s->hold_seconds = l->limit_hold_seconds == CONF_OFF ? 0 : l->limit_hold_seconds;
	s->verp = l->verp;
	s->prdr = l->prdr;
	s->atrn = conf_atrn(c, l);
	s->etrn = l->etrn;
	s->etrn_all = c->relay_domains[0] != '\0';
}

/* RFC 3865 2.2: in commands and replies commas part them. */
static void
list_classes(const struct conf_listener *l, struct buf *out)
{
	struct str list = str_of(l->no_soliciting);
	while (list.len) {
		size_t n = str_find_any(list, ", \t");
		if (n)
			buf_putf(out, "%s" STR_FMT, out->len ? "," : "",
			    STR_ARG(str_first(list, n)));
		list = str_skip(list, n + 1);
	}
}

/* Only a lab has dialects that say so (dialect_fits). */
static bool
lf_by_dialect(const struct conf_listener *l, const struct smtp_quirks *q)
{
	return q->lab_only && q->bare_lf == 1 && strcmp(l->bare_lf, "auto") == 0;
}

static void
translate(const struct conf *c, const struct conf_listener *l, const struct smtp_wording *w,
    struct smtp_conf *s)
{
	const struct smtp_quirks *q = &w->quirks;
	struct str host = or_else(l->host, str_of(c->hostname));
	*s = (struct smtp_conf){
		.wording = w,
		.host = host,
		.ehlo_host = or_else(l->ehlo_host, host),
		.hub_host = or_else(l->hub_host, host),
		.lmtp = conf_is_lmtp(l),
		.ehlo = l->ehlo,
		.require_helo = tri(l->require_helo, "yes", "no", q->require_helo, true),
		.helo_arg_optional =
		    tri(l->helo_arg, "optional", "required", q->helo_arg_optional, false),
		.helo_check = helo_check_of(l->helo_check),
		.angle_brackets_required = tri(l->angle_brackets, "required", "optional",
		    q->angle_brackets_required, false),
		.dot_space_end = strcmp(l->dot_space, "end") == 0,
		.line_editing = l->line_editing,
		.bare_lf = conf_bare_lf_session(l) || lf_by_dialect(l, q) ? BARE_LF_SESSION
		                                                          : BARE_LF_REJECT,
		.quit_silent = tri(l->quit_silent, "yes", "no", q->quit_silent, false),
		.vrfy = l->vrfy,
		.expn = l->expn,
		.add_missing_headers =
		    strcmp(l->add_missing_headers, "never") != 0 && !conf_is_lmtp(l),
		.two_from_ok = l->two_from,
		.disabled = str_of(l->service_disabled),
	};
	translate_doors(l, q, s);
	translate_onward(c, l, s);
	translate_limits(l, s);
	s->bad_commands = bad_commands(l, q);
}

static void
translate_imap(const struct conf *c, const struct conf_listener *l, const struct smtp_wording *w,
    struct imap_conf *s)
{
	*s = (struct imap_conf){
		.wording = &w->access->imap,
		.host = or_else(l->host, str_of(c->hostname)),
		.capability_pre = str_of(l->imap_capability_pre),
		.capability_tls = str_of(l->imap_capability_tls),
		.separator = l->imap_separator[0] == '.' ? '.' : '/',
		.starttls_refuse = strcmp(l->starttls, "advertise-refuse") == 0,
		.tls_required = conf_tls_required(l),
		.auth_cleartext = strcmp(l->auth_cleartext, "allow") == 0,
		.bare_lf = conf_bare_lf_session(l) || lf_by_dialect(l, &w->quirks),
		.max_size = l->max_size,
		.bad_commands = l->limit_bad_commands,
		.idle_seconds = conf_idle_seconds(l),
		.login_seconds = l->limit_idle_seconds,
		.conn_seconds = l->limit_conn_seconds,
		.version = STR(PENNYPOST_VERSION),
	};
}

static void
translate_pop3(const struct conf *c, const struct conf_listener *l, const struct smtp_wording *w,
    struct pop3_conf *s)
{
	*s = (struct pop3_conf){
		.wording = &w->access->pop3,
		.host = or_else(l->host, str_of(c->hostname)),
		.stls_refuse = strcmp(l->starttls, "advertise-refuse") == 0,
		.tls_required = conf_tls_required(l),
		.auth_cleartext = strcmp(l->auth_cleartext, "allow") == 0,
		.apop = l->pop3_apop,
		.bare_lf = conf_bare_lf_session(l) || lf_by_dialect(l, &w->quirks),
		.bad_commands = l->limit_bad_commands,
		.idle_seconds = conf_idle_seconds(l),
		.conn_seconds = l->limit_conn_seconds,
		.login_delay = l->pop3_login_delay,
		.expire_days = l->pop3_expire,
		.implementation = STR("Pennypost-" PENNYPOST_VERSION),
	};
}

static struct smtp_wording *
load_wording(struct conf *c, const struct conf_listener *l, struct buf *err)
{
	struct str name = conf_is_lmtp(l) ? STR("rfc") : str_of(l->dialect);
	struct smtp_wording *w = dialect_load(name, find_dialect, c, err);
	size_t pos = 0;
	struct str key;
	void *text;
	if (w && !dialect_fits(w, l->lab, err))
		w = dialect_free(w);
	while (w && map_next(&l->replies, &pos, &key, &text))
		if (!dialect_override(w, key, str_of(text), err))
			w = dialect_free(w);
	return w;
}

static bool
read_peers(const struct conf_listener *l, struct cidr_list *peers, struct buf *err)
{
	const struct {
		const char *key, *text;
	} rows[PEERS_COUNT] = {
		[PEERS_RELAY] = { "relay_ip", l->relay_ip },
		[PEERS_PROXY] = { "proxy_peers", l->proxy_peers },
		[PEERS_XCLIENT] = { "xclient_peers", l->xclient_peers },
		[PEERS_XFORWARD] = { "xforward_peers", l->xforward_peers },
	};
	for (size_t i = 0; i < PEERS_COUNT; i++) {
		struct str wrong;
		enum cidr_verdict v = cidr_list_parse(str_of(rows[i].text), &peers[i], &wrong);
		if (v == CIDR_OK)
			continue;
		buf_putf(err, "%s: \"" STR_FMT "\": %s\n", rows[i].key, STR_ARG(wrong),
		    cidr_verdict_text[v]);
		return false;
	}
	return true;
}

static bool
read_listener(struct settings *s, size_t i, struct buf *err)
{
	const struct conf_listener *l = &s->conf->listeners[i];
	struct buf *plain = &s->mechs[2 * i], *tls = plain + 1;
	buf_init(plain, MECHS_MAX);
	buf_init(tls, MECHS_MAX);
	s->wording[i] = load_wording(s->conf, l, err);
	if (!s->wording[i] || !read_peers(l, s->peers[i], err))
		return false;
	translate(s->conf, l, s->wording[i], &s->smtp[i]);
	translate_imap(s->conf, l, s->wording[i], &s->imap[i]);
	translate_pop3(s->conf, l, s->wording[i], &s->pop3[i]);
	list_mechs(s->conf, l, s->wording[i]->quirks.mechs, plain, tls);
	buf_init(&s->classes[i], CONF_TEXT_MAX);
	list_classes(l, &s->classes[i]);
	s->smtp[i].no_soliciting = buf_str(&s->classes[i]);
	s->smtp[i].mechs = s->imap[i].mechs = s->pop3[i].mechs = buf_str(plain);
	s->smtp[i].mechs_tls = s->imap[i].mechs_tls = s->pop3[i].mechs_tls = buf_str(tls);
	return true;
}

struct settings *
settings_new(struct conf *conf, const struct charsets *charsets, struct buf *err)
{
	struct settings *s = xalloc(sizeof(*s));
	list_init(&s->node);
	s->refs = 1;
	s->conf = conf;
	s->n = conf->n_listeners;
	s->smtp = xalloc(s->n * sizeof(*s->smtp));
	s->imap = xalloc(s->n * sizeof(*s->imap));
	s->pop3 = xalloc(s->n * sizeof(*s->pop3));
	s->wording = xalloc(s->n * sizeof(struct smtp_wording *));
	s->mechs = xalloc(s->n * 2 * sizeof(*s->mechs));
	s->classes = xalloc(s->n * sizeof(*s->classes));
	s->peers = xalloc(s->n * sizeof(*s->peers));
	s->tls = xalloc(s->n * sizeof(struct tls_server *));
	for (size_t i = 0; i < s->n; i++) {
		if (!read_listener(s, i, err))
			return settings_unref(s);
		s->imap[i].charsets = charsets;
	}
	return s;
}

struct settings *
settings_ref(struct settings *s)
{
	s->refs++;
	return s;
}

static void
listener_done(struct settings *s, size_t i)
{
	dialect_free(s->wording[i]);
	buf_done(&s->mechs[2 * i]);
	buf_done(&s->mechs[2 * i + 1]);
	buf_done(&s->classes[i]);
	for (size_t k = 0; k < PEERS_COUNT; k++)
		cidr_list_done(&s->peers[i][k]);
	tls_server_free(s->tls[i]);
}

struct settings *
settings_unref(struct settings *s)
{
	if (!s || --s->refs > 0)
		return NULL;
	list_del(&s->node);
	for (size_t i = 0; i < s->n; i++)
		listener_done(s, i);
	free(s->wording);
	free(s->mechs);
	free(s->classes);
	free(s->smtp);
	free(s->imap);
	free(s->pop3);
	free(s->peers);
	free(s->tls);
	conf_free(s->conf);
	free(s);
	return NULL;
}
