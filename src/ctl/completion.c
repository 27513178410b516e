/* Completion scripts, from the table of commands. */
#include "ctl/ctl_priv.h"

#include "base/check.h"

#include <string.h>

static void
put_names(struct buf *out)
{
	for (const struct ctl_cmd *const *c = ctl_cmds; *c; c++)
		buf_putf(out, "%s%s", c == ctl_cmds ? "" : " ", (*c)->name);
}

static void
put_words(struct buf *out, const struct ctl_cmd *c)
{
	if (strcmp(c->name, "help") == 0) {
		put_names(out);
		buf_putc(out, ' ');
	}
	buf_putf(out, "%s%s--help", c->words, *c->words ? " " : "");
}

static void
bash(struct buf *out)
{
	buf_putz(out,
	    "# bash completion for pennypost(1); made by `pennypost completion bash`\n"
	    "_pennypost() {\n"
	    "\tlocal words cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	    "\tcase $prev in\n"
	    "\t--config|--file) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	    "\t--dir|--to) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n"
	    "\t--format) COMPREPLY=($(compgen -W \"mbox maildir\" -- \"$cur\")); return ;;\n"
	    "\tesac\n"
	    "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	    "\t\twords=\"");
	put_names(out);
	buf_putz(out, " --help --version\"\n\telse\n\t\tcase ${COMP_WORDS[1]} in\n");
	for (const struct ctl_cmd *const *c = ctl_cmds; *c; c++) {
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
zsh(struct buf *out)
{
	buf_putz(out, "#compdef pennypost\n"
		      "# zsh completion for pennypost(1); made by `pennypost completion zsh`\n"
		      "local -a commands choices\n"
		      "commands=(\n");
	for (const struct ctl_cmd *const *c = ctl_cmds; *c; c++) {
		buf_putf(out, "\t'%s:", (*c)->name);
		put_quoted(out, (*c)->summary);
		buf_putz(out, "'\n");
	}
	buf_putz(out, ")\n"
		      "if (( CURRENT == 2 )); then\n"
		      "\t_describe command commands\n"
		      "\treturn\n"
		      "fi\n"
		      "case $words[CURRENT-1] in\n"
		      "--config|--file) _files; return ;;\n"
		      "--dir|--to) _files -/; return ;;\n"
		      "--format) compadd mbox maildir; return ;;\n"
		      "esac\n"
		      "case $words[2] in\n");
	for (const struct ctl_cmd *const *c = ctl_cmds; *c; c++) {
		buf_putf(out, "%s) choices=(", (*c)->name);
		put_words(out, *c);
		buf_putz(out, ") ;;\n");
	}
	buf_putz(out, "esac\n"
		      "compadd -a choices\n"
		      "_files\n");
}

static void
fish(struct buf *out)
{
	buf_putz(out, "# fish completion for pennypost(1); made by `pennypost completion fish`\n");
	for (const struct ctl_cmd *const *c = ctl_cmds; *c; c++) {
		buf_putf(out, "complete -c pennypost -n __fish_use_subcommand -f -a %s -d '",
		    (*c)->name);
		for (const char *p = (*c)->summary; *p; p++)
			buf_putf(out, "%s%c", *p == '\'' ? "\\" : "", *p);
		buf_putz(out, "'\n");
	}
	for (const struct ctl_cmd *const *c = ctl_cmds; *c; c++) {
		struct buf words = BUF_INIT(4096);
		put_words(&words, *c);
		struct str rest = buf_str(&words), word;
		while ((word = str_word(&rest)).len) {
			buf_putf(out, "complete -c pennypost -n '__fish_seen_subcommand_from %s' ",
			    (*c)->name);
			if (str_starts(word, STR("--")))
				buf_putf(out, "-l " STR_FMT "\n", STR_ARG(str_skip(word, 2)));
			else
				buf_putf(out, "-f -a " STR_FMT "\n", STR_ARG(word));
		}
		buf_done(&words);
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
	const struct ctl_cmd *cmd = ctl_cmd_find("completion");
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

const struct ctl_cmd cmd_completion = {
	.name = "completion",
	.summary = "Print the completion script for a shell",
	.usage = "bash | zsh | fish",
	.help = "Example: pennypost completion bash > "
		"~/.local/share/bash-completion/completions/pennypost\n",
	.words = "bash zsh fish",
	.run = run,
};
