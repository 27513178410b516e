/* The ids that stand behind `queue list`, `queue delete` and the like: is each in the queue? */
#include "ctl/queue_priv.h"

#include "base/check.h"

#include <stdlib.h>

struct ids {
	const struct cli_words *words;
	bool *known; /* one for each */
};

/* As the store compares them: an entry's, a letter's, or a queue id. */
static bool
names(struct str word, const struct msg_row *row)
{
	struct str id = row_field(row, Q_ID);
	return word.len > 0 && (str_eq(word, id) || str_eq(word, row_field(row, Q_QID)) ||
				   str_eq(word, str_first(id, str_rfind(id, '.'))));
}

static void
id_row(void *arg, const struct msg_row *row)
{
	struct ids *ids = arg;
	for (size_t i = 0; i < ids->words->n; i++)
		ids->known[i] = ids->known[i] || names(str_of(ids->words->v[i]), row);
}

static int
complain_unknown(const struct ids *ids)
{
	int status = EXIT_DONE;
	for (size_t i = 0; i < ids->words->n; i++) {
		if (ids->known[i])
			continue;
		complain("%s is not in the queue; see `pennypost queue list`, or "
			 "`pennypost trace` for what has left it",
		    ids->words->v[i]);
		status = EXIT_REFUSED;
	}
	return status;
}

int
queue_ids_known(struct ctl_call *call)
{
	struct ids ids = { .words = &call->words };
	struct queue_args a;
	if (call->words.n == 0)
		return EXIT_DONE;
	queue_args_ids(&a, call);
	ids.known = xalloc(call->words.n * sizeof(*ids.known));
	int status = server_ask(&call->server, "queue.list", a.v, a.n, id_row, &ids);
	if (status == EXIT_DONE)
		status = complain_unknown(&ids);
	free(ids.known);
	queue_args_done(&a);
	return status;
}
