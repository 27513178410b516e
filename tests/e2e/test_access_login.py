"""Logging in by IMAP and POP3, by every mechanism; a client of each of them as small as it can be.

What SMTP shares with them (delays, masks, what is remembered) is shown in test_login.py.
"""
import base64
import hashlib
import hmac
import os
import secrets
import subprocess
import time

import pytest

import kerberos
from secure import authority, context
from server import ROOT, SLOW
from test_auth_oauth import KEY, jwt

PLACE = os.path.join(ROOT, 'build', 'peers', 'cyrus')
PROGRAMS = os.path.join(PLACE, 'usr', 'lib', 'cyrus', 'bin')
LIBRARIES = os.path.join(PLACE, 'usr', 'lib', os.uname().machine + '-linux-gnu')
WEAK = ['CRAM-MD5', 'DIGEST-MD5', 'NTLM']
ALICE = 'alice@example.com'


def b64(octets):
    return base64.b64encode(octets.encode() if isinstance(octets, str) else octets)


class Door:
    """A connection to IMAP or POP3 with TLS, from its beginning or by STARTTLS or STLS."""

    def __init__(self, lab, imap, upgrade=False, source=None, **options):
        self.imap = imap
        c = context(**options)
        sock = lab.connect((143 if imap else 110) if upgrade else (993 if imap else 995), source=source)
        if upgrade:
            with sock.makefile('rb') as f:
                f.readline()
                sock.sendall(b'u STARTTLS\r\n' if imap else b'STLS\r\n')
                assert b'OK' in f.readline()
        self.sock = c.wrap_socket(sock, server_hostname='localhost')
        self.file = self.sock.makefile('rb')
        if not upgrade:
            assert b'OK' in self.file.readline()

    def say(self, line):
        self.sock.sendall(line + b'\r\n')

    def line(self):
        line = self.file.readline()
        while self.imap and line.startswith(b'* '):
            line = self.file.readline()
        assert line.endswith(b'\r\n'), line
        return line[:-2]

    def offered(self):
        self.say(b'c CAPABILITY' if self.imap else b'CAPA')
        words = []
        while True:
            line = self.file.readline().strip()
            if line in (b'', b'.') or line.startswith(b'c '):
                return words
            if self.imap:
                words += [w[5:].decode() for w in line.split() if w.startswith(b'AUTH=')]
            elif line.startswith(b'SASL'):
                words += line.decode().split()[1:]

    def auth(self, mech, answers, initial=True):
        """answers: a generator that is sent challenges and yields responses. The server's last word."""
        first = next(answers)
        words = [b'a', b'AUTHENTICATE', mech.encode()] if self.imap else [b'AUTH', mech.encode()]
        if initial and first is not None:
            words.append(b64(first) or b'=')
            first = None
        self.say(b' '.join(words))
        while True:
            line = self.line()
            if not line.startswith(b'+ '):
                return line
            challenge = base64.b64decode(line[2:], validate=True)
            if first is not None:
                assert challenge == b''
                response, first = first, None
            else:
                response = answers.send(challenge)
            self.say(b64(response))

    def good(self, answer):
        return answer.startswith(b'a OK' if self.imap else b'+OK')

    def works(self):
        """As what it claims to be: logged in, and with mail."""
        if self.imap:
            self.say(b'b SELECT INBOX')
            return self.line().startswith(b'b OK [READ-WRITE]')
        self.say(b'STAT')
        return self.line().startswith(b'+OK ')

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()


def plain(user=ALICE, password='secret', other=''):
    yield '%s\0%s\0%s' % (other, user, password)


def in_turn(user=ALICE, password='secret'):
    challenge = yield None
    assert challenge.lower().startswith(b'user')
    challenge = yield user
    assert challenge.lower().startswith(b'pass')
    yield password


def scram(kind='sha256', user=ALICE, password='secret', binding=None, header=None):
    """RFC 5802, 7677; binding: octets of tls-server-end-point."""
    header = header or (b'p=tls-server-end-point,,' if binding else b'n,,')
    bare = b'n=%s,r=%s' % (user.encode(), secrets.token_hex(12).encode())
    server = yield header + bare
    values = dict(part.split(b'=', 1) for part in server.split(b','))
    assert values[b'r'].startswith(bare.split(b'r=')[1])
    salted = hashlib.pbkdf2_hmac(kind, password.encode(), base64.b64decode(values[b's']), int(values[b'i']))
    ending = b'c=' + b64(header + (binding or b'')) + b',r=' + values[b'r']
    whole = b','.join((bare, server, ending))
    key = hmac.digest(salted, b'Client Key', kind)
    proof = bytes(a ^ b for a, b in zip(key, hmac.digest(hashlib.new(kind, key).digest(), whole, kind)))
    last = yield ending + b',p=' + b64(proof)
    assert last == b'v=' + b64(hmac.digest(hmac.digest(salted, b'Server Key', kind), whole, kind))
    yield b''


