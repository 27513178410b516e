"""Accounts: what is kept of a password, imports, and who may log in how."""
import base64
import hashlib
import hmac
import os
import smtplib
import ssl
import stat

import pytest

SHA5 = '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'  # Hello world!
CLEAR = ('auth_cleartext=allow', 'mechs=PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256')


def passwd(lab):
    with open(os.path.join(lab.dir, 'auth/passwd'), encoding='ascii') as f:
        return dict(line.rstrip('\n').split(':', 1) for line in f)


def secure(lab, port=587):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    s = lab.smtp(port)
    s.starttls(context=context)
    s.ehlo()
    return s


def login(lab, name, password, mechanism='PLAIN'):
    """The code of the answer."""
    with secure(lab) as s:
        s.user, s.password = name, password
        method = getattr(s, 'auth_' + mechanism.lower().replace('-', '_'))
        try:
            return s.auth(mechanism, method, initial_response_ok=mechanism == 'PLAIN')[0]
        except smtplib.SMTPAuthenticationError as e:
            return e.smtp_code


@pytest.mark.parametrize('mechanism', ['PLAIN', 'LOGIN'])
def test_logins(lab, mechanism):
    assert login(lab, 'alice@example.com', 'secret', mechanism) == 235
    assert login(lab, 'ALICE@Example.Com', 'secret', mechanism) == 235
    assert login(lab, 'alice', 'secret', mechanism) == 235
    assert login(lab, 'alice@example.com', 'Secret', mechanism) == 535
    assert login(lab, 'nobody@example.com', 'secret', mechanism) == 535


def test_what_is_kept(make_lab):
    lab = make_lab(sets=CLEAR)
    path = os.path.join(lab.dir, 'auth/passwd')
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert 'SCRAM-SHA-256$4096:' in passwd(lab)['alice@example.com']
    assert 'secret' not in open(path).read()
    lab.run('user', 'add', 'ann@example.com', '--password-stdin', '--recoverable', input='p w%\n')
    assert passwd(lab)['ann@example.com'].endswith('\tpassword-in-clear=p%20w%25')
    assert login(lab, 'ann@example.com', 'p w%') == 235
    assert login(lab, 'ann@example.com', 'p w%', 'CRAM-MD5') == 235
    assert login(lab, 'ann@example.com', 'wrong', 'CRAM-MD5') == 535
    assert login(lab, 'nobody@example.com', 'wrong', 'CRAM-MD5') == 535
    assert login(lab, 'alice@example.com', 'secret', 'CRAM-MD5') == 534
    lab.run('user', 'passwd', 'ann@example.com', '--password-stdin', input='other\n')
    assert 'password-in-clear' not in passwd(lab)['ann@example.com']
    assert login(lab, 'ann@example.com', 'p w%') == 535, 'the old password is remembered'
    assert login(lab, 'ann@example.com', 'other') == 235


def test_hash_and_lock(lab):
    lab.run('user', 'add', 'ann@example.com', '--hash', SHA5)
    assert passwd(lab)['ann@example.com'] == SHA5
    assert login(lab, 'ann@example.com', 'Hello world!') == 235
    lab.run('user', 'passwd', 'ann@example.com', '--hash', '!' + SHA5)
    assert login(lab, 'ann@example.com', 'Hello world!') == 535
    r = lab.run('user', 'passwd', 'ann@example.com', '--hash', 'nonsense', check=False)
    assert r.returncode == 2 and 'crypt(3)' in r.stderr
    r = lab.run('user', 'passwd', 'ann@example.com', '--hash', SHA5, '--recoverable', check=False)
    assert r.returncode == 1 and '--hash' in r.stderr


def scram_dovecot(password):
    salt, rounds = b'0123456789abcdef', 4096
    salted = hashlib.pbkdf2_hmac('sha256', password, salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b'Client Key', 'sha256')).digest()
    server = hmac.digest(salted, b'Server Key', 'sha256')
    return '%d,%s' % (rounds, ','.join(base64.b64encode(x).decode() for x in (salt, stored, server)))


