/*
 * options_text: what --help says about the options of client/options.h, and their names for
 * completion, by group: string literals to be put together in a command's row.
 */
#pragma once

#define OPTIONS_HELP_CONNECT \
	"Connection:\n" \
	"  -4, -6               only IPv4, only IPv6\n" \
	"  --bind ADDR          come from this address of ours\n" \
	"  --port P             number or name: smtp, submission, imaps, ...\n" \
	"  --proto PROTO        smtp, lmtp, imap, pop3, sieve or raw, where the port does not tell\n" \
	"  --timeout SEC        for each step: connecting, a handshake, a line (30)\n" \
	"  --mx                 HOST is a domain: use its mail servers, best first\n" \
	"  --resolve NAME:ADDR  do not look NAME up; may come again\n" \
	"  --dns HOST[:PORT]    ask this name server instead of the system's\n" \
	"  --source-ehlo NAME   the name that a server which we connect from would give\n" \
	"  --proxy-v1[=A:PORT], --proxy-v2[=A:PORT]\n" \
	"                       begin with a PROXY header, for that client or for us\n" \
	"  --profile NAME       take the lines `NAME.option = value` of\n" \
	"                       ~/.config/pennypost/client.conf\n" \
	"\n" \
	"TLS:\n" \
	"  --tls WHEN           may (use it where offered), must, never, implicit (from the start;\n" \
	"                       ports 465, 993 and 995 imply it). `may` reports what is wrong with a\n" \
	"                       certificate; must, implicit and a login refuse it\n" \
	"  --starttls           --tls=must, and never from the start\n" \
	"  --tls-min V, --tls-max V   1.0, 1.1, 1.2 or 1.3 (from 1.2)\n" \
	"  --ca FILE|DIR        trust these authorities and no others\n" \
	"  --insecure           go on whatever the certificate is\n" \
	"  --sni NAME           ask for this name; --verify-name NAME expects this one\n" \
	"  --cert FILE --key FILE   show this certificate of ours\n" \
	"  --show-certs         print the chain as PEM\n" \
	"  --pin SHA256         trust this public key; may come again\n" \
	"  --dane               SMTP: trust the keys that the DNS names (TLSA records, validated by\n" \
	"                       a name server on this machine or of --dns), and nothing else\n" \
	"  --mta-sts            SMTP: obey the policy of the domain (of --mx, of the recipients, or\n" \
	"                       HOST); --sts-port P fetches it at another port than 443\n" \
	"  --ciphers LIST       offer these suites; --keylog FILE for Wireshark\n"
#define OPTIONS_WORDS_CONNECT \
	"-4 -6 --bind= --port= --proto= --timeout= --mx --resolve= --dns= --source-ehlo= --proxy-v1 " \
	"--proxy-v2 --profile= --tls= --starttls --tls-min= --tls-max= --ca= --insecure --sni= " \
	"--verify-name= --cert= --key= --show-certs --pin= --dane --mta-sts --sts-port= " \
	"--ciphers= --keylog="

#define OPTIONS_HELP_HELLO \
	"Greeting:\n" \
	"  --hello WORD         auto (EHLO, then HELO), ehlo, helo, lhlo or none\n" \
	"  --ehlo NAME          what we call ourselves (our own full name, or our address)\n"
#define OPTIONS_WORDS_HELLO "--hello= --ehlo="

#define OPTIONS_HELP_AUTH \
	"Login (a password is asked for, and never stands on the command line):\n" \
	"  --auth[=MECH,...]    log in, with these mechanisms in this order (the strongest)\n" \
	"  --user U             the name; --authzid Z acts as somebody else\n" \
	"  --password-file F    its first line; --password-fd N the same of a descriptor;\n" \
	"                       $PENNYPOST_PASSWORD\n" \
	"  --token-cmd CMD      what CMD prints is an OAuth token\n" \
	"  --force-auth         even when the server does not offer it\n" \
	"  --no-initial-response   wait for the server's first challenge\n" \
	"  --allow-cleartext    let a password go without TLS\n"
#define OPTIONS_WORDS_AUTH \
	"--auth --user= --authzid= --password-file= --password-fd= --token-cmd= --force-auth " \
	"--no-initial-response --allow-cleartext"

#define OPTIONS_HELP_ENVELOPE \
	"Envelope:\n" \
	"  --from A, --to A,... the sender, the recipients; --to may come again\n" \
	"  --null-sender        MAIL FROM:<>, as bounces have it\n" \
	"  --size, --no-size    tell the size, though not offered; never tell it\n" \
	"  --body KIND          7bit, 8bit or binary\n" \
	"  --smtputf8, --verp   ask for it\n" \
	"  --dsn notify=..,ret=..,envid=..   ask for reports: notify=success,failure,delay or never\n" \
	"  --by N;R             deliver within N seconds or return (R), or tell (N)\n" \
	"  --priority N         MT-PRIORITY, from -9 to 9; --requiretls: only by way of TLS\n" \
	"  --hold SEC|MOMENT    not before then, as 2026-11-22T07:30:00Z\n" \
	"  --pipeline[=force]   several commands at a time, where offered (or always)\n" \
	"  --chunking[=N]       BDAT, in chunks of N octets\n" \
	"  --max-rcpt N         recipients of one transaction\n" \
	"  --mail-param X=Y, --rcpt-param X=Y   any other parameter; may come again\n" \
	"  --xclient 'ADDR=.. NAME=..'   to a server that trusts us: whose session this is\n"
