"""The role fetch: MTA-STS policies for relays, reports about TLS for store; hosts that do not do what they should."""
import socket
import struct
import time

import pytest

import role
from nameserver import NameServer
from role import Role, text
from secure import TlsServer, authority
from test_dane_sts import http, policy

KEEP, KEPT, POST, POSTED = 322, 323, 320, 321


class Web(TlsServer):
    """An https server whose answers, by host, may change; it hears what it is asked."""

    def __init__(self, cert, key):
        self.pages, self.heard, self.slow = {}, [], 0
        super().__init__(cert, key)

    def serve(self, c):
        with self.ctx.wrap_socket(c, server_side=True) as t:
            head, _, body = self.request(t).partition(b'\r\n\r\n')
            fields = {k.lower(): v.strip() for k, _, v in (line.partition(':') for line in head.decode().split('\r\n')[1:])}
            while len(body) < int(fields.get('content-length', 0)):
                body += t.recv(65536)
            self.heard.append((head.decode().split('\r\n')[0], fields, body))
            time.sleep(self.slow)
            t.sendall(self.pages.get(fields['host'].split(':')[0], http('', head='404 Not Found')))

    def asked(self, domain):
        return sum(f['host'].startswith('mta-sts.' + domain) for _, f, _ in self.heard)


NAMES = 'example.net bad.example html.example long.example gone.example void.example moved.example slow.example old.example'.split()


@pytest.fixture(scope='module')
def pki(tmp_path_factory):
    d = tmp_path_factory.mktemp('sts')
    ca, sign = authority(d)
    cert, key = sign('web', ','.join('DNS:mta-sts.' + n for n in NAMES + ['kept.example']) + ',DNS:reports.example')
    return ca, cert, key


@pytest.fixture
def web(pki):
    w = Web(pki[1], pki[2])
    w.pages['mta-sts.example.net'] = http(policy())
    yield w
    w.close()


@pytest.fixture
def names():
    records = {('mta-sts.' + n, 'A'): ['127.0.0.1'] for n in NAMES + ['kept.example', 'other.example']}
    records[('reports.example', 'A')] = ['127.0.0.1']
    with NameServer(records) as ns:
        yield ns


class Pair:
    """fetch, with the dns that it asks and a store that kept something."""

    def __init__(self, pki, names, web, kept=(), **more):
        settings = {'relay__authorities': pki[0], 'dns': names.address, **more}
        if web:
            settings['sts__port'] = str(web.port)
        self.dns, self.fetch = Role('dns', dns=names.address), Role('fetch', **settings)
        self.fetch.join(self.dns)
        self.store = self.fetch.peer('store')
        for key, value in kept:
            self.store.send(KEPT, text(key) + text(value))
        self.store.send(KEPT, text('') + text(''))
        self.relay = self.fetch.peer('relay')

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.fetch.stop()
        self.dns.stop()


def kept(page, policy_id='1', age=0):
    return b'\1' + text(policy_id) + struct.pack('>Q', int(time.time()) - age) + text(page)


def test_policy(pki, names, web):
    with Pair(pki, names, web) as p:
        assert role.sts(p.relay, 'example.net', '') == (1, '', '') and web.heard == []
        assert role.sts(p.relay, 'example.net', '2026') == (0, policy(), '')
        line, fields, _ = web.heard[0]
        assert line == 'GET /.well-known/mta-sts.txt HTTP/1.1' and fields['host'] == 'mta-sts.example.net:%d' % web.port
        kind, _, body = p.store.recv()
        r = role.Reader(body)
        assert kind == KEEP and r.text() == b'example.net'
        value = role.Reader(r.text())
        assert value.take('B') == 1 and value.text() == b'2026' and abs(value.take('Q') - time.time()) < 60 and value.text().decode() == policy()
        # remembered: by the same id, and without one
        for policy_id in ('2026', ''):
            assert role.sts(p.relay, 'example.net', policy_id)[0] == 0
        assert web.asked('example.net') == 1
        # another id: another policy, fetched once for all who ask
        web.pages['mta-sts.example.net'] = http(policy('testing'))
        web.slow = 0.3
        for n in range(20):
            p.relay.send(role.STS_ASK, text('example.net') + text('2027'), n)
        got = [p.relay.recv() for _ in range(20)]
        assert {g[1] for g in got} == set(range(20)) and all(b'testing' in g[2] for g in got)
        assert web.asked('example.net') == 2


