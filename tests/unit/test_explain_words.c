/* explain: real-looking lines of servers and providers; views of any length; protocols. */
#include "base/check.h"
#include "explain/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

struct row {
	const char *line, *source, *word;
};

static const struct row rows[] = {
	/* Gmail */
	{ "550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n"
	  "550-5.1.1 double-checking the recipient's email address for typos or\r\n"
	  "550 5.1.1 unnecessary spaces. d9443c01a7336-2 - gsmtp",
	    "Gmail", "no such mailbox" },
	{ "550-5.7.26 Unauthenticated email from example.org is not accepted due to domain's\n"
	  "550-5.7.26 DMARC policy. Please contact the administrator of example.org domain.",
	    "Gmail", "DMARC" },
	{ "421-4.7.26 This mail has been rate limited because it is unauthenticated. Gmail "
	  "requires all senders to authenticate with either SPF or DKIM.",
	    "Gmail", "SPF nor DKIM" },
	{ "550-5.7.1 [192.0.2.1      12] Our system has detected that this message is likely "
	  "unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been "
	  "blocked. - gsmtp",
	    "Gmail", "looks like spam" },
	{ "421-4.7.28 Our system has detected an unusual rate of unsolicited mail originating from "
	  "your IP address. - gsmtp",
	    "Gmail", "unusual" },
	{ "550 5.2.1 The email account that you tried to reach is disabled. - gsmtp", "Gmail",
	    "switched off" },
	{ "450-4.2.1 The user you are trying to contact is receiving mail too quickly. - gsmtp",
	    "Gmail", "too many letters" },
	{ "452-4.2.2 The recipient's inbox is out of storage space. - gsmtp", "Gmail", "full" },
	{ "550 5.4.5 Daily user sending limit exceeded. - gsmtp", "Gmail", "daily" },
	{ "550-5.7.25 [2001:db8::1] The IP address sending this message does not have a PTR record "
	  "setup, or the corresponding forward DNS entry does not point to the sending IP.",
	    "Gmail", "PTR" },
	{ "535-5.7.8 Username and Password not accepted. For more information, go to\n"
	  "535 5.7.8  https://support.google.com/mail/?p=BadCredentials - gsmtp",
	    "Gmail", "not accepted" },
	/* Microsoft */
	{ "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
	  "Internet service provider since part of their network is on our block list (S3140).",
	    "Outlook.com", "S3140" },
	{ "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
	  "Internet service provider since part of their network is on our block list (S3150). "
	  "[DB3EUR04FT007.eop-eur04.prod.protection.outlook.com]",
	    "Outlook.com", "S3150" },
	{ "550 SC-001 (COL004-MC1F1) Unfortunately, messages from 192.0.2.1 weren't sent.",
	    "Outlook.com", "content" },
	{ "550 OU-001 (SNT004-MC2F40) Unfortunately, messages from 192.0.2.1 weren't sent.",
	    "Outlook.com", "Spamhaus" },
	{ "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
	  "reputation. For e-mail delivery information, see https://postmaster.live.com (S775)",
	    "Exchange Online", "reputation" },
	{ "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS843)",
	    "Exchange Online", "slowed down" },
	{ "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient bob@example.com not found by SMTP "
	  "address lookup",
	    "Exchange Online", "does not exist" },
	{ "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", "Exchange Online",
	    "directory based" },
	{ "550 5.4.14 Hop count exceeded - possible mail loop ATTR34", "Exchange Online", "loop" },
	{ "450 4.4.316 Connection refused [Message=Socket error code 10061]", "Exchange Online",
	    "refused the connection" },
	{ "450 4.4.317 Cannot establish session with remote server [Message=451 5.7.3 STARTTLS is "
	  "required to send mail]",
	    "Exchange Online", "TLS" },
	{ "550 5.7.23 The message was rejected because of Sender Policy Framework violation",
	    "Exchange Online", "SPF" },
	{ "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM",
	    "Exchange Online", "log in" },
	{ "550 5.7.64 TenantAttribution; Relay Access Denied", "Exchange Online", "connector" },
	{ "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required",
	    "Exchange Online", "group" },
	{ "550 5.7.501 Access denied, spam abuse detected.", "Exchange Online", "banned" },
	{ "550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal",
	    "Exchange Online", "banned" },
	{ "550 5.7.649 Access denied, banned sending IP [192.0.2.1]", "Exchange Online", "banned" },
	{ "550 5.7.515 Access denied, sending domain example.org does not meet the required "
	  "authentication level",
	    "Exchange Online", "DKIM" },
	{ "550 5.7.1 Unable to relay for bob@example.com", "IIS", "relay" },
	{ "550 5.7.350 Remote server returned message detected as spam -> 554 5.7.1 refused",
	    "Exchange Online", "spam" },
	{ "535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.eurprd01.prod.exchangelabs.com]",
	    "IIS", "password" },
	{ "550 DY-002 (SNT004-MC2F40) Unfortunately, messages from 192.0.2.1 weren't sent.",
	    "Outlook.com", "hacked" },
	{ "450 4.4.315 Connection timed out [Message=Socket error code 10060]", "Exchange Online",
	    "timed out" },
	{ "450 4.7.320 Certificate validation failed [Message=UntrustedRoot]", "Exchange Online",
	    "certificate" },
	{ "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable -> 550 gone",
	    "Exchange Online", "no such recipient" },
	{ "550 5.7.520 Access denied, Your organization does not allow external forwarding. Please "
	  "contact your administrator for further assistance. AS(7555)",
	    "Exchange Online", "forwards" },
	{ "550 5.7.30 Basic authentication is not supported for Client Submission.",
	    "Exchange Online", "no longer" },
	{ "451 4.7.652 The mail server [192.0.2.1] has exceeded the maximum number of connections. "
	  "(S3115)",
	    "Exchange Online", "connections" },
	/* Yahoo, AOL, Apple, Comcast, others */
	{ "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume "
	  "or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
	    "Yahoo", "TSS04" },
	{ "553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying "
	  "will NOT succeed.",
	    "Yahoo", "TSS09" },
	{ "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in "
	  "Spamhaus's list",
	    "Yahoo", "Spamhaus" },
	{ "554 delivery error: dd This user doesn't have a yahoo.com account (bob@yahoo.com) [-5]",
	    "Yahoo", "no such mailbox" },
	{ "421 4.7.1 : (DYN:T1) https://postmaster.aol.com/error-codes#421dynt1", "AOL",
	    "blocked" },
	{ "550 5.7.1 [CS01] Message rejected due to local policy. Please visit "
	  "https://support.apple.com/en-us/HT204137",
	    "iCloud", "CS01" },
	{ "554 5.7.1 [HM08] Message rejected due to local policy.", "iCloud", "HM08" },
	{ "554 imta01.westchester.pa.mail.comcast.net comcast 192.0.2.1 Comcast block for spam. "
	  "Please see http://postmaster.comcast.net/smtp-error-codes.php#BL000000",
	    "Comcast", "blocked" },
	{ "554-gmx.net (mxgmx104) Nemesis ESMTP Service not available\n554-No SMTP service\n"
	  "554-IP address is block listed.\n554 For explanation visit "
	  "https://postmaster.gmx.net/en/case?c=r0201&i=ip&v=198.51.100.42&r=1",
	    "GMX", "GMX" },
	{ "554-Transaction failed\n554-Reject due to policy restrictions.\n554 For explanation "
	  "visit "
	  "http://postmaster.web.de/en/error-messages?ip=192.0.2.1&c=hi",
	    "GMX", "policy" },
	{ "554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact "
	  "tosa@rx.t-online.de to clarify.)",
	    "T-Online", "T-Online" },
	{ "554 IP=192.0.2.1 - None/bad reputation. Ask your postmaster for help or to contact "
	  "tobr@rx.t-online.de for reset. (NOWL)",
	    "T-Online", "NOWL" },
	{ "554 IP=192.0.2.1 - Dialup/transient IP not allowed. Use a mailgateway or contact "
	  "toda@rx.t-online.de if obsolete. (DIAL)",
	    "T-Online", "dial-up" },
	{ "421 Too many spams from your IP (192.0.2.1), please visit http://postmaster.free.fr/",
	    "Free.fr", "24 hours" },
	{ "553 5.3.0 alph731 DNSBL:RBL 521< 192.0.2.1 >_is_blocked.For assistance forward this "
	  "error to abuse_rbl@abuse-att.net",
	    "AT&T", "blocked" },
	{ "554 cmsmtp 192.0.2.1 blocked AUP#CXBL", "Cox", "CXBL" },
	{ "554 cox too bad AUP#IPBL1000", "Cox", "IPBL" },
	{ "554 p-impin011.msg.charter.net charter 192.0.2.1 blocked. AUP#In-1220", "Charter",
	    "Spamhaus" },
	{ "550 p-impout.example charter 192.0.2.1 rejected. AUP#Out-1500", "Charter", "logged in" },
	{ "451 MI:DMC 163 mx11,QMCowAD3,1 http://mail.163.com/help/help_spam_16.htm", "163.com",
	    "limit" },
	{ "550 MI:DMA mx12,QsCowAD3", "163.com", "DMARC" },
	{ "554 DT:SUM smtp3,DdGowED,1", "163.com", "different" },
	{ "550 Mailbox unavailable or access denied [MPf7Mks9 IP: 192.0.2.1]", "QQ",
	    "does not exist" },
	{ "550 Unknown user bob@docomo.ne.jp", "DOCOMO", "docomo" },
	{ "550 : User unknown", "au", "filter" },
	{ "421 Server temporarily unavailable. Try again later. IB101", "GoDaddy", "busy" },
	{ "554 Connection refused. This IP address is listed on the Policy Block List (PBL). IB106",
	    "GoDaddy", "blocklist" },
	{ "550 5.4.6 Unusual sending activity detected. Please try after sometime.", "Zoho",
	    "outside" },
	{ "554 5.7.7 Email policy violation detected", "Zoho", "recipient" },
	{ "550 5.1.1 RCP-P1 http://postmaster.facebook.com/response_codes?ip=192.0.2.54#rcp",
	    "Facebook", "no such address" },
	{ "554 5.7.1 <a.example[192.0.2.1]>: Client host rejected: Address locked or deactivated; "
	  "see http://mail.messagingengine.com/docs/locked.html",
	    "Fastmail", "locked" },
	{ "550 5.7.40 Your message was blocked because the sending domain doesn't have a DMARC "
	  "record, or the DMARC record doesn't specify a DMARC policy.",
	    "Gmail", "no DMARC" },
	{ "450 Policy rejection on the target address", "Yandex", "blocked" },
	{ "550 spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=x or "
	  "report details to abuse@corp.mail.ru.",
	    "Mail.ru", "spam" },
	{ "554 5.7.1 [2] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc 1-2",
	    "Yandex", "spam" },
	{ "550 5.2.0 mailin-abc Adresse IP source bloquee pour incident de spam. Client host "
	  "blocked "
	  "for spamming issues. OFR006_102",
	    "Orange", "blocked" },
	/* blocklists, filters, greylisting */
	{ "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; "
	  "https://www.spamhaus.org/query/ip/192.0.2.1",
	    "Spamhaus", "Spamhaus" },
	{ "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using "
	  "b.barracudacentral.org; http://www.barracudanetworks.com/reputation/?pr=1&ip=192.0.2.1",
	    "blocklists", "Barracuda" },
	{ "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using dnsbl.sorbs.net",
	    "blocklists", "SORBS" },
	{ "550 5.7.1 Client host [192.0.2.1] blocked using bl.example.net", "", "blocklist" },
	{ "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; "
	  "Error: open resolver; https://check.spamhaus.org/returnc/pub/192.0.2.53/",
	    "Spamhaus", "public resolver" },
	{ "554 Blocked using ix.dnsbl.manitu.net", "blocklists", "closed" },
	{ "550 This message has been blocked", "filters", "text says" },
	{ "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", "Proofpoint",
	    "Proofpoint" },
	{ "550 Rejected by header based Anti-Spoofing policy: alice@example.com - "
	  "https://community.mimecast.com/docs/DOC-1369#550",
	    "Mimecast", "own domain" },
	{ "451 Internal resources are temporarily unavailable - "
	  "https://community.mimecast.com/docs/DOC-1369#451",
	    "Mimecast", "greylisting" },
	{ "450 4.2.0 <bob@example.com>: Recipient address rejected: Greylisted, see "
	  "http://postgrey.schweikert.ch/help/example.com.html",
	    "", "reylisting" },
	{ "451 4.7.1 Greylisting in action, please come back in 00:05:00", "greylisting",
	    "Greylisting" },
	{ "554 Your access to this mail system has been rejected due to the sending MTA's poor "
	  "reputation. If you believe that this failure is in error",
	    "AsyncOS", "reputation" },
	/* servers */
	{ "554 5.7.1 <bob@example.com>: Relay access denied", "Postfix", "not logged in" },
	{ "450 4.1.8 <a@nowhere.example>: Sender address rejected: Domain not found", "Postfix",
	    "sender's address" },
	{ "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", "Postfix",
	    "dot" },
	{ "250 2.0.0 Ok: queued as 4F1B220A5", "Postfix", "queue" },
	{ "221 2.7.0 Error: I can break rules, too. Goodbye.", "Postfix", "HTTP" },
	{ "550 relay not permitted", "Exim", "elay" },
	{ "550 Unrouteable address", "Exim", "no router" },
	{ "250 OK id=1rAbCd-0001Xy-2z", "Exim", "queue" },
	{ "451 Temporary local problem - please try later", "Exim", "for now" },
	{ "550-Please turn on SMTP Authentication in your mail client. a.example [192.0.2.1]:25\n"
	  "550 is not permitted to relay through this server without authentication.",
	    "cPanel", "elay" },
	{ "550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)", "cPanel", "HELO" },
	{ "421 4.3.2 All server ports are busy", "Postfix", "busy" },
	{ "450 Requested mail action not taken: mailbox unavailable", "RFC 5321", "Not now" },
	{ "525 5.7.1 Unauthorized IP address", "Brevo", "allowed addresses" },
	{ "550-Verification failed for <a@nowhere.example>\n550-The mail server could not deliver\n"
	  "550 Sender verify failed",
	    "Exim", "verified" },
	{ "550 5.7.1 <bob@example.com>... Relaying denied", "Sendmail", "elay" },
	{ "553 5.1.8 <a@nowhere.example>... Domain of sender address a@nowhere.example does not "
	  "exist",
	    "Sendmail", "sender's address" },
	{ "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "qmail",
	    "elay" },
	{ "554 TLS not supported here", "Citadel", "STARTTLS" },
	{ "550 The from address does not match a verified Sender Identity. Mail cannot be sent "
	  "until "
	  "this error is resolved.",
	    "SendGrid", "verified sender" },
	{ "535 Authentication failed: Bad username / password", "SendGrid", "apikey" },
	{ "451 Authentication failed: Maximum credits exceeded", "SendGrid", "credits" },
	{ "554 Message rejected: Email address is not verified.", "Amazon SES", "verified" },
	/* delivery reports */
	{ "Action: delayed", "RFC 3464", "goes on trying" },
	{ "Action: failed", "RFC 3464", "not delivered" },
	{ "Action: relayed", "RFC 3464", "sends no reports" },
	{ "Action: expanded", "RFC 3464", "list" },
	/* IMAP, POP3, ManageSieve */
	{ "a1 NO [AUTHENTICATIONFAILED] Authentication failed.", "RFC 5530", "Name or password" },
	{ "* BYE Disconnected for inactivity.", "RFC 9051", "Nothing was heard" },
	{ "a2 NO [TRYCREATE] Mailbox doesn't exist: Foo", "RFC 9051", "does not exist" },
	{ "a3 BAD Error in IMAP command FOO: Unknown command.", "", "did not understand" },
	{ "* OK [UIDVALIDITY 3857529045] UIDs valid", "RFC 9051", "void" },
	{ "A4 NO [NONEXISTENT] No such mailbox", "RFC 5530", "not exist" },
	{ "* PREAUTH IMAP4rev1 server ready", "RFC 9051", "logged in" },
	{ "a5 NO [METADATA MAXSIZE 1024] too large", "RFC 5464", "METADATA" },
	{ "-ERR [SYS/TEMP] Try later", "RFC 3206", "may pass" },
	{ "-ERR [SYS/PERM] broken", "RFC 3206", "not pass" },
	{ "-ERR [LOGIN-DELAY] minimum time between mail checks violation", "RFC 2449", "so soon" },
	{ "-ERR [UTF8] Activate UTF8 first", "RFC 6856", "UTF8" },
	{ "-ERR [AUTH] Username and password not accepted.", "", "assword" },
	{ "NO (QUOTA/MAXSCRIPTS) \"Too many scripts\"", "RFC 5804", "scripts" },
	{ "BYE (REFERRAL \"sieve://sieve2.example.net\") \"Try Remote.\"", "RFC 5804",
	    "another server" },
};

