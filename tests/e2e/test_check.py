"""pennypost check: each step by itself, what fails explained, the rest gone on with."""
import pytest

from puppet import Puppet, client, objects


def check(server, *words, timeout='3', **more):
    host, port = server.rsplit(':', 1)
    return client('check', '--timeout', timeout, host, port, *words, **more)


def steps(r):
    return {o['step']: o['result'] for o in objects(r) if o['ev'] == 'check'}


@pytest.fixture
def password(tmp_path):
    path = tmp_path / 'password'
    path.write_text('secret\n')
    return str(path)


def test_healthy(shared, password):
    r = check('127.0.0.1:%d' % shared.port(587), '--insecure', '--json', '--user', 'alice@example.com', '--password-file', password,
              '--from', 'alice@example.com', '--to', 'bob@example.com,alice@example.com')
    assert r.returncode == 0, r.stdout
    got = steps(r)
    assert got == {'connect': 'pass', 'greeting': 'pass', 'hello': 'pass', 'starttls': 'pass', 'certificate': 'note', 'relay': 'skip',
                   'auth': 'pass', 'mail': 'pass', 'rcpt': 'pass', 'quit': 'pass'}
    assert objects(r)[-1]['status'] == 0 and objects(r)[-1]['failed'] == 0
    assert 'secret' not in r.stdout and shared.count('bob@example.com') == 0


def test_table(shared):
    r = check('127.0.0.1:%d' % shared.port(), '--insecure', '--resolve', 'mail.example.com:127.0.0.1')
    for text in ('pass  greeting', 'several commands at a time (RFC 2920)', 'skip  auth', 'steps passed'):
        assert text in r.stdout, text
    r = client('check', '--insecure', '--resolve', 'mail.example.com:127.0.0.1', 'mail.example.com', str(shared.port()))
    assert r.returncode == 0 and 'pass  resolve' in r.stdout


def test_certificate(shared):
    r = check('127.0.0.1:%d' % shared.port(), '--json')
    assert r.returncode == 4 and steps(r)['certificate'] == 'fail' and steps(r)['quit'] == 'pass'
    ca = shared.dir + '/tls/default.crt'
    r = client('check', '--json', '--ca', ca, '--resolve', 'mail.example.com:127.0.0.1', 'mail.example.com', str(shared.port()))
    assert r.returncode == 0 and steps(r)['certificate'] == 'pass', r.stdout


def test_no_login_to_a_stranger(shared, password):
    """A certificate that is not good: nobody knows who would hear the password."""
    for port, more in ((587, []), (143, ['--proto', 'imap'])):
        r = check('127.0.0.1:%d' % shared.port(port), '--json', '--user', 'alice@example.com', '--password-file', password, *more)
        assert r.returncode == 4 and steps(r)['certificate'] == 'fail' and steps(r)['auth'] == 'skip', r.stdout


def test_implicit_tls(shared):
    r = check('127.0.0.1:%d' % shared.port(465), '--tls=implicit', '--insecure', '--json')
    assert r.returncode in (0, 9) and steps(r)['tls'] == 'pass' and steps(r)['hello'] == 'pass'


@pytest.mark.parametrize('proto, port', [('smtp', 587), ('imap', 143), ('pop3', 110)])
def test_password_is_kept_from_strangers(shared, tmp_path, proto, port):
    """A certificate that is not good fails its step, and whoever has it gets no password."""
    path = tmp_path / 'password'
    path.write_text('wrong\n')
    r = check('127.0.0.1:%d' % shared.port(port), '--proto', proto, '--json', '--user', 'alice@example.com', '--password-file',
              str(path))
    assert r.returncode == 4 and steps(r)['certificate'] == 'fail' and steps(r)['auth'] == 'skip', r.stdout


def test_wrong_password(shared, tmp_path):
    path = tmp_path / 'password'
    path.write_text('wrong\n')
    r = check('127.0.0.1:%d' % shared.port(587), '--insecure', '--json', '--user', 'alice@example.com', '--password-file', str(path))
    assert r.returncode == 8 and steps(r)['auth'] == 'fail' and steps(r)['quit'] == 'pass'
    assert [o for o in objects(r) if o['ev'] == 'explain']


@pytest.mark.parametrize('proto, port', [('imap', 143), ('pop3', 110)])
def test_mail(shared, password, proto, port):
    r = check('127.0.0.1:%d' % shared.port(port), '--proto', proto, '--insecure', '--json', '--user', 'alice@example.com',
              '--password-file', password)
    assert r.returncode == 0, r.stdout
    assert steps(r) == {'connect': 'pass', 'greeting': 'pass', 'capabilities': 'pass', 'starttls': 'pass', 'certificate': 'note',
                        'auth': 'pass', 'bye': 'pass'}
    r = check('127.0.0.1:%d' % shared.port(port), '--proto', proto, '--insecure', '--json', '--user', 'alice@example.com',
              '--password-file', '/dev/null')
    assert r.returncode != 0 and steps(r)['auth'] == 'fail'


