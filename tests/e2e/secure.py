"""TLS from the client's side, for tests: nothing is verified unless a test asks for it."""
import glob
import os
import smtplib
import socket
import ssl
import subprocess
import threading

from server import SLOW, Talk


def context(least=None, most=None, alpn=None, cert=None, seclevel=None, verify=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if verify:
        c.verify_mode = ssl.CERT_REQUIRED
        c.check_hostname = True
        c.load_verify_locations(verify)
    if seclevel is not None:
        c.set_ciphers('ALL:@SECLEVEL=%d' % seclevel)
    if least:
        c.minimum_version = least
    if most:
        c.maximum_version = most
    if alpn:
        c.set_alpn_protocols(alpn)
    if cert:
        c.load_cert_chain(*cert)
    return c


class TlsServer:
    """A port of 127.0.0.1 with a certificate; serve() gets each connection, in a thread of its own, and it closes behind that."""

    def __init__(self, chain, key):
        self.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ctx.load_cert_chain(chain, key)
        self.sock = socket.create_server(('127.0.0.1', 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        try:
            c.settimeout(30)
            self.serve(c)
        except OSError:
            pass
        finally:
            c.close()

    def request(self, c):
        """What a client of HTTP says first: octets up to the empty line behind the fields, and some more."""
        got = b''
        while b'\r\n\r\n' not in got:
            more = c.recv(65536)
            if not more:
                raise ConnectionError('it has closed')
            got += more
        return got

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def secure(lab, logical=465, host='127.0.0.1', name='localhost', session=None, **options):
    """A Talk behind an implicit handshake."""
    c = options.pop('context', None) or context(**options)
    return Talk(c.wrap_socket(lab.connect(logical, host), server_hostname=name, session=session))


def upgrade(talk, name='localhost', **options):
    """STARTTLS on a Talk that has said EHLO; the Talk behind it, which has said nothing yet."""
    talk.ask('STARTTLS', 220)
    sock = talk.sock
    talk.file.close()
    c = options.pop('context', None) or context(**options)
    return Talk(c.wrap_socket(sock, server_hostname=name))


def submission(lab, user='alice@example.com', password='secret', logical=587, **options):
    """An smtplib client that has logged in at the submission port."""
    c = options.pop('context', None) or context(**options)
    if logical == 465:
        s = smtplib.SMTP_SSL('127.0.0.1', lab.port(465), local_hostname='client.example.net', timeout=60 * SLOW, context=c)
    else:
        s = lab.smtp(logical)
        s.starttls(context=c)
    if user:
        s.login(user, password)
    return s


def keys(lab):
    """[(certificate, key)] of the server's own directory, by name."""
    certs = sorted(glob.glob(os.path.join(lab.dir, 'tls', '*.crt')))
    return [(c, c[:-4] + '.key') for c in certs]


def openssl(*words, input=None):
    return subprocess.run(['openssl', *words], input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * SLOW)


def authority(directory):
    """(certificate, sign): a certification authority, and sign(name, san) -> (certificate, key)."""
    def path(name):
        return os.path.join(str(directory), name)
    done = openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30',
                   '-subj', '/CN=Test authority', '-keyout', path('ca.key'), '-out', path('ca.crt'))
    assert done.returncode == 0, done.stdout

    def sign(name, san, kind=('ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1')):
        with open(path(name + '.ext'), 'w') as f:
            f.write('subjectAltName=%s\n' % san)
        for words in (['req', '-newkey', *kind, '-nodes', '-subj', '/CN=' + name, '-keyout', path(name + '.key'),
                       '-out', path(name + '.csr')],
                      ['x509', '-req', '-in', path(name + '.csr'), '-CA', path('ca.crt'), '-CAkey', path('ca.key'),
                       '-CAcreateserial', '-days', '30', '-extfile', path(name + '.ext'), '-out', path(name + '.crt')]):
            r = openssl(*words)
            assert r.returncode == 0, r.stdout
        return path(name + '.crt'), path(name + '.key')

    return path('ca.crt'), sign


def memory_of(pid):
    """All it can read of its own memory, as a core file would hold it."""
    whole = []
    with open('/proc/%d/maps' % pid) as maps, open('/proc/%d/mem' % pid, 'rb', 0) as mem:
        for line in maps:
            where, rights, *_ = line.split()
            start, end = (int(x, 16) for x in where.split('-'))
            if not rights.startswith('r') or 'vsyscall' in line or 'vvar' in line or end - start > 1 << 30:
                continue
            try:
                mem.seek(start)
                whole.append(mem.read(end - start))
            except (OSError, ValueError):
                pass
    return b'\0'.join(whole)
