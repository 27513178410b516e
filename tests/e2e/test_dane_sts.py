"""--dane and --mta-sts: keys that the DNS names, policies that a web page has; and everything that can be wrong with both."""
import hashlib
import ssl
import subprocess

import pytest

from nameserver import NameServer
from puppet import client, objects
from secure import TlsServer

HOST = 'mx1.example.org'


def openssl(d, *args):
    return subprocess.run(['openssl', *args], cwd=d, check=True, capture_output=True).stdout


def issue(d, name, by, names, *extra):
    openssl(d, 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', name + '.key', '-out', name + '.csr',
            '-subj', '/CN=' + name)
    (d / 'ext').write_text('\n'.join(extra or ('basicConstraints = CA:false', 'subjectAltName = ' + ','.join('DNS:' + n for n in names))))
    signer = ['-signkey', name + '.key'] if by is None else ['-CA', by + '.pem', '-CAkey', by + '.key', '-set_serial', str(len(name) + 7)]
    openssl(d, 'x509', '-req', '-in', name + '.csr', '-out', name + '.pem', '-days', '30', '-extfile', 'ext', *signer)


@pytest.fixture(scope='module')
def pki(tmp_path_factory):
    d = tmp_path_factory.mktemp('dane')
    issue(d, 'root', None, [], 'basicConstraints = critical,CA:true', 'keyUsage = keyCertSign,cRLSign')
    issue(d, 'mx', 'root', [HOST])
    issue(d, 'other', 'root', ['elsewhere.example.net'])
    issue(d, 'stranger', None, ['nobody.example'])
    issue(d, 'web', 'root', ['mta-sts.example.org'])
    for name in ('mx', 'other'):
        (d / (name + '.chain')).write_text((d / (name + '.pem')).read_text() + (d / 'root.pem').read_text())
    return d


def der(pki, name, key=False):
    if key:
        public = openssl(pki, 'x509', '-in', name + '.pem', '-noout', '-pubkey').decode()
        return ssl.PEM_cert_to_DER_cert(public.replace('PUBLIC KEY', 'CERTIFICATE'))
    return ssl.PEM_cert_to_DER_cert((pki / (name + '.pem')).read_text())


class Tls(TlsServer):
    """A server of SMTP with STARTTLS, or of HTTPS with one answer."""

    def __init__(self, pki, name, page=None, starttls=True):
        chain = pki / (name + '.chain')
        self.page, self.starttls, self.heard = page, starttls, []
        super().__init__(chain if chain.exists() else pki / (name + '.pem'), pki / (name + '.key'))

    def serve(self, c):
        (self.web if self.page is not None else self.smtp)(c)

    def web(self, c):
        with self.ctx.wrap_socket(c, server_side=True) as t:
            self.heard.append(self.request(t).decode())
            t.sendall(self.page)

    def smtp(self, c):
        f = c.makefile('rwb')
        f.write(b'220 mx1.example.org ESMTP\r\n')
        f.flush()
        while True:
            line = f.readline()
            if not line:
                return
            verb = line.split()[0].upper()
            self.heard.append(verb.decode())
            clear = not isinstance(c, ssl.SSLSocket)
            f.write({b'EHLO': b'250-mx1.example.org\r\n250-STARTTLS\r\n250 8BITMIME\r\n' if clear and self.starttls else b'250 mx1.example.org\r\n',
                     b'STARTTLS': b'220 go\r\n', b'DATA': b'354 go\r\n', b'QUIT': b'221 bye\r\n'}.get(verb, b'250 ok\r\n'))
            f.flush()
            if verb == b'DATA':
                while f.readline() not in (b'.\r\n', b''):
                    pass
                f.write(b'250 taken\r\n')
                f.flush()
            if verb == b'STARTTLS':
                c = self.ctx.wrap_socket(c, server_side=True)
                f = c.makefile('rwb')


SEND = ['send', '--from', 'a@example.net', '--to', 'b@example.org']


def records(port, tlsa=None, **more):
    r = {('example.org', 'MX'): ['10 ' + HOST], (HOST, 'A'): ['127.0.0.1']}
    if tlsa:
        r[('_%d._tcp.%s' % (port, HOST), 'TLSA')] = tlsa if isinstance(tlsa, str) else list(tlsa)
    r.update(more)
    return r


