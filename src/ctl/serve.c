#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "roles/parent/parent.h"

#include <stdlib.h>

struct serving {
	const char *path;
	struct cli_words set;
};

static struct conf *
reload(void *arg, struct buf *err)
{
	const struct serving *s = arg;
	struct buf warnings = BUF_INIT(1u << 20);
	struct conf *c = target_load(s->path, &s->set, err, &warnings);
	for (struct str rest = buf_str(&warnings); rest.len;) {
		struct str line = str_cut(&rest, '\n');
		if (line.len)
			LOG(LOG_WARN, 0, "configuration", LOGF("warning", line));
	}
	buf_done(&warnings);
	return c;
}

static int
serve(struct serving *s)
{
	struct buf err = BUF_INIT(64u << 20), warnings = BUF_INIT(64u << 20);
	struct conf *c = target_load(s->path, &s->set, &err, &warnings);
	complain_lines(buf_str(&err));
	for (struct str rest = buf_str(&warnings); rest.len;) {
		struct str line = str_cut(&rest, '\n');
		complain("warning: " STR_FMT, STR_ARG(line));
	}
	buf_done(&err);
	buf_done(&warnings);
	if (c == NULL)
		return EXIT_REFUSED;
	struct parent_options o = { .conf_path = s->path, .reload = reload, .arg = s };
	return parent_run(c, &o) == 0 ? EXIT_DONE : EXIT_REACH;
}

static int
run(int argc, char **argv)
{
	const struct cli_cmd *cmd = cli_cmd_find("serve");
	struct serving s = { 0 };
	struct cli_words words;
	struct cli_opt opts[] = { { "--config", OPT_VALUE, &s.path }, { "--set", OPT_LIST, &s.set },
		{ NULL } };
	int status = EXIT_USAGE;
	if (cli_parse(cmd, argc, argv, opts, &words)) {
		if (words.n)
			status = usage_error(cmd,
			    "it does not take \"%s\"; name the file with --config", words.v[0]);
		else {
			s.path = s.path ? s.path : CONF_PATH_DEFAULT;
			status = serve(&s);
		}
	}
	free(words.v);
	free(s.set.v);
	return status;
}

const struct cli_cmd cmd_serve = {
	.name = "serve",
	.summary = "Run the mail server",
	.usage = "[--config FILE] [--set KEY=VALUE]...",
	.help =
	    "Runs in the foreground until SIGTERM or SIGINT; SIGHUP makes it read the file again.\n"
	    "Start it as root, so that it can take port 25 and give every process a uid that\n"
	    "owns nothing.\n\n"
	    "  --config FILE    default: /etc/pennypost/pennypost.conf; see pennypost.conf(5)\n"
	    "  --set KEY=VALUE  as if the file said so; PORT:KEY=VALUE for one listener\n\n"
	    "Exit status: 0 stopped cleanly, 1 usage, 2 the configuration has mistakes, 3 it "
	    "could\n"
	    "not start or not go on.\n",
	.words = "--config=FILE --set=",
	.run = run,
};
