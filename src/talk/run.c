#include "talk/run.h"

#include "base/check.h"
#include "base/num.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "talk/case.h"
#include "talk/match.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64u
#define EXIT_USAGE 1
#define EXIT_START 2
#define EXIT_FAILED 16

struct options {
	struct case_options each;
	char *host;
	uint64_t jobs;
	bool verbose, json, list;
};

/* A case and the process that plays it. */
struct job {
	struct conv conv;
	pid_t pid; /* 0: not started, or ended */
	int out;   /* memfd for what it prints; -1: straight to standard output */
	bool ended;
	int status; /* exit status of the process */
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
	FILE *out = j->out < 0 ? stdout : fdopen(j->out, "w");

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	check(out);
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
	j->out = -1;
	if (run->o->jobs > 1)
		j->out = memfd_create("case", MFD_CLOEXEC);
	fflush(stdout);
	j->pid = fork();
	if (j->pid == 0)
		play_job(run->o, j);
	if (j->pid < 0) {
		fprintf(stderr, "pennypost run: fork: %s\n", strerror(errno));
		return false;
	}
	run->running++;
	return true;
}

static void
print_job(struct run *run, struct job *j)
{
	struct buf text = BUF_INIT(64u << 20);

	if (j->out >= 0) {
		if (lseek(j->out, 0, SEEK_SET) == 0 && file_read_fd(j->out, text.max, &text) == 0 &&
		    text.len)
			fwrite(text.p, 1, text.len, stdout);
		close(j->out);
		j->out = -1;
	}
	buf_done(&text);
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
		run->running--;
	}
	while (run->printed < run->started && run->jobs[run->printed].ended)
		print_job(run, &run->jobs[run->printed++]);
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
		return false;
	free(o->host);
	o->host = str_dup(host);
	o->each.host = o->host;
	o->each.port = (uint16_t)port;
	return true;
}

static bool usage(const char *fmt, ...) PRINTF(1, 2);

static bool
usage(const char *fmt, ...)
{
	va_list ap;

	fputs("pennypost run: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("; see `pennypost run --help`\n", stderr);
	return false;
}

enum { OPT_TO = 256, OPT_JOBS, OPT_KEEP, OPT_JSON, OPT_LIST, OPT_TIMEOUT };

static const struct option long_options[] = {
	{ "to", required_argument, NULL, OPT_TO },
	{ "jobs", required_argument, NULL, OPT_JOBS },
	{ "keep", no_argument, NULL, OPT_KEEP },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "verbose", no_argument, NULL, 'v' },
	{ 0 },
};

static bool
take_option(struct options *o, int opt)
{
	uint64_t n;

	switch (opt) {
	case OPT_TO:
		return set_server(o, optarg) || usage("--to wants HOST:PORT, not \"%s\"", optarg);
	case 'j':
	case OPT_JOBS:
		return (num_u64(str_of(optarg), JOBS_MAX, &o->jobs) && o->jobs > 0) ||
		       usage("--jobs wants a number from 1 to 64, not \"%s\"", optarg);
	case OPT_TIMEOUT:
		if (!num_u64(str_of(optarg), 3600, &n) || n == 0)
			return usage("--timeout wants seconds, not \"%s\"", optarg);
		o->each.timeout_ms = (int64_t)n * 1000;
		return true;
	case OPT_KEEP:
		o->each.keep = true;
		return true;
	case OPT_JSON:
		o->json = true;
		return true;
	case OPT_LIST:
		o->list = true;
		return true;
	case 'v':
		o->verbose = true;
		return true;
	default:
		return false;
	}
}

static bool
take_options(struct options *o, int argc, char **argv)
{
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "vj:", long_options, NULL)) != -1) {
		if (opt == '?')
			return usage("there is no option %s here, or its value is missing",
			    argv[optind - 1]);
		if (!take_option(o, opt))
			return false;
	}
	if (optind == argc)
		return usage("name at least one .conv file");
	return true;
}

static void
catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int
talk_run(int argc, char **argv)
{
	struct options o = { .jobs = 1, .each = { .timeout_ms = 5000, .stop = &stop } };
	struct run run = { .o = &o };
	struct buf err = BUF_INIT(1u << 20);
	int status = EXIT_USAGE;

	if (take_options(&o, argc, argv)) {
		run.n = (size_t)(argc - optind);
		run.jobs = xalloc(run.n * sizeof(*run.jobs));
		bool ok = true;
		for (size_t i = 0; i < run.n; i++)
			ok = load(&run.jobs[i].conv, argv[optind + (int)i], &err) && ok;
		if (err.len)
			fwrite(err.p, 1, err.len, stderr);
		catch_signals();
		if (ok && o.list)
			list(&run);
		if (ok)
			status = o.list ? 0 : play_all(&run);
	}
	for (size_t i = 0; i < run.n; i++)
		conv_done(&run.jobs[i].conv);
	free(run.jobs);
	free(o.host);
	buf_done(&err);
	return status;
}