#define OPTIONS_WORDS_ENVELOPE \
	"--from= --to= --null-sender --size --no-size --body= --smtputf8 --verp --dsn= --by= " \
	"--priority= --hold= --requiretls --pipeline " \
	"--chunking --max-rcpt= --mail-param= --rcpt-param= --xclient="

#define OPTIONS_HELP_MESSAGE \
	"Message:\n" \
	"  --subject S, --header 'N: V'   --header may come again\n" \
	"  --text T, --text-file F, --html F   what it says; F - is standard input\n" \
	"  --attach F[;TYPE][;NAME]   may come again\n" \
	"  --eicar, --gtube     the harmless texts that scanners find\n" \
	"  --data F             the whole letter, sent as it is\n" \
	"  --lint WHAT          warn about mistakes in it, error, or off\n" \
	"  --no-date, --no-message-id   leave them out\n"
#define OPTIONS_WORDS_MESSAGE \
	"--subject= --header= --text= --text-file= --html= --attach= --eicar --gtube --data= --lint= " \
	"--no-date --no-message-id"

#define OPTIONS_HELP_WIRE \
	"Wire:\n" \
	"  --eol WHAT           end lines with crlf, lf or cr\n" \
	"  --segments N         send N octets at a time, or one: keystroke\n" \
	"  --delay MS           wait between them\n" \
	"  --telnet-neg         begin as a telnet program does\n" \
	"  --raw                send as typed: no dots are doubled\n" \
	"  --debug-bytes        show every octet, and the messages of TLS\n"
#define OPTIONS_WORDS_WIRE "--eol= --segments= --delay= --telnet-neg --raw --debug-bytes"

#define OPTIONS_HELP_OUTPUT \
	"Output:\n" \
	"  --color WHEN         auto, always or never; $NO_COLOR. --theme seed: what is sent is\n" \
	"                       blue, what comes is red\n" \
	"  --labels WHAT        c: C: -> or none\n" \
	"  -q, --quiet          only what goes wrong; -v, --verbose everything\n" \
	"  --explain WHEN       say what a reply means: errors, always, never\n" \
	"  --timing             how long each answer took\n" \
	"  --json               one object a line for each event\n" \
	"  --transcript FILE    append the conversation to it; --format telnet, conv, json or html\n" \
	"  --show-secrets       passwords, too; --decode-auth shows what AUTH says without them\n"
#define OPTIONS_WORDS_OUTPUT \
	"--color= --theme= --labels= --quiet --verbose --explain= --timing --json --transcript= " \
	"--format= --show-secrets --decode-auth"

#define OPTIONS_HELP_PROBE \
	"Probing:\n" \
	"  --method WHAT        ask by rcpt, vrfy or expn\n" \
	"  --catchall-test      ask for a random address, too\n" \
	"  --retry              ask again after a temporary refusal\n" \
	"  --parallel N         addresses at a time\n" \
	"  --from A             the sender (none: <>); --delay MS waits between addresses\n" \
	"  --temp-exit          exit with 13 after any temporary refusal\n"
#define OPTIONS_WORDS_PROBE \
	"--method= --catchall-test --retry --parallel= --from= --delay= --temp-exit"

#define OPTIONS_HELP_FLOW \
	"Flow:\n" \
	"  --quit-after STEP    QUIT behind connect, greeting, ehlo, starttls, auth, mail, rcpt, data\n" \
	"                       or dot; --drop-after STEP closes without a word\n" \
	"  --repeat N           all of it N times\n" \
	"  --temp-exit          exit with 13 after any temporary refusal\n"
#define OPTIONS_WORDS_FLOW "--quit-after= --drop-after= --repeat= --temp-exit"

#define OPTIONS_HELP_SCLIENT \
	"As openssl s_client has them:\n" \
	"  -connect HOST:PORT, -starttls PROTO, -crlf, -debug, -showcerts, -servername, -CAfile,\n" \
	"  -CApath, -cert, -key, -cipher, -tls1_2, -tls1_3, -no_tls1_3, -quiet, -ign_eof, ...\n"
#define OPTIONS_WORDS_SCLIENT "-connect -starttls -showcerts -servername"

#define OPTIONS_HELP_TALK \
	"Talking:\n" \
	"  --strict-typing      send exactly what is typed, without conveniences and questions\n" \
	"  --print-manual       at the end, print what telnet or openssl would need for the same\n" \
	"  --record FILE        keep the conversation as one for `pennypost run`\n" \
	"\n" OPTIONS_HELP_SCLIENT
#define OPTIONS_WORDS_TALK "--strict-typing --print-manual --record= " OPTIONS_WORDS_SCLIENT
