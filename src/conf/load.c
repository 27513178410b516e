/* The walk over the file, and its keys. */
#include "conf/load_priv.h"

#include "sys/file.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- saying what is wrong --- */

static void
mistake_begin(struct loader *ld, const config_setting_t *s)
{
	const char *file = config_setting_source_file(s);
	buf_putf(ld->err, "%s:%u: ", file ? file : ld->name,
	    (unsigned)config_setting_source_line(s));
	ld->mistakes++;
}

void
loader_mistake(struct loader *ld, const config_setting_t *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	mistake_begin(ld, s);
	buf_vputf(ld->err, fmt, ap);
	buf_putc(ld->err, '\n');
	va_end(ap);
}

/* ok, or what `why` says about s. */
void
loader_verdict(struct loader *ld, const config_setting_t *s, bool ok, struct buf *why)
{
	if (!ok) {
		mistake_begin(ld, s);
		buf_puts(ld->err, buf_str(why));
		buf_putc(ld->err, '\n');
	}
	buf_done(why);
}

static void
unknown(struct loader *ld, const config_setting_t *s, const char *name, bool listener)
{
	const char *near = conf_key_nearest(str_of(name), listener);
	if (near)
		loader_mistake(ld, s, "unknown key %s; did you mean %s?", name, near);
	else
		loader_mistake(ld, s,
		    "unknown key %s; remove it (`pennypost config keys` lists the keys there are)",
		    name);
}

/* --- single values --- */

/* A scalar as the text that --set would give; false when it is none. */
static bool
scalar_text(const config_setting_t *s, struct buf *out)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING:
		buf_putz(out, config_setting_get_string(s));
		return true;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		buf_putf(out, "%lld", config_setting_get_int64(s));
		return true;
	case CONFIG_TYPE_BOOL:
		buf_putz(out, config_setting_get_bool(s) ? "yes" : "no");
		return true;
	default:
		return false;
	}
}

/* Text must be quoted, so that host = 5 or auth = 7 is noticed. */
static bool
kind_fits(const struct conf_key *k, int type)
{
	bool number = type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
	switch (k->type) {
	case CONF_TEXT:
		return type == CONFIG_TYPE_STRING;
	case CONF_BOOL:
	case CONF_CHOICE:
		return type == CONFIG_TYPE_STRING || type == CONFIG_TYPE_BOOL;
	case CONF_NUMBER:
	case CONF_SIZE:
	case CONF_SECONDS:
		return type == CONFIG_TYPE_STRING || number;
	}
	return false;
}

const char *
loader_kind(const config_setting_t *s)
{
	int type = config_setting_type(s);
	static const char *const names[] = {
		[CONFIG_TYPE_GROUP] = "a group",
		[CONFIG_TYPE_INT] = "a number",
		[CONFIG_TYPE_INT64] = "a number",
		[CONFIG_TYPE_FLOAT] = "a number with a point",
		[CONFIG_TYPE_STRING] = "text",
		[CONFIG_TYPE_BOOL] = "true or false",
		[CONFIG_TYPE_ARRAY] = "an array",
		[CONFIG_TYPE_LIST] = "a list",
	};
	return type > 0 && (size_t)type < ARRAY_LEN(names) ? names[type] : "nothing";
}

void
loader_value(struct loader *ld, const config_setting_t *s, const struct conf_key *k, void *base)
{
	struct buf text = BUF_INIT(CONF_FILE_MAX), why = BUF_INIT(WHY_MAX);
	bool ok = false;
	if (!kind_fits(k, config_setting_type(s)) || !scalar_text(s, &text)) {
		buf_putf(&why, "%s is %s here; write ", k->name, loader_kind(s));
		conf_value_want(k, &why);
		buf_putz(&why, k->type == CONF_TEXT ? ", in double quotes" : "");
	} else if ((k->flags & CONF_LAB) && !ld->lab) {
		buf_putf(&why,
		    "%s makes the server pretend and works only in a lab; remove it, or write lab "
		    "= true "
		    "if no real mail comes here",
		    k->name);
	} else {
		ok = conf_value_set(k, base, buf_str(&text), &why);
	}
	buf_done(&text);
	loader_verdict(ld, s, ok, &why);
}

/* --- groups: nested names joined with dots --- */

static void
load_reply(struct loader *ld, const config_setting_t *s, struct conf_listener *l,
    struct str situation)
{
	struct buf why = BUF_INIT(WHY_MAX);
	bool ok = false;
	if (config_setting_type(s) == CONFIG_TYPE_STRING)
		ok = conf_reply_set(l, situation, str_of(config_setting_get_string(s)), &why);
	else
		buf_putf(&why, "reply." STR_FMT " is %s here; write its text in double quotes",
		    STR_ARG(situation), loader_kind(s));
	loader_verdict(ld, s, ok, &why);
}

static void
load_named(struct loader *ld, const config_setting_t *s, const struct scope *sc, const char *name)
{
	const struct conf_key *k = conf_key_find(str_of(name));
	if (str_starts(str_of(name), STR("reply."))) {
		load_reply(ld, s, sc->listener, str_skip(str_of(name), 6));
	} else if (k == NULL) {
		unknown(ld, s, name, sc->inside);
	} else if (k->flags & CONF_LISTENER) {
		if ((k->flags & CONF_PLACE) && !sc->inside)
			loader_mistake(ld, s,
			    "%s belongs to one listener; write it in a group of listen = ( { ... } "
			    ")",
			    name);
		else
			loader_value(ld, s, k, sc->listener);
	} else if (sc->inside) {
		loader_mistake(ld, s,
		    "%s is one for the whole server; move it out of the listener to the top of the "
		    "file",
		    name);
	} else {
		loader_value(ld, s, k, ld->c);
	}
}

