#include "ctl/ctl_priv.h"

#include "queue/entry.h"
#include "store/fsck.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_PROBLEMS 2
#define EXIT_NO_LOOK 3

static void
progress(void *arg, uint64_t done, uint64_t all)
{
	unsigned *last = arg, percent = all ? (unsigned)(done / (all / 100 + 1)) : 100;
	if (percent == *last)
		return;
	*last = percent;
	fprintf(stderr, "\r%u %%", percent > 100 ? 100 : percent);
}

static void
print_json(const struct fsck_report *r)
{
	json_t *lines = json_array(), *root;
	for (struct str rest = buf_str(&r->text); rest.len;) {
		struct str line = str_cut(&rest, '\n');
		if (line.len)
			json_array_append_new(lines, out_json_text(line));
	}
	root = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "segments",
	    (json_int_t)r->segments, "frames", (json_int_t)r->frames, "letters",
	    (json_int_t)r->letters, "mailboxes", (json_int_t)r->mailboxes, "queued",
	    (json_int_t)r->queued, "records", (json_int_t)r->records, "bodies_checked",
	    (json_int_t)r->bodies_checked, "bytes", (json_int_t)r->bytes, "histories",
	    (json_int_t)r->histories, "problems", (json_int_t)r->problems, "lines", lines);
	out_json(root);
}

static void
print_text(const struct fsck_report *r)
{
	struct buf size = BUF_INIT(64);
	out_size(&size, r->bytes);
	if (r->text.len)
		fwrite(r->text.p, 1, r->text.len, stdout);
	if (r->problems)
		printf("%" PRIu64 " problem%s. ", r->problems, r->problems == 1 ? "" : "s");
	printf("Read %s: %" PRIu64 " segments, %" PRIu64 " frames, %" PRIu64 " letters, %" PRIu64
	       " bodies, %" PRIu64 " mailboxes, %" PRIu64 " queued, %" PRIu64 " records, %" PRIu64
	       " file%s of histories.\n",
	    buf_cstr(&size), r->segments, r->frames, r->letters, r->bodies_checked, r->mailboxes,
	    r->queued, r->records, r->histories, r->histories == 1 ? "" : "s");
	buf_done(&size);
}

static const char *
judge_queued(struct str value, struct str state)
{
	struct queue_entry e;
	struct queue_state s;
	return queue_stored_get(value, state, &e, &s);
}

static int
look(struct ctl_call *call, const char *dir)
{
	struct fsck_report r = { 0 };
	unsigned last = 101;
	bool terminal = isatty(STDERR_FILENO) && !call->json;
	int rc = fsck_run_queued(dir, &r, judge_queued, terminal ? progress : NULL, &last);
	if (terminal && last <= 100)
		fputs("\r     \r", stderr);
	if (rc < 0)
		complain("%s: cannot be checked: %s; %s", dir, strerror(-rc),
		    rc == -ENOENT ? "name the server with --config FILE or --dir DIR"
				  : "look as the user who started the server, or as root");
	else if (call->json)
		print_json(&r);
	else
		print_text(&r);
	int status = rc < 0 ? EXIT_NO_LOOK : r.problems ? EXIT_PROBLEMS : EXIT_DONE;
	fsck_report_done(&r);
	return status;
}

/* The new files must be those of who owns the store: what is made here is made as that user. */
static bool
become_owner(const char *dir)
{
	struct stat st;
	if (stat(dir, &st) < 0 || chdir(dir) < 0)
		return false;
	if (geteuid() != 0 || st.st_uid == 0)
		return true;
	return setgroups(0, NULL) == 0 && setgid(st.st_gid) == 0 && setuid(st.st_uid) == 0;
}

static int
rebuild(struct ctl_call *call, const char *dir)
{
	struct fsck_report r = { 0 };
	struct buf err = BUF_INIT(4096);
	unsigned last = 101;
	bool terminal = isatty(STDERR_FILENO) && !call->json;
	int rc = become_owner(dir) ? 0 : -errno;
	if (rc == 0)
		rc = fsck_rebuild(".", &r, terminal ? progress : NULL, &last, &err);
	if (terminal && last <= 100)
		fputs("\r     \r", stderr);
	if (rc == -EWOULDBLOCK)
		complain("%s: the server is running; stop it first, with `pennypost stop` or ^C",
		    dir);
	else if (rc < 0)
		complain("%s: the index was not made: %s", dir,
		    err.len ? buf_cstr(&err) : strerror(-rc));
	else if (call->json)
		out_json(json_pack("{s:I, s:I, s:I}", "segments", (json_int_t)r.segments, "letters",
		    (json_int_t)r.letters, "mailboxes", (json_int_t)r.mailboxes));
	else
		printf("Made the index anew from %" PRIu64 " segments: %" PRIu64
		       " letters in %" PRIu64 " mailboxes.\n",
		    r.segments, r.letters, r.mailboxes);
	fsck_report_done(&r);
	buf_done(&err);
	return rc < 0 ? EXIT_NO_LOOK : EXIT_DONE;
}

static int
fsck(struct ctl_call *call)
{
	struct conf *c = target_conf(call->config, call->dir);
	struct buf dir = BUF_INIT(8192);
	int status = EXIT_NO_LOOK;
	if (c) {
		buf_putf(&dir, "%s/store", c->data_dir);
		if (buf_cstr(&dir) && !dir.failed)
			status = call->rebuild ? rebuild(call, dir.p) : look(call, dir.p);
	}
	buf_done(&dir);
	conf_free(c);
	return status;
}

static int
run(int argc, char **argv)
{
	static const struct ctl_sub sub = { "", 0, 0, SUB_NO_SERVER | SUB_REBUILD, fsck };
	return ctl_sub_run(cli_cmd_find("fsck"), &sub, argc, argv);
}

const struct cli_cmd cmd_fsck = {
	.name = "fsck",
	.summary = "Check everything in the store, or make its index anew",
	.usage = "[--rebuild-index] [--json]",
	.help =
	    "Reads every record and every letter and checks them against their checksums and\n"
	    "against each other, and changes nothing. Works beside a running server.\n\n"
	    "  --rebuild-index  make the index anew from the log; the server must be stopped. The\n"
	    "                   tables of `trace` are made at the next start\n"
	    "  --json           print JSON\n"
	    "  --config FILE    the server that FILE configures\n"
	    "  --dir DIR        the server in DIR\n\n"
	    "Exit status: 0 clean, 2 problems were found, 3 it could not look.\n",
	.words = "--rebuild-index --json --config=FILE --dir=DIR",
	.run = run,
};
