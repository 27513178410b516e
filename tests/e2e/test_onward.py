"""Recipients elsewhere as they are named at the door: who may, what is refused, what goes with the letter; aliases
that lead away, addresses that lead back (SRS), queue runs (ETRN), backup MX."""
import email.utils
import hmac
import re
import smtplib
import time

import pytest

from relaying import Sink, outward, queue, reports, wait_empty
from server import wait_until

LETTER = 'From: ann@example.net\r\nTo: staff@example.com\r\nSubject: onward\r\nMessage-ID: <onward.1@example.net>\r\n\r\nhi\r\n'
MAIL = 'MAIL FROM:<ann@example.net>'


@pytest.fixture
def sink():
    with Sink(ehlo=Sink.EHLO + ('DSN', 'SMTPUTF8')) as s:
        s.said = []
        s.reply = lambda verb, arg: s.said.append(arg) if verb in ('MAIL', 'RCPT') else None
        yield s


def to(sink, *sets, **more):
    return {'sets': ['route.*=' + sink.target, 'route.*.tls=never'] + list(sets), **more}


def arrives(sink, n=1):
    wait_until(lambda: len(sink.letters) >= n, 20)
    return sink.letters


def refused(lab, letter, to='alice@example.com'):
    """What is said of a letter behind its end."""
    with lab.smtp() as s, pytest.raises(smtplib.SMTPDataError) as e:
        s.sendmail('sender@example.net', to, letter)
    return '%d %s' % (e.value.smtp_code, e.value.smtp_error.decode())


# --- who may

def test_a_stranger_may_not(make_lab, sink):
    lab = make_lab(**to(sink))
    with lab.talk() as t:
        t.begin()
        t.ask(MAIL, 250)
        assert t.ask('RCPT TO:<joe@elsewhere.example>', 550)[1].startswith('5.7.1 ')
        t.ask('RCPT TO:<alice@example.com>', 250)


def test_here_and_there_in_one_letter(make_lab, sink):
    """Seed 001: the second recipient is elsewhere."""
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8'))
    lab.send(LETTER, to=['alice@example.com', 'joe@elsewhere.example', 'JOE@elsewhere.example', 'joe@ELSEWHERE.example'])
    assert lab.count('alice@example.com') == 1
    letter = arrives(sink)[0]
    assert letter.sender == 'sender@example.net' and letter.rcpts == ('joe@elsewhere.example', 'JOE@elsewhere.example')
    assert letter.octets.endswith(LETTER.encode())
    assert letter.octets.startswith(b'Received: from ')
    wait_empty(lab)


def test_by_login_by_sender_never_by_lmtp(make_lab, sink):
    lab = make_lab(**to(sink, 'relay_sender=boss@example.com', 'auth_cleartext=allow', '25:mechs=PLAIN'))
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<boss@example.com>', 250)
        t.ask('RCPT TO:<joe@elsewhere.example>', 250)
    with lab.smtp() as s:
        s.login('alice@example.com', 'secret')
        s.sendmail('alice@example.com', 'joe@elsewhere.example', LETTER)
    assert arrives(sink)[0].rcpts == ('joe@elsewhere.example',)
    with lab.talk(24) as t:
        t.line()
        t.ask('LHLO c.example.net', 250)
        t.ask('MAIL FROM:<boss@example.com>', 250)
        t.ask('RCPT TO:<joe@elsewhere.example>', 550)


def test_domains_of_others(make_lab, sink):
    """relay_domains: anybody may send there, and nowhere else."""
    lab = make_lab(**to(sink, 'relay_domains=backed-up.example *.below.example'))
    with lab.talk() as t:
        t.begin()
        t.ask(MAIL, 250)
        t.ask('RCPT TO:<a@backed-up.example>', 250)
        t.ask('RCPT TO:<a@sub.below.example>', 250)
        t.ask('RCPT TO:<a@below.example>', 550)
        t.ask('RCPT TO:<a@other.example>', 550)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    assert {l.rcpts for l in arrives(sink, 2)} == {('a@backed-up.example',), ('a@sub.below.example',)}


