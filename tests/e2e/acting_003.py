"""Seed 003: SMTP with telnet, against IIS 6.0."""
from acting import Act, letter

FILE = '003-iis.md'
TITLE = 'Seed 003: "Telnet and SMTP - how to send email using telnet commands"'
INTRO = '''
The page has a table of commands, and a session with the SMTP service of IIS 6.0 in which a login is encoded on a web page.

All transcripts here are what `pennypost talk` showed; `tests/e2e/acting.py` plays them again at each test. The address of
the server is 70.87.xxx.xxx on the page.
'''
AT = {'mail.server.com': ['70.87.100.100']}
MX = {'mx.example.org': ['192.0.2.25']}

ACTS = [
    Act('The session of the page', '003-01', 'pennypost talk mail.server.com 25', [
        (None, '220 '),
        ('ehlo myrocode.com', '250 OK'),
        ('auth login', 'Type yes'),
        ('yes', '334 VXNlcm57uWU6'),
        ('aXBlcmJvcmVh', '334 UFFzc3dzcmQ7'),
        ('aXBlcmIwMSE=', '235 2.7.0'),
        ('mail from:miro@miro.com', '250 2.1.0'),
        ('rcpt to:test@myrocode.com', '250 2.1.5'),
        ('data', '354 '),
        *letter('ciaooooo', '.', '250 2.6.0'),
        ('quit', None)],
        at=AT, arrives=[('test@myrocode.com', '^ciaooooo')],
        page='''
telnet mail.server.com 25
Trying 70.87.xxx.xxx...
Connected to mail.server.com.
Escape character is '^]'.
220 C34495-51701 Microsoft ESMTP MAIL Service, Version: 6.0.3790.3959 ready at  Fri, 25 Sep 2009 14:27:48 +0200
ehlo myrocode.com
[...]
auth login
334 VXNlcm57uWU6
aXBlcmJvcmVh
334 UFFzc3dzcmQ7
aXBlcmIwMSE=
235 2.7.0 Authentication successful
mail from:miro@miro.com
250 2.1.0 miro@miro.com....Sender OK
rcpt to:test@myrocode.com
250 2.1.5 test@myrocode.com
data
354 Start mail input; end with <CRLF>.<CRLF>
ciaooooo
.
250 2.6.0 <C34495-51701DcBi4FS00000001@C34495-51701> Queued mail for delivery
quit
Connection closed by foreign host.''',
        better=['The prompts of this server do not decode to anything sensible (nor do they on the page): which answer is '
                'due is known all the same.',
                'A reply without a word behind the address is as good as one with "OK": the number counts.',
                'That the server says nothing to QUIT is no error.']),
    Act('The login, by a better mechanism', '003-01', 'pennypost talk mail.server.com 25', [
        (None, '220 '),
        ('ehlo myrocode.com', '250 OK'),
        ('auth', 'User name'),
        ('iperborea', 'Password for'),
        ('iperb01!', '235 2.7.0'),
        ('quit', None)],
        at=AT, more=['@set mechs=NTLM LOGIN'],
        page='''
After AUTH LOGIN is send, you should provide first the username and then the password, both encoded using the base64 algoritam.
you can encode a string into a base64 format follwing this link''',
        better=['No web page gets to see the password; nor does anyone on the line, since NTLM, which this server offers too, '
                'does not send it.']),
    Act('The table of commands', '003-02', 'pennypost talk mail.server.com 25', [
        (None, '220 '),
        ('HELP', '214 '),
        ('EHLO 193.56.47.125', '250 OK'),
        ('MAIL FROM: originator@domain.com', '250 2.1.0'),
        ('RCPT TO: recipient@domain.com', '250 2.1.5'),
        ('DATA message', '501 5.5.4'),
        ('VRFY recipient@domain.com', '252 '),
        ('TURN', '502 '),
        ('QUIT', None)],
        at=AT,
        page='''
HELO (now EHLO)   EHLO 193.56.47.125               Identification using the IP address or domain name
MAIL FROM:        MAIL FROM: originator@domain.com Identification of the originator's address
RCPT TO:          RCPT TO: recipient@domain.com    Identification of the recipient's address
DATA              DATA message                     Email body
QUIT              QUIT                             Exit the SMTP server
HELP              HELP                             List of SMTP commands supported by the server
AUTH LOGIN        AUTH LOGIN                       Authenticates you user''',
        better=['"DATA message", taken at its word, is refused, and the refusal is explained.']),
    Act('What the server should reply: recorded, for later', '003-02',
        "printf 'EHLO myrocode.com\\nNOOP\\nQUIT\\n' | pennypost talk --record iis.conv mail.server.com 25 && "
        "grep -c '^[CS]: ' iis.conv",
        at=AT,
        page="You can use these commands to test if your SMTP is running correcly and compare them with my SMTP's conversation to "
             'see what\nthe server should reply.',
        better=['What was said becomes a test: `pennypost run iis.conv` says whether the server still replies so, and '
                '`pennypost replay --diff` compares with a session copied from a page like this one.']),
    Act('The same against OpenSMTPD', 'opensmtpd', 'pennypost talk mx.example.org 25', [
        (None, '220 '),
        ('HELP', '214 '),
        ('EHLO 193.56.47.125', '250 HELP'),
        ('MAIL FROM: originator@domain.com', '250 2.0.0'),
        ('RCPT TO: joe@example.org', '250 2.1.5'),
        ('data', '354 '),
        *letter('Subject: ciao\n\nciaooooo', '.', '250 2.0.0'),
        ('quit', None)],
        at=MX, arrives=[('', 'ciaooooo')]),
    Act('The login against Exim, in clear', 'exim', 'pennypost talk mx.example.org 25', [
        (None, '220 '),
        ('ehlo myrocode.com', '250 HELP'),
        ('auth login', 'Type yes'),
        ('yes', '503 '),
        ('quit', None)],
        at=MX,
        better=['This server, as most do today, does not offer AUTH without TLS; one is asked before anything goes in clear.']),
]
