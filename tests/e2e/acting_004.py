"""Seed 004: a sample SMTP conversation, to be had with any server."""
from acting import Act, letter

FILE = '004-conversation.md'
TITLE = 'Seed 004: "SMTP conversation", article #133'
INTRO = '''
The page plays the machine that sends a letter: blue is transmitted, red is received, the messages vary and the initial
numbers do not.

All transcripts here are what `pennypost talk` showed; `tests/e2e/acting.py` plays them again at each test. On the screen
what is sent is blue and what is received is red, as on the page: see [talk.svg](../talk.svg).
'''
AT = {'mail.domain.com': ['192.0.2.10']}
MX = {'mx.example.org': ['192.0.2.25']}
TESTING = 'testing\ntesting\ntesting'
REAL = [
    ('EHLO test.domain.com', '250 HELP'),
    ('MAIL FROM: <sender@domain.com>', '\ns: 250 '),
    ('RCPT TO: <joe@example.org>', '\ns: 250 '),
    ('DATA', '354 '),
    *letter(TESTING, '.', '\ns: 250 '),
    ('QUIT', None)]

ACTS = [
    Act('The conversation of the page', '004-01', 'pennypost talk mail.domain.com 25', [
        (None, '220 '),
        ('EHLO test.domain.com', '250 test.domain.com'),
        ('MAIL FROM: <sender@domain.com>', '250 2.1.0'),
        ('RCPT TO: <recipient@domain.com>', '250 2.1.5'),
        ('DATA', '354 '),
        *letter(TESTING, '.', '250 2.0.0'),
        ('\4', None)],
        at=AT, arrives=[('recipient@domain.com', '^testing')],
        page='''
telnet mail.domain.com 25
220 mail.domain.com ESMTP
EHLO test.domain.com
250 test.domain.com
MAIL FROM: <sender@domain.com>
250 2.1.0 Sender OK
RCPT TO: <recipient@domain.com>
250 2.1.5 Ok
DATA
354 Enter mail, end with \u201c.\u201d on a line by itself
testing
testing
testing
.
250 2.0.0 Ok: queued as xxxxxxx''',
        better=['The colours of the page are those of the program, and `c:` and `s:` stand where there are no colours.',
                'It ends without QUIT here as there (^D): the letter is delivered.']),
    Act('"A few still need the original, HELO"', '004-02', 'pennypost talk mail.domain.com 25', [
        (None, '220 '),
        ('EHLO test.domain.com', 'Enter alone sends'),
        ('HELO test.domain.com', '250 test.domain.com'),
        ('MAIL FROM: <sender@domain.com>', '250 2.1.0'),
        ('QUIT', None)],
        at=AT,
        page='Most SMTP servers, especially ESMTP servers, respond well to EHLO these days. A few still need the original, HELO.'),
    Act('"The greater-than and less-than signs (< >) are required"', '004-03', 'pennypost talk mail.domain.com 25', [
        (None, '220 '),
        ('EHLO test.domain.com', '250 DSN'),
        ('MAIL FROM: sender@domain.com', '250 2.1.0'),
        ('RCPT TO: recipient@domain.com', '250 2.1.5'),
        ('QUIT', None)],
        at=AT, page='The greater-than and less-than signs (< >) are required.',
        better=['They are added, and shown, when they are left out.']),
    Act('The same, typed strictly', '004-03', 'pennypost talk --strict-typing mail.domain.com 25', [
        (None, '220 '),
        ('EHLO test.domain.com', '250 DSN'),
        ('MAIL FROM: sender@domain.com', '501 5.5.4'),
        ('\x1dexplain', 'source '),
        ('MAIL FROM: <sender@domain.com>', '250 2.1.0'),
        ('QUIT', None)],
        at=AT, page='Otherwise, it will give a short error, generally with a standard SMTP error code which you can look up.',
        better=['`--strict-typing` sends what is typed; and the code is looked up here.']),
    Act('"Distribution lists and scan-to-email can indicate needed variations"', '004-04', 'pennypost talk mail.domain.com 25', [
        (None, '220 '),
        ('HELO scanner', '250 '),
        ('MAIL FROM:<>', '250 2.1.0'),
        ('RCPT TO:<staff@domain.com>', '250 2.1.5'),
        ('DATA', '354 '),
        *letter('scan attached', '.', '250 2.0.0'),
        ('QUIT', None)],
        at=AT, arrives=[('ann@domain.com', 'scan attached'), ('bob@domain.com', 'scan attached')],
        page='''
Choose the sender and the recipient carefully, according to what kind of test you are needing. [...] Distribution lists and
scan-to-email can indicate needed variations.''',
        better=['A device of the simple kind: HELO with one word, no sender, no header. Both members of the list have it.']),
    Act('The same against Postfix', 'postfix', 'pennypost talk mx.example.org 25',
        [(None, '220 ')] + [(t, '250 CHUNKING' if t and t.startswith('EHLO') else s) for t, s in REAL],
        at=MX, arrives=[('', '^testing')],
        page="The messages received will vary somewhat, but the initial numbers won't."),
    Act('The same against Exim', 'exim', 'pennypost talk mx.example.org 25', [(None, '220 ')] + REAL,
        at=MX, arrives=[('', '^testing')]),
    Act('The same against OpenSMTPD', 'opensmtpd', 'pennypost talk mx.example.org 25',
        [(None, '220 ')] + REAL[:4] + letter(TESTING, '.', '550 5.7.1') + REAL[1:4] +
        letter('Subject: testing\n\ntesting', '.', '\ns: 250 ') + REAL[-1:],
        at=MX, arrives=[('', '^testing')],
        better=['This server refuses a letter without a header. Why it may do so was said before the letter went; with a '
                'field and an empty line it is taken.']),
]