void
loader_group(struct loader *ld, const config_setting_t *group, const struct scope *sc,
    const char *prefix, unsigned depth)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		struct buf name = BUF_INIT(1024);
		buf_putf(&name, "%s%s%s", prefix, *prefix ? "." : "", config_setting_name(s));
		const char *full = buf_cstr(&name);
		if (full == NULL || name.failed || depth > CONF_DEPTH_MAX)
			loader_mistake(ld, s, "a name that long is no key; shorten it");
		else if (sc->inside && strcmp(full, "reply") == 0 &&
			 config_setting_type(s) == CONFIG_TYPE_LIST)
			loader_reply_list(ld, s, sc->listener);
		else if (*prefix == '\0' && !sc->inside && loader_is_special(s))
			; /* after the keys */
		else if (!sc->inside && strcmp(full, "tls.certificates") == 0)
			loader_certificates(ld, s);
		else if (config_setting_is_group(s))
			loader_group(ld, s, sc, full, depth + 1);
		else
			load_named(ld, s, sc, full);
		buf_done(&name);
	}
}

/* --- the file --- */

static void
syntax_error(struct loader *ld, const config_t *cfg)
{
	const char *file = config_error_file(cfg), *text = config_error_text(cfg);
	static const struct {
		const char *text, *instead;
	} hints[] = {
		{ "syntax error",
		    "write name = value; with text in double quotes, groups in { }, lists in ( )" },
		{ "duplicate setting name",
		    "keep one of them (one group holds all keys that begin alike)" },
		{ "cannot open include file", "name a file that can be read, beside this one" },
		{ "mismatched element type in array",
		    "write values of one kind in [ ], or ( ) around mixed ones" },
		{ "memory exhausted", "remove groups in groups" },
	};
	const char *instead = "see pennypost.conf(5)";
	for (size_t i = 0; i < ARRAY_LEN(hints); i++)
		if (text && strcmp(text, hints[i].text) == 0)
			instead = hints[i].instead;
	buf_putf(ld->err, "%s:%d: %s; %s\n", file ? file : ld->name, config_error_line(cfg),
	    text ? text : "error", instead);
	ld->mistakes++;
	ld->c->unread = true;
}

static void
included_wide_numbers(struct loader *ld, const config_t *cfg)
{
	for (unsigned i = 0; i < cfg->num_filenames; i++) {
		struct buf text = BUF_INIT(CONF_FILE_MAX);
		if (cfg->filenames[i] &&
		    file_read_all(cfg->filenames[i], CONF_FILE_MAX, &text) == 0)
			loader_wide_numbers(ld, cfg->filenames[i], buf_str(&text));
		buf_done(&text);
	}
}

/* Keys first, so that listeners start from the defaults wherever those stand in the file. */
static void
walk(struct loader *ld, const config_t *cfg)
{
	const config_setting_t *root = config_root_setting(cfg);
	int lab = 0;
	(void)config_lookup_bool(cfg, "lab", &lab);
	const char *text = NULL;
	if (config_lookup_string(cfg, "lab", &text))
		lab = strcasecmp(text, "yes") == 0 || strcasecmp(text, "true") == 0;
	ld->lab = lab;
	loader_group(ld, root, &(struct scope){ &ld->c->defaults, false }, "", 0);
	loader_specials(ld, root);
	conf_settle(ld->c);
}

static char *
directory_of(const char *path)
{
	struct str p = str_of(path);
	size_t slash = str_rfind(p, '/');
	return slash < p.len ? str_dup(str_first(p, slash ? slash : 1)) : xstrdup(".");
}

bool
conf_load_text(struct conf *c, const char *name, struct str text, struct buf *err)
{
	struct loader ld = { .c = c, .name = name, .err = err, .dir = directory_of(name) };
	struct buf z = BUF_INIT(CONF_FILE_MAX + 2);
	config_t cfg;
	buf_puts(&z, text);
	buf_putc(&z, '\n'); /* the library wants an end of line behind a comment */
	config_init(&cfg);
	config_set_include_dir(&cfg, ld.dir);
	loader_wide_numbers(&ld, name, text);
	if (buf_cstr(&z) == NULL || z.failed) {
		buf_putf(err, "%s:1: the file is over %u octets; move addresses to member files\n",
		    name, CONF_FILE_MAX);
		ld.mistakes++;
		c->unread = true;
	} else if (text.len && memchr(text.p, '\0', text.len)) {
		buf_putf(err,
		    "%s:1: the file holds a NUL octet, so it is no text; write it anew with an "
		    "editor\n",
		    name);
		ld.mistakes++;
		c->unread = true;
	} else if (!config_read_string(&cfg, z.p)) {
		syntax_error(&ld, &cfg);
	} else {
		included_wide_numbers(&ld, &cfg);
		walk(&ld, &cfg);
	}
	config_destroy(&cfg);
	buf_done(&z);
	free(ld.dir);
	return ld.mistakes == 0;
}

bool
conf_load(struct conf *c, const char *path, struct buf *err)
{
	struct buf text = BUF_INIT(CONF_FILE_MAX);
	bool ok = false;
	int rc = file_read_all(path, CONF_FILE_MAX, &text);
	c->unread = rc < 0;
	if (rc < 0)
		buf_putf(err, "%s: cannot be read: %s; name another file with --config\n", path,
		    strerror(-rc));
	else
		ok = conf_load_text(c, path, buf_str(&text), err);
	buf_done(&text);
	return ok;
}
