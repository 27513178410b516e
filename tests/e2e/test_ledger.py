"""What the client promises, where no other file shows it: options, local commands, exit statuses, events."""
import base64
import email
import email.policy
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from nameserver import NameServer
from puppet import ENV, Puppet, client, objects
from server import BINARY, ROOT, SLOW
from talking import Server, Talk, environment, piped
from test_send import Odd

EVERYTHING = ('250-mx.example.com\n250-SIZE 100000\n250-8BITMIME\n250-SMTPUTF8\n250-DSN\n250-DELIVERBY\n250-XVERP\n'
              '250-CHUNKING\n250-BINARYMIME\n250 PIPELINING')
AUTH = '250-mx.example.com\n250 AUTH PLAIN LOGIN XOAUTH2'
EHLO = ('ehlo', '250-mail.example.com Hello\r\n250 SIZE\r\n')
MAIL, RCPT, DATA = ('mail', '250 2.1.0 ok\r\n'), ('rcpt', '250 2.1.5 ok\r\n'), ('data', '354 go\r\n')
DOT, QUIT, NOOP = (r'\.$', '250 2.0.0 taken\r\n'), ('quit', '221 bye\r\n'), ('noop', '250 ok\r\n')
MX = {('example.com', 'MX'): ['10 dead.example.com', '20 mx.example.com'], ('mx.example.com', 'A'): ['127.0.0.1'],
      ('dead.example.com', 'A'): ['127.0.0.77']}


def send(server, *words, sender=True, **more):
    """`send` of a small letter to the server, which is a Puppet, an Odd or a port."""
    port = getattr(server, 'port', server)
    who = ['--from', 'a@example.net', '--to', 'joe@example.com'] if sender else []
    return client('send', '--color=never', '--timeout', '5', *who, *words, '127.0.0.1:%d' % port, **more)


def data_of(puppet):
    """The letters that it was sent."""
    letters, lines = [], None
    for line in puppet.said():
        if lines is None and line.upper() == 'DATA':
            lines = []
        elif lines is not None and line == '.':
            letters.append('\n'.join(x[1:] if x.startswith('.') else x for x in lines) + '\n')
            lines = None
        elif lines is not None:
            lines.append(line)
    return letters


TAKES = {'DOT': '250 2.0.0 taken'}


# --- connection

def test_each_address_in_turn(tmp_path):
    """K1-08: all of a name are tried, and each is told."""
    dead = socket.socket()
    dead.bind(('127.0.0.1', 0))  # nobody listens
    alive = socket.socket(socket.AF_INET6)
    try:
        alive.bind(('::1', dead.getsockname()[1]))
    except OSError:
        pytest.skip('no IPv6')
    alive.listen(4)
    port = alive.getsockname()[1]

    def serve():
        while True:
            try:
                conn, _ = alive.accept()
            except OSError:
                return
            with conn:
                conn.sendall(b'220 hi\r\n')
                conn.recv(100)
                conn.sendall(b'221 bye\r\n')
    threading.Thread(target=serve, daemon=True).start()
    two = ['--resolve', 'mail.test:127.0.0.1', '--resolve', 'mail.test:::1']
    with dead, alive:
        out, err, status = piped(tmp_path, 'quit\n', *two, 'mail.test', port)
        assert status == 0, out + err
        assert re.search(r'^Trying 127\.0\.0\.1\.\.\.\n#  127\.0\.0\.1: .*refused\nTrying ::1\.\.\.\nConnected to mail\.test\.\n', out)
        out, err, status = piped(tmp_path, 'quit\n', '-6', *two, 'mail.test', port)
        assert status == 0 and 'Trying 127' not in out
        out, err, status = piped(tmp_path, 'quit\n', '-4', *two, 'mail.test', port)
        assert status == 3 and 'Trying ::1' not in out
        out, err, status = piped(tmp_path, 'quit\n', '[::1]', port)
        assert status == 0 and 'Trying ::1' in out


def test_reverse_name(tmp_path):
    """K2-29: an address was typed, and it has a name."""
    name = socket.getnameinfo(('127.0.0.1', 0), 0)[0]
    out, err, status = piped(tmp_path, 'quit\n', '127.0.0.1', Server(QUIT).port)
    assert 'Connected to %s.\n' % name in out


def test_bind():
    with Puppet(greeting=lambda s, line: '220 you are %s' % s.getpeername()[0]) as mx:
        assert '220 you are 127.0.0.9' in send(mx, '--bind', '127.0.0.9', '--quit-after', 'greeting').stdout
        r = send(mx, '--bind', '192.0.2.1')
        assert r.returncode == 3 and '--bind' in r.stderr


def test_mx(tmp_path):
    """K0-23, K4-02: to the mail servers of a domain, the next one where the first is dead; all by --dns."""
    with NameServer(MX) as ns, Puppet(**TAKES) as mx:
        by = ['--mx', '--dns', ns.address, '--port', str(mx.port)]
        r = client('send', '--from', 'a@example.net', '--to', 'joe@example.com', *by)
        assert r.returncode == 0, r.stdout + r.stderr
        assert 'mail goes to dead.example.com (preference 10)' in r.stdout and 'mx.example.com (preference 20)' in r.stdout
        assert 'MAIL FROM:<a@example.net>' in ' '.join(mx.said()) and len(data_of(mx)) == 1
        out, err, status = piped(tmp_path, 'quit\n', *by, 'example.com')
        assert status == 0 and 'MX 20 mx.example.com' in out and 'Connected to mx.example.com.' in out, out + err
        r = client('send', '--from', 'a@example.net', '--to', 'joe@nowhere.example', *by)
        assert r.returncode == 2 and 'NXDOMAIN' in r.stderr, r.stderr


def test_dns(tmp_path):
    """--dns answers for the host, too, and /dns asks it."""
    with NameServer(MX) as ns:
        s = Server(QUIT)
        out, err, status = piped(tmp_path, '/dns example.com mx\n/dns nowhere.example\n/dns x.example ZZ\nquit\n', '--dns',
                                 ns.address, 'mx.example.com', s.port)
        assert status == 0 and 'Connected to mx.example.com.' in out, out + err
        assert 'example.com 300 MX 20 mx.example.com' in out and 'NXDOMAIN' in out and '/dns knows A, AAAA' in out
        out, err, status = piped(tmp_path, '', '--dns', ns.address, 'nowhere.example', s.port)
        assert status == 2 and 'nowhere.example' in err


