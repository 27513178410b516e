#include "play/run.h"

#include "base/check.h"
#include "base/map.h"
#include "base/num.h"
#include "cli/cli.h"
#include "play/case.h"
#include "play/match.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64u
#define EXIT_START 2
#define EXIT_FAILED 16

struct options {
	struct case_options each;
	struct link_conf link;
	struct map vars;  /* --var: name -> static text of argv */
	const char *host; /* what it was cut from */
	const char *junit;
	uint64_t jobs;
	bool verbose, json, list;
};

/* A case and the process that plays it. */
struct job {
	struct conv conv;
	pid_t pid; /* 0: not started, or ended */
	FILE *out; /* for what it prints; NULL: straight to standard output */
	bool ended;
	int status; /* exit status of the process */
	int64_t start_ms, ms;
	struct buf text; /* what it printed, for --junit */
};

struct run {
	const struct options *o;
	struct job *jobs;
	size_t n, started, printed, running;
	size_t passed, failed, impossible;
};

static volatile sig_atomic_t stop; /* the signal that told us to */

static void
on_signal(int sig)
{
	stop = sig;
}

/* --- one case in its process ------------------------------------------------ */

static _Noreturn void
play_job(const struct options *o, const struct job *j)
{
	struct case_options co = o->each;
	struct case_result r;
	FILE *out = j->out ? j->out : stdout;

	co.live = o->verbose && !o->json ? out : NULL;
	case_run(&j->conv, &co, &r);
	if (o->json)
		case_print_json(out, &j->conv, &r);
	else
		case_print(out, &j->conv, &r);
	fflush(out);
	int status = r.play.result == PLAY_PASSED   ? 0
	             : r.play.result == PLAY_FAILED ? EXIT_FAILED
	                                            : EXIT_START;
	case_result_done(&r);
	exit(status);
}

static bool
start_job(struct run *run, struct job *j)
{
	if (run->o->jobs > 1 || run->o->junit) {
		j->out = tmpfile();
		if (!j->out) {
			complain("no temporary file can be made: %s", strerror(errno));
			return false;
		}
	}
	j->start_ms = sys_mono_ms();
	fflush(stdout);
	j->pid = fork();
	if (j->pid == 0)
		play_job(run->o, j);
	if (j->pid < 0) {
		complain("no process can be made: %s", strerror(errno));
		return false;
	}
	run->running++;
	return true;
}

static void
print_job(struct run *run, struct job *j)
{
	j->text = (struct buf)BUF_INIT(64u << 20);
	if (j->out) {
		/* The process has moved the file's position, which we share. */
		if (lseek(fileno(j->out), 0, SEEK_SET) == 0 &&
		    file_read_fd(fileno(j->out), j->text.max, &j->text) == 0 && j->text.len)
			fwrite(j->text.p, 1, j->text.len, stdout);
		fclose(j->out);
		j->out = NULL;
	}
	if (!run->o->junit)
		buf_done(&j->text);
	if (WIFSIGNALED(j->status))
		printf("FAIL " STR_FMT "  the runner itself died of signal %d\n",
		    STR_ARG(j->conv.id), WTERMSIG(j->status));
	fflush(stdout);
	int code = WIFEXITED(j->status) ? WEXITSTATUS(j->status) : EXIT_FAILED;
	run->passed += code == 0;
	run->impossible += code == EXIT_START;
	run->failed += code != 0 && code != EXIT_START;
}

static void
signal_jobs(struct run *run, int sig)
{
	for (size_t i = 0; i < run->started; i++)
		if (run->jobs[i].pid > 0)
			kill(run->jobs[i].pid, sig);
}

/* Waits for one of them; what has ended is printed in the order of the files. */
static void
wait_job(struct run *run)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	if (pid < 0) {
		if (stop)
			signal_jobs(run, SIGTERM);
		return;
	}
	for (size_t i = 0; i < run->started; i++) {
		struct job *j = &run->jobs[i];
		if (j->pid != pid)
			continue;
		j->pid = 0;
		j->ended = true;
		j->status = status;
		j->ms = sys_mono_ms() - j->start_ms;
		run->running--;
	}
	while (run->printed < run->started && run->jobs[run->printed].ended)
		print_job(run, &run->jobs[run->printed++]);
}

/* --- JUnit's form, which CI systems read --------------------------------------- */

static void
xml(FILE *f, struct str s)
{
	static const char *const names[] = {
		['<'] = "&lt;", ['>'] = "&gt;", ['&'] = "&amp;", ['"'] = "&quot;"
	};

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < ARRAY_LEN(names) && names[c])
			fputs(names[c], f);
		else if (c >= 0x20 || c == '\n' || c == '\t')
			fputc(c, f);
	}
}

