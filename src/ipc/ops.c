#include "ipc/ops.h"

/* The row of `status`: its own fields, then one per enum status_key in that order. */
#define STATUS_FIELDS                                                                              \
	"role index pid state layers uid restarts uptime_ms "                                      \
	"connections connections_all letters refused directory groups group_letters "              \
	"durable_lsn applied_lsn segments space_free accounts body_memory index_commits "          \
	"logins logins_failed log_dropped connections_max "                                        \
	"log_size log_live compactions checkpoints reserve "                                       \
	"tls tls_handshakes signatures lookups "                                                   \
	"connections_smtp connections_imap connections_pop3 connections_out sent queue"

/* An entry of the queue, by queue.list; and what queue.show says of it besides. */
#define QUEUE_FIELDS                                                                               \
	"id qid state created_ms next_ms last_ms size attempts priority from domain rcpts "        \
	"trouble mta code status text target wish"
#define QUEUE_MORE_FIELDS                                                                          \
	"account peer session message_id sender envid ret flags hold_until_ms by_ms expires_ms "   \
	"warned stage where reason held_by"
#define QUEUE_CHANGED_FIELDS "entries trying by_route ending held later turn already damaged"
#define QUEUE_TARGET_FIELDS                                                                        \
	"target state waiting active held connections window retry_ms trouble text sent later "    \
	"refused oldest_ms route"

const struct ipc_op ipc_ops[] = {
	{ "status", ROLE_PARENT, 0, 0, STATUS_FIELDS },
	{ "listeners", ROLE_PARENT, 0, 0, "protocol address port" },
	{ "reload", ROLE_PARENT, 0, 0, "" },
	{ "stop", ROLE_PARENT, 0, 0, "" },
	{ "fault", ROLE_PARENT, 1, 1, "" },
	{ "tls.reload", ROLE_PARENT, 0, 0, "" },

	{ "domain.add", ROLE_STORE, 1, 1, "" },
	{ "domain.remove", ROLE_STORE, 1, 1, "" },
	{ "domain.list", ROLE_STORE, 0, 0, "domain source" },
	{ "user.add", ROLE_STORE, 1, 1, "" },
	{ "user.remove", ROLE_STORE, 1, 1, "" },
	{ "user.list", ROLE_STORE, 0, 0, "address account quota" },
	{ "user.quota", ROLE_STORE, 2, 2, "" },
	{ "alias.add", ROLE_STORE, 2, 2, "" },
	{ "alias.remove", ROLE_STORE, 1, 1, "" },
	{ "alias.list", ROLE_STORE, 0, 0, "address members source" },
	{ "mailbox.create", ROLE_STORE, 3, 3, "mailbox" },
	{ "mailbox.rename", ROLE_STORE, 3, 3, "" },
	{ "mailbox.subscribe", ROLE_STORE, 3, 3, "" },
	{ "mailbox.delete", ROLE_STORE, 4, 4, "letters octets uid" },
	{ "backup.begin", ROLE_STORE, 0, 0, "store lsn" },
	{ "backup.hold", ROLE_STORE, 0, 0, "seconds" },
	{ "backup.end", ROLE_STORE, 0, 0, "" },
	{ "import.open", ROLE_STORE, 3, 3, "account mailbox made" },
	{ "import.marks", ROLE_STORE, 3, 3, "position keys" },
	{ "import.forget", ROLE_STORE, 3, 3, "" },
	{ "import.letters", ROLE_STORE, 4, 4, "letters octets known", true },
	{ "queue.list", ROLE_STORE, 0, ASK_ARGS_MAX, QUEUE_FIELDS },
	{ "queue.count", ROLE_STORE, 0, ASK_ARGS_MAX, "entries letters rcpts octets" },
	{ "queue.show", ROLE_STORE, 1, 1, "kind " QUEUE_FIELDS " " QUEUE_MORE_FIELDS },
	{ "queue.why", ROLE_STORE, 1, 1, "kind " QUEUE_FIELDS " " QUEUE_MORE_FIELDS },
	{ "queue.retry", ROLE_STORE, 1, ASK_ARGS_MAX, QUEUE_CHANGED_FIELDS },
	{ "queue.hold", ROLE_STORE, 1, ASK_ARGS_MAX, QUEUE_CHANGED_FIELDS },
	{ "queue.release", ROLE_STORE, 1, ASK_ARGS_MAX, QUEUE_CHANGED_FIELDS },
	{ "queue.bounce", ROLE_STORE, 1, ASK_ARGS_MAX, QUEUE_CHANGED_FIELDS },
	{ "queue.delete", ROLE_STORE, 1, ASK_ARGS_MAX, QUEUE_CHANGED_FIELDS },
	{ "queue.flush", ROLE_STORE, 0, 1, "entries" },
	{ "queue.targets", ROLE_STORE, 0, 2, QUEUE_TARGET_FIELDS },
	{ "queue.totals", ROLE_STORE, 0, 0,
	    "entries ready waiting active held turn sent later refused doubt memory "
	    "targets" },

	{ "mailbox.list", ROLE_READER, 1, 1,
	    "name messages bytes uidnext uidvalidity modseq unseen special subscribed" },
	{ "mailbox.show", ROLE_READER, 2, 2,
	    "uid time_ms size letter return_path from subject flags" },
	{ "mailbox.read", ROLE_READER, 3, 3, "chunk" },
	{ "mailbox.export", ROLE_READER, 2, 2, "kind uid time_ms size return_path flags" },
	{ "trace", ROLE_READER, 1, 16,
	    "letter session time_ms kind qid from rcpts message_id peer lsn history" },

	{ "relay.fetch", ROLE_RELAY, 0, 1, "route outcome history" },

	{ "auth.set", ROLE_AUTH, 2, 5, "" },
	{ "auth.remove", ROLE_AUTH, 1, 1, "" },
	{ "auth.list", ROLE_AUTH, 0, 0, "address keeps" },
	{ "auth.check", ROLE_AUTH, 2, 2, "" },
	{ 0 },
};

const struct ipc_op *
ipc_op_find(struct str name)
{
	for (const struct ipc_op *op = ipc_ops; op->name; op++)
		if (str_eq(name, str_of(op->name)))
			return op;
	return NULL;
}