def tlsa_of(pki, name, usage, selector, matching):
    data = der(pki, name, selector == 1)
    data = {0: data, 1: hashlib.sha256(data).digest(), 2: hashlib.sha512(data).digest()}[matching]
    return '%d %d %d %s' % (usage, selector, matching, data.hex())


def dane(pki, cert, rows, *words, secure=True, command=SEND, host=HOST, starttls=True):
    with Tls(pki, cert, starttls=starttls) as s:
        name = '_%d._tcp.%s' % (s.port, HOST)
        with NameServer(records(s.port, rows), [name, 'example.org'] if secure else ['example.org']) as ns:
            where = [host, '--port', str(s.port)] if host else ['--mx', '--port', str(s.port)]
            r = client(*command, '--dane', '--dns', ns.address, '--resolve', HOST + ':127.0.0.1', *words, *where)
    r.heard = s.heard
    return r


@pytest.mark.parametrize('cert, of, usage, selector, matching, status', [
    ('mx', 'mx', 3, 1, 1, 0),
    ('mx', 'mx', 3, 0, 1, 0),
    ('mx', 'mx', 3, 0, 0, 0),
    ('mx', 'mx', 3, 1, 0, 0),
    ('mx', 'mx', 3, 1, 2, 0),
    ('stranger', 'stranger', 3, 1, 1, 0),  # DANE-EE: the name means nothing
    ('mx', 'root', 2, 0, 1, 0),
    ('mx', 'root', 2, 1, 2, 0),
    ('other', 'root', 2, 0, 1, 4),         # DANE-TA: it does
    ('mx', 'stranger', 3, 1, 1, 4),
    ('mx', 'stranger', 2, 0, 1, 4),
    ('mx', 'root', 3, 1, 1, 4),            # the authority is not the server
])
def test_dane(pki, cert, of, usage, selector, matching, status):
    r = dane(pki, cert, [tlsa_of(pki, of, usage, selector, matching)])
    assert r.returncode == status, r.stdout + r.stderr
    said = 'DANE-%s matched (%d %d %d)' % ('EE' if usage == 3 else 'TA', usage, selector, matching)
    assert (said in r.stdout) == (status == 0) and ('MAIL' in r.heard) == (status == 0)


def test_dane_one_of_several(pki):
    rows = [tlsa_of(pki, 'stranger', 3, 1, 1), '1 1 1 ' + '00' * 32, '3 1 1 abcd', tlsa_of(pki, 'mx', 3, 1, 1)]
    r = dane(pki, 'mx', rows)
    assert r.returncode == 0 and 'DANE: 2 TLSA records' in r.stdout


def test_dane_unusable(pki):
    rows = [tlsa_of(pki, 'mx', 1, 1, 1), '3 1 1 abcd', '3 2 1 ' + '00' * 32, '3 0 0 30820000', '3 1 9 00']
    r = dane(pki, 'stranger', rows)
    assert r.returncode == 0 and 'nothing vouches for the server' in r.stdout and 'STARTTLS' in r.heard
    assert dane(pki, 'stranger', rows, starttls=False).returncode == 5


@pytest.mark.parametrize('rows, secure, status, text', [
    (None, True, 4, 'has no TLSA record'),
    (['3 1 1 ' + '00' * 32], False, 4, 'validated by nobody'),
    ('servfail', True, 2, 'SERVFAIL'),
])
def test_dane_nothing(pki, rows, secure, status, text):
    r = dane(pki, 'mx', rows, secure=secure)
    assert r.returncode == status and text in r.stdout + r.stderr and r.heard == []


def test_dane_no_starttls(pki):
    r = dane(pki, 'mx', [tlsa_of(pki, 'mx', 3, 1, 1)], starttls=False)
    assert r.returncode == 5 and 'MAIL' not in r.heard


