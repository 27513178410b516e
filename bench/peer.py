"""peer: a mail server of a few lines that keeps every octet it was sent, for bench/clients.

It answers SMTP and LMTP well enough for any client, makes TLS when it is asked, and can be odd in
the ways that servers are: telnet options, escape sequences, a line without end, a flood, silence."""
import base64
import os
import socket
import ssl
import subprocess
import threading
import time

IAC_CHARACTERS = b'\xff\xfb\x01\xff\xfb\x03'  # WILL ECHO, WILL SUPPRESS-GO-AHEAD: what IIS began with


def certificates(dir):
    """An authority, a server's certificate for mx.example.net, and a client's."""
    def openssl(*words):
        subprocess.run(['openssl'] + list(words), cwd=dir, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj',
            '/CN=Bench authority', '-days', '30')
    for name in ('mx.example.net', 'client.example.net'):
        short = name.split('.')[0]
        openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', short + '.key', '-out', short + '.csr', '-subj',
                '/CN=' + name, '-addext', 'subjectAltName=DNS:' + name)
        openssl('x509', '-req', '-in', short + '.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
                '-copy_extensions', 'copy', '-days', '30', '-out', short + '.pem')


class Peer:
    """greeting: octets, or a function of the connection. caps: what EHLO lists. tls: None, 'starttls',
    'refused' or 'implicit'. codes: {verb: reply}, for refusals. pause: seconds before each answer."""

    def __init__(self, dir, greeting=b'220 greeting.example.net ESMTP ready\r\n', caps=(), tls=None, codes=None,
                 pause=0, host='127.0.0.1', want_cert=False, lmtp=False, tls_max=None):
        self.dir, self.greeting, self.caps, self.tls = dir, greeting, list(caps), tls
        self.codes, self.pause, self.lmtp = codes or {}, pause, lmtp
        self.got = b''            # every octet, decrypted
        self.before_tls = b''
        self.early = 0            # octets that came before the answer they should have waited for
        self.secured, self.cert, self.sni = False, None, None
        self.letters, self.sessions, self.finished = [], 0, False
        self.context = self.make_context(want_cert, tls_max)
        self.listener = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, 0))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def make_context(self, want_cert, tls_max):
        if self.tls is None:
            return None
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(os.path.join(self.dir, 'mx.pem'), os.path.join(self.dir, 'mx.key'))
        if tls_max:
            c.maximum_version = tls_max
        if want_cert:
            c.verify_mode = ssl.CERT_REQUIRED
            c.load_verify_locations(os.path.join(self.dir, 'ca.pem'))

        def keep_name(sock, name, context):
            self.sni = name
        c.sni_callback = keep_name
        return c

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.session, args=(conn,), daemon=True).start()

    def session(self, conn):
        self.sessions += 1
        try:
            conn.settimeout(60)
            if self.tls == 'implicit':
                conn = self.handshake(conn)
            self.greet(conn)
            self.serve(conn)
        except (OSError, ValueError):
            pass
        finally:
            self.finished = True
            try:
                conn.close()
            except OSError:
                pass

    def handshake(self, conn):
        conn = self.context.wrap_socket(conn, server_side=True)
        self.secured, self.cert = True, conn.getpeercert()
        return conn

    def greet(self, conn):
        if callable(self.greeting):
            self.greeting(conn)
        else:
            conn.sendall(self.greeting)

    def say(self, conn, text):
        if self.pause:
            time.sleep(self.pause)
            conn.setblocking(False)
            try:
                piece = conn.recv(65536)
                self.held, self.got = self.held + piece, self.got + piece
            except (BlockingIOError, ssl.SSLWantReadError):
                pass
            self.early += len(self.held)
            conn.settimeout(60)
        conn.sendall(text.encode('latin-1'))

    def line(self, conn):
        """The next line with its end; what came is kept octet for octet."""
        while b'\n' not in self.held:
            piece = conn.recv(65536)
            if not piece:
                raise OSError('the end')
            self.held += piece
            self.got += piece
            if not self.secured:
                self.before_tls += piece
        line, _, self.held = self.held.partition(b'\n')
        return line + b'\n'

    def serve(self, conn):
        self.held, self.rcpts = b'', 0
        while True:
            line = self.line(conn).decode('latin-1').rstrip('\r\n')
            verb = line.split(' ')[0].split(':')[0].upper()
            if verb in self.codes:
                self.say(conn, self.codes[verb] + '\r\n')
            elif verb in ('EHLO', 'LHLO'):
                names = ['peer.example.net'] + self.caps
                if self.tls in ('starttls', 'refused') and not self.secured:
                    names.append('STARTTLS')
                self.say(conn, ''.join('250-%s\r\n' % n for n in names[:-1]) + '250 %s\r\n' % names[-1])
            elif verb == 'STARTTLS' and self.tls == 'starttls':
                self.say(conn, '220 go ahead\r\n')
                conn, self.held = self.handshake(conn), b''
            elif verb == 'QUIT':
                self.say(conn, '221 bye\r\n')
                return
            else:
                self.command(conn, verb, line)

    def command(self, conn, verb, line):
        if verb == 'AUTH':
            self.auth(conn, line.split(' '))
        elif verb == 'RCPT':
            refused = 'nobody@' in line
            self.rcpts += not refused
            self.say(conn, '550 5.1.1 no such user here\r\n' if refused else '250 2.1.5 recipient ok\r\n')
        elif verb == 'DATA':
            self.data(conn)
        elif verb == 'BDAT':
            left = int(line.split(' ')[1])
            while len(self.held) < left:
                self.held += conn.recv(65536)
            self.letters.append(self.held[:left])
            self.held = self.held[left:]
            self.say(conn, '250 2.0.0 taken\r\n')
        elif verb in ('MAIL', 'RSET', 'NOOP', 'HELO', 'XCLIENT', 'PROXY'):
            self.rcpts = 0 if verb == 'MAIL' else self.rcpts
            self.say(conn, '250 2.0.0 ok\r\n')
        else:
            self.say(conn, '502 5.5.1 command not recognized\r\n')

    def data(self, conn):
        self.say(conn, '354 end with a dot\r\n')
        letter = b''
        while True:
            line = self.line(conn)
            if line in (b'.\r\n', b'.\n'):
                break
            letter += line
        self.letters.append(letter)
        for n in range(self.rcpts if self.lmtp else 1):
            self.say(conn, '452 4.2.2 mailbox full\r\n' if self.lmtp and n else '250 2.0.0 queued\r\n')

    def auth(self, conn, words):
        mech, answer = words[1].upper(), words[2] if len(words) > 2 else None
        if mech == 'PLAIN' and answer is None:
            self.say(conn, '334 \r\n')
            answer = self.line(conn)
        elif mech == 'LOGIN':
            for prompt in ('Username:', 'Password:')[answer is not None:]:
                self.say(conn, '334 %s\r\n' % base64.b64encode(prompt.encode()).decode())
                self.line(conn)
        self.say(conn, '235 2.7.0 welcome\r\n')

    def close(self):
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()


# --- how a greeting can be odd ---

def long_line(conn):
    """10 MB in one line, and then as if nothing had been."""
    piece = b'x' * 65536
    conn.sendall(b'220-')
    for _ in range(160):
        conn.sendall(piece)
    conn.sendall(b'\r\n220 after ten megabytes\r\n')


def flood(conn):
    """Lines of a greeting that never ends."""
    piece = b'220-more and more and more and more and more and more\r\n' * 500
    while True:
        conn.sendall(piece)


def silence(conn):
    time.sleep(30)
    raise OSError('nothing was ever said')
