"""Letters to other servers over TLS that DANE (RFC 7672) or MTA-STS (RFC 8461) asks for, with zones that are signed well, badly and
not at all; and the reports about it (RFC 8460)."""
import email
import gzip
import json
import os
import smtplib
import socket
import ssl
import struct
import time

import pytest

from nameserver import NameServer
from server import SLOW, Lab, wait_until
from test_dane_sts import HOST, Tls, http, issue, policy, tlsa_of
from test_names_sts import Web
from zones import PEERS, Zones

needs_nsd = pytest.mark.skipif(not os.path.exists(PEERS), reason='NSD is not unpacked (tools/setup.sh test)')


class Mx(Tls):
    """A server that keeps the letters."""

    def __init__(self, pki, name, starttls=True):
        self.letters, self.secured = [], 0
        super().__init__(pki, name, starttls=starttls)

    def smtp(self, c):
        f = c.makefile('rwb')

        def say(text):
            f.write(text.encode() + b'\r\n')
            f.flush()
        say('220 mx1.example.org ESMTP')
        while True:
            line = f.readline()
            if not line:
                return
            verb = line.split()[0].upper().decode()
            self.heard.append(verb)
            secure = isinstance(c, ssl.SSLSocket)
            if verb == 'EHLO':
                say('250-mx1.example.org\r\n250-8BITMIME' + ('\r\n250 STARTTLS' if self.starttls and not secure else '\r\n250 SIZE'))
            elif verb == 'STARTTLS':
                say('220 go')
                c = self.ctx.wrap_socket(c, server_side=True)
                self.secured += 1
                f = c.makefile('rwb')
            elif verb == 'DATA':
                say('354 go')
                letter = b''
                while True:
                    line = f.readline()
                    if line in (b'.\r\n', b''):
                        break
                    letter += line
                self.letters.append((secure, letter))
                say('250 taken')
            elif verb == 'QUIT':
                say('221 bye')
                return
            else:
                say('250 ok')


@pytest.fixture(scope='module')
def pki(tmp_path_factory):
    d = tmp_path_factory.mktemp('names')
    issue(d, 'root', None, [], 'basicConstraints = critical,CA:true', 'keyUsage = keyCertSign,cRLSign')
    issue(d, 'mx', 'root', [HOST])
    issue(d, 'other', 'root', ['elsewhere.example.net'])
    issue(d, 'stranger', None, ['nobody.example'])
    issue(d, HOST, 'root', [], 'basicConstraints = CA:false')  # the name in its subject only
    issue(d, 'web', 'root', ['mta-sts.example.org', 'reports.example.org'])
    for name, of in (('provider', 'prov'), ('customer', 'cust'), ('alias', 'alias')):
        issue(d, name, 'root', [of + '.example.org'])
    for name in ('mx', 'other', 'provider', 'customer', 'alias'):
        (d / (name + '.chain')).write_text((d / (name + '.pem')).read_text() + (d / 'root.pem').read_text())
    return d


def base(port, tlsa=None, host='127.0.0.1'):
    records = {('example.org', 'MX'): ['10 ' + HOST], (HOST, 'A'): [host]}
    if tlsa:
        records[('_%d._tcp.%s' % (port, HOST), 'TLSA')] = tlsa
    return records


class Sender:
    """A lab that sends through a name server."""

    def __init__(self, directory, port, dns, *sets, args=()):
        self.lab = Lab(directory / 'lab', sets=['relay_ip=127.0.0.0/8', 'relay.port=%d' % port, 'queue.retry_first=2', *sets],
                       args=['--dns', dns, *args])

    def __enter__(self):
        self.lab.start()
        return self

    def __exit__(self, *why):
        self.lab.stop()
        self.lab.close()

    def send(self, subject='x', to='b@example.org', sender='alice@example.com'):
        with smtplib.SMTP('127.0.0.1', self.lab.port(25), timeout=30 * SLOW) as s:
            s.sendmail(sender, [to], 'From: %s\r\nTo: %s\r\nSubject: %s\r\n\r\nhello\r\n' % (sender, to, subject))