def bearer(token, mech='OAUTHBEARER', user=ALICE):
    if mech == 'XOAUTH2':
        yield 'user=%s\1auth=Bearer %s\1\1' % (user, token)
        yield b''  # to what is wrong, in JSON
    else:
        yield 'n,a=%s,\1host=localhost\1port=993\1auth=Bearer %s\1\1' % (user, token)
        yield b'\1'


def digest_of(door):
    return hashlib.sha256(door.sock.getpeercert(binary_form=True)).digest()


def both(test):
    return pytest.mark.parametrize('imap', [True, False], ids=['imap', 'pop3'])(test)


@both
def test_offered(shared, imap):
    with Door(shared, imap) as d:
        offered = d.offered()
        for m in ('SCRAM-SHA-256-PLUS', 'SCRAM-SHA-1-PLUS', 'SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN', 'LOGIN'):
            assert m in offered
        for m in WEAK + ['GSSAPI', 'ANONYMOUS', 'OAUTHBEARER', 'EXTERNAL']:
            assert m not in offered
            assert not d.good(d.auth(m, plain()))
        assert d.good(d.auth('PLAIN', plain())) and d.works()


@both
@pytest.mark.parametrize('upgrade', [False, True])
def test_passwords(shared, imap, upgrade):
    for mech, answers in (('PLAIN', plain), ('plain', lambda: plain(other=ALICE)), ('LOGIN', in_turn), ('SCRAM-SHA-1', lambda: scram('sha1')),
                          ('SCRAM-SHA-256', scram)):
        for initial in (True, False):
            with Door(shared, imap, upgrade) as d:
                said = d.auth(mech, answers(), initial)
                assert d.good(said) and d.works(), (mech, said)


@both
def test_bound(shared, imap):
    """SCRAM over this connection and no other."""
    for mech, kind in (('SCRAM-SHA-1-PLUS', 'sha1'), ('SCRAM-SHA-256-PLUS', 'sha256')):
        with Door(shared, imap) as d:
            assert d.good(d.auth(mech, scram(kind, binding=digest_of(d)))) and d.works()
    mech, options = ('SCRAM-SHA-256-PLUS', {'binding': b'x' * 32}) if imap else ('SCRAM-SHA-256', {'header': b'y,,'})
    with Door(shared, imap, source='127.0.0.%d' % (40 + imap)) as d:
        assert not d.good(d.auth(mech, scram(**options)))


@both
def test_refused(make_lab, imap):
    """In one way, whatever was wrong; and the session goes on. Few: failures make all slower."""
    lab, said = make_lab(), set()
    for n, (mech, answers) in enumerate((('PLAIN', plain(password='wrong')), ('LOGIN', in_turn('nobody@example.com')),
                                         ('SCRAM-SHA-256', scram(password='wrong')), ('PLAIN', plain('bob@example.com', other=ALICE)))):
        with Door(lab, imap, source='127.0.0.%d' % (10 + n)) as d:
            said.add(d.auth(mech, answers))
            assert n > 0 or d.good(d.auth('PLAIN', plain())) and d.works()
    assert len(said) == 1
    assert (b'[AUTHENTICATIONFAILED]' if imap else b'-ERR [AUTH]') in said.pop()


@both
def test_forms(shared, imap):
    """Cancelled; no base64; too long; too many words. Four of them: the fifth ends the session."""
    verb = b'a AUTHENTICATE ' if imap else b'AUTH '
    with Door(shared, imap) as d:
        for words, line in ((b'PLAIN', b'*'), (b'PLAIN', b'!'), (b'LOGIN', b'A' * 13000), (b'SCRAM-SHA-1', b'bm9uc2Vuc2U=')):
            d.say(verb + words)
            assert d.line().startswith(b'+ ')
            d.say(line)
            said = d.line()
            assert not d.good(said) and said[:1] in b'a-', said
        assert d.good(d.auth('PLAIN', plain()))
    with Door(shared, imap) as d:
        for words in (b'PLAIN !', b'PLAIN a b c', b'NOSUCH', b'PLAIN ='):
            d.say(verb + words)
            assert not d.good(d.line())
        assert d.good(d.auth('PLAIN', plain())) and d.works()
        assert not d.good(d.auth('PLAIN', plain())), 'once is enough'


