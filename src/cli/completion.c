/* Completion scripts, from the table of commands. */
#include "cli/cli.h"

#include "base/check.h"

#include <string.h>

static void
put_names(struct buf *out)
{
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++)
		buf_putf(out, "%s%s", c == cli_cmds ? "" : " ", (*c)->name);
}

/* One word of a command: its name, and what may stand behind an option's "=". */
struct choice {
	struct str name, value;
	bool is_option, has_value;
};

static bool
next_choice(struct str *rest, struct choice *ret)
{
	struct str word = str_word(rest);
	size_t eq = str_find(word, '=');
	ret->is_option = str_starts(word, STR("-"));
	ret->has_value = ret->is_option && eq < word.len;
	ret->name = ret->has_value ? str_first(word, eq) : word;
	ret->value = ret->has_value ? str_skip(word, eq + 1) : STR("");
	return word.len > 0;
}

static void
put_words(struct buf *out, const struct cli_cmd *cmd)
{
	struct str rest = str_of(cmd->words);
	struct choice c;
	if (strcmp(cmd->name, "help") == 0) {
		put_names(out);
		buf_putc(out, ' ');
	}
	while (next_choice(&rest, &c))
		buf_putf(out, STR_FMT " ", STR_ARG(c.name));
	buf_putz(out, "--help");
}

/* Values, blank-separated. */
static void
put_values(struct buf *out, struct str value)
{
	for (bool first = true; value.p && value.len; first = false) {
		struct str one = str_cut(&value, '|');
		buf_putf(out, "%s" STR_FMT, first ? "" : " ", STR_ARG(one));
	}
}

/* What an option's value is, and how each shell says that. */
static const struct {
	const char *value, *bash, *zsh, *fish;
} kinds[] = {
	{ "FILE", "COMPREPLY=($(compgen -f -- \"$cur\"))", "_files", "-r -F" },
	{ "DIR", "COMPREPLY=($(compgen -d -- \"$cur\"))", "_files -/",
	    "-x -a '(__fish_complete_directories)'" },
	{ "HOST", "COMPREPLY=($(compgen -A hostname -- \"$cur\"))", "_hosts",
	    "-x -a '(__fish_print_hostnames)'" },
	{ "", "COMPREPLY=()", "_message value", "-x" },
};

static size_t
kind_of(struct str value)
{
	size_t i = 0;
	while (i < ARRAY_LEN(kinds) && !str_eq(value, str_of(kinds[i].value)))
		i++;
	return i; /* ARRAY_LEN(kinds): a list of words */
}

static bool
in_list(struct str list, struct str value)
{
	while (list.len)
		if (str_eq(str_cut(&list, '\n'), value))
			return true;
	return false;
}

/* "talk --tls"|"send --tls": every option whose value is this one. */
static void
put_labels(struct buf *out, struct str value)
{
	bool first = true;
	for (const struct cli_cmd *const *cmd = cli_cmds; *cmd; cmd++) {
		struct str rest = str_of((*cmd)->words);
		struct choice c;
		while (next_choice(&rest, &c)) {
			if (!c.has_value || !str_eq(c.value, value))
				continue;
			buf_putf(out, "%s\"%s " STR_FMT "\"", first ? "" : "|", (*cmd)->name,
			    STR_ARG(c.name));
			first = false;
		}
	}
}

/* fn once for each value that any option has. */
static void
each_value(struct buf *out, void (*fn)(struct buf *out, struct str value))
{
	struct buf seen = BUF_INIT(1u << 20);
	for (const struct cli_cmd *const *cmd = cli_cmds; *cmd; cmd++) {
		struct str rest = str_of((*cmd)->words);
		struct choice c;
		while (next_choice(&rest, &c)) {
			if (!c.has_value || in_list(buf_str(&seen), c.value))
				continue;
			fn(out, c.value);
			buf_puts(&seen, c.value);
			buf_putc(&seen, '\n');
		}
	}
	buf_done(&seen);
}

static void
bash_value(struct buf *out, struct str value)
{
	size_t k = kind_of(value);
	buf_putc(out, '\t');
	put_labels(out, value);
	buf_putz(out, ")\n\t\t");
	if (k < ARRAY_LEN(kinds)) {
		buf_putz(out, kinds[k].bash);
	} else {
		buf_putz(out, "COMPREPLY=($(compgen -W \"");
		put_values(out, value);
		buf_putz(out, "\" -- \"$cur\"))");
	}
	buf_putz(out, "\n\t\treturn ;;\n");
}

static void
bash(struct buf *out)
{
	buf_putz(out,
	    "# bash completion for pennypost(1); made by `pennypost completion bash`\n"
	    "_pennypost() {\n"
	    "\tlocal words cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	    "\t# --option=value comes as three words.\n"
	    "\tif [ \"$cur\" = = ]; then cur=\n"
	    "\telif [ \"$prev\" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
	    "\tcase \"${COMP_WORDS[1]} $prev\" in\n");
	each_value(out, bash_value);
	buf_putz(out, "\tesac\n"
		      "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
		      "\t\twords=\"");
	put_names(out);
	buf_putz(out, " --help --version\"\n\telse\n\t\tcase ${COMP_WORDS[1]} in\n");
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++) {
		buf_putf(out, "\t\t%s) words=\"", (*c)->name);
		put_words(out, *c);
		buf_putz(out, "\" ;;\n");
	}
	buf_putz(out, "\t\tesac\n\tfi\n"
		      "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
		      "\t[ ${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- \"$cur\"))\n"
		      "}\n"
		      "complete -F _pennypost pennypost\n");
}

