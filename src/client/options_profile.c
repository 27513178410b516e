/* Defaults from ~/.config/pennypost/client.conf: "option = value" for all, "NAME.option = value"
 * for
 * --profile NAME. */
#include "base/check.h"
#include "base/suggest.h"
#include "client/options_priv.h"
#include "sys/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (256u << 10)

static bool
file_path(struct buf *path)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	/* A relative path is to be passed over (XDG Base Directory Specification). */
	if (config && *config == '/')
		buf_putf(path, "%s/pennypost/client.conf", config);
	else if (home && *home)
		buf_putf(path, "%s/.config/pennypost/client.conf", home);
	else
		return false;
	return buf_cstr(path) != NULL;
}

/* "password_file" is --password-file. */
static bool
option_name(struct str key, char out[64])
{
	if (key.len == 0 || key.len > 60)
		return false;
	out[0] = out[1] = '-';
	for (size_t i = 0; i < key.len; i++)
		out[i + 2] = key.p[i] == '_' ? '-' : key.p[i];
	out[key.len + 2] = '\0';
	return true;
}

static bool
unknown_key(const struct client_options *o, struct str key)
{
	struct suggest s;

	suggest_init(&s, key);
	for (const struct option *row = option_rows; row->name; row++)
		if (row->name[1] == '-' && strcmp(row->name, "--password") != 0)
			suggest_offer(&s, row->name + 2);
	suggest_offer(&s, "server");
	if (suggest_best(&s))
		return options_complain(o, "there is no option " STR_FMT "; did you mean %s?",
		    STR_ARG(key), suggest_best(&s));
	return options_complain(o, "there is no option " STR_FMT, STR_ARG(key));
}

static bool
set_flag(struct client_options *o, const struct option *row, struct str key, struct str value)
{
	if (str_ieq(value, STR("no")) || str_ieq(value, STR("false")))
		return true;
	if (!str_ieq(value, STR("yes")) && !str_ieq(value, STR("true")))
		return options_complain(o, STR_FMT " is yes or no", STR_ARG(key));
	return options_take(o, row, NULL);
}

static bool
set_one(struct client_options *o, unsigned groups, struct str key, struct str value)
{
	char name[64];
	const struct option *row = option_rows;

	if (str_eq(key, STR("server"))) {
		o->server = options_keep(o, value);
		return true;
	}
	if (!option_name(key, name))
		return unknown_key(o, key);
	if (strcmp(name, "--password") == 0)
		return options_complain(o,
		    "a password does not belong in this file; write password_file = FILE or "
		    "token_cmd = COMMAND");
	while (row->name && strcmp(row->name, name) != 0)
		row++;
	if (!row->name)
		return unknown_key(o, key);
	if (!(row->groups & groups))
		return true; /* for other commands */
	if (row->kind == OPTION_FLAG || row->kind == OPTION_DO)
		return set_flag(o, row, key, value);
	if (row->kind == OPTION_MAYBE && (value.len == 0 || str_ieq(value, STR("yes"))))
		return options_take(o, row, NULL);
	return options_take(o, row, options_keep(o, value));
}

/* One line; *ret_found: it belongs to the profile. */
static bool
take_line(struct client_options *o, unsigned groups, struct str line, const char *profile,
    bool *ret_found)
{
	line = str_trim(line);
	if (line.len == 0 || line.p[0] == '#')
		return true;
	size_t equals = str_find(line, '=');
	if (equals == line.len)
		return options_complain(o, "a line without '='; write: option = value");
	struct str key = str_rtrim(str_first(line, equals));
	struct str value = str_ltrim(str_skip(line, equals + 1));
	size_t dot = str_find(key, '.');
	if (dot < key.len) {
		if (!profile || !str_eq(str_first(key, dot), str_of(profile)))
			return true;
		*ret_found = true;
		key = str_skip(key, dot + 1);
	}
	return set_one(o, groups, key, value);
}

static bool
take_file(struct client_options *o, unsigned groups, const char *path, struct str text,
    const char *profile)
{
	struct options_memory *m = o->memory;
	bool ok = true, found = false;
	unsigned line = 0;

	/* What holds for all comes first, whatever the order in the file. */
	for (int own = 0; ok && own < (profile ? 2 : 1); own++) {
		struct str rest = text;
		line = 0;
		while (ok && rest.p && rest.len) {
			char where[512];
			struct str one = str_cut(&rest, '\n');
			struct str key = str_trim(str_first(one, str_find(one, '=')));
			line++;
			if ((str_find(key, '.') < key.len) != (own == 1))
				continue;
			snprintf(where, sizeof(where), "%s:%u", path, line);
			m->where = where;
			ok = take_line(o, groups, one, profile, &found);
			m->where = NULL;
		}
	}
	if (ok && profile && !found)
		return options_complain(o,
		    "there is no profile %s in %s; its lines are: %s.option = value", profile, path,
		    profile);
	return ok;
}

bool
options_profile(struct client_options *o, unsigned groups, const char *profile)
{
	struct buf path = BUF_INIT(4096), text = BUF_INIT(FILE_MAX + 1);
	bool ok = true;

	int error = file_path(&path) ? file_read_all(path.p, FILE_MAX, &text) : -ENOENT;
	if (error == 0)
		ok = take_file(o, groups, path.p, buf_str(&text), profile);
	else if (profile)
		ok = options_complain(o, "--profile %s: %s: %s", profile,
		    path.len ? path.p : "client.conf", strerror(-error));
	else if (error != -ENOENT && error != -ENOTDIR && error != -EACCES)
		ok = options_complain(o, "%s: %s", path.p, strerror(-error));
	buf_done(&path);
	buf_done(&text);
	return ok;
}