def test_proxy_2():
    odd = Odd('QUIT\n', b'220 hi\r\n', 'EHLO', b'250 x\r\n', None)
    assert send(odd, '--proxy-v2=192.0.2.1:1234', '--quit-after', 'ehlo', '--tls=never').returncode in (0, 14)
    assert odd.got.startswith(b'\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c' + bytes([192, 0, 2, 1, 127, 0, 0, 1]) +
                              (1234).to_bytes(2, 'big') + odd.port.to_bytes(2, 'big') + b'EHLO ')


def test_proxy():
    with Puppet(PROXY=None) as mx:
        assert send(mx, '--proxy-v1=192.0.2.1:1234', '--quit-after', 'ehlo').returncode == 0
    assert mx.said()[0] == 'PROXY TCP4 192.0.2.1 127.0.0.1 1234 %d' % mx.port


def test_source_ehlo(tmp_path):
    with Puppet() as mx:
        assert send(mx, '--source-ehlo', 'relay.example.net', '--quit-after', 'ehlo').returncode == 0
    assert mx.said()[0] == 'EHLO relay.example.net'
    s = Server(EHLO, QUIT)
    piped(tmp_path, 'ehlo\nquit\n', '--source-ehlo', 'relay.example.net', '127.0.0.1', s.port)
    assert s.lines()[0] == 'ehlo relay.example.net'


@pytest.mark.parametrize('hello, said, status', [
    ('ehlo', ['EHLO me.example', 'QUIT'], 7), ('helo', ['HELO me.example', 'QUIT'], 0), ('lhlo', ['LHLO me.example', 'QUIT'], 7),
    ('none', ['QUIT'], 0), ('auto', ['EHLO me.example', 'HELO me.example', 'QUIT'], 0)])
def test_hello(hello, said, status):
    """K1-13, K4-10."""
    with Puppet(EHLO='502 no', LHLO='502 no') as mx:
        assert send(mx, '--hello', hello, '--ehlo', 'me.example', '--quit-after', 'ehlo').returncode == status
    assert mx.said() == said


def test_our_name_is_never_the_users():
    """K2-06, K4-09."""
    with Puppet() as mx:
        send(mx, '--quit-after', 'ehlo', USER='gerda')
    name = mx.said()[0].split()[1]
    assert name == '[127.0.0.1]' or name.count('.') >= 1 and 'gerda' not in name


# --- profiles and the environment

def test_profile(tmp_path):
    s = Server(EHLO, QUIT)
    conf = tmp_path / 'config' / 'pennypost'
    conf.mkdir(parents=True)
    (conf / 'client.conf').write_text('labels = C:\nwork.server = 127.0.0.1:%d\nwork.ehlo = me.example\n' % s.port)
    out, err, status = piped(tmp_path, 'ehlo\nquit\n', '--profile', 'work')
    assert status == 0 and 'C: ehlo me.example\nS: 250-' in out, out + err
    out, err, status = piped(tmp_path, '', '--profile=wrok')
    assert status == 1 and 'no profile wrok' in err
    (conf / 'client.conf').write_text('work.sever = x\n')
    out, err, status = piped(tmp_path, '', '--profile=work')
    assert status == 1 and 'client.conf:1' in err and 'did you mean server?' in err


@pytest.mark.parametrize('name', ['REMOTE_SRV', 'PENNYPOST_SERVER'])
def test_server_of_the_environment(tmp_path, name):
    """K2-01."""
    s = Server(QUIT)
    out, err, status = piped(tmp_path, 'quit\n', **{name: '127.0.0.1:%d' % s.port})
    assert status == 0 and s.lines() == ['quit']


def test_variables_only_when_asked_for(tmp_path):
    """K2-06."""
    case = tmp_path / 'x.conv'
    case.write_text('S: 220 .*\nC: EHLO ${MYNAME}\nS: 250 .*\nC: QUIT\nS: 221 .*\n')
    for words, line in (([], 'EHLO ${MYNAME}'), (['--env'], 'EHLO box.example')):
        with Puppet() as mx:
            r = client('run', *words, '--to', mx.address, str(case), MYNAME='box.example')
            assert r.returncode == (0 if words else r.returncode), r.stdout + r.stderr
        assert not mx.said() or mx.said()[0] == line, mx.said()


# --- TLS

def test_show_certs(shared, tmp_path):
    """K2-14: the chain as PEM and in words, by every command that makes TLS."""
    with open(shared.dir + '/tls/default.crt') as f:
        real = ssl.PEM_cert_to_DER_cert(f.read().split('-----END')[0] + '-----END CERTIFICATE-----\n')

    def look(text):
        pem = re.search(r'-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE-----\n', text)
        assert pem and ssl.PEM_cert_to_DER_cert(pem.group(0)) == real
        for field in ('subject', 'names', 'issuer', 'valid', 'key', 'pin'):
            assert re.search('^   %s +[^ ]' % field, text, re.M), field
        assert 'NOT VERIFIED: ' in text
    look(send(shared.port(), '--show-certs', '--insecure', '--tls=must', '--quit-after', 'starttls').stdout)
    r = send(shared.port(465), '--show-certs', '--insecure', '--tls=implicit', '--quit-after', 'ehlo', '--json')
    look(r.stderr)
    assert all(objects(r))
    out, err, status = piped(tmp_path, '/tls\nquit\n', '-connect', '127.0.0.1:%d' % shared.port(465), '-showcerts', '--insecure')
    look(out)
    assert out.count('Certificate 0') == 2 and out.count('BEGIN CERT') == 1


def test_versions_and_suites(shared):
    r = send(shared.port(), '--insecure', '--tls=must', '--tls-max', '1.2', '--quit-after', 'starttls', '--ciphers',
             'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256')
    assert r.returncode == 0 and re.search(r'^#  TLSv1\.2, ECDHE-\w+-AES128-GCM-SHA256', r.stdout, re.M), r.stdout
    assert send(shared.port(), '--tls-min', '1.3', '--tls-max', '1.2').returncode == 1


def test_sni(shared, tmp_path):
    asked = []
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(shared.dir + '/tls/default.crt', shared.dir + '/tls/default.key')
    ctx.sni_callback = lambda sock, name, c: asked.append(name)
    listener = socket.create_server(('127.0.0.1', 0))

    def serve():
        for _ in range(2):
            conn, _ = listener.accept()
            with conn, ctx.wrap_socket(conn, server_side=True) as tls:
                tls.sendall(b'220 hi\r\n')
                tls.recv(100)
                tls.sendall(b'221 bye\r\n')
    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    assert send(port, '--tls=implicit', '--insecure', '--sni', 'one.example', '--quit-after', 'greeting').returncode == 0
    piped(tmp_path, 'quit\n', '-connect', '127.0.0.1:%d' % port, '-servername', 'two.example', '--insecure')
    assert asked == ['one.example', 'two.example']