static void
xml_case(FILE *f, const struct job *j)
{
	int code = WIFEXITED(j->status) ? WEXITSTATUS(j->status) : EXIT_FAILED;

	fputs("  <testcase classname=\"", f);
	xml(f, str_of(j->conv.path));
	fputs("\" name=\"", f);
	xml(f, j->conv.id);
	fprintf(f, "\" time=\"%lld.%03d\">", (long long)(j->ms / 1000), (int)(j->ms % 1000));
	if (code != 0) {
		const char *kind = code == EXIT_START ? "error" : "failure";
		fprintf(f, "<%s message=\"", kind);
		xml(f, j->conv.title);
		fputs("\">", f);
		xml(f, buf_str(&j->text));
		fprintf(f, "</%s>", kind);
	}
	fputs("</testcase>\n", f);
}

static bool
write_junit(const struct run *run)
{
	FILE *f = fopen(run->o->junit, "w");

	if (f) {
		fprintf(f,
		    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		    "<testsuite name=\"pennypost run\" tests=\"%zu\" failures=\"%zu\" "
		    "errors=\"%zu\">\n",
		    run->printed, run->failed, run->impossible);
		for (size_t i = 0; i < run->printed; i++)
			xml_case(f, &run->jobs[i]);
		fputs("</testsuite>\n", f);
	}
	if (!f || fclose(f) != 0) {
		complain("%s cannot be written: %s", run->o->junit, strerror(errno));
		return false;
	}
	return true;
}

static int
play_all(struct run *run)
{
	int64_t start = sys_mono_ms();
	bool ok = true;

	while (run->running || (ok && !stop && run->started < run->n)) {
		if (ok && !stop && run->started < run->n && run->running < run->o->jobs) {
			ok = start_job(run, &run->jobs[run->started]);
			run->started += ok;
			continue;
		}
		wait_job(run);
	}
	size_t bad = run->failed + run->impossible;
	long long tenths = (long long)((sys_mono_ms() - start + 50) / 100);
	if (run->o->json)
		printf("{\"passed\":%zu,\"failed\":%zu}\n", run->passed, bad);
	else
		printf("%zu passed, %zu failed (%lld.%lld s)\n", run->passed, bad, tenths / 10,
		    tenths % 10);
	if (run->o->junit && !write_junit(run))
		return EXIT_IO_CLIENT;
	if (stop)
		return 128 + (int)stop;
	return run->failed ? EXIT_FAILED : bad || !ok ? EXIT_START : 0;
}

/* --- reading the files -------------------------------------------------------- */

static bool
check_patterns(const struct conv *c, struct buf *err)
{
	bool ok = true;

	for (size_t i = 0; i < c->n_steps; i++) {
		struct buf why = BUF_INIT(256);
		if (c->steps[i].ere.p && !match_check(c->steps[i].ere, &why)) {
			buf_putf(err,
			    "%s:%d: not a POSIX extended regular expression: " STR_FMT "\n",
			    c->path, c->steps[i].line, STR_ARG(buf_str(&why)));
			ok = false;
		}
		buf_done(&why);
	}
	return ok;
}

/* The name of the file stands in for an @id that is not there. */
static void
name_case(struct conv *c)
{
	struct str name = str_of(c->path);

	if (c->id.len)
		return;
	c->id = str_skip(name, str_rfind(name, '/') < name.len ? str_rfind(name, '/') + 1 : 0);
	if (str_ends(c->id, STR(".conv")))
		c->id.len -= 5;
}

static bool
load(struct conv *c, const char *path, struct buf *err)
{
	struct buf text = BUF_INIT(CONV_TEXT_MAX + 1);
	int error = file_read_all(path, CONV_TEXT_MAX, &text);

	*c = (struct conv){ 0 };
	if (error < 0)
		buf_putf(err, "%s: %s\n", path, strerror(-error));
	bool ok = error == 0 && conv_parse(c, path, buf_str(&text), err) && check_patterns(c, err);
	if (ok)
		name_case(c);
	buf_done(&text);
	return ok;
}

