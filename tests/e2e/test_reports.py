"""Reports about letters for elsewhere and here: who gets which (RFC 3461, 2852), and what stands in them (RFC 3464)."""
import time

import pytest

from relaying import Report, Sink, outward, wait_empty
from secure import submission
from server import Lab, wait_until

LETTER = (b'From: Alice <alice@example.com>\r\nTo: x@example.net\r\nSubject: Lunch\r\nMessage-ID: <%b@example.com>\r\n\r\n'
          b'The body of it.\r\n')
ALICE = 'alice@example.com'
numbers = iter(range(1000))


def verdict(verb, arg):
    if verb == 'RCPT' and '<no' in arg:
        return '550 5.1.1 <no> unknown here\n'.strip()
    if verb == 'RCPT' and '<later' in arg:
        return '450 4.2.1 come back later'
    return None


@pytest.fixture(scope='module')
def sinks():
    with Sink(verdict) as plain, Sink(verdict, ehlo=Sink.EHLO + ('DSN', 'SMTPUTF8', 'DELIVERBY')) as dsn, \
            Sink(verdict, ehlo=Sink.EHLO + ('DSN',)) as untimed:
        yield plain, dsn, untimed


@pytest.fixture(scope='module')
def lab(tmp_path_factory, sinks):
    sets = outward(sinks[0].target, 'example.net') + ['route.dsn.example=' + sinks[1].target, 'route.by.example=' + sinks[2].target,
            'queue.retry_first=1s', 'queue.retry_most=1s', 'queue.warn=2s', 'queue.lifetime=7s', 'alias.away@example.com=no-one@example.net',
            'alias.both@example.com=alice@example.com,bob@example.com', 'relay_ip=', 'queue.bounce_copies=no']
    lab = Lab(tmp_path_factory.mktemp('reports') / 'lab', sets=sets).start()
    yield lab
    assert lab.stop() == 0
    lab.close()


def one(octets):
    r = Report(octets)
    r.octets = octets
    r.rcpt = next(iter(r.rcpts.values())) if len(r.rcpts) == 1 else None
    assert r.letter['Auto-Submitted'] == 'auto-replied'
    return r


def reports(lab, mark, address=ALICE):
    """Of the letter that is marked so."""
    return [one(o) for o in lab.letters(address) if mark in o and b'multipart/report' in o]


def one_report(lab, mark, address=ALICE, seconds=20):
    wait_until(lambda: reports(lab, mark, address), seconds, 0.3)
    found = reports(lab, mark, address)
    assert len(found) == 1, [r.text for r in found]
    return found[0]


def send(lab, rcpt, mail=(), options=(), letter=LETTER):
    """By alice's own program. What marks the letter."""
    mark = b'letter-%d' % next(numbers)
    with submission(lab) as s:
        s.ehlo()
        code, text = s.mail(ALICE, list(mail))
        assert code == 250, text
        for r in [rcpt] if isinstance(rcpt, str) else rcpt:
            code, text = s.rcpt(r, list(options))
            assert code == 250, text
        code, text = s.data(letter % mark)
        assert code == 250, text
    return mark


def test_failure(lab):
    mark = send(lab, 'no@example.net', ['ENVID=abc+2Bd'], ['ORCPT=rfc822;no+2Bbody@example.net'])
    r = one_report(lab, mark)
    assert r.letter['Subject'] == 'Not delivered: Lunch'
    assert r.letter['To'] == 'alice@example.com' and r.letter['Return-Path'] == '<>'
    assert r.letter['In-Reply-To'] == '<%s@example.com>' % mark.decode()
    assert r.message['original-envelope-id'] == 'abc+d'
    assert r.rcpt['original-recipient'] == 'rfc822;no+body@example.net'
    assert r.rcpt['final-recipient'] == 'rfc822;no@example.net'
    assert r.rcpt['action'] == 'failed' and r.rcpt['status'] == '5.1.1'
    assert r.rcpt['diagnostic-code'].startswith('smtp; 550 5.1.1 <no> unknown')
    assert r.rcpt['remote-mta'].startswith('dns; ')
    assert r.enclosed.get_content_type() == 'message/rfc822' and b'The body of it.' in r.octets
    assert 'There is no such mailbox' in r.text and '550 5.1.1 <no> unknown here' in r.text


