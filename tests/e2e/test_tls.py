"""TLS at the doors: implicit and STARTTLS, versions, names, reload, and where the key is."""
import base64
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

from secure import authority, context, keys, memory_of, openssl, secure, upgrade
from server import SLOW, wait_until

LETTER = b'From: Ann <ann@example.net>\r\nTo: alice@example.com\r\nSubject: hello\r\n\r\nunder cover\r\n'


def hand_in(t, sender='ann@example.net'):
    """A letter through a Talk behind EHLO; `behind_login` is for 465."""
    t.ask('MAIL FROM:<%s>' % sender, 250)
    t.ask('RCPT TO:<alice@example.com>', 250)
    t.ask('DATA', 354)
    t.send(LETTER.replace(b'ann@example.net', sender.encode()) + b'.\r\n')
    assert t.reply()[0] == 250


def log_in(t):
    t.ask('AUTH PLAIN ' + base64.b64encode(b'\0bob@example.com\0secret').decode(), 235)


def behind_login(lab, **options):
    """A Talk at 465 as bob."""
    t = secure(lab, **options)
    assert t.reply()[0] == 220
    t.ask('EHLO client.example.net', 250)
    log_in(t)
    return t


def front_line(letter, name=b'Received'):
    return re.search(rb'(?m)^' + name + rb':(.*(?:\n[ \t].*)*)', letter).group(1)


@pytest.mark.parametrize('version', ['TLSv1_2', 'TLSv1_3'])
def test_starttls(shared, version):
    lab, v = shared, ssl.TLSVersion[version]
    with lab.talk() as t:
        assert 'STARTTLS' in t.begin()[1].split('\n')
        t = upgrade(t, least=v, most=v)
        assert t.sock.version() == version.replace('_', '.')
        # RFC 3207 4.2: forgotten; and not offered again.
        assert t.ask('MAIL FROM:<ann@example.net>')[0] == 503
        assert 'STARTTLS' not in t.ask('EHLO me', 250)[1]
        assert t.ask('STARTTLS')[0] == 503
        hand_in(t)
        t.ask('QUIT', 221)
        t.close()
    received = front_line(lab.letters('alice@example.com')[-1])
    assert b'with ESMTPS' in received and version.replace('_', '.').encode() in received


def test_implicit(shared):
    for name, family in (('127.0.0.1', 'v4'), ('::1', 'v6')):
        if family == 'v6' and not socket.has_ipv6:
            continue
        with secure(shared, host=name) as t:
            assert t.reply()[0] == 220
            assert 'STARTTLS' not in t.ask('EHLO me', 250)[1]
            t.ask('QUIT', 221)
            assert t.at_end()


def test_what_waits_behind_starttls(shared):
    """CVE-2011-0411: octets sent in clear behind STARTTLS are never taken for encrypted ones."""
    with shared.talk() as t:
        t.begin()
        t.send(b'STARTTLS\r\nMAIL FROM:<mallory@example.net>\r\n')
        assert t.at_end()
    with shared.talk() as t:
        t.begin()
        assert t.ask('STARTTLS now')[0] == 501
        t.ask('NOOP', 250)


def s_client(lab, words, talk):
    return subprocess.run(['openssl', 's_client', '-quiet', *words], input=talk, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, timeout=60 * SLOW)


def test_s_client(shared):
    """As the seed documents do it: with -starttls and -crlf, and at 465 without -crlf (bare LF)."""
    talk = b'EHLO me\nMAIL FROM:<ann@example.net>\nrcpt TO:<alice@example.com>\nDATA\nSubject: one\n\ntext\n.\nQUIT\n'
    login = b'EHLO me\nAUTH PLAIN ' + base64.b64encode(b'\0bob@example.com\0secret') + b'\nMAIL FROM:<bob@example.com>\n'
    before = shared.count('alice@example.com')
    at25 = ['-starttls', 'smtp', '-crlf', '-connect', '127.0.0.1:%d' % shared.port(25)]
    for words, said in ((at25, talk), (at25 + ['-tls1_2'], talk), (at25 + ['-name', 'me'], talk),
                        (['-connect', '127.0.0.1:%d' % shared.port(465)], login + talk.split(b'\n', 2)[2])):
        r = s_client(shared, words, said)
        assert r.stdout.rstrip().rpartition(b'\n')[2].startswith(b'221'), r.stdout
    assert shared.count('alice@example.com') == before + 4