def test_dane_mx(pki):
    rows = [tlsa_of(pki, 'mx', 3, 1, 1)]
    assert dane(pki, 'mx', rows, host=None).returncode == 0
    with Tls(pki, 'mx') as s, NameServer(records(s.port, rows), ['_%d._tcp.%s' % (s.port, HOST)]) as ns:
        r = client(*SEND, '--dane', '--dns', ns.address, '--mx', '--port', str(s.port))
    assert r.returncode == 4 and 'the MX records of example.org' in r.stdout + r.stderr and s.heard == []


def test_dane_commands(pki):
    good, bad = [tlsa_of(pki, 'stranger', 3, 1, 1)], [tlsa_of(pki, 'mx', 3, 1, 1)]
    for rows, status in ((good, 0), (bad, 4)):
        r = dane(pki, 'stranger', rows, command=['check'])
        assert r.returncode == status and ('DANE-EE matched' in r.stdout) == (status == 0), r.stdout
        r = dane(pki, 'stranger', rows, '--tls=must', command=['cert'])
        assert r.returncode == status and ('yes: DANE-EE matched (3 1 1)' in r.stdout) == (status == 0), r.stdout
        r = dane(pki, 'stranger', rows, command=['talk'])
        assert r.returncode == status and ('DANE-EE matched' in r.stdout) == (status == 0), r.stdout + r.stderr
        r = dane(pki, 'stranger', rows, 'b@example.org', command=['probe'], host=None)
        assert ('accepted' in r.stdout) == (status == 0), r.stdout + r.stderr
    assert dane(pki, 'stranger', None, command=['check']).returncode == 4


# --- MTA-STS

def http(body, head='200 OK', kind='text/plain', length=None):
    return ('HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s' % (
        head, kind, len(body) if length is None else length, body)).encode()


def policy(mode='enforce', mx=(HOST,)):
    return 'version: STSv1\nmode: %s\n%smax_age: 86400\n' % (mode, ''.join('mx: %s\n' % m for m in mx))


TXT = {('_mta-sts.example.org', 'TXT'): ['v=STSv1; id=2026;'], ('mta-sts.example.org', 'A'): ['127.0.0.1']}


def sts(pki, cert, page, *words, web='web', txt=TXT, command=SEND, starttls=True, ca='root.pem'):
    with Tls(pki, web, page) as w, Tls(pki, cert, starttls=starttls) as s, \
            NameServer({**records(s.port), **txt}) as ns:
        r = client(*command, '--mta-sts', '--sts-port', str(w.port), '--dns', ns.address, '--ca', str(pki / ca), '--port', str(s.port),
                   '--timeout', '5', *(words or ['--mx']))
    r.heard, r.asked = s.heard, w.heard
    return r


def test_sts(pki):
    r = sts(pki, 'mx', http(policy()))
    assert r.returncode == 0 and 'MTA-STS of example.org: mode enforce, max_age 86400, mx ' + HOST in r.stdout, r.stdout + r.stderr
    assert r.asked[0].startswith('GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.org:') and 'STARTTLS' in r.heard


@pytest.mark.parametrize('cert, mode, mx, starttls, status', [
    ('mx', 'enforce', ['*.example.org'], True, 0),
    ('mx', 'enforce', ['*.example.net'], True, 4),
    ('other', 'enforce', [HOST], True, 4),
    ('mx', 'enforce', [HOST], False, 5),
    ('mx', 'none', [], False, 0),
    ('mx', 'testing', ['*.example.net'], False, 0),
])
def test_sts_modes(pki, cert, mode, mx, starttls, status):
    r = sts(pki, cert, http(policy(mode, mx)), starttls=starttls)
    assert r.returncode == status and ('MAIL' in r.heard) == (status == 0), r.stdout + r.stderr
    if mode == 'testing':
        assert 'in mode enforce it would be refused' in r.stdout


def test_sts_recipients(pki):
    assert sts(pki, 'mx', http(policy()), HOST).returncode == 0
    assert sts(pki, 'mx', http(policy(mx=['a.example'])), HOST).returncode == 4
    r = sts(pki, 'mx', http(policy()), HOST, '--to', 'c@example.com')
    assert r.returncode == 1 and 'one domain at a time' in r.stderr


def chunked(*parts):
    body = b''.join(b'%x;x=y\r\n%s\r\n' % (len(p), p) for p in parts) + b'0\r\n\r\n'
    return b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n' + body