def test_import(lab, tmp_path):
    users = tmp_path / 'users'
    users.write_text('# a comment\n\n'
                     'root:*:19000:0:99999:7:::\n'
                     'ann:%s:19000:0:99999:7:::\n'
                     'bea@example.com:{SHA256-CRYPT}%s:1000:1000::/home/bea::\n'
                     'eva@example.com:{PLAIN}open sesame:::\n'
                     'ida@example.com:{SCRAM-SHA-256}%s\n'
                     'alice@example.com:%s\n' % (SHA5, SHA5, scram_dovecot(b'pencil'), SHA5))
    before = passwd(lab)
    args = ('user', 'import', str(users), '--domain', 'example.com')
    rows = lab.json(*args, '--dry-run')
    assert {r['address']: r['result'] for r in rows} == {
        'ann@example.com': 'would be added', 'bea@example.com': 'would be added', 'eva@example.com': 'would be added',
        'ida@example.com': 'would be added', 'alice@example.com': 'there already'}
    assert passwd(lab) == before
    r = lab.run(*args)
    assert '4 users added, 1 there already, 1 lines without a password left out, 0 refused' in r.stderr
    assert passwd(lab)['alice@example.com'] == before['alice@example.com']
    assert 'sesame' not in open(os.path.join(lab.dir, 'auth/passwd')).read()
    assert passwd(lab)['ida@example.com'].startswith('*\tSCRAM-SHA-256$4096:')
    assert login(lab, 'ann@example.com', 'Hello world!') == 235
    assert login(lab, 'bea@example.com', 'Hello world!') == 235
    assert login(lab, 'eva@example.com', 'open sesame') == 235
    assert login(lab, 'ida@example.com', 'pencil') == 535, 'there is only a verifier'
    lab.send(b'Subject: x\r\n\r\nx\r\n', to='ann@example.com')
    assert {r['result'] for r in lab.json(*args)} == {'there already'}


def test_import_refused(lab, tmp_path):
    users = tmp_path / 'users'
    users.write_text('ann:%s\nbea@example.com:{ARGON2ID}$x\nok@example.com:%s\nok@example.com:%s\n' % (SHA5, SHA5, SHA5))
    before = passwd(lab)
    r = lab.run('user', 'import', str(users), check=False)
    assert r.returncode == 2 and passwd(lab) == before
    for what in ('users:1: ', 'users:2: ', 'users:4: ', 'nothing was imported'):
        assert what in r.stderr, r.stderr
    users.write_text('ann@elsewhere.example:%s\nbea@example.com:%s\n' % (SHA5, SHA5))
    r = lab.run('user', 'import', str(users), check=False)
    assert r.returncode == 2 and 'elsewhere.example' in r.stdout
    assert 'bea@example.com' in passwd(lab) and 'ann@elsewhere.example' not in passwd(lab)
    assert lab.run('user', 'import', str(tmp_path / 'none'), check=False).returncode == 4


def test_file_of_before(lab):
    """A file of an earlier version, hashes alone, is read."""
    assert lab.stop() == 0
    path = os.path.join(lab.dir, 'auth/passwd')
    with open(path, 'r+') as f:
        lines = [line.split('\t')[0].rstrip('\n') + '\n' for line in f]
        f.seek(0)
        f.truncate()
        f.writelines(lines)
    lab.users = []
    lab.start()
    assert login(lab, 'bob@example.com', 'secret') == 235
    lab.run('user', 'add', 'ann@example.com', '--password-stdin', input='x\n')
    assert 'SCRAM' not in passwd(lab)['bob@example.com'] and 'SCRAM' in passwd(lab)['ann@example.com']


def test_octets(make_lab):
    """The message of AUTH PLAIN is octets; they need not be UTF-8."""
    message = 'AG1vb25wb22udEBob3RtYW2sLmNvbQBDaTMtY2RfOT0McklOd23OMFEsNGFB'
    lab = make_lab(sets=CLEAR, args=['--user-plain', message])
    for text, code in ((message, 235), (message[:-4] + 'NGFC', 535)):
        with lab.talk() as t:
            t.begin()
            t.ask('AUTH PLAIN ' + text, code)


def test_no_cleartext(lab):
    with lab.talk(587) as t:
        t.begin()
        code, text = t.ask('AUTH PLAIN ' + base64.b64encode(b'\0alice@example.com\0secret').decode())
        assert code in (530, 538), text
