#include "ctl/tls_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "sys/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- list --- */

static const struct out_column columns[] = {
	{ "Names", OUT_LINES },
	{ "Key", OUT_TEXT },
	{ "Expires", OUT_TIME },
	{ "Default", OUT_TEXT },
	{ "SHA256", OUT_TEXT },
	{ "Wrong", OUT_LINES },
	{ "Subject", OUT_HIDDEN },
	{ "Issuer", OUT_HIDDEN },
	{ "Begins", OUT_HIDDEN },
	{ "Certificate", OUT_HIDDEN },
	{ "Key file", OUT_HIDDEN },
};
enum { N_COLUMNS = ARRAY_LEN(columns) };

static void
put_fingerprint(struct buf *b, const unsigned char sha256[32])
{
	for (size_t i = 0; i < 32; i++)
		buf_putf(b, "%02x", sha256[i]);
}

static void
put_row(struct out_list *o, const struct conf_cert *files, const struct tls_pair *p,
    bool is_default)
{
	struct buf sum = BUF_INIT(80), ends = BUF_INIT(32), begins = BUF_INIT(40);
	if (p->has_cert) {
		put_fingerprint(&sum, p->info.sha256);
		buf_putf(&ends, "%" PRId64, p->info.not_after * 1000);
		date_rfc3339(&begins, p->info.not_before * 1000);
	}
	struct msg_row row = { .n = N_COLUMNS,
		.field = { buf_str(&p->names), str_of(p->has_cert ? p->info.key_type : ""),
		    buf_str(&ends), str_of(is_default ? "yes" : ""), buf_str(&sum),
		    buf_str(&p->wrong), str_of(p->has_cert ? p->info.subject : ""),
		    str_of(p->has_cert ? p->info.issuer : ""), buf_str(&begins),
		    str_of(files->cert), str_of(files->key) } };
	out_list_row(o, &row);
	buf_done(&sum);
	buf_done(&ends);
	buf_done(&begins);
}

struct look {
	struct conf_certs certs;
	size_t n_usable;
};

static void
look_at_all(const struct conf *c, struct look *ret, struct out_list *o)
{
	int64_t now = sys_wall_ms() / 1000;
	*ret = (struct look){ 0 };
	tls_init();
	conf_certs_find(c, &ret->certs);
	for (size_t i = 0; i < ret->certs.n; i++) {
		struct tls_pair p;
		const char *host = ret->n_usable == 0 ? c->hostname : "";
		tls_pair_look(&ret->certs.row[i], host, now, &p);
		put_row(o, &ret->certs.row[i], &p, p.usable && ret->n_usable == 0);
		ret->n_usable += p.usable;
		tls_pair_done(&p);
	}
}

static int
conf_of(const struct ctl_call *call, struct conf **ret)
{
	*ret = target_conf(call->config, call->dir);
	if (*ret)
		return EXIT_DONE;
	return call->config && call->dir ? EXIT_USAGE : EXIT_REFUSED;
}

static int
list(struct ctl_call *call)
{
	struct conf *c;
	struct out_list o;
	struct look l;
	int status = conf_of(call, &c);
	if (status != EXIT_DONE)
		return status;
	bool hidden = tls_files_hidden(c->data_dir);
	out_list_begin(&o, columns, N_COLUMNS, call->json);
	look_at_all(c, &l, &o);
	out_list_end(&o, true);
	if (l.certs.n == 0 && !hidden && !call->json)
		complain("there is no certificate in %s/tls; make one with `pennypost tls make "
			 "NAME`, or put NAME.crt and NAME.key there",
		    c->data_dir);
	status = l.n_usable == l.certs.n && !hidden ? EXIT_DONE : EXIT_REFUSED;
	conf_certs_done(&l.certs);
	conf_free(c);
	return status;
}

/* --- make --- */

/* "*.example.org" is no good name for a file. */
static bool
file_name(const char *name, char out[256])
{
	if (!str_copy(out, 256, str_of(name)) || !out[0] || out[0] == '.' || strchr(out, '/'))
		return false;
	if (out[0] == '*')
		out[0] = '_';
	return true;
}

