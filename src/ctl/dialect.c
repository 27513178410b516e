/* dialect: what there is, what is in one, whether one is good, and one made from a transcript. */
#include "ctl/ctl_priv.h"

#include "base/num.h"
#include "dialect/dialect.h"
#include "dialect/learn.h"
#include "imap/session.h"
#include "sasl/sasl.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_OCTETS 64

/* --- list, show --- */

static struct smtp_wording *
load_builtin(const char *name)
{
	struct buf err = BUF_INIT(1u << 20);
	struct smtp_wording *w = dialect_load(str_of(name), dialect_find_builtin, NULL, &err);
	if (!w)
		complain_lines(buf_str(&err));
	buf_done(&err);
	return w;
}

static int
list(struct ctl_call *call)
{
	json_t *a = json_array();
	for (const struct dialect_source *d = dialect_builtin; d->name; d++) {
		struct smtp_wording *w = load_builtin(d->name);
		if (!w)
			continue;
		if (call->json)
			json_array_append_new(a, json_pack("{s:s, s:o}", "name", d->name, "label",
						     out_json_text(w->label)));
		else
			printf("%-10s " STR_FMT "\n", d->name, STR_ARG(w->label));
		dialect_free(w);
	}
	if (call->json)
		out_json(a);
	else
		json_decref(a);
	return EXIT_DONE;
}

/* One reply, in the notation of the files. */
static void
show_reply(struct buf *out, const char *key, struct str text)
{
	buf_putf(out, "%-23s = ", key);
	while (text.p) {
		buf_puts(out, str_cut(&text, '\n'));
		if (text.p)
			buf_putz(out, "\\n");
	}
	buf_putc(out, '\n');
}

static void
show_ehlo(struct buf *out, const struct smtp_wording *w)
{
	buf_putf(out, "[ehlo]\nfirst = " STR_FMT "\n", STR_ARG(w->ehlo_first));
	for (size_t i = 0; i < w->n_cap; i++) {
		const struct smtp_cap *c = &w->cap[i];
		buf_putz(out, "cap = ");
		if (c->cond >= 0)
			buf_putf(out, "?%s%s ", c->negate ? "!" : "", smtp_cond_name[c->cond]);
		buf_putf(out, STR_FMT "\n", STR_ARG(c->text));
	}
}

static int
show(struct ctl_call *call)
{
	const char *name = call->words.v[0];
	struct str text;
	if (!dialect_find_builtin(NULL, str_of(name), &text)) {
		complain("there is no built-in dialect %s; `pennypost dialect list` names them",
		    name);
		return EXIT_REFUSED;
	}
	struct buf out = BUF_INIT(1u << 20);
	if (call->all) {
		struct smtp_wording *w = load_builtin(name);
		buf_putf(&out, "dialect = %s\nlabel   = " STR_FMT "\n", name, STR_ARG(w->label));
		show_ehlo(&out, w);
		buf_putz(&out, "[replies]\n");
		for (int s = 0; s < SMTP_SITUATION_COUNT; s++)
			show_reply(&out, smtp_situation_key[s], w->reply[s]);
		dialect_words_show(w, DIALECT_IMAP, &out);
		dialect_words_show(w, DIALECT_POP3, &out);
		text = buf_str(&out);
		dialect_free(w);
	}
	fwrite(text.p, 1, text.len, stdout);
	buf_done(&out);
	return EXIT_DONE;
}

/* --- check --- */

struct shelf {
	const char *path; /* of the file that is checked; its neighbours are bases too */
	struct str name;
	struct buf text, base[DIALECT_DEPTH_MAX];
	size_t n_base;
};

static int
read_file(const char *path, struct buf *text, size_t max)
{
	int rc = file_read_all(path, max, text);
	if (rc < 0)
		complain("cannot read %s: %s", path, strerror(-rc));
	return rc < 0 ? EXIT_IO : EXIT_DONE;
}

/* The file itself, a file beside it, or one that is built in. */
static bool
find(void *arg, struct str name, struct str *ret_text)
{
	struct shelf *s = arg;
	if (str_eq(name, s->name)) {
		*ret_text = buf_str(&s->text);
		return true;
	}
	if (dialect_find_builtin(NULL, name, ret_text))
		return true;
	const char *slash = strrchr(s->path, '/');
	struct buf path = BUF_INIT(8192);
	bool good = s->n_base < DIALECT_DEPTH_MAX && str_find(name, '/') == name.len;
	buf_puts(&path, str_n(s->path, slash ? (size_t)(slash + 1 - s->path) : 0));
	buf_putf(&path, STR_FMT ".dialect", STR_ARG(name));
	const char *z = buf_cstr(&path);
	if (good && z) {
		struct buf *text = &s->base[s->n_base++];
		buf_init(text, DIALECT_FILE_MAX + 1);
		good = file_read_all(z, DIALECT_FILE_MAX + 1, text) >= 0;
		*ret_text = buf_str(text);
	}
	buf_done(&path);
	return good;
}