@both
def test_external(make_lab, tmp_path, imap):
    ca, sign = authority(tmp_path)
    lab = make_lab(sets=['tls.client_ca=' + ca])
    good, stranger = sign('alice', 'email:alice@example.com'), sign('nobody', 'email:nobody@example.com')

    def attempt(cert, name, n):
        def answers():
            yield name
            yield name
        with Door(lab, imap, cert=cert, source='127.0.0.%d' % n) as d:
            assert 'EXTERNAL' in d.offered()
            return d.good(d.auth('EXTERNAL', answers(), n % 2)) and d.works()
    assert attempt(good, '', 10) and attempt(good, '', 11) and attempt(good, ALICE, 12) and attempt(good, ALICE, 13)
    assert not attempt(good, 'bob@example.com', 14)
    assert not attempt(stranger, '', 15)
    assert not attempt(None, '', 16)


@both
def test_tokens(make_lab, tmp_path, imap):
    key = tmp_path / 'jwt.key'
    key.write_bytes(b'secret:' + KEY)
    lab = make_lab(sets=['oauth.keys=%s' % key])
    for mech in ('OAUTHBEARER', 'XOAUTH2'):
        for initial in (True, False):
            with Door(lab, imap) as d:
                assert mech in d.offered()
                assert d.good(d.auth(mech, bearer(jwt(email=ALICE), mech), initial)) and d.works()
        for n, token in enumerate((jwt(email='bob@example.com'), jwt(email=ALICE, exp=int(time.time()) - 600), 'nonsense')):
            with Door(lab, imap, source='127.0.0.%d' % (10 + n)) as d:
                assert not d.good(d.auth(mech, bearer(token, mech)))


# --- imtest and pop3test of Cyrus IMAP: for the mechanisms that nobody else speaks

def cyrus(lab, imap, mech, *words, env=None):
    """(logged in, all that was said)"""
    program = os.path.join(PROGRAMS, 'imtest' if imap else 'pop3test')
    if not os.access(program, os.X_OK):
        pytest.skip('%s is not here; tools/setup.sh test unpacks it' % program)
    env = dict(env or os.environ)
    env['LD_LIBRARY_PATH'] = ':'.join([LIBRARIES, env.get('LD_LIBRARY_PATH', '')]).rstrip(':')
    r = subprocess.run([program, '-m', mech, '-t', '', *words, '-p', str(lab.port(143 if imap else 110)), 'localhost'], env=env,
                       input='z LOGOUT\r\n' if imap else 'QUIT\r\n', stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=60 * SLOW, text=True, errors='replace')
    return 'Authenticated.' in r.stdout, r.stdout


@both
def test_weak(make_lab, imap):
    """Where they are switched on, and the password itself is kept."""
    lab = make_lab(sets=['mechs=PLAIN ' + ' '.join(WEAK)])
    lab.run('user', 'add', 'carol@example.com', '--recoverable', '--password-stdin', input='secret\n')
    for mech in WEAK + ['PLAIN']:
        well, said = cyrus(lab, imap, mech, '-a', 'carol@example.com', '-u', 'carol@example.com', '-w', 'secret')
        assert well, said
    well, said = cyrus(lab, imap, 'CRAM-MD5', '-a', ALICE, '-u', ALICE, '-w', 'secret')
    assert not well, said


@pytest.fixture(scope='module')
def kdc(tmp_path_factory):
    if kerberos.missing():
        pytest.skip('%s not here; tools/setup.sh test unpacks krb5' % ' '.join(kerberos.missing()))
    k = kerberos.Kdc(tmp_path_factory.mktemp('kdc'))
    try:
        k.start()
        k.user('alice')
        for service in ('imap', 'pop'):
            k.service(service + '/localhost', 'keytab')
        yield k
    finally:
        k.stop()


def test_ticket(make_lab, kdc):
    lab = make_lab(sets=['gssapi.keytab=' + kdc.path('keytab'), 'gssapi.krb5_conf=' + kdc.path('krb5.conf'), 'mechs=PLAIN GSSAPI'],
                   args=['--hostname', 'localhost'])
    kdc.login('alice')
    for imap in (True, False):
        well, said = cyrus(lab, imap, 'GSSAPI', env=kdc.env)
        assert well, said
        well, said = cyrus(lab, imap, 'GSSAPI', '-u', 'bob@example.com', env=kdc.env)
        assert not well, said
