"""A stranger tries every trick that ever made a server send his mail to others (RFC 5321 F.2, RFC 2505): none may be
taken, whether as a recipient elsewhere or as one of ours that another server would take apart."""
import pytest

from conftest import making
from relaying import Sink, queue

OURS, BACKED, THERE = 'example.com', 'backed-up.example', 'elsewhere.example'
NET = 'spammer@example.net'
SENDERS = [NET, '', 'alice@example.com', 'nobody@example.com', 'x@mail.example.com', 'x@localhost', 'x@[127.0.0.1]', 'x@' + BACKED,
           'x@' + THERE, 'postmaster@example.com']
PLAIN = 'victim@' + THERE
TRICKS = [
    # in other letters, with other ends
    'Victim@ELSEWHERE.example', '"victim"@elsewhere.example', 'victim@elsewhere.example.', 'postmaster@elsewhere.example',
    'abuse@elsewhere.example', 'victim+example.com@elsewhere.example', 'victim@sub.backed-up.example', 'victim@xbacked-up.example',
    'victim@backed-up.example.elsewhere.example', 'victim@example.com.elsewhere.example',
    # by number
    'victim@[192.0.2.9]', 'victim@[IPv6:2001:db8::9]', 'victim@192.0.2.9', 'victim@[127.0.0.1]', 'victim@[IPv6:::1]', 'victim@localhost',
    'victim@3221225993', 'victim@[example.com]',
    # source routes
    '@example.com:victim@elsewhere.example', '@[127.0.0.1]:victim@elsewhere.example', '@backed-up.example:victim@elsewhere.example',
    '@backed-up.example,@mail.example.com:victim@elsewhere.example', '@elsewhere.example:victim@backed-up.example@elsewhere.example',
    # percent hacks
    'victim%elsewhere.example', 'victim%elsewhere.example@example.com', 'victim%elsewhere.example@mail.example.com',
    'victim%elsewhere.example@[127.0.0.1]', 'victim%elsewhere.example@backed-up.example', 'victim%elsewhere.example%backed-up.example',
    'victim%elsewhere.example%backed-up.example@backed-up.example', '"victim%elsewhere.example"@backed-up.example',
    'alice%example.com@elsewhere.example',
    # UUCP
    'elsewhere.example!victim', 'elsewhere.example!victim@example.com', 'elsewhere.example!victim@[127.0.0.1]',
    'elsewhere.example!victim@backed-up.example', '"elsewhere.example!victim"@backed-up.example',
    'backed-up.example!elsewhere.example!victim@backed-up.example', 'example.com!victim@elsewhere.example',
    # an address in quotes, or behind a backslash
    '"victim@elsewhere.example"', '"victim@elsewhere.example"@example.com', '"victim@elsewhere.example"@[127.0.0.1]',
    '"victim@elsewhere.example"@backed-up.example', '"victim\\@elsewhere.example"@backed-up.example', 'victim\\@elsewhere.example@example.com',
    '"alice@example.com"@elsewhere.example', '"victim@elsewhere.example"@elsewhere.example', '""@elsewhere.example',
    # two at a time
    'victim@elsewhere.example@example.com', 'victim@elsewhere.example@[127.0.0.1]', 'victim@elsewhere.example@backed-up.example',
    'alice@example.com@elsewhere.example', 'victim@elsewhere.example,alice@example.com', 'alice@example.com,victim@elsewhere.example',
    'victim@elsewhere.example alice@example.com', 'victim@elsewhere.example;alice@example.com',
    # comments, schemes, encodings, what others are left over with
    'victim@elsewhere.example(@example.com)', 'alice@example.com(@elsewhere.example)', 'victim@elsewhere.example#@example.com',
    'SMTP:victim@elsewhere.example', 'mailto:victim@elsewhere.example', '=?us-ascii?q?victim=40elsewhere.example?=@example.com',
    '&victim@elsewhere.example', 'victim=elsewhere.example@example.com', 'victim@elsewhere.example\\', '|/bin/mail victim@elsewhere.example',
    'SRS0=aaaaaa=aa=elsewhere.example=victim@example.com', 'SRS1=aaaaaa=elsewhere.example==aaaaaa=aa=third.example=victim@example.com',
    'srs0+aaaaaa=aa=elsewhere.example=victim@example.com', 'prvs=1234abcdef=victim@elsewhere.example',
]
# The line as a whole, where brackets and octets are the trick.
LINES = [
    'RCPT TO: victim@elsewhere.example', 'RCPT TO:victim@elsewhere.example', 'RCPT TO:<<victim@elsewhere.example>>',
    'RCPT TO:<alice@example.com> <victim@elsewhere.example>', 'RCPT TO:<alice@example.com>,<victim@elsewhere.example>',
    'RCPT TO:alice@example.com <victim@elsewhere.example>', 'RCPT TO:<victim@elsewhere.example> ORCPT=rfc822;alice@example.com',
    'RCPT TO:<victim@elsewhere.example> NOTIFY=NEVER', 'RCPT TO:"alice@example.com" <victim@elsewhere.example>',
    'RCPT TO:<victim@elsewhere.example> X-RELAY=yes', 'RCPT TO:<victim@elsewhere.example\0@example.com>',
    'RCPT TO:<victim@elsewhere.example\t@example.com>', 'RCPT TO:<victim@elsewhere.example',
]


