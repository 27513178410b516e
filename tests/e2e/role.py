"""One role of the server alone: a test is its parent and its peers, and speaks their frames (ipc/chan.h, ipc/msg.h)."""
import array
import fcntl
import os
import select
import socket
import struct
import subprocess

from server import BINARY, SLOW, end_with_us

ROLES = 'parent front auth store reader dns fetch gssapi gssapi-out relay'.split()
SETUP, PEER, STATUS_ASK, DRAIN, SECRET = 1, 4, 7, 8, 10
READY = 32
ADDR_ASK, ADDR = 200, 201
MX_ASK, MX, STS_ASK, STS = 264, 265, 272, 273
VERDICTS = 'ok no-domain no-mail no-host later forged off'.split()
TLSA = 'none secure failed'.split()


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return struct.pack('>I', len(s)) + s


class Reader:
    def __init__(self, octets):
        self.left = octets

    def take(self, form):
        size = struct.calcsize('>' + form)
        part, self.left = self.left[:size], self.left[size:]
        return struct.unpack('>' + form, part)[0]

    def text(self):
        size = self.take('I')
        part, self.left = self.left[:size], self.left[size:]
        return part


class Channel:
    """One end; frames out and in."""

    def __init__(self, sock):
        self.sock, self.inbox = sock, b''

    def send(self, kind, body=b'', id=0, fd=None):
        frame = struct.pack('>IHBBQ', len(body), kind, 1, fd is not None, id) + body + bytes(-len(body) % 8)
        rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))]
        sent = self.sock.sendmsg([frame], rights)
        if sent < len(frame):
            self.sock.sendall(frame[sent:])

    def more(self, seconds):
        if not select.select([self.sock], [], [], seconds * SLOW)[0]:
            raise AssertionError('no answer within %d s' % (seconds * SLOW))
        octets, rights, _, _ = self.sock.recvmsg(1 << 20, 4096)
        for _, _, data in rights:
            for fd in array.array('i', data[:len(data) // 4 * 4]):
                os.close(fd)
        if not octets:
            raise EOFError('the role has closed the channel')
        self.inbox += octets

    def recv(self, seconds=60):
        """(type, id, body)"""
        while True:
            if len(self.inbox) >= 16:
                size, kind, _, _, id = struct.unpack('>IHBBQ', self.inbox[:16])
                whole = 16 + size + -size % 8
                if len(self.inbox) >= whole:
                    body, self.inbox = self.inbox[16:16 + size], self.inbox[whole:]
                    return kind, id, body
            self.more(seconds)

    def close(self):
        self.sock.close()


class Role:
    def __init__(self, name, **settings):
        """settings: keys of the configuration; a dot in one is written __."""
        self.name = name
        ours, theirs = socket.socketpair()
        self.parent = Channel(ours)
        fd = theirs.fileno()

        def arrange():
            end_with_us()
            os.dup2(fd, 3)

        self.process = subprocess.Popen([BINARY, '--role', name], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, close_fds=False,
                                        preexec_fn=arrange, pass_fds=())
        theirs.close()
        lines = ['%s=%s' % (key.replace('__', '.'), value) for key, value in {'log__level': 'warn', 'lab': 'yes', **settings}.items()]
        self.setup('\n'.join(['pennypost-conf 1'] + lines + ['defaults=', 'end', '']))
        try:
            assert self.parent.recv()[0] == READY
        except (EOFError, ConnectionResetError):
            raise AssertionError('%s does not begin: %s %s' % (name, self.stop(), self.log))

    def setup(self, conf):
        fd = os.memfd_create('conf', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.write(fd, conf.encode())
        fcntl.fcntl(fd, 1033, 0xf)  # F_ADD_SEALS: all of them
        self.parent.send(SETUP, struct.pack('>BHHII', ROLES.index(self.name), 0, 1, 0, 0), fd=fd)
        os.close(fd)

    def peer(self, name, index=0, kind=PEER):
        ours, theirs = socket.socketpair()
        self.parent.send(kind, struct.pack('>BH', ROLES.index(name), index), fd=theirs.fileno())
        theirs.close()
        return Channel(ours)

    def join(self, other):
        """A channel between two roles."""
        a, b = socket.socketpair()
        self.parent.send(PEER, struct.pack('>BH', ROLES.index(other.name), 0), fd=a.fileno())
        other.parent.send(PEER, struct.pack('>BH', ROLES.index(self.name), 0), fd=b.fileno())
        a.close()
        b.close()

    def stop(self):
        self.parent.close()
        try:
            self.process.wait(20 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log = self.process.stderr.read().decode(errors='replace')
        self.process.stderr.close()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.stop()


# --- what dns is asked

def mx_ask(channel, name, mx=True, tlsa=True, port=25, id=1):
    channel.send(MX_ASK, struct.pack('>BBH', mx, tlsa, port) + text(name), id)


def mx_read(body):
    r = Reader(body)
    out = {'verdict': VERDICTS[r.take('B')], 'secure': bool(r.take('B')), 'implicit': bool(r.take('B')), 'ttl': r.take('I')}
    for key in ('canonical', 'sts_id', 'rua', 'why'):
        out[key] = r.text().decode()
    out['hosts'] = []
    for _ in range(r.take('H')):
        host = {'preference': r.take('H'), 'name': r.text().decode(), 'tlsa_base': r.text().decode(), 'secure': bool(r.take('B')),
                'tlsa': TLSA[r.take('B')]}
        r.take('H')
        n = r.take('H')
        addrs, records = r.text(), Reader(r.text())
        host['addrs'] = [ip(addrs[i:i + 16]) for i in range(0, len(addrs), 16)]
        host['records'] = ['%d %d %d %s' % (records.take('B'), records.take('B'), records.take('B'), records.text().hex())
                           for _ in range(n)]
        assert not records.left
        out['hosts'].append(host)
    assert not r.left
    return out


def ip(octets):
    if octets[:12] == bytes(10) + b'\xff\xff':
        return socket.inet_ntoa(octets[12:])
    return socket.inet_ntop(socket.AF_INET6, octets)


def mx(channel, name, **how):
    mx_ask(channel, name, **how)
    kind, id, body = channel.recv()
    assert kind == MX and id == how.get('id', 1)
    return mx_read(body)


# --- what fetch is asked

def sts(channel, domain, policy_id, id=1):
    """(status, policy, why)"""
    channel.send(STS_ASK, text(domain) + text(policy_id), id)
    kind, got, body = channel.recv()
    assert kind == STS and got == id
    r = Reader(body)
    return r.take('B'), r.text().decode(), r.text().decode()