def test_headers_only_when_asked(lab):
    r = one_report(lab, send(lab, 'no@example.net', ['RET=HDRS']))
    assert r.enclosed.get_content_type() == 'text/rfc822-headers' and b'The body of it.' not in r.octets


def test_one_report_for_several(lab):
    r = one_report(lab, send(lab, ['no@example.net', 'yes@example.net', 'no2@example.net']))
    assert sorted(r.rcpts) == ['no2@example.net', 'no@example.net']


@pytest.mark.parametrize('head, body, options', [
    ('Subject: Gr\xfc\xdfe\r\n', 'body', []),
    ('Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=s\r\n', '--s\r\n\r\nGr\xfc\xdfe\r\n--s--', []),
    ('Subject: Gr\xfc\xdfe\r\n', 'body', ['RET=HDRS']),
], ids=['header', 'signed', 'header-only'])
def test_to_a_server_of_seven_bits(make_lab, head, body, options):
    """Whatever the letter is, its sender hears of it: of what cannot be encoded the header comes back."""
    with Sink(verdict) as there, Sink(ehlo=('PIPELINING',)) as back:
        lab = make_lab(sets=outward(there.target, 'example.net') + outward(back.target, 'old.example'))
        with lab.smtp() as s:
            s.ehlo()
            s.mail('ann@old.example', ['BODY=8BITMIME', *options])
            s.rcpt('no@example.net')
            assert s.data(('From: ann@old.example\r\n%s\r\n%s\r\n' % (head, body)).encode('latin-1'))[0] == 250
        wait_until(lambda: back.letters, 20)
        octets = back.letters[0].octets
        assert octets.isascii() and one(octets).rcpt['status'] == '5.1.1'
        enclosed = one(octets).letter.get_payload()[2]
        assert enclosed.get_content_type() == 'text/rfc822-headers' and enclosed['Content-Transfer-Encoding'] == 'quoted-printable'
        assert enclosed.get_payload(decode=True).decode('latin-1').rstrip().endswith(head.rstrip())


def test_never(lab):
    mark = send(lab, 'no@example.net', options=['NOTIFY=NEVER'])
    wait_empty(lab)
    assert not reports(lab, mark)


def test_relayed(lab, sinks):
    r = one_report(lab, send(lab, 'yes@example.net', options=['NOTIFY=SUCCESS']))
    assert r.rcpt['action'] == 'relayed' and r.rcpt['status'][0] == '2'
    assert r.enclosed.get_content_type() == 'text/rfc822-headers'


def test_passed_on(lab, sinks):
    """The other server knows DSN: what is asked of us is asked of it, and it tells."""
    heard = []
    sinks[1].reply = lambda verb, arg: heard.append(arg) if verb in ('MAIL', 'RCPT') else None
    mark = send(lab, 'yes@dsn.example', ['ENVID=abc', 'RET=HDRS'], ['NOTIFY=SUCCESS,DELAY', 'ORCPT=rfc822;a+2Bb@dsn.example'])
    wait_until(lambda: len(sinks[1].letters) >= 1)
    wait_empty(lab)
    sinks[1].reply = verdict
    assert 'ENVID=abc' in heard[0] and 'RET=HDRS' in heard[0]
    assert 'NOTIFY=SUCCESS,DELAY' in heard[1] and 'ORCPT=rfc822;a+2Bb@dsn.example' in heard[1]
    assert not reports(lab, mark)


def test_delivered_here(lab):
    r = one_report(lab, send(lab, 'bob@example.com', options=['NOTIFY=SUCCESS', 'ORCPT=rfc822;bob@example.com']))
    assert r.rcpt['action'] == 'delivered' and r.rcpt['final-recipient'] == 'rfc822;bob@example.com'
    assert r.rcpt['original-recipient'] == 'rfc822;bob@example.com'


def test_expanded(lab):
    r = one_report(lab, send(lab, 'both@example.com', options=['NOTIFY=SUCCESS']))
    assert r.rcpt['action'] == 'expanded' and r.rcpt['final-recipient'] == 'rfc822;both@example.com'


