"""Other servers as they should not be: one that misbehaves at each step, for each way to misbehave. No letter is
lost: it is taken, or waits with a reason that says what happened, or its sender gets a report."""
import os
import re
import signal
import socket
import ssl
import threading
import time

import pytest

from puppet import Puppet
from relaying import Report, only_report, outward, queue, tried, why
from secure import authority
from server import Lab, wait_until

LETTER = b'From: alice@example.com\r\nTo: you\r\nSubject: hostile\r\n\r\ntext\r\n.dot\r\n'
EHLO = '250-mx.example.com\n250-PIPELINING\n250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250 SIZE 1000000'
GOOD = {'EHLO': EHLO, 'DOT': '250 2.0.0 taken'}


def hang_up(s, line):
    s.shutdown(socket.SHUT_RDWR)
    raise OSError


def reset(s, line):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    s.close()
    raise OSError


def endless(code):
    def run(s, line):
        try:
            for _ in range(3000):
                s.sendall(code.encode() + b'-and so on, and so on, and so on, and so on and on and on\r\n' * 20)
        except OSError:
            pass
        raise OSError
    return run


def drip(text, pause=0.5):
    """One octet at a time, and never an end."""
    def run(s, line):
        for c in text * 1000:
            s.sendall(c.encode())
            time.sleep(pause)
    return run


def half_data(s, line):
    """Takes some of the letter and goes."""
    s.sendall(b'354 go\r\n')
    s.recv(10)
    hang_up(s, line)


