"""Logging in with smtptest of Cyrus IMAP: the mechanisms that other clients have not got, among them
NTLM, DIGEST-MD5 and GSSAPI, with a key distribution centre of our own."""
import base64
import os
import shutil
import signal
import subprocess

import pytest

import kerberos
from secure import upgrade
from server import ROOT, SLOW, free_base, wait_until

PLACE = os.path.join(ROOT, 'build', 'peers', 'cyrus')
SMTPTEST = os.path.join(PLACE, 'usr', 'lib', 'cyrus', 'bin', 'smtptest')
LIBRARIES = os.path.join(PLACE, 'usr', 'lib', os.uname().machine + '-linux-gnu')
WEAK = ['DIGEST-MD5', 'CRAM-MD5', 'NTLM']

pytestmark = pytest.mark.skipif(not os.access(SMTPTEST, os.X_OK),
                                reason='smtptest is not here; tools/setup.sh test unpacks it')


def smtptest(lab, mech, *words, env=None):
    """(the reply's code, all that was said)."""
    env = dict(env or os.environ)
    env['LD_LIBRARY_PATH'] = ':'.join([LIBRARIES, env.get('LD_LIBRARY_PATH', '')]).rstrip(':')
    r = subprocess.run([SMTPTEST, '-m', mech, *words, '-p', str(lab.port(587)), 'localhost'], env=env, input='QUIT\r\n',
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * SLOW, text=True, errors='replace')
    codes = [line[3:6] for line in r.stdout.split('\n') if line.startswith('S: ') and line[3] in '2345'
             and line[3:6] not in ('220', '250', '334')]
    return (int(codes[0]) if codes else None), r.stdout


def by_password(lab, mech, user, password):
    return smtptest(lab, mech, '-t', '', '-a', user, '-u', user, '-w', password)


# --- passwords

def test_password(make_lab):
    """Right; not kept, so that the weak ones get no further; wrong (few: failures make all slower)."""
    mechs = WEAK + ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN', 'LOGIN']
    lab = make_lab(sets=['mechs=' + ' '.join(mechs)])
    lab.run('user', 'add', 'carol@example.com', '--recoverable', '--password-stdin', input='secret\n')
    for mech in mechs:
        code, said = by_password(lab, mech, 'carol@example.com', 'secret')
        assert code == 235, said
    code, said = by_password(lab, WEAK[0], 'alice@example.com', 'secret')
    assert code == 534, said
    for mech, user in zip(WEAK, ('carol@example.com', 'nobody@example.com', 'carol@example.com')):
        code, said = by_password(lab, mech, user, 'wrong')
        assert code == 535, said


# --- tickets

@pytest.fixture(scope='module')
def kdc(tmp_path_factory):
    missing = kerberos.missing()
    if missing:
        pytest.skip('%s not here; tools/setup.sh test unpacks krb5' % ' '.join(missing))
    k = kerberos.Kdc(tmp_path_factory.mktemp('kdc'))
    try:
        k.start()
        for name in ('alice', 'alice/admin', 'Bob'):
            k.user(name)
        k.service('smtp/localhost', 'keytab')
        yield k
    finally:
        k.stop()


CONFIG = '''
hostname = "localhost";
data_dir = "%s";
domains = [ "example.com" ];
store: { segment_bytes = "8M"; };
fronts = 1;
listen = ( { address = "127.0.0.1"; port = %d; mechs = "GSSAPI"; auth_cleartext = "allow"; } );
'''


def settings(kdc, *more):
    return ['gssapi.keytab=' + kdc.path('keytab'), 'gssapi.krb5_conf=' + kdc.path('krb5.conf'), *more]


def kerberos_lab(make_lab, kdc, *more, **options):
    return make_lab(sets=settings(kdc, 'mechs=PLAIN GSSAPI', *more), args=['--hostname', 'localhost'], **options)


def by_ticket(lab, kdc, *words):
    return smtptest(lab, 'GSSAPI', '-t', '', *words, env=kdc.env)


def in_clear(lab, kdc):
    return smtptest(lab, 'GSSAPI', env=kdc.env)[0]


def up(lab):
    try:
        with lab.talk(587) as t:
            return t.reply()[0] == 220
    except (ConnectionError, AssertionError):
        return False


