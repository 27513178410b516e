"""On-demand mail (RFC 2645): a client that logs in and says ATRN becomes the server on the same connection."""
import base64
import os
import signal
import socket
import threading

import pytest

from puppet import Puppet, client
from relaying import queue
from secure import context
from server import Lab, Talk, wait_until

LETTER = b'From: Joe <joe@example.org>\r\nTo: Ann <ann@customer.example>\r\nSubject: %b\r\n\r\nwaits for you\r\n'
CUSTOMER = 'customer@example.com'


@pytest.fixture(scope='module')
def provider(tmp_path_factory):
    """Mail for customer.example and branch.example waits until the customer fetches it."""
    sets = ['relay_ip=127.0.0.0/8']
    for domain in ('customer.example', 'branch.example', 'other.example'):
        sets += ['route.%s=turn:' % domain]
    sets += ['route.customer.example.atrn=' + CUSTOMER, 'route.branch.example.atrn=%s, alice@example.com' % CUSTOMER,
             'route.other.example.atrn=bob@example.com']
    lab = Lab(tmp_path_factory.mktemp('provider') / 'lab', users=[CUSTOMER, 'alice@example.com', 'bob@example.com'], sets=sets)
    lab.start()
    yield lab
    assert lab.stop() == 0
    lab.close()


def upgrade(lab, logical):
    t = Talk(lab.connect(logical))
    t.begin()
    t.ask('STARTTLS', 220)
    t.file.close()
    return Talk(context().wrap_socket(t.sock, server_hostname='localhost'))


def logged_in(lab, user=CUSTOMER, logical=366):
    """A customer behind TLS and AUTH, and what EHLO listed."""
    t = upgrade(lab, logical)
    _, words = t.ask('EHLO customer.example', 250)
    t.ask('AUTH PLAIN ' + base64.b64encode(b'\0%b\0secret' % user.encode()).decode(), 235)
    return t, words


def serve(t, reply=lambda verb, line: None):
    """The customer's side of a turned connection: an SMTP server by hand. [(sender, rcpts, octets)], lines heard."""
    letters, heard, rcpts, sender = [], [], [], None
    t.send('220 customer.example ESMTP\r\n')
    while True:
        line = t.file.readline().decode()
        if not line:
            return letters, heard
        heard.append(line.rstrip())
        verb = line.split()[0].upper()
        said = reply(verb, line)
        if said:
            try:
                t.send(said + '\r\n')
            except OSError:  # it has heard enough: after a 421 it does not wait for the replies to what it had pipelined
                return letters, heard
        elif verb == 'EHLO':
            t.send('250-customer.example\r\n250-PIPELINING\r\n250-SIZE\r\n250 8BITMIME\r\n')
        elif verb == 'MAIL':
            sender, rcpts = line[line.index('<') + 1:line.index('>')], []
            t.send('250 ok\r\n')
        elif verb == 'RCPT':
            rcpts.append(line[line.index('<') + 1:line.index('>')])
            t.send('250 ok\r\n')
        elif verb == 'DATA' and not rcpts:
            t.send('503 no recipients\r\n')
        elif verb == 'DATA':
            t.send('354 go\r\n')
            octets = b''
            while not octets.endswith(b'\r\n.\r\n'):
                octets += t.file.readline()
            letters.append((sender, rcpts, octets[:-3]))
            t.send('250 taken\r\n')
        elif verb == 'QUIT':
            t.send('221 bye\r\n')
            return letters, heard
        else:
            t.send('250 ok\r\n')


def waiting(lab, domain):
    return [e for e in queue(lab) if e['domain'] == domain]


def clear(lab):
    lab.run('queue', 'delete', '--all', '--yes', check=False)


# --- the provider, against a customer by hand