STEPS = ('greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'DOT')
TEXT_421 = '421 4.3.2 shutting down'


def rows():
    """name -> (answers, what becomes of the letter, what `queue why` says of it)"""
    found = {}
    for step in STEPS:
        low = step.lower()
        found['closes-' + low] = ({step: hang_up}, 'later', None)
        found['resets-' + low] = ({step: reset}, 'later', None)
        found['421-' + low] = ({step: TEXT_421}, 'later', 'shutting down')
        found['421-closes-' + low] = ({step: lambda s, line: (s.sendall(TEXT_421.encode() + b'\r\n'), hang_up(s, line))},
                                      'later', 'shutting down')
        found['stalls-' + low] = ({step: None}, 'later', None)
        found['endless-' + low] = ({step: endless('220' if step == 'greeting' else '354' if step == 'DATA' else '250')}, 'later', None)
        found['garbage-' + low] = ({step: b'\x00\xff\xfe\x16\x03\x01 nothing of SMTP\r\n'}, 'later', None)
        found['no-code-' + low] = ({step: b'well, hello there\r\n'}, 'later', None)
        found['code-999-' + low] = ({step: '999 what'}, 'later', None)
    found.update({
        'drips': ({'greeting': drip('220-x')}, 'later', None),
        'long-line': ({'MAIL': b'250 ' + b'a' * 300000 + b'\r\n'}, 'any', None),
        'half-data': ({'DATA': half_data}, 'later', None),
        'mixed-codes': ({'MAIL': '250-fine\n550 or not'}, 'any', None),
        'control-octets': ({'RCPT': b'550 5.1.1 \x1b[31mred\x07\x1b]0;title\x07 no\r\n'}, 'refused', None),
        '554-greeting': ({'greeting': '554 5.3.2 no service'}, 'any', 'no service'),
        '5xx-mail': ({'MAIL': '550 5.7.1 we do not like you'}, 'refused', 'we do not like you'),
        '5xx-rcpt': ({'RCPT': '550 5.1.1 no such user'}, 'refused', 'no such user'),
        '5xx-data': ({'DATA': '554 5.5.1 no valid recipients'}, 'refused', 'no valid recipients'),
        '5xx-dot': ({'DOT': '554 5.6.0 spam'}, 'refused', 'spam'),
        '552-dot': ({'DOT': '552 5.3.4 too big'}, 'refused', 'too big'),
        '4xx-mail': ({'MAIL': '451 4.7.1 greylisted'}, 'later', 'greylisted'),
        '4xx-rcpt': ({'RCPT': '450 4.2.1 mailbox busy'}, 'later', 'mailbox busy'),
        '4xx-data': ({'DATA': '451 4.3.0 later'}, 'later', 'later'),
        '4xx-dot': ({'DOT': '452 4.3.1 full'}, 'later', 'full'),
        'tiny-size': ({'EHLO': '250-mx.example.com\n250 SIZE 10'}, 'refused', None),
        'odd-size': ({'EHLO': '250-mx.example.com\n250 SIZE lots and lots'}, 'sent', None),
        'odd-ehlo': ({'EHLO': '250-mx\n250-\n250-=?=\n250-AUTH=\n250-AUTH\n250 PIPELINING yes please'}, 'sent', None),
        'no-ehlo': ({'EHLO': '502 5.5.1 what?'}, 'sent', None),
        'ehlo-closes-helo': ({'EHLO': [hang_up, '502 5.5.1 what?']}, 'any', None),
        'no-8bit': ({'EHLO': '250 mx.example.com'}, 'sent', None),
        'multiline': ({'MAIL': '250-2.1.0 a\n250-2.1.0 b\n250 2.1.0 c', 'greeting': '220-one\n220-two\n220 three'}, 'sent', None),
        'bare-lf': ({'MAIL': b'250 2.1.0 ok\n'}, 'any', None),
        'no-text': ({'MAIL': '250', 'RCPT': '250', 'DOT': '250', 'greeting': '220'}, 'sent', None),
        'quit-unanswered': ({'QUIT': None}, 'sent', None),
        'quit-hang-up': ({'QUIT': hang_up}, 'sent', None),
        'stripped-may': ({}, 'sent', None, 'may'),
        'stripped-must': ({}, 'later', None, 'must'),
        'stripped-verify': ({}, 'later', None, 'verify'),
        'starttls-454-may': ({'EHLO': EHLO + '\n250 STARTTLS', 'STARTTLS': '454 4.7.0 not now'}, 'sent', None, 'may'),
        'starttls-454-must': ({'EHLO': EHLO + '\n250 STARTTLS', 'STARTTLS': '454 4.7.0 not now'}, 'later', None, 'must'),
        'starttls-garbage-must': ({'EHLO': EHLO + '\n250 STARTTLS', 'STARTTLS': b'220 go\r\n500 this is no handshake\r\n'}, 'later', None, 'must'),
    })
    for name, row in found.items():
        if 'EHLO' in row[0] and isinstance(row[0]['EHLO'], str) and '\n250 STARTTLS' in row[0]['EHLO']:
            row[0]['EHLO'] = row[0]['EHLO'].replace('250 SIZE', '250-SIZE')
    return found


ROWS = rows()


@pytest.fixture(scope='module')
def hostile(tmp_path_factory):
    """One server, a puppet and a route for each row; every letter is given up front."""
    puppets, sets = {}, ['relay_ip=127.0.0.0/8', 'limit.rcpts_per_hour=off', 'limit.msgs_per_session=off', 'limit.conns_per_ip=off',
                         'relay.reply_seconds=3', 'relay.connect_seconds=3', 'queue.retry_first=3600']
    for name, row in ROWS.items():
        puppets[name] = Puppet(**{**GOOD, **row[0]})
        sets += outward('smtp:127.0.0.1:%d' % puppets[name].port, name + '.test', row[3] if len(row) > 3 else None)[1:]
    lab = Lab(tmp_path_factory.mktemp('hostile') / 'lab', sets=sets)
    lab.start()
    for name in ROWS:
        lab.send(LETTER, 'you@%s.test' % name, 'alice@example.com')
    yield lab, puppets
    status = lab.stop()
    for p in puppets.values():
        p.close()
    lab.close()
    assert status == 0 and not lab.sanitizer_reports(), lab.log()[-20000:]


def look(lab, name):
    """What has become of it: (fate, its entry or report), or None when that is not clear yet."""
    entries = queue(lab, '--domain', name + '.test')
    if entries:
        e = entries[0]
        return ('later', e) if e['attempts'] and e['state'] != 'active' else None
    for octets in lab.letters('alice@example.com'):
        if ('you@%s.test' % name).encode() in octets:
            return 'refused', Report(octets)
    return 'sent', None


@pytest.mark.parametrize('name', list(ROWS))
def test_misbehaves(hostile, name):
    lab, puppets = hostile
    row = ROWS[name]
    fate, what = wait_until(lambda: look(lab, name), 60, 0.2)
    if row[1] != 'any':
        assert fate == row[1], (what, puppets[name].said())
    if fate == 'later':
        told = why(lab, what['id'])
        assert told['state'] in ('waiting', 'ready') and told['text']
        assert row[2] is None or row[2] in told['text']
        assert not re.search('[\x00-\x1f\x7f]', told['text'].replace('\n', ''))
        assert told['trouble']
    elif fate == 'refused':
        fields = what.rcpts['you@%s.test' % name]
        assert fields['action'] == 'failed' and fields['status'].startswith('5.')
        assert row[2] is None or row[2] in fields['diagnostic-code']
    elif row[1] == 'sent':
        assert puppets[name].said().count('.') == 1
        assert '..dot' in puppets[name].said()


def test_server_lives(hostile):
    """After all that: the same processes, and the next letter goes."""
    lab, puppets = hostile
    for name in ROWS:
        wait_until(lambda: look(lab, name), 60, 0.2)
    status = lab.json('status')
    assert all(r['restarts'] == 0 for r in status['roles']), status['roles']
    before = puppets['multiline'].said().count('.')
    lab.send(LETTER, 'next@multiline.test', 'alice@example.com')
    wait_until(lambda: puppets['multiline'].said().count('.') == before + 1, 30)


def test_recipients_apart(make_lab):
    """250, 450 and 550 of one transaction: one is there, one waits, one comes back."""
    def rcpt(s, line):
        return '450 4.2.1 busy' if 'later' in line else '550 5.1.1 nobody' if 'never' in line else '250 2.1.5 ok'
    with Puppet(**{**GOOD, 'RCPT': rcpt}) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port))
        lab.send(LETTER, ['now@example.net', 'later@example.net', 'never@example.net'], 'alice@example.com')
        wait_until(lambda: lab.count('alice@example.com') == 1, 30, 0.1)
        report = Report(lab.only_letter('alice@example.com'))
        assert list(report.rcpts) == ['never@example.net']
        assert p.said().count('.') == 1
        [entry] = wait_until(lambda: [e for e in queue(lab) if e['state'] == 'waiting'], 30)
        assert entry['rcpts'] == ['later@example.net'] and entry['status'] == '4.2.1'
        told = {r['address']: r['state'] for r in why(lab, entry['id'])['rcpts']}
        assert told == {'now@example.net': 'sent', 'later@example.net': 'waits', 'never@example.net': 'failed'}
        p.answers['RCPT'] = '250 2.1.5 ok'
        lab.run('queue', 'retry', entry['id'])
        wait_until(lambda: not queue(lab), 30)
        sent = [line for line in p.said() if line.startswith('RCPT')]
        assert sum('now@' in line for line in sent) == 1 and sum('later@' in line for line in sent) == 2
        assert lab.count('alice@example.com') == 1


