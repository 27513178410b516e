#include "cli/cli.h"

#include "base/check.h"
#include "base/suggest.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_opt *
opt_find(const struct cli_opt *opts, struct str name)
{
	for (; opts->name; opts++)
		if (str_eq(str_of(opts->name), name))
			return opts;
	return NULL;
}

static bool
unknown(const struct cli_cmd *cmd, const struct cli_opt *opts, struct str name)
{
	struct suggest s;
	suggest_init(&s, name);
	for (; opts->name; opts++)
		suggest_offer(&s, opts->name);
	if (suggest_best(&s))
		usage_error(cmd, "there is no option " STR_FMT " here; did you mean %s?",
		    STR_ARG(name), suggest_best(&s));
	else
		usage_error(cmd, "there is no option " STR_FMT " here", STR_ARG(name));
	return false;
}

static void
push(struct cli_words *w, const char *text)
{
	w->v = xrealloc(w->v, (w->n + 1) * sizeof *w->v);
	w->v[w->n++] = text;
}

/* *i stands on the option; behind a VALUE in a word of its own it stands on that. */
static bool
take(const struct cli_cmd *cmd, int argc, char **argv, int *i, const struct cli_opt *opts)
{
	struct str arg = str_of(argv[*i]), name = str_first(arg, str_find(arg, '='));
	const struct cli_opt *o = opt_find(opts, name);
	bool joined = name.len < arg.len;
	if (o == NULL)
		return unknown(cmd, opts, name);
	if (o->kind == OPT_FLAG) {
		if (joined)
			usage_error(cmd, "%s takes no value", o->name);
		*(bool *)o->to = true;
		return !joined;
	}
	if (!joined && *i + 1 >= argc) {
		usage_error(cmd, "%s needs a value", o->name);
		return false;
	}
	const char *value = joined ? argv[*i] + name.len + 1 : argv[++*i];
	if (o->kind == OPT_LIST) {
		push(o->to, value);
		return true;
	}
	if (*(const char **)o->to)
		usage_error(cmd, "%s is here twice", o->name);
	bool first = *(const char **)o->to == NULL;
	*(const char **)o->to = value;
	return first;
}

bool
cli_parse(const struct cli_cmd *cmd, int argc, char **argv, const struct cli_opt *opts,
    struct cli_words *ret)
{
	bool words_only = false;
	*ret = (struct cli_words){ NULL, 0 };
	for (int i = 1; i < argc; i++) {
		bool is_option = !words_only && argv[i][0] == '-' && argv[i][1] != '\0';
		if (is_option && strcmp(argv[i], "--") == 0) {
			words_only = true;
		} else if (!is_option) {
			push(ret, argv[i]);
		} else if (!take(cmd, argc, argv, &i, opts)) {
			free(ret->v);
			*ret = (struct cli_words){ NULL, 0 };
			return false;
		}
	}
	return true;
}
