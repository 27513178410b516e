"""`pennypost tls`, `fault`, the lab's own certificate, and look-ups: what the command line sees."""
import base64
import os
import socket
import ssl
import stat
import struct
import threading

import pytest

from secure import secure
from server import free_base, wait_until


def pairs(lab):
    r = lab.run('tls', 'list', '--json', check=False)
    import json
    return r.returncode, json.loads(r.stdout)


def shown(lab, name, logical=465):
    """The names of the certificate that a client gets who asks for name, and what it speaks on."""
    t = secure(lab, logical, name=name)
    der = t.sock.getpeercert(binary_form=True)
    return t, ssl.DER_cert_to_PEM_cert(der)


def pem(lab, file):
    with open(os.path.join(lab.dir, 'tls', file + '.crt')) as f:
        return f.read()


def test_the_lab_makes_one(make_lab):
    lab = make_lab()
    status, rows = pairs(lab)
    assert status == 0 and len(rows) == 1
    one = rows[0]
    assert one['names'] == ['mail.example.com', 'localhost'] and one['default'] == 'yes' and one['wrong'] == []
    assert one['key'] == 'EC P-256' and one['subject'] == one['issuer']
    key = os.stat(one['key_file'])
    assert stat.S_IMODE(key.st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(one['key_file'])).st_mode) == 0o700
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(lab.connect(465), server_hostname='localhost')
    for host in ('localhost', '127.0.0.1', 'mail.example.com'):
        c = ssl.create_default_context(cafile=one['certificate'])
        c.wrap_socket(lab.connect(465), server_hostname=host).close()
    lab.stop()
    # the same at the next start, another when the lab has another name
    again = make_lab(dir=lab.dir)
    assert pairs(again)[1][0]['sha256'] == one['sha256']
    again.stop()
    other = make_lab(dir=lab.dir, args=['--hostname', 'other.example.net'])
    assert pairs(other)[1][0]['names'] == ['other.example.net', 'localhost']


def test_make_and_reload(lab):
    t, got = shown(lab, 'new.example.net')
    assert got == pem(lab, 'default')
    t.reply()
    r = lab.run('tls', 'make', 'new.example.net', '*.new.example.net')
    assert 'tls reload' in r.stdout
    assert stat.S_IMODE(os.stat(os.path.join(lab.dir, 'tls', 'new.example.net.key')).st_mode) == 0o600
    before = pem(lab, 'new.example.net')
    r = lab.run('tls', 'make', 'new.example.net', check=False)
    assert r.returncode == 2 and '--force' in r.stderr and pem(lab, 'new.example.net') == before
    lab.run('tls', 'make', 'new.example.net', '--force')
    assert pem(lab, 'new.example.net') != before
    for bad in ('../x', '', '.hidden', 'two words'):
        r = lab.run('tls', 'make', bad, check=False)
        assert r.returncode in (1, 4) and '"%s"' % bad in r.stderr, r.stderr
    assert lab.run('tls', 'make', check=False).returncode == 1
    assert sorted(os.listdir(os.path.join(lab.dir, 'tls'))) == [
        'default.crt', 'default.key', 'new.example.net.crt', 'new.example.net.key']
    lab.run('tls', 'reload')
    new = pem(lab, 'new.example.net')
    wait_until(lambda: shown(lab, 'new.example.net')[1] == new)
    assert shown(lab, 'mail.example.com')[1] == pem(lab, 'default')
    t.ask('EHLO me', 250)  # the connection from before goes on
    t.ask('NOOP', 250)
    assert [row['default'] for row in pairs(lab)[1]] == ['yes', '']


