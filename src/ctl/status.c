#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "base/num.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { F_ROLE, F_INDEX, F_PID, F_STATE, F_LAYERS, F_UID, F_RESTARTS, F_UPTIME, F_KEYS };

static const struct {
	uint32_t bit;
	const char *name;
} layers[] = {
	{ LAYER_UID, "uid" },
	{ LAYER_CHROOT, "chroot" },
	{ LAYER_NO_NEW_PRIVS, "no_new_privs" },
	{ LAYER_SECCOMP, "seccomp" },
	{ LAYER_SECCOMP_RELAXED, "seccomp_relaxed" },
	{ LAYER_LANDLOCK, "landlock" },
	{ LAYER_NO_DUMP, "no_dump" },
};

/* Which numbers are shown, whose they are, and whether they add up over all of a kind. */
static const struct {
	enum status_key key;
	enum ipc_role role;
} numbers[] = {
	{ STATUS_CONNECTIONS, ROLE_FRONT },
	{ STATUS_CONNECTIONS_SMTP, ROLE_FRONT },
	{ STATUS_CONNECTIONS_IMAP, ROLE_FRONT },
	{ STATUS_CONNECTIONS_POP3, ROLE_FRONT },
	{ STATUS_CONNECTIONS_MAX, ROLE_PARENT },
	{ STATUS_CONNECTIONS_ALL, ROLE_FRONT },
	{ STATUS_CONNECTIONS_OUT, ROLE_RELAY },
	{ STATUS_SENT, ROLE_RELAY },
	{ STATUS_QUEUE, ROLE_STORE },
	{ STATUS_LETTERS, ROLE_FRONT },
	{ STATUS_REFUSED, ROLE_FRONT },
	{ STATUS_TLS, ROLE_FRONT },
	{ STATUS_TLS_HANDSHAKES, ROLE_FRONT },
	{ STATUS_SIGNATURES, ROLE_AUTH },
	{ STATUS_LOOKUPS, ROLE_DNS },
	{ STATUS_LOGINS, ROLE_AUTH },
	{ STATUS_LOGINS_FAILED, ROLE_AUTH },
	{ STATUS_LOG_DROPPED, ROLE_COUNT },
	{ STATUS_ACCOUNTS, ROLE_STORE },
	{ STATUS_DIRECTORY, ROLE_STORE },
	{ STATUS_GROUPS, ROLE_STORE },
	{ STATUS_GROUP_LETTERS, ROLE_STORE },
	{ STATUS_DURABLE_LSN, ROLE_STORE },
	{ STATUS_APPLIED_LSN, ROLE_STORE },
	{ STATUS_INDEX_COMMITS, ROLE_STORE },
	{ STATUS_SEGMENTS, ROLE_STORE },
	{ STATUS_LOG_SIZE, ROLE_STORE },
	{ STATUS_LOG_LIVE, ROLE_STORE },
	{ STATUS_COMPACTIONS, ROLE_STORE },
	{ STATUS_CHECKPOINTS, ROLE_STORE },
	{ STATUS_RESERVE, ROLE_STORE },
	{ STATUS_SPACE_FREE, ROLE_STORE },
	{ STATUS_BODY_MEMORY, ROLE_STORE },
};

struct role_line {
	char *role, *state;
	uint64_t index, pid, layers, uid, restarts, uptime_ms;
	uint64_t value[STATUS_KEY_COUNT];
	bool have[STATUS_KEY_COUNT];
};

static const struct out_column listener_columns[] = {
	{ "Protocol", OUT_TEXT },
	{ "Address", OUT_TEXT },
	{ "Port", OUT_NUMBER },
};

struct status {
	struct role_line *line;
	size_t n;
	struct out_list listeners;
};

static void
status_row(void *arg, const struct msg_row *row)
{
	struct status *s = arg;
	s->line = xrealloc(s->line, (s->n + 1) * sizeof *s->line);
	struct role_line *l = &s->line[s->n++];
	*l = (struct role_line){
		.role = str_dup(row_field(row, F_ROLE)),
		.state = str_dup(row_field(row, F_STATE)),
		.index = row_number(row, F_INDEX),
		.pid = row_number(row, F_PID),
		.layers = row_number(row, F_LAYERS),
		.uid = row_number(row, F_UID),
		.restarts = row_number(row, F_RESTARTS),
		.uptime_ms = row_number(row, F_UPTIME),
	};
	for (size_t k = 0; k < STATUS_KEY_COUNT; k++) {
		l->have[k] = row_field(row, F_KEYS + k).len > 0;
		l->value[k] = row_number(row, F_KEYS + k);
	}
}

