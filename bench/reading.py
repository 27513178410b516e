"""reading: letters for a mailbox, and clients that put them there and read them. Replies are only drained."""
import base64
import random
import socket
import ssl
import threading
import time

from servers import Trouble

ROOM = 1 << 20


def corpus(count):
    """The same letters every time, 7.3 KB on the average: 70 % plain text of 4 KiB, 20 % with an alternative in
    HTML of 8 KiB, 10 % with an attachment of 24 KiB in base64. foo is in every 100th subject and in every 50th text."""
    r = random.Random(42)
    words = [''.join(r.choice('abcdefghijklmnopqrstuvwxyz') for _ in range(r.randint(2, 9))) for _ in range(5000)]
    for i in range(count):
        yield letter(r, words, i).replace('\n', '\r\n').encode()


def text(r, words, size):
    lines, line, total, width = [], [], 0, 0
    while total < size:
        w = r.choice(words)
        line.append(w)
        width += len(w) + 1
        total += len(w) + 1
        if width > 68:
            lines.append(' '.join(line))
            line, width = [], 0
    return '\n'.join(lines + [' '.join(line)]) + '\n'


def letter(r, words, i):
    subject = ' '.join(r.choice(words) for _ in range(6)) + (' foo' if i % 100 == 7 else '')
    when = 'Mon, %02d Jun 2026 10:%02d:00 +0000' % (1 + i % 28, i % 60)
    head = ('Received: from a.test (a.test [192.0.2.%d])\n\tby mx.bench.test with ESMTP id %08x\n'
            '\tfor <user@bench.test>; %s\nDate: %s\nFrom: "Sender %d" <sender%d@src.test>\n'
            'To: User <user@bench.test>, Other <o%d@bench.test>\nSubject: %s\nMessage-ID: <m%d@src.test>\n'
            'In-Reply-To: <m%d@src.test>\nReferences: <m%d@src.test>\nMIME-Version: 1.0\n'
            % (i % 250, i, when, when, i % 97, i % 97, i % 13, subject, i, max(0, i - 1), max(0, i - 1)))
    body = text(r, words, 3600) + ('some foo here\n' if i % 50 == 3 else '')
    if i % 10 < 7:
        return head + 'Content-Type: text/plain; charset=us-ascii\n\n' + body
    part = '--b%d\nContent-Type: text/plain; charset=utf-8\n\n%s\n--b%d\n' % (i, body, i)
    if i % 10 < 9:
        return head + ('Content-Type: multipart/alternative; boundary="b%d"\n\n%sContent-Type: text/html; charset=utf-8\n\n'
                       '<html><body><p>%s</p></body></html>\n--b%d--\n' % (i, part, body, i))
    attached = base64.encodebytes(r.randbytes(18000)).decode()
    return head + ('Content-Type: multipart/mixed; boundary="b%d"\n\n%sContent-Type: application/octet-stream; name="a%d.bin"\n'
                   'Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename="a%d.bin"\n\n%s--b%d--\n'
                   % (i, part, i, i, attached, i))


def connect(port, tls=None):
    s = socket.create_connection(('127.0.0.1', port), timeout=300)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return tls.wrap_socket(s) if tls else s


def unverified():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c


# --- putting letters in


class Lmtp:
    def __init__(self, port):
        self.s = connect(port)
        self.f = self.s.makefile('rb')
        self.expect(b'220')
        self.s.sendall(b'LHLO bench.example.net\r\n')
        self.expect(b'250')

    def expect(self, code):
        while True:
            line = self.f.readline()
            if not line.startswith(code):
                raise Trouble('LMTP: %r, where %r belongs' % (line, code))
            if line[3:4] == b' ':
                return

    def begin(self, to):
        self.s.sendall(b'MAIL FROM:<sender@src.test>\r\nRCPT TO:<%s>\r\nDATA\r\n' % to.encode())
        for code in (b'250', b'250', b'354'):
            self.expect(code)

    def give(self, octets):
        """Seconds from the dot to its answer."""
        if octets.startswith(b'.'):
            octets = b'.' + octets
        stuffed = octets.replace(b'\r\n.', b'\r\n..')
        begin = time.monotonic()
        self.s.sendall(stuffed + b'.\r\n')
        self.expect(b'250')
        return time.monotonic() - begin

    def send(self, to, octets):
        self.begin(to)
        return self.give(octets)

    def close(self):
        self.s.sendall(b'QUIT\r\n')
        self.f.readline()
        self.s.close()