def test_ticket(make_lab, kdc):
    """alice@EXAMPLE.COM is alice@example.com, and may say so in any way; she is nobody else."""
    lab = kerberos_lab(make_lab, kdc)
    role = lab.roles('gssapi')
    assert len(role) == 1
    kdc.login('alice')
    for words in ((), ('-u', 'alice'), ('-u', 'alice@example.com'), ('-u', 'alice@EXAMPLE.COM')):
        code, said = by_ticket(lab, kdc, *words)
        assert code == 235, said
    code, said = by_ticket(lab, kdc, '-u', 'bob@example.com')
    assert code == 535, said
    # A name of two parts; capitals, which are another principal than bob.
    for name in ('alice/admin', 'Bob'):
        kdc.login(name)
        code, said = by_ticket(lab, kdc)
        assert code == 535, said
    kdc.login('alice')
    assert by_ticket(lab, kdc)[0] == 235
    lab.run('user', 'remove', 'alice@example.com')
    wait_until(lambda: by_ticket(lab, kdc)[0] == 535)
    assert lab.roles('gssapi') == role
    rows = [r for r in lab.json('status')['roles'] if r['role'] == 'gssapi']
    assert rows and 'seccomp' in str(rows)


def test_keytab_comes_and_changes(make_lab, kdc, tmp_path):
    """Switched on by a reload; tickets for a key that is not in the keytab; the key comes; a crash."""
    base, guard = free_base()
    path = tmp_path / 'pennypost.conf'
    keytab = kdc.service('imap/localhost', 'other')
    text = CONFIG % (tmp_path / 'data', base + 587)
    path.write_text(text)
    lab = make_lab(start=False, config=str(path), base=base)
    lab.guard = guard
    lab.start(wait=False)
    wait_until(lambda: up(lab), 30)
    lab.run('user', 'add', 'alice@example.com', '--password-stdin', input='secret\n')
    kdc.login('alice')
    assert in_clear(lab, kdc) == 504 and not lab.roles('gssapi')
    path.write_text(text + 'gssapi: { keytab = "%s"; krb5_conf = "%s"; };\n' % (keytab, kdc.path('krb5.conf')))
    lab.run('reload')
    wait_until(lambda: in_clear(lab, kdc) == 535)
    role = lab.roles('gssapi')
    shutil.copyfile(kdc.path('keytab'), keytab)
    lab.run('reload')
    wait_until(lambda: in_clear(lab, kdc) == 235)
    assert lab.roles('gssapi') == role
    os.kill(role[0], signal.SIGKILL)
    wait_until(lambda: lab.roles('gssapi') not in ([], role))
    wait_until(lambda: in_clear(lab, kdc) == 235)
    path.write_text(text)
    lab.run('reload')
    wait_until(lambda: not lab.roles('gssapi'))
    assert in_clear(lab, kdc) == 504


def b64(octets):
    return base64.b64encode(octets).decode()


def test_not_a_ticket(make_lab, kdc):
    lab = kerberos_lab(make_lab, kdc)
    role = lab.roles('gssapi')
    token = bytes.fromhex('60810b06092a864886f712010202')
    for octets in (b'', b'x' * 4000, token, token + b'\1\0' + b'x' * 100):
        with lab.talk(587) as t:
            t.begin()
            t = upgrade(t)
            assert 'GSSAPI' in t.ask('EHLO me', 250)[1]
            code, _ = t.ask('AUTH GSSAPI ' + (b64(octets) or '='))
            if code == 334:
                code, _ = t.ask(b64(octets))
            assert code in (535, 501), code
    kdc.login('alice')
    assert by_ticket(lab, kdc)[0] == 235
    assert lab.roles('gssapi') == role


def test_off(make_lab, kdc):
    """Not on a listener that does not name it. Copies of the keys go with the process."""
    lab = make_lab(sets=settings(kdc), args=['--hostname', 'localhost'])
    kept = os.path.join(lab.dir, 'gssapi')
    assert len(lab.roles('gssapi')) == 1 and os.path.exists(os.path.join(kept, 'keytab'))
    assert os.stat(kept).st_mode & 0o777 == 0o700
    with lab.talk(587) as t:
        t.begin()
        t = upgrade(t)
        assert 'GSSAPI' not in t.ask('EHLO me', 250)[1]
        assert t.ask('AUTH GSSAPI')[0] == 504
    lab.stop()
    assert not os.path.exists(os.path.join(kept, 'keytab'))
