#include "conf/conf_priv.h"

#include "base/check.h"
#include "base/suggest.h"

#include <stddef.h>

#define G(field) offsetof(struct conf, field)
#define L(field) offsetof(struct conf_listener, field)

#define YES_NO_DIALECT "yes no dialect"
#define MAX_COUNT (UINT64_C(1) << 53) /* every JSON reader keeps such a number exact */
#define MAX_OCTETS (UINT64_C(1) << 50)
#define MAX_SECONDS (UINT64_C(366) * 86400)

const struct conf_key conf_keys[] = {
	/* The whole server. */
	{ "hostname", CONF_TEXT, 0, G(hostname), .def = "", .good = conf_good_host_or_empty,
	    .doc = "The name of this server, as its greeting and its Received fields say it. Must "
		   "be set." },
	{ "data_dir", CONF_TEXT, 0, G(data_dir), .def = "/var/lib/pennypost",
	    .doc = "The directory that holds mail, accounts and the control socket. An absolute "
		   "path." },
	{ "user", CONF_TEXT, 0, G(user), .def = "pennypost", .good = conf_good_account,
	    .doc = "The system account the roles run as when the server is started as root." },
	{ "fronts", CONF_NUMBER, 0, G(fronts), 0, FRONT_MAX, .def = "0",
	    .doc = "How many processes speak with strangers. 0: one per processor core." },
	{ "readers", CONF_NUMBER, 0, G(readers), 1, 16, .def = "1",
	    .doc = "How many processes answer questions about stored mail." },
	{ "relays", CONF_NUMBER, 0, G(relays), 0, RELAY_MAX, .def = "0",
	    .doc = "How many processes bring mail to other servers. 0: one per processor core. "
		   "Changes apply at the next start." },
	{ "lab", CONF_BOOL, 0, G(lab), .def = "no",
	    .doc = "Allows the keys that make the server pretend. For experiments, never for real "
		   "mail." },
	{ "log.level", CONF_CHOICE, 0, G(log_level), .choices = "error warn info debug",
	    .def = "info", .doc = "The least important events that are logged." },
	{ "log.file", CONF_TEXT, 0, G(log_file), .def = "",
	    .doc = "The file that log lines go to. Empty: standard error, which is the journal "
		   "under systemd." },
	{ "postmaster", CONF_TEXT, 0, G(postmaster), .def = "", .good = conf_good_address_or_empty,
	    .doc = "The address that gets mail for postmaster. Empty: the first user." },
	{ "plus_separator", CONF_TEXT, 0, G(plus_separator), .def = "+", .good = conf_good_plus,
	    .doc = "The character that parts a local part from a detail, as in "
		   "ann+lists@example.com. Empty: none." },
	{ "dns", CONF_TEXT, 0, G(dns), .def = "system", .good = conf_good_dns,
	    .doc = "Where names are looked up: system, for the name servers of /etc/resolv.conf "
		   "(read at the start and at a reload), or the address of a name server, such as "
		   "127.0.0.1:53. Empty: nothing is ever looked up." },
	{ "dns_trust_anchor", CONF_TEXT, 0, G(dns_trust_anchor), .def = "",
	    .good = conf_good_path_or_empty,
	    .doc = "A file with the DNSSEC keys that answers must be signed by, such as "
		   "/usr/share/dns/root.key. Empty: answers are not checked." },
	{ "sts.port", CONF_NUMBER, 0, G(sts_port), 1, 65535, .def = "443",
	    .doc = "The port at which policies of MTA-STS are fetched; another than 443 is for "
		   "tests." },
	{ "sts.refresh", CONF_SECONDS, 0, G(sts_refresh), 1, MAX_SECONDS, .def = "1d",
	    .doc = "How old a policy of MTA-STS may become before it is fetched again, while mail "
		   "goes to its domain." },
	{ "tlsrpt.send", CONF_BOOL, 0, G(tlsrpt), .def = "yes",
	    .doc =
		"Domains that ask for reports about TLS (RFC 8460) get one each day on which mail "
		"went there." },
	{ "tlsrpt.organization", CONF_TEXT, 0, G(tlsrpt_organization), .def = "",
	    .doc = "Who these reports say they are from. Empty: the name of this server." },
	{ "tlsrpt.contact", CONF_TEXT, 0, G(tlsrpt_contact), .def = "",
	    .doc = "The address these reports are sent from. Empty: that of the postmaster." },
	{ "tlsrpt.period", CONF_SECONDS, 0, G(tlsrpt_period), 1, 86400, .def = "1d",
	    .doc = "How long a report goes back; less than a day is for tests." },
	{ "oauth.keys", CONF_TEXT, 0, G(oauth_keys), .def = "", .good = conf_good_path_or_empty,
	    .doc = "A file with the keys that check the signatures of OAuth tokens: public keys "
		   "in PEM form, a JWK set, or secret: and at least 32 octets behind it." },
	{ "oauth.issuer", CONF_TEXT, 0, G(oauth_issuer), .def = "",
	    .doc = "Who must have issued a token (its iss). Empty: anybody whose key fits." },
	{ "oauth.audience", CONF_TEXT, 0, G(oauth_audience), .def = "",
	    .doc = "Whom a token must be for (one of its aud). Empty: anybody." },
	{ "oauth.claim", CONF_TEXT, 0, G(oauth_claim), .def = "email",
	    .doc = "The member of a token that names the account." },
	{ "oauth.introspect_url", CONF_TEXT, 0, G(oauth_introspect_url), .def = "",
	    .good = conf_good_url_or_empty,
	    .doc =
		"The web address that tells whether a token is good (RFC 7662). Empty: nobody is "
		"asked." },
	{ "oauth.introspect_client", CONF_TEXT, 0, G(oauth_introspect_client), .def = "",
	    .doc = "The name this server gives there. Empty: none." },
	{ "oauth.introspect_secret_file", CONF_TEXT, 0, G(oauth_introspect_secret_file), .def = "",
	    .good = conf_good_path_or_empty,
	    .doc = "A file whose first line is the password for that name." },
	{ "oauth.introspect_ca", CONF_TEXT, 0, G(oauth_introspect_ca), .def = "",
	    .good = conf_good_path_or_empty,
	    .doc = "A file with the certificates of the authorities that its server's certificate "
		   "must come from. Empty: those of the system." },
	{ "gssapi.keytab", CONF_TEXT, 0, G(gssapi_keytab), .def = "",
	    .good = conf_good_path_or_empty,
	    .doc = "The keytab of this server for Kerberos, with the keys of smtp/HOSTNAME, for "
		   "reading mail of imap/HOSTNAME and pop/HOSTNAME, where HOSTNAME is the key "
		   "hostname. Empty: no GSSAPI. The principal alice@EXAMPLE.COM is the account "
		   "alice@example.com." },
	{ "gssapi.client_keytab", CONF_TEXT, 0, G(gssapi_client_keytab), .def = "",
	    .good = conf_good_path_or_empty,
	    .doc =
		"The keytab that this server logs in with at other servers, by routes with GSSAPI "
		"in their mechs. Its first principal is who we are there. The KDC is one that "
		"gssapi.krb5_conf names by its address. Empty: no such logins." },
	{ "gssapi.krb5_conf", CONF_TEXT, 0, G(gssapi_krb5_conf), .def = "",
	    .good = conf_good_path_or_empty,
	    .doc =
		"The configuration of Kerberos, in one file: what it includes is not read. Empty: "
		"/etc/krb5.conf, if it is there." },
	{ "relay.host", CONF_TEXT, 0, G(relay_host), .def = "", .good = conf_good_host_or_empty,
	    .doc = "What this server calls itself in EHLO when it sends. Empty: hostname." },
	{ "relay.source", CONF_TEXT, 0, G(relay_source), .def = "", .good = conf_good_sources,
	    .doc = "Addresses of this host that connections to other servers come from, in turn. "
		   "Empty: as the system chooses. A route may have its own." },
	{ "relay.tls", CONF_CHOICE, 0, G(relay_tls), .choices = "auto never may must verify",
	    .def = "auto",
	    .doc = "How connections to other servers are secured, where no route says otherwise. "
		   "auto: as DANE or MTA-STS demands, else TLS where it is offered. may: TLS where "
		   "it is offered. must: TLS with any certificate. verify: TLS with a certificate "
		   "for the name, from an authority. never: no TLS." },
	{ "relay.authorities", CONF_TEXT, 0, G(relay_authorities), .def = "",
	    .good = conf_good_path_or_empty,
	    .doc = "A file with the certificates of the authorities that vouch for other servers "
		   "(MTA-STS, tls = verify). Empty: those of the system. Read at the start." },
	{ "relay.port", CONF_NUMBER, 0, G(relay_port), 1, 65535, .def = "25",
	    .doc = "The port of servers that are found by MX records." },
	{ "relay.ipv6", CONF_BOOL, 0, G(relay_ipv6), .def = "yes",
	    .doc = "Whether IPv6 addresses of other servers are tried." },
	{ "relay.letters", CONF_NUMBER, 0, G(relay_letters), 1, 1000000, .def = "1000",
	    .doc = "Letters that one connection to another server is used for." },
	{ "relay.session_seconds", CONF_SECONDS, 0, G(relay_session_seconds), 1, 86400, .def = "5m",
	    .doc = "How long one connection is given new letters." },
	{ "relay.idle_seconds", CONF_SECONDS, 0, G(relay_idle_seconds), 0, 300, .def = "5",
	    .doc = "How long a connection is kept for the next letter." },
	{ "relay.connect_seconds", CONF_SECONDS, 0, G(relay_connect_seconds), 1, 300, .def = "30",
	    .doc = "How long one address is waited for." },
	{ "relay.reply_seconds", CONF_SECONDS, 0, G(relay_reply_seconds), 0, 3600, .def = "0",
	    .doc = "How long a reply of another server is waited for. 0: as RFC 5321 4.5.3.2 says, "
		   "from two minutes to ten." },
	{ "relay.long_lines", CONF_CHOICE, 0, G(relay_long_lines),
	    .choices = "encode wrap send "
		       "refuse",
	    .def = "encode",
	    .doc = "What happens to lines of more than 998 octets (RFC 5321 4.5.3.1.6) on their "
		   "way out. encode: the part they stand in is sent as quoted-printable or base64. "
		   "wrap: they are broken. send: they go as they are. refuse: the letter fails." },
	{ "limit.conns_total", CONF_NUMBER, CONF_CAN_OFF, G(limit_conns_total), 0, MAX_COUNT,
	    .def = "20000",
	    .doc =
		"Connections at the same time, over all listeners. From 80 % of them on those that "
		"say nothing are given up ten times earlier (limit.idle_seconds), but for those "
		"that have logged in with imap." },
	{ "limit.conns_per_ip", CONF_NUMBER, CONF_CAN_OFF, G(limit_conns_per_ip), 0, MAX_COUNT,
	    .def = "200",
	    .doc = "Connections at the same time from one address (IPv6: from one /64)." },
	{ "limit.queue_messages", CONF_NUMBER, CONF_CAN_OFF, G(limit_queue_messages), 0, MAX_COUNT,
	    .def = "off", .doc = "Letters in the queue at which MAIL is answered 452." },
	{ "limit.queue_bytes", CONF_SIZE, CONF_CAN_OFF, G(limit_queue_bytes), 0, MAX_OCTETS,
	    .def = "off", .doc = "Octets in the queue at which MAIL is answered 452." },
	{ "limit.disk_low", CONF_SIZE, CONF_CAN_OFF, G(limit_disk_low), 0, MAX_OCTETS,
	    .def = "128M",
	    .doc =
		"Free octets on the file system of the store below which MAIL is answered 452." },
	{ "limit.mem_high", CONF_SIZE, CONF_CAN_OFF, G(limit_mem_high), 0, MAX_OCTETS, .def = "off",
	    .doc = "Octets of letters under way, in all connections together, at which MAIL is "
		   "answered 452." },
	{ "relay_domains", CONF_TEXT, 0, G(relay_domains), .def = "", .good = conf_good_domains,
	    .doc =
		"Domains of others whose mail is taken from anybody and brought to them: this "
		"server is their backup MX, or stands in front of them. Domains, or *.example.net "
		"for all below one, parted by blanks or commas. Where their mail goes, MX records "
		"say, or a route. Whoever speaks for one may ask for its mail with ETRN." },
	{ "relay_recipients", CONF_TEXT, 0, G(relay_recipients), .def = "",
	    .good = conf_good_path_or_empty,
	    .doc =
		"A file of addresses in relay_domains that exist, one a line; # begins a comment. "
		"Of a domain that has one there, others are refused with 550, whoever sends; a "
		"domain without one takes mail for everybody, and what its server refuses then "
		"comes back to senders who may be forged. Read at the start and at reload." },
	{ "srs", CONF_BOOL, 0, G(srs), .def = "yes",
	    .doc =
		"Whether letters that an alias sends on to elsewhere get a sender address of the "
		"alias's domain (SRS), so that they pass SPF there. What cannot be delivered "
		"comes back through it to the first sender." },
	{ "queue.lifetime", CONF_SECONDS, 0, G(queue_lifetime), 1, MAX_SECONDS, .def = "5d",
	    .doc =
		"How long a letter for another server is tried before its sender is told that it "
		"failed (RFC 5321 4.5.4.1)." },
	{ "queue.warn", CONF_SECONDS, 0, G(queue_warn), 0, MAX_SECONDS, .def = "4h",
	    .doc = "How long a letter waits before its sender is told that it is late. 0: never." },
	{ "queue.retry_first", CONF_SECONDS, 0, G(queue_retry_first), 1, MAX_SECONDS, .def = "5m",
	    .doc =
		"How long a letter waits between its first two attempts. The time doubles with "
		"each attempt, and a quarter of it is left to chance. A server that cannot be "
		"reached is left alone for a minute at first, or for this time when it is less." },
	{ "queue.retry_most", CONF_SECONDS, 0, G(queue_retry_most), 1, MAX_SECONDS, .def = "1h",
	    .doc = "The longest time between two attempts." },
	{ "queue.window_first", CONF_NUMBER, 0, G(queue_window_first), 1, 1000, .def = "2",
	    .doc = "Connections to one destination at once before it is known how it answers." },
	{ "queue.window_most", CONF_NUMBER, 0, G(queue_window_most), 1, 1000, .def = "20",
	    .doc = "Connections to one destination at once that success leads to. A route may say "
		   "otherwise (max_connections)." },
	{ "queue.jobs", CONF_NUMBER, 0, G(queue_jobs), 1, 20000, .def = "1000",
	    .doc = "Letters that one relay process has under way at once, over all destinations. "
		   "Destinations that hang, are slow or refuse, or of which nothing is known, get "
		   "half of them." },
	{ "queue.bounce_copies", CONF_BOOL, 0, G(queue_bounce_copies), .def = "yes",
	    .doc =
		"Whether the postmaster is told of a letter from nobody that cannot be delivered: "
		"a report for which no sender was found." },
	{ "queue.bounce_full", CONF_SIZE, 0, G(queue_bounce_full), 0, 1u << 20, .def = "50K",
	    .doc = "A letter up to this size goes back whole with the report of its failure, when "
		   "its sender did not say otherwise (RET); of a larger one its header does." },
	{ "quota", CONF_SIZE, 0, G(quota), 0, MAX_OCTETS, .def = "0",
	    .doc = "Octets that the mail of an account may take, where the account has no quota of "
		   "its own (user quota). 0: no quota. A recipient that is one mailbox is answered "
		   "452 when its quota is used up; what goes to several mailboxes, through an "
		   "alias, is kept in each of them, as a list must not fail for one of its "
		   "members." },
	{ "store.segment_bytes", CONF_SIZE, 0, G(store_segment_bytes), 1u << 20, 1u << 30,
	    .def = "64M", .doc = "Size of a segment of the log. Changes apply to new segments." },
	{ "store.group_letters", CONF_NUMBER, 0, G(store_group_letters), 1, 4096, .def = "256",
	    .doc = "Letters that share one sync at most." },
	{ "store.group_bytes", CONF_SIZE, 0, G(store_group_bytes), 64u << 10, 64u << 20,
	    .def = "4M", .doc = "Octets that share one sync at most." },
	{ "store.body_memory", CONF_SIZE, 0, G(store_body_memory), 1u << 20, UINT64_C(1) << 40,
	    .def = "256M",
	    .doc = "Octets of letters under way that are held in memory; above it they go to disk "
		   "early." },
	{ "trace.days", CONF_NUMBER, 0, G(trace_days), 1, 36500, .def = "30",
	    .doc = "Days that the histories of letters are kept, for pennypost trace." },
	{ "trace.size", CONF_SIZE, 0, G(trace_size), 0, MAX_OCTETS, .def = "1G",
	    .doc =
		"Octets that the histories of letters may take; the oldest go first. A letter "
		"takes "
		"about 1.5 KiB. 0: they are not recorded, and stand in the store's log as long as "
		"their letters; then they are looked for by reading it." },
	/* Each listener, or all of them. */
	{ "address", CONF_TEXT, CONF_LISTENER | CONF_PLACE, L(address), .def = "*",
	    .good = conf_good_listen_address,
	    .doc =
		"The IP address to listen at. *: every address of the machine. unix: and a path "
		"behind it: a unix socket there, for lmtp and metrics; a relative path starts from "
		"data_dir. An lmtp or metrics listener for which nothing is written here listens "
		"at 127.0.0.1." },
	{ "port", CONF_NUMBER, CONF_LISTENER | CONF_PLACE, L(port), 1, 65535, .def = "25",
	    .doc = "The TCP port to listen at. When nothing is written here: 24 for lmtp, 143 for "
		   "imap, 110 for pop3, and with tls.implicit = yes 993 and 995; 9325 for metrics. "
		   "A unix socket has none." },
	{ "stands_for", CONF_NUMBER, CONF_LISTENER | CONF_PLACE, L(stands_for), 0, 65535,
	    .def = "0",
	    .doc = "The well-known port this listener stands for when it listens at another, as "
		   "behind a redirect. 0: its own port." },
	{ "protocol", CONF_CHOICE, CONF_LISTENER | CONF_PLACE, L(protocol),
	    .choices = "smtp lmtp imap pop3 metrics", .def = "smtp",
	    .doc =
		"What is spoken there. lmtp is how another mail server on this machine or nearby "
		"hands over mail for the mailboxes here: at a unix socket, or by TCP from this "
		"machine and the networks of relay_ip. It has a reply for each recipient, and its "
		"wording is that of the rfc dialect. imap and pop3 are how users read their "
		"mail. metrics tells the server's figures to Prometheus, by HTTP (GET /metrics), "
		"on this machine only: at a loopback address or a unix socket." },
	{ "socket.mode", CONF_TEXT, CONF_LISTENER | CONF_OF_SMTP | CONF_OF_METRICS, L(socket_mode),
	    .def = "0660", .good = conf_good_mode,
	    .doc = "The rights of a unix socket, in octal. Who may write to it may deliver." },
	{ "socket.user", CONF_TEXT, CONF_LISTENER | CONF_OF_SMTP | CONF_OF_METRICS, L(socket_user),
	    .def = "", .good = conf_good_account_or_empty,
	    .doc = "The account that owns a unix socket. Empty: the one that starts the server." },
	{ "socket.group", CONF_TEXT, CONF_LISTENER | CONF_OF_SMTP | CONF_OF_METRICS,
	    L(socket_group), .def = "", .good = conf_good_account_or_empty,
	    .doc = "The group of a unix socket, such as postfix. Empty: that of the one who starts "
		   "the server." },
	{ "dialect", CONF_TEXT, CONF_LISTENER, L(dialect), .def = "rfc", .good = conf_good_dialect,
	    .doc = "The wording of the replies, the EHLO list and IMAP's capabilities: a built-in "
		   "dialect or one from dialect_dir." },
	{ "host", CONF_TEXT, CONF_LISTENER, L(host), .def = "", .good = conf_good_host_or_empty,
	    .doc = "The host name in greeting and replies. Empty: hostname." },
	{ "ehlo_host", CONF_TEXT, CONF_LISTENER | CONF_OF_SMTP, L(ehlo_host), .def = "",
	    .good = conf_good_host_or_empty,
	    .doc = "The host name in the answer to EHLO. Empty: host." },
	{ "hub_host", CONF_TEXT, CONF_LISTENER | CONF_OF_SMTP, L(hub_host), .def = "",
	    .good = conf_good_host_or_empty,
	    .doc =
		"The inner host that some dialects name when a letter is accepted. Empty: host." },
	{ "client_ip", CONF_TEXT, CONF_LISTENER | CONF_LAB, L(client_ip), .def = "",
	    .good = conf_good_ip_or_empty,
	    .doc = "The address the server shall believe its client has. Empty: the real one." },
	{ "client_name", CONF_TEXT, CONF_LISTENER | CONF_LAB, L(client_name), .def = "",
	    .good = conf_good_host_or_empty,
	    .doc = "The name the server shall believe its client has. Empty: unknown." },
	{ "max_size", CONF_SIZE, CONF_LISTENER | CONF_OF_SMTP | CONF_OF_IMAP, L(max_size), 1,
	    MAX_OCTETS, .def = "50M",
	    .doc = "Octets of the largest letter that is taken, by APPEND of IMAP too." },
	{ "starttls", CONF_CHOICE, CONF_LISTENER, L(starttls),
	    .choices = "yes no auto advertise-refuse", .def = "auto",
	    .doc = "Whether STARTTLS (STLS in POP3) is offered. auto: when the server has a "
		   "certificate, but not with lmtp. "
		   "advertise-refuse: offered and refused, in SMTP with 454." },
	{ "tls.implicit", CONF_CHOICE, CONF_LISTENER, L(tls_implicit), .choices = "yes no auto",
	    .def = "auto",
	    .doc = "Whether TLS begins at once, before the greeting. auto: at ports 465, 993 and "
		   "995." },
	{ "tls.broken", CONF_BOOL, CONF_LISTENER | CONF_LAB, L(tls_broken), .def = "no",
	    .doc = "STARTTLS fails, in SMTP with 454, as if the key could not be read." },
	{ "tls.required", CONF_BOOL, CONF_LISTENER, L(tls_required), .def = "no",
	    .doc = "MAIL, AUTH and every login need TLS first. No effect at a unix socket, and "
		   "with lmtp only "
		   "where starttls = yes or tls.implicit = yes." },
	{ "tls.required_senders", CONF_TEXT, CONF_LISTENER | CONF_OF_SMTP, L(tls_required_senders),
	    .def = "", .good = conf_good_senders,
	    .doc =
		"Senders who need TLS first: addresses or @domains, parted by blanks or commas." },
	{ "tls.legacy", CONF_BOOL, CONF_LISTENER, L(tls_legacy), .def = "no",
	    .doc = "Takes TLS 1.0 and 1.1 too, which are broken, for scanners and printers that "
		   "know nothing else. Give them a listener of their own." },
	{ "tls.client_ca", CONF_TEXT, CONF_LISTENER, L(tls_client_ca), .def = "",
	    .good = conf_good_path_or_empty,
	    .doc = "A file with the certificates of the authorities whose client certificates "
		   "are asked for; whoever shows one may log in with EXTERNAL. Empty: none is "
		   "asked for." },
	{ "auth", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(auth), .choices = "yes no auto",
	    .def = "auto",
	    .doc = "Whether AUTH of SMTP is available. auto: at ports 366, 465 and 587, and where "
		   "mechs, "
		   "auth_required = yes, auth_cleartext = allow or auth_unadvertised = accept is "
		   "written." },
	{ "auth_required", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(auth_required),
	    .choices = "yes no auto", .def = "auto",
	    .doc =
		"Whether MAIL needs AUTH first. auto: at ports 366, 465 and 587, but not in a lab "
		"that imitates another system." },
	{ "auth_cleartext", CONF_CHOICE, CONF_LISTENER, L(auth_cleartext), .choices = "allow deny",
	    .def = "deny", .doc = "Whether passwords may come without TLS." },
	{ "auth_unadvertised", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(auth_unadvertised),
	    .choices = "accept refuse dialect", .def = "dialect",
	    .doc = "Whether AUTH works where it was not advertised." },
	{ "mechs", CONF_TEXT, CONF_LISTENER, L(mechs), .def = "", .good = conf_good_mechs,
	    .doc =
		"SASL mechanisms, parted by blanks, in the order in which they are offered; no "
		"other works. Empty: what the dialect lists, else SCRAM-SHA-256, SCRAM-SHA-1, "
		"PLAIN and LOGIN, with TLS the forms of SCRAM that end in -PLUS, with "
		"tls.client_ca EXTERNAL, and OAUTHBEARER and XOAUTH2 where oauth is set up. "
		"CRAM-MD5, DIGEST-MD5, NTLM and GSSAPI work only where they are written here. The "
		"first three need passwords that are kept recoverably (user add --recoverable) "
		"and are weak; GSSAPI needs gssapi.keytab." },
	{ "submission", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(submission),
	    .choices = "yes no auto", .def = "auto",
	    .doc = "Whether our own users hand in their mail here: own_sender and own_from are "
		   "looked at, Bcc fields are taken out, and BURL (RFC 4468) is offered. auto: at "
		   "ports 465 and 587." },
	{ "atrn", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(atrn), .choices = "yes no auto",
	    .def = "auto",
	    .doc =
		"Whether who has logged in may fetch the mail of domains with ATRN (RFC 2645), as "
		"far as the atrn of a route says so. auto: at port 366, and at ports 465 and 587 "
		"when there is such a route." },
	{ "own_sender", CONF_BOOL, CONF_LISTENER | CONF_OF_SMTP, L(own_sender), .def = "yes",
	    .doc = "With submission: the sender in MAIL must be an address of the account that "
		   "has logged in, or one whose mail it gets." },
	{ "own_from", CONF_BOOL, CONF_LISTENER | CONF_OF_SMTP, L(own_from), .def = "yes",
	    .doc = "With submission: so must every address in the From field." },
	{ "proxy_peers", CONF_TEXT, CONF_LISTENER, L(proxy_peers), .def = "",
	    .good = conf_good_cidrs,
	    .doc = "Networks whose connections begin with a PROXY header (version 1 or 2) that "
		   "names the real client; from there it must come." },
	{ "xclient_peers", CONF_TEXT, CONF_LISTENER | CONF_OF_SMTP, L(xclient_peers), .def = "",
	    .good = conf_good_cidrs,
	    .doc = "Networks that may say with XCLIENT who their client is." },
	{ "xforward_peers", CONF_TEXT, CONF_LISTENER | CONF_OF_SMTP, L(xforward_peers), .def = "",
	    .good = conf_good_cidrs,
	    .doc = "Networks that may say with XFORWARD, for the trace, who their client is." },
	{ "ehlo", CONF_BOOL, CONF_LISTENER | CONF_OF_SMTP, L(ehlo), .def = "yes",
	    .doc = "Whether EHLO is known; without it only HELO is." },
	{ "require_helo", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(require_helo),
	    .choices = YES_NO_DIALECT, .def = "dialect",
	    .doc = "Whether MAIL needs HELO or EHLO first. The rfc dialect says yes." },
	{ "helo_arg", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(helo_arg),
	    .choices = "required optional dialect", .def = "dialect",
	    .doc = "Whether HELO needs a name behind it." },
	{ "helo_check", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(helo_check),
	    .choices = "lenient syntax fqdn dns", .def = "lenient",
	    .doc = "How strictly that name is read. lenient: any text; syntax: a domain or address "
		   "literal; fqdn: a domain with a dot; dns: it must resolve." },
	{ "angle_brackets", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(angle_brackets),
	    .choices = "required optional dialect", .def = "dialect",
	    .doc = "Whether addresses in MAIL and RCPT must stand in angle brackets." },
	{ "dot_space", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(dot_space),
	    .choices = "strict end", .def = "strict",
	    .doc =
		"Whether a line of a dot and blanks is text (strict) or ends the letter (end)." },
	{ "line_editing", CONF_BOOL, CONF_LISTENER | CONF_OF_SMTP, L(line_editing), .def = "yes",
	    .doc = "Whether backspaces and telnet commands in command lines are understood." },
	{ "bare_lf", CONF_CHOICE, CONF_LISTENER, L(bare_lf), .choices = "session reject auto",
	    .def = "auto",
	    .doc = "Whether a session may end its lines in a bare LF. auto: session at ports 465 "
		   "and 587, with imap and pop3, and in a lab that imitates another system, else "
		   "reject." },
	{ "relay_ip", CONF_TEXT, CONF_LISTENER | CONF_OF_SMTP, L(relay_ip), .def = "",
	    .good = conf_good_cidrs,
	    .doc = "Our own networks, as 192.0.2.0/24 2001:db8::/32, parted by blanks or commas. "
		   "They may send to anywhere. Letters from them are completed (see "
		   "add_missing_headers), and an lmtp listener answers them, without sending "
		   "anything elsewhere." },
	{ "relay_sender", CONF_TEXT, CONF_LISTENER | CONF_OF_SMTP, L(relay_sender), .def = "",
	    .good = conf_good_senders,
	    .doc = "Senders who may send to anywhere: addresses or @domains, parted by blanks or "
		   "commas. Anybody can claim to be one of them, so this is for networks that only "
		   "such senders can reach." },
	{ "etrn", CONF_BOOL, CONF_LISTENER | CONF_OF_SMTP, L(etrn), .def = "yes",
	    .doc =
		"Whether ETRN starts a queue run (RFC 1985). Anybody may ask for the mail of a "
		"domain in relay_domains, our own networks and who has logged in for that of any "
		"domain, and for the queue of a route by its name behind #." },
	{ "verp", CONF_BOOL, CONF_LISTENER | CONF_OF_SMTP, L(verp), .def = "yes",
	    .doc = "Whether our own networks, and who has logged in, may ask for a sender address "
		   "of its own for each recipient (XVERP)." },
	{ "prdr", CONF_BOOL, CONF_LISTENER | CONF_OF_SMTP, L(prdr), .def = "yes",
	    .doc = "Whether a client may ask for a reply for each recipient behind a letter "
		   "(PRDR)." },
	{ "no_soliciting", CONF_TEXT, CONF_LISTENER | CONF_OF_SMTP, L(no_soliciting), .def = "",
	    .good = conf_good_classes,
	    .doc = "Solicitation classes that are refused (RFC 3865), such as org.example:ADV, "
		   "parted by blanks or commas: whoever says with SOLICIT= or in a Solicitation "
		   "field that his letter is of one gets 550 5.7.1. Empty: NO-SOLICITING is not "
		   "offered." },
	{ "ipmm", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(ipmm), .choices = YES_NO_DIALECT,
	    .def = "dialect",
	    .doc = "Whether the mail merge commands XMRG, XDFN and XPRT are known." },
	{ "ipmm_subst", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(ipmm_subst),
	    .choices = "entities brackets dialect", .def = "dialect",
	    .doc = "How a variable is written in a part: &name; (entities) or [name] "
		   "(brackets)." },
	{ "quit_silent", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(quit_silent),
	    .choices = YES_NO_DIALECT, .def = "dialect",
	    .doc = "Whether QUIT closes without an answer." },
	{ "vrfy", CONF_BOOL, CONF_LISTENER | CONF_OF_SMTP, L(vrfy), .def = "no",
	    .doc = "Whether VRFY tells who has a mailbox here; else it says 252 to everything." },
	{ "expn", CONF_BOOL, CONF_LISTENER | CONF_OF_SMTP, L(expn), .def = "no",
	    .doc = "Whether EXPN lists the members of an alias." },
	{ "add_missing_headers", CONF_CHOICE, CONF_LISTENER | CONF_OF_SMTP, L(add_missing_headers),
	    .choices = "never auto", .def = "auto",
	    .doc = "Whether Date, Message-ID and From are added to a letter from our own clients "
		   "or without any header." },
	{ "two_from", CONF_BOOL, CONF_LISTENER | CONF_OF_SMTP, L(two_from), .def = "no",
	    .doc = "Whether a letter with more than one From field is taken." },
	{ "counter", CONF_NUMBER, CONF_LISTENER | CONF_OF_SMTP | CONF_LAB, L(counter), 0, MAX_COUNT,
	    .def = "0", .doc = "Dialects that number their letters begin behind this number." },
	{ "errno", CONF_NUMBER, CONF_LISTENER | CONF_OF_SMTP | CONF_LAB, L(err_no), 0, 4095,
	    .def = "0", .doc = "The number that the reply to a failed system call shows." },
	{ "imap_separator", CONF_CHOICE, CONF_LISTENER | CONF_OF_IMAP, L(imap_separator),
	    .choices = "/ .", .def = "/",
	    .doc =
		"What parts the names of mailboxes in one another, as in Lists/Sailing. Where it "
		"is a dot, a dot in a name is shown as a slash." },
	{ "imap_capability_pre", CONF_TEXT, CONF_LISTENER | CONF_OF_IMAP, L(imap_capability_pre),
	    .def = "", .good = conf_good_capabilities,
	    .doc = "What CAPABILITY shows before TLS, such as IMAP4rev1 STARTTLS LOGINDISABLED. It "
		   "changes what is shown, not what works. Empty: what the dialect says, else what "
		   "works." },
	{ "imap_capability_tls", CONF_TEXT, CONF_LISTENER | CONF_OF_IMAP, L(imap_capability_tls),
	    .def = "", .good = conf_good_capabilities,
	    .doc = "The same inside TLS before the login." },
	{ "pop3_apop", CONF_BOOL, CONF_LISTENER | CONF_OF_POP3, L(pop3_apop), .def = "no",
	    .doc =
		"Whether APOP works. It is weak, and works only for users whose password is kept "
		"recoverably (user add --recoverable). As CRAM-MD5 it sends no password, and yet "
		"works without TLS only where auth_cleartext allows passwords there." },
	{ "pop3_login_delay", CONF_SECONDS, CONF_LISTENER | CONF_OF_POP3, L(pop3_login_delay), 0,
	    86400, .def = "0",
	    .doc =
		"How long after a login over POP3 the same user may log in again (RFC 2449 6.5); "
		"sooner gets -ERR [LOGIN-DELAY]. 0: at once." },
	{ "pop3_expire", CONF_NUMBER, CONF_LISTENER | CONF_OF_POP3 | CONF_CAN_OFF, L(pop3_expire),
	    0, 36500, .def = "off",
	    .doc =
		"The days that CAPA says mail is kept at least (RFC 2449 6.7), for servers whose "
		"mail is cleared away from outside: this key deletes nothing. off: it says "
		"NEVER." },
	{ "service.disabled", CONF_TEXT, CONF_LISTENER, L(service_disabled), .def = "",
	    .doc = "A reason: the listener refuses every connection with it, in SMTP with 421. "
		   "Empty: in "
		   "service." },
	{ "limit.conns_listener", CONF_NUMBER, CONF_LISTENER | CONF_CAN_OFF,
	    L(limit_conns_listener), 0, MAX_COUNT, .def = "off",
	    .doc = "Connections at the same time to one listener." },
	{ "limit.msgs_per_session", CONF_NUMBER, CONF_LISTENER | CONF_OF_SMTP | CONF_CAN_OFF,
	    L(limit_msgs_per_session), 0, MAX_COUNT, .def = "off",
	    .doc = "Letters in one session." },
	{ "limit.rcpts_per_msg", CONF_NUMBER, CONF_LISTENER | CONF_OF_SMTP, L(limit_rcpts_per_msg),
	    0, RCPT_MAX, .def = "1000",
	    .doc = "Recipients of one letter; with lmtp at most 1000." },
	{ "limit.rcpts_per_hour", CONF_NUMBER, CONF_LISTENER | CONF_OF_SMTP | CONF_CAN_OFF,
	    L(limit_rcpts_per_hour), 0, MAX_COUNT, .def = "off",
	    .doc = "Recipients that one address may name in an hour." },
	{ "limit.rcpts_per_hour_account", CONF_NUMBER, CONF_LISTENER | CONF_OF_SMTP | CONF_CAN_OFF,
	    L(limit_rcpts_per_hour_account), 0, MAX_COUNT, .def = "off",
	    .doc = "Recipients that one account may name in an hour." },
	{ "limit.header_lines", CONF_NUMBER, CONF_LISTENER | CONF_OF_SMTP | CONF_CAN_OFF,
	    L(limit_header_lines), 0, MAX_COUNT, .def = "10000",
	    .doc = "Lines of a letter's header." },
	{ "limit.header_bytes", CONF_SIZE, CONF_LISTENER | CONF_OF_SMTP, L(limit_header_bytes), 0,
	    64u << 20, .def = "1M", .doc = "Octets of a letter's header." },
	{ "limit.inject_seconds", CONF_SECONDS, CONF_LISTENER | CONF_OF_SMTP | CONF_CAN_OFF,
	    L(limit_inject_seconds), 0, MAX_SECONDS, .def = "off",
	    .doc = "Time within which a session has to deliver a letter." },
	{ "limit.conn_seconds", CONF_SECONDS, CONF_LISTENER | CONF_CAN_OFF, L(limit_conn_seconds),
	    0, MAX_SECONDS, .def = "off", .doc = "Time that a connection may last." },
	{ "limit.idle_seconds", CONF_SECONDS, CONF_LISTENER, L(limit_idle_seconds), 1, MAX_SECONDS,
	    .def = "5m",
	    .doc =
		"Time to wait for the next command. RFC 5321 4.5.3.2 asks for five minutes. Once "
		"somebody has logged in it is half an hour at least with imap (RFC 9051 5.4) and "
		"ten minutes with pop3 (RFC 1939 3), except in a lab." },
	{ "limit.data_seconds", CONF_SECONDS, CONF_LISTENER | CONF_OF_SMTP | CONF_OF_IMAP,
	    L(limit_data_seconds), 1, MAX_SECONDS, .def = "10m",
	    .doc = "Time to wait for the next octets of a letter." },
	{ "limit.data_rate", CONF_SIZE, CONF_LISTENER | CONF_OF_SMTP | CONF_OF_IMAP,
	    L(limit_data_rate), 0, 1u << 30, .def = "500",
	    .doc = "Octets a second that a letter must bring at least once the time of "
		   "limit.data_seconds is over." },
	{ "limit.bad_commands", CONF_NUMBER, CONF_LISTENER | CONF_CAN_OFF, L(limit_bad_commands), 0,
	    MAX_COUNT, .def = "4",
	    .doc = "Unknown commands that are tolerated; the next one ends the session. With imap "
		   "and pop3 before the login only." },
	{ "limit.command_line", CONF_SIZE, CONF_LISTENER | CONF_OF_SMTP, L(limit_command_line), 512,
	    64u << 10, .def = "4096", .doc = "Octets of a command line." },
	{ "limit.hops", CONF_NUMBER, CONF_LISTENER | CONF_OF_SMTP, L(limit_hops), 0, 10000,
	    .def = "100", .doc = "Received fields above which a letter counts as looping." },
	{ "limit.tls", CONF_NUMBER, CONF_LISTENER | CONF_CAN_OFF, L(limit_tls), 0, MAX_COUNT,
	    .def = "off",
	    .doc = "TLS sessions at the same time, over all listeners, above which this one "
		   "begins no further." },
	{ "limit.ipmm_parts", CONF_NUMBER, CONF_LISTENER | CONF_OF_SMTP, L(limit_ipmm_parts), 1,
	    1000, .def = "100", .doc = "The highest number that a part of a mail merge may have." },
	{ "limit.ipmm_rcpts", CONF_NUMBER, CONF_LISTENER | CONF_OF_SMTP, L(limit_ipmm_rcpts), 1,
	    MERGE_RCPT_MAX, .def = "100000", .doc = "Recipients of one mail merge." },
	{ "limit.hold_seconds", CONF_SECONDS, CONF_LISTENER | CONF_OF_SMTP | CONF_CAN_OFF,
	    L(limit_hold_seconds), 0, MAX_SECONDS, .def = "30d",
	    .doc = "How far ahead a user of ours may date a letter with FUTURERELEASE (RFC 4865). "
		   "0 or "
		   "off: not at all." },
	{ NULL },
};

const struct conf_key *
conf_key_find(struct str name)
{
	for (const struct conf_key *k = conf_keys; k->name; k++)
		if (str_eq(str_of(k->name), name))
			return k;
	return NULL;
}

/* Names that are no rows of the table. */
static const char *const others_global[] = { "listen", "domains", "alias", "routes", "dialect_dir",
	"reply", "tls.certificates", NULL };
static const char *const others_listener[] = { "reply", NULL };

const char *
conf_key_nearest(struct str name, bool listener)
{
	struct suggest s;
	suggest_init(&s, name);
	for (const struct conf_key *k = conf_keys; k->name; k++)
		if ((k->flags & CONF_LISTENER) ? listener || !(k->flags & CONF_PLACE) : !listener)
			suggest_offer(&s, k->name);
	for (const char *const *o = listener ? others_listener : others_global; *o; o++)
		suggest_offer(&s, *o);
	return suggest_best(&s);
}
