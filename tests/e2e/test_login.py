"""AUTH with real clients, by every mechanism, and everything that can be wrong with it."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import smtplib
import subprocess
import time

import pytest

from secure import authority, memory_of, secure, submission, upgrade
from server import SLOW

LETTER = b'From: alice@example.com\r\nTo: bob@example.com\r\nSubject: hello\r\n\r\ntext\r\n'


def b64(octets):
    return base64.b64encode(octets.encode() if isinstance(octets, str) else octets).decode()


def begin(lab, logical=587, source=None):
    t = lab.talk(logical, source=source)
    t.begin()
    t = upgrade(t)
    t.ask('EHLO me', 250)
    return t


@contextlib.contextmanager
def arrives(lab, n, user='bob@example.com'):
    before = lab.count(user)
    yield
    assert lab.count(user) == before + n


def have(program):
    if not shutil.which(program):
        pytest.skip('there is no %s here' % program)
    return program


# --- what is offered, and where

def test_nothing_in_clear(shared):
    for port in (25, 587):
        with shared.talk(port) as t:
            assert 'AUTH' not in t.begin()[1]
            code, text = t.ask('AUTH PLAIN ' + b64('\0alice@example.com\0secret'))
            assert code == (538 if port == 587 else 503), text
            t.ask('NOOP', 250)
    with begin(shared) as t:
        offered = [l for l in t.ask('EHLO me', 250)[1].split('\n') if l.startswith('AUTH ')]
        assert len(offered) == 1
        mechs = offered[0].split()[1:]
        for m in ('SCRAM-SHA-256-PLUS', 'SCRAM-SHA-1-PLUS', 'SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN', 'LOGIN'):
            assert m in mechs
        for m in ('CRAM-MD5', 'DIGEST-MD5', 'NTLM', 'GSSAPI', 'ANONYMOUS', 'OAUTHBEARER', 'EXTERNAL'):
            assert m not in mechs
            assert t.ask('AUTH ' + m)[0] == 504
        assert t.ask('MAIL FROM:<alice@example.com>')[0] == 530


def test_forms(shared):
    """RFC 4954: initial response, none, =, *, bad base64, too long, twice, in a transaction."""
    lab = shared
    right = b64('\0alice@example.com\0secret')
    with begin(lab) as t:
        t.ask('AUTH PLAIN ' + right, 235)
        assert t.ask('AUTH PLAIN ' + right)[0] == 503
    with begin(lab) as t:
        assert t.ask('AUTH PLAIN')[0] == 334
        t.ask(right, 235)
        t.ask('MAIL FROM:<alice@example.com>', 250)
        assert t.ask('AUTH PLAIN ' + right)[0] == 503
    with begin(lab) as t:
        t.ask('auth login ' + b64('alice@example.com'), 334)
        t.ask(b64('secret'), 235)
    with begin(lab) as t:
        assert t.ask('AUTH LOGIN', 334)[1] == b64('Username:')
        assert t.ask(b64('alice@example.com'), 334)[1] == b64('Password:')
        assert t.ask('*')[0] == 501
        assert t.ask('AUTH PLAIN *bad*')[0] == 501
        assert t.ask('AUTH PLAIN =')[0] in (501, 535)
        assert t.ask('AUTH')[0] == 501
        assert t.ask('AUTH PLAIN a b c')[0] == 501
        assert t.ask('AUTH NOSUCH')[0] == 504
    with begin(lab) as t:
        t.ask('AUTH PLAIN', 334)
        assert t.ask('A' * 12400)[0] == 500
        t.ask('NOOP', 250)
        t.ask('AUTH PLAIN ' + right, 235)
        t.ask('RSET', 250)
        t.ask('MAIL FROM:<alice@example.com>', 250)  # still who she is


def test_wrong(make_lab):
    """A wrong password and a name nobody has: one answer; the log knows more."""
    lab = make_lab(sets=['log.level=info'])
    answers = set()
    for i, (name, password) in enumerate((('alice@example.com', 'wrong'), ('nobody@example.com', 'secret'),
                                          ('alice@example.com', 'secret\n'), ('', ''), ('bob@example.com', ''))):
        with begin(lab, source='127.0.0.%d' % (10 + i)) as t:
            code, text = t.ask('AUTH PLAIN ' + b64('\0%s\0%s' % (name, password)))
            assert code in (535, 501)
            if name and password:
                answers.add((code, text))
            t.ask('NOOP', 250)
    assert len(answers) == 1
    log = lab.log()
    assert log.count('event=login-refused') >= 3
    for fact in ('account=alice@example.com', 'peer=127.0.0.10', 'why="wrong password"', 'command="AUTH PLAIN" reply="535'):
        assert fact in log, fact
    assert b64('\0alice@example.com\0wrong') not in log and 'secret' not in log


def test_right_is_not_delayed(make_lab):
    """Failures make the next ones slower, for the address they came from; who gets it right from
    elsewhere never waits."""
    lab = make_lab(sets=['log.level=info'])

    def attempt(password, source):
        with begin(lab, source=source) as t:
            start = time.monotonic()
            code = t.ask('AUTH PLAIN ' + b64('\0alice@example.com\0' + password))[0]
            return code, time.monotonic() - start
    wrong = [attempt('wrong %d' % i, '127.0.0.2') for i in range(4)]
    assert [code for code, _ in wrong] == [535] * 4
    assert wrong[3][1] > 0.9
    assert attempt('secret', '127.0.0.3')[0] == 235
    assert 'peer=127.0.0.3 service=smtp why="" delay-ms=0' in lab.log()
    code, took = attempt('secret', '127.0.0.2')  # a quick answer would tell a guesser
    assert code == 235 and took > 0.9


def test_masked(lab):
    with submission(lab) as s:
        s.sendmail('alice@example.com', ['bob@example.com'], LETTER)
    rows = lab.json('mailbox', 'show', 'bob@example.com')
    said = lab.run('trace', rows[0]['letter']).stdout
    assert 'AUTH' in said
    assert b64('\0alice@example.com\0secret') not in said and b64('secret') not in said
    received = lab.only_letter('bob@example.com')
    assert b'with ESMTPSA' in received


def test_password_passes_through(make_lab):
    """However it was said, and whatever became of it, no front remembers it."""
    words = ['Zq7x%sSecretWord99' % how for how in ('Plain', 'Steps', 'Login', 'Wrong', 'Clear', 'Early')]
    users = ['u%d@example.com:%s' % (i, w) for i, w in enumerate(words)]
    lab = make_lab(users=users)

    def first(i, more=''):
        return b64('\0u%d@example.com\0%s%s' % (i, words[i], more))
    open_still = [begin(lab) for _ in range(4)]
    with contextlib.ExitStack() as stack:
        plain, steps, login, wrong = [stack.enter_context(t) for t in open_still]
        plain.ask('AUTH PLAIN ' + first(0), 235)
        steps.ask('AUTH PLAIN', 334)
        for octet in (first(1) + '\r\n').encode():
            steps.sock.sendall(bytes([octet]))
        assert steps.reply()[0] == 235
        login.ask('AUTH LOGIN', 334)
        login.ask(b64('u2@example.com'), 334)
        login.ask(b64(words[2]), 235)
        assert wrong.ask('AUTH PLAIN ' + first(3, '!'))[0] == 535
        with lab.talk(587) as t:
            t.begin()
            assert t.ask('AUTH PLAIN ' + first(4))[0] == 538
            assert t.ask(first(5))[0] == 500
        try:
            fronts = [memory_of(pid) for pid in lab.roles('front')]
        except PermissionError:
            pytest.skip('reading the memory of another process is not permitted here')
        if not all(fronts):
            pytest.skip('reading the memory of another process is not permitted here')
        assert any(b'u2@example.com' in image for image in fronts)
        for i, word in enumerate(words):
            needles = [word.encode(), first(i).encode()[-24:-4], b64(word).encode()[:24]]
            assert [n for n in needles for image in fronts if n in image] == []


def test_user_without_domain(shared):
    with begin(shared) as t:
        t.ask('AUTH PLAIN ' + b64('\0alice\0secret'), 235)


# --- clients

@pytest.mark.parametrize('logical', [587, 465])
def test_smtplib(shared, logical):
    with arrives(shared, 2):
        for how in ('PLAIN', 'LOGIN'):
            with submission(shared, user=None, logical=logical) as s:
                s.ehlo()
                s.user, s.password = 'alice@example.com', 'secret'
                code, _ = s.auth(how, getattr(s, 'auth_' + how.lower()))
                assert code == 235
                s.sendmail('alice@example.com', ['bob@example.com'], LETTER)
    if logical == 587:
        with pytest.raises(smtplib.SMTPAuthenticationError) as e:
            submission(shared, password='wrong', logical=logical)
        assert e.value.smtp_code == 535


def swaks(lab, how, port, mech, user='alice@example.com'):
    return subprocess.run([have('swaks'), '--server', '127.0.0.1', how, '-p', str(lab.port(port)), '--auth', mech,
                           '--auth-user', user, '--auth-password', 'secret', '--from', user, '--to', 'bob@example.com'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * SLOW)


def test_swaks(shared):
    with arrives(shared, 2):
        for how, port, mech in (('--tls', 587, 'PLAIN'), ('--tls-on-connect', 465, 'LOGIN')):
            r = swaks(shared, how, port, mech)
            if b'requires Net::SSLeay' in r.stdout:
                pytest.skip('this swaks has no TLS')
            assert r.returncode == 0, r.stdout.decode()


def test_curl(shared, tmp_path):
    have('curl')
    letter = tmp_path / 'letter'
    letter.write_bytes(LETTER)
    with arrives(shared, 2):
        for url, more in (('smtp://127.0.0.1:%d' % shared.port(587), ['--ssl-reqd', '--login-options', 'AUTH=LOGIN']),
                          ('smtps://127.0.0.1:%d' % shared.port(465), [])):
            r = subprocess.run(['curl', '-sS', '-k', *more, '--url', url, '--user', 'alice@example.com:secret', '--mail-from',
                                'alice@example.com', '--mail-rcpt', 'bob@example.com', '--upload-file', str(letter)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * SLOW)
            assert r.returncode == 0, r.stdout.decode()


def msmtp(lab, tmp_path, mech, *more, password='secret', port=587):
    rc = tmp_path / 'msmtprc'
    lines = ['account default', 'host 127.0.0.1', 'port %d' % lab.port(port), 'from alice@example.com', 'tls on',
             'tls_starttls %s' % ('on' if port == 587 else 'off'), 'tls_certcheck off', 'auth ' + mech,
             'user alice@example.com', 'domain client.example.net', *more]
    if password:
        lines.append('password ' + password)
    rc.write_text('\n'.join(lines) + '\n')
    rc.chmod(0o600)
    return subprocess.run([have('msmtp'), '-C', str(rc), '--debug', 'bob@example.com'], input=LETTER,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * SLOW)


@pytest.mark.parametrize('mech', ['plain', 'login', 'scram-sha-1', 'scram-sha-256'])
def test_msmtp(shared, tmp_path, mech):
    with arrives(shared, 1):
        r = msmtp(shared, tmp_path, mech)
        assert r.returncode == 0, r.stdout.decode()
        r = msmtp(shared, tmp_path, mech, 'source_ip 127.0.0.%d' % (20 + len(mech)), password='wrong')
        assert r.returncode != 0 and b'535' in r.stdout, r.stdout.decode()


def test_external(make_lab, tmp_path):
    """Who has a certificate of our authority for an address here needs no password."""
    ca, sign = authority(tmp_path)
    lab = make_lab(sets=['tls.client_ca=' + ca, 'xclient_peers=127.0.0.1'])
    good = sign('alice', 'email:alice@example.com')
    stranger = sign('nobody', 'email:nobody@example.com')
    r = msmtp(lab, tmp_path, 'external', 'tls_cert_file ' + good[0], 'tls_key_file ' + good[1], password=None)
    assert r.returncode == 0, r.stdout.decode()
    with begin_with(lab, good) as t:
        t.ask('AUTH EXTERNAL =', 235)
    with begin_with(lab, good) as t:
        t.ask('AUTH EXTERNAL ' + b64('alice@example.com'), 235)
    with begin_with(lab, good) as t:
        assert t.ask('AUTH EXTERNAL ' + b64('bob@example.com'))[0] == 535
    with begin_with(lab, stranger) as t:
        assert t.ask('AUTH EXTERNAL =')[0] == 535
    with begin(lab) as t:
        assert 'EXTERNAL' in t.ask('EHLO me', 250)[1]
        assert t.ask('AUTH EXTERNAL =')[0] == 535  # no certificate
    with begin_with(lab, good) as t:  # the proxy's certificate is not its client's
        t.ask('XCLIENT ADDR=192.0.2.9', 220)
        t.ask('EHLO me', 250)
        assert t.ask('AUTH EXTERNAL =')[0] == 535


def begin_with(lab, cert):
    t = secure(lab, cert=cert)
    assert t.reply()[0] == 220
    t.ask('EHLO me', 250)
    return t


def jwt(claims, secret):
    def part(d):
        return base64.urlsafe_b64encode(json.dumps(d).encode()).rstrip(b'=')
    text = part({'alg': 'HS256', 'typ': 'JWT'}) + b'.' + part(claims)
    mac = hmac.new(secret, text, hashlib.sha256).digest()
    return (text + b'.' + base64.urlsafe_b64encode(mac).rstrip(b'=')).decode()


def test_oauth(make_lab, tmp_path):
    secret = b'a secret of thirty-two octets....'
    path = tmp_path / 'jwt.key'
    path.write_text('secret:' + secret.decode())
    lab = make_lab(sets=['oauth.keys=%s' % path, 'oauth.issuer=https://id.example.com', 'oauth.claim=email'])
    now = int(time.time())
    good = {'iss': 'https://id.example.com', 'email': 'alice@example.com', 'exp': now + 3600}
    with begin(lab) as t:
        assert 'OAUTHBEARER' in t.ask('EHLO me', 250)[1]
        t.ask('AUTH OAUTHBEARER ' + b64('n,a=alice@example.com,\1auth=Bearer %s\1\1' % jwt(good, secret)), 235)
    with begin(lab) as t:
        t.ask('AUTH XOAUTH2 ' + b64('user=alice@example.com\1auth=Bearer %s\1\1' % jwt(good, secret)), 235)
    for i, bad in enumerate((jwt(good, b'another secret'), jwt(dict(good, exp=now - 3600), secret),
                             jwt(dict(good, iss='x'), secret), jwt(dict(good, email='bob@example.com'), secret), 'nonsense')):
        with begin(lab, source='127.0.0.%d' % (10 + i)) as t:
            code, text = t.ask('AUTH OAUTHBEARER ' + b64('n,a=alice@example.com,\1auth=Bearer %s\1\1' % bad))
            if code == 334:  # RFC 7628 3.2.2: why, in JSON; then an empty answer
                json.loads(base64.b64decode(text))
                code, text = t.ask(b64('\1'))
            assert code == 535, (bad, text)
    for mech in ('oauthbearer', 'xoauth2'):
        r = msmtp(lab, tmp_path, mech, password=jwt(good, secret))
        assert r.returncode == 0, r.stdout.decode()
    r = subprocess.run([have('curl'), '-sS', '-k', '-v', '--url', 'smtps://127.0.0.1:%d' % lab.port(465), '--user', 'alice@example.com',
                        '--oauth2-bearer', jwt(good, secret), '--mail-from', 'alice@example.com', '--mail-rcpt', 'bob@example.com',
                        '--upload-file', '-'], input=LETTER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * SLOW)
    assert r.returncode == 0 and b'AUTH OAUTHBEARER' in r.stdout, r.stdout.decode()


def test_weak(make_lab, tmp_path):
    """Off by default; switched on they need the password itself to be kept."""
    lab = make_lab(sets=['mechs=PLAIN LOGIN CRAM-MD5 DIGEST-MD5 NTLM'])
    lab.run('user', 'add', 'carol@example.com', '--recoverable', '--password-stdin', input='secret\n')
    with submission(lab, user=None) as s:
        s.ehlo()
        s.user, s.password = 'carol@example.com', 'secret'
        assert s.auth('CRAM-MD5', s.auth_cram_md5)[0] == 235
    with submission(lab, user=None) as s:
        s.ehlo()
        s.user, s.password = 'alice@example.com', 'secret'  # kept as hash and verifiers only
        with pytest.raises(smtplib.SMTPAuthenticationError) as e:
            s.auth('CRAM-MD5', s.auth_cram_md5)
        assert e.value.smtp_code in (534, 535)
    r = msmtp(lab, tmp_path, 'cram-md5')
    assert r.returncode != 0
    r = swaks(lab, '--tls', 587, 'CRAM-MD5', 'carol@example.com')
    assert r.returncode == 0 or b'requires Net::SSLeay' in r.stdout, r.stdout.decode()


def test_nodemailer(shared):
    have('node')
    place = os.environ.get('PENNYPOST_NODE_MODULES') or os.path.join(
        os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'build', 'peers', 'node')
    if not os.path.isdir(os.path.join(place, 'node_modules', 'nodemailer')):
        pytest.skip('nodemailer is not here')
    script = '''
const n = require('nodemailer');
const t = n.createTransport({host: '127.0.0.1', port: %d, secure: %s, requireTLS: true,
  tls: {rejectUnauthorized: false}, auth: {user: 'alice@example.com', pass: 'secret'}});
t.sendMail({from: 'alice@example.com', to: 'bob@example.com', subject: 'héllo', text: 'text',
  attachments: [{filename: 'a.bin', content: Buffer.alloc(100000, 7)}]})
 .then(i => { console.log(i.response); t.close(); }, e => { console.error(e); process.exit(1); });
'''
    with arrives(shared, 2):
        for port, implicit in ((587, 'false'), (465, 'true')):
            r = subprocess.run(['node', '-e', script % (shared.port(port), implicit)], cwd=place, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, timeout=60 * SLOW)
            assert r.returncode == 0, r.stdout.decode()