@pytest.fixture(scope='module')
def lab(request, tmp_path_factory):
    with Sink() as sink, making(request, tmp_path_factory.mktemp('door')) as make:
        lab = make(sets=['route.*=' + sink.target, 'route.*.tls=never', 'relay_domains=backed-up.example', 'limit.bad_commands=off'])
        lab.sink = sink
        yield lab


def refused(t, line):
    t.send(line.encode('latin-1') + b'\r\n')
    code, text = t.reply()
    assert 500 <= code <= 599, (line, code, text)
    return '%d %s' % (code, text)


@pytest.mark.parametrize('sender', SENDERS)
def test_no_sender_helps(lab, sender):
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<%s>' % sender, 250)
        assert refused(t, 'RCPT TO:<%s>' % PLAIN) == '550 5.7.1 <%s> relaying denied' % PLAIN
        refused(t, 'DATA')


def test_no_address_helps(lab):
    for helo in ('client.example.net', 'example.com', 'backed-up.example', '[127.0.0.1]'):
        with lab.talk() as t:
            t.begin(helo)
            t.ask('MAIL FROM:<%s>' % NET, 250)
            for trick in TRICKS:
                refused(t, 'RCPT TO:<%s>' % trick)
            for line in LINES:
                refused(t, line)
            refused(t, 'DATA')
    assert not queue(lab) and not lab.sink.letters


def test_authentication_is_not_claimed(lab):
    """AUTH= of MAIL is another's word (RFC 4954 5); XCLIENT and XFORWARD are for peers that are named."""
    with lab.talk() as t:
        t.begin()
        refused(t, 'XCLIENT LOGIN=alice@example.com ADDR=127.0.0.1')
        refused(t, 'XFORWARD ADDR=127.0.0.1')
        for code, text in [t.ask('MAIL FROM:<alice@example.com> AUTH=alice@example.com')]:
            assert code == 250 or code >= 500, text
        refused(t, 'RCPT TO:<%s>' % PLAIN)


def test_ours_are_taken(lab):
    """Who is meant all the time."""
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<%s>' % NET, 250)
        for to in ('alice@example.com', 'Alice@EXAMPLE.com', 'alice+x@example.com', '"alice"@example.com', 'postmaster', 'postmaster@example.com',
                   'anybody@backed-up.example', 'a=b@backed-up.example', '"a b"@backed-up.example', '@example.com:alice@example.com'):
            code, text = t.ask('RCPT TO:<%s>' % to)
            assert code == 250 or to.startswith('@'), (to, code, text)
