"""`pennypost cert`: an authority of our own, and servers with every kind of certificate."""
import json
import os
import socket
import ssl
import subprocess
import time

import pytest

from secure import TlsServer
from server import BINARY

NOW = time.time()


def openssl(*args, cwd):
    subprocess.run(['openssl', *args], cwd=cwd, check=True, capture_output=True)


def when(days):
    return time.strftime('%Y%m%d%H%M%SZ', time.gmtime(NOW + days * 86400))


def issue(d, name, ca, subject, san, start=-1, days=90, extra=''):
    """A key, a request, and a certificate by `ca` (openssl ca knows dates of the past)."""
    conf = d / (name + '.cnf')
    conf.write_text('''[ca]
default_ca = x
[x]
database = %s.db
new_certs_dir = .
serial = %s.srl
default_md = sha256
policy = p
copy_extensions = none
unique_subject = no
[p]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[ext]
%s
%s
''' % (name, name, ('subjectAltName = ' + san) if san else '', extra or 'basicConstraints = CA:false'))
    (d / (name + '.db')).write_text('')
    (d / (name + '.srl')).write_text('%04x' % (abs(hash(name)) % 60000 + 1))
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', name + '.key', cwd=d)
    openssl('req', '-new', '-key', name + '.key', '-subj', '/CN=' + subject, '-out', name + '.csr', '-config', conf.name, cwd=d)
    by = ['-selfsign', '-keyfile', name + '.key'] if ca is None else ['-cert', ca + '.pem', '-keyfile', ca + '.key']
    openssl('ca', '-batch', '-notext', '-config', conf.name, '-in', name + '.csr', '-out', name + '.pem', '-startdate', when(start),
            '-enddate', when(start + days), '-extensions', 'ext', *by, cwd=d)


@pytest.fixture(scope='module')
def pki(tmp_path_factory):
    d = tmp_path_factory.mktemp('pki')
    ca = 'basicConstraints = critical,CA:true\nkeyUsage = critical,keyCertSign,cRLSign'
    issue(d, 'root', None, 'Test Root', '', days=3650, extra=ca)
    issue(d, 'mid', 'root', 'Test Intermediate', '', days=3000, extra=ca)
    here = 'DNS:localhost,IP:127.0.0.1'
    issue(d, 'good', 'root', 'localhost', here)
    issue(d, 'chained', 'mid', 'localhost', here)
    issue(d, 'expired', 'root', 'localhost', here, start=-100, days=90)
    issue(d, 'early', 'root', 'localhost', here, start=10)
    issue(d, 'other', 'root', 'mail.example.com', 'DNS:mail.example.com,DNS:*.example.com')
    issue(d, 'soon', 'root', 'localhost', here, days=6)
    issue(d, 'selfsigned', None, 'localhost', here)
    for name, parts in (('full', ['chained', 'mid']), ('unknown', ['good', 'root'])):
        (d / (name + '.pem')).write_text(''.join((d / (p + '.pem')).read_text() for p in parts))
        (d / (name + '.key')).write_text((d / (parts[0] + '.key')).read_text())
    return d


class Server(TlsServer):
    """Plays `before` in clear, then TLS with that certificate."""

    def __init__(self, pki, cert, before=None, versions=None):
        super().__init__(pki / (cert + '.pem'), pki / (cert + '.key'))
        if versions:
            self.ctx.minimum_version, self.ctx.maximum_version = versions
        self.before = before

    def serve(self, c):
        if not self.before or self.before(c):
            with self.ctx.wrap_socket(c, server_side=True) as t:
                t.recv(10)


def cert(*args, env=None):
    return subprocess.run([BINARY, 'cert', *map(str, args)], capture_output=True, text=True, timeout=60, env=env)


@pytest.mark.parametrize('name,status,says', [
    ('good', 0, ''),
    ('full', 0, ''),
    ('chained', 4, 'no chain leads from the certificate'),
    ('expired', 4, 'has expired; the server\'s administrator must renew it'),
    ('early', 4, 'not valid yet; is this machine\'s clock right?'),
    ('other', 4, 'made out to other names; connect by a name that it has'),
    ('selfsigned', 4, 'signed by itself; if it is the right one, trust it with --pin'),
])
def test_verdicts(pki, name, status, says):
    with Server(pki, name) as s:
        r = cert('--tls=implicit', '--ca', pki / 'root.pem', 'localhost', s.port)
    assert r.returncode == status, r.stderr
    assert says in r.stderr and ('Verified       yes' in r.stdout) == (status == 0)
    assert 'Certificate 0: the server\'s' in r.stdout


