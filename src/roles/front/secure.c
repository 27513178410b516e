/*
 * secure: TLS for strangers. The keys are auth's: it says which certificates there are, and makes
 * the signature of each handshake. Without it what stands goes on, and nothing new begins.
 */
#include "roles/front/front_priv.h"

#include "base/wire.h"
#include "ipc/certs.h"

#include <stdlib.h>

#define TICKET_KEY 80 /* octets: name, aes, hmac */
#define TLS_WORDS_MAX 256

/* --- contexts --- */

static bool
ask_signature(void *arg, uint32_t id, const unsigned char key[TLS_KEY_NAME], enum tls_sign_alg alg,
    struct str tbs)
{
	const struct front *f = arg;
	return certs_ask(f->auth, id, key, alg, tbs);
}

static struct tls_server *
make_server(struct front *f, const struct settings *s, const struct conf_listener *l)
{
	struct buf err = BUF_INIT(4096), id = BUF_INIT(512);
	/* What was agreed at one listener must not open another, which may ask for more. */
	buf_putf(&id, "%s %llu %s %s", l->address, (unsigned long long)l->port, l->protocol,
	    l->tls_client_ca);
	struct tls_server_conf conf = {
		.legacy = l->tls_legacy,
		.alpn = conf_is_lmtp(l) ? NULL : protocol_of(l)->alpn,
		.client_ca = conf_text_of(s->conf, l->tls_client_ca),
		.id = buf_str(&id),
	};
	struct tls_server *server = tls_server_new(&conf, f->certs, ask_signature, f, &err);
	if (!server)
		LOG(LOG_ERROR, 0, "tls-unusable", LOGZ("address", l->address),
		    LOGN("port", l->port), LOGF("error", str_trim(buf_str(&err))));
	else if (f->have_tickets)
		tls_server_tickets(server, f->tickets);
	buf_done(&err);
	buf_done(&id);
	return server;
}

/* What the sessions of a listener say depends on whether TLS works there now. */
static void
offer(struct settings *s, size_t i)
{
	const struct conf_listener *l = &s->conf->listeners[i];
	bool yes = conf_starttls(l) && (s->tls[i] || strcmp(l->starttls, "yes") == 0);
	s->smtp[i].starttls = s->imap[i].starttls = s->pop3[i].stls = yes;
}

static void
equip_one(struct front *f, struct settings *s, size_t i)
{
	const struct conf_listener *l = &s->conf->listeners[i];
	struct buf err = BUF_INIT(4096);
	bool have =
	    f->certs && tls_certs_count(f->certs) > 0 && (conf_tls_implicit(l) || conf_starttls(l));
	if (!have)
		s->tls[i] = tls_server_free(s->tls[i]);
	else if (!s->tls[i])
		s->tls[i] = make_server(f, s, l);
	else if (!tls_server_certs(s->tls[i], f->certs, &err))
		LOG(LOG_ERROR, 0, "tls-unusable", LOGZ("address", l->address),
		    LOGN("port", l->port), LOGF("error", str_trim(buf_str(&err))));
	buf_done(&err);
	offer(s, i);
}

void
secure_equip(struct front *f, struct settings *s)
{
	for (size_t i = 0; i < s->n; i++)
		equip_one(f, s, i);
}

static void
equip_all(struct front *f)
{
	list_each(n, &f->generations) secure_equip(f, list_entry(n, struct settings, node));
}

bool
secure_certs(struct front *f, const struct ipc_frame *m)
{
	struct tls_certs *certs = certs_take(m);
	if (!certs)
		return false;
	tls_certs_unref(f->certs);
	f->certs = certs;
	LOG(LOG_DEBUG, 0, "certificates", LOGN("n", tls_certs_count(certs)));
	equip_all(f);
	return true;
}

bool
secure_tickets(struct front *f, const struct ipc_frame *m)
{
	struct wire w = wire_of(m->body);
	struct tls_ticket_key key[TLS_TICKET_KEYS];
	_Static_assert(sizeof(key[0]) == TICKET_KEY, "a key is its three parts");
	for (size_t i = 0; i < TLS_TICKET_KEYS; i++) {
		struct str one = get_bytes(&w, TICKET_KEY);
		if (!w.bad)
			memcpy(&key[i], one.p, TICKET_KEY);
	}
	if (!wire_done(&w))
		return false;
	memcpy(f->tickets, key, sizeof(key));
	explicit_bzero(key, sizeof(key));
	f->have_tickets = true;
	list_each(n, &f->generations)
	{
		struct settings *s = list_entry(n, struct settings, node);
		for (size_t i = 0; i < s->n; i++)
			if (s->tls[i])
				tls_server_tickets(s->tls[i], f->tickets);
	}
	return true;
}