def test_offered_to_who_may(provider):
    t, words = logged_in(provider)
    assert 'ATRN' in words.split('\n') and 'AUTH' in words
    t.close()
    with provider.talk(366) as t:
        t.begin()
        assert t.ask('ATRN')[0] == 530
        assert t.ask('TURN')[0] == 502
    with provider.talk(25) as t:
        assert 'ATRN' not in t.begin()[1].split('\n')


def test_talk_plays_the_customer(provider, tmp_path):
    """The roles turn under `talk`: what comes are commands, and replies are typed, one for each of them."""
    with provider.smtp() as s:
        s.sendmail('joe@example.org', ['ann@customer.example'], LETTER % b'by hand')
    wait_until(lambda: waiting(provider, 'customer.example'))
    (tmp_path / 'pw').write_text('secret\n')
    typed = 'ATRN customer.example\n220 customer.example\n250-customer.example\n250 SIZE\n250 ok\n250 ok\n354 go\n250 taken\n221 bye\n'
    r = client('talk', '--starttls', '--insecure', '--auth=PLAIN', '--user', CUSTOMER, '--password-file', str(tmp_path / 'pw'),
               '127.0.0.1', str(provider.port(366)), input=typed)
    lines = r.stdout.split('\n')
    turned = lines[lines.index('c: ATRN customer.example'):]
    assert 'The roles turn (RFC 2645)' in r.stdout
    said = [line for line in turned if line[:3] in ('c: ', 's: ')]
    verbs = [line.split(' ')[1] for line in said if line.startswith('s: ') and line[3:8] in ('EHLO ', 'MAIL ', 'RCPT ', 'DATA', 'QUIT')]
    assert verbs == ['EHLO', 'MAIL', 'RCPT', 'DATA', 'QUIT'], r.stdout
    assert said.index('c: 250 taken') > said.index('s: .') > said.index('s: Subject: by hand') > said.index('c: 354 go')
    assert r.returncode == 0, r.stderr
    wait_until(lambda: not waiting(provider, 'customer.example'))


def test_refused(provider):
    t, _ = logged_in(provider)
    assert t.ask('ATRN')[0] == 453
    assert t.ask('ATRN other.example')[0] == 450
    assert t.ask('ATRN customer.example,other.example')[0] == 450
    assert t.ask('ATRN nowhere.example')[0] == 450
    t.ask('MAIL FROM:<%s>' % CUSTOMER, 250)
    assert t.ask('ATRN')[0] == 503
    t.ask('RSET', 250)
    t.ask('NOOP', 250)
    t.close()


def test_fetched(provider):
    for i in range(3):
        provider.send(LETTER % b'letter %d' % i, 'ann@customer.example', 'joe@example.org')
    provider.send(LETTER % b'branch', ['joe@branch.example', 'jim@branch.example'], 'joe@example.org')
    provider.send(LETTER % b'other', 'x@other.example', 'joe@example.org')
    wait_until(lambda: len(queue(provider)) == 5)
    assert all(e['state'] == 'turn' and e['attempts'] == 0 for e in queue(provider))
    t, _ = logged_in(provider)
    t.ask('ATRN customer.example', 250)
    letters, heard = serve(t)
    assert t.at_end()
    assert sorted(l[2].split(b'Subject: ')[1].split(b'\r\n')[0] for l in letters) == [b'letter 0', b'letter 1', b'letter 2']
    assert all(l[0] == 'joe@example.org' and l[1] == ['ann@customer.example'] for l in letters)
    assert all(l[2].endswith(b'waits for you\r\n') for l in letters)
    assert heard[0] == 'EHLO mail.example.com' and heard[-1] == 'QUIT'
    wait_until(lambda: len(queue(provider)) == 2)
    # At the submission port, and all that is ours.
    t, _ = logged_in(provider, logical=587)
    t.ask('ATRN', 250)
    letters, _ = serve(t)
    assert [(l[1]) for l in letters] == [['joe@branch.example', 'jim@branch.example']]
    wait_until(lambda: len(queue(provider)) == 1)
    clear(provider)