def test_words_of_s_client(shared, tmp_path):
    """Lines copied from seed 002, and more of what people write."""
    port = shared.port(465)
    for words in (['-connect', '127.0.0.1:%d' % port, '-crlf', '-quiet', '-brief', '-nocommands', '-ign_eof', '-state', '-tls1_2',
                   '-cipher', 'ALL'], ['-host', '127.0.0.1', '-port', port, '-status', '-no_tls1_2', '-no_ssl3', '-no_tls1'],
                  ['-connect', '127.0.0.1:%d' % port, '-no_tls1_3', '-keylogfile', tmp_path / 'keys', '-verify', '3', '-name', 'me.example']):
        out, err, status = piped(tmp_path, 'ehlo\nquit\n', *words, '--tls=implicit', '--insecure')
        assert status == 0 and '#  TLSv1.' in out and 's: 221 ' in out, out + err
        assert ('TLSv1.3' in out) == ('-status' in words) and ('OCSP: the server has stapled nothing' in out) == ('-status' in words)
    assert 'c: ehlo me.example' in out and 'CLIENT_RANDOM' in (tmp_path / 'keys').read_text()
    ca = shared.dir + '/tls/default.crt'
    for words, good in ((['-CAfile', ca, '-verify_hostname', 'mail.example.com'], True), (['-CAfile', ca, '-verify_hostname', 'x.example'], False),
                        (['-CApath', str(tmp_path)], False), (['-verify_return_error'], False)):
        out, err, status = piped(tmp_path, 'quit\n', '-connect', '127.0.0.1:%d' % port, *words)
        assert (status == 0) == good and status in (0, 4), (words, out, err)
    out, err, status = piped(tmp_path, 'quit\n', '-connect', '127.0.0.1:%d' % shared.port(587), '-starttls', 'smpt')
    assert status == 1 and 'smtp, lmtp' in err
    out, err, status = piped(tmp_path, 'quit\n', '-connect', '127.0.0.1:%d' % port, '-msg', '--insecure')
    assert '#  TLS >>> ' in out


def test_print_manual_of_s_client(shared, tmp_path):
    """K2-01."""
    out, err, status = piped(tmp_path, 'ehlo x\nquit\n', '--print-manual', '--tls=must', '--insecure', '127.0.0.1', shared.port())
    assert 'openssl s_client -crlf -quiet -starttls smtp -connect 127.0.0.1:%d\nehlo x\nquit\n' % shared.port() in out


# --- login

LOGIN = ['--auth', '--user', 'joe@example.com', '--allow-cleartext', '--quit-after', 'auth']


@pytest.mark.parametrize('words, more, line', [
    (['--password-file', 'FILE'], {}, b'\0joe@example.com\0geheim'),
    (['--password-fd', '0'], {'input': 'geheim\nmore\n'}, b'\0joe@example.com\0geheim'),
    ([], {'PENNYPOST_PASSWORD': 'geheim'}, b'\0joe@example.com\0geheim'),
    (['--authzid', 'boss'], {'PENNYPOST_PASSWORD': 'geheim'}, b'boss\0joe@example.com\0geheim'),
    (['--token-cmd', 'printf geheim'], {}, b'user=joe@example.com\x01auth=Bearer geheim\x01\x01'),
])
def test_where_secrets_come_from(tmp_path, words, more, line):
    """K1-55: and they are shown nowhere."""
    (tmp_path / 'secret').write_text('geheim\n')
    words = [str(tmp_path / 'secret') if w == 'FILE' else w for w in words]
    with Puppet(EHLO=AUTH, AUTH='235 ok') as mx:
        r = send(mx, *LOGIN, *words, *([] if '--token-cmd' in words else ['--auth=PLAIN']), **more)
    assert r.returncode == 0, r.stdout + r.stderr
    said = [x for x in mx.said() if x.startswith('AUTH')][0]
    assert base64.b64decode(said.split()[2]) == line
    assert said.split()[2] not in r.stdout and 'geheim' not in r.stdout + r.stderr


def test_password_is_no_option():
    r = send(1, '--password', 'geheim')
    assert r.returncode == 1 and '--password-file' in r.stderr and 'geheim' not in r.stderr


def test_decode_auth():
    """K1-52."""
    with Puppet(EHLO=AUTH, AUTH='235 ok') as mx:
        r = send(mx, *LOGIN, '--auth=PLAIN', '--decode-auth', PENNYPOST_PASSWORD='geheim')
        assert "#  decoded: user 'joe@example.com', password of 6 octets" in r.stdout and 'geheim' not in r.stdout
        r = send(mx, *LOGIN, '--auth=PLAIN', '--decode-auth', '--show-secrets', PENNYPOST_PASSWORD='geheim')
        assert "password 'geheim'" in r.stdout and base64.b64encode(b'\0joe@example.com\0geheim').decode() in r.stdout


# --- envelope

@pytest.mark.parametrize('words, mail, rcpt', [
    ([], r'SIZE=\d+', ''),
    (['--no-size'], '', ''),
    (['--no-size', '--body', '7bit'], 'BODY=7BIT', ''),
    (['--no-size', '--body', '8bit'], 'BODY=8BITMIME', ''),
    (['--no-size', '--body=binary'], 'BODY=BINARYMIME', ''),
    (['--no-size', '--smtputf8'], 'SMTPUTF8', ''),
    (['--no-size', '--verp'], 'XVERP', ''),
    (['--no-size', '--by', '120;R'], 'BY=120;R', ''),
    (['--no-size', '--dsn', 'notify=SUCCESS,FAILURE,ret=HDRS,envid=x y'], 'RET=HDRS ENVID=x\\+20y', 'NOTIFY=SUCCESS,FAILURE'),
    (['--no-size', '--mail-param', 'X=1', '--mail-param', 'Y', '--rcpt-param', 'Z=2'], 'X=1 Y', 'Z=2'),
])
def test_envelope(words, mail, rcpt):
    with Puppet(EHLO=EVERYTHING) as mx:
        r = send(mx, *words, '--quit-after', 'rcpt')
    assert r.returncode == 0, r.stdout + r.stderr
    said = mx.said()
    assert re.fullmatch('MAIL FROM:<a@example.net>' + (mail and ' ' + mail), said[1]), said
    assert said[2] == 'RCPT TO:<joe@example.com>' + (rcpt and ' ' + rcpt)


