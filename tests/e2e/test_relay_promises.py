"""What relay keeps to when something else changes: policies while fetch is away, connections when the configuration is another, TLS
and logins of each route, what befalls one of two routes to a host, passwords and names that nobody vouches for."""
import base64
import os
import signal
import time

import pytest

from nameserver import NameServer
from puppet import Puppet
from relaying import Sink, outward, queue, tried, why
from secure import authority
from server import SLOW, free_base, wait_until
from test_config import wait_greeting
from test_dane_sts import HOST, http, policy
from test_names_relay import Mx, Sender, base, pki, waits  # noqa: F401
from test_names_sts import Web
from test_relay_hostile import EHLO, GOOD, LETTER, TlsPuppet


def test_policy_holds_while_fetch_is_away(pki, tmp_path):  # noqa: F811
    """A relay that knows nothing yet, and no fetch to ask: nothing goes in clear, whatever the DNS says meanwhile."""
    web = Web(pki / 'web.pem', pki / 'web.key')
    web.pages['mta-sts.example.org'] = http(policy('enforce', [HOST]))
    with Mx(pki, 'mx') as m:
        records = {**base(m.port), ('_mta-sts.example.org', 'TXT'): ['v=STSv1; id=1;'], ('mta-sts.example.org', 'A'): ['127.0.0.1']}
        with NameServer(records) as ns, Sender(tmp_path, m.port, ns.address, 'sts.port=%d' % web.port, 'relay.idle_seconds=0', 'relays=1',
                                               'relay.authorities=%s' % (pki / 'root.pem')) as s:
            s.send('first')
            wait_until(lambda: m.letters and not queue(s.lab), 30)
            m.starttls = False
            ns.records[('_mta-sts.example.org', 'TXT')] = 'servfail'
            for _ in range(6):  # each time it stays away for longer
                os.kill(wait_until(lambda: s.lab.roles('fetch'), 30)[0], signal.SIGKILL)
                wait_until(lambda: not s.lab.roles('fetch') or s.lab.roles('fetch'), 5)
            old = s.lab.roles('relay')
            os.kill(old[0], signal.SIGKILL)
            wait_until(lambda: s.lab.roles('relay') not in ([], old), 30)
            s.send('second')
            waits(s.lab, 'example.org')
            time.sleep(2 * SLOW)
            assert len(m.letters) == 1
    web.close()


CONFIG = '''
hostname = "mail.example.com";
data_dir = "%s";
domains = [ "example.com" ];
store: { segment_bytes = "8M"; };
fronts = 1;
relays = 1;
relay_ip = "127.0.0.0/8";
relay: { idle_seconds = 120; };
listen = ( { address = "127.0.0.1"; port = %d; } );
routes = ( { match = "*"; via = "smtp:127.0.0.1:%d"; tls = "never"; %s } );
'''


def test_reload_ends_reuse(make_lab, tmp_path):
    """A connection is kept for the next letter, but not for one that is sent by another configuration."""
    base_port, guard = free_base()
    secret = tmp_path / 'secret'
    secret.write_text('sesame\n')
    with Puppet(**{**GOOD, 'EHLO': EHLO.replace('250 SIZE', '250-AUTH PLAIN\n250 SIZE'), 'AUTH': '235 2.7.0 ok'}) as p:
        path = tmp_path / 'config'

        def write(more):
            path.write_text(CONFIG % (tmp_path / 'data', base_port + 25, p.port, more))
        write('')
        lab = make_lab(start=False, config=str(path), base=base_port)
        lab.guard = guard
        lab.start(wait=False)
        wait_greeting(lab)

        def send():
            before = p.said().count('.')
            lab.send(LETTER, 'you@example.net', 'alice@example.com')
            wait_until(lambda: p.said().count('.') == before + 1 and not queue(lab), 30, 0.1)
            return len(p.heard)
        assert (send(), send()) == (1, 1)
        write('login = "us"; secret_file = "%s"; auth_cleartext = "allow";' % secret)
        lab.run('reload')
        assert (send(), send()) == (2, 2)
        assert [any(line.startswith('AUTH') for line in heard) for heard in p.heard] == [False, True]


