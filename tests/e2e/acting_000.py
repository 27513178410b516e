"""Seed 000: ESMTP by hand, against Exchange."""
from acting import Act, letter

FILE = '000-exchange.md'
TITLE = 'Seed 000: "Mail Server CLI / ESMTP", r00tedvw.com wiki'
INTRO = '''
The page walks through EHLO, AUTH LOGIN, MAIL, RCPT, DATA and QUIT with `telnet`, against an Exchange behind another
host, and then shows a whole session. It warns that such a test is plain text, that base64 has to be made with another
program, and that on Windows a mistake cannot be erased.

All transcripts here are what `pennypost talk` showed; `tests/e2e/acting.py` plays them again at each test. What is sent
is blue on the screen, what is received red, and the lines with `#` are grey.
'''
AT = {'exchange.domain.com': ['10.45.64.2'], 'mx.domain.com': ['10.45.64.2']}
RICKY = '''
Received: from S1P5DAG2C.EXCHPROD.domain.com ([169.254.2.236]) by
S1P5HUB2.EXCHPROD.domain.com ([10.120.223.32]) with mapi id 14.02.0247.003; Fri,
27 Apr 2012 23:29:55 +0000
From: "Ricky Bobby" <rickybobby@talladegaraceway.com>
To: "Chaz Michael Michaels" <chaz@domain.com>
Subject: Shake & Bake
Thread-Topic: Shake & Bake
Thread-Index: Ac0kzaXj1SGKcXxTRU21ts6UZGL4Xw==
Date: Fri, 27 Apr 2012 23:29:54 +0000
Message-ID: <3D4A65565EFB3D4B9A541F98D0DA17D7143C2010@S1P5DAG2C.EXCHPROD.domain.com>

Content-Type: text/plain; charset="US-ASCII"
Content-Transfer-Encoding: 7bit

Hello,

Shake and Bake forever!  The Iron Lotus sucks.

Yours Truely,
Ricky Bobby
'''

