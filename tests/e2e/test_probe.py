"""pennypost probe: the verdict on each address, and that nothing but questions is ever sent."""
import socket
import time

import pytest

from nameserver import NameServer
from puppet import Puppet, client, objects


def probe(*words, **more):
    return client('probe', '--timeout', '3', *words, **more)


def verdicts(r):
    return {o['address']: o['verdict'] for o in objects(r) if o['ev'] == 'probe'}


def by_user(s, line):
    """A server that knows joe, and has something else to say about others."""
    user = line.split('<')[1].split('@')[0]
    return {'joe': '250 2.1.5 ok', 'full': '552 5.2.2 full', 'grey': '451 4.7.1 later', 'busy': '450 not now',
            'spf': '550 5.7.23 SPF', 'auth': '530 authenticate first', 'odd': '252 2.5.2 cannot tell', 'moved': '251 forwards',
            'syntax': '501 5.1.3 bad'}.get(user, '550 5.1.1 no such user')


def test_verdicts():
    with Puppet(RCPT=by_user) as mx:
        names = 'joe full grey busy spf auth odd moved syntax nobody'.split()
        r = probe('--server', mx.address, '--json', *['%s@example.com' % n for n in names])
    assert r.returncode == 11
    assert verdicts(r) == {
        'joe@example.com': 'accepted', 'full@example.com': 'rejected', 'grey@example.com': 'temporary',
        'busy@example.com': 'temporary', 'spf@example.com': 'policy', 'auth@example.com': 'policy',
        'odd@example.com': 'unverifiable', 'moved@example.com': 'accepted', 'syntax@example.com': 'rejected',
        'nobody@example.com': 'rejected'}
    assert len(mx.heard) == 1  # one session for all of a domain
    heard = mx.said()
    assert heard[1] == 'MAIL FROM:<>' and heard[-2:] == ['RSET', 'QUIT']
    assert not [line for line in heard if line.split()[0].upper() in ('DATA', 'AUTH', 'BDAT')]


def test_text():
    with Puppet(RCPT=by_user) as mx:
        r = probe('--server', mx.address, 'joe@example.com', 'x@example.com', 'grey@example.com')
    assert 'joe@example.com   accepted           127.0.0.1  250 2.1.5 ok' in r.stdout
    assert 'no proof of delivery' in r.stdout and 'often greylisting' in r.stdout
    assert r.stderr == ''


@pytest.mark.parametrize('said, status', [('250 ok', 0), ('550 5.1.1 no', 10), ('450 4.2.0 later', 10)])
def test_status(said, status):
    with Puppet(RCPT=said) as mx:
        assert probe('--server', mx.address, 'a@example.com', 'b@example.com').returncode == status


def test_temp_exit():
    with Puppet(RCPT=by_user) as mx:
        assert probe('--server', mx.address, '--temp-exit', 'joe@example.com', 'grey@example.com').returncode == 13


def test_catchall():
    with Puppet() as mx:
        r = probe('--server', mx.address, '--catchall-test', '--json', 'joe@example.com')
    assert verdicts(r) == {'joe@example.com': 'accepted-catchall'} and r.returncode == 0
    first = [line for line in mx.said() if line.startswith('RCPT')][0]
    assert first.endswith('@example.com>') and len(first) > 40
    with Puppet(RCPT=by_user) as mx:
        r = probe('--server', mx.address, '--catchall-test', 'joe@example.com')
    assert '(random address: 550 5.1.1)' in r.stdout and ' accepted ' in r.stdout


@pytest.mark.parametrize('answers, verdict, status', [
    ({'greeting': '554 5.7.1 not you'}, 'policy', 10),
    ({'greeting': '421 4.3.2 busy'}, 'temporary', 10),
    ({'EHLO': '550 5.7.1 no', 'HELO': '550 5.7.1 no'}, 'policy', 10),
    ({'MAIL': '550 5.7.1 no null sender'}, 'policy', 10),
    ({'MAIL': '451 4.3.0 disk'}, 'temporary', 10),
    ({'greeting': None}, 'unverifiable', 15),
    ({'RCPT': None}, 'unverifiable', 15),
    ({'greeting': '+OK POP3'}, 'unverifiable', 6),
])
def test_before_rcpt(answers, verdict, status):
    with Puppet(**answers) as mx:
        r = client('probe', '--timeout', '1', '--server', mx.address, '--json', 'joe@example.com')
    assert verdicts(r) == {'joe@example.com': verdict}, r.stdout
    assert r.returncode == status, r.stdout


def test_helo_where_there_is_no_ehlo():
    with Puppet(EHLO='500 what?') as mx:
        assert probe('--server', mx.address, 'joe@example.com').returncode == 0
    assert [line.split()[0] for line in mx.said()] == ['EHLO', 'HELO', 'MAIL', 'RCPT', 'RSET', 'QUIT']