def test_who_exists_there(make_lab, sink, tmp_path):
    """relay_recipients: who is not in it is refused at the door, and no report goes to a forged sender. A domain of
    which it names nobody takes everybody."""
    listed = tmp_path / 'recipients'
    listed.write_text('# of backed-up.example\nJoe@Backed-Up.example\n\n  jane@bücher.example # and more\n')
    lab = make_lab(**to(sink, 'relay_domains=backed-up.example other.example xn--bcher-kva.example', 'relay_recipients=%s' % listed,
                        'auth_cleartext=allow', '25:mechs=PLAIN', 'srs=no'))

    def says(address, code=250):
        with lab.talk() as t:
            t.begin()
            t.ask(MAIL, 250)
            return t.ask('RCPT TO:<%s>' % address, code)[1]

    for address in ('joe@backed-up.example', 'joe+list@backed-up.example', 'Postmaster@backed-up.example', 'jane@xn--bcher-kva.example',
                    'anybody@other.example'):
        says(address)
    for address in ('jo@backed-up.example', '+joe@backed-up.example', '"joe+x"@backed-up.example', 'joe@xn--bcher-kva.example'):
        assert says(address, 550).startswith('5.1.1 ')
    with lab.smtp() as s:  # it is nowhere, whoever asks
        s.login('alice@example.com', 'secret')
        s.mail('alice@example.com')
        assert s.rcpt('jo@backed-up.example')[0] == 550
        assert s.rcpt('joe@backed-up.example')[0] == 250


# --- what cannot be reached

@pytest.mark.parametrize('address, words', [
    ('joe@localhost', 'not a full domain name'),
    ('joe@intranet', 'not a full domain name'),
    ('joe@192.0.2.1', 'square brackets'),
    ('joe@[127.0.0.77]', 'another server'),
    ('joe@[0.0.0.0]', 'another server'),
    ('joe@[IPv6:::1]', 'another server'),
    ('joe@[IPv6:fe80::1]', 'another server'),
])
def test_unroutable(make_lab, address, words):
    lab = make_lab(sets=['relay_ip=127.0.0.0/8'])
    with lab.talk() as t:
        t.begin()
        t.ask(MAIL, 250)
        answer = t.ask('RCPT TO:<%s>' % address, 550)[1]
        assert answer.startswith('5.1.2 ') and words in answer


def test_a_route_says_so(make_lab, sink):
    lab = make_lab(sets=['relay_ip=127.0.0.0/8', 'route.intranet=' + sink.target, 'route.intranet.tls=never',
                         'route.[127.0.0.1]=' + sink.target, 'route.[127.0.0.1].tls=never', 'route.gone.example=error:5.1.2 it is gone'])
    with lab.talk() as t:
        t.begin()
        t.ask(MAIL, 250)
        t.ask('RCPT TO:<joe@intranet>', 250)
        t.ask('RCPT TO:<joe@[127.0.0.1]>', 250)
        t.ask('RCPT TO:<joe@gone.example>', 550)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    assert {l.rcpts for l in arrives(sink, 2)} == {('joe@intranet',), ('joe@[127.0.0.1]',)}


def test_names_in_other_scripts(make_lab, sink):
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8', domains=['xn--bcher-kva.example', 'example.com'],
                        users=['alice@example.com', 'leser@xn--bcher-kva.example']))
    with lab.talk() as t:
        t.begin()
        t.ask(MAIL + ' SMTPUTF8', 250)
        t.ask('RCPT TO:<leser@bücher.example>', 250)
        t.ask('RCPT TO:<joe@müller.example>', 250)
        t.ask('RCPT TO:<jürgen@müller.example>', 250)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    letters = arrives(sink, 1)
    assert {r for l in letters for r in l.rcpts} == {'joe@xn--mller-kva.example', 'jürgen@müller.example'}
    assert lab.count('leser@xn--bcher-kva.example') == 1


# --- aliases and SRS