static void
knows_the_wordings(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct explain_hit hit;
		if (!explain_reply(str_of(rows[i].line), &hit))
			fail_msg("nothing is known of %s", rows[i].line);
		if (str_find_str(hit.source, str_of(rows[i].source)) == hit.source.len &&
		    rows[i].source[0])
			fail_msg("%s: source " STR_FMT ", not %s (" STR_FMT ")", rows[i].line,
			    STR_ARG(hit.source), rows[i].source, STR_ARG(hit.meaning));
		if (str_find_str(hit.meaning, str_of(rows[i].word)) == hit.meaning.len)
			fail_msg("%s: no \"%s\" in \"" STR_FMT "\"", rows[i].line, rows[i].word,
			    STR_ARG(hit.meaning));
		if (rows[i].line[0] == '4' || rows[i].line[0] == '5')
			assert_int_equal(hit.kind,
			    rows[i].line[0] == '4' ? EXPLAIN_TEMPORARY : EXPLAIN_PERMANENT);
	}
}

/* Cut at every place, in memory of exactly that size, under every protocol: never a read beyond. */
static void
takes_any_view(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].line);
		for (size_t n = 0; n <= len; n += len > 120 ? 7 : 3) {
			char *exact = malloc(n ? n : 1);
			memcpy(exact, rows[i].line, n);
			struct explain_hit hits[3];
			enum explain_proto p = (enum explain_proto)(n % EXPLAIN_PROTO_COUNT);
			assert_true(explain_line_of(p, str_n(exact, n), hits, 3) <= 3);
			free(exact);
		}
	}
}