/* --- connections --- */

static struct tls_server *
server_of(const struct conn *c)
{
	return c->settings->tls[c->listener];
}

static bool
enter(struct conn *c)
{
	const struct conf_listener *l = &c->settings->conf->listeners[c->listener];
	c->tls_counted = tally_tls_enter(&c->front->tally, l->limit_tls);
	return c->tls_counted;
}

void
secure_leave(struct conn *c)
{
	if (c->tls_counted)
		tally_tls_leave(&c->front->tally);
	c->tls_counted = false;
	c->front->n_tls -= c->tls != NULL;
	c->tls = NULL;
}

enum secure_verdict
secure_ask(struct conn *c)
{
	const struct conf_listener *l = &c->settings->conf->listeners[c->listener];
	if (l->tls_broken || !server_of(c) || !c->front->auth)
		return SECURE_UNAVAILABLE;
	return enter(c) ? SECURE_OK : SECURE_LIMIT;
}

bool
secure_admit(struct conn *c)
{
	if (!server_of(c) || !c->front->auth) {
		LOG(LOG_WARN, c->id, "tls-unavailable", LOGZ("peer", c->ip),
		    LOGZ("why", server_of(c)
				    ? "auth is away"
				    : "there is no certificate; run `pennypost tls make`"));
		return false;
	}
	if (c->refuse == SMTP_NONE && !enter(c)) {
		conn_leave(c);
		c->refuse = SMTP_CONN_LIMIT_TLS;
	}
	/* To say no costs a handshake: that is for a few. */
	return c->refuse == SMTP_NONE || c->front->n_turned_away < TURNED_AWAY_MAX;
}

void
secure_begin(struct conn *c)
{
	struct tls_server *s = server_of(c);
	struct tls *t = s ? tls_accept(s, c->stream.fd) : NULL;
	if (!t) {
		conn_kill(c, "TLS cannot begin");
		return;
	}
	c->stage = STAGE_HANDSHAKE;
	c->end_by = c->front->clock.now + HANDSHAKE_MS;
	stream_pause(&c->stream, false);
	stream_tls(&c->stream, t);
}

/* Few different texts, each kept once: a connection holds no more than a pointer. */
static const char *
keep_word(struct front *f, struct str text)
{
	const char *kept = map_get(&f->tls_words, text);
	if (kept)
		return kept;
	if (f->tls_words.used >= TLS_WORDS_MAX)
		return "TLS";
	char *new = str_dup(text);
	map_put(&f->tls_words, text, new);
	return new;
}

static void
log_secured(const struct conn *c, const struct tls_facts *t)
{
	LOG(LOG_DEBUG, c->id, "tls", LOGZ("peer", c->ip), LOGZ("version", t->version),
	    LOGZ("cipher", t->cipher), LOGN("bits", t->bits), LOGZ("name", t->sni),
	    LOGZ("resumed", t->resumed ? "yes" : "no"),
	    LOGZ("client", t->client_verified ? t->client_name : ""));
}

void
secure_done(struct conn *c)
{
	struct front *f = c->front;
	struct tls_facts t;
	struct buf facts = BUF_INIT(1024), word = BUF_INIT(256);
	tls_facts(stream_tls_of(&c->stream), &t);
	buf_putf(&word, "version=%s cipher=%s bits=%d", t.version, t.cipher, t.bits);
	buf_putf(&facts, "%s %s %d bits%s", t.version, t.cipher, t.bits,
	    t.resumed ? ", resumed" : "");
	if (t.sni[0])
		buf_putf(&facts, ", asked for %s", t.sni);
	if (t.client_verified)
		buf_putf(&facts, ", client %s", t.client_name);
	c->tls = keep_word(f, buf_str(&word));
	c->stage = STAGE_TALK;
	c->end_by = 0;
	f->n_tls++;
	f->n_handshakes++;
	log_secured(c, &t);
	c->protocol->secured(c, buf_str(&facts));
	explicit_bzero(&t, sizeof(t));
	buf_done(&facts);
	buf_done(&word);
	if (c->implicit)
		conn_greet(c);
	if (!c->dead)
		conn_drive(c);
}

void
secure_close(struct front *f)
{
	size_t pos = 0;
	struct str key;
	void *word;
	while (map_next(&f->tls_words, &pos, &key, &word))
		free(word);
	map_done(&f->tls_words);
	f->certs = tls_certs_unref(f->certs);
	explicit_bzero(f->tickets, sizeof(f->tickets));
}

const char *
secure_error(const struct conn *c)
{
	const struct tls *t = stream_tls_of(&c->stream);
	return t ? tls_error(t) : "the connection broke";
}