def test_end_without_a_word(shared):
    """s_client's Q, and lines that break: what has its 250 stays."""
    with secure(shared) as t:
        t.reply()
    s = context().wrap_socket(shared.connect(465), server_hostname='localhost')
    s.recv(100)
    os.close(s.detach())  # without close_notify
    s = shared.connect(465)
    s.sendall(b'\x16\x03\x01')  # half a record of a handshake
    s.close()
    s = shared.connect(465)
    s.sendall(b'EHLO in clear\r\n')
    s.settimeout(20 * SLOW)
    while True:  # an alert, perhaps, and the end
        try:
            if not s.recv(100):
                break
        except ConnectionError:
            break
    s.close()
    with shared.talk() as t:
        t.begin()


def test_versions(make_lab):
    lab = make_lab(sets=['25:tls.legacy=yes'])
    old = dict(least=ssl.TLSVersion.TLSv1, most=ssl.TLSVersion.TLSv1_1, seclevel=0)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        secure(lab, **old)
    with lab.talk(25) as t:
        t.begin()
        t = upgrade(t, **old)
        assert t.sock.version() in ('TLSv1', 'TLSv1.1')
        t.ask('EHLO me', 250)
        hand_in(t)
        t.close()


def test_alpn(shared):
    lab = shared
    with secure(lab, alpn=['smtp']) as t:
        assert t.sock.selected_alpn_protocol() == 'smtp'
        assert t.reply()[0] == 220
    with secure(lab, alpn=['h2', 'smtp']) as t:
        assert t.sock.selected_alpn_protocol() == 'smtp'
    with secure(lab) as t:
        assert t.sock.selected_alpn_protocol() is None
    with pytest.raises((ssl.SSLError, ConnectionError)):  # RFC 7301 3.2
        secure(lab, alpn=['h2', 'http/1.1'])


@pytest.mark.parametrize('version', ['TLSv1_2', 'TLSv1_3'])
def test_resumption(shared, version):
    """Tickets are good at every front, and only where they were made."""
    lab = shared
    c = context(least=ssl.TLSVersion[version], most=ssl.TLSVersion[version])
    with secure(lab, context=c) as t:
        t.reply()
        session = t.sock.session
        t.ask('QUIT', 221)
    for _ in range(12):
        with secure(lab, context=c, session=session) as t:
            assert t.sock.session_reused
            t.reply()
            if version == 'TLSv1_3':
                session = t.sock.session  # good for one use
    with lab.talk(587) as t:
        t.begin()
        t.ask('STARTTLS', 220)
        t.file.close()
        s = c.wrap_socket(t.sock, server_hostname='localhost', session=session)
        assert not s.session_reused  # a ticket of another door
        s.close()


def fingerprint(t):
    return ssl.DER_cert_to_PEM_cert(t.sock.getpeercert(True))


def test_names_and_reload(lab):
    """Certificates by name; a reload changes what newcomers see and ends no conversation."""
    with behind_login(lab) as old:
        first = fingerprint(old)
        lab.run('tls', 'make', 'mail.example.org')
        lab.run('tls', 'reload')
        wait_until(lambda: fingerprint_of(lab, 'mail.example.org') != first)
        assert fingerprint_of(lab, 'localhost') == first
        assert fingerprint_of(lab, 'MAIL.example.ORG') == fingerprint_of(lab, 'mail.example.org')
        hand_in(old, 'bob@example.com')
    rows = lab.json('tls', 'list')
    assert {'mail.example.org'} <= {n for r in rows for n in r['names']}


def fingerprint_of(lab, name):
    with secure(lab, name=name) as t:
        return fingerprint(t)


def test_signed_certificates(make_lab, tmp_path):
    """RSA and EC beside each other, with a chain that a client verifies."""
    ca, sign = authority(tmp_path)
    rsa = sign('rsa.example.org', 'DNS:mail.example.org', ('rsa:2048',))
    ec = sign('ec.example.org', 'DNS:mail.example.org,DNS:*.example.net')
    lab = make_lab(start=False)
    os.makedirs(os.path.join(lab.dir, 'tls'))
    for n, (cert, key) in enumerate((rsa, ec)):
        for source, ending in ((cert, 'crt'), (key, 'key')):
            target = os.path.join(lab.dir, 'tls', 'own%d.%s' % (n, ending))
            with open(source) as f, open(target, 'w') as g:
                g.write(f.read())
            os.chmod(target, 0o600)
    lab.start()
    for name in ('mail.example.org', 'a.example.net'):
        with behind_login(lab, name=name, verify=ca) as t:
            hand_in(t, 'bob@example.com')
    c = context(verify=ca, most=ssl.TLSVersion.TLSv1_2)
    c.set_ciphers('aRSA')
    with secure(lab, name='mail.example.org', context=c) as t:
        assert t.reply()[0] == 220