@pytest.mark.parametrize('words, status, text', [
    (['--size'], 0, r'MAIL FROM:<a@example\.net> SIZE=\d+\n'),
    (['--verp', '--by', '60;N', '--dsn', 'ret=full'], 0, r'does not offer is left out(.|\n)*MAIL FROM:<a@example\.net>\n'),
    (['--body=8bit'], 12, '8BITMIME'),
    (['--body=binary'], 12, 'BINARYMIME'),
    (['--smtputf8'], 12, 'SMTPUTF8'),
    (['--by', 'soon'], 1, '--by'),
    (['--dsn', 'notify=maybe'], 1, '--dsn'),
    (['--null-sender'], 1, '--null-sender and --from'),
])
def test_envelope_that_is_not_offered(words, status, text):
    with Puppet() as mx:
        r = send(mx, *words, '--quit-after', 'rcpt')
    assert r.returncode == status and re.search(text, r.stdout + r.stderr), r.stdout + r.stderr


def test_null_sender():
    with Puppet(**TAKES) as mx:
        r = send(mx, '--null-sender', '--to', 'joe@example.com', sender=False)
    assert r.returncode == 0 and 'MAIL FROM:<>' in mx.said() and 'MAILER-DAEMON' in data_of(mx)[0]


def test_max_rcpt():
    to = ','.join('u%d@example.com' % i for i in range(5))
    with Puppet(**TAKES) as mx:
        assert send(mx, '--max-rcpt', '2', '--from', 'a@example.net', '--to', to, sender=False).returncode == 0
    verbs = [line[:4] for line in mx.said() if line[:4] in ('MAIL', 'RCPT', 'DATA')]
    assert ' '.join(verbs) == 'MAIL RCPT RCPT DATA MAIL RCPT RCPT DATA MAIL RCPT DATA'


def test_pipeline_force():
    """All of it goes before the first answer comes, though PIPELINING is not offered."""
    odd = Odd(b'220 hi\r\n', 'EHLO', b'250 x\r\n', 'DATA\r\n', b'250 a\r\n250 b\r\n354 c\r\n', '\r\n.\r\n', b'250 d\r\n', 'QUIT',
              b'221 e\r\n', None)
    assert send(odd, '--pipeline=force', '--tls=never').returncode == 0
    odd = Odd(b'220 hi\r\n', 'EHLO', b'250 x\r\n', 'DATA\r\n', b'250 a\r\n250 b\r\n354 c\r\n')
    assert send(odd, '--pipeline', '--tls=never', '--timeout', '1').returncode == 15


def test_chunking():
    """BDAT with N octets in each but the last."""
    sizes, letter = [], b''
    listener = socket.create_server(('127.0.0.1', 0))

    def serve():
        nonlocal letter
        conn, _ = listener.accept()
        with conn, conn.makefile('rb') as f:
            conn.sendall(b'220 hi\r\n')
            for line in f:
                words = line.split()
                if words[0] == b'BDAT':
                    sizes.append((int(words[1]), words[2:] == [b'LAST']))
                    letter += f.read(int(words[1]))
                conn.sendall(b'250-x\r\n250 CHUNKING\r\n' if words[0] == b'EHLO' else b'250 ok\r\n')
                if words[0] == b'QUIT':
                    return
    threading.Thread(target=serve, daemon=True).start()
    text = 'From: a@example.net\r\n\r\n' + '.x\r\n' * 30
    r = send(listener.getsockname()[1], '--chunking=32', '--data', '-', '--lint=off', input=text)
    listener.close()
    assert r.returncode == 0, r.stdout + r.stderr
    assert [s for s in sizes[:-1]] == [(32, False)] * (len(sizes) - 1) and sizes[-1][1] and sizes[-1][0] <= 32
    assert letter == text.encode() and len(sizes) >= 4


# --- the letter

def test_letter(tmp_path):
    (tmp_path / 'a.bin').write_bytes(b'\0\1\2')
    (tmp_path / 'page.html').write_text('<p>hello</p>\n')
    with Puppet(**TAKES) as mx:
        r = send(mx, '--subject', 'S', '--header', 'X-One: 1', '--header', 'X-Two: 2', '--text-file', '-', '--html',
                 str(tmp_path / 'page.html'), '-q', '--attach', '%s;application/x-test;other name.bin' % (tmp_path / 'a.bin'), input='hello\n')
        assert r.returncode == 0 and 'Trying' not in r.stdout, r.stdout + r.stderr
        for words in (['--eicar'], ['--gtube'], ['--no-date', '--no-message-id']):
            assert send(mx, *words).returncode == 0
    full, eicar, gtube, bare = [email.message_from_string(t, policy=email.policy.default) for t in data_of(mx)]
    assert full['Subject'] == 'S' and full['X-One'] == '1' and full['X-Two'] == '2' and full['Date'] and full['Message-ID']
    assert [p.get_content_type() for p in full.walk() if not p.is_multipart()] == ['text/plain', 'text/html', 'application/x-test']
    last = list(full.walk())[-1]
    assert last.get_filename() == 'other name.bin' and last.get_content() == b'\0\1\2'
    whole = b''.join(p.get_payload(decode=True) or b'' for p in eicar.walk())
    assert b'EICAR-STANDARD-' + b'ANTIVIRUS-TEST-FILE' in whole
    assert 'GTUBE-STANDARD-' + 'ANTI-UBE-TEST-EMAIL' in gtube.get_body().get_content()
    assert not bare['Date'] and not bare['Message-ID'] and bare['From']


def test_envelope_and_header_are_two(tmp_path):
    """K0-31, K1-35."""
    s = Server(MAIL, RCPT, DATA, DOT, QUIT)
    out, err, status = piped(tmp_path, 'mail from:<a@one.example>\nrcpt to:<b@c>\ndata\nFrom: boss@two.example\n\nx\n.\nquit\n',
                             '127.0.0.1', s.port)
    assert status == 0 and 'the From field differs from the sender of the envelope' in out


# --- the wire

