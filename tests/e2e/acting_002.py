"""Seed 002: telnet and openssl s_client to a mail server, IMAP, an IronPort and its error codes."""
from acting import Act, letter

FILE = '002-starttls-imap-ironport.md'
TITLE = 'Seed 002: "Telnet to mail server"'
INTRO = '''
The page collects lines to copy: `telnet` to ports 25, 143 and 587, `openssl s_client` with and without `-starttls`, AUTH
with strings out of `base64`, an IMAP session, one with an IronPort, and the error codes of that. Its lines work here as
they stand, once the program is called `pennypost talk`; `export REMOTE_SRV=mail.example.net` was said before.

All transcripts here are what `pennypost talk` showed; `tests/e2e/acting.py` plays them again at each test. The octets that
`-debug` shows, and those of certificates, are left out here: `[...]`.
'''
AT = {'mail.example.net': ['107.189.21.115']}
SRV = {'REMOTE_SRV': 'mail.example.net'}
SENDGRID = {'smtp.sendgrid.net': ['167.89.115.53']}
ESA = {'my_esa': ['172.16.6.165']}
EXIM = {'REMOTE_SRV': 'mx.example.org'}
MX = {'mx.example.org': ['192.0.2.25']}
CODES = '''
421 #4.4.5 Too many TLS sessions at this time
421 #4.4.5 Too many connections from your host
421 #4.4.5 Too many connections to this host
421 #4.4.5 Too many connections to this listener
421 #4.x.2 Too many messages for this session
421 <hostname> Service not available, closing transaction channel
421 Exceeded allowable connection time
421 Exceeded bad SMTP command limit, disconnecting
421 The evaluation license has expired
451 #4.3.0 Server Error
452 #4.3.1 queue full
452 #4.3.1 server resources low - try again later
452 #4.3.1 temporary system error (12)
452 #4.5.3 Too many recipients
454 TLS not available due to a temporary reason
500 #5.5.1 command not recognized
500 Line too long
501 #5.0.0 EHLO requires domain address
501 #5.5.2 syntax error XXX
501 #5.5.4 Invalid arguments to AUTH command
501 Unknown command XXX
501 Unknown option XXX
501 Unknown value XXX
503 #5.3.3 AUTH not available
503 #5.5.0 AUTH not permitted during a mail transaction
503 #5.5.0 Already authenticated
503 #5.5.1 MAIL first
503 #5.5.1 RCPT first
503 Bad sequence of commandsDATA within mailmerge transaction
503 Bad sequence of commandsXPRT within plain transaction
503 Bad sequence of commandsnow receiving parts
503 Not in a mailmerge transaction
504 #5.5.1 AUTH mechanism XXX is not available
504 Command parameter XXX unrecognized
504 Invalid XDFN syntax
504 Invalid part number
504 Invalid part number XXX
504 No variable value specified
504 Other parts still missing
504 Reserved variable name
504 Syntax error in *parts syntax
504 XDFN command must not contain NULL characters
530 #5.7.0 Must issue a STARTTLS command first
530 #5.7.0 This sender must issue a STARTTLS command first
530 Authentication required
538 #5.7.11 Encryption required
552 #5.3.4 message header size exceeds limit
552 #5.3.4 message size exceeds limit
552 size limit exceeded
554 #5.3.0 Server Error
554 Too many hops
554 message body contains illegal bare CR/LF characters.
'''.lstrip()