def test_kept_while_busy(pki):
    """As many policies are fetched at a time as may be: one that is kept holds, though its id is another by now."""
    with socket.create_server(('127.0.0.1', 0), backlog=1000) as silent:
        many = ['d%d.example' % n for n in range(300)]
        with NameServer({('mta-sts.' + d, 'A'): ['127.0.0.1'] for d in many}) as ns, \
                Pair(pki, ns, None, [('example.net', kept(policy()))], sts__port=str(silent.getsockname()[1])) as p:
            for n, d in enumerate(many):
                p.relay.send(role.STS_ASK, text(d) + text('1'), 1000 + n)
            refused = [p.relay.recv() for _ in range(300 - 256)]
            assert all(b'too many policies' in body for _, _, body in refused)
            assert role.sts(p.relay, 'example.net', 'new')[:2] == (0, policy())


@pytest.mark.parametrize('page, why', [
    (http('', head='404 Not Found'), 'sts-policy-fetch-error: it answers 404'),
    (http('', head='302 Found\r\nLocation: https://example.org/'), 'sts-policy-fetch-error: it answers 302, which leads elsewhere'),
    (http(policy(), kind='text/html'), 'sts-policy-fetch-error: it is not of the type text/plain'),
    (http('x' * 65537), 'sts-policy-fetch-error: the answer is too long'),
    (http(policy(), length=4000), 'sts-policy-fetch-error: '),
    (http('version: STSv1\nmode: enforce\n'), 'sts-policy-invalid: '),
    (b'220 mail ESMTP\r\n', 'sts-policy-fetch-error: '),
    (b'', 'sts-policy-fetch-error: '),
    (http(policy(), kind='text/plain; charset=utf-8'), None),
])
def test_pages(pki, names, web, page, why):
    web.pages['mta-sts.bad.example'] = page
    with Pair(pki, names, web) as p:
        for _ in range(2):  # remembered for five minutes
            status, got, said = role.sts(p.relay, 'bad.example', '1')
            assert (status, bool(got)) == ((2, False) if why else (0, True)) and said.startswith(why or ''), said
        assert web.asked('bad.example') == 1
        # what is good of others stays good
        assert role.sts(p.relay, 'example.net', '1')[0] == 0


def test_hosts(pki, names, web):
    with Pair(pki, names, web) as p:
        status, _, why = role.sts(p.relay, 'other.example', '1')
        assert status == 2 and why.startswith('sts-webpki-invalid: ')
        status, _, why = role.sts(p.relay, 'nowhere.example', '1')
        assert status == 2 and why.startswith('sts-policy-fetch-error: its name leads nowhere')
        for domain in ('a/b', 'a..b', 'a@b', 'x' * 250, 'a:b'):
            assert role.sts(p.relay, domain, '1')[0] == 1
    assert web.heard == []


def test_stranger(pki, names, tmp_path):
    """An authority that is nobody's."""
    other = authority(tmp_path)
    w = Web(*other[1]('web', 'DNS:mta-sts.example.net'))
    w.pages['mta-sts.example.net'] = http(policy())
    with Pair(pki, names, w) as p:
        status, _, why = role.sts(p.relay, 'example.net', '1')
        assert status == 2 and why.startswith('sts-webpki-invalid: ') and w.heard == []
    w.close()


def test_kept(pki, names, web):
    """What was fetched in another life; and an old one, that holds although its host says nonsense now."""
    page = policy()
    with Pair(pki, names, web, kept=[('kept.example', kept(page)), ('old.example', kept(page, age=86401)),
                                     ('example.net', kept(page, 'a')), ('broken.example', b'\1nonsense')]) as p:
        assert role.sts(p.relay, 'kept.example', '1') == (0, page, '') and web.heard == []
        assert role.sts(p.relay, 'old.example', '')[0] == 1
        web.pages['mta-sts.example.net'] = http('', head='503 Busy')
        assert role.sts(p.relay, 'example.net', 'b') == (0, page, '') and web.asked('example.net') == 1
        assert role.sts(p.relay, 'example.net', 'b') == (0, page, '') and web.asked('example.net') == 1
        assert role.sts(p.relay, 'example.net', 'a') == (0, page, '')