def test_delayed_then_given_up(lab):
    mark = send(lab, 'later@example.net')
    wait_until(lambda: len(reports(lab, mark)) == 2, 30, 0.5)
    delayed, failed = sorted(reports(lab, mark), key=lambda r: r.rcpt['action'])
    assert delayed.rcpt['action'] == 'delayed' and delayed.rcpt['status'] == '4.2.1' and delayed.rcpt['will-retry-until']
    assert delayed.letter['Subject'] == 'Delayed: Lunch' and b'The body of it.' not in delayed.octets
    assert failed.rcpt['action'] == 'failed' and failed.rcpt['status'] == '4.2.1'
    assert 'Given up' in failed.text and '450 4.2.1 come back later' in failed.text


def test_no_delay_wanted(lab):
    mark = send(lab, 'later@example.net', options=['NOTIFY=SUCCESS'])
    wait_empty(lab)
    assert not reports(lab, mark)


def test_deadline_gives_back(lab):
    r = one_report(lab, send(lab, 'later@example.net', ['BY=3;R'], ['NOTIFY=FAILURE']))
    assert r.rcpt['action'] == 'failed' and r.rcpt['status'] == '5.4.7'


def test_deadline_tells(lab):
    mark = send(lab, 'later@example.net', ['BY=1;N'], ['NOTIFY=DELAY'])
    wait_until(lambda: reports(lab, mark), 20, 0.3)
    assert any(r.rcpt['action'] == 'delayed' and r.rcpt['status'] == '4.4.7' for r in reports(lab, mark))
    wait_empty(lab)


@pytest.mark.parametrize('where, mail, options, told', [
    ('example.net', 'BY=600;N', [], True),
    ('example.net', 'BY=600;N', ['NOTIFY=DELAY'], True),
    ('example.net', 'BY=600;N', ['NOTIFY=NEVER'], False),
    ('dsn.example', 'BY=600;N', [], False),
    ('by.example', 'BY=600;N', [], True),
    ('example.net', '', [], False),
])
def test_where_the_deadline_ends(lab, where, mail, options, told):
    """BY with N, and a server without DELIVERBY, whether it knows DSN or not: the sender hears that it is out of our hands."""
    mark = send(lab, 'yes@' + where, [mail] if mail else [], options)
    wait_empty(lab)
    found = [(r.rcpt['action'], r.rcpt['status'][0]) for r in reports(lab, mark)]
    assert found == ([('relayed', '2')] if told else [])


def test_nothing_to_nobody(lab):
    """A letter from <> gets no report, nor does one whose sender is not there."""
    before = len(lab.letters(ALICE))
    lab.send(LETTER % b'null', 'away@example.com', '')
    lab.send(LETTER % b'nobody', 'away@example.com', 'nobody@example.com')
    wait_empty(lab)
    time.sleep(0.5)
    assert len(lab.letters(ALICE)) == before and not lab.letters('bob@example.com')[:0]


def test_a_stranger_learns_little(lab, sinks):
    """The report of a letter that an alias of ours led elsewhere: no body, and not where it led."""
    before = len(sinks[1].letters)
    lab.send(LETTER % b'stranger', 'away@example.com', 'joe@dsn.example')
    wait_until(lambda: len(sinks[1].letters) > before, 20)
    letter = sinks[1].letters[-1]
    assert letter.sender == '' and letter.rcpts == ('joe@dsn.example',)
    r = one(letter.octets)
    assert r.rcpt['final-recipient'] == 'rfc822;away@example.com' and r.rcpt['status'] == '5.1.1'
    assert b'no-one' not in letter.octets and b'The body of it.' not in letter.octets


def test_utf8(lab):
    letter = 'From: Alice <alice@example.com>\r\nSubject: Gr\u00fc\u00dfe\r\nMessage-ID: <%s@example.com>\r\n\r\nhell\u00f6\r\n'
    mark = b'letter-%d' % next(numbers)
    with submission(lab) as s:
        s.ehlo()
        assert s.docmd('MAIL FROM:<alice@example.com> SMTPUTF8 BODY=8BITMIME')[0] == 250
        s.command_encoding = 'utf-8'
        assert s.docmd('RCPT TO:<no-j\u00f6rg@dsn.example> NOTIFY=FAILURE')[0] == 250
        assert s.data((letter % mark.decode()).encode())[0] == 250
    r = one_report(lab, mark)
    assert r.parts[1].get_content_type() == 'message/global-delivery-status'
    assert r.enclosed.get_content_type() == 'message/global'
    assert 'Final-Recipient: utf-8;no-j\u00f6rg@dsn.example\r\n'.encode() in r.octets