def test_early_yes(make_lab):
    """A yes that was there before the letter's end is no yes to the letter."""
    with Puppet(**{**GOOD, 'DATA': lambda s, line: (s.sendall(b'354 go\r\n250 2.0.0 taken\r\n'), time.sleep(0.3), hang_up(s, line))}) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port))
        lab.send(LETTER, 'you@example.net', 'alice@example.com')
        [entry] = wait_until(lambda: [e for e in queue(lab) if e['attempts'] and e['state'] == 'waiting'], 30)
        assert entry['rcpts'] == ['you@example.net']


@pytest.mark.parametrize('tls', ['never', 'may'])
def test_early_no(make_lab, tmp_path, tls):
    """A refusal in the middle of the letter, and a reset behind it, since most of the letter was not read."""
    ca, sign = authority(tmp_path)

    def early(s, line):
        s.sendall(b'354 go\r\n')
        got = 0
        while got < 200000:
            got += len(s.recv(65536))
        time.sleep(1)  # until it cannot send any more
        [relay] = lab.roles('relay')
        os.kill(relay, signal.SIGSTOP)  # so that it meets both at once
        s.sendall(b'552 5.3.4 too big\r\n')
        os.close(s.detach())
        os.kill(relay, signal.SIGCONT)
        raise OSError
    with TlsPuppet(sign('mx', 'DNS:localhost'), EHLO=EHLO.replace('250 SIZE 1000000', '250 STARTTLS'), DATA=early) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port, tls=tls) + ['relays=1'])
        lab.send(LETTER + (b'y' * 76 + b'\r\n') * 100000, 'you@example.net', 'alice@example.com')
        report = only_report(lab, 'alice@example.com')
        assert 'too big' in report.rcpts['you@example.net']['diagnostic-code']
        assert p.inside == (tls == 'may') and len(p.heard) == 1 and not queue(lab)