def test_unknown_authority(pki):
    with Server(pki, 'unknown') as s:
        r = cert('--tls=implicit', 'localhost', s.port)
    assert r.returncode == 4 and 'an authority that is not known here; if that is your own' in r.stderr
    with Server(pki, 'unknown') as s:
        assert cert('--tls=implicit', '--insecure', 'localhost', s.port).returncode == 0


def test_a_directory_of_authorities(pki, tmp_path):
    (tmp_path / 'root.pem').write_text((pki / 'root.pem').read_text())
    openssl('rehash', str(tmp_path), cwd=tmp_path)
    with Server(pki, 'good') as s:
        assert cert('--tls=implicit', '--ca', tmp_path, '127.0.0.1', s.port).returncode == 0
        r = cert('--tls=implicit', '--ca', tmp_path / 'none', '127.0.0.1', s.port)
    assert r.returncode == 4 and 'none: No such file' in r.stderr


def test_names(pki):
    with Server(pki, 'other') as s:
        base = ['--tls=implicit', '--ca', pki / 'root.pem', 'localhost', s.port]
        assert cert('--verify-name', 'mail.example.com', *base).returncode == 0
        assert cert('--verify-name', 'x.example.com', *base).returncode == 0
        assert cert('--verify-name', 'x.y.example.com', *base).returncode == 4
        assert cert('--resolve', 'mail.example.com:127.0.0.1', '--tls=implicit', '--ca', pki / 'root.pem', '--dns', '127.0.0.1:1',
                    'mail.example.com', s.port).returncode == 0


def test_pins(pki):
    with Server(pki, 'selfsigned') as s:
        j = json.loads(cert('--json', '--tls=implicit', 'localhost', s.port).stdout)
        pin = j['chain'][0]['pin']
        assert cert('--tls=implicit', '--pin', pin, 'localhost', s.port).returncode == 0
        r = cert('--tls=implicit', '--pin', 'A' * 43 + '=', 'localhost', s.port)
    assert r.returncode == 4 and 'none of those that --pin names' in r.stderr


def test_days(pki):
    with Server(pki, 'soon') as s:
        base = ['--tls=implicit', '--ca', pki / 'root.pem', 'localhost', s.port]
        r = cert(*base)
        assert r.returncode == 0 and 'ends in 4 days; renew it' in r.stderr
        assert cert('--warn-days', 30, *base).returncode == 4
        r = cert('--warn-days', 2, *base)
        assert r.returncode == 0 and r.stderr == ''


def test_json_and_pem(pki):
    with Server(pki, 'full') as s:
        base = ['--tls=implicit', '--ca', pki / 'root.pem', 'localhost', s.port]
        r = cert('--json', *base)
        assert r.stdout.count('\n') == 1
        j = json.loads(r.stdout)
        assert j['verified'] and len(j['chain']) == 2 and j['chain'][0]['names'] == ['localhost', 'IP:127.0.0.1']
        assert j['chain'][1]['subject'] == 'CN=Test Intermediate' and j['chain'][0]['days_left'] in (88, 89)
        pem = cert('--pem', *base).stdout
    assert pem.startswith('-----BEGIN CERTIFICATE') and pem.count('BEGIN CERT') == 2
    der = subprocess.run(['openssl', 'x509', '-noout', '-fingerprint', '-sha256'], input=pem, capture_output=True, text=True).stdout
    assert der.strip().split('=')[1].replace(':', '').lower() == j['chain'][0]['sha256']


def lines(c, *script):
    f = c.makefile('rb')
    for step in script:
        if step.startswith('<'):
            if not f.readline().decode().strip().upper().endswith(step[1:].upper()):
                return False
        else:
            c.sendall(step.encode() + b'\r\n')
    return True


@pytest.mark.parametrize('proto,script', [
    ('smtp', ['220-mail', '220 mail', '<', '250-a', '250 STARTTLS', '<STARTTLS', '220 go']),
    ('lmtp', ['220 mail', '<', '250 ok', '<STARTTLS', '220 go']),
    ('imap', ['* OK hi', '<STARTTLS', '* NOTE x', 'a1 OK go']),
    ('pop3', ['+OK hi', '<STLS', '+OK go']),
    ('sieve', ['"STARTTLS"', 'OK', '<STARTTLS', 'OK']),
])
def test_starttls(pki, proto, script):
    with Server(pki, 'good', lambda c: lines(c, *script)) as s:
        r = cert('--proto', proto, '--starttls', '--ca', pki / 'root.pem', 'localhost', s.port)
        assert r.returncode == 0, r.stderr
        assert '%s by STARTTLS' % proto in r.stdout
        if proto in ('smtp', 'imap', 'pop3'):
            r = cert('-connect', 'localhost:%d' % s.port, '-starttls', proto, '-CAfile', pki / 'root.pem')
            assert r.returncode == 0, r.stderr