/* Labels, line ends and the place in a log line do not matter. */
static void
finds_the_reply(void **state)
{
	static const char *const same[] = {
		"550 5.7.1 <b@example.com>... Relaying denied",
		"s: 550 5.7.1 <b@example.com>... Relaying denied",
		"S:550 5.7.1 <b@example.com>... Relaying denied\r\n",
		"<** 550 5.7.1 <b@example.com>... Relaying denied",
		"<<< 550-5.7.1 <b@example.com>...\r\n<<< 550 5.7.1 Relaying denied",
		"550 #5.7.1 <b@example.com>...   Relaying\tdenied.",
		"smtp;550 5.7.1 <b@example.com>... Relaying denied",
		"Remote Server returned '550 5.7.1 <b@example.com>... Relaying denied",
		"host mx[192.0.2.1] said: 550 5.7.1 <b@example.com>... Relaying denied",
		"Nov 22 10:00:00 mx sendmail[250]: x: to=<b@example.com>, delay=00:00:01, "
		"dsn=5.7.1, "
		"stat=Service unavailable, reply=smtp; 550 5.7.1 <b@example.com>... Relaying "
		"denied",
	};
	struct explain_hit first, hit;
	assert_true(explain_reply(str_of(same[0]), &first));
	for (size_t i = 1; i < ARRAY_LEN(same); i++) {
		assert_true(explain_reply(str_of(same[i]), &hit));
		if (hit.kind != first.kind || !str_eq(hit.code, STR("550")) ||
		    !str_eq(hit.enhanced, STR("5.7.1")) ||
		    str_find_str(hit.meaning, STR("elay")) == hit.meaning.len)
			fail_msg("%s: " STR_FMT, same[i], STR_ARG(hit.meaning));
	}
}

static void
respects_the_protocol(void **state)
{
	struct explain_hit hit;
	assert_true(explain_reply_of(EXPLAIN_POP3, STR("-ERR locked"), &hit));
	assert_int_equal(hit.proto, EXPLAIN_POP3);
	assert_true(explain_reply_of(EXPLAIN_IMAP, STR("250 OK done"), &hit));
	assert_int_equal(hit.proto, EXPLAIN_IMAP);
	assert_true(explain_reply_of(EXPLAIN_SIEVE, STR("NO \"oops\""), &hit));
	assert_int_equal(hit.proto, EXPLAIN_SIEVE);
	assert_true(explain_reply_of(EXPLAIN_SMTP, STR("250 OK"), &hit));
	assert_int_equal(hit.kind, EXPLAIN_GOOD);
	assert_false(explain_reply_of(EXPLAIN_DNS, STR("550 5.1.1 gone"), &hit));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_wordings),
		cmocka_unit_test(takes_any_view),
		cmocka_unit_test(finds_the_reply),
		cmocka_unit_test(respects_the_protocol),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
