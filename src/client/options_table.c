/* Every option there is. */
#include "client/options_priv.h"

#include <stddef.h>

#define AT(field) offsetof(struct client_options, field)
#define CONNECT OPTIONS_CONNECT
#define S_CLIENT (OPTIONS_TALK | OPTIONS_SCLIENT)

static const char *const hello_words[] = { "auto", "ehlo", "helo", "lhlo", "none", NULL };
static const char *const body_words[] = { "7bit", "8bit", "binary", NULL };
static const char *const lint_words[] = { "warn", "error", "off", NULL };
static const char *const eol_words[] = { "crlf", "lf", "cr", NULL };
static const char *const theme_words[] = { "seed", NULL };
static const char *const explain_words[] = { "errors", "always", "never", NULL };
static const char *const method_words[] = { "rcpt", "vrfy", "expn", NULL };
static const char *const step_words[] = { "connect", "greeting", "ehlo", "starttls", "auth", "mail",
	"rcpt", "data", "dot", NULL };

const struct option option_rows[] = {
	{ "--profile", ~0u, OPTION_SKIP_VALUE }, /* read before the others */
	/* Connection */
	{ "-4", CONNECT, OPTION_DO, .set = options_set_family },
	{ "-6", CONNECT, OPTION_DO, .set = options_set_family },
	{ "--bind", CONNECT, OPTION_SET, .set = options_set_bind },
	{ "--port", CONNECT, OPTION_SET, .set = options_set_port },
	{ "--proto", CONNECT, OPTION_SET, .set = options_set_proto },
	{ "--timeout", CONNECT, OPTION_SET, .set = options_set_timeout },
	{ "--mx", CONNECT, OPTION_FLAG, AT(mx) },
	{ "--resolve", CONNECT, OPTION_SET, .set = options_set_resolve },
	{ "--dns", CONNECT, OPTION_TEXT, AT(dns) },
	{ "--source-ehlo", CONNECT | OPTIONS_HELLO, OPTION_TEXT, AT(source_ehlo) },
	{ "--proxy-v1", CONNECT, OPTION_MAYBE, .set = options_set_proxy },
	{ "--proxy-v2", CONNECT, OPTION_MAYBE, .set = options_set_proxy },
	/* TLS */
	{ "--tls", CONNECT, OPTION_SET, .set = options_set_tls },
	{ "--starttls", CONNECT, OPTION_DO, .set = options_set_tls },
	{ "--tls-min", CONNECT, OPTION_SET, .set = options_set_version },
	{ "--tls-max", CONNECT, OPTION_SET, .set = options_set_version },
	{ "--ca", CONNECT, OPTION_SET, .set = options_set_verify },
	{ "--insecure", CONNECT, OPTION_FLAG, AT(insecure) },
	{ "--sni", CONNECT, OPTION_TEXT, AT(link.sni) },
	{ "--verify-name", CONNECT, OPTION_SET, .set = options_set_verify },
	{ "--cert", CONNECT, OPTION_TEXT, AT(link.tls.cert_file) },
	{ "--key", CONNECT, OPTION_TEXT, AT(link.tls.key_file) },
	{ "--show-certs", CONNECT, OPTION_FLAG, AT(show_certs) },
	{ "--pin", CONNECT, OPTION_SET, .set = options_set_pin },
	{ "--dane", CONNECT, OPTION_FLAG, AT(vouch.dane) },
	{ "--mta-sts", CONNECT, OPTION_FLAG, AT(vouch.mta_sts) },
	{ "--sts-port", CONNECT, OPTION_NUMBER, AT(vouch.sts_port), .min = 1, .max = 65535 },
	{ "--ciphers", CONNECT, OPTION_TEXT, AT(link.tls.ciphers) },
	{ "--keylog", CONNECT, OPTION_TEXT, AT(link.keylog) },
	/* Greeting */
	{ "--hello", OPTIONS_HELLO, OPTION_CHOICE, AT(hello), .choices = hello_words },
	{ "--ehlo", OPTIONS_HELLO, OPTION_TEXT, AT(ehlo) },
	/* Auth */
	{ "--auth", OPTIONS_AUTH, OPTION_MAYBE, .set = options_set_auth },
	{ "--user", OPTIONS_AUTH, OPTION_TEXT, AT(user) },
	{ "--authzid", OPTIONS_AUTH, OPTION_TEXT, AT(authzid) },
	{ "--password-file", OPTIONS_AUTH, OPTION_TEXT, AT(secret.file) },
	{ "--password-fd", OPTIONS_AUTH, OPTION_TEXT, AT(secret.fd) },
	{ "--token-cmd", OPTIONS_AUTH, OPTION_SET, .set = options_set_token },
	{ "--password", OPTIONS_AUTH, OPTION_MAYBE, .set = options_set_password },
	{ "--force-auth", OPTIONS_AUTH, OPTION_FLAG, AT(force_auth) },
	{ "--no-initial-response", OPTIONS_AUTH, OPTION_FLAG, AT(no_initial_response) },
	{ "--allow-cleartext", OPTIONS_AUTH, OPTION_FLAG, AT(allow_cleartext) },
	/* Envelope */
	{ "--from", OPTIONS_ENVELOPE | OPTIONS_PROBE, OPTION_TEXT, AT(from) },
	{ "--to", OPTIONS_ENVELOPE, OPTION_LIST, AT(to) },
	{ "--null-sender", OPTIONS_ENVELOPE, OPTION_FLAG, AT(null_sender) },
	{ "--size", OPTIONS_ENVELOPE, OPTION_FLAG, AT(size) },
	{ "--no-size", OPTIONS_ENVELOPE, OPTION_FLAG, AT(no_size) },
	{ "--body", OPTIONS_ENVELOPE, OPTION_WORD, AT(body), .choices = body_words },
	{ "--smtputf8", OPTIONS_ENVELOPE, OPTION_FLAG, AT(smtputf8) },
	{ "--xclient", OPTIONS_ENVELOPE, OPTION_TEXT, AT(xclient) },
	{ "--verp", OPTIONS_ENVELOPE, OPTION_FLAG, AT(verp) },
	{ "--dsn", OPTIONS_ENVELOPE, OPTION_SET, .set = options_set_dsn },
	{ "--by", OPTIONS_ENVELOPE, OPTION_SET, .set = options_set_by },
	{ "--priority", OPTIONS_ENVELOPE, OPTION_SET, .set = options_set_priority },
	{ "--hold", OPTIONS_ENVELOPE, OPTION_SET, .set = options_set_hold },
	{ "--requiretls", OPTIONS_ENVELOPE, OPTION_FLAG, AT(requiretls) },
	{ "--pipeline", OPTIONS_ENVELOPE, OPTION_MAYBE, .set = options_set_pipeline },
	{ "--chunking", OPTIONS_ENVELOPE, OPTION_MAYBE, .set = options_set_chunking },
	{ "--max-rcpt", OPTIONS_ENVELOPE, OPTION_NUMBER, AT(max_rcpt), .min = 1, .max = 100000 },
	{ "--mail-param", OPTIONS_ENVELOPE, OPTION_SET, .set = options_set_param },
	{ "--rcpt-param", OPTIONS_ENVELOPE, OPTION_SET, .set = options_set_param },
	/* Message */
	{ "--subject", OPTIONS_MESSAGE, OPTION_TEXT, AT(subject) },
	{ "--header", OPTIONS_MESSAGE, OPTION_LIST, AT(headers) },
	{ "--text", OPTIONS_MESSAGE, OPTION_TEXT, AT(text) },
	{ "--text-file", OPTIONS_MESSAGE, OPTION_TEXT, AT(text_file) },
	{ "--html", OPTIONS_MESSAGE, OPTION_TEXT, AT(html) },
	{ "--attach", OPTIONS_MESSAGE, OPTION_LIST, AT(attach) },
	{ "--eicar", OPTIONS_MESSAGE, OPTION_FLAG, AT(eicar) },
	{ "--gtube", OPTIONS_MESSAGE, OPTION_FLAG, AT(gtube) },
	{ "--data", OPTIONS_MESSAGE, OPTION_TEXT, AT(data) },
	{ "--lint", OPTIONS_MESSAGE, OPTION_CHOICE, AT(lint), .choices = lint_words },
	{ "--no-date", OPTIONS_MESSAGE, OPTION_FLAG, AT(no_date) },
	{ "--no-message-id", OPTIONS_MESSAGE, OPTION_FLAG, AT(no_message_id) },
	/* Wire */
	{ "--eol", OPTIONS_WIRE, OPTION_CHOICE, AT(link.eol), .choices = eol_words },
	{ "--segments", OPTIONS_WIRE, OPTION_SET, .set = options_set_segments },
	{ "--delay", OPTIONS_WIRE | OPTIONS_PROBE, OPTION_NUMBER, AT(delay_ms), .max = 3600000 },
	{ "--telnet-neg", OPTIONS_WIRE, OPTION_FLAG, AT(link.telnet_neg) },
	{ "--raw", OPTIONS_WIRE, OPTION_FLAG, AT(raw) },
	{ "--debug-bytes", OPTIONS_WIRE, OPTION_FLAG, AT(link.debug_bytes) },
	/* Output */
	{ "--color", OPTIONS_OUTPUT, OPTION_SET, .set = options_set_color },
	{ "--theme", OPTIONS_OUTPUT, OPTION_WORD, AT(theme), .choices = theme_words },
	{ "--labels", OPTIONS_OUTPUT, OPTION_SET, .set = options_set_labels },
	{ "--quiet", OPTIONS_OUTPUT, OPTION_FLAG, AT(show.quiet) },
	{ "-q", OPTIONS_OUTPUT, OPTION_FLAG, AT(show.quiet) },
	{ "--verbose", OPTIONS_OUTPUT, OPTION_FLAG, AT(show.verbose) },
	{ "-v", OPTIONS_OUTPUT, OPTION_FLAG, AT(show.verbose) },
	{ "--explain", OPTIONS_OUTPUT, OPTION_CHOICE, AT(show.explain), .choices = explain_words },
	{ "--timing", OPTIONS_OUTPUT, OPTION_FLAG, AT(show.timing) },
	{ "--json", OPTIONS_OUTPUT, OPTION_FLAG, AT(json) },
	{ "--transcript", OPTIONS_OUTPUT, OPTION_TEXT, AT(transcript) },
	{ "--format", OPTIONS_OUTPUT, OPTION_SET, .set = options_set_format },
	{ "--show-secrets", OPTIONS_OUTPUT, OPTION_FLAG, AT(show.show_secrets) },
	{ "--decode-auth", OPTIONS_OUTPUT, OPTION_FLAG, AT(show.decode_auth) },
	/* Probe */
	{ "--method", OPTIONS_PROBE, OPTION_WORD, AT(method), .choices = method_words },
	{ "--catchall-test", OPTIONS_PROBE, OPTION_FLAG, AT(catchall_test) },
	{ "--retry", OPTIONS_PROBE, OPTION_FLAG, AT(retry) },
	{ "--parallel", OPTIONS_PROBE, OPTION_NUMBER, AT(parallel), .min = 1, .max = 64 },
	/* Cert */
	{ "--all-versions", OPTIONS_CERT, OPTION_FLAG, AT(all_versions) },
	{ "--all-ciphers", OPTIONS_CERT, OPTION_FLAG, AT(all_ciphers) },
	{ "--pem", OPTIONS_CERT, OPTION_FLAG, AT(pem) },
	{ "--warn-days", OPTIONS_CERT, OPTION_NUMBER, AT(warn_days), .max = 36500 },
	/* Flow */
	{ "--quit-after", OPTIONS_FLOW, OPTION_WORD, AT(quit_after), .choices = step_words },
	{ "--drop-after", OPTIONS_FLOW, OPTION_WORD, AT(drop_after), .choices = step_words },
	{ "--repeat", OPTIONS_FLOW, OPTION_NUMBER, AT(repeat), .min = 1, .max = 1000000 },
	{ "--temp-exit", OPTIONS_FLOW | OPTIONS_PROBE, OPTION_FLAG, AT(temp_exit) },
	/* Talk */
	{ "--strict-typing", OPTIONS_TALK, OPTION_FLAG, AT(strict_typing) },
	{ "--print-manual", OPTIONS_TALK, OPTION_FLAG, AT(print_manual) },
	{ "--record", OPTIONS_TALK, OPTION_TEXT, AT(record) },
	/* openssl s_client's */
	{ "-connect", S_CLIENT, OPTION_SET, .set = options_set_starttls },
	{ "-host", S_CLIENT, OPTION_TEXT, AT(connect) },
	{ "-port", S_CLIENT, OPTION_SET, .set = options_set_port },
	{ "-starttls", S_CLIENT, OPTION_SET, .set = options_set_starttls },
	{ "-servername", S_CLIENT, OPTION_TEXT, AT(link.sni) },
	{ "-verify_hostname", S_CLIENT, OPTION_SET, .set = options_set_verify },
	{ "-verify_return_error", S_CLIENT, OPTION_DO, .set = options_set_verify },
	{ "-CAfile", S_CLIENT, OPTION_SET, .set = options_set_verify },
	{ "-CApath", S_CLIENT, OPTION_SET, .set = options_set_verify },
	{ "-cert", S_CLIENT, OPTION_TEXT, AT(link.tls.cert_file) },
	{ "-key", S_CLIENT, OPTION_TEXT, AT(link.tls.key_file) },
	{ "-showcerts", S_CLIENT, OPTION_FLAG, AT(show_certs) },
	{ "-debug", S_CLIENT, OPTION_FLAG, AT(link.debug_bytes) },
	{ "-msg", S_CLIENT, OPTION_FLAG, AT(link.debug_bytes) },
	{ "-quiet", S_CLIENT, OPTION_SKIP }, /* certificates are not shown anyway */
	{ "-brief", S_CLIENT, OPTION_SKIP },
	{ "-crlf", S_CLIENT, OPTION_SKIP }, /* always */
	{ "-ign_eof", S_CLIENT, OPTION_SKIP },
	{ "-nocommands", S_CLIENT, OPTION_SKIP },
	{ "-state", S_CLIENT, OPTION_SKIP },
	{ "-status", S_CLIENT, OPTION_FLAG, AT(link.tls.ocsp) },
	{ "-bind", S_CLIENT, OPTION_SET, .set = options_set_bind },
	{ "-name", S_CLIENT, OPTION_TEXT, AT(ehlo) },
	{ "-cipher", S_CLIENT, OPTION_TEXT, AT(link.tls.ciphers) },
	{ "-ciphersuites", S_CLIENT, OPTION_TEXT, AT(link.tls.ciphers) },
	{ "-keylogfile", S_CLIENT, OPTION_TEXT, AT(link.keylog) },
	{ "-verify", S_CLIENT, OPTION_SKIP_VALUE },
	{ "-tls1", S_CLIENT, OPTION_DO, .set = options_set_version },
	{ "-tls1_1", S_CLIENT, OPTION_DO, .set = options_set_version },
	{ "-tls1_2", S_CLIENT, OPTION_DO, .set = options_set_version },
	{ "-tls1_3", S_CLIENT, OPTION_DO, .set = options_set_version },
	{ "-no_tls1_2", S_CLIENT, OPTION_DO, .set = options_set_version },
	{ "-no_tls1_3", S_CLIENT, OPTION_DO, .set = options_set_version },
	{ "-no_ssl3", S_CLIENT, OPTION_SKIP },
	{ "-no_tls1", S_CLIENT, OPTION_SKIP },
	{ "-no_tls1_1", S_CLIENT, OPTION_SKIP },
	{ NULL },
};