def test_forgotten(pki, names, web):
    """What there is no room for is removed from the store, too, when it is told and later."""
    many = 10000
    with Pair(pki, names, web, kept=[('d%d.example' % n, kept(policy())) for n in range(many + 1)]) as p:
        assert role.sts(p.relay, 'd1.example', '')[0] == 0
        assert role.sts(p.relay, 'example.net', '1')[0] == 0
        said = [role.Reader(body) for kind, _, body in (p.store.recv() for _ in range(3)) if kind == KEEP]
        assert [(r.text().decode(), bool(r.text())) for r in said] == [
            ('d%d.example' % many, False), ('d0.example', False), ('example.net', True)]


def test_refresh(pki, names, web):
    with Pair(pki, names, web, kept=[('example.net', kept(policy('testing'), '1', 100))], sts__refresh='1') as p:
        assert 'testing' in role.sts(p.relay, 'example.net', '1')[1]
        deadline = time.monotonic() + 20
        while 'enforce' not in role.sts(p.relay, 'example.net', '1')[1]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert web.asked('example.net') >= 1


def test_slow(pki, names, web):
    web.pages['mta-sts.slow.example'] = http(policy())
    web.slow = 15
    with Pair(pki, names, web) as p:
        begin = time.monotonic()
        p.relay.send(role.STS_ASK, text('slow.example') + text('1'), 5)
        kind, _, body = p.relay.recv()
        assert body[0] == 2 and time.monotonic() - begin < 14


def test_before_store(pki, names, web):
    """Asked before the store has told what it kept: the answer waits, for a while."""
    with Role('dns', dns=names.address) as dns, Role('fetch', relay__authorities=pki[0], sts__port=str(web.port), dns=names.address) as f:
        f.join(dns)
        relay = f.peer('relay')
        relay.send(role.STS_ASK, text('kept.example') + text('1'), 1)
        time.sleep(0.5)
        store = f.peer('store')
        store.send(KEPT, text('kept.example') + text(kept(policy())))
        store.send(KEPT, text('') + text(''))
        assert relay.recv()[2][0] == 0 and web.heard == []


def post(p, url, octets=b'report', id=9):
    p.store.send(POST, text(url) + text(octets), id)
    kind, got, body = p.store.recv()
    assert kind == POSTED and got == id
    r = role.Reader(body)
    return r.take('H'), r.text(), r.text().decode()


def test_post(pki, names, web):
    web.pages['reports.example'] = http('thanks')
    with Pair(pki, names, web) as p:
        url = 'https://reports.example:%d/tls?x=1' % web.port
        assert post(p, url, b'\x1f\x8b' * 1000)[0] == 200
        line, fields, body = web.heard[0]
        assert line == 'POST /tls?x=1 HTTP/1.1' and fields['content-type'] == 'application/tlsrpt+gzip' and body == b'\x1f\x8b' * 1000
        web.pages['reports.example'] = http('', head='500 No')
        assert post(p, url)[0] == 500
        for bad in ('http://reports.example/', 'https://127.0.0.1:%d/' % web.port, 'file:///etc/passwd', 'https://', 'gopher://x/',
                    'https://nowhere.example/'):
            status, _, why = post(p, bad)
            assert status == 0 and why, bad
        assert len(web.heard) == 2


def test_post_private(pki, names, web):
    """Outside of a lab nobody makes us talk to ourselves."""
    with Pair(pki, names, web, lab='no') as p:
        status, _, why = post(p, 'https://reports.example:%d/' % web.port)
        assert status == 0 and 'private' in why and web.heard == []


def test_breach(pki, names, web):
    with Pair(pki, names, web) as p:
        for body in (b'', text('') + text('1'), text('example.net')):
            relay = p.fetch.peer('relay', 1)
            relay.send(role.STS_ASK, body)
            with pytest.raises((EOFError, ConnectionResetError)):
                relay.recv(10)
        assert role.sts(p.relay, 'example.net', '1')[0] == 0