@pytest.mark.parametrize('eol, end', [('crlf', b'\r\n'), ('lf', b'\n'), ('cr', b'\r')])
def test_eol(tmp_path, eol, end):
    """K2-13."""
    odd = Odd(b'220 hi\r\n', 'noop', b'250 ok\r\n', 'quit', b'221 bye\r\n', None)
    piped(tmp_path, 'noop\nquit\n', '--eol', eol, '127.0.0.1', odd.port)
    odd.thread.join(5)
    assert (odd.got + end).startswith(b'noop' + end + b'quit')
    odd = Odd(b'220 hi\r\n', 'EHLO', b'250 x\r\n', 'MAIL', b'250 ok\r\n', 'RCPT', b'250 ok\r\n', 'DATA', b'354 go\r\n',
              (end + b'.' + end).decode(), b'250 ok\r\n', 'QUIT', b'221 bye\r\n', None)
    assert send(odd, '--eol', eol, '--text', 'one\ntwo\n', '--tls=never').returncode == 0
    assert b'one' + end + b'two' + end in odd.got


def test_segments(tmp_path):
    pieces = []

    def listen(conn):
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conn.sendall(b'220 hi\r\n')
        for answer in (b'250 ok\r\n', b'221 bye\r\n'):
            text = b''
            while not text.endswith(b'\r\n'):
                pieces.append(conn.recv(100))
                text += pieces[-1]
            conn.sendall(answer)
    out, err, status = piped(tmp_path, '/segments keystroke\nnoop\n/segments off\nquit\n', '--delay', '40',
                             '127.0.0.1', Server(greeting=listen).port)
    assert 'Segments of 1 octets from now on.' in out and 'Segments are as large as they come.' in out, out + err
    assert len(pieces) >= 4 and pieces[0] == b'n' and pieces[-1] == b'quit\r\n', pieces
    pieces.clear()
    piped(tmp_path, 'noop\nquit\n', '--segments', '3', '--delay', '40', '127.0.0.1', Server(greeting=listen).port)
    assert len(pieces) >= 3 and pieces[0] == b'noo', pieces


def test_telnet_negotiation(shared, tmp_path):
    """K1-02: sent as telnet does, and taken by our server."""
    odd = Odd(b'220 hi\r\n', 'quit', b'221 bye\r\n', None)
    piped(tmp_path, 'quit\n', '--telnet-neg', '127.0.0.1', odd.port)
    assert odd.got.startswith(b'\xff\xfd\x03\xff\xfb\x18') and odd.got.endswith(b'quit\r\n')
    assert send(shared.port(), '--telnet-neg', '--quit-after', 'ehlo', '--hello', 'ehlo').returncode == 0


def test_debug_bytes(shared, tmp_path):
    """K2-12."""
    out, err, status = piped(tmp_path, 'noop\nquit\n', '-debug', '127.0.0.1', Server(NOOP, QUIT).port)
    assert '#  write 6 octets\n#  0000 6e 6f 6f 70 0d 0a ' in out and '#  read 8 octets\n#  0000 32 35 30 20' in out, out
    r = send(shared.port(), '--debug-bytes', '--insecure', '--tls=must', '--quit-after', 'starttls')
    assert 'octets inside TLS' in r.stdout and re.search('^#  TLS >>> .*ClientHello', r.stdout, re.M), r.stdout
    with Puppet(EHLO=AUTH, AUTH='235 ok') as mx:
        r = send(mx, *LOGIN, '--auth=PLAIN', '--debug-bytes', PENNYPOST_PASSWORD='geheim')
    assert 'a secret, not shown' in r.stdout and 'AGpvZ' not in r.stdout.replace('\n', '') and ' 41 47 70 76 ' not in r.stdout


def test_raw():
    odd = Odd(b'220 hi\r\n', 'EHLO', b'250 x\r\n', 'MAIL', b'250 ok\r\n', 'RCPT', b'250 ok\r\n', 'DATA', b'354 go\r\n',
              '\r\n.\r\n', b'250 ok\r\n', 'QUIT', b'221 bye\r\n', None)
    assert send(odd, '--raw', '--lint=off', '--data', '-', '--tls=never', input='a: b\n\none\ntwo\r\n').returncode == 0
    assert b'a: b\n\none\ntwo\r\n.\r\n' in odd.got


# --- what is shown

@pytest.mark.parametrize('words, colour', [(['--color=always'], True), (['--color=always', '--theme', 'seed'], True),
                                           (['--color=never'], False), ([], False)])
def test_colours_of_the_seed(tmp_path, words, colour):
    """K4-04: blue is transmit, red is receive."""
    out, err, status = piped(tmp_path, 'quit\n', *words, '127.0.0.1', Server(QUIT).port)
    assert ('\x1b[94mc: quit\x1b[0m\n' in out and '\x1b[91ms: 221 bye\x1b[0m\n' in out) == colour
    assert ('\x1b' in out) == colour


def test_one_theme(tmp_path):
    out, err, status = piped(tmp_path, '', '--theme', 'dark', '127.0.0.1', 1)
    assert status == 1 and 'write seed' in err


@pytest.mark.parametrize('labels, us, them', [('c:', 'c: ', 's: '), ('C:', 'C: ', 'S: '), ('->', '-> ', '<- '), ('none', '', '')])
def test_labels(tmp_path, labels, us, them):
    """K2-03."""
    log = tmp_path / 'log'
    out, err, status = piped(tmp_path, 'quit\n', '--labels=' + labels, '--transcript', log, '127.0.0.1', Server(QUIT).port)
    lines = '\n%s220 mail.example.com ESMTP\n%squit\n%s221 bye\n' % (them, us, them)
    assert lines in out and lines in log.read_text()


def test_more_and_less(tmp_path):
    turns = (('noop', '250 ok\r\n'), ('mail', '550 5.1.8 no such sender\r\n'), QUIT)
    text = 'noop\nmail from:<a>\nquit\n'
    out, err, status = piped(tmp_path, text, '--quiet', '127.0.0.1', Server(*turns).port)
    assert '250 ok' not in out and 'no such sender' in out and 'Trying' not in out
    out, err, status = piped(tmp_path, text, '--timing', '127.0.0.1', Server(*turns).port)
    assert len(re.findall(r'^#  answered in \d+\.\d ms$', out, re.M)) == 4
    out, err, status = piped(tmp_path, text, '--explain=always', '127.0.0.1', Server(*turns).port)
    assert re.search('^s: 250 ok\n#  250 ', out, re.M) and re.search('^s: 550 .*\n#  550 ', out, re.M), out
    out, err, status = piped(tmp_path, text, '--explain=never', '127.0.0.1', Server(*turns).port)
    assert '\n#  550' not in out and '\n#  250' not in out
    out, err, status = piped(tmp_path, 'quit\n', '--verbose', '--resolve', 'mail.test:127.0.0.1', 'mail.test', Server(QUIT).port)
    assert '#  mail.test: 127.0.0.1' in out