static bool
is_there(const char *dir, const char *file)
{
	static const char *const ends[] = { ".crt", ".key" };
	bool there = false;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		char *path = tls_files_path(dir, file, ends[i]);
		if (!there && access(path, F_OK) == 0) {
			complain("%s is there already; write --force to replace it", path);
			there = true;
		}
		free(path);
	}
	return there;
}

static int
make_in(const struct ctl_call *call, const char *dir, const char *file)
{
	struct str *names = xalloc(call->words.n * sizeof(*names));
	struct buf err = BUF_INIT(4096);
	for (size_t i = 0; i < call->words.n; i++)
		names[i] = str_of(call->words.v[i]);
	bool ok = tls_files_make(dir, file, names, call->words.n, &err);
	complain_lines(buf_str(&err));
	if (ok)
		printf("made %s/tls/%s.crt and %s.key, good for %d days; a running server takes "
		       "them with `pennypost tls reload`\n",
		    dir, file, file, TLS_MADE_DAYS);
	buf_done(&err);
	free(names);
	return ok ? EXIT_DONE : EXIT_IO;
}

static int
make(struct ctl_call *call)
{
	char file[256];
	struct conf *c;
	if (!file_name(call->words.v[0], file))
		return usage_error(call->cmd,
		    "\"%s\" is no name for a certificate; write one "
		    "such as mail.example.org",
		    call->words.v[0]);
	int status = conf_of(call, &c);
	if (status != EXIT_DONE)
		return status;
	if (!call->force && is_there(c->data_dir, file))
		status = EXIT_REFUSED;
	else
		status = make_in(call, c->data_dir, file);
	conf_free(c);
	return status;
}

/* --- reload --- */

static int
reload(struct ctl_call *call)
{
	struct conf_certs certs;
	struct buf wrong = BUF_INIT(1u << 20);
	conf_certs_find(call->server.conf, &certs);
	size_t n_usable = tls_pairs_look(call->server.conf, &certs, &wrong);
	complain_lines(buf_str(&wrong));
	int fine = n_usable == certs.n ? EXIT_DONE : EXIT_REFUSED;
	conf_certs_done(&certs);
	buf_done(&wrong);
	int status = server_ask(&call->server, "tls.reload", NULL, 0, NULL, NULL);
	return status == EXIT_DONE ? fine : status;
}

static const struct ctl_sub subs[] = {
	{ "list", 0, 0, SUB_NO_SERVER, list },
	{ "make", 1, 100, SUB_NO_SERVER | SUB_FORCE, make },
	{ "reload", 0, 0, SUB_NO_START, reload },
};

static int
run(int argc, char **argv)
{
	return ctl_subs_run(cli_cmd_find("tls"), subs, ARRAY_LEN(subs), argc, argv);
}

const struct cli_cmd cmd_tls = {
	.name = "tls",
	.summary = "List, make and reload certificates",
	.usage = "list [--json]\n"
		 "make NAME... [--force]\n"
		 "reload",
	.help =
	    "A certificate and its key are two PEM files: those that tls.certificates names in\n"
	    "the configuration, and every NAME.crt with NAME.key in DIR/tls, default.crt first.\n"
	    "A client that names a host gets the certificate with that name; others get the\n"
	    "first, the default.\n"
	    "make writes a new P-256 key and a certificate for the names that signs itself; other\n"
	    "servers and lab clients take it, people's mail programs ask. reload gives a running\n"
	    "server the files as they are now; no connection ends.\n\n"
	    "  --force        replace files that are there\n"
	    "  --json         print JSON\n"
	    "  --config FILE  the server that FILE configures\n"
	    "  --dir DIR      the server in DIR\n\n"
	    "Exit status: 0 done, 1 usage, 2 a certificate cannot be used, or make would replace\n"
	    "a file, 3 no server answers, 4 a file cannot be written.\n\n"
	    "Example: pennypost tls make mail.example.org\n",
	.words = "list make reload --force --json --config=FILE --dir=DIR",
	.run = run,
};
