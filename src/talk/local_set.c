/* Local commands about options. */
#include "talk/local_priv.h"

#include "base/check.h"
#include "base/num.h"
#include "base/suggest.h"

#include <inttypes.h>
#include <stddef.h>

static const char *const eols[] = { [LINK_CRLF] = "crlf", [LINK_LF] = "lf", [LINK_CR] = "cr" };

static const struct {
	const char *key;
	size_t at; /* of a bool in struct client_options */
} flags[] = {
	{ "pipeline", offsetof(struct client_options, pipeline) },
	{ "strict-typing", offsetof(struct client_options, strict_typing) },
	{ "allow-cleartext", offsetof(struct client_options, allow_cleartext) },
	{ "force-auth", offsetof(struct client_options, force_auth) },
	{ "no-initial-response", offsetof(struct client_options, no_initial_response) },
	{ "timing", offsetof(struct client_options, show.timing) },
	{ "verbose", offsetof(struct client_options, show.verbose) },
	{ "quiet", offsetof(struct client_options, show.quiet) },
	{ "debug-bytes", offsetof(struct client_options, link.debug_bytes) },
	{ "show-secrets", offsetof(struct client_options, show.show_secrets) },
	{ "decode-auth", offsetof(struct client_options, show.decode_auth) },
	{ "print-manual", offsetof(struct client_options, print_manual) },
};

const char *const talk_set_words[] = { "pipeline=", "strict-typing=", "allow-cleartext=",
	"force-auth=", "no-initial-response=", "timing=", "verbose=", "quiet=", "debug-bytes=",
	"show-secrets=", "decode-auth=", "print-manual=", "timeout=", "explain=", "eol=",
	"segments=", "color=", NULL };

static bool *
flag_of(struct talk *t, size_t i)
{
	return (bool *)((char *)t->o + flags[i].at);
}

void
local_eol(struct talk *t, struct str args)
{
	for (size_t i = 0; i < ARRAY_LEN(eols); i++) {
		if (str_ieq(args, str_of(eols[i]))) {
			t->o->link.eol = (enum link_eol)i;
			event_note(t->ev, "Lines end in %s now.", eols[i]);
			return;
		}
	}
	event_warn(t->ev, NULL, "/eol takes crlf, lf or cr; it is %s.", eols[t->o->link.eol]);
}

void
local_segments(struct talk *t, struct str args)
{
	uint64_t n;
	if (str_ieq(args, STR("keystroke"))) {
		n = 1;
	} else if (str_ieq(args, STR("off"))) {
		n = 0;
	} else if (!num_u64(args, 65535, &n)) {
		event_warn(t->ev, NULL, "/segments takes a number of octets, keystroke or off.");
		return;
	}
	t->o->link.segment = (size_t)n;
	if (n)
		event_note(t->ev, "Segments of %" PRIu64 " octets from now on.", n);
	else
		event_note(t->ev, "Segments are as large as they come.");
}

static void
set_timeout(struct talk *t, struct str value)
{
	uint64_t sec;
	if (num_seconds(value, &sec) && sec <= 86400)
		t->o->link.timeout_ms = (int64_t)sec * 1000;
	else
		event_warn(t->ev, NULL, "timeout takes seconds.");
}

static void
set_explain(struct talk *t, struct str value)
{
	static const char *const words[] = { [SHOW_EXPLAIN_ERRORS] = "errors",
		[SHOW_EXPLAIN_ALWAYS] = "always",
		[SHOW_EXPLAIN_NEVER] = "never" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (str_ieq(value, str_of(words[i]))) {
			t->o->show.explain = (enum show_explain)i;
			return;
		}
	}
	event_warn(t->ev, NULL, "explain takes errors, always or never.");
}

static void
set_color(struct talk *t, struct str value)
{
	t->o->show.color = str_ieq(value, STR("always")) || str_ieq(value, STR("on"));
}

static const struct {
	const char *key;
	void (*set)(struct talk *t, struct str value);
} values[] = {
	{ "timeout", set_timeout },
	{ "explain", set_explain },
	{ "eol", local_eol },
	{ "segments", local_segments },
	{ "color", set_color },
};

static bool
is_on(struct str value, bool *ret)
{
	static const char *const on[] = { "on", "yes", "true", "1", "" };
	static const char *const off[] = { "off", "no", "false", "0" };
	for (size_t i = 0; i < ARRAY_LEN(on); i++)
		if (str_ieq(value, str_of(on[i])))
			return *ret = true;
	for (size_t i = 0; i < ARRAY_LEN(off); i++) {
		if (str_ieq(value, str_of(off[i]))) {
			*ret = false;
			return true;
		}
	}
	return false;
}

static void
unknown_key(struct talk *t, struct str key)
{
	struct suggest s;
	suggest_init(&s, key);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		suggest_offer(&s, flags[i].key);
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		suggest_offer(&s, values[i].key);
	event_warn(t->ev, NULL, "There is no key " STR_FMT "%s%s%s /set lists them.", STR_ARG(key),
	    suggest_best(&s) ? "; did you mean " : ";", suggest_best(&s) ? suggest_best(&s) : "",
	    suggest_best(&s) ? "?" : "");
}

static void
list_keys(struct talk *t)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		talk_print(t, "%s=%s", flags[i].key, *flag_of(t, i) ? "on" : "off");
	talk_print(t, "timeout=%lld\neol=%s\nsegments=%zu",
	    (long long)(t->o->link.timeout_ms / 1000), eols[t->o->link.eol], t->o->link.segment);
}

void
local_set(struct talk *t, struct str args)
{
	size_t eq = str_find_any(args, "= ");
	struct str key = str_first(args, eq), value = str_trim(str_skip(args, eq + 1));
	if (str_starts(key, STR("--")))
		key = str_skip(key, 2);
	if (key.len == 0) {
		list_keys(t);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		if (str_ieq(key, str_of(values[i].key))) {
			values[i].set(t, value);
			return;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (str_ieq(key, str_of(flags[i].key))) {
			if (!is_on(value, flag_of(t, i)))
				event_warn(t->ev, NULL, "%s takes on or off.", flags[i].key);
			return;
		}
	}
	unknown_key(t, key);
}

void
local_env(struct talk *t, struct str args)
{
	const struct link *l = &t->link;
	talk_print(t, "server    %s port %u (%s)", t->o->link.host, t->o->link.port,
	    client_proto_name[t->mode->proto]);
	if (t->connected)
		talk_print(t, "peer      %s port %u%s%s", l->peer, l->peer_port,
		    *l->name ? ", " : "", l->name);
	else
		talk_print(t, "peer      not connected");
	if (l->tls)
		talk_print(t, "tls       %s, %s, %s", l->facts.version, l->facts.cipher,
		    l->verified ? "verified" : "NOT VERIFIED");
	else
		talk_print(t, "tls       none");
	talk_print(t, "user      %s", t->o->user ? t->o->user : "(asked for)");
	list_keys(t);
}