static void
list(const struct run *run)
{
	for (size_t i = 0; i < run->n; i++) {
		const struct conv *c = &run->jobs[i].conv;
		if (!run->o->json) {
			printf(STR_FMT "\t%s\t" STR_FMT "\n", STR_ARG(c->id), c->path,
			    STR_ARG(c->title));
			continue;
		}
		json_t *j = json_pack("{s:s%,s:s,s:s%}", "id", c->id.p, c->id.len, "file", c->path,
		    "title", c->title.p ? c->title.p : "", c->title.len);
		json_dumpf(j, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(j);
	}
}

/* --- the command line ------------------------------------------------------------ */

static bool
set_server(struct options *o, const char *arg)
{
	struct str s = str_of(arg);
	size_t colon = str_rfind(s, ':');
	struct str host = str_first(s, colon);
	uint64_t port;

	if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
		host = str_n(host.p + 1, host.len - 2);
	if (!host.len || !num_u64(str_skip(s, colon + 1), 65535, &port) || port == 0)
		return usage_error(&cmd_run, "--to wants HOST:PORT, not \"%s\"", arg) == 0;
	o->each.host = o->host = str_dup(host);
	o->each.port = (uint16_t)port;
	return true;
}

static bool
set_number(const char *option, const char *text, uint64_t most, uint64_t *ret)
{
	if (!text || (num_u64(str_of(text), most, ret) && *ret > 0))
		return true;
	usage_error(&cmd_run, "%s wants a number from 1 to %llu, not \"%s\"", option,
	    (unsigned long long)most, text);
	return false;
}

static bool
set_vars(struct options *o, const struct cli_words *vars)
{
	for (size_t i = 0; i < vars->n; i++) {
		struct str value = str_of(vars->v[i]), name = str_cut(&value, '=');
		if (!value.p || !conv_is_name(name)) {
			usage_error(&cmd_run,
			    "--var wants name=VALUE, the name of small letters and digits, not "
			    "\"%s\"",
			    vars->v[i]);
			return false;
		}
		map_put(&o->vars, name, memcpy(xalloc(value.len + 1), value.p, value.len + 1));
	}
	return true;
}

/* True: go on. */
static bool
take_options(struct options *o, int argc, char **argv, struct cli_words *files)
{
	const char *to = NULL, *jobs = NULL, *timeout = NULL, *ca = NULL, *name = NULL;
	struct cli_words vars = { 0 };
	uint64_t seconds = 5;
	const struct cli_opt opts[] = {
		{ "--to", OPT_VALUE, &to },
		{ "--jobs", OPT_VALUE, &jobs },
		{ "-j", OPT_VALUE, &jobs },
		{ "--timeout", OPT_VALUE, &timeout },
		{ "--verbose", OPT_FLAG, &o->verbose },
		{ "-v", OPT_FLAG, &o->verbose },
		{ "--keep", OPT_FLAG, &o->each.keep },
		{ "--list", OPT_FLAG, &o->list },
		{ "--json", OPT_FLAG, &o->json },
		{ "--junit", OPT_VALUE, &o->junit },
		{ "--var", OPT_LIST, &vars },
		{ "--env", OPT_FLAG, &o->each.env },
		{ "--ca", OPT_VALUE, &ca },
		{ "--verify-name", OPT_VALUE, &name },
		{ "--sni", OPT_VALUE, &o->link.sni },
		{ "--cert", OPT_VALUE, &o->link.tls.cert_file },
		{ "--key", OPT_VALUE, &o->link.tls.key_file },
		{ NULL },
	};

	bool ok = cli_parse(&cmd_run, argc, argv, opts, files) &&
	          set_number("--jobs", jobs, JOBS_MAX, &o->jobs) &&
	          set_number("--timeout", timeout, 3600, &seconds) && set_vars(o, &vars) &&
	          (!to || set_server(o, to));
	if (ok && files->n == 0) {
		usage_error(&cmd_run, "name at least one .conv file");
		ok = false;
	}
	o->each.timeout_ms = (int64_t)seconds * 1000;
	o->link.tls.ca_file = ca;
	o->link.verify_name = name;
	o->link.insecure = !ca && !name;
	o->each.link = &o->link;
	o->each.vars = &o->vars;
	free(vars.v);
	return ok;
}

static void
catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void
options_end(struct options *o)
{
	struct str key;
	size_t pos = 0;
	void *value;

	while (map_next(&o->vars, &pos, &key, &value))
		free(value);
	map_done(&o->vars);
	free((void *)(uintptr_t)o->host);
}

int
play_run(int argc, char **argv)
{
	struct options o = { .jobs = 1, .each = { .stop = &stop } };
	struct run run = { .o = &o };
	struct buf err = BUF_INIT(1u << 20);
	struct cli_words files = { 0 };
	int status = EXIT_USAGE;

	if (take_options(&o, argc, argv, &files)) {
		run.n = files.n;
		run.jobs = xalloc(run.n * sizeof(*run.jobs));
		bool ok = true;
		for (size_t i = 0; i < run.n; i++)
			ok = load(&run.jobs[i].conv, files.v[i], &err) && ok;
		if (err.len)
			fwrite(err.p, 1, err.len, stderr);
		catch_signals();
		if (ok && o.list)
			list(&run);
		if (ok)
			status = o.list ? 0 : play_all(&run);
	}
	for (size_t i = 0; i < run.n; i++) {
		conv_done(&run.jobs[i].conv);
		buf_done(&run.jobs[i].text);
	}
	free(run.jobs);
	free(files.v);
	options_end(&o);
	buf_done(&err);
	return status;
}
