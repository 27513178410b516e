"""What goes out, as the other server hears it: long lines by policy, addresses of ours in turn, REQUIRETLS and SMTPUTF8 passed on or
told to be impossible."""
import quopri

import pytest

from nameserver import NameServer
from puppet import Puppet
from relaying import Sink, only_report, outward, queue, tried, wait_empty
from secure import authority, context, submission
from server import wait_until
from test_dane_sts import http, policy
from test_names_sts import Web
from test_relay_hostile import EHLO, GOOD, LETTER, TlsPuppet

LONG = b'Subject: long\r\nFrom: alice@example.com\r\n\r\n' + b'.' + b'a' * 2500 + b'\r\n.b\r\n'


def heard(p):
    """The letters, as lines that were heard."""
    found = []
    for lines in p.heard:
        while '.' in lines:
            letter, lines = lines[:lines.index('.')], lines[lines.index('.') + 1:]
            found.append(letter[letter.index('DATA') + 1:])
    return found


@pytest.mark.parametrize('policy', ['encode', 'wrap', 'send', 'refuse'])
def test_long_lines(make_lab, policy):
    with Puppet(**GOOD) as p:
        lab = make_lab(sets=['relay.long_lines=' + policy] + outward('smtp:127.0.0.1:%d' % p.port))
        lab.send(LONG, 'you@example.net', 'alice@example.com')
        if policy == 'refuse':
            fields = only_report(lab, 'alice@example.com').rcpts['you@example.net']
            assert fields['status'] == '5.6.0' and not heard(p)
            return
        wait_until(lambda: heard(p) and not queue(lab), 30, 0.1)
        [letter] = heard(p)
        body = [line[1:] if line.startswith('.') else line for line in letter[letter.index('') + 1:]]
        most = max(len(line) for line in body)
        assert (most > 998) == (policy == 'send')
        if policy == 'encode':
            assert 'Content-Transfer-Encoding: quoted-printable' in letter
            assert quopri.decodestring('\r\n'.join(body).encode()).rstrip() == b'.' + b'a' * 2500 + b'\r\n.b'
        else:
            assert ''.join(line.lstrip(' ') for line in body) == '.' + 'a' * 2500 + '.b'


def test_long_lines_beside_eight_bits(make_lab):
    """What is not encoded is sent as what it is."""
    letter = (b'From: alice@example.com\r\nTo: you@example.net\r\nMIME-Version: 1.0\r\n'
              b'Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
              b'--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n'
              b'--b\r\nContent-Type: text/html\r\n\r\n' + b'x' * 1500 + b'\r\n--b--\r\n')
    with Puppet(**GOOD) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port))
        lab.send(letter, 'you@example.net', 'alice@example.com', options=['BODY=8BITMIME'])
        wait_until(lambda: heard(p) and not queue(lab), 30, 0.1)
        [mail] = [line for lines in p.heard for line in lines if line.startswith('MAIL')]
        assert ' BODY=8BITMIME' in mail
        encodings = [line.split(': ')[1] for line in heard(p)[0] if line.startswith('Content-Transfer-Encoding')]
        assert encodings == ['8bit', '8bit', 'quoted-printable']


def test_sources(make_lab):
    """Two addresses for everybody, a third for one route; each of them is used."""
    peers = {}

    def greeting(name):
        def run(s, line):
            peers.setdefault(name, set()).add(s.getpeername()[0])
            return '220 mx'
        return run
    with Puppet(**GOOD, greeting=greeting('all')) as a, Puppet(**GOOD, greeting=greeting('one')) as b:
        lab = make_lab(sets=['relay.source=127.0.0.2 127.0.0.3', 'relay.idle_seconds=0'] +
                       outward('smtp:127.0.0.1:%d' % a.port, 'a.test') +
                       outward('smtp:127.0.0.1:%d' % b.port, 'b.test', source='127.0.0.4')[1:])
        for n in range(40):  # by lot: once in 2^39 only one of them would come
            lab.send(LETTER, 'you@a.test', 'alice@example.com')
        for n in range(5):
            lab.send(LETTER, 'you@b.test', 'alice@example.com')
        wait_until(lambda: not queue(lab), 60, 0.2)
        told = lab.run('trace', '--to', 'you@b.test', '--limit', '1').stdout.split()[1]
        assert ' from 127.0.0.4' in lab.run('trace', told).stdout
    assert peers == {'all': {'127.0.0.2', '127.0.0.3'}, 'one': {'127.0.0.4'}}