def test_key_is_not_in_front(lab):
    """The private number is nowhere in a front's memory, in either order of its octets; the public
    point is, and auth has the number: so the search would have found it."""
    for _ in range(20):
        with secure(lab) as t:
            t.reply()
    cert, key = keys(lab)[0]
    text = openssl('pkey', '-in', key, '-noout', '-text').stdout.decode()
    number = bytes.fromhex(re.sub(r'[\s:]', '', re.search(r'priv:((?:\s+[0-9a-f:]+)+)', text).group(1)))[-32:]
    point = bytes.fromhex(re.sub(r'[\s:]', '', re.search(r'pub:((?:\s+[0-9a-f:]+)+)', text).group(1)))[1:33]
    assert len(number) == 32 and len(point) == 32
    needles = [number, number[::-1]]
    try:
        memory = [memory_of(pid) for pid in lab.roles('front')]
        guard = memory_of(lab.roles('auth')[0])
    except PermissionError:
        pytest.skip('reading the memory of another process is not permitted here')
    if not any(memory):
        pytest.skip('reading the memory of another process is not permitted here')
    for image in memory:
        assert point in image or point[::-1] in image
        for needle in needles:
            assert image.count(needle) == 0
    assert any(n in guard for n in needles)


def test_auth_stopped(lab):
    """Without auth no handshake and no login; all that is open goes on, and what waited is done
    when it comes back."""
    auth = lab.roles('auth')[0]
    with behind_login(lab) as sealed, lab.talk() as plain:
        plain.begin()
        os.kill(auth, signal.SIGSTOP)
        try:
            hand_in(sealed, 'bob@example.com')
            hand_in(plain)
            waiting = lab.connect(465)
            c = context()
            late = c.wrap_socket(waiting, server_hostname='localhost', do_handshake_on_connect=False)
            late.settimeout(0.5)
            with pytest.raises((TimeoutError, socket.timeout, ssl.SSLWantReadError)):
                late.do_handshake()
        finally:
            os.kill(auth, signal.SIGCONT)
        late.settimeout(20 * SLOW)
        late.do_handshake()
        assert late.recv(100).startswith(b'220')
        late.close()


def test_auth_killed(lab):
    """A new auth has the keys again; the fronts and their sessions never notice more than a moment."""
    with behind_login(lab) as sealed:
        os.kill(lab.roles('auth')[0], signal.SIGKILL)
        hand_in(sealed, 'bob@example.com')

        def works():
            try:
                with secure(lab) as t:
                    return t.reply()[0] == 220
            except (ssl.SSLError, ConnectionError):
                return False
        wait_until(works)


def test_no_certificate(make_lab):
    """Without one STARTTLS is neither offered nor promised, and 465 says so by closing."""
    lab = make_lab()
    for cert, key in keys(lab):
        os.unlink(cert)
        os.unlink(key)
    lab.run('tls', 'reload')

    def gone():
        with lab.talk() as t:
            return 'STARTTLS' not in t.begin()[1]
    wait_until(gone)
    with lab.connect(465) as s:
        try:
            assert s.recv(100) == b''
        except ConnectionError:
            pass


def test_no_renegotiation(shared):
    """A client that asks for another handshake (s_client's R) gets none; the server lives."""
    pids = shared.roles('front')
    with subprocess.Popen(['openssl', 's_client', '-tls1_2', '-crlf', '-starttls', 'smtp', '-connect', '127.0.0.1:%d' % shared.port(25)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        while p.stdout.readline() != b'---\n' or not p.stdout.peek().startswith(b'250 '):
            assert p.poll() is None
        p.stdin.write(b'R\n')
        p.stdin.flush()
        assert b'no renegotiation' in p.stdout.read()
    assert shared.roles('front') == pids


def test_hangs_up_in_the_handshake(lab):
    """A thousand who leave while their signature is made cost nothing that stays."""
    pids = lab.roles('front')

    def rss():
        total = 0
        for pid in pids:
            with open('/proc/%d/statm' % pid) as f:
                total += int(f.read().split()[1]) * 4
        return total

    hello = None
    c = context()
    inn, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    o = c.wrap_bio(inn, out, server_hostname='localhost')
    try:
        o.do_handshake()
    except ssl.SSLWantReadError:
        hello = out.read()

    def run(n):
        for _ in range(n):
            s = lab.connect(465)
            s.sendall(hello)
            s.close()
    run(1500 if SLOW == 1 else 100)  # until it has what it needs for as many at a time
    time.sleep(0.5)
    before = rss()
    run(1000 if SLOW == 1 else 300)
    time.sleep(0.5)
    grown = rss() - before
    assert lab.roles('front') == pids
    if SLOW == 1:  # a sanitizer keeps what was freed
        assert grown < 8192, '%d KiB more' % grown  # 34 a time when what a pause holds is lost