def test_what_is_refused_comes_back(provider):
    provider.send(LETTER % b'refused', 'gone@customer.example', 'alice@example.com')
    provider.send(LETTER % b'later', 'later@customer.example', 'alice@example.com')
    wait_until(lambda: len(queue(provider)) == 2)
    t, _ = logged_in(provider)
    t.ask('ATRN', 250)
    serve(t, lambda verb, line: '550 5.1.1 gone' if '<gone' in line else '450 4.2.0 later' if '<later' in line else None)
    wait_until(lambda: provider.count('alice@example.com') == 1)
    assert b'550 5.1.1 gone' in provider.only_letter('alice@example.com')
    wait_until(lambda: [e['state'] for e in queue(provider)] == ['turn'])
    clear(provider)


def test_customer_goes_away(provider):
    """In the middle of it: what was not taken waits on, and the next fetch gets it."""
    for i in range(5):
        provider.send(LETTER % b'away %d' % i, 'ann@customer.example', 'joe@example.org')
    wait_until(lambda: len(queue(provider)) == 5)
    t, _ = logged_in(provider)
    t.ask('ATRN', 250)
    t.send('220 customer.example ESMTP\r\n')
    assert t.line().startswith('EHLO')
    t.send('250 customer.example\r\n')
    assert t.line().startswith('MAIL')
    t.close()
    wait_until(lambda: all(e['state'] == 'turn' for e in queue(provider)), 30, 0.2)
    assert len(queue(provider)) == 5
    t, _ = logged_in(provider)
    t.ask('ATRN', 250)
    letters, _ = serve(t)
    assert len(letters) == 5
    wait_until(lambda: not queue(provider))


def test_customer_goes_away_between_letters(provider):
    """There is no other way to a customer than the connection that it turned."""
    for i in range(3):
        provider.send(LETTER % b'between %d' % i, 'ann@customer.example', 'joe@example.org')
    wait_until(lambda: len(queue(provider)) == 3)
    t, _ = logged_in(provider)
    t.ask('ATRN', 250)
    seen = []
    letters, _ = serve(t, lambda verb, line: seen.append(verb) or (
        '421 4.3.2 going down' if seen.count('MAIL') == 2 else None))
    assert len(letters) == 1
    wait_until(lambda: [e['state'] for e in queue(provider)] == ['turn'] * 2, 30, 0.2)
    assert 'role-killed' not in provider.log()
    t, _ = logged_in(provider)
    t.ask('ATRN', 250)
    assert len(serve(t)[0]) == 2
    wait_until(lambda: not queue(provider))


def test_input_behind_it(provider):
    t, _ = logged_in(provider)
    t.send('ATRN\r\n220 customer.example\r\n')
    assert t.at_end()


# --- the customer: Pennypost on both sides

def customer_of(provider, directory, every=None, domains='customer.example'):
    secret = directory / 'secret'
    secret.write_text('secret\n')
    secret.chmod(0o600)
    route = 'route.odmr.example'
    sets = [route + '=smtp:[127.0.0.1]:%d' % provider.port(366), route + '.tls=must', route + '.login=' + CUSTOMER,
            route + '.auth_cleartext=allow', route + '.secret_file=%s' % secret, route + '.fetch_by_atrn=' + domains]
    if every:
        sets.append(route + '.fetch_every=%d' % every)
    return Lab(directory / 'lab', users=['ann@customer.example'], domains=['customer.example'], sets=sets)


def test_pennypost_fetches(provider, tmp_path):
    lab = customer_of(provider, tmp_path).start()
    try:
        r = lab.run('queue', 'fetch')
        assert 'no mail' in r.stdout
        for i in range(3):
            provider.send(LETTER % b'fetched %d' % i, 'ann@customer.example', 'joe@example.org')
        wait_until(lambda: len(queue(provider)) == 3)
        r = lab.run('queue', 'fetch', 'odmr.example')
        assert 'fetched' in r.stdout
        wait_until(lambda: lab.count('ann@customer.example') == 3)
        wait_until(lambda: not queue(provider))
        letter = lab.letters('ann@customer.example')[0]
        assert b'Return-Path: <joe@example.org>\r\n' in letter and b'with ESMTPS' in letter
        assert lab.run('queue', 'fetch', 'nowhere.example', check=False).returncode != 0
    finally:
        assert lab.stop() == 0
        lab.close()