def trace(lab):
    return lab.run('trace', '--to', 'b@example.org').stdout


def waits(lab, *words):
    """What the queue says of a letter that was tried and not sent."""
    def said():
        for text in lab.run('queue', 'list', '--json').stdout.splitlines():
            if json.loads(text).get('attempts') and all(w in text for w in words):
                return text
    return wait_until(said, 30)


def unsecured(starttls, needs, port):
    if starttls:
        return 'no TLS with %s [127.0.0.1]:%d, where it is needed (%s): ' % (HOST, port, needs)
    return 'TLS is needed (%s), and %s [127.0.0.1]:%d does not offer STARTTLS' % (needs, HOST, port)


@needs_nsd
@pytest.mark.parametrize('cert, of, how, spoil, starttls, sent', [
    ('stranger', 'stranger', 'signed', None, True, 'tls'),       # the record is about it, whoever made it
    ('mx', 'root', 'signed', None, True, 'tls'),
    ('mx', 'stranger', 'signed', None, True, None),              # another key
    ('mx', 'mx', 'signed', 'expired', True, None),               # TLSA that nobody vouches for any more: as if down
    ('mx', 'mx', 'signed', 'forged', True, None),
    ('mx', 'mx', 'signed', None, False, None),                   # STARTTLS stripped
    ('stranger', 'mx', 'unsigned', None, True, 'tls'),           # not DNSSEC's: opportunistic
    ('stranger', None, 'signed', None, True, 'tls'),             # absent
    ('stranger', None, 'signed', None, False, 'clear'),
    ('mx', 'mx', 'expired', None, True, None),
    ('mx', 'mx', 'forged', None, True, None),
], ids=['good', 'authority', 'wrong', 'expired', 'forged', 'stripped', 'unsigned', 'absent', 'plain', 'zone-expired', 'zone-forged'])
def test_dane(pki, tmp_path, cert, of, how, spoil, starttls, sent):
    with Mx(pki, cert, starttls) as m:
        tlsa = [tlsa_of(pki, of, 2 if of == 'root' else 3, 0 if of == 'root' else 1, 1)] if of else None
        bad = {('_%d._tcp.%s' % (m.port, HOST), 'TLSA'): spoil} if spoil else {}
        with Zones(tmp_path, base(m.port, tlsa), {'example.org': how}, bad) as z, \
                Sender(tmp_path, m.port, z.address, *z.sets) as s:
            s.send()
            needs = 'DANE: _%d._tcp.%s' % (m.port, HOST)
            if sent:
                wait_until(lambda: m.letters, 30)
                assert m.letters[0][0] == (sent == 'tls')
                by_dane = bool(of) and how == 'signed'
                wait_until(lambda: 'TLS policy: ' in trace(s.lab), 30)
                assert ('TLS policy: needed, with a certificate that a TLSA record names (%s)' % needs in trace(s.lab)) == by_dane
                assert ('(relay.tls = auto; neither DANE nor MTA-STS asks for more)' in trace(s.lab)) != by_dane
                assert 'no route: MX records of example.org: %s (10)' % HOST in trace(s.lab)
            else:
                waits(s.lab, 'example.org', *[unsecured(starttls, needs, m.port)] if how == 'signed' and not spoil else [])
                time.sleep(2 * SLOW)
                assert not m.letters and 'MAIL' not in m.heard


