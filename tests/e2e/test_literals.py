"""Mail for a number in place of a domain (RFC 5321 4.1.3): at one of ours it is for us (RFC 1123 5.2.17), at another one for elsewhere."""
import socket

from relaying import Sink, queue
from server import split_letter, wait_until
from test_config import served

V4, V6 = '[127.0.0.1]', '[IPv6:::1]'
LETTER = b'From: ann@example.net\r\nSubject: by number\r\nMessage-ID: <1@example.net>\r\nDate: Mon, 23 Nov 2026 01:00:00 +0000\r\n\r\nhello\r\n'


def has_v6():
    with socket.socket(socket.AF_INET6) as s:
        try:
            s.bind(('::1', 0))
        except OSError:
            return False
    return True


def rcpt(t, to):
    code, text = t.ask('RCPT TO:<%s>' % to)
    return '%d %s' % (code, text.split()[0])


def said(lab, rows, host='127.0.0.1'):
    with lab.talk(host=host) as t:
        t.begin()
        t.ask('MAIL FROM:<ann@example.net>', 250)
        return {to: rcpt(t, to) for to in rows}


def test_where_the_peer_is(lab):
    rows = {
        'bob@' + V4: '250 2.1.5', 'BOB+news@' + V4: '250 2.1.5', '"bob"@' + V4: '250 2.1.5', 'postmaster@' + V4: '250 2.1.5',
        'Postmaster@' + V4: '250 2.1.5', 'nobody@' + V4: '550 5.1.1', '"ann@example.net"@' + V4: '550 5.1.1',
        'ann%example.net@' + V4: '501 5.1.3',
        # not ours, not where the peer is, no number at all
        'bob@[127.0.0.2]': '550 5.7.1', 'bob@[192.0.2.9]': '550 5.7.1', 'postmaster@[192.0.2.9]': '550 5.7.1', 'bob@' + V6: '550 5.7.1',
        'bob@[IPv6:2001:db8::9]': '550 5.7.1', 'bob@[example.com]': '501 5.1.3', 'bob@127.0.0.1': '550 5.7.1',
    }
    assert said(lab, rows) == rows
    if has_v6():
        rows = {'bob@' + V6: '250 2.1.5', 'bob@[ipv6:0:0:0:0:0:0:0:1]': '250 2.1.5', 'nobody@' + V6: '550 5.1.1', 'bob@' + V4: '550 5.7.1'}
        assert said(lab, rows, '::1') == rows
    assert not queue(lab)


def test_letter(lab):
    """It is in the mailbox, once, and says where it was sent to."""
    lab.send(LETTER, to=['bob@' + V4, 'bob@example.com'])
    front = split_letter(lab.only_letter('bob@example.com'), LETTER)
    assert b'Delivered-To: bob@' in front


def test_where_mail_is_brought(make_lab):
    """Each address of this host at which others bring us mail, wherever the peer is."""
    lab = make_lab(start=False)
    lab.sets.append('relay.port=%d' % lab.port(25))
    lab.start()
    assert said(lab, ['bob@[127.0.0.2]', 'bob@[192.0.2.9]']) == {'bob@[127.0.0.2]': '550 5.7.1', 'bob@[192.0.2.9]': '550 5.7.1'}
    if has_v6():
        assert said(lab, ['bob@' + V6]) == {'bob@' + V6: '250 2.1.5'}
        assert said(lab, ['bob@' + V4], '::1') == {'bob@' + V4: '250 2.1.5'}


def test_alias(make_lab):
    """What leads on from there goes in the name of our domain, as by its name."""
    with Sink() as sink:
        lab = make_lab(sets=['route.*=' + sink.target, 'route.*.tls=never'])
        lab.run('alias', 'add', 'list@example.com', 'ann@elsewhere.example')
        for n, to in enumerate(('list@example.com', 'list@' + V4)):
            lab.send(LETTER, to=to)
            wait_until(lambda: len(sink.letters) > n)
        by_name, by_number = sink.letters
        assert by_name.sender.endswith('@example.com') and by_name.sender.startswith('SRS0=')
        assert by_number.sender == by_name.sender


def test_route(make_lab):
    """An address with a route of its own is another's."""
    lab = make_lab(sets=['route.%s=smtp:[192.0.2.9]:25' % V4])
    assert said(lab, ['bob@' + V4]) == {'bob@' + V4: '550 5.7.1'}


def test_domain(make_lab, tmp_path):
    """Whoever it is for is in the first domain of the configuration, or else in that of who is postmaster."""
    lab = served(make_lab, tmp_path, domains='[ "example.org", "example.com" ]', postmaster='"bob@example.com"')
    for user in ('bob@example.com', 'carol@example.org'):
        lab.run('user', 'add', user, '--password-stdin', input='secret\n')
    rows = {'carol@' + V4: '250 2.1.5', 'bob@' + V4: '550 5.1.1', 'postmaster@' + V4: '250 2.1.5'}
    wait_until(lambda: said(lab, rows) == rows)