def test_only_those_domains(provider, tmp_path):
    """A provider that brings mail for another domain than was asked for is refused it."""
    lab = customer_of(provider, tmp_path, domains='branch.example').start()
    try:
        provider.send(LETTER % b'branch', 'joe@branch.example', 'alice@example.com')
        wait_until(lambda: len(queue(provider)) == 1)
        lab.run('queue', 'fetch')
        # branch.example is no domain of this customer: nothing is taken, and it comes back.
        wait_until(lambda: not queue(provider))
        assert lab.count('ann@customer.example') == 0
    finally:
        assert lab.stop() == 0
        lab.close()


def test_now_and_then(provider, tmp_path):
    lab = customer_of(provider, tmp_path, every=2).start()
    try:
        provider.send(LETTER % b'by the clock', 'ann@customer.example', 'joe@example.org')
        wait_until(lambda: lab.count('ann@customer.example') == 1, 20)
        wait_until(lambda: not queue(provider))
    finally:
        assert lab.stop() == 0
        lab.close()


def test_provider_says_no(provider, tmp_path):
    """A wrong password: the command says so, with the conversation."""
    lab = customer_of(provider, tmp_path)
    (tmp_path / 'secret').write_text('wrong\n')
    lab.start()
    try:
        r = lab.run('queue', 'fetch', check=False)
        assert r.returncode != 0 and '535' in r.stdout + r.stderr and 'wrong' not in r.stdout
    finally:
        assert lab.stop() == 0
        lab.close()


# --- the customer, against a provider by hand

class Provider:
    """Takes one login, answers ATRN, and is then whatever client(talk) does."""

    def __init__(self, atrn='250 turn it round', client=lambda t: None):
        self.atrn, self.client, self.heard, self.result = atrn, client, [], None
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        s, _ = self.socket.accept()
        s.settimeout(20)
        t = Talk(s)
        t.send('220 provider.example ODMR\r\n')
        while True:
            line = t.file.readline().decode().rstrip()
            self.heard.append(line)
            verb = line.split(' ')[0].upper()
            if verb == 'EHLO':
                t.send('250-provider.example\r\n250-AUTH PLAIN\r\n250 ATRN\r\n')
            elif verb == 'AUTH':
                t.send('235 2.7.0 in\r\n')
            elif verb == 'ATRN':
                t.send(self.atrn + '\r\n')
                if self.atrn.startswith('250'):
                    try:
                        self.result = self.client(t)
                    except AssertionError as e:
                        self.result = repr(e)
                    t.close()
                    return
            else:
                t.send('221 bye\r\n')
                t.close()
                return


def customer_at(port, directory, *more):
    secret = directory / 'secret'
    secret.write_text('secret\n')
    secret.chmod(0o600)
    route = 'route.odmr.example'
    return Lab(directory / 'lab', users=['ann@customer.example', 'tom@else.example'], domains=['customer.example', 'else.example'],
               sets=[route + '=smtp:[127.0.0.1]:%d' % port, route + '.tls=never', route + '.login=' + CUSTOMER,
                     route + '.auth_cleartext=allow', route + '.secret_file=%s' % secret,
                     route + '.fetch_by_atrn=customer.example more.example', *more])