def test_utf8_reply(tmp_path):
    """K4-18, K0-04: as it came."""
    s = Server(MAIL, RCPT, ('data', '354 End data with \u201c.\u201d\r\n'.encode().decode('latin-1')), DOT, QUIT)
    out, err, status = piped(tmp_path, 'mail a@b\nrcpt b\ndata\nx\n.\nquit\n', '127.0.0.1', s.port)
    assert status == 0 and 's: 354 End data with \u201c.\u201d\n' in out


def test_odd_capabilities(tmp_path):
    """K0-12, K0-14, K0-17, K1-44, K2-19, K3-14, K3-17."""
    s = Server(('ehlo', '250-other.example.com Hello\r\n250-PIPELINING \r\n250-SIZE\r\n250-8bitmime\r\n250-AUTH PLAIN\r\n'
                '250-AUTH=CRAM-MD5 LOGIN\r\n250 OK\r\n'), QUIT)
    out, err, status = piped(tmp_path, 'ehlo x\n/caps\nquit\n', '127.0.0.1', s.port)
    assert 'It calls itself other.example.com here' in out
    assert re.search(r'^PIPELINING +several commands', out, re.M) and re.search('^SIZE +no declared limit', out, re.M)
    assert re.search(r'^8bitmime +[a-z0-9]', out, re.M) and 'LOGIN' in out


def test_close_without_221(tmp_path):
    """K3-22, K1-25, K0-52."""
    out, err, status = piped(tmp_path, 'quit\n', '127.0.0.1', Server(('quit', '')).port)
    assert status == 0 and out.endswith('Connection closed by foreign host.\n')


# --- transcripts

KEPT = {'telnet': (r'^s: 221 bye$', 2), 'conv': (r'^C: quit$', 2), 'json': (r'"ev":"close"', 2), 'html': (r'<div class="s">s: 221', 2)}


@pytest.mark.parametrize('form', sorted(KEPT))
@pytest.mark.parametrize('by', ['name', 'option'])
def test_transcript_goes_on(tmp_path, form, by):
    """Ledger 4.9: appended to, and no secrets in it."""
    log = tmp_path / ('log.' + form if by == 'name' else 'log')
    words = ['--transcript', log] + (['--format', form] if by == 'option' else [])
    for _ in range(2):
        s = Server(('auth plain', '235 ok\r\n'), QUIT)
        piped(tmp_path, 'auth plain AGpvZQBnZWhlaW0=\nquit\n', '--allow-cleartext', '--labels=c:', *words, '127.0.0.1', s.port)
    text = log.read_text()
    assert len(re.findall(KEPT[form][0], text, re.M)) == KEPT[form][1], text
    assert 'AGpvZQBnZWhlaW0=' not in text and os.stat(log).st_mode & 0o77 == 0
    if form == 'html':
        assert text.startswith('<!DOCTYPE html>') and text.count('<html') == 1 and text.count('<div class="c">c: quit') == 2
    if form == 'json':
        assert [json.loads(line)['ev'] for line in text.splitlines()].count('connect') == 2


def test_events(shared, tmp_path):
    """Ledger 4.9."""
    text = 'rcpt to:<x@example.com>\nmail from:<a@example.net>\nquit\n'
    out, err, status = piped(tmp_path, text, '--json', '--tls=must', '--insecure', '--resolve', 'mail.test:127.0.0.1', 'mail.test',
                             shared.port())
    events = [json.loads(line) for line in out.splitlines()]
    kinds = [e['ev'] for e in events]
    assert {'resolve', 'connect', 'tls', 'send', 'reply', 'explain', 'warn', 'close', 'result'} <= set(kinds), kinds
    assert all(isinstance(e['t'], float) for e in events) and [e['t'] for e in events] == sorted(e['t'] for e in events)
    refused = [e for e in events if e['ev'] == 'reply' and e['code'] == 503][0]
    assert refused['enh'] == '5.5.1' and refused['lines'] and refused['ms'] >= 0
    meaning = events[events.index(refused) + 1]
    assert meaning['ev'] == 'explain' and meaning['code'] == 503 and meaning['text'].startswith('503')
    assert events[-1]['ev'] == 'result' and events[-1]['status'] == status
    with Puppet(RCPT='550 5.1.1 no') as mx:
        events = objects(send(mx, '--json'))
    assert [e['step'] for e in events if e['ev'] == 'explain'] == ['rcpt'] and events[-1] == {**events[-1], 'ev': 'result', 'status': 10}
    with Puppet(greeting=b'220 \xff\r\n') as mx:
        line = [e for e in objects(send(mx, '--json', '--quit-after', 'ehlo')) if e['ev'] == 'line'][0]
    assert base64.b64decode(line['raw']) == b'220 \xff\r\n'


# --- flow

STEPS = {'connect': None, 'greeting': None, 'ehlo': 'EHLO', 'starttls': 'EHLO', 'auth': 'AUTH', 'mail': 'MAIL', 'rcpt': 'RCPT',
         'data': 'DATA', 'dot': '.'}


@pytest.mark.parametrize('step', sorted(STEPS))
@pytest.mark.parametrize('how', ['--quit-after', '--drop-after'])
def test_stop_after(how, step):
    with Puppet(EHLO=AUTH, AUTH='235 ok', **TAKES) as mx:
        r = send(mx, how, step, '--auth=PLAIN', '--user', 'joe', '--allow-cleartext', PENNYPOST_PASSWORD='x')
        time.sleep(0.05)
    assert r.returncode == 0, r.stdout + r.stderr
    said = [line.split()[0] if line else '' for line in mx.said()]
    if how == '--quit-after' and step != 'data':
        assert said.pop() == 'QUIT'
    assert (said[-1] if said else None) == STEPS[step]


def test_repeat():
    with Puppet(**TAKES) as mx:
        assert send(mx, '--repeat', '3').returncode == 0
    assert len(mx.heard) == 3 and len(data_of(mx)) == 3
    assert send(1, '--repeat', '0').returncode == 1


# --- exit statuses (ledger 4.8)

