/* mailbox delete: letters go, after a question. */
#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "base/num.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct deleting {
	bool terminal;
	uint64_t letters, octets;
};

static void
deleting_row(void *arg, const struct msg_row *row)
{
	struct deleting *d = arg;
	d->letters = row_number(row, 0);
	d->octets = row_number(row, 1);
	if (d->terminal)
		fprintf(stderr, "\r%" PRIu64 " letters", d->letters);
}

/* "2026-01-31" (its first moment, UTC) or "2026-01-31T12:00:00Z" in ms since 1970. */
static bool
time_of(const char *text, uint64_t *ret)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ" };
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, forms[i], &tm);
		int day = tm.tm_mday;
		time_t t = end && *end == '\0' ? timegm(&tm) : -1;
		if (t < 0 || tm.tm_mday != day) /* there is no February 31 */
			continue;
		*ret = (uint64_t)t * 1000;
		return true;
	}
	return false;
}

static bool
confirmed(const struct ctl_call *call, const char *mailbox)
{
	char line[16] = "";
	if (call->yes || !isatty(STDIN_FILENO))
		return true;
	fprintf(stderr, "Delete %s%s%s%s of %s in %s for good? [y/N] ",
	    call->all           ? "all letters"
	    : call->words.n > 1 ? "letters "
				: "the letters",
	    call->words.n > 1 ? call->words.v[1] : "", call->before ? " from before " : "",
	    call->before ? call->before : "", call->words.v[0], mailbox);
	return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static void
print(const struct ctl_call *call, const struct deleting *d)
{
	if (call->json) {
		out_json(json_pack("{s:I, s:I}", "letters", (json_int_t)d->letters, "bytes",
		    (json_int_t)d->octets));
		return;
	}
	struct buf size = BUF_INIT(64);
	out_size(&size, d->octets);
	printf("Deleted %" PRIu64 " letter%s, %s.\n", d->letters, d->letters == 1 ? "" : "s",
	    buf_cstr(&size));
	buf_done(&size);
}

/* Exit status. */
static int
what(const struct ctl_call *call, const char **ret_uids, uint64_t *ret_before)
{
	bool some = call->words.n > 1;
	if (some && call->all)
		return usage_error(call->cmd,
		    "delete: UIDs and --all contradict each other; leave one of them out");
	if (!some && !call->all && !call->before)
		return usage_error(call->cmd,
		    "delete: which letters? Write UIDs such as 7 or 3-9,12, or --before DATE, or "
		    "--all");
	*ret_before = UINT64_MAX;
	if (call->before && !time_of(call->before, ret_before))
		return usage_error(call->cmd,
		    "delete: \"%s\" is no date; write it as 2026-01-31 or 2026-01-31T12:00:00Z",
		    call->before);
	*ret_uids = some ? call->words.v[1] : "1:*";
	return EXIT_DONE;
}

int
mailbox_delete(struct ctl_call *call)
{
	struct deleting d = { .terminal = isatty(STDERR_FILENO) && !call->json };
	const char *mailbox = call->mailbox ? call->mailbox : "INBOX", *uids = NULL;
	char before[24];
	uint64_t ms = 0;
	int status = what(call, &uids, &ms);
	if (status != EXIT_DONE)
		return status;
	if (!confirmed(call, mailbox)) {
		complain("nothing was deleted");
		return EXIT_REFUSED;
	}
	snprintf(before, sizeof(before), "%" PRIu64, ms);
	struct str args[] = { str_of(call->words.v[0]), str_of(mailbox), str_of(uids),
		str_of(before) };
	status =
	    server_ask(&call->server, "mailbox.delete", args, ARRAY_LEN(args), deleting_row, &d);
	if (d.terminal && d.letters)
		fputs("\r                      \r", stderr);
	if (status == EXIT_DONE)
		print(call, &d);
	return status;
}