@pytest.mark.parametrize('words, status, verdict', [([], 0, 'accepted'), (['--tls=must'], 4, 'unverifiable'),
                                                    (['--tls=never'], 0, 'accepted')])
def test_broken_tls(words, status, verdict):
    with Puppet(EHLO='250-x\n250 STARTTLS', STARTTLS='220 go') as mx:
        r = probe('--server', mx.address, '--json', *words, 'joe@example.com')
    assert verdicts(r) == {'joe@example.com': verdict} and r.returncode == status, r.stdout


def test_nobody_listens():
    r = probe('--server', '127.0.0.1:1', '--json', 'joe@example.com')
    assert verdicts(r) == {'joe@example.com': 'unverifiable'} and r.returncode == 3
    assert 'refused' in objects(r)[0]['note']


def test_server_that_ends_sessions():
    """After each recipient: whoever got an answer is asked again."""
    def gone(s, line):
        s.sendall(b'250 ok\r\n')
        s.shutdown(socket.SHUT_RDWR)
    with Puppet(RCPT=gone) as mx:
        r = probe('--server', mx.address, '--json', 'a@example.com', 'b@example.com', 'c@example.com')
    assert set(verdicts(r).values()) == {'accepted'} and len(mx.heard) == 3


def test_hostile_texts():
    with Puppet(RCPT=b'550-\x1b[31m\x00\xff\r\n550 ' + b'x' * 200000 + b'\r\n') as mx:
        r = probe('--server', mx.address, 'joe@example.com')
    assert r.returncode == 10 and '\x1b' not in r.stdout and len(r.stdout) < 3000
    with Puppet(RCPT=b'550-' + b'x\r\n550-' * 5000) as mx:
        r = client('probe', '--timeout', '2', '--server', mx.address, '--json', 'joe@example.com')
    assert verdicts(r) == {'joe@example.com': 'unverifiable'}


@pytest.mark.parametrize('method, verb', [('vrfy', 'VRFY'), ('expn', 'EXPN')])
def test_methods(method, verb):
    with Puppet() as mx:
        r = probe('--server', mx.address, '--method', method, '--json', 'joe@example.com')
    assert verdicts(r) == {'joe@example.com': 'unverifiable'} and r.returncode == 0
    assert verb + ' joe@example.com' in mx.said() and not [line for line in mx.said() if line.startswith('MAIL')]
    with Puppet(**{verb: '250 Joe <joe@example.com>'}) as mx:
        assert 'accepted' in probe('--server', mx.address, '--method', method, 'joe@example.com').stdout


def test_many_recipients():
    """Not more than 50 in a transaction; a server that takes fewer is asked again."""
    def five(s, line):
        five.n = five.n + 1 if line else 0
        return '250 ok' if five.n <= 5 else '452 4.5.3 too many'
    five.n = 0

    def mail(s, line):
        five.n = 0
        return '250 ok'
    with Puppet(RCPT=five, MAIL=mail) as mx:
        r = probe('--server', mx.address, '--json', *['u%d@example.com' % i for i in range(12)])
    assert set(verdicts(r).values()) == {'accepted'}
    with Puppet() as mx:
        probe('--server', mx.address, *['u%d@example.com' % i for i in range(60)])
    assert [line for line in mx.said() if line.startswith('MAIL')] == ['MAIL FROM:<>'] * 2


def test_sender_and_delay():
    with Puppet() as mx:
        begin = time.monotonic()
        probe('--server', mx.address, '--from', 'me@example.org', '--delay', '300', 'a@example.com', 'b@example.com')
        assert time.monotonic() - begin > 0.6
    assert 'MAIL FROM:<me@example.org>' in mx.said()


def test_retry():
    with Puppet(RCPT=['451 4.7.1 grey', '250 ok']) as mx:
        again = []
        mx.answers['RCPT'] = lambda s, line: '250 ok' if again or again.append(1) else '451 4.7.1 grey'
        r = probe('--server', mx.address, '--retry', '--retry-wait', '1', '--json', 'joe@example.com')
    assert verdicts(r) == {'joe@example.com': 'accepted'} and len(mx.heard) == 2


def test_syntax():
    r = probe('--server', '127.0.0.1:1', '--json', 'joe', 'a..b@example.com', 'a@b@c', 'x@-y.example', '|x@example.com')
    assert set(verdicts(r).values()) == {'rejected'} and r.returncode == 10
    assert all(o['step'] == 'syntax' and o['note'] for o in objects(r))
    assert probe().returncode == 1
    assert probe('--from', 'x y', 'joe@example.com').returncode == 1
    assert probe('--method', 'guess', 'joe@example.com').returncode == 1


# --- by the MX