GARBAGE = {'EHLO': '250-x\n250 STARTTLS', 'STARTTLS': '220 go'}
REFUSED = {'EHLO': '250-x\n250 STARTTLS', 'STARTTLS': '554 TLS not supported here'}


@pytest.mark.parametrize('status, answers, words', [
    (0, TAKES, []),
    (1, {}, ['--no-such-option']),
    (4, GARBAGE, ['--tls=must']),
    (5, {}, ['--tls=must']),
    (5, REFUSED, ['--starttls']),
    (6, {'greeting': '554 no'}, []),
    (6, {'greeting': '421 busy'}, []),
    (7, {'EHLO': '550 no', 'HELO': '550 no'}, []),
    (8, {'EHLO': AUTH, 'AUTH': '535 no'}, ['--auth=PLAIN', '--user', 'joe', '--allow-cleartext']),
    (8, {'EHLO': AUTH}, ['--auth=PLAIN', '--user', 'joe']),
    (9, {'MAIL': '550 no'}, []),
    (10, {'RCPT': '550 no'}, []),
    (11, {'RCPT': ['250 ok', '550 no'], **TAKES}, ['--to', 'bob@example.com']),
    (12, {'DATA': '554 no'}, ['--timeout', '1']),
    (12, {'DOT': '554 no'}, []),
    (13, {'RCPT': '450 later'}, ['--temp-exit']),
    (14, {'MAIL': lambda s, line: s.shutdown(2) or b''}, []),
    (15, {'MAIL': None}, ['--timeout', '0.5']),
    (17, {}, ['--lint=error', '--data', '/dev/null']),
    (18, {}, ['--data', '/nonexistent/letter']),
])
def test_exit_status(status, answers, words):
    with Puppet(**answers) as mx:
        r = send(mx, *words, PENNYPOST_PASSWORD='x')
    assert r.returncode == status, r.stdout + r.stderr
    assert (r.stderr == '') == (status == 0), r.stderr


def test_exit_status_without_a_server(tmp_path):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        assert send(s.getsockname()[1]).returncode == 3
    r = client('send', '--from', 'a@b.example', '--to', 'a@b.example', '-6', '--resolve', 'mail.test:127.0.0.1', 'mail.test')
    assert r.returncode == 2 and '--resolve' in r.stderr
    (tmp_path / 'x.conv').write_text('S: 250 never\n')
    with Puppet() as mx:
        assert client('run', '--to', mx.address, str(tmp_path / 'x.conv')).returncode == 16
    with Puppet(MAIL=None) as mx:
        p = subprocess.Popen([BINARY, 'send', '--from', 'a@b.example', '--to', 'a@b.example', '--tls=never', mx.address],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a shell's & ignores it
        while not any(line.startswith('MAIL') for line in mx.said()):
            time.sleep(0.02)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=10 * SLOW)
        assert p.returncode == 130 and b'interrupted' in err


# --- local commands (ledger 4.4)

def test_local_settings(tmp_path):
    s = Server(NOOP, NOOP, QUIT)
    text = ('/env\n/set timing=on\n/set timeout=7\n/set colour=on\n/set\n/eol lf\nnoop\n/eol crlf\n/eol x\n/fix\n/help eol\n/help\n'
            '/segments many\n/close\n/quit\n')
    out, err, status = piped(tmp_path, text, '127.0.0.1', s.port)
    assert 'server    127.0.0.1 port %d (smtp)' % s.port in out and 'tls       none' in out
    assert 'did you mean color?' in out and 'timing=on\n' in out and 'timeout=7\n' in out and 'answered in' in out
    assert 'Lines end in lf now.' in out and '/eol takes crlf, lf or cr; it is crlf.' in out
    assert re.search('^/eol crlf', out, re.M) and re.search('^/reconnect ', out, re.M) and '/segments takes' in out
    assert 'Connection closed.\n' in out and status == 0
    s.thread.join(5)
    assert s.got == [b'noop\n', b'noop\r\n'], s.got


def test_reconnect(tmp_path):
    """In a pipe, too, what follows is for the new connection."""
    with Puppet() as mx:
        out, err, status = piped(tmp_path, 'noop\n/reconnect\nehlo x\nquit\n', '127.0.0.1', mx.port)
        assert status == 0 and mx.heard == [['noop'], ['ehlo x', 'quit']], out + err
        assert out.count('Trying 127.0.0.1...') == 2
    out, err, status = piped(tmp_path, '/close\nnoop\n', '127.0.0.1', Server().port)
    assert 'There is no connection: /reconnect makes one' in out


def test_script_record_and_save(tmp_path):
    (tmp_path / 'lines').write_text('ehlo scripted\n/eol crlf\nnoop\n')
    record, page = tmp_path / 'r.conv', tmp_path / 'page.html'
    with Puppet(NOOP='250 ok') as mx:
        text = '/record on %s\n/script %s\nrset\n/record off\n/save %s\n/save %s json\n/save x nope\n/record\n/script\nquit\n' % (
            record, tmp_path / 'lines', page, tmp_path / 'log')
        out, err, status = piped(tmp_path, text, '127.0.0.1', mx.port)
        assert status == 0 and mx.said() == ['ehlo scripted', 'noop', 'rset', 'quit'], out + err
        assert '3 lines of' in out and '/record on [FILE], or /record off.' in out and 'There is no format nope' in out
        conv = record.read_text()
        assert 'C: noop' in conv and 'C: rset' in conv and 'C: quit' not in conv
        r = client('run', '--to', mx.address, str(record))
        assert r.returncode in (0, 16), r.stdout  # a record from the middle on lacks the greeting
    assert page.read_text().startswith('<!DOCTYPE') and 'ehlo scripted' in page.read_text()
    assert {'line', 'send', 'reply'} <= {json.loads(line)['ev'] for line in (tmp_path / 'log').read_text().splitlines()}