@pytest.mark.parametrize('step', ['RCPT', 'DATA'])
@pytest.mark.parametrize('ends', [hang_up, lambda s, line: (s.sendall(TEXT_421.encode() + b'\r\n'), hang_up(s, line))])
def test_poison(make_lab, step, ends):
    """A letter at which the server closes waits for itself; the others for its destination go on."""
    bad = {}

    def rcpt(s, line):
        bad[s] = 'bad@' in line
        return ends(s, line) if bad[s] and step == 'RCPT' else '250 2.1.5 ok'
    with Puppet(**{**GOOD, 'RCPT': rcpt, 'DATA': lambda s, line: ends(s, line) if bad[s] else '354 go'}) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port) + ['queue.retry_first=1h'])
        lab.send(LETTER, 'bad@example.net', 'alice@example.com')
        tried(lab)
        for i in range(3):
            lab.send(LETTER, 'good%d@example.net' % i, 'alice@example.com')
        wait_until(lambda: p.said().count('.') == 3, 20)
        [entry] = wait_until(lambda: len(queue(lab)) == 1 and queue(lab), 20)
        assert (entry['rcpts'], entry['attempts'], entry['state']) == (['bad@example.net'], 1, 'waiting')


def test_421_too_many(make_lab):
    """A server that ends the session at the fourth recipient gets three at a time."""
    def rcpt(s, line):
        heard = p.heard[-1]
        n = sum(x.startswith('RCPT') for x in heard[max(i for i, x in enumerate(heard) if x.startswith('MAIL')):])
        return '250 2.1.5 ok' if n < 4 else (s.sendall(b'421 4.5.3 too many\r\n'), hang_up(s, line))
    with Puppet(**{**GOOD, 'RCPT': rcpt, 'EHLO': '250 mx.example.com'}) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port) + ['queue.retry_first=1h'])
        lab.send(LETTER, ['u%d@example.net' % i for i in range(7)], 'alice@example.com')
        entry = tried(lab)
        assert (entry['rcpts'], entry['attempts']) == (['u3@example.net'], 1)
        assert p.said().count('.') == 2 and len(p.heard) == 2
        lab.run('queue', 'retry', entry['id'])
        wait_until(lambda: not queue(lab), 30, 0.1)
        sent = [line for heard in p.heard[1:] for line in heard if line.startswith('RCPT')]
        assert sorted(sent) == ['RCPT TO:<u%d@example.net>' % i for i in range(7)]


