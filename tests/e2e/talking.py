"""`pennypost talk` on a terminal of its own, and small servers to talk to."""
import os
import re
import socket
import subprocess
import threading

import pexpect

from server import BINARY, SLOW

CONTROL = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]|\r|\x07|\x00')


class Server:
    """Plays lines to whoever connects: (what it must get, what it says) one after the other."""

    def __init__(self, *turns, greeting='220 mail.example.com ESMTP\r\n', close=True):
        self.turns, self.greeting, self.close = turns, greeting, close
        self.got = []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(4)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        conn, _ = self.listener.accept()
        with conn:
            conn.settimeout(20 * SLOW)
            try:
                self.serve(conn)
            except OSError:
                pass

    def serve(self, conn):
        f = conn.makefile('rb')
        if callable(self.greeting):
            self.greeting(conn)
        else:
            conn.sendall(self.greeting.encode('latin-1'))
        for want, say in self.turns:
            while True:
                line = f.readline()
                if not line:
                    return
                self.got.append(line)
                if re.match(want.encode(), line.rstrip(b'\r\n'), re.I):
                    break
            if callable(say):
                say(conn)
            else:
                conn.sendall(say.encode('latin-1'))
        if not self.close:
            while True:
                line = f.readline()
                if not line:
                    return
                self.got.append(line)

    def lines(self):
        self.thread.join(5 * SLOW)
        return [g.decode('latin-1').rstrip('\r\n') for g in self.got]


def environment(tmp_path, **more):
    env = {k: v for k, v in os.environ.items() if k not in ('NO_COLOR', 'PENNYPOST_SERVER', 'REMOTE_SRV', 'EDITOR',
                                                           'VISUAL', 'PENNYPOST_PASSWORD')}
    env.update(TERM='xterm', HOME=str(tmp_path), XDG_STATE_HOME=str(tmp_path / 'state'),
               XDG_CONFIG_HOME=str(tmp_path / 'config'), LANG='C.UTF-8')
    env.update(more)
    return env


def piped(tmp_path, text, *args, **env):
    """What it prints and its exit status when its input is a pipe."""
    p = subprocess.run([BINARY, 'talk'] + [str(a) for a in args], input=text, capture_output=True, text=True,
                       env=environment(tmp_path, **env), timeout=40 * SLOW, encoding='utf-8', errors='surrogateescape')
    return p.stdout, p.stderr, p.returncode


class Talk:
    """On a terminal."""

    def __init__(self, tmp_path, *args, size=(24, 100), **env):
        self.p = pexpect.spawn(BINARY, ['talk'] + [str(a) for a in args], env=environment(tmp_path, **env),
                               dimensions=size, timeout=15 * SLOW, encoding='utf-8', codec_errors='replace')
        self.text = ''

    def type(self, line):
        self.p.send(line + '\r')
        return self

    def keys(self, keys):
        self.p.send(keys)
        return self

    def see(self, what):
        """Waits for a text, whatever escapes stand in it."""
        pattern = r'(?:\x1b\[[0-9;?]*[A-Za-z]|\r\n|\r)*'.join(re.escape(c) for c in what)
        self.p.expect(pattern)
        self.text += self.p.before + self.p.after
        return self

    def status(self):
        self.p.expect(pexpect.EOF)
        self.text += self.p.before
        self.p.close()
        return self.p.exitstatus

    def screen(self):
        return CONTROL.sub('', self.text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.close(force=True)