def test_an_alias_leads_away(make_lab, sink):
    lab = make_lab(**to(sink, 'alias.staff@example.com=alice@example.com,joe@elsewhere.example,ann@third.example'))
    lab.send(LETTER, to='staff@example.com')
    assert lab.count('alice@example.com') == 1
    letters = arrives(sink, 2)
    assert {l.rcpts[0] for l in letters} == {'joe@elsewhere.example', 'ann@third.example'}
    for l in letters:
        assert re.fullmatch('SRS0=[a-z2-7]{6}=[a-z2-7]{2}=example.net=sender@example.com', l.sender), l.sender
    # What comes back goes on to who has sent it, whatever became of its letters' case.
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<>', 250)
        t.ask('RCPT TO:<%s>' % letters[0].sender.upper(), 250)
        t.ask('RCPT TO:<%s>' % letters[0].sender.replace('=sender', '=another'), 550)
        t.ask('DATA', 354)
        t.ask('Subject: report\r\n\r\nit did not work\r\n.', 250)
    back = arrives(sink, 3)[2]
    assert back.sender == '' and back.rcpts[0].lower() == 'sender@example.net'


def srs0(lab, age):
    """An address as the lab would have made it, so many days ago."""
    with open(lab.dir + '/srs.key') as f:
        key = bytes.fromhex(re.search('^[0-9a-f]{64}$', f.read(), re.M).group())
    digits, day = 'abcdefghijklmnopqrstuvwxyz234567', (int(time.time()) // 86400 - age) % 1024
    rest = digits[day >> 5] + digits[day & 31] + '=example.net=ann'
    mac = hmac.new(key, b'\0' + rest.encode(), 'sha256').digest()
    return 'SRS0=%s=%s@example.com' % (''.join(digits[b & 31] for b in mac[:6]), rest)


def test_srs_behind_another_forwarder(make_lab, sink):
    """SRS1 leads to the first of them; anybody may write to it, as to any address; what is not ours is said so."""
    lab = make_lab(**to(sink, 'alias.staff@example.com=joe@elsewhere.example'))
    lab.send(LETTER, to='staff@example.com', sender='SRS0=abcd=xy=third.example=sue@forward.example')
    first = arrives(sink)[0].sender
    assert re.fullmatch('SRS1=[a-z2-7]{6}=forward.example==abcd=xy=third.example=sue@example.com', first), first
    lab.send(LETTER, to='staff@example.com', sender='SRS1=wxyz=first.example==abcd=xy=third.example=sue@forward.example')
    second = arrives(sink, 2)[1].sender
    assert re.fullmatch('SRS1=[a-z2-7]{6}=first.example==abcd=xy=third.example=sue@example.com', second), second
    lab.send(LETTER, to=[first.lower(), second.upper()], sender='ann@example.net')
    back = {r.lower() for l in arrives(sink, 4)[2:] for r in l.rcpts}
    assert back == {'srs0=abcd=xy=third.example=sue@forward.example', 'srs0=abcd=xy=third.example=sue@first.example'}
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<>', 250)
        for bad in (first.replace('forward', 'another'), first.replace('SRS1', 'SRS0'), 'SRS0=abcdef=xy=third.example=sue@example.com',
                    'SRS0+x@example.com', 'SRS1=a@example.com'):
            assert t.ask('RCPT TO:<%s>' % bad, 550)[1] == '5.1.1 this return address was not made here, or was damaged on its way'
        t.ask('RCPT TO:<%s>' % srs0(lab, 20), 250)
        assert t.ask('RCPT TO:<%s>' % srs0(lab, 22), 550)[1] == '5.1.1 this return address is over: it was good for 21 days'


def test_more_srs_than_a_transaction_may_have(make_lab, sink):
    """Addresses that lead back, and senders that are to be named anew: the seventeenth is for the next letter."""
    names = ['d%d.example' % n for n in range(17)]
    lab = make_lab(domains=['example.com'] + names, **to(sink, *['alias.staff@%s=joe@elsewhere.example' % d for d in names]))
    for mail, rcpts in (('MAIL FROM:<>', [srs0(lab, age) for age in range(17)]), (MAIL, ['staff@' + d for d in names])):
        with lab.talk() as t:
            t.begin()
            t.ask(mail, 250)
            for r in rcpts[:16]:
                t.ask('RCPT TO:<%s>' % r, 250)
            assert t.ask('RCPT TO:<%s>' % rcpts[16], 452)[1].startswith('4.5.3 ')
            t.ask('RCPT TO:<%s>' % rcpts[0], 250)
            t.ask('RCPT TO:<alice@example.com>', 250)
            t.ask('RSET', 250)
            t.ask(mail, 250)
            t.ask('RCPT TO:<%s>' % rcpts[16], 250)


def test_srs_is_not_needed(make_lab, sink):
    """From nobody, from our own, and with srs = no the sender stays."""
    lab = make_lab(**to(sink, 'alias.staff@example.com=joe@elsewhere.example'))
    for sender in ('', 'bob@example.com'):
        lab.send(LETTER, to='staff@example.com', sender=sender)
    assert {l.sender for l in arrives(sink, 2)} == {'', 'bob@example.com'}
    with open(lab.dir + '/srs.key') as f:
        assert len(re.findall('^[0-9a-f]{64}$', f.read(), re.M)) == 1
    lab = make_lab(**to(sink, 'srs=no', 'alias.staff@example.com=joe@elsewhere.example'))
    lab.send(LETTER, to='staff@example.com')
    assert arrives(sink, 3)[2].sender == 'sender@example.net'


def test_a_looping_alias(make_lab, sink):
    """It comes back with the mark that it was given."""
    lab = make_lab(**to(sink, 'alias.staff@example.com=joe@elsewhere.example', 'alias.a@example.com=b@example.com',
                        'alias.b@example.com=a@example.com', 'limit.hops=5'))
    with lab.talk() as t:
        t.begin()
        t.ask(MAIL, 250)
        assert t.ask('RCPT TO:<a@example.com>', 554)[1].startswith('5.4.6 ')
    lab.send(LETTER, to='staff@example.com')
    again = arrives(sink)[0].octets.decode()
    assert 'Delivered-To: staff@example.com\r\n' in again
    assert refused(lab, again, 'staff@example.com').startswith('554 5.4.6')
    assert refused(lab, 'Received: by x; Sun, 22 Nov 2026 10:00:00 +0000\r\n' * 6 + LETTER).startswith('554 5.4.6')


def test_notify_at_an_alias(make_lab, sink):
    """RFC 3461 5.2.7: one member: as the sender wants it; several: without SUCCESS, which the list has answered."""
    lab = make_lab(**to(sink, 'alias.one@example.com=joe@elsewhere.example',
                        'alias.many@example.com=ann@third.example,sue@fourth.example'))
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<alice@example.com> RET=hdrs ENVID=e1', 250)
        t.ask('RCPT TO:<one@example.com> NOTIFY=SUCCESS,FAILURE', 250)
        t.ask('RCPT TO:<many@example.com> NOTIFY=SUCCESS ORCPT=rfc822;many@example.com', 250)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    arrives(sink, 3)
    rcpt = {re.search('<(.*?)>', line).group(1): line for line in sink.said if line.startswith('RCPT')}
    assert rcpt['joe@elsewhere.example'].endswith('NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;one@example.com')
    for who in ('ann@third.example', 'sue@fourth.example'):
        assert rcpt[who].endswith('NOTIFY=NEVER ORCPT=rfc822;many@example.com')
    assert all('RET=HDRS' in line and 'ENVID=e1' in line for line in sink.said if line.startswith('MAIL'))
    wait_until(lambda: lab.count('alice@example.com') == 1, 20)
    report = lab.only_letter('alice@example.com')
    assert b'Action: expanded' in report and b'many@example.com' in report


def test_a_sender_without_room(make_lab, sink):
    """What SRS cannot name goes as it came, and the trace says why SPF may fail there."""
    lab = make_lab(**to(sink, 'alias.sales@example.com=joe@elsewhere.example'))
    sender = 'x' * 60 + '@example.net'
    lab.send(LETTER, sender=sender, to='sales@example.com')
    assert arrives(sink)[0].sender == sender
    wait_until(lambda: 'no sender address of ours has room for ' + sender in lab.run('trace', '--to', 'joe@elsewhere.example', '--all').stdout, 20)


# --- what goes with it

def test_a_sender_for_each(make_lab, sink):
    """XVERP"""
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8'))
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<list@example.com> XVERP=-=', 250)
        t.ask('RCPT TO:<joe@elsewhere.example>', 250)
        t.ask('RCPT TO:<ann@elsewhere.example>', 250)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    assert {(l.sender, l.rcpts) for l in arrives(sink, 2)} == {
        ('list-joe=elsewhere.example@example.com', ('joe@elsewhere.example',)),
        ('list-ann=elsewhere.example@example.com', ('ann@elsewhere.example',))}


def test_a_sender_for_each_hears(make_lab, sink):
    """The report of our own goes to the address that XVERP made, as another server's would. One that is too long for
    servers is not made."""
    sink.reply = lambda verb, arg: '550 5.1.1 no' if verb == 'RCPT' else sink.said.append(arg) if verb == 'MAIL' else None
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8'))
    long = 'x' * 50 + '@elsewhere.example'
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<alice@example.com> XVERP', 250)
        t.ask('RCPT TO:<joe@elsewhere.example>', 250)
        t.ask('RCPT TO:<%s>' % long, 250)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    wait_until(lambda: lab.count('alice@example.com') == 2, 20)
    assert {next(iter(r.rcpts)): r.letter['To'].strip('<>') for r in reports(lab, 'alice@example.com')} == {
        'joe@elsewhere.example': 'alice+joe=elsewhere.example@example.com', long: 'alice@example.com'}


@pytest.mark.parametrize('first', ['list', 'joe'])
def test_a_wish_is_not_lost_behind_an_alias(make_lab, sink, first):
    """Who is named, and is a member of a list that is named too, counts as named: NOTIFY, sender and report."""
    sink.reply = lambda verb, arg: '550 5.1.1 no' if verb == 'RCPT' and 'joe' in arg else sink.said.append(arg) if verb == 'MAIL' else None
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8', 'alias.list@example.com=joe@elsewhere.example,sue@elsewhere.example'))
    both = ['list@example.com> NOTIFY=SUCCESS', 'joe@elsewhere.example> NOTIFY=FAILURE']
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<alice@example.com>', 250)
        for rcpt in both if first == 'list' else reversed(both):
            t.ask('RCPT TO:<' + rcpt, 250)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    wait_until(lambda: lab.count('alice@example.com') == 2, 20)
    assert sorted((who, told['action']) for r in reports(lab, 'alice@example.com') for who, told in r.rcpts.items()) == [
        ('joe@elsewhere.example', 'failed'), ('list@example.com', 'expanded')]


def test_strangers_marks_make_no_reports(make_lab, sink):
    """Who is nobody of ours may be anybody: his deadline and his T are no wish to be written to."""
    lab = make_lab(**to(sink, 'relay_domains=elsewhere.example'))
    for by in ('BY=600;N', 'BY=600;NT'):
        with lab.talk() as t:
            t.begin()
            t.ask('MAIL FROM:<alice@example.com> ' + by, 250)
            t.ask('RCPT TO:<joe@elsewhere.example>', 250)
            t.ask('DATA', 354)
            t.ask(LETTER + '.', 250)
    arrives(sink, 2)
    wait_empty(lab)
    assert lab.count('alice@example.com') == 0


def test_strangers_letters_are_not_first(make_lab, sink):
    """MT-PRIORITY"""
    lab = make_lab(**to(sink, 'relay_domains=elsewhere.example', 'route.*=hold:'))
    for given in (9, -5):
        with lab.talk() as t:
            t.begin()
            t.ask(MAIL + ' MT-PRIORITY=%d' % given, 250)
            t.ask('RCPT TO:<joe@elsewhere.example>', 250)
            t.ask('DATA', 354)
            t.ask(LETTER + '.', 250)
    assert sorted(e['priority'] for e in queue(lab)) == [-5, 0]


def test_many_long_wishes(make_lab):
    """A thousand recipients with the longest ORCPT, each a list of its own: one letter."""
    lab = make_lab(sets=['relay_ip=127.0.0.0/8', 'alias.list@example.com=alice@example.com,bob@example.com'])
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<>', 250)
        for i in range(1000):
            t.ask('RCPT TO:<list+%d@example.com> NOTIFY=SUCCESS ORCPT=rfc822;%s%d@example.com' % (i, 'x' * 440, i), 250)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    assert lab.count('alice@example.com') == 1


@pytest.mark.parametrize('wish, sets, until', [
    ('HOLDFOR=3', ('queue.warn=1s', 'queue.lifetime=100s'), 103),
    ('BY=50;R', ('queue.warn=1s', 'queue.lifetime=100s'), 50),
    ('BY=50;N', ('queue.warn=1s', 'queue.lifetime=100s'), 100),
])
def test_until_when_it_is_tried(make_lab, sink, wish, sets, until):
    """Will-Retry-Until counts from a release on (RFC 4865), and ends with a deadline that gives the letter back (RFC 2852)."""
    sink.ehlo = sink.ehlo + ('DELIVERBY',)
    sink.reply = lambda verb, arg: '450 4.2.1 not now' if verb == 'RCPT' else None
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8', 'queue.retry_first=1s', 'queue.retry_most=1s', *sets))
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<alice@example.com> ' + wish, 250)
        t.ask('RCPT TO:<joe@elsewhere.example>', 250)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    wait_until(lambda: lab.count('alice@example.com') == 1, 30)
    octets = lab.only_letter('alice@example.com')
    times = [email.utils.parsedate_to_datetime(re.search(rb'^%s: (.*)\r$' % field, octets, re.M).group(1).decode()).timestamp()
             for field in (b'Arrival-Date', b'Will-Retry-Until')]
    assert abs(times[1] - times[0] - until) <= 1


def test_later(make_lab, sink):
    """FUTURERELEASE: neither here nor elsewhere before its time."""
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8'))
    with lab.talk() as t:
        t.begin()
        t.ask(MAIL + ' HOLDFOR=4', 250)
        t.ask('RCPT TO:<joe@elsewhere.example>', 250)
        t.ask('RCPT TO:<alice@example.com>', 250)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    since = time.monotonic()
    time.sleep(1)
    assert not sink.letters and lab.count('alice@example.com') == 0 and len(queue(lab)) == 2
    arrives(sink)
    assert time.monotonic() - since > 2.5
    wait_until(lambda: lab.count('alice@example.com') == 1, 20)
    wait_empty(lab)


def test_released_before_its_time(make_lab, sink):
    """That is for release, not for retry, and stays so over a start."""
    sink.reply = lambda verb, arg: '451 4.7.1 not now' if verb == 'RCPT' else None
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8', 'queue.retry_first=2s', 'queue.retry_most=2s'))
    with lab.talk() as t:
        t.begin()
        t.ask(MAIL + ' HOLDFOR=3600', 250)
        t.ask('RCPT TO:<joe@elsewhere.example>', 250)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    r = lab.run('queue', 'retry', '--all', check=False)
    assert r.returncode == 2 and 'queue release' in r.stderr, r
    [e] = queue(lab)
    text = ' '.join(lab.run('queue', 'why', e['id']).stdout.split())
    assert e['state'] == 'later' and '`pennypost queue release %s` lets it go now' % e['id'] in text, text
    assert '1 entry released' in lab.run('queue', 'release', '--all').stdout
    wait_until(lambda: queue(lab)[0]['attempts'], 20)
    assert lab.stop() == 0
    sink.reply = lambda verb, arg: None
    lab.start()
    arrives(sink)
    wait_empty(lab)


def test_a_hold_leaves_the_senders_time(make_lab, sink):
    """hold and release are an administrator's: when a sender wants a letter to leave is as before, over a start too."""
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8'))
    for hold in (3600, 4):
        with lab.talk() as t:
            t.begin()
            t.ask(MAIL + ' HOLDFOR=%d' % hold, 250)
            t.ask('RCPT TO:<in-%d@elsewhere.example>' % hold, 250)
            t.ask('DATA', 354)
            t.ask(LETTER + '.', 250)
    assert '2 entries held' in lab.run('queue', 'hold', '--all').stdout
    assert '2 entries released' in lab.run('queue', 'release', '--all').stdout
    assert [e['state'] for e in queue(lab)] == ['later'] * 2 and not sink.letters
    assert lab.stop() == 0
    lab.start()
    assert 'later' in [e['state'] for e in queue(lab)]
    assert arrives(sink)[0].rcpts == ('in-4@elsewhere.example',)
    wait_until(lambda: [e['state'] for e in queue(lab)] == ['later'])
    lab.run('queue', 'hold', '--all')
    assert '1 entry released' in lab.run('queue', 'release', '--all').stdout
    time.sleep(1)
    assert len(sink.letters) == 1
    assert '1 entry released' in lab.run('queue', 'release', '--all').stdout
    arrives(sink, 2)
    wait_empty(lab)


def test_no_soliciting(make_lab):
    lab = make_lab(sets=['no_soliciting=org.example:ADV'])
    with lab.talk() as t:
        assert 'NO-SOLICITING org.example:ADV' in t.begin()[1]
        assert t.ask(MAIL + ' SOLICIT=org.example:ADV', 550)[1].startswith('5.7.1 ')
        t.ask(MAIL + ' SOLICIT=net.example:ADV,org.example:ADV:ADLT', 250)
        t.ask('RCPT TO:<alice@example.com>', 250)
        t.ask('DATA', 354)
        t.ask(LETTER + '.', 250)
    assert b' with ESMTP (SOLICIT=net.example:ADV,' in lab.only_letter('alice@example.com')
    for fields in ('Solicitation: net.example:ADV,\r\n org.example:adv\r\n', 'Solicitation: a:b\r\nSolicitation: org.example:adv\r\n'):
        assert refused(lab, fields + LETTER) == '550 5.7.1 message rejected: no soliciting here: org.example:adv'
    lab.send('Solicitation: net.example:ADV\r\n' + LETTER)


def test_a_reply_for_each(make_lab, sink):
    """PRDR: a letter that has been at one of its recipients goes to the others, here and elsewhere."""
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8', 'prdr=yes', 'alias.staff@example.com=ann@third.example'))
    with lab.talk() as t:
        assert '\nPRDR' in t.begin()[1]
        t.ask(MAIL + ' PRDR', 250)
        for who in ('alice@example.com', 'staff@example.com', 'joe@elsewhere.example'):
            t.ask('RCPT TO:<%s>' % who, 250)
        t.ask('DATA', 354)
        t.ask('Delivered-To: staff@example.com\r\n' + LETTER + '.', 353)
        assert [t.reply()[0] for _ in range(4)] == [250, 554, 250, 250]
        t.ask('NOOP', 250)
    assert lab.count('alice@example.com') == 1 and arrives(sink)[0].rcpts == ('joe@elsewhere.example',)
    wait_empty(lab)
    assert len(sink.letters) == 1


def test_a_merge_for_elsewhere(make_lab, sink):
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8', 'ipmm=yes'))
    with lab.talk() as t:
        t.begin()
        t.ask('XMRG FROM:<list@example.com>', 250)
        for name in ('joe@elsewhere.example', 'alice@example.com', 'ann@third.example'):
            t.ask('XDFN who="%s"' % name.split('@')[0], 250)
            t.ask('RCPT TO:<%s>' % name, 250)
        t.ask('XPRT 1 LAST', 354)
        t.ask('From: list@example.com\r\nSubject: merge\r\n\r\nDear &who;,\r\n.', 250)
    letters = {l.rcpts[0]: l for l in arrives(sink, 2)}
    assert b'\r\n\r\nDear joe,\r\n' in letters['joe@elsewhere.example'].octets
    assert b'\r\n\r\nDear ann,\r\n' in letters['ann@third.example'].octets
    assert b'\r\n\r\nDear alice,\r\n' in lab.only_letter('alice@example.com')


def test_a_merge_tells_of_success(make_lab, sink):
    """RFC 3461 5.2: a recipient here that asks for it brings a report; for one elsewhere the wish is passed on."""
    lab = make_lab(**to(sink, 'relay_ip=127.0.0.0/8', 'ipmm=yes'))
    with lab.talk() as t:
        t.begin()
        t.ask('XMRG FROM:<bob@example.com> ENVID=a1', 250)
        for name, notify in (('joe@elsewhere.example', 'SUCCESS'), ('alice@example.com', 'SUCCESS'), ('alice@example.com', 'FAILURE')):
            t.ask('XDFN who="%s"' % name.split('@')[0], 250)
            t.ask('RCPT TO:<%s> NOTIFY=%s' % (name, notify), 250)
        t.ask('XPRT 1 LAST', 354)
        t.ask('From: bob@example.com\r\nSubject: merge\r\n\r\nDear &who;,\r\n.', 250)
    wait_empty(lab)
    told = sorted((a, f['action']) for r in reports(lab, 'bob@example.com') for a, f in r.rcpts.items())
    assert told == [('alice@example.com', 'delivered')]
    said = ' '.join(sink.said)
    assert 'ENVID=a1' in said and 'NOTIFY=SUCCESS' in said, said


# --- ETRN

def test_etrn(make_lab, sink):
    lab = make_lab(sets=['relay_domains=backed-up.example', 'route.backed-up.example=smtp:127.0.0.1:9', 'route.backed-up.example.tls=never',
                         'queue.retry_first=1h'])
    lab.send(LETTER, to='a@backed-up.example')
    wait_until(lambda: [e['attempts'] for e in queue(lab)] == [1], 20)
    with lab.talk() as t:
        t.begin()
        assert 'ETRN' in t.ask('EHLO c.backed-up.example', 250)[1]
        t.ask('ETRN other.example', 459)
        t.ask('ETRN #backed-up.example', 459)
        t.ask('ETRN', 501)
        t.ask('ETRN -', 501)
        t.ask('ETRN backed-up.example', 252)
        wait_until(lambda: [e['attempts'] for e in queue(lab)] == [2], 20)
        for _ in range(5):
            t.ask('ETRN @backed-up.example', 252)
        t.ask('ETRN backed-up.example', 458)
    lab.run('queue', 'delete', '--all')
    with lab.talk() as t:
        t.begin()
        t.ask('ETRN backed-up.example', 251)


def test_etrn_of_our_own(make_lab, sink):
    lab = make_lab(sets=outward('smtp:127.0.0.1:9', tls='never') + ['queue.retry_first=1h'])
    lab.send(LETTER, to='a@elsewhere.example')
    wait_until(lambda: [e['attempts'] for e in queue(lab)] == [1], 20)
    assert '  <sender@example.net> a@elsewhere.example\n' in lab.run('queue', 'list').stdout
    assert sum(r.get('queue') or 0 for r in lab.json('status')['roles']) == 1
    with lab.talk() as t:
        t.begin()
        assert t.ask('ETRN elsewhere.example', 253)[1].startswith('2.0.0 1 messages')
        assert t.ask('ETRN #elsewhere.example', 459)
        t.ask('ETRN @example', 253)
        t.ask('MAIL FROM:<a@elsewhere.example>', 250)
        t.ask('ETRN elsewhere.example', 503)
        t.ask('RSET', 250)
        t.ask('ETRN third.example', 251)