static void
status_done(struct status *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->line[i].role);
		free(s->line[i].state);
	}
	free(s->line);
}

/* Sum over the roles whose number it is; false when none reports it. */
static bool
total(const struct status *s, enum status_key key, enum ipc_role role, uint64_t *ret)
{
	bool have = false;
	*ret = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct role_line *l = &s->line[i];
		if (!l->have[key] ||
		    (role != ROLE_COUNT && strcmp(l->role, ipc_role_name[role]) != 0))
			continue;
		*ret += l->value[key];
		have = true;
	}
	return have;
}

static json_t *
json_layers(uint64_t mask)
{
	json_t *a = json_array();
	for (size_t i = 0; i < ARRAY_LEN(layers); i++)
		if (mask & layers[i].bit)
			json_array_append_new(a, json_string(layers[i].name));
	return a;
}

static json_t *
json_line(const struct role_line *l)
{
	json_t *o = json_pack("{s:o, s:I, s:I, s:o, s:o, s:I, s:I, s:I}", "role",
	    out_json_text(str_of(l->role)), "index", (json_int_t)l->index, "pid",
	    (json_int_t)l->pid, "state", out_json_text(str_of(l->state)), "layers",
	    json_layers(l->layers), "uid", (json_int_t)l->uid, "restarts", (json_int_t)l->restarts,
	    "uptime_ms", (json_int_t)l->uptime_ms);
	check(o);
	for (size_t k = 0; k < STATUS_KEY_COUNT; k++)
		if (l->have[k])
			json_object_set_new(o, status_key_name[k],
			    json_integer((json_int_t)l->value[k]));
	return o;
}

static void
print_json(struct status *s, const char *dir)
{
	json_t *root = json_object(), *roles = json_array(), *store = json_object();
	json_object_set_new(root, "dir", out_json_text(str_of(dir)));
	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(roles, json_line(&s->line[i]));
	json_object_set_new(root, "roles", roles);
	json_object_set(root, "listeners", s->listeners.array);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uint64_t v;
		bool have = total(s, numbers[i].key, numbers[i].role, &v);
		json_object_set_new(numbers[i].role == ROLE_STORE ? store : root,
		    status_key_name[numbers[i].key],
		    have ? json_integer((json_int_t)v) : json_null());
	}
	json_object_set_new(root, "store", store);
	out_json(root);
}