ACTS = [
    Act('The full session, typed as on the page', '000-02', 'pennypost talk exchange.domain.com 25', [
        (None, '220 exchange.domain.com'),
        ('ehlo talladegaraceway.com', '250 HELP'),
        ('auth login', 'Type yes'),
        ('yes', '334 VXNlcm5hbWU6'),
        ('cmlja3lib2JieUB0YWxsYWRlZ2FyYWNld2F5LmNvbQ==', '334 UGFzc3dvcmQ6'),
        ('c2hha2VhbmRiYWtl', '235 2.7.0'),
        ('mail from:<rickybobby@talladegaraceway.com>', '250 2.1.0'),
        ('rcpt to:<chaz@domain.com>', '250 2.1.5'),
        ('data', '354 '),
        *letter(RICKY, '. ', '(yes/no)'),
        ('yes', '250 2.6.0'),
        ('quit', None)],
        at=AT, arrives=[('chaz@domain.com', 'Shake and Bake forever!  The Iron Lotus sucks')],
        page='''
~$ telnet exchange.domain.com 25
Trying 10.45.64.2...
Connected to exchange.domain.com.
Escape character is '^]'.
220 exchange.domain.com Microsoft ESMTP MAIL Service ready at Fri, 12 Oct 2012 04:28:29 +0000
ehlo talladegaraceway.com
[...]
auth login
334 VXNlcm5hbWU6
cmlja3lib2JieUB0YWxsYWRlZ2FyYWNld2F5LmNvbQ==
334 UGFzc3dvcmQ6
c2hha2VhbmRiYWtl
235 2.7.0 Authentication successful
mail from:<[email protected]>
[...]
Yours Truely,
Ricky Bobby
. 
250 2.6.0 <0b39248e-b2fe-4454-9dc8-d0066082b054@S1P5HUB2.EXCHPROD.domain.com> [InternalId=62880244] Queued mail for delivery
quit
221 2.0.0 Service closing transmission channel'''.replace('. \n', '.\u2423\n'),
        better=['Before the name and the password cross the line readable for all, one is asked.',
                'What each `334` wants is said, and neither answer stands in the transcript, on the screen or in the history.',
                'The blank behind the final dot, which the page has, does not leave one waiting for ever: it is asked about.',
                'Two faults of the letter that was pasted are named before it goes: the field that is continued without a '
                'blank in front, and `Content-Type` behind the empty line, where it is text.',
                'That the server has another name behind EHLO is noticed, and no error.']),
    Act('The walk-through, with nothing encoded by hand and nothing in clear', '000-01',
        'pennypost talk exchange.domain.com 25', [
            (None, '220 exchange.domain.com'),
            ('ehlo domain.com', '250 HELP'),
            ('starttls', 'Enter alone sends'),
            ('', '250 HELP'),
            ('/auth LOGIN username', 'Password for username'),
            ('password', '235 2.7.0'),
            ('mail from:<sender@domain.com>', '250 2.1.0'),
            ('rcpt to:<recipient@domain.com>', '250 2.1.5'),
            ('data', '354 '),
            *letter('test', '.', '250 2.6.0'),
            ('quit', None)],
        at=AT, arrives=[('recipient@domain.com', '^test')],
        page='''
auth login
334 VXNlcm5hbWU6
dXNlcm5hbWU=
334 UGFzc3dvcmQ6
cGFzc3dvcmQ=
235 2.7.0 Authentication successful
[...]
data
354 Start mail input; end with <CRLF>.<CRLF>
test''',
        better=['The page says that plain text "is insecure, unless you use a connect application such as openssl": here TLS '
                'begins in the middle of the session, with one command, and the certificate is checked.',
                'The password is asked for and not shown; base64 is made here, and by no other program or web page.',
                'The server does not list AUTH, and is asked all the same, because the user says so.']),
    Act('Is an address accepted? Without AUTH, and without a letter', '000-07', 'pennypost talk mx.domain.com 25', [
        (None, '220 '),
        ('ehlo ricky.bobby@talladegaraceway.com', '250 HELP'),
        ('mail from:<>', '250 2.1.0'),
        ('rcpt to:<good@domain.com>', '250 2.1.5'),
        ('rcpt to:<nobody@domain.com>', '550 5.1.1'),
        ('/explain', 'next'),
        ('rset', '250 2.0.0'),
        ('quit', None)],
        at=AT, more=['@set helo_check=lenient'],
        page='''
EHLO
The required first command, is the introduction to the mail server. You can either list a FQDN or Email address.
AUTH LOGIN
Do not use this command if you are simply trying to determine if an email address is valid and is being accepted by the MX.''',
        better=['A refusal is explained where it stands: who must act, and `/explain` has the causes and the next test.',
                '`pennypost probe ADDRESS` does this for many addresses, finds the MX itself, and tells a catch-all.']),
    Act('Mistakes can be erased, on every system', '000-07', 'pennypost talk mx.domain.com 25', [
        (None, '220 '),
        ('ehlx\x7fo dommain\x7f\x7f\x7f\x7fain.com', '250 HELP'),
        ('quit', None)],
        at=AT, more=['@set helo_check=lenient'],
        page='''
keep in mind that Windows does not allow you to backspace or delete any mistakes that you make. While unconfirmed, based on
behavior it appears that Windows actively submits every keystroke to the mail server rather than waiting for "return".''',
        better=['The line is edited here (this one had two corrections) and goes when it is whole. No erased octet, no '
                'keystroke and no option byte of telnet reaches the server.']),
    Act('The same against Exim', 'exim', 'pennypost talk mx.example.org 25', [
        (None, '220 mx.example.org'),
        ('ehlo talladegaraceway.com', '250 HELP'),
        ('starttls', 'Enter alone sends'),
        ('', '250 HELP'),
        ('auth', 'User name'),
        ('joe@example.org', 'Password for'),
        ('sesame', '235 '),
        ('mail from:<joe@example.org>', '250 OK'),
        ('rcpt to:<joe@example.org>', '250 Accepted'),
        ('data', '354 '),
        *letter(RICKY, '.', '250 OK id='),
        ('quit', None)],
        at={'mx.example.org': ['192.0.2.25']}, arrives=[('', 'The Iron Lotus sucks')],
        better=['The mechanism is the best of those that are offered; without TLS this Exim offers none.']),
]