def test_two_routes_to_one_host(make_lab, tmp_path):
    """They lead to the same place, and share no connection: one is without TLS, one needs it, one logs in."""
    secret = tmp_path / 'secret'
    secret.write_text('sesame\n')
    with Puppet(**{**GOOD, 'EHLO': EHLO.replace('250 SIZE', '250-AUTH PLAIN\n250 SIZE'), 'AUTH': '235 2.7.0 ok'}) as p:
        via = 'smtp:127.0.0.1:%d' % p.port
        lab = make_lab(sets=['relay.idle_seconds=120', 'relays=1'] + outward(via, 'a.test', tls='never') +
                       outward(via, 'b.test', tls='must')[1:] +
                       outward(via, 'c.test', login='us', secret_file=secret, auth_cleartext='allow')[1:])
        lab.send(LETTER, 'you@a.test', 'alice@example.com')
        wait_until(lambda: p.said().count('.') == 1 and not queue(lab), 30, 0.1)
        lab.send(LETTER, 'you@c.test', 'alice@example.com')
        wait_until(lambda: p.said().count('.') == 2 and not queue(lab), 30, 0.1)
        lab.send(LETTER, 'you@b.test', 'alice@example.com')
        assert tried(lab)['trouble'] == 'tls'
        by = {line: heard for heard in p.heard for line in heard if line.startswith('RCPT')}
        assert not any('b.test' in line for line in by)
        for line, heard in by.items():
            assert any(h.startswith('AUTH') for h in heard) == ('c.test' in line), p.heard


def test_a_refused_login_and_the_next_route(make_lab, tmp_path):
    """Two customers at one smarthost: whose password is wrong there waits alone, and each has as many connections as its route says."""
    def reply(verb, arg):
        if verb == 'AUTH':
            wrong = b'wrong' in base64.b64decode(arg.split()[2])
            return '535 5.7.8 no' if wrong else '235 2.7.0 welcome'
        return (0.5, '250 2.0.0 taken') if verb == 'DOT' else None

    sets = ['queue.retry_first=1h', 'queue.window_first=4']
    with Sink(reply, ehlo=Sink.EHLO + ('AUTH PLAIN',)) as hub:
        for domain, password, most in (('one.example', 'wrong', 1), ('two.example', 'right', 3)):
            secret = tmp_path / domain
            secret.write_text(password + '\n')
            sets += outward(hub.target, domain, login='us', secret_file=secret, auth_cleartext='allow', max_connections=most)
        lab = make_lab(sets=sets)
        lab.send(LETTER, 'joe@one.example', 'alice@example.com')
        first = tried(lab, trouble='login')
        assert 'They said 535 4.7.8 no\n' in lab.run('queue', 'why', first['id']).stdout
        hub.most = 0
        for _ in range(20):
            lab.send(LETTER, 'joe@two.example', 'alice@example.com')
        lab.send(LETTER, 'ann@one.example', 'alice@example.com')
        wait_until(lambda: len(hub.letters) == 20, 30)
        assert hub.most == 3
        waits_on = wait_until(lambda: len(queue(lab)) == 2 and queue(lab), 30)
        assert [(e['domain'], e['attempts']) for e in waits_on] == [('one.example', 1), ('one.example', 0)]
        told = why(lab, first['id'])['destination']  # before `top` has counted what waits
        rows = {d['route']: d for d in lab.json('queue', 'top')['destinations']}
        # The second is due; its destination is spared, as the first one's next attempt says.
        retry = rows['one.example']['retry']
        assert retry and [(e['state'], e['next']) for e in waits_on] == [('waiting', retry), ('ready', retry)]
        assert all(line.split()[3] != 'now' for line in lab.run('queue', 'list').stdout.splitlines()[1:] if ' ready ' in line)
        assert list(rows) == ['one.example'] and rows['one.example']['state'] == 'backoff'
        assert (told['target'], told['route'], told['window'], told['trouble']) == (hub.target, 'one.example', 1, 'login')
        assert told['waiting'] == rows['one.example']['waiting'] == 2
        assert 'one.example via ' + hub.target in lab.run('queue', 'why', first['id']).stdout
        assert 'one.example via smtp' in lab.run('queue', 'top').stdout


@pytest.mark.parametrize('via, goes', [('mx', False), ('smtp', True)])
def test_a_password_and_a_name_from_the_dns(make_lab, tmp_path, via, goes):
    """A good certificate for a name that anybody may have forged proves nothing; one for a name of the configuration does."""
    ca, sign = authority(tmp_path)
    secret = tmp_path / 'secret'
    secret.write_text('sesame\n')
    offer = EHLO.replace('250 SIZE', '250-SIZE') + '\n250-STARTTLS\n250 AUTH PLAIN'
    with TlsPuppet(sign('mx', 'DNS:' + HOST), EHLO=offer, AUTH='235 2.7.0 ok') as p, NameServer(base(p.port)) as ns:
        lab = make_lab(args=['--dns', ns.address], sets=['relay.authorities=%s' % ca, 'relay.port=%d' % p.port] + outward(
            'mx' if via == 'mx' else 'smtp:%s:%d' % (HOST, p.port), 'example.org', tls='verify', login='us', secret_file=secret))
        lab.send(LETTER, 'you@example.org', 'alice@example.com')
        if goes:
            wait_until(lambda: p.said().count('.') == 1, 30, 0.1)
            return
        entry = tried(lab)
        assert entry['trouble'] == 'login' and 'verified' in entry['text']
        assert not any(line.startswith('AUTH') for line in p.said())