static void
put_span(struct buf *b, uint64_t ms)
{
	uint64_t s = ms / 1000;
	if (s >= 86400)
		buf_putf(b, "%" PRIu64 "d %" PRIu64 "h", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		buf_putf(b, "%" PRIu64 "h %" PRIu64 "m", s / 3600, s / 60 % 60);
	else if (s >= 60)
		buf_putf(b, "%" PRIu64 "m %" PRIu64 "s", s / 60, s % 60);
	else
		buf_putf(b, "%" PRIu64 "s", s);
}

static void
print_roles(const struct status *s)
{
	static const struct out_column columns[] = {
		{ "Role", OUT_TEXT },
		{ "PID", OUT_NUMBER },
		{ "State", OUT_TEXT },
		{ "UID", OUT_NUMBER },
		{ "Restarts", OUT_NUMBER },
		{ "Up", OUT_TEXT },
		{ "Layers", OUT_TEXT },
	};
	struct out_list o;
	out_list_begin(&o, columns, ARRAY_LEN(columns), false);
	for (size_t i = 0; i < s->n; i++) {
		const struct role_line *l = &s->line[i];
		struct buf b[ARRAY_LEN(columns)];
		struct msg_row row = { .n = ARRAY_LEN(columns) };
		for (size_t c = 0; c < ARRAY_LEN(b); c++)
			buf_init(&b[c], 1024);
		bool many = strcmp(l->role, "front") == 0 || strcmp(l->role, "reader") == 0 ||
		            strcmp(l->role, "relay") == 0;
		buf_putf(&b[0], many ? "%s.%" PRIu64 : "%s", l->role, l->index);
		buf_putf(&b[1], "%" PRIu64, l->pid);
		buf_putz(&b[2], l->state);
		buf_putf(&b[3], "%" PRIu64, l->uid);
		buf_putf(&b[4], "%" PRIu64, l->restarts);
		put_span(&b[5], l->uptime_ms);
		for (size_t k = 0; k < ARRAY_LEN(layers); k++)
			if (l->layers & layers[k].bit)
				buf_putf(&b[6], "%s%s", b[6].len ? " " : "", layers[k].name);
		for (size_t c = 0; c < ARRAY_LEN(b); c++)
			row.field[c] = buf_str(&b[c]);
		out_list_row(&o, &row);
		for (size_t c = 0; c < ARRAY_LEN(b); c++)
			buf_done(&b[c]);
	}
	out_list_end(&o, true);
}

static bool
is_size(enum status_key key)
{
	return key == STATUS_SPACE_FREE || key == STATUS_BODY_MEMORY || key == STATUS_LOG_SIZE ||
	       key == STATUS_LOG_LIVE;
}

static void
print_numbers(const struct status *s)
{
	putchar('\n');
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		struct buf b = BUF_INIT(64);
		uint64_t v;
		enum status_key key = numbers[i].key;
		if (!total(s, key, numbers[i].role, &v))
			continue;
		if (is_size(key))
			out_size(&b, v);
		else if (key == STATUS_RESERVE)
			buf_putz(&b, v ? "whole" : "used up");
		else
			buf_putf(&b, "%" PRIu64, v);
		printf("%-16s %s\n", status_key_name[key], buf_cstr(&b));
		buf_done(&b);
	}
}

static int
status(struct ctl_call *call)
{
	struct status s = { NULL, 0 };
	out_list_begin(&s.listeners, listener_columns, ARRAY_LEN(listener_columns), call->json);
	int rc = server_ask(&call->server, "status", NULL, 0, status_row, &s);
	if (rc == EXIT_DONE)
		rc = server_ask(&call->server, "listeners", NULL, 0, out_list_row, &s.listeners);
	if (rc == EXIT_DONE && call->json)
		print_json(&s, call->server.conf->data_dir);
	if (rc == EXIT_DONE && !call->json) {
		print_roles(&s);
		putchar('\n');
	}
	out_list_end(&s.listeners, rc == EXIT_DONE && !call->json);
	if (rc == EXIT_DONE && !call->json)
		print_numbers(&s);
	status_done(&s);
	return rc;
}

static int
run(int argc, char **argv)
{
	static const struct ctl_sub sub = { "", 0, 0, SUB_NO_START, status };
	return ctl_sub_run(cli_cmd_find("status"), &sub, argc, argv);
}

const struct cli_cmd cmd_status = {
	.name = "status",
	.summary = "Show the server's processes, their protection, connections, letters, the store",
	.usage = "[--json]",
	.help =
	    "Layers are what each process has given up: its uid, all files (chroot), new rights,\n"
	    "system calls (seccomp), paths (landlock), core dumps. Numbers count from the start\n"
	    "of the processes; connections_max is what limit.conns_total and the limit of open\n"
	    "files allow.\n\n"
	    "  --json         print JSON\n"
	    "  --config FILE  the server that FILE configures\n"
	    "  --dir DIR      the server in DIR\n",
	.words = "--json --config=FILE --dir=DIR",
	.run = run,
};

static int
reload(struct ctl_call *call)
{
	return server_ask(&call->server, "reload", NULL, 0, NULL, NULL);
}

static int
reload_run_cmd(int argc, char **argv)
{
	static const struct ctl_sub sub = { "", 0, 0, SUB_NO_START, reload };
	return ctl_sub_run(cli_cmd_find("reload"), &sub, argc, argv);
}

const struct cli_cmd cmd_reload = {
	.name = "reload",
	.summary = "Make the server read its configuration again",
	.usage = "",
	.help = "The same as SIGHUP, but it tells what is wrong: a configuration with a mistake\n"
		"changes nothing. Open connections go on as they began.\n\n"
		"  --config FILE  the server that FILE configures\n"
		"  --dir DIR      the server in DIR\n",
	.words = "--config=FILE --dir=DIR",
	.run = reload_run_cmd,
};