static struct str
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct str name = str_of(slash ? slash + 1 : path);
	return str_ends(name, STR(".dialect")) ? str_first(name, name.len - 8) : name;
}

static struct conf *
conf_of(struct ctl_call *call)
{
	struct buf err = BUF_INIT(1u << 20);
	struct conf *c = conf_new();
	bool ok = conf_listener_add(c, "127.0.0.1", 25, "smtp") != NULL;
	for (size_t i = 0; i < call->set.n; i++)
		ok = conf_set(c, str_of(call->set.v[i]), &err) && ok;
	complain_lines(buf_str(&err));
	buf_done(&err);
	return ok ? c : conf_free(c);
}

static bool
tri(const char *value, const char *yes, int quirk)
{
	return strcmp(value, yes) == 0 || (strcmp(value, "dialect") == 0 && quirk == 1);
}

/* Of a list of mechanisms, those that exist; ours when there is none. */
static void
put_mechs(struct buf *out, struct str list)
{
	if (!list.len)
		list = STR("SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN");
	for (struct str m; (m = str_word(&list)).len;)
		if (sasl_mech_find(m) && !sasl_mech_find(m)->pop)
			buf_putf(out, "%s" STR_FMT, out->len ? " " : "", STR_ARG(m));
}

static struct dialect_works
works_of(const struct conf_listener *l, const struct smtp_quirks *q, struct buf *mechs)
{
	put_mechs(mechs, l->mechs[0] ? str_of(l->mechs) : q->mechs);
	return (struct dialect_works){
		.starttls = strcmp(l->starttls, "yes") == 0 || strcmp(l->starttls, "auto") == 0,
		.tls_required = l->tls_required,
		.auth = conf_auth(l),
		.auth_cleartext = strcmp(l->auth_cleartext, "allow") == 0,
		.auth_unadvertised = tri(l->auth_unadvertised, "accept", q->auth_unadvertised),
		.mechs = buf_str(mechs),
		.imap = str_of(imap_capabilities()),
		.vrfy = l->vrfy,
		.expn = l->expn,
		.ipmm = tri(l->ipmm, "yes", q->ipmm),
		.xclient = l->xclient_peers[0] != '\0',
		.xforward = l->xforward_peers[0] != '\0',
		.etrn = l->etrn,
		.prdr = l->prdr,
		.verp = l->verp,
		.no_soliciting = l->no_soliciting[0] != '\0',
		.max_size = l->max_size,
	};
}

static void
check_wording(const struct conf *c, const struct smtp_wording *w, struct buf *warnings)
{
	const struct conf_listener *l = &c->listeners[0];
	struct buf mechs = BUF_INIT(4096);
	struct dialect_works works = works_of(l, &w->quirks, &mechs);
	dialect_check(w, &works, warnings);
	(void)dialect_fits(w, c->lab, warnings);
	buf_done(&mechs);
}

static void
say_check(struct ctl_call *call, bool ok, struct str errors, struct str warnings)
{
	const char *path = call->words.v[0];
	if (call->json) {
		out_json(json_pack("{s:o, s:b, s:o, s:o}", "file", out_json_text(str_of(path)),
		    "ok", ok, "errors", out_json_cell(OUT_LINES, errors), "warnings",
		    out_json_cell(OUT_LINES, warnings)));
		return;
	}
	fwrite(errors.p ? errors.p : "", 1, errors.len, stdout);
	while (warnings.len) {
		struct str line = str_cut(&warnings, '\n');
		printf("%s: warning: " STR_FMT "\n", path, STR_ARG(line));
	}
	if (ok)
		printf("%s: ok\n", path);
}

static int
check_file(struct ctl_call *call)
{
	struct shelf s = { .path = call->words.v[0], .name = name_of(call->words.v[0]) };
	struct buf err = BUF_INIT(1u << 20), warnings = BUF_INIT(1u << 20);
	buf_init(&s.text, DIALECT_FILE_MAX + 1);
	struct str builtin;
	struct conf *c = conf_of(call);
	int status = c ? EXIT_DONE : EXIT_USAGE;
	/* The name of a built-in one will do, too. */
	if (c && access(s.path, F_OK) != 0 && dialect_find_builtin(NULL, s.name, &builtin))
		buf_puts(&s.text, builtin);
	else if (c)
		status = read_file(s.path, &s.text, DIALECT_FILE_MAX + 1);
	if (c && status == EXIT_IO && access(s.path, F_OK) != 0)
		complain("nor is it a built-in dialect; `pennypost dialect list` names them");
	if (status == EXIT_DONE) {
		struct smtp_wording *w = dialect_load(s.name, find, &s, &err);
		if (w)
			check_wording(c, w, &warnings);
		say_check(call, w != NULL, buf_str(&err), buf_str(&warnings));
		status = w ? EXIT_DONE : EXIT_REFUSED;
		dialect_free(w);
	}
	for (size_t i = 0; i < s.n_base; i++)
		buf_done(&s.base[i]);
	conf_free(c);
	buf_done(&s.text);
	buf_done(&err);
	buf_done(&warnings);
	return status;
}