def test_what_is_wrong_is_said(lab):
    place = os.path.join(lab.dir, 'tls')
    for name in ('a.example.net', 'b.example.net', 'c.example.net', 'd.example.net'):
        lab.run('tls', 'make', name)
    os.unlink(os.path.join(place, 'a.example.net.key'))
    os.rename(os.path.join(place, 'b.example.net.key'), os.path.join(place, 'c.example.net.key'))
    os.chmod(os.path.join(place, 'd.example.net.key'), 0o644)
    with open(os.path.join(place, 'e.example.net.crt'), 'w') as f:
        f.write('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
    status, rows = pairs(lab)
    assert status == 2
    wrong = {os.path.basename(row['certificate'])[:-4]: ' '.join(row['wrong']) for row in rows}
    assert wrong['default'] == ''
    assert 'cannot be read: No such file' in wrong['a.example.net']
    assert 'cannot be read: No such file' in wrong['b.example.net']
    assert 'is not the key of the certificate' in wrong['c.example.net']
    assert 'chmod 600' in wrong['d.example.net']
    assert 'e.example.net.crt' in wrong['e.example.net'] and 'e.example.net.key' in wrong['e.example.net']
    text = lab.run('tls', 'list', check=False).stdout
    assert 'mail.example.com' in text and 'chmod 600' in text
    # with a key that is not its own everything stays as it was; what is not whole is left out
    r = lab.run('tls', 'reload', check=False)
    assert r.returncode == 2 and 'is not the key' in r.stderr
    os.unlink(os.path.join(place, 'c.example.net.key'))
    r = lab.run('tls', 'reload', check=False)
    assert r.returncode == 2 and 'c.example.net.key: cannot be read' in r.stderr
    wait_until(lambda: shown(lab, 'd.example.net')[1] == pem(lab, 'd.example.net'))
    assert shown(lab, 'c.example.net')[1] == pem(lab, 'default')
    assert all(row['restarts'] == 0 for row in lab.json('status')['roles'])


def test_configured_certificates(make_lab, tmp_path):
    base, guard = free_base()
    path = str(tmp_path / 'pennypost.conf')

    def write(certificates):
        with open(path, 'w') as f:
            f.write('hostname = "mail.example.net";\ndata_dir = "%s";\ndns = "";\n'
                    'store: { segment_bytes = 4194304; };\n'
                    'listen = ( { address = "127.0.0.1"; port = %d; stands_for = 465; },\n'
                    '           { address = "127.0.0.1"; port = %d; } );\n'
                    'tls: { certificates = ( %s ); };\n' % (tmp_path / 'data', base + 465, base + 25, certificates))

    write('')
    server = make_lab(config=path, start=False, dir=tmp_path / 'data')
    server.base = base
    r = server.run('config', 'check')
    assert 'warning: there is no certificate' in r.stdout and 'tls make mail.example.net' in r.stdout
    for name in ('mail.example.net', 'alt.example.net'):
        server.run('tls', 'make', name)
    os.rename(str(tmp_path / 'data' / 'tls'), str(tmp_path / 'etc'))
    one = '{ cert = "etc/%s.crt"; key = "etc/%s.key"; }'
    write(one % (('mail.example.net',) * 2) + ', ' + one % (('alt.example.net',) * 2))
    assert 'certificates = (' in server.run('config', 'show').stdout
    assert 'warning' not in server.run('config', 'check').stdout
    server.start(wait=False)
    wait_until(lambda: server.run('status', check=False).returncode == 0)
    wait_until(lambda: any(row['state'] == 'ready' for row in server.json('status')['roles'] if row['role'] == 'parent'))
    status, rows = pairs(server)
    assert status == 0 and [row['names'] for row in rows] == [['mail.example.net'], ['alt.example.net']]

    def names(asked):
        try:
            return shown(server, asked)[1]
        except OSError:
            return None

    def file(name):
        with open(str(tmp_path / 'etc' / (name + '.crt'))) as f:
            return f.read()

    wait_until(lambda: names('nobody.example.net') == file('mail.example.net'))
    assert names('alt.example.net') == file('alt.example.net')
    # a reload with one that is not there
    write(one % (('alt.example.net',) * 2) + ', ' + one % ('gone', 'gone'))
    assert 'gone.crt: cannot be read: No such file' in server.run('config', 'check').stdout
    server.run('reload')
    wait_until(lambda: names('nobody.example.net') == file('alt.example.net'))
    assert 'gone.crt' in server.log()
    # outside of a lab nobody makes faults
    r = server.run('fault', 'data.temperr', check=False)
    assert r.returncode == 2 and 'lab' in r.stderr
    guard.close()


def test_fault(lab):
    lab.run('fault', 'mail.lowres')
    with lab.smtp() as s:
        s.ehlo()
        assert s.mail('a@example.net')[0] == 452
        assert s.mail('a@example.net')[0] == 250
    lab.run('fault', 'data.temperr')
    with lab.smtp() as s:
        s.ehlo()
        s.mail('a@example.net')
        s.rcpt('alice@example.com')
        assert s.data('x')[0] == 451
    assert lab.count('alice@example.com') == 0
    r = lab.run('fault', 'no.such', check=False)
    assert r.returncode == 2 and 'no.such' in r.stderr


def test_user_plain(make_lab):
    """A password of any octets; the account can do what needs the password itself."""
    password = b'p:\xc3\xa4 \x01'
    b64 = base64.b64encode(b'old@example.com:' + password).decode()
    lab = make_lab(users=(), args=['--user-plain', b64], sets=['mechs=CRAM-MD5 PLAIN'])
    t = secure(lab)
    assert t.reply()[0] == 220
    t.ask('EHLO me', 250)
    t.ask(b'AUTH PLAIN ' + base64.b64encode(b'\0old@example.com\0' + password), 235)
    r = make_lab(start=False, args=['--user-plain', 'no base64!'])
    r.start(wait=False)
    assert r.process.wait(20) == 1


# --- look-ups

class NameServer:
    """Answers PTR and A from a dict, by UDP."""

    def __init__(self, records):
        self.records = records
        self.asked = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(('127.0.0.1', 0))
        self.place = '127.0.0.1:%d' % self.sock.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    @staticmethod
    def wire(name):
        return b''.join(bytes([len(label)]) + label.encode() for label in name.split('.')) + b'\0'

    def answer(self, q):
        at, labels = 12, []
        while q[at]:
            labels.append(q[at + 1:at + 1 + q[at]].decode().lower())
            at += 1 + q[at]
        kind = struct.unpack('>H', q[at + 1:at + 3])[0]
        name = '.'.join(labels)
        self.asked.append(name)
        data = self.records.get((name, kind))
        known = any(n == name for n, _ in self.records)
        body = b''
        if data:
            data = socket.inet_aton(data) if kind == 1 else self.wire(data)
            body = b'\xc0\x0c' + struct.pack('>HHIH', kind, 1, 60, len(data)) + data
        return (q[:2] + struct.pack('>HHHHH', 0x8580 | (0 if known else 3), 1, bool(data), 0, 0) + q[12:at + 5] + body)

    def serve(self):
        while True:
            try:
                q, who = self.sock.recvfrom(4096)
                self.sock.sendto(self.answer(q), who)
            except OSError:
                return


def greeted_as(lab):
    """The client's name in the answer to HELO, as the sendmail dialect says it."""
    with lab.smtp() as s:
        return s.helo('me')[1].decode().split('Hello ')[1].split(' [')[0]


def test_names_of_clients(make_lab):
    dns = NameServer({('1.0.0.127.in-addr.arpa', 12): 'client.example.test', ('client.example.test', 1): '127.0.0.1'})
    lab = make_lab(args=['--dns', dns.place, '--dialect', 'sendmail'])
    wait_until(lambda: greeted_as(lab) == 'client.example.test')
    roles = {row['role']: row for row in lab.json('status')['roles']}
    assert roles['dns']['lookups'] >= 1 and roles['dns']['restarts'] == 0
    assert 'seccomp' in roles['dns']['layers'] or 'seccomp_relaxed' in roles['dns']['layers']


def test_a_name_that_does_not_lead_back(make_lab):
    dns = NameServer({('1.0.0.127.in-addr.arpa', 12): 'forged.example.test', ('forged.example.test', 1): '192.0.2.1'})
    lab = make_lab(args=['--dns', dns.place, '--dialect', 'sendmail'])
    wait_until(lambda: greeted_as(lab) and 'forged.example.test' in dns.asked)
    assert all('forged' not in greeted_as(lab) for _ in range(5))


def test_no_look_ups_without_a_server(make_lab):
    lab = make_lab()
    assert 'dns' not in [row['role'] for row in lab.json('status')['roles']]
    assert lab.roles('dns') == [] and lab.roles('fetch') == []
