/* The options of `queue` as filters (ipc/ops.h). */
#include "ctl/queue_priv.h"

#include "base/check.h"
#include "base/num.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1u << 20)

static const struct {
	const char *option, *key;
	size_t offset;
	enum { AS_IS, SECONDS, NUMBER, ADDRESS } form;
} rows[] = {
	{ "--from", "from", offsetof(struct ctl_call, from), ADDRESS },
	{ "--to", "to", offsetof(struct ctl_call, to), ADDRESS },
	{ "--domain", "domain", offsetof(struct ctl_call, domain), AS_IS },
	{ "--older", "older", offsetof(struct ctl_call, older), SECONDS },
	{ "--newer", "newer", offsetof(struct ctl_call, newer), SECONDS },
	{ "--error", "error", offsetof(struct ctl_call, error), AS_IS },
	{ "--state", "state", offsetof(struct ctl_call, state), AS_IS },
	{ "--limit", "limit", offsetof(struct ctl_call, limit), NUMBER },
	{ "--reason", "reason", offsetof(struct ctl_call, reason), AS_IS },
};

static const char *const states[] = { "ready", "waiting", "active", "held", "later", "turn",
	"damaged" };

static void
add_str(struct queue_args *a, const char *key, struct str value)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	check(a->n < ASK_ARGS_MAX);
	buf_putf(&b, "%s=" STR_FMT, key, STR_ARG(value));
	a->made[a->n] = str_dup(buf_str(&b));
	a->v[a->n] = str_of(a->made[a->n]);
	a->n++;
	buf_done(&b);
}

static void
add(struct queue_args *a, const char *key, const char *value)
{
	add_str(a, key, str_of(value));
}

/* As `queue list` shows it or without its brackets; "<>" is nobody, which no recipient is. */
static int
add_address(struct queue_args *a, const struct ctl_call *call, size_t i, const char *value)
{
	struct str s = str_trim(str_of(value));
	bool from = strcmp(rows[i].key, "from") == 0;
	if (s.len >= 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
		s = str_n(s.p + 1, s.len - 2);
	else if (s.len == 0)
		return usage_error(call->cmd, "%s: something is to stand behind it%s",
		    rows[i].option, from ? "; '<>' is the null sender" : "");
	if (s.len == 0 && !from)
		return usage_error(call->cmd, "--to: no recipient is <>, which only senders are");
	add_str(a, rows[i].key, s);
	return EXIT_DONE;
}

static bool
is_state(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (strcmp(states[i], word) == 0)
			return true;
	return false;
}

static int
add_option(struct queue_args *a, const struct ctl_call *call, size_t i)
{
	const char *value;
	char number[24];
	uint64_t v = 0;
	memcpy(&value, (const char *)call + rows[i].offset, sizeof(value));
	if (!value)
		return EXIT_DONE;
	if (rows[i].form == ADDRESS)
		return add_address(a, call, i, value);
	if (value[0] == '\0')
		return usage_error(call->cmd, "%s: something is to stand behind it",
		    rows[i].option);
	if (rows[i].form == SECONDS &&
	    (!num_seconds(str_of(value), &v) || v > UINT64_MAX / 1000)) /* as the store, in ms */
		return usage_error(call->cmd, "%s: \"%s\" is no time; write 30m, 2h or 3d",
		    rows[i].option, value);
	if (rows[i].form == NUMBER && (!num_u64(str_of(value), UINT32_MAX, &v) || v == 0))
		return usage_error(call->cmd,
		    "%s: \"%s\" is no number of entries; write one from 1 to %u", rows[i].option,
		    value, UINT32_MAX);
	if (strcmp(rows[i].key, "reason") == 0 && strpbrk(value, "\r\n"))
		return usage_error(call->cmd, "--reason: it is to be one line");
	if (strcmp(rows[i].key, "state") == 0 && !is_state(value))
		return usage_error(call->cmd,
		    "--state: there is no state \"%s\"; write ready, waiting, active, held, "
		    "later, turn or damaged",
		    value);
	snprintf(number, sizeof(number), "%" PRIu64, v);
	add(a, rows[i].key, rows[i].form == AS_IS ? value : number);
	return EXIT_DONE;
}

void
queue_args_ids(struct queue_args *a, const struct ctl_call *call)
{
	*a = (struct queue_args){ 0 };
	for (size_t i = 0; i < call->words.n; i++)
		add(a, "id", call->words.v[i]);
}

int
queue_args_get(struct queue_args *a, const struct ctl_call *call, int choice)
{
	*a = (struct queue_args){ 0 };
	if (choice == QUEUE_CHOSEN && call->limit)
		return usage_error(call->cmd,
		    "--limit: it is for `queue list` only; leave it out, and write the ids of "
		    "those that are meant, or narrow the choice by other options");
	if (call->words.n + ARRAY_LEN(rows) + 1 > ASK_ARGS_MAX)
		return usage_error(call->cmd, "that is too many at a time; choose by options");
	queue_args_ids(a, call);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int status = add_option(a, call, i);
		if (status != EXIT_DONE)
			return status;
	}
	bool said = a->n > (call->reason ? 1u : 0u) + (call->limit ? 1u : 0u);
	if (call->all && said)
		return usage_error(call->cmd,
		    "--all and a choice contradict each other; leave one of them out");
	if (choice == QUEUE_CHOSEN && !said && !call->all)
		return usage_error(call->cmd,
		    "which entries? Write their ids, choose with --domain, --from, --to, --older, "
		    "--error or --state, or write --all");
	if (call->all)
		add(a, "all", "1");
	return EXIT_DONE;
}

void
queue_args_done(struct queue_args *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->made[i]);
	a->n = 0;
}