ACTS = [
    Act('STARTTLS that is listed and refused', '002-01', 'pennypost talk $REMOTE_SRV 587', [
        (None, '220 '),
        ('EHLO tamer', '250 8BITMIME'),
        ('STARTTLS', '554 '),
        ('QUIT', None)],
        at=AT, env=SRV,
        page='''
c: telnet $REMOTE_SRV 587
s: Trying 107.189.21.115...
s: Connected to mail.example.net.
s: Escape character is '^]'.
s: 220 mail.example.net ESMTP Citadel server ready.
c: EHLO $USER
s: 250-Hello "your user name"
[...]
c: STARTTLS
s: 554 TLS not supported here
c: QUIT
s: 221 Goodbye...
s: Connection closed by foreign host.''',
        better=['The labels of the page are those of the program.',
                'The contradiction is named: the server lists what it then refuses.']),
    Act('The same by the line for s_client: it stops', '002-01',
        'pennypost talk -debug -starttls smtp -crlf -connect $REMOTE_SRV:587',
        at=AT, env=SRV, status=5,
        page='$ openssl s_client -debug -starttls smtp -crlf -connect $REMOTE_SRV:587',
        better=['`s_client` shows none of the replies that lead to this. Here they are all there, and the exit status is '
                'one of its own.']),
    Act('The line for port 25', '002-07', 'pennypost talk -debug -starttls smtp -crlf -showcerts -connect $REMOTE_SRV:25', [
        (None, 'Enter alone sends'),
        ('EHLO mail.example.com', '250 DSN'),
        ('QUIT', None)],
        at=AT, env=SRV,
        page='$ openssl s_client -debug -starttls smtp -crlf -showcerts -connect $REMOTE_SRV:25',
        better=['Greeting and first EHLO are shown, and EHLO is proposed again, as RFC 3207 wants it.',
                'The certificate is judged in one line; `-showcerts` still prints it.',
                'A line that begins with Q or R goes to the server. `s_client` would quit, or renegotiate.']),
    Act('IMAP, the line for port 143', '002-04', 'pennypost talk -starttls imap -connect $REMOTE_SRV:143', [
        (None, 'imap(tls) >'),
        ('LOGIN joe', 'Password for joe'),
        ('password', 'imap(tls,auth) >'),
        ('/select', 'SELECT completed'),
        ('Logout', None)],
        at=AT, env=SRV,
        page='$ openssl s_client -starttls imap -connect $REMOTE_SRV:143',
        better=['No tags to be counted. The password is asked for.',
                'What the server can do inside TLS is asked again by itself.']),
    Act('TLS from the start, port 465', '002-08', 'pennypost talk -connect $REMOTE_SRV:465', [
        (None, '220 '),
        ('ehlo me.example.com', '250 DSN'),
        ('mail from:<a@example.com>', '250 2.1.0'),
        ('rcpt to:<user@example.net>', '250 2.1.5'),
        ('data', '354 '),
        *letter('Subject: through 465\n\nline one', '.', '250 2.0.0'),
        ('quit', None)],
        at=AT, env=SRV, arrives=[('user@example.net', '^line one')],
        page='''
To use SSL on port 465:
$ openssl s_client -connect $REMOTE_SRV:465''',
        better=['Without `-crlf`, `s_client` ends lines in LF only, which many servers do not take for an end. Here each '
                'ends in CR LF; `--eol lf` is there for who wants to see what a server does about it.']),
    Act('TLS from the start, with -debug', '002-08', 'pennypost talk -debug -crlf -showcerts -connect $REMOTE_SRV:465', [
        (None, '220 '),
        ('quit', None)],
        at=AT, env=SRV,
        page='$ openssl s_client -debug -crlf -showcerts -connect $REMOTE_SRV:465'),
    Act('PLAIN, with the string of the page', '002-02', 'pennypost talk smtp.sendgrid.net 587', [
        (None, '220 '),
        ('EHLO client.example.net', '250 AUTH=PLAIN LOGIN'),
        ('AUTH PLAIN AHVzZXJuYW1lAHBhc3N3b3Jk', 'Type yes'),
        ('yes', '235 '),
        ('QUIT', None)],
        at=SENDGRID,
        page=r'''
$ echo -ne "\0username\0password" | base64
AHVzZXJuYW1lAHBhc3N3b3Jk
AUTH PLAIN AHVzZXJuYW1lAHBhc3N3b3Jk
235 Authentication successful''',
        better=['Asked first, since this server offers no TLS; masked afterwards.']),
    Act('LOGIN, prompted', '002-02', 'pennypost talk smtp.sendgrid.net 587', [
        (None, '220 '),
        ('EHLO client.example.net', '250 AUTH=PLAIN LOGIN'),
        ('AUTH LOGIN', 'Type yes'),
        ('yes', '334 VXNlcm5hbWU6'),
        ('dXNlcm5hbWUK', '334 UGFzc3dvcmQ6'),
        ('cGFzc3dvcmQK', '535 '),
        ('/auth LOGIN username', 'Type yes'),
        ('yes', 'Password for username'),
        ('password', '235 '),
        ('QUIT', None)],
        at=SENDGRID,
        page=r'''
$ echo -ne "username" | base64
dXNlcm5hbWU=
$ echo -ne "password" | base64
cGFzc3dvcmQ=
and authenticate with the SMTP server:
AUTH LOGIN
You will be prompted for the username first, then the password.''',
        better=['The first attempt has what `echo "username" | base64` makes when `-n` is forgotten, and fails.',
                '`/auth` makes no such mistake: nothing has to be encoded.']),
    Act('IMAP by hand', '002-04', 'pennypost talk $REMOTE_SRV 143', [
        (None, 'imap >'),
        ('a001 CAPABILITY', 'a001 OK'),
        ('a002 LOGIN joe password', 'nothing was sent'),
        ('a002 STARTTLS', 'imap(tls) >'),
        ('a003 CAPABILITY', 'a003 OK'),
        ('a004 LOGIN joe password', 'a004 OK'),
        ('Logout', None)],
        at=AT, env=SRV,
        page='''
C: a001 CAPABILITY
S: * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED
S: a001 OK CAPABILITY completed
C: a002 STARTTLS
S: a002 OK Begin TLS negotiation now
<TLS negotiation, further commands are under [TLS] layer>
C: a003 CAPABILITY
S: * CAPABILITY IMAP4rev1 AUTH=PLAIN
S: a003 OK CAPABILITY completed
C: a004 LOGIN joe password
S: a004 OK LOGIN completed
C: Logout''',
        better=['A LOGIN where the server says LOGINDISABLED does not go: the server would have read the password before '
                'it refused it.',
                'Tags of one\'s own are left as they are; "Logout" without one, as on the page, gets one.']),
    Act('POP3, of which the pages have the headings', '002-11', 'pennypost talk $REMOTE_SRV 110', [
        (None, 'pop3 >'),
        ('CAPA', '\ns: .'),
        ('STLS', 'pop3(tls) >'),
        ('user joe', 's: +OK send PASS'),
        ('pass password', 'pop3(tls,auth)'),
        ('STAT', 's: +OK 0 0'),
        ('QUIT', None)],
        at=AT, env=SRV),
    Act('An IronPort', '002-06', 'pennypost talk 172.16.6.165 25', [
        (None, '220 '),
        ('helo', '250 '),
        ('mail from: <test@test.com>', '250 sender'),
        ('rcpt to: <user@other.com>', '250 recipient'),
        ('data', '354 '),
        *letter('subject: TESTING SMTP\nThis is line one.\nThis is line two.', '.', '250 ok'),
        ('quit', None)],
        at=ESA, arrives=[('user@other.com', 'This is line two')],
        page='''
$ telnet 172.16.6.165 25
Trying 172.16.6.165...
Connected to my_esa.
Escape character is '^]'.
220 my_esa.local ESMTP
helo
250 my_esa.local
mail from: <test@test.com>
250 sender <test@test.com> ok
rcpt to: <user@other.com>
250 recipient <user@other.com> ok
data
354 go ahead
subject: TESTING SMTP
This is line one.
This is line two.
.
250 ok: Message 214 accepted
quit
221 my_esa.local
Connection closed by foreign host.''',
        better=['A bare `helo` gets our name.',
                'The empty line that is missing between header and text is remarked.']),
    Act('Each of the error codes', '002-06', "sed 's/^/!explain /' codes | pennypost talk --hello=none 172.16.6.165 25",
        at=ESA, files={'codes': CODES},
        page='''
Commonly Seen SMTP Error Codes
4xx Codes:
421 #4.4.5 Too many TLS sessions at this time
421 #4.4.5 Too many connections from your host
[... 50 more; `codes` has them as they stand on the page]''',
        better=['The page lists what is said. Here stands what it means, who has to act, and what to try next.']),
    Act('The lines for s_client against Exim', 'exim', 'pennypost talk -starttls smtp -crlf -connect $REMOTE_SRV:25', [
        (None, 'Enter alone sends'),
        ('', '250 HELP'),
        ('AUTH LOGIN', '334 '),
        ('am9lQGV4YW1wbGUub3Jn', '334 '),
        ('c2VzYW1l', '235 '),
        ('QUIT', None)],
        at=MX, env=EXIM),
    Act('Port 465 of an OpenSMTPD that cannot end a handshake', 'opensmtpd', 'pennypost talk -connect $REMOTE_SRV:465',
        at=MX, env=EXIM, status=4,
        better=['The step that failed is named. (OpenSMTPD 6.8 of Debian 12 fails with OpenSSL 3.)']),
    Act('IMAP against Dovecot', 'dovecot', 'pennypost talk -starttls imap -connect $REMOTE_SRV:143', [
        (None, 'imap(tls) >'),
        ('AUTHENTICATE', 'User name'),
        ('joe@example.org', 'Password for'),
        ('sesame', 'imap(tls,auth) >'),
        ('/select', 'Select completed'),
        ('Logout', None)],
        at=MX, env=EXIM,
        better=['Of six mechanisms the best is taken, and the password does not cross the line at all.']),
    Act('POP3 against Dovecot', 'dovecot', 'pennypost talk -starttls pop3 -connect $REMOTE_SRV:110', [
        (None, 'pop3(tls) >'),
        ('user joe@example.org', '\ns: +OK\n'),
        ('pass sesame', 'pop3(tls,auth)'),
        ('STAT', 's: +OK 0 0'),
        ('QUIT', None)],
        at=MX, env=EXIM),
]