def fill(port, to, letters, connections=4):
    """Seconds that it took."""
    wrong = []

    def work(mine):
        try:
            c = Lmtp(port)
            for octets in mine:
                c.send(to, octets)
            c.close()
        except (Trouble, OSError) as e:
            wrong.append(e)

    letters = list(letters)
    threads = [threading.Thread(target=work, args=(letters[i::connections],)) for i in range(connections)]
    begin = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if wrong:
        raise Trouble(str(wrong[0]))
    return time.monotonic() - begin


# --- taking them out


class Imap:
    def __init__(self, port, user, password, tls=None):
        self.s = connect(port, tls)
        self.buf = bytearray(ROOM)
        self.n = 0
        self.line()
        self.login = self.cmd('LOGIN %s %s' % (user, password))[0]

    def line(self):
        """A whole line, when nothing else is under way."""
        got = b''
        while not got.endswith(b'\r\n'):
            more = self.s.recv(4096)
            if not more:
                raise Trouble('IMAP: the server closed')
            got += more
        return got

    def cmd(self, text):
        """Seconds, octets, and the end of the answer."""
        self.n += 1
        tag = b'T%d' % self.n
        mark = b'\r\n' + tag + b' '
        view = memoryview(self.buf)
        tail, total = b'\r\n', 0
        begin = time.monotonic()
        self.s.sendall(tag + b' ' + text.encode() + b'\r\n')
        while True:
            n = self.s.recv_into(self.buf)
            if n == 0:
                raise Trouble('IMAP: %s: the server closed' % text)
            total += n
            tail = (tail + bytes(view[max(0, n - 4000):n]))[-5000:]
            at = tail.rfind(mark) if tail.endswith(b'\r\n') else -1
            if at >= 0 and tail.find(b'\r\n', at + 2) == len(tail) - 2:
                took = time.monotonic() - begin
                if not tail[at + len(mark):].startswith(b'OK'):
                    raise Trouble('IMAP: %s: %r' % (text, tail[at + 2:]))
                return took, total, tail

    def idle(self):
        self.s.sendall(b'I IDLE\r\n')
        if not self.line().startswith(b'+'):
            raise Trouble('IMAP: IDLE was refused')

    def done(self):
        self.s.sendall(b'DONE\r\n')
        while b'I OK' not in self.line():
            pass

    def close(self):
        try:
            self.cmd('LOGOUT')
        except (Trouble, OSError):
            pass
        self.s.close()


def pop3(port, user, password, batch):
    """RETR of all, `batch` commands at a time: seconds, octets, letters."""
    s = connect(port)
    f = s.makefile('rb')
    f.readline()
    for words in ('USER ' + user, 'PASS ' + password, 'STAT'):
        s.sendall(words.encode() + b'\r\n')
        line = f.readline()
        if not line.startswith(b'+OK'):
            raise Trouble('POP3: %s: %r' % (words, line))
    count = int(line.split()[1])
    buf = bytearray(ROOM)
    view = memoryview(buf)
    sent = done = total = 0
    tail = b''
    begin = time.monotonic()
    while done < count:
        while sent < count and sent - done < batch:
            upto = min(count, sent + batch)
            s.sendall(b''.join(b'RETR %d\r\n' % i for i in range(sent + 1, upto + 1)))
            sent = upto
        n = s.recv_into(buf)
        if not n:
            raise Trouble('POP3: the server closed')
        total += n
        data = tail + bytes(view[:n])
        done += data.count(b'\r\n.\r\n')
        tail = data[-4:]
    took = time.monotonic() - begin
    s.sendall(b'QUIT\r\n')
    f.readline()
    s.close()
    return took, total, count
