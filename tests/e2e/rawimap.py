"""IMAP as octets: what a server says, response by response, literals as they came."""
import re
import select
import socket
import subprocess
import time
import zlib

import secure
from server import SLOW

LITERAL = re.compile(rb'~?\{(\d+)\+?\}\r\n$')


class Raw:
    """A conversation over two descriptors; read() and write() are what differs."""

    form = 't%d'  # of its tags

    def __init__(self, timeout=30):
        self.timeout = timeout
        self.buffer = b''
        self.count = 0

    def read(self):
        raise NotImplementedError

    def write(self, octets):
        raise NotImplementedError

    def fill(self):
        more = self.read()
        if not more:
            raise EOFError('the server closed; what came last: %r' % self.buffer[-200:])
        self.buffer += more

    def line(self):
        while b'\r\n' not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b'\r\n', 1)
        return line + b'\r\n'

    def response(self):
        """One response with its literals."""
        whole = self.line()
        while True:
            found = LITERAL.search(whole)
            if not found:
                return whole
            size = int(found.group(1))
            while len(self.buffer) < size:
                self.fill()
            whole += self.buffer[:size]
            self.buffer = self.buffer[size:]
            whole += self.line()

    def until(self, tag):
        """Everything up to the tagged response: ([untagged, ...], tagged)."""
        untagged = []
        while True:
            r = self.response()
            if r.startswith(tag + b' '):
                return untagged, r
            untagged.append(r)

    def send(self, command):
        """Sends a command (without tag and CRLF) and returns its tag."""
        if isinstance(command, str):
            command = command.encode()
        self.count += 1
        tag = (self.form % self.count).encode()
        self.write(tag + b' ' + command + b'\r\n')
        return tag

    def ask(self, command):
        return self.until(self.send(command))

    def ok(self, command):
        untagged, tagged = self.ask(command)
        assert b' OK' in tagged[:tagged.index(b' ') + 4], (command, tagged, untagged[-3:])
        return untagged

    def append(self, mailbox, letter, flags='', date=''):
        words = ' '.join(w for w in (mailbox, flags, date) if w)
        return self.ask(('APPEND %s {%d+}\r\n' % (words, len(letter))).encode() + letter)


class Socket(Raw):
    def __init__(self, host, port, timeout=30, wrap=None):
        super().__init__(timeout)
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.packer = self.unpacker = None
        self.received = 0  # octets as they came, inside TLS
        if wrap:
            self.sock = wrap(self.sock)
        self.greeting = self.response()

    def read(self):
        while True:
            octets = self.sock.recv(1 << 16)
            self.received += len(octets)
            plain = self.unpacker.decompress(octets) if self.unpacker else octets
            if plain or not octets:
                return plain

    def write(self, octets):
        if self.packer:
            octets = self.packer.compress(octets) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        self.sock.sendall(octets)

    def deflate(self, level=6):
        """COMPRESS DEFLATE (RFC 4978)."""
        assert b' OK' in self.ask('COMPRESS DEFLATE')[1] and not self.buffer
        self.packer, self.unpacker = zlib.compressobj(level, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def starttls(self, context, name):
        assert b' OK' in self.ask('STARTTLS')[1]
        self.sock = context.wrap_socket(self.sock, server_hostname=name)

    def quiet(self, seconds):
        """Nothing comes for so long."""
        pending = getattr(self.sock, 'pending', None)
        return not self.buffer and not (pending and pending()) and not select.select([self.sock], [], [], seconds)[0]

    def close(self):
        self.sock.close()


def login(lab, user='alice@example.com', password='secret', logical=143, select=None):
    """A session of one who has logged in, inside TLS."""
    wrap = None
    if logical == 993:
        def wrap(sock):
            return secure.context().wrap_socket(sock, server_hostname='localhost')
    c = Socket('127.0.0.1', lab.port(logical), 60 * SLOW, wrap)
    if logical == 143:
        c.starttls(secure.context(), 'localhost')
    c.ok('LOGIN %s %s' % (user, password))
    if select:
        c.ok('SELECT ' + select)
    return c


class Pipe(Raw):
    """A server that speaks on its standard input and output, already logged in."""

    def __init__(self, args, env=None, timeout=30):
        super().__init__(timeout)
        self.child = subprocess.Popen(args, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      bufsize=0)
        self.greeting = self.response()

    def read(self):
        end = time.monotonic() + self.timeout
        while time.monotonic() < end:
            if select.select([self.child.stdout], [], [], 1)[0]:
                return self.child.stdout.read(1 << 16)
        raise TimeoutError('no answer')

    def write(self, octets):
        self.child.stdin.write(octets)

    def close(self):
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.kill()
        self.child.wait()


def value_end(octets, at):
    """Where the value that begins at `at` ends: an atom, a string, a literal or a list."""
    c = octets[at:at + 1]
    if c == b'(':
        at += 1
        while octets[at:at + 1] != b')':
            at = at + 1 if octets[at:at + 1] == b' ' else value_end(octets, at)
        return at + 1
    if c == b'"':
        at += 1
        while octets[at:at + 1] != b'"':
            at += 2 if octets[at:at + 1] == b'\\' else 1
        return at + 1
    found = re.compile(rb'~?\{(\d+)\}\r\n').match(octets, at)
    if found:
        return found.end() + int(found.group(1))
    found = re.compile(rb'[^ ()\r\n]+').match(octets, at)
    assert found, octets[at - 20:at + 20]
    return found.end()


def fetch_items(response):
    """{item: value as it came} of a FETCH response; None when it is none."""
    found = re.match(rb'\* (\d+) FETCH \(', response)
    if not found:
        return None
    at = found.end()
    items = {b'seq': found.group(1)}
    while response[at:at + 1] != b')':
        name = re.compile(rb'[A-Za-z0-9.-]+(\[[^\]]*\])?(<\d+>)?').match(response, at)
        end = value_end(response, name.end() + 1)
        items[name.group(0).upper()] = response[name.end() + 1:end]
        at = end + (response[end:end + 1] == b' ')
    return items


def string(value):
    """The octets of a string value; None for NIL."""
    if value.upper() == b'NIL':
        return None
    if value.startswith(b'"'):
        return re.sub(rb'\\(.)', rb'\1', value[1:-1])
    return value.split(b'\r\n', 1)[1] if value[:1] in b'{~' else value


def tree(value):
    """A list value as nested Python lists of values as they came."""
    assert value[:1] == b'('
    out, at = [], 1
    while value[at:at + 1] != b')':
        if value[at:at + 1] == b' ':
            at += 1
            continue
        end = value_end(value, at)
        out.append(tree(value[at:end]) if value[at:at + 1] == b'(' else value[at:end])
        at = end
    return out