@pytest.mark.parametrize('proto,script,status', [
    ('smtp', ['554 no'], 6),
    ('smtp', ['220 mail', '<', '500 what'], 7),
    ('smtp', ['220 mail', '<', '250 ok', '<STARTTLS', '554 TLS not supported here'], 5),
    ('smtp', ['HTTP/1.1 400 Bad Request'], 6),
    ('smtp', ['220 mail', '<', '250 ok', '<STARTTLS', '220 go\r\n250 injected'], 4),
    ('imap', ['* BYE go away'], 6),
    ('imap', ['* OK hi', '<STARTTLS', 'a1 NO \x1b[2Jnever'], 5),
    ('pop3', ['+OK hi', '<STLS', '-ERR no'], 5),
    ('smtp', ['220 mail', '<', '250 ok', '<STARTTLS'], 14),
    ('smtp', ['220-x'] * 1100, 6),
])
def test_refusals(pki, proto, script, status):
    def before(c):
        lines(c, *script)
        time.sleep(0.2)
        return False
    with Server(pki, 'good', before) as s:
        r = cert('--proto', proto, '--starttls', '--timeout', 5, 'localhost', s.port)
    assert r.returncode == status, r.stderr
    assert r.stdout == '' and '\x1b' not in r.stderr and 'localhost (127.0.0.1) port %d' % s.port in r.stderr


def test_a_port_of_no_fame_is_tried_both_ways(pki):
    with Server(pki, 'good') as s:
        r = cert('--ca', pki / 'root.pem', '--timeout', 1, 'localhost', s.port)
    assert r.returncode == 0 and 'TLS from the start' in r.stdout, r.stderr


def test_plain_port(pki):
    with Server(pki, 'good', lambda c: lines(c, '220 mail')) as s:
        r = cert('--tls=implicit', 'localhost', s.port)
    assert r.returncode == 4 and 'speaks without TLS on this port' in r.stderr


def test_versions(pki):
    v = ssl.TLSVersion
    with Server(pki, 'good', versions=(v.TLSv1_2, v.TLSv1_2)) as s:
        r = cert('--tls=implicit', '--ca', pki / 'root.pem', '--all-versions', '--all-ciphers', 'localhost', s.port)
        assert r.returncode == 0
        assert 'TLSv1.1        refused' in r.stdout and 'TLSv1.2        taken' in r.stdout and 'TLSv1.3        refused' in r.stdout
        assert 'ECDHE-ECDSA-AES256-GCM-SHA384' in r.stdout
        r = cert('--tls=implicit', '--ca', pki / 'root.pem', '--tls-min', '1.3', 'localhost', s.port)
        assert r.returncode == 4 and 'takes none of our versions' in r.stderr


def test_keylog_and_client_certificate(pki, tmp_path):
    log = tmp_path / 'keys'
    with Server(pki, 'good') as s:
        s.ctx.verify_mode = ssl.CERT_REQUIRED
        s.ctx.load_verify_locations(pki / 'root.pem')
        base = ['--tls=implicit', '--tls-max', '1.2', '--ca', pki / 'root.pem', 'localhost', s.port]
        r = cert(*base)
        assert r.returncode == 4 and '--cert' in r.stderr
        r = cert('--cert', pki / 'chained.pem', '--key', pki / 'good.key', *base)
        assert r.returncode == 4 and 'good.key' in r.stderr
        r = cert('--keylog', log, '--cert', pki / 'good.pem', '--key', pki / 'good.key', *base)
        assert r.returncode == 0, r.stderr
    assert 'CLIENT_RANDOM ' in log.read_text() and os.stat(log).st_mode & 0o77 == 0


def test_nobody_there():
    with socket.create_server(('127.0.0.1', 0)) as s:
        port = s.getsockname()[1]
    r = cert('localhost', port)
    assert r.returncode == 3 and 'connection refused' in r.stderr
    assert cert('--tls=never', 'localhost').returncode == 1