def test_other_commands_from_within(tmp_path):
    """/probe, /mx, /merge, /b64: children; /shell and ! from a terminal only."""
    (tmp_path / 'rows.csv').write_text('to,name\njoe@example.com,Joe\n')
    (tmp_path / 'part').write_text('Subject: x\n\nDear &name;,\n')
    with NameServer(MX) as ns, Puppet(RCPT='550 5.1.1 no') as mx:
        text = ('/b64 enc Username:\n/probe --server %s joe@example.com\n/mx --dns %s example.com\n/merge --data %s --from a@b.example '
                '--dry-run %s\n/shell echo in a shell\n!echo with $((6 * 7))\n!env\nquit\n' % (
                    mx.address, ns.address, tmp_path / 'rows.csv', tmp_path / 'part'))
        out, err, status = piped(tmp_path, text, '127.0.0.1', Server(QUIT).port, SHELL='/bin/sh')
    assert status == 0, out + err
    assert '\nVXNlcm5hbWU6\n' in out and re.search('^joe@example.com +rejected .*550 5.1.1 no', out, re.M), out
    assert 'mx.example.com' in out and 'Dear Joe,' in out
    assert 'in a shell' not in out and 'with 42' not in out and out.count('from a pipe runs no commands') == 2
    assert 'peer      127.0.0.1' in out  # !env is ours, as /env is


def test_shell(tmp_path):
    with Talk(tmp_path, '127.0.0.1', Server(QUIT).port, SHELL='/bin/sh') as t:
        t.see('220').see('> ').type('/shell echo $((6 * 7)) apples').see('42 apples').see('> ').type('!echo $((6 * 8)) pears')
        t.see('48 pears').see('> ').keys('\x1d').see('pennypost> ').type('shell')
        t.p.expect('[$#] ')
        t.type('echo $((6 * 9)) plums').see('54 plums').type('exit').see('> ').type('quit')
        assert t.status() == 0


def test_starttls_and_auth_by_command(shared, tmp_path):
    out, err, status = piped(tmp_path, 'ehlo x\n/starttls\nehlo x\n/auth LOGIN alice@example.com\nquit\n', '--insecure', '127.0.0.1',
                             shared.port(587), PENNYPOST_PASSWORD='secret')
    assert status == 0 and 'c: AUTH LOGIN' in out and 's: 235 ' in out and 'secret' not in out, out + err


# --- on a terminal

def test_headers_and_files_in_a_letter(tmp_path):
    (tmp_path / 'text').write_text('first\n.second\n')
    s = Server(MAIL, RCPT, DATA, DOT, QUIT)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220').see('> ').type('mail a@b.example').see('mail:1 >').type('rcpt joe@example.com').see('rcpt:1 >').type('data')
        t.see('to end > ').type('~h').see('From [a@b.example]: ').type('').see('To: ').type('joe@example.com').see('Cc: ').type('')
        t.see('Subject: ').type('hello').see('to end > ').type('~r ~/text').see('text: 2 lines.').type('~r').see('which file?')
        t.type('~r /nonexistent').see('No such file').type('~x').see('no such command').type('~?').see('~e ').type('.')
        t.see('taken').type('quit').status()
    assert s.lines()[3:-2] == ['Subject: hello', 'To: joe@example.com', 'From: a@b.example', '', 'first', '..second'], s.lines()


def test_vi_keys(tmp_path):
    (tmp_path / '.editrc').write_text('bind -v\n')
    s = Server(NOOP, NOOP, QUIT)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220').see('> ').keys('xnoop one').see('one').keys('\x1b0x$xi2\r')  # x, i: of the command mode
        t.see('250 ok').see('> ').keys('\x1bk0wDi two\x1d').see('pennypost> ').type('eol crlf').see('end in crlf').type('')
        t.see('250 ok').type('quit').status()
    assert s.lines()[0] == 'noop o2n', s.lines()
    assert s.lines()[1].startswith('noop')


def test_any_key_ends_idle(shared, tmp_path):
    with Talk(tmp_path, '--proto', 'imap', '--insecure', '--tls=implicit', '--auth', '--user', 'alice@example.com', '127.0.0.1',
              shared.port(993), PENNYPOST_PASSWORD='secret') as t:
        t.see('imap(tls,auth) > ').type('/select').see('imap(tls,auth) INBOX ').type('/idle').see('Any key ends it').see('idle > ')
        t.keys('n').see('c: DONE').see('IDLE completed').keys('oop\r').see('NOOP completed').type('logout')
        assert t.status() == 0
        assert re.search('\x1b\\[31ms: \\* (FLAGS|CAPABILITY)', t.text)  # data
        assert re.search('\x1b\\[95ms: \\* \\d+ EXISTS', t.text)  # news
        assert re.search('\x1b\\[1;91ms: a\\d+ OK', t.text)  # an answer


def test_idle_and_compress_in_a_pipe(shared, tmp_path):
    text = '/compress\n/select\n/idle\n/pretty off\nnoop\nlogout\n'
    out, err, status = piped(tmp_path, text, '--proto', 'imap', '--insecure', '--tls=implicit', '--auth', '--user', 'bob@example.com',
                             '127.0.0.1', shared.port(993), PENNYPOST_PASSWORD='secret')
    assert status == 0 and 'Both directions are compressed' in out, out + err
    assert 'The next line ends it.' in out and 'c: DONE\n' in out and 'NOOP completed' in out


# --- start-up (issue: under 20 ms)

@pytest.mark.skipif(SLOW > 1, reason='sanitizers open files of their own')
@pytest.mark.parametrize('words', [['b64', 'enc', 'x'], ['explain', '550 5.1.1'], ['talk', '--help'], ['send', '--help']])
def test_start_opens_little(words):
    """What costs time when a program starts: libraries aside, it opens nothing, and SASL's plugins never."""
    r = subprocess.run(['strace', '-f', '-e', 'trace=open,openat', BINARY, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True)
    assert r.returncode == 0
    opened = re.findall(r'open(?:at)?\([^"]*"([^"]+)"[^=]*= \d', r.stderr)
    other = [p for p in opened if not re.match(r'/etc/ld\.so\.cache$|.*/lib[^/]*\.so[.\d]*$|.*/locale|.*/gconv', p)]
    assert not other, other
    assert len(opened) < 60, len(opened)
    assert not [p for p in opened if '/sasl2/' in p]


# --- who shows what

def test_every_row_has_a_test():
    """The table of requirements names tests that exist."""
    with open(os.path.join(os.path.dirname(__file__), 'ledger.txt'), encoding='utf-8') as f:
        rows = [line.split(None, 1) for line in f if line.strip() and not line.startswith('#')]
    assert len(rows) == len({r[0] for r in rows})
    missing = []
    for row, tests in rows:
        for one in tests.split():
            path, _, name = one.partition('::')
            path = os.path.join(ROOT, 'tests', path)
            if not os.path.exists(path) or name and name not in open(path, encoding='utf-8').read():
                missing.append('%s: %s' % (row, one))
    assert not missing, missing
