"""Seed 001: testing delivery with SMTP commands, against Mandrill and Sendmail."""
from acting import Act, letter

FILE = '001-sendmail.md'
TITLE = 'Seed 001: "Testing email delivery with SMTP commands", MoonPoint Support'
INTRO = '''
The page sends letters through Sendmail and Mandrill with `telnet`, shows how easily a sender is made up, how a relay is
refused, and how a login for AUTH PLAIN is made with perl. One thing that it says is wrong: a second RCPT does not replace
the first one.

All transcripts here are what `pennypost talk` showed; `tests/e2e/acting.py` plays them again at each test.
'''
MANDRILL = {'smtp.mandrillapp.com': ['54.158.189.65']}
EXAMPLE = {'mail.example.com': ['192.168.101.222'], 'example.com': ['192.168.101.222']}
SOMESITE = ['@mailbox someone@example.com', '@mailbox someoneelse@somesite.com', '@domain somesite.com']
PAGES_LOGIN = 'AG1vb25wb22udEBob3RtYW2sLmNvbQBDaTMtY2RfOT0McklOd23OMFEsNGFB'
LOGINS = ['@set starttls=yes', '@user-plain ' + PAGES_LOGIN, '@mailbox moonpoint@somesite.com', '@domain somesite.com']

ACTS = [
    Act('What EHLO lists', '001-01', 'pennypost talk smtp.mandrillapp.com 25', [
        (None, '220 '),
        ('ehlo moonpoint.com', '250 8BITMIME'),
        ('/caps', 'Letters of up to'),
        ('quit', None)],
        at={'smtp.mandrillapp.com': ['!54.158.189.65', '54.204.65.134']},
        page='''
$ telnet smtp.mandrillapp.com 25
Trying 54.158.189.65...
Connected to smtp.mandrillapp.com.
Escape character is '^]'.
220 smtp.mandrillapp.com ESMTP
ehlo moonpoint.com
250-ip-10-81-192-73
250-PIPELINING
250-SIZE 26214400
250-STARTTLS
250-AUTH PLAIN LOGIN
250-ENHANCEDSTATUSCODES
250 8BITMIME''',
        better=['`/caps` says what each keyword means.',
                'The name has two addresses on the page (54.158.189.65, later 54.204.65.134). Here one of them does not '
                'answer: it is named, and the other one is tried.']),
    Act('No EHLO, no angle brackets, no header', '001-02', 'pennypost talk mail.example.com 25', [
        (None, '220 '),
        ('mail from: testing@example.com', '250 2.1.0'),
        ('rcpt to: moonpoint@example.com', '250 2.1.5'),
        ('data', '354 '),
        *letter('This is a test.', '.', '250 2.0.0'),
        ('quit', None)],
        at=EXAMPLE, more=SOMESITE, arrives=[('moonpoint@example.com', 'This is a test')],
        page='''
$ telnet mail.example.com 25
Trying 192.168.101.222...
Connected to mail.example.com.
Escape character is '^]'.
220 mail.example.com ESMTP Sendmail 8.14.7/8.14.7; Sat, 4 Apr 2015 22:02:39 -0400
mail from: testing@example.com
250 2.1.0 testing@example.com... Sender ok
rcpt to: moonpoint@example.com
250 2.1.5 moonpoint@example.com... Recipient ok
data
354 Enter mail, end with "." on a line by itself
This is a test.
.
250 2.0.0 t3520758032350 Message accepted for delivery
quit
221 2.0.0 mail.example.com closing connection
Connection closed by foreign host.''',
        better=['The angle brackets, which other servers insist on, are put around the address, and one sees it.',
                'One is told that EHLO was skipped, and that the letter has no header.']),
    Act('Two recipients, and a sender made up', '001-02', 'pennypost talk mail.example.com 25', [
        (None, '220 '),
        ('mail from: testing@example.com', '250 2.1.0'),
        ('rcpt to: someone@example.com', '250 2.1.5'),
        ('rcpt to: someoneelse@somesite.com', 'RCPT adds'),
        ('data', '354 '),
        *letter('From: someone@example.com\nTo: bogusemail@example.com\nSubject: A Test\nJust a test.', '.', '250 2.0.0'),
        ('QUIT', None)],
        at=EXAMPLE, more=SOMESITE,
        arrives=[('someone@example.com', 'Just a test'), ('someoneelse@somesite.com', 'Just a test')],
        page='''
rcpt to: someone@example.com
250 2.1.5 someone@example.com... Recipient ok
rcpt to: someoneelse@somesite.com
250 2.1.5 someoneelse@somesite.com... Recipient ok
data
354 Enter mail, end with "." on a line by itself
From: someone@example.com
To: bogusemail@example.com
Subject: A Test
Just a test.
.

When I entered the rcpt to: someoneelse@somesite.com command I wasn't adding a second delivery destination for the email but
replacing the prior email recipient; you can just re-enter commands if you've made typos.''',
        better=['The page is mistaken here, and its letter went to both. RCPT adds (RFC 5321 3.3): one is told at once, and '
                'the prompt counts. Both mailboxes got the letter.',
                'That the sender in the header is another than that of the envelope is remarked, as is the text that '
                'begins without an empty line.']),
    Act('Typos, and the envelope again', '001-10', 'pennypost talk mail.example.com 25', [
        (None, '220 '),
        ('mial from: testing@example.com', '500 5.5.1'),
        ('/fix', 'mial from: testing@example.com'),
        ('\x15mail from: testing@example.com', '250 2.1.0'),
        ('rcpt to: nobody@example.com', '550 5.1.1'),
        ('rcpt to: someone@example.com', '250 2.1.5'),
        ('/redo', '> MAIL FROM:<testing@example.com>'),
        ('', '> RCPT TO:<nobody@example.com>'),
        ('\x15', '> RCPT TO:<someone@example.com>'),
        ('\x15rcpt to: other@example.com', '250 2.1.5'),
        ('data', '354 '),
        *letter('Subject: after rset\n\nhi', '.', '250 2.0.0'),
        ('quit', None)],
        at=EXAMPLE, arrives=[('other@example.com', '^hi')],
        page="you can just re-enter commands if you've made typos",
        better=['A command that was refused may be given again, as the page says; `/fix` offers it for editing. One that was '
                'accepted stays: `/redo` sends RSET and offers each line of the envelope again, to be changed.']),
    Act('Relaying denied', '001-04', 'pennypost talk example.com 25', [
        (None, '220 '),
        ('ehlo example.com', '250 HELP'),
        ('mail from: testing@example.com', '250 2.1.0'),
        ('rcpt to: someone@someothersite.com', '550 5.7.1'),
        ('/explain', 'next'),
        ('quit', None)],
        at=EXAMPLE,
        page='''
ehlo example.com
250-example.com Hello me.somewhere.com [10.0.1.12], pleased to meet you
[...]
mail from: testing@example.com
250 2.1.0 testing@example.com... Sender ok
rcpt to: someone@someothersite.com
550 5.7.1 someone@someothersite.com... Relaying denied''',
        better=['What "Relaying denied" means, who has to do what about it, and what to try next, without leaving the session.']),
    Act('AUTH PLAIN with a string made elsewhere', '001-06', 'pennypost talk smtp.mandrillapp.com 25', [
        (None, '220 '),
        ('ehlo test', '250 8BITMIME'),
        ('AUTH PLAIN ' + PAGES_LOGIN, 'Type yes'),
        ('yes', '235 2.7.0'),
        ('Mail From: testing@example.com', '250 2.1.0'),
        ('RCPT To: moonpoint@somesite.com', '250 2.1.5'),
        ('Data', '354 '),
        *letter('This is a test message.', '.', '250 2.0.0'),
        ('quit', None)],
        at=MANDRILL, more=LOGINS,
        arrives=[('moonpoint@somesite.com', 'This is a test message')],
        page='''
AUTH PLAIN AG1vb25wb22udEBob3RtYW2sLmNvbQBDaTMtY2RfOT0McklOd23OMFEsNGFB
235 2.7.0 Authentication successful
Mail From: testing@example.com
250 2.1.0 Ok
RCPT To: moonpoint@somesite.com
250 2.1.5 Ok
Data
354 End data with <CR><LF>.<CR><LF>
This is a test message.
.
250 2.0.0 Ok: queued as 85761C042C''',
        better=['The string, which is a name and a password for whoever reads it, is masked on the screen, in transcripts and '
                'in the history. (The page shows its own.)',
                'It is asked about before it goes without TLS.']),
    Act('AUTH PLAIN without perl', '001-06', 'pennypost talk smtp.mandrillapp.com 25', [
        (None, '220 '),
        ('/b64 plain moonpoint@example.com', 'Password'),
        ('SomePassword', 'AG1vb25wb2ludEBleGFtcGxlLmNvbQBTb21lUGFzc3dvcmQ='),
        ('ehlo test', '250 8BITMIME'),
        ('starttls', 'Enter alone sends'),
        ('', '250 8BITMIME'),
        ('auth', 'User name'),
        ('moonpoint@example.com', 'Password for'),
        ('SomePassword', '235 2.7.0'),
        ('quit', None)],
        at=MANDRILL, more=LOGINS,
        page=r'''
$ perl -MMIME::Base64 -e 'print encode_base64("\000moonpoint\@example.com\000SomePassword");'
AG1vb25wb2ludEBleGFtcGxlLmNvbQBTb21lUGFzc3dvcmQ=''',
        better=['The string of the page, made here: no backslashes, nothing in the history of the shell, no online service. '
                'And it is not needed: `auth` asks for the name and the password and does the rest.']),
    Act('A server without ESMTP', '001-07', 'pennypost talk old.example.com 25', [
        (None, '220 '),
        ('ehlo me.example.com', 'Enter alone sends'),
        ('', '250 old.example.com'),
        ('quit', None)],
        at={'old.example.com': ['192.168.101.223']},
        page='''
If the server doesn't support ESMTP, it will return error code 500, instead. ESMTP client software can then try either HELO,
instead, or issue the QUIT command to terminate the connection to the server.''',
        better=['HELO is proposed; Enter sends it.']),
    Act('The same against Postfix', 'postfix', 'pennypost talk mx.example.org 25', [
        (None, '220 '),
        ('mail from: testing@example.com', '250 2.1.0'),
        ('rcpt to: joe@example.org', '250 2.1.5'),
        ('rcpt to: someone@someothersite.com', 'Relay access denied'),
        ('data', '354 '),
        *letter('From: someone@example.com\nTo: bogusemail@example.com\nSubject: A Test\nJust a test.', '.', '250 2.0.0'),
        ('quit', None)],
        at={'mx.example.org': ['192.0.2.25']}, arrives=[('', 'Just a test')]),
    Act('The same against OpenSMTPD', 'opensmtpd', 'pennypost talk mx.example.org 25', [
        (None, '220 '),
        ('mail from: testing@example.com', '503 '),
        ('ehlo moonpoint.com', '250 HELP'),
        ('mail from: testing@example.com', '250 2.0.0'),
        ('rcpt to: someone@someothersite.com', '550 '),
        ('rcpt to: joe@example.org', '250 2.1.5'),
        ('data', '354 '),
        *letter('Subject: A Test\n\nJust a test.', '.', '250 2.0.0'),
        ('quit', None)],
        at={'mx.example.org': ['192.0.2.25']}, arrives=[('', 'Just a test')],
        better=['This server does mind that EHLO was skipped, as the remark in front of MAIL said.']),
]