def test_mx_walk():
    """By preference, the next host when one does not answer, addresses by the name server."""
    with Puppet('127.0.0.2', RCPT=by_user) as mx, NameServer({
            ('example.com', 'MX'): ['10 dead.example.com', '20 gone.example.com', '30 mx.example.com', '40 never.example.com'],
            ('dead.example.com', 'A'): ['127.0.0.3'], ('mx.example.com', 'A'): ['127.0.0.2'],
            ('never.example.com', 'A'): ['127.0.0.4']}) as names:
        r = probe('--dns', names.address, '--port', str(mx.port), '--json', 'joe@example.com', 'x@example.com', 'joe@EXAMPLE.com')
    got = objects(r)
    assert {o['host'] for o in got} == {'mx.example.com'} and len(mx.heard) == 1
    assert verdicts(r)['joe@example.com'] == 'accepted' and verdicts(r)['x@example.com'] == 'rejected'
    assert r.returncode == 11


def test_next_host_when_one_is_busy():
    with Puppet('127.0.0.2', greeting='421 busy') as busy, NameServer({
            ('example.com', 'MX'): ['10 a.example.com', '20 b.example.com'],
            ('a.example.com', 'A'): ['127.0.0.2'], ('b.example.com', 'A'): ['127.0.0.3']}) as names, \
            Puppet('127.0.0.3', busy.port) as other:
        r = probe('--dns', names.address, '--port', str(busy.port), '--json', 'joe@example.com')
    assert objects(r)[0]['host'] == 'b.example.com' and len(busy.heard) == len(other.heard) == 1 and r.returncode == 0


@pytest.mark.parametrize('records, verdict, status, text', [
    ({('example.com', 'MX'): ['0 .']}, 'rejected', 10, 'null MX'),
    ({('example.com', 'TXT'): ['x']}, 'rejected', 10, 'neither an MX nor an address'),
    ({}, 'rejected', 10, 'NXDOMAIN'),
    ({('example.com', 'MX'): 'servfail'}, 'unverifiable', 2, 'SERVFAIL'),
    ({('example.com', 'MX'): 'silent'}, 'unverifiable', 2, 'no name server answered'),
    ({('example.com', 'MX'): 'refused'}, 'unverifiable', 2, 'REFUSED'),
    ({('example.com', 'MX'): ['10 gone.example.com']}, 'unverifiable', 2, 'gone.example.com: there is no such name'),
])
def test_no_route(records, verdict, status, text):
    with NameServer(records) as names:
        r = client('probe', '--dns', names.address, '--timeout', '1', '--json', 'joe@example.com')
    assert verdicts(r) == {'joe@example.com': verdict} and r.returncode == status
    assert text in objects(r)[0]['note']


def test_parallel():
    """Slow domains do not wait for one another."""
    def slow(s, line):
        time.sleep(1)
        return '250 ok'
    records = {('d%d.example' % i, 'A'): ['127.0.0.1'] for i in range(4)}
    with Puppet(RCPT=slow) as mx, NameServer(records) as names:
        begin = time.monotonic()
        r = probe('--dns', names.address, '--port', str(mx.port), '--parallel', '4', '--json',
                  *['joe@d%d.example' % i for i in range(4)])
        took = time.monotonic() - begin
    assert set(verdicts(r).values()) == {'accepted'} and len(objects(r)) == 4 and took < 3.5


def test_literal_and_unicode():
    with Puppet(EHLO='250-mx.example.com\n250 SMTPUTF8') as mx, \
            NameServer({('xn--bcher-kva.example', 'A'): ['127.0.0.1']}) as names:
        r = probe('--dns', names.address, '--port', str(mx.port), '--json', 'joe@[127.0.0.1]', 'joe@b\u00fccher.example')
    assert set(verdicts(r).values()) == {'accepted'}
    assert 'RCPT TO:<joe@[127.0.0.1]>' in mx.said() and 'RCPT TO:<joe@xn--bcher-kva.example>' in mx.said()


# --- against ourselves

def test_lab(shared):
    r = probe('--server', '127.0.0.1:%d' % shared.port(), '--catchall-test', '--json', 'alice@example.com',
              'nobody@example.com', 'x@example.org')
    assert verdicts(r) == {'alice@example.com': 'accepted', 'nobody@example.com': 'rejected', 'x@example.org': 'policy'}
    assert all(o['tls'] for o in objects(r))
    assert shared.count('alice@example.com') == 0
    r = probe('--server', '127.0.0.1:%d' % shared.port(), '--tls=never', '--json', 'alice@example.com')
    assert not objects(r)[0]['tls']


@pytest.mark.parametrize('dialect', ['sendmail', 'postfix', 'exchange', 'citadel', 'iis6', 'ironport', 'seed004'])
def test_dialects(make_lab, dialect):
    lab = make_lab(args=['--dialect', dialect])
    r = probe('--server', '127.0.0.1:%d' % lab.port(), '--json', 'alice@example.com', 'nobody@example.com')
    assert verdicts(r) == {'alice@example.com': 'accepted', 'nobody@example.com': 'rejected'}, r.stdout
