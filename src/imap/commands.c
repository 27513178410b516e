/* Every command, where it may be said, and what is told before its OK. */
#include "imap/imap_priv.h"

enum {
	EARLY = 1u << IMAP_STRANGER,
	KNOWN = 1u << IMAP_KNOWN,
	SELECTED = 1u << IMAP_SELECTED,
	LATE = KNOWN | SELECTED,
	ANY = EARLY | LATE,
};
#define FREE ROW_TLS_FREE
#define SYNC ROW_SYNC
#define ALWAYS (ROW_SYNC | ROW_SYNC_ALWAYS)
#define QUIET (ROW_SYNC | ROW_NO_EXPUNGE)

const struct imap_row imap_commands[] = {
	{ "CAPABILITY", ANY, imap_cmd_capability, FREE | SYNC },
	{ "NOOP", ANY, imap_cmd_noop, FREE | ALWAYS },
	{ "LOGOUT", ANY, imap_cmd_logout, FREE },
	{ "ID", ANY, imap_cmd_id, FREE | SYNC },
	{ "STARTTLS", EARLY, imap_cmd_starttls, FREE },
	{ "AUTHENTICATE", EARLY, imap_cmd_authenticate, ROW_SECRET },
	{ "LOGIN", EARLY, imap_cmd_login, ROW_SECRET },
	{ "ENABLE", KNOWN, imap_cmd_enable, 0 },
	{ "SELECT", LATE, imap_cmd_select, 0 },
	{ "EXAMINE", LATE, imap_cmd_examine, 0 },
	{ "CREATE", LATE, imap_cmd_create, SYNC },
	{ "DELETE", LATE, imap_cmd_delete, ALWAYS },
	{ "RENAME", LATE, imap_cmd_rename, ALWAYS },
	{ "SUBSCRIBE", LATE, imap_cmd_subscribe, SYNC },
	{ "UNSUBSCRIBE", LATE, imap_cmd_unsubscribe, SYNC },
	{ "LIST", LATE, imap_cmd_list, SYNC },
	{ "LSUB", LATE, imap_cmd_lsub, SYNC },
	{ "NAMESPACE", LATE, imap_cmd_namespace, SYNC },
	{ "STATUS", LATE, imap_cmd_status, SYNC },
	{ "APPEND", LATE, imap_cmd_append, SYNC | ROW_APPEND },
	{ "IDLE", LATE, imap_cmd_idle, SYNC },
	{ "GETQUOTA", LATE, imap_cmd_getquota, SYNC },
	{ "GETQUOTAROOT", LATE, imap_cmd_getquotaroot, SYNC },
	{ "SETQUOTA", LATE, imap_cmd_setquota, SYNC },
	{ "COMPRESS", LATE, imap_cmd_compress, 0 },
	{ "RESETKEY", LATE, imap_cmd_resetkey, SYNC },
	{ "GENURLAUTH", LATE, imap_cmd_genurlauth, SYNC },
	{ "URLFETCH", LATE, imap_cmd_urlfetch, SYNC },
	{ "CHECK", SELECTED, imap_cmd_check, ALWAYS },
	{ "CLOSE", SELECTED, imap_cmd_close, 0 },
	{ "UNSELECT", SELECTED, imap_cmd_unselect, 0 },
	{ "EXPUNGE", SELECTED, imap_cmd_expunge, ALWAYS },
	{ "UID EXPUNGE", SELECTED, imap_cmd_uid_expunge, ALWAYS },
	{ "FETCH", SELECTED, imap_cmd_fetch, QUIET },
	{ "STORE", SELECTED, imap_cmd_store, QUIET },
	{ "SEARCH", SELECTED, imap_cmd_search, QUIET },
	{ "SORT", SELECTED, imap_cmd_sort, QUIET },
	{ "THREAD", SELECTED, imap_cmd_thread, QUIET },
	{ "COPY", SELECTED, imap_cmd_copy, SYNC },
	{ "MOVE", SELECTED, imap_cmd_move, ALWAYS },
	{ "UID FETCH", SELECTED, imap_cmd_uid_fetch, SYNC },
	{ "UID STORE", SELECTED, imap_cmd_uid_store, SYNC },
	{ "UID SEARCH", SELECTED, imap_cmd_uid_search, SYNC },
	{ "UID SORT", SELECTED, imap_cmd_uid_sort, SYNC },
	{ "UID THREAD", SELECTED, imap_cmd_uid_thread, SYNC },
	{ "UID COPY", SELECTED, imap_cmd_uid_copy, SYNC },
	{ "UID MOVE", SELECTED, imap_cmd_uid_move, ALWAYS },
};

const struct imap_row *
imap_row_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(imap_commands); i++)
		if (str_ieq(name, str_of(imap_commands[i].name)))
			return &imap_commands[i];
	return NULL;
}