/* --- learn --- */

/* A name for the dialect from that of the file: lower case, no dots. */
static void
put_name(struct buf *out, struct ctl_call *call)
{
	struct str s = call->name ? str_of(call->name) : name_of(call->words.v[0]);
	if (!call->name)
		s = str_first(s, str_rfind(s, '.'));
	for (size_t i = 0; i < s.len && out->len < NAME_MAX_OCTETS; i++) {
		char c = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 0x20) : s.p[i];
		bool good =
		    (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
		buf_putc(out, good ? c : '-');
	}
	if (out->len == 0)
		buf_putz(out, "learned");
}

static int
learn(struct ctl_call *call)
{
	const char *path = call->words.v[0];
	uint64_t session = 0;
	if (call->session && !num_u64(str_of(call->session), LEARN_SESSIONS_MAX, &session))
		return usage_error(call->cmd, "--session is a number from 1 to %d",
		    LEARN_SESSIONS_MAX);
	struct buf text = BUF_INIT(LEARN_TEXT_MAX), name = BUF_INIT(256), out = BUF_INIT(1u << 20),
		   notes = BUF_INIT(1u << 16);
	int status = read_file(strcmp(path, "-") == 0 ? "/dev/stdin" : path, &text, LEARN_TEXT_MAX);
	if (status == EXIT_DONE) {
		put_name(&name, call);
		struct str source = name_of(path);
		struct learn_options o = { buf_str(&name),
			str_first(source, str_find_any(source, "\r\n")), (unsigned)session };
		if (!dialect_learn(buf_str(&text), &o, &out, &notes))
			status = EXIT_REFUSED;
		complain_lines(buf_str(&notes));
		fwrite(out.p ? out.p : "", 1, out.len, stdout);
	}
	buf_wipe(&text);
	buf_done(&text);
	buf_done(&name);
	buf_done(&out);
	buf_done(&notes);
	return status;
}

static const struct ctl_sub subs[] = {
	{ "list", 0, 0, SUB_NO_SERVER, list },
	{ "show", 1, 1, SUB_NO_SERVER | SUB_ALL, show },
	{ "check", 1, 1, SUB_NO_SERVER | SUB_SET, check_file },
	{ "learn", 1, 1, SUB_NO_SERVER | SUB_LEARN, learn },
};

static int
run(int argc, char **argv)
{
	return ctl_subs_run(cli_cmd_find("dialect"), subs, ARRAY_LEN(subs), argc, argv);
}

const struct cli_cmd cmd_dialect = {
	.name = "dialect",
	.summary = "List, show and check dialects, or make one from a transcript",
	.usage = "list [--json]\nshow NAME [--all]\ncheck FILE [--set KEY=VALUE]... [--json]\n"
		 "learn TRANSCRIPT [--name NAME] [--session N]",
	.help =
	    "A dialect is the wording of the server's replies and its EHLO list; the key\n"
	    "`dialect` of a listener names it. It changes words, never a decision.\n\n"
	    "show prints a built-in dialect as it was written; with --all every reply,\n"
	    "those of its base too. check reads a file (or a built-in one) as the server\n"
	    "would, names every mistake with its line, and warns of what EHLO shows and\n"
	    "what does not work. learn prints a dialect made from a recorded conversation:\n"
	    "a telnet capture, or lines that begin with c: and s:. - is standard input.\n"
	    "When there are several conversations in it, the one that teaches most is taken.\n\n"
	    "  --all          show what comes from the base, too\n"
	    "  --set KEY=VAL  check against a listener that is configured so\n"
	    "  --name NAME    what the new dialect is called\n"
	    "  --session N    the conversation to learn from, counted from 1\n"
	    "  --json         print JSON\n\n"
	    "Exit status: 0 good, 2 it has mistakes or there is nothing to learn, 4 a file.\n\n"
	    "Example: pennypost dialect learn session.txt --name acme > acme.dialect\n",
	.words = "list show check learn --all --set= --name= --session= --json",
	.run = run,
};