def test_a_provider_may_bring_no_more(tmp_path):
    """On the turned connection only the domains that were asked for are taken, whatever else is ours."""
    def client(t):
        assert t.reply()[0] == 220
        t.ask('EHLO provider.example', 250)
        t.ask('MAIL FROM:<joe@example.org>', 250)
        got = [t.ask('RCPT TO:<%s>' % a)[0] for a in ('tom@else.example', 'x@example.net', 'ann@customer.example')]
        t.ask('DATA', 354)
        t.send(LETTER % b'by hand' + b'.\r\n')
        assert t.reply()[0] == 250
        t.ask('QUIT', 221)
        assert t.at_end()
        return got
    p = Provider(client=client)
    lab = customer_at(p.port, tmp_path).start()
    try:
        assert 'fetched' in lab.run('queue', 'fetch').stdout
        assert 'ATRN customer.example,more.example' in p.heard
        wait_until(lambda: p.result is not None)
        assert p.result == [550, 550, 250]
        assert lab.count('ann@customer.example') == 1 and lab.count('tom@else.example') == 0
    finally:
        assert lab.stop() == 0
        lab.close()


@pytest.mark.parametrize('atrn, client, outcome', [
    ('453 4.3.0 nothing', None, 'no mail'),
    ('450 4.7.1 not you', None, None),
    ('502 5.5.1 what?', None, None),
    ('250 go', lambda t: t.reply(), 'fetched'),          # and is gone without a word
    ('250 go', lambda t: (t.reply(), t.send(b'\xff\x00 rubbish\r\n'), t.reply()), 'fetched'),
])
def test_odd_providers(tmp_path, atrn, client, outcome):
    p = Provider(atrn, client)
    lab = customer_at(p.port, tmp_path).start()
    try:
        r = lab.run('queue', 'fetch', check=False)
        assert (r.returncode == 0) == (outcome is not None), r.stdout + r.stderr
        assert (outcome or atrn[:3]) in r.stdout + r.stderr
        p.socket.close()
        r = lab.run('queue', 'fetch', check=False)  # nobody listens any more
        assert r.returncode != 0
    finally:
        assert lab.stop() == 0
        lab.close()


def test_provider_closes_what_rests(tmp_path):
    """The connection had a letter before, and the provider has closed it meanwhile: ATRN goes over another one."""
    def atrn(s, line):
        if len(p.heard) == 1:
            s.shutdown(socket.SHUT_RDWR)
            raise OSError
        return '453 4.3.0 nothing'
    with Puppet(EHLO='250-odmr.example\n250 AUTH PLAIN', AUTH='235 2.7.0 in', DOT='250 2.0.0 taken', ATRN=atrn) as p:
        lab = customer_at(p.port, tmp_path, 'relays=1', 'relay_ip=127.0.0.0/8').start()
        try:
            lab.send(LETTER % b'to them', 'you@odmr.example', 'ann@customer.example')
            wait_until(lambda: '.' in p.said())
            assert 'no mail' in lab.run('queue', 'fetch').stdout
            assert [lines.count('ATRN customer.example,more.example') for lines in p.heard] == [1, 1]
        finally:
            assert lab.stop() == 0
            lab.close()


# --- processes that die

@pytest.mark.parametrize('role', ['relay', 'front', 'store'])
def test_a_process_dies(provider, role):
    """In the middle of a turned connection: the letters wait on, and are fetched later, once each."""
    for i in range(3):
        provider.send(LETTER % b'killed %d' % i, 'ann@customer.example', 'joe@example.org')
    wait_until(lambda: len(queue(provider)) == 3)
    t, _ = logged_in(provider)
    t.ask('ATRN', 250)
    t.send('220 customer.example ESMTP\r\n')
    assert t.line().startswith('EHLO')
    for pid in provider.roles(role):
        os.kill(pid, signal.SIGKILL)
    t.send('250 customer.example\r\n')
    t.close()

    def fetch():
        try:
            t, _ = logged_in(provider)
            if t.ask('ATRN')[0] == 250:
                letters.extend(serve(t)[0])
        except (OSError, AssertionError):
            return False
        return len(letters) >= 3

    letters = []
    wait_until(fetch, 60, 0.5)
    assert len(letters) == 3
    wait_until(lambda: not queue(provider), 20)