def test_nothing_listens(make_lab):
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % s.getsockname()[1]))
    lab.send(LETTER, 'you@example.net', 'alice@example.com')
    [entry] = wait_until(lambda: [e for e in queue(lab) if e['attempts'] and e['state'] == 'waiting'], 30)
    assert entry['trouble'] == 'connect' and 'refused' in entry['text']
    told = lab.run('queue', 'why', entry['qid']).stdout
    assert 'refused' in told and 'tried again' in told and len(told.splitlines()) <= 24
    s.close()


# --- certificates


class TlsPuppet(Puppet):
    def __init__(self, chain, **answers):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*chain)
        self.inside = 0
        super().__init__(**{**GOOD, 'EHLO': EHLO.replace('250 SIZE', '250-SIZE') + '\n250 STARTTLS', **answers})

    def reply(self, s, verb, line, used):
        if verb == 'STARTTLS':
            s.sendall(b'220 2.0.0 go\r\n')
            raise Upgrade
        super().reply(s, verb, line, used)

    def serve(self, s):
        heard, used, data = [], {}, False
        self.heard.append(heard)
        try:
            self.reply(s, 'greeting', '', used)
            f = s.makefile('rb')
            while True:
                raw = f.readline()
                if not raw:
                    return
                line = raw.decode('utf-8', 'replace').rstrip('\r\n')
                heard.append(line)
                if data and line != '.':
                    continue
                try:
                    self.reply(s, 'DOT' if data else line.split(' ')[0].upper(), line, used)
                except Upgrade:
                    s = self.context.wrap_socket(s, server_side=True)
                    f = s.makefile('rb')
                    self.inside += 1
                    continue
                data = line.upper() == 'DATA' and not data
        except OSError:
            pass


class Upgrade(Exception):
    pass


@pytest.mark.parametrize('tls, name, fate', [
    ('verify', 'DNS:localhost,IP:127.0.0.1', 'sent'), ('verify', 'DNS:other.example', 'later'),
    ('must', 'DNS:other.example', 'sent'), ('may', 'DNS:other.example', 'sent'), ('auto', 'DNS:other.example', 'sent'),
    ('never', 'DNS:localhost', 'clear')])
def test_certificates(make_lab, tmp_path, tls, name, fate):
    ca, sign = authority(tmp_path)
    with TlsPuppet(sign('mx', name)) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port, tls=tls) + ['relay.authorities=%s' % ca])
        lab.send(LETTER, 'you@example.net', 'alice@example.com')
        if fate == 'later':
            [entry] = wait_until(lambda: [e for e in queue(lab) if e['attempts'] and e['state'] == 'waiting'], 30)
            assert entry['trouble'] == 'tls' and not any(line.startswith('MAIL') for line in p.said())
            return
        wait_until(lambda: not queue(lab), 30, 0.1)
        assert p.said().count('.') == 1
        assert (p.inside > 0) == (fate == 'sent')


def test_unknown_authority(make_lab, tmp_path):
    ca, sign = authority(tmp_path)
    with TlsPuppet(sign('mx', 'DNS:localhost,IP:127.0.0.1')) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port, tls='verify'))
        lab.send(LETTER, 'you@example.net', 'alice@example.com')
        [entry] = wait_until(lambda: [e for e in queue(lab) if e['attempts'] and e['state'] == 'waiting'], 30)
        assert entry['trouble'] == 'tls'


def test_injected_before_tls(make_lab, tmp_path):
    """What a man in the middle puts behind the 220 to STARTTLS is not taken for the server's word."""
    ca, sign = authority(tmp_path)

    class Injector(TlsPuppet):
        def reply(self, s, verb, line, used):
            if verb == 'STARTTLS':
                s.sendall(b'220 2.0.0 go\r\n250-evil\r\n250 AUTH PLAIN\r\n')
                raise Upgrade
            Puppet.reply(self, s, verb, line, used)
    with Injector(sign('mx', 'DNS:localhost,IP:127.0.0.1')) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port, tls='verify') + ['relay.authorities=%s' % ca])
        lab.send(LETTER, 'you@example.net', 'alice@example.com')
        [entry] = wait_until(lambda: [e for e in queue(lab) if e['attempts'] and e['state'] == 'waiting'], 30)
        assert entry['trouble'] in ('tls', 'closed')
        assert '.' not in p.said()