@pytest.mark.parametrize('page, status, text', [
    (chunked(policy().encode()[:20], policy().encode()[20:]), 0, ''),
    (b'HTTP/1.1 103 Early Hints\r\n\r\n' + http(policy()), 0, ''),
    (http(policy(), head='302 Found\r\nLocation: https://example.org/'), 4, 'leads elsewhere'),
    (http('', head='404 Not Found'), 4, 'it answers 404'),
    (http(policy(), kind='text/html'), 4, 'not of the type text/plain'),
    (http(policy(), length=65537), 4, 'longer than 65536'),
    (http(policy(), length=4000), 4, 'closed the connection'),
    (chunked(b'x' * 65537), 4, 'longer than 65536'),
    (chunked(policy().encode()).replace(b';x=y', b'zz'), 4, 'no size of a chunk'),
    (b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n' + policy().encode(), 4, 'how long'),
    (b'220 mail ESMTP\r\n', 4, 'does not speak HTTP'),
    (b'HTTP/1.1 200 OK\r\n' + b'A: b\r\n' * 1000, 4, 'never ends'),
    (b'HTTP/1.1 200 OK\r\nA: ' + b'x' * 100000, 4, 'too long'),
    (b'', 4, 'closed the connection'),
    (http('version: STSv1\nmode: enforce\n'), 4, 'the policy lacks'),
], ids=['chunked', 'interim', 'elsewhere', 'missing', 'html', 'long', 'cut', 'long-chunk', 'bad-chunk', 'no-length', 'smtp', 'endless',
        'long-line', 'empty', 'void'])
def test_sts_pages(pki, page, status, text):
    r = sts(pki, 'mx', page)
    assert r.returncode == status and text in r.stdout + r.stderr, r.stdout + r.stderr
    assert status == 0 or r.heard == []


def test_sts_not_had(pki):
    r = sts(pki, 'mx', http(policy()), web='other')
    assert r.returncode == 4 and 'made out to other names' in r.stdout + r.stderr and r.heard == []
    r = sts(pki, 'mx', http(policy()), txt={})
    assert r.returncode == 0 and 'has no policy of MTA-STS' in r.stdout and r.asked == []
    r = sts(pki, 'mx', http(policy()), txt={**TXT, ('_mta-sts.example.org', 'TXT'): ['v=STSv1; id=1', 'v=STSv1; id=2']})
    assert r.returncode == 4 and 'several TXT records' in r.stdout + r.stderr and r.asked == []


def test_sts_commands(pki):
    for mx, status in ((HOST, 0), ('a.example', 4)):
        page = http(policy(mx=[mx]))
        r = sts(pki, 'mx', page, '--to', 'b@example.org', HOST, command=['check'])
        assert r.returncode == status and 'example.org: mode enforce' in r.stdout, r.stdout
        r = sts(pki, 'mx', page, 'b@example.org', command=['probe'])
        assert ('accepted' in r.stdout) == (status == 0), r.stdout + r.stderr
        r = sts(pki, 'mx', page, '--mx', 'example.org', command=['talk'])
        assert r.returncode == status, r.stdout + r.stderr
    r = sts(pki, 'mx', http(policy()), 'example.org', '--json', command=['mx'])
    assert objects(r)[0]['mta_sts_policy'] == {'domain': 'example.org', 'id': '2026', 'mode': 'enforce', 'max_age': 86400, 'mx': [HOST]}
    r = sts(pki, 'mx', http(policy(mx=['a.example'])), 'example.org', command=['mx'])
    assert 'STS policy   mode enforce, max_age 86400, mx a.example' in r.stdout and 'senders refuse it' in r.stdout


def test_refused():
    for words in (['talk', '--dane', '--tls=never', 'localhost'], ['talk', '--dane', 'localhost', '143'],
                  ['probe', '--mta-sts', '--server', 'localhost', 'a@example.org'], ['mx', '--dane', 'example.org'],
                  ['send', '--mta-sts', '--pin', '00' * 32, 'localhost']):
        r = client(*words)
        assert r.returncode == 1 and ('--dane' in r.stderr or '--mta-sts' in r.stderr), r.stderr