static void
put_quoted(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			buf_putz(out, "'\\''");
		else
			buf_putc(out, *text);
	}
}

static void
zsh_value(struct buf *out, struct str value)
{
	size_t k = kind_of(value);
	put_labels(out, value);
	buf_putz(out, ")\n\t");
	if (k < ARRAY_LEN(kinds)) {
		buf_putz(out, kinds[k].zsh);
	} else {
		buf_putz(out, "compadd ");
		put_values(out, value);
	}
	buf_putz(out, "; return ;;\n");
}

static void
zsh(struct buf *out)
{
	buf_putz(out, "#compdef pennypost\n"
		      "# zsh completion for pennypost(1); made by `pennypost completion zsh`\n"
		      "local -a commands choices\n"
		      "commands=(\n");
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++) {
		buf_putf(out, "\t'%s:", (*c)->name);
		put_quoted(out, (*c)->summary);
		buf_putz(out, "'\n");
	}
	buf_putz(out, ")\n"
		      "if (( CURRENT == 2 )); then\n"
		      "\t_describe command commands\n"
		      "\treturn\n"
		      "fi\n"
		      "local option=$words[CURRENT-1]\n"
		      "if [[ $PREFIX == --*=* ]]; then\n"
		      "\toption=${PREFIX%%=*}\n"
		      "\tcompset -P '*='\n"
		      "fi\n"
		      "case \"$words[2] $option\" in\n");
	each_value(out, zsh_value);
	buf_putz(out, "esac\n"
		      "case $words[2] in\n");
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++) {
		buf_putf(out, "%s) choices=(", (*c)->name);
		put_words(out, *c);
		buf_putz(out, ") ;;\n");
	}
	buf_putz(out, "esac\n"
		      "compadd -a choices\n"
		      "_files\n");
}

static void
fish_choice(struct buf *out, const struct cli_cmd *cmd, const struct choice *c)
{
	size_t k = kind_of(c->value);
	buf_putf(out, "complete -c pennypost -n '__fish_seen_subcommand_from %s' ", cmd->name);
	if (!c->is_option)
		buf_putf(out, "-f -a " STR_FMT, STR_ARG(c->name));
	else if (str_starts(c->name, STR("--")))
		buf_putf(out, "-l " STR_FMT, STR_ARG(str_skip(c->name, 2)));
	else
		buf_putf(out, "%s " STR_FMT, c->name.len == 2 ? "-s" : "-o",
		    STR_ARG(str_skip(c->name, 1)));
	if (c->has_value && k < ARRAY_LEN(kinds)) {
		buf_putf(out, " %s", kinds[k].fish);
	} else if (c->has_value) {
		buf_putz(out, " -x -a '");
		put_values(out, c->value);
		buf_putc(out, '\'');
	}
	buf_putc(out, '\n');
}

static void
fish(struct buf *out)
{
	buf_putz(out, "# fish completion for pennypost(1); made by `pennypost completion fish`\n");
	for (const struct cli_cmd *const *c = cli_cmds; *c; c++) {
		buf_putf(out, "complete -c pennypost -n __fish_use_subcommand -f -a %s -d '",
		    (*c)->name);
		for (const char *p = (*c)->summary; *p; p++)
			buf_putf(out, "%s%c", *p == '\'' ? "\\" : "", *p);
		buf_putz(out, "'\n");
	}
	for (const struct cli_cmd *const *cmd = cli_cmds; *cmd; cmd++) {
		struct str rest = str_of((*cmd)->words);
		struct choice c;
		for (const struct cli_cmd *const *o = cli_cmds; *o; o++)
			if (strcmp((*cmd)->name, "help") == 0)
				fish_choice(out, *cmd,
				    &(struct choice){ .name = str_of((*o)->name) });
		while (next_choice(&rest, &c))
			fish_choice(out, *cmd, &c);
		fish_choice(out, *cmd,
		    &(struct choice){ .name = STR("--help"), .is_option = true });
	}
}

static const struct {
	const char *name;
	void (*put)(struct buf *out);
} shells[] = {
	{ "bash", bash },
	{ "zsh", zsh },
	{ "fish", fish },
};

bool
completion_put(struct buf *out, const char *shell)
{
	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		if (strcmp(shells[i].name, shell) == 0) {
			shells[i].put(out);
			return true;
		}
	}
	return false;
}

static int
run(int argc, char **argv)
{
	const struct cli_cmd *cmd = cli_cmd_find("completion");
	struct buf text = BUF_INIT(1u << 20);
	if (argc != 2)
		return usage_error(cmd, "name one shell: bash, zsh or fish");
	if (!completion_put(&text, argv[1]))
		return usage_error(cmd, "there is no script for %s; name bash, zsh or fish",
		    argv[1]);
	fwrite(text.p, 1, text.len, stdout);
	buf_done(&text);
	return EXIT_DONE;
}

const struct cli_cmd cmd_completion = {
	.name = "completion",
	.summary = "Print the completion script for a shell",
	.usage = "bash | zsh | fish",
	.help = "Example: pennypost completion bash > "
		"~/.local/share/bash-completion/completions/pennypost\n",
	.words = "bash zsh fish",
	.run = run,
	.client = true,
	.extra = true,
};