# --- reports about letters that nobody may answer


def test_no_backscatter(make_lab):
    """A report never makes another: <> as sender, a report that cannot be delivered."""
    with Puppet(**{**GOOD, 'RCPT': '550 5.1.1 nobody'}) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port) + ['queue.bounce_copies=no'])
        lab.send(LETTER, 'you@example.net', '')
        wait_until(lambda: any(line.startswith('RCPT') for line in p.said()), 30)
        wait_until(lambda: not queue(lab), 30, 0.1)
        lab.send(LETTER, 'you@example.net', 'stranger@example.org')  # its report goes there, and is refused
        wait_until(lambda: sum(line.startswith('RCPT') for line in p.said()) == 3, 30)
        wait_until(lambda: not queue(lab), 30, 0.1)
        time.sleep(1)
        assert sum(line.startswith('RCPT') for line in p.said()) == 3, '\n'.join(p.said())
        assert [line for line in p.said() if line.startswith('MAIL')][-1].startswith('MAIL FROM:<>')
        assert lab.count('alice@example.com') == 0


# --- servers that drip


def drip_and_read_nothing(s, line):
    """An octet now and then, and no room for ours."""
    s.sendall(b'354 go\r\n')
    for _ in range(120):
        s.sendall(b'2')
        time.sleep(0.5)


def test_drips_while_it_takes_the_letter(make_lab):
    """What it says while it should take something does not count as taking it."""
    with Puppet(DATA=drip_and_read_nothing, EHLO='250-mx.example.com\n250 8BITMIME') as p:
        p.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lab = make_lab(sets=['relay.reply_seconds=4'] + outward('smtp:127.0.0.1:%d' % p.port))
        lab.send(LETTER + b'x' * 70 + b'\r\n' + (b'y' * 998 + b'\r\n') * 8000, 'you@example.net', 'alice@example.com')
        entry = tried(lab, 40)
        assert entry['trouble'] == 'closed'
        assert 'no answer in time' in lab.run('trace', entry['qid']).stdout


@pytest.mark.parametrize('pause, n, fate', [(2.5, 40, 'later'), (1, 5, 'sent')])
def test_an_envelope_has_an_end(make_lab, pause, n, fate):
    """Each reply in time, and all of them too late; a server that is only slow gets its letter."""
    def rcpt(s, line):
        time.sleep(pause)
        return '250 2.1.5 ok'
    with Puppet(**{**GOOD, 'RCPT': rcpt}) as p:
        lab = make_lab(sets=['relay.reply_seconds=6'] + outward('smtp:127.0.0.1:%d' % p.port))
        lab.send(LETTER, ['you%d@example.net' % i for i in range(n)], 'alice@example.com')
        if fate == 'sent':
            wait_until(lambda: p.said().count('.') == 1 and not queue(lab), 40, 0.2)
            return
        entry = tried(lab, 80)
        assert entry['trouble'] == 'closed' and not p.said().count('.')
        assert 'so slowly' in lab.run('trace', entry['qid']).stdout


def test_many_at_once(make_lab):
    """A destination that answers nothing does not hold up the others."""
    with Puppet(greeting=None) as dead, Puppet(**GOOD) as well:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % dead.port, 'dead.test') +
                       outward('smtp:127.0.0.1:%d' % well.port, 'well.test')[1:])
        threads = []
        for i in range(30):
            lab.send(LETTER, 'a%d@dead.test' % i, 'alice@example.com')
        begun = time.monotonic()
        for i in range(10):
            lab.send(LETTER, 'a%d@well.test' % i, 'alice@example.com')
        wait_until(lambda: well.said().count('.') == 10, 20)
        assert time.monotonic() - begun < 20
        assert threading.active_count() < 1000 and not threads