@needs_nsd
@pytest.mark.parametrize('cert, to, names', [
    ('provider', 'cust', {('cust.example.org', 'CNAME'): ['prov.example.org'], ('prov.example.org', 'MX'): ['10 ' + HOST]}),
    ('customer', 'cust', {('cust.example.org', 'CNAME'): ['prov.example.org'], ('prov.example.org', 'MX'): ['10 ' + HOST]}),
    ('alias', 'cust', {('cust.example.org', 'MX'): ['10 alias.example.org'], ('alias.example.org', 'CNAME'): [HOST]}),
    ('alias', 'far', {('alias.example.org', 'CNAME'): [HOST]}),
    ('other', 'cust', {('cust.example.org', 'CNAME'): ['prov.example.org'], ('prov.example.org', 'MX'): ['10 ' + HOST]}),
], ids=['expanded', 'domain', 'host', 'smarthost', 'nobody'])
def test_dane_names(pki, tmp_path, cert, to, names):
    """Whose an authority's certificate may be, beside the host at which its TLSA record stands (RFC 7672 3.2.2)."""
    with Mx(pki, cert) as m:
        records = {(HOST, 'A'): ['127.0.0.1'], ('_%d._tcp.%s' % (m.port, HOST), 'TLSA'): [tlsa_of(pki, 'root', 2, 0, 1)], **names}
        with Zones(tmp_path, records, {'example.org': 'signed'}) as z, Sender(
                tmp_path, m.port, z.address, *z.sets, *['route.far.example.org=smtp:alias.example.org:%d' % m.port] * (to == 'far')) as s:
            s.send(to='b@%s.example.org' % to)
            if cert != 'other':
                wait_until(lambda: m.letters, 30)
                assert m.letters[0][0]
            else:
                waits(s.lab, 'hostname mismatch')
                assert not m.letters