@pytest.mark.parametrize('tls, offered, goes', [('verify', True, True), ('verify', False, False), ('may', True, True)])
def test_requiretls(make_lab, tmp_path, tls, offered, goes):
    """RFC 8689: over a connection that is verified, to a server that passes it on; else it comes back."""
    ca, sign = authority(tmp_path)
    ehlo = EHLO.replace('250 SIZE', '250-SIZE') + ('\n250-REQUIRETLS' if offered else '') + '\n250 STARTTLS'
    with TlsPuppet(sign('mx', 'DNS:localhost,IP:127.0.0.1'), EHLO=ehlo) as p:
        lab = make_lab(sets=['relay.authorities=%s' % ca] + outward('smtp:127.0.0.1:%d' % p.port, tls=tls))
        with submission(lab) as s:
            s.sendmail('alice@example.com', ['you@example.net'], LETTER, mail_options=['REQUIRETLS'])
        if goes:
            wait_until(lambda: p.said().count('.') == 1, 30, 0.1)
            assert any(line.startswith('MAIL') and ' REQUIRETLS' in line for line in p.said()) and p.inside == 1
            return
        fields = only_report(lab, 'alice@example.com').rcpts['you@example.net']
        assert fields['status'] == '5.7.30' and not any(line.startswith('MAIL') for line in p.said())


def test_requiretls_report(make_lab, tmp_path):
    """RFC 8689 5: what is said of such a letter is as secret as it was, and the letter is not in it, whatever RET says."""
    ca, sign = authority(tmp_path)
    ehlo = EHLO.replace('250 SIZE', '250-SIZE')
    with TlsPuppet(sign('mx', 'DNS:localhost,IP:127.0.0.1'), EHLO=ehlo + '\n250 STARTTLS') as there, \
            TlsPuppet(sign('back', 'DNS:localhost,IP:127.0.0.1'), EHLO=ehlo + '\n250-REQUIRETLS\n250 STARTTLS') as back:
        lab = make_lab(sets=['relay.authorities=%s' % ca] + outward('smtp:127.0.0.1:%d' % there.port, tls='verify') +
                       outward('smtp:127.0.0.1:%d' % back.port, domain='back.example', tls='verify'))
        with lab.smtp() as s:
            s.starttls(context=context())
            s.sendmail('ann@back.example', ['you@example.net'], LETTER, mail_options=['REQUIRETLS', 'RET=FULL'])
        wait_until(lambda: back.said().count('.') == 1, 30, 0.1)
        said = back.said()
    assert any(line.startswith('MAIL FROM:<>') and ' REQUIRETLS' in line for line in said), said
    body = LETTER.strip().splitlines()[-1]
    assert 'Content-Type: text/rfc822-headers' in said and body not in said and 'Status: 5.7.30' in said


@pytest.mark.parametrize('first, second, reused, fate', [
    ('lacks', 'offers', False, 'second'),
    ('lacks', 'lacks', False, 'refused'),
    ('away', 'lacks', False, 'waits'),
    ('offers', 'lacks', True, 'first'),
    ('lacks', 'lacks', True, 'refused'),
], ids=['next', 'none', 'away', 'reused', 'reused-none'])
def test_requiretls_next_host(make_lab, tmp_path, first, second, reused, fate):
    """RFC 8689 4.2.1: a host that does not pass it on is left, for each other one; also where the connection is that of a letter
    before, and a better host is back by now."""
    ca, sign = authority(tmp_path)
    names = ['mx1.example.net', 'mx2.example.net']
    chain = sign('mx', ','.join('DNS:' + n for n in names))
    web = Web(*sign('web', 'DNS:mta-sts.example.net'))
    web.pages['mta-sts.example.net'] = http(policy('enforce', names))
    ehlo = EHLO.replace('250 SIZE', '250-SIZE')
    offers = {'lacks': ehlo + '\n250 STARTTLS', 'offers': ehlo + '\n250-REQUIRETLS\n250 STARTTLS'}
    busy = [first == 'away' or reused]

    def greeting(s, line):
        return '421 4.3.2 busy' if busy[0] else '220 mx1 ESMTP'
    with web, TlsPuppet(chain, greeting=greeting, EHLO=offers.get(first)) as a, \
            TlsPuppet(chain, host='127.0.0.2', port=a.port, EHLO=offers[second]) as b, \
            NameServer({('example.net', 'MX'): ['10 ' + names[0], '20 ' + names[1]], (names[0], 'A'): ['127.0.0.1'],
                        (names[1], 'A'): ['127.0.0.2'], ('_mta-sts.example.net', 'TXT'): ['v=STSv1; id=1;'],
                        ('mta-sts.example.net', 'A'): ['127.0.0.1']}) as ns:
        lab = make_lab(args=['--dns', ns.address], sets=[
            'relays=1', 'relay_ip=127.0.0.0/8', 'relay.port=%d' % a.port, 'relay.authorities=%s' % ca, 'sts.port=%d' % web.port])
        if reused:
            lab.send(LETTER, 'they@example.net', 'alice@example.com')
            wait_until(lambda: len(heard(b)) == 1 and not queue(lab), 30, 0.1)
            busy[0] = False
        with submission(lab) as s:
            s.sendmail('alice@example.com', ['you@example.net'], LETTER, mail_options=['REQUIRETLS'])
        if fate == 'refused':
            assert only_report(lab, 'alice@example.com').rcpts['you@example.net']['status'] == '5.7.30'
        elif fate == 'waits':
            assert tried(lab)['attempts'] == 1
        else:
            wait_until(lambda: len(heard({'first': a, 'second': b}[fate])) == 1 and not queue(lab), 30, 0.1)
        lacking = [(n, p) for n, p, has in zip(names, (a, b), (first, second)) if has == 'lacks']
        told = lab.run('trace', '--to', 'you@example.net').stdout
        for name, p in lacking:
            assert '# %s: the letter needs TLS all the way (REQUIRETLS), and the server does not offer that' % name in told
            assert p.heard[-1][-1] == 'QUIT' and not any(' REQUIRETLS' in line for line in p.said())


