#include "roles/front/front_priv.h"

#include <stdlib.h>

#define LMTP_RCPTS_MAX 1000

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

static void
translate_limits(const struct conf_listener *l, struct smtp_conf *s)
{
	s->max_size = l->max_size;
	s->bad_commands = l->limit_bad_commands;
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
		.bare_lf = conf_bare_lf_session(l) ? BARE_LF_SESSION : BARE_LF_REJECT,
		.quit_silent = tri(l->quit_silent, "yes", "no", q->quit_silent, false),
		.vrfy = l->vrfy,
		.expn = l->expn,
		.add_missing_headers =
		    strcmp(l->add_missing_headers, "never") != 0 && !conf_is_lmtp(l),
		.two_from_ok = l->two_from,
		.mechs = or_else(l->mechs, q->mechs),
		.disabled = str_of(l->service_disabled),
	};
	translate_limits(l, s);
}

static struct smtp_wording *
load_wording(struct conf *c, const struct conf_listener *l, struct buf *err)
{
	struct str name = conf_is_lmtp(l) ? STR("rfc") : str_of(l->dialect);
	struct smtp_wording *w = dialect_load(name, find_dialect, c, err);
	size_t pos = 0;
	struct str key;
	void *text;
	while (w && map_next(&l->replies, &pos, &key, &text))
		if (!dialect_override(w, key, str_of(text), err))
			w = dialect_free(w);
	return w;
}

struct settings *
settings_new(struct conf *conf, struct buf *err)
{
	struct settings *s = xalloc(sizeof(*s));
	s->refs = 1;
	s->conf = conf;
	s->n = conf->n_listeners;
	s->smtp = xalloc(s->n * sizeof(*s->smtp));
	s->wording = xalloc(s->n * sizeof(struct smtp_wording *));
	s->relay = xalloc(s->n * sizeof(*s->relay));
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_listener *l = &conf->listeners[i];
		struct str wrong;
		s->wording[i] = load_wording(conf, l, err);
		if (!s->wording[i])
			return settings_unref(s);
		enum cidr_verdict v = cidr_list_parse(str_of(l->relay_ip), &s->relay[i], &wrong);
		if (v != CIDR_OK) {
			buf_putf(err, "relay_ip: \"" STR_FMT "\": %s\n", STR_ARG(wrong),
			    cidr_verdict_text[v]);
			return settings_unref(s);
		}
		translate(conf, l, s->wording[i], &s->smtp[i]);
	}
	return s;
}

struct settings *
settings_ref(struct settings *s)
{
	s->refs++;
	return s;
}

struct settings *
settings_unref(struct settings *s)
{
	if (!s || --s->refs > 0)
		return NULL;
	for (size_t i = 0; i < s->n; i++) {
		dialect_free(s->wording[i]);
		cidr_list_done(&s->relay[i]);
	}
	free(s->wording);
	free(s->smtp);
	free(s->relay);
	conf_free(s->conf);
	free(s);
	return NULL;
}