@pytest.mark.parametrize('answers, words, status, results', [
    ({'greeting': '554 no'}, [], 6, {'greeting': 'fail'}),
    ({'greeting': '+OK POP3'}, [], 6, {'greeting': 'fail'}),
    ({'greeting': None}, [], 15, {'greeting': 'fail'}),
    ({'EHLO': '550 no', 'HELO': '550 no'}, [], 7, {'hello': 'fail', 'quit': 'pass'}),
    ({'EHLO': '500 no'}, [], 0, {'hello': 'pass', 'starttls': 'skip', 'mail': 'pass'}),
    ({'EHLO': '250-x\n250 STARTTLS', 'STARTTLS': '554 TLS not supported here'}, [], 5,
     {'starttls': 'fail', 'mail': 'pass', 'quit': 'pass'}),
    ({'EHLO': '250-x\n250 STARTTLS', 'STARTTLS': '220 go'}, [], 4, {'starttls': 'fail', 'mail': 'pass'}),
    ({}, ['--tls=must'], 5, {'starttls': 'fail'}),
    ({'EHLO': '250-x\n250 STARTTLS', 'STARTTLS': '220 go'}, ['--tls=must'], 4, {'starttls': 'fail', 'mail': None}),
    ({'EHLO': '250-x\n250 STARTTLS', 'STARTTLS': None}, [], 15, {'starttls': 'fail', 'mail': None}),
    ({'MAIL': '550 5.7.1 no'}, ['--to', 'a@example.com'], 9, {'mail': 'fail', 'rcpt': 'skip', 'quit': 'pass'}),
    ({'RCPT': '550 5.1.1 no'}, ['--to', 'a@example.com,b@example.com'], 10, {'mail': 'pass', 'rcpt': 'fail', 'quit': 'pass'}),
    ({'RCPT': ['550 5.1.1 no', '250 ok']}, ['--to', 'a@example.com', '--to', 'b@example.com'], 11, {'quit': 'pass'}),
    ({}, ['--relay-test'], 12, {'relay': 'fail', 'mail': 'pass'}),
    ({'RCPT': '550 5.7.1 relaying denied'}, ['--relay-test'], 0, {'relay': 'pass'}),
    ({'MAIL': lambda s, line: s.shutdown(2) or b''}, [], 14, {'mail': 'fail'}),
])
def test_sick(answers, words, status, results):
    with Puppet(**answers) as mx:
        r = check(mx.address, '--json', *words, timeout='1')
    got = steps(r)
    assert r.returncode == status and {k: got.get(k) for k in results} == results, r.stdout
    assert 'DATA' not in mx.said()


def test_names_differ():
    with Puppet(EHLO='250 other.example.org Hello') as mx:
        r = check(mx.address, '--json')
    assert r.returncode == 0 and steps(r)['name'] == 'note'
    assert 'other.example.org' in r.stdout and 'mx.example.com' in r.stdout


def test_unreachable():
    r = client('check', '--json', '127.0.0.1', '1')
    assert r.returncode == 3 and steps(r) == {'connect': 'fail'}
    r = client('check', '--json', '--timeout', '5', 'nowhere.invalid')
    assert r.returncode in (2, 15) and steps(r) == {'resolve': 'fail'}


def test_hostile():
    with Puppet(greeting=b'220-\x1b]0;x\x07\xff' + b'y' * 300000 + b'\r\n220 mx.example.com\r\n', EHLO='250-x\x1b[2J\n250 \x07BEL') as mx:
        r = check(mx.address)
    assert r.returncode == 0 and '\x1b' not in r.stdout and '\x07' not in r.stdout and len(r.stdout) < 20000


def test_usage():
    assert client('check').returncode == 1
    assert client('check', '--proto', 'raw', '127.0.0.1', '25').returncode == 1
    assert '--relay-test' in client('check', '--relay-tst', 'x').stderr
    assert client('check', '--help').returncode == 0
    for command in ('check', 'cert'):
        r = client(command, '--mx', 'example.com')
        assert r.returncode == 1 and 'pennypost mx' in r.stderr


@pytest.mark.parametrize('dialect', ['sendmail', 'exchange', 'citadel', 'iis6', 'ironport', 'sendgrid'])
def test_dialects(make_lab, dialect):
    lab = make_lab(args=['--dialect', dialect])
    r = check('127.0.0.1:%d' % lab.port(), '--insecure', '--json', '--to', 'alice@example.com')
    assert steps(r)['rcpt'] == 'pass', r.stdout