def test_starttls_refused(make_lab):
    with Puppet(**{**GOOD, 'EHLO': EHLO.replace('250 SIZE', '250-SIZE') + '\n250 STARTTLS', 'STARTTLS': '454 4.7.0 not now'}) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port, tls='must'))
        lab.send(LETTER, 'you@example.net', 'alice@example.com')
        said = tried(lab, trouble='tls')['text']
        where = '127.0.0.1 [127.0.0.1]:%d' % p.port
        assert said == 'TLS is needed (tls = must of the route), and %s refuses STARTTLS: 454 not now' % where


@pytest.mark.parametrize('offered', [True, False])
def test_smtputf8(make_lab, offered):
    with Puppet(**{**GOOD, 'EHLO': EHLO.replace('250 SIZE', '250-SIZE') + '\n250 ' + ('SMTPUTF8' if offered else 'HELP')}) as p:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % p.port))
        with lab.smtp() as s:
            s.ehlo()
            assert s.mail('alice@example.com', ['SMTPUTF8', 'BODY=8BITMIME'])[0] == 250
            s.command_encoding = 'utf-8'
            assert s.rcpt('j\u00fcrgen@example.net')[0] == 250
            assert s.data('Subject: gr\u00fc\u00dfe\r\n\r\nx\r\n'.encode())[0] == 250
        if offered:
            wait_until(lambda: p.said().count('.') == 1, 30, 0.1)
            assert any(line.startswith('MAIL') and ' SMTPUTF8' in line for line in p.said())
            assert any('<j\u00fcrgen@example.net>' in line for line in p.said())
            return
        wait_until(lambda: lab.count('alice@example.com') == 1, 30, 0.1)
        assert b'\r\nStatus: 5.6.7\r\n' in lab.only_letter('alice@example.com')
        assert not any(line.startswith('MAIL') for line in p.said())


def test_mailmax(make_lab):
    """LIMITS (RFC 9422): no connection has more transactions than it says, those of one letter counted apiece."""
    verbs = []
    with Sink(ehlo=Sink.EHLO + ('LIMITS MAILMAX=2 RCPTMAX=3',), reply=lambda verb, arg: verbs.append(verb)) as s:
        lab = make_lab(sets=outward(s.target) + ['queue.window_first=1', 'queue.window_most=1'])
        many = ['joe%d@example.net' % i for i in range(14)]
        lab.send(LETTER, many, 'alice@example.com')
        wait_empty(lab)
        for i in range(5):
            lab.send(LETTER, 'ann%d@example.net' % i, 'alice@example.com')
        wait_empty(lab)
        assert sorted(r for x in s.letters for r in x.rcpts) == sorted(many + ['ann%d@example.net' % i for i in range(5)])
        assert verbs.count('MAIL') == 10 and s.connections >= 5
        assert max(len(x.connection.letters) for x in s.letters) == 2
        wait_until(lambda: all(x.connection.quit for x in s.letters if len(x.connection.letters) == 2), 10)