class Deaf(NameServer):
    """Passes on what another name server says, but for one question, which it never hears."""

    def __init__(self, address, name, kind):
        host, port = address.split(':')
        self.behind, self.deaf_to = (host, int(port)), (name, kind)
        super().__init__()

    def answer(self, query, tcp):
        name, kind, _ = self.question(query)
        self.asked.append((name, kind))
        if (name, kind) == self.deaf_to:
            return None
        if tcp:
            with socket.create_connection(self.behind, 5) as s, s.makefile('rb') as f:
                s.sendall(struct.pack('>H', len(query)) + query)
                return f.read(struct.unpack('>H', f.read(2))[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.sendto(query, self.behind)
            return s.recv(65536)


@needs_nsd
@pytest.mark.parametrize('of, sent', [('mx', True), ('stranger', False)], ids=['good', 'wrong'])
def test_dane_half_the_addresses(pki, tmp_path, of, sent):
    """Nobody says whether the host has an IPv6 address: its TLSA records hold all the same."""
    with Mx(pki, 'mx') as m, Zones(tmp_path, base(m.port, [tlsa_of(pki, of, 3, 1, 1)]), {'example.org': 'signed'}) as z, \
            Deaf(z.address, HOST, 'AAAA') as ns, Sender(tmp_path, m.port, ns.address, *z.sets) as s:
        s.send()
        if sent:
            wait_until(lambda: m.letters, 60)
            assert m.letters[0][0] and '(DANE)' in s.lab.run('trace', '--to', 'b@example.org').stdout
        else:
            waits(s.lab, 'example.org')
            time.sleep(2 * SLOW)
            assert not m.letters and 'MAIL' not in m.heard
        assert (HOST, 'AAAA') in ns.asked


@pytest.mark.parametrize('cert, mode, mx, starttls, sent', [
    ('mx', 'enforce', [HOST], True, True),
    ('other', 'enforce', [HOST], True, False),
    (HOST, 'enforce', [HOST], True, False),
    ('mx', 'enforce', ['*.example.net'], True, False),
    ('mx', 'enforce', [HOST], False, False),
    ('other', 'testing', ['*.example.net'], True, True),
    ('other', 'none', [], False, True),
], ids=['good', 'name', 'subject', 'pattern', 'stripped', 'testing', 'none'])
def test_sts(pki, tmp_path, cert, mode, mx, starttls, sent):
    web = Web(pki / 'web.pem', pki / 'web.key')
    web.pages['mta-sts.example.org'] = http(policy(mode, mx))
    with Mx(pki, cert, starttls) as m:
        records = {**base(m.port), ('_mta-sts.example.org', 'TXT'): ['v=STSv1; id=1;'], ('mta-sts.example.org', 'A'): ['127.0.0.1']}
        with NameServer(records) as ns, Sender(tmp_path, m.port, ns.address, 'sts.port=%d' % web.port,
                                               'relay.authorities=%s' % (pki / 'root.pem')) as s:
            s.send()
            needs = 'MTA-STS policy of example.org, mode ' + mode
            if sent:
                wait_until(lambda: m.letters, 30)
                assert m.letters[0][0] == starttls
                if mode != 'none':
                    how = 'needed, with a certificate for the name' if mode == 'enforce' else 'where it is offered'
                    wait_until(lambda: 'TLS policy: %s (%s)' % (how, needs) in trace(s.lab), 30)
            else:
                waits(s.lab, 'example.org', *[unsecured(starttls, needs, m.port)] if mx == [HOST] else [])
                time.sleep(2 * SLOW)
                assert not m.letters and 'MAIL' not in m.heard
            if mode == 'enforce' and cert == 'mx' and mx == [HOST] and starttls:
                # kept: after a restart, with neither the record nor the host, it still holds
                s.lab.stop()
                web.pages.clear()
                ns.records[('_mta-sts.example.org', 'TXT')] = 'servfail'
                m.starttls = False
                s.lab.start()
                s.send('second')
                waits(s.lab, 'example.org')
                time.sleep(2 * SLOW)
                assert len(m.letters) == 1
    web.close()


def test_tls_reports(pki, tmp_path):
    """Two good sessions, some that were not: told by mail and by https, once."""
    web = Web(pki / 'web.pem', pki / 'web.key')
    web.pages['mta-sts.example.org'] = http(policy('testing', ['*.example.net']))
    web.pages['reports.example.org'] = http('thanks')
    with Mx(pki, 'mx') as m:
        records = {**base(m.port), ('_mta-sts.example.org', 'TXT'): ['v=STSv1; id=1;'], ('mta-sts.example.org', 'A'): ['127.0.0.1'],
                   ('reports.example.org', 'A'): ['127.0.0.1'],
                   ('_smtp._tls.example.org', 'TXT'): ['v=TLSRPTv1; rua=mailto:tls@example.org,https://reports.example.org:%d/in' % web.port]}
        with NameServer(records) as ns, Sender(tmp_path, m.port, ns.address, 'sts.port=%d' % web.port, 'tlsrpt.period=15', 'log.level=info',
                                               'tlsrpt.organization=Example "Inc"', 'relay.authorities=%s' % (pki / 'root.pem')) as s:
            s.send('one')
            wait_until(lambda: m.letters, 30)
            wait_until(lambda: len(m.letters) >= 2, 60)  # the report
            wait_until(lambda: any(line.startswith('POST') for line, _, _ in web.heard), 30)
            posted = [body for line, _, body in web.heard if line == 'POST /in HTTP/1.1']
            letter = email.message_from_bytes(m.letters[1][1])
            lab = s.lab
            wait_until(lambda: 'tls-report-sent' in lab.log(), 20)
    assert letter.get_content_type() == 'multipart/report' and letter.get_param('report-type') == 'tlsrpt'
    assert letter['TLS-Report-Domain'] == 'example.org' and letter['TLS-Required'] == 'No' and letter['To'] == 'tls@example.org'
    text, attached = letter.get_payload()
    assert text.get_content_type() == 'text/plain' and attached.get_content_type() == 'application/tlsrpt+gzip'
    octets = attached.get_payload(decode=True)
    assert posted[0] == octets and attached.get_filename().endswith('.json.gz')
    report = json.loads(gzip.decompress(octets))
    assert report['organization-name'] == 'Example "Inc"'
    one, = report['policies']
    assert one['policy']['policy-type'] == 'sts' and one['policy']['policy-domain'] == 'example.org'
    assert one['policy']['mx-host'] == ['*.example.net']
    assert one['policy']['policy-string'] == ['version: STSv1', 'mode: testing', 'mx: *.example.net', 'max_age: 86400']
    assert one['summary'] == {'total-successful-session-count': 0, 'total-failure-session-count': 1}
    detail, = one['failure-details']
    assert detail['result-type'] == 'validation-failure' and detail['receiving-mx-hostname'] == HOST
    web.close()
