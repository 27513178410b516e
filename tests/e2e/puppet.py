"""A server that says exactly what a test wants, and a command of the client that is tried on it."""
import json
import os
import socket
import subprocess
import threading

from server import BINARY, SLOW

ENV = {k: v for k, v in os.environ.items() if k not in ('PENNYPOST_SERVER', 'REMOTE_SRV', 'PENNYPOST_PASSWORD')}


def client(*words, input=None, timeout=60, **env):
    """`pennypost ...`; status, out and err of what ended."""
    r = subprocess.run([BINARY, *words], input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       stdin=subprocess.DEVNULL if input is None else None, timeout=timeout * SLOW,
                       env={**ENV, 'HOME': '/nonexistent', **env})
    return r


def objects(r):
    return [json.loads(line) for line in r.stdout.splitlines()]


class Puppet:
    """answers: {verb: reply or [reply, ...] (one after the other, the last for ever)}; a reply is text without its
    last CRLF, bytes as they are, None: silence, or a function of (connection, line) that does what it likes.
    'greeting' is what is said first. What was heard stands in `heard`, a list for each connection."""

    OK = {'greeting': '220 mx.example.com ESMTP', 'EHLO': '250 mx.example.com', 'HELO': '250 mx.example.com', 'MAIL': '250 2.1.0 ok',
          'RCPT': '250 2.1.5 ok', 'RSET': '250 2.0.0 ok', 'QUIT': '221 2.0.0 bye', 'DATA': '354 go',
          'VRFY': '252 2.1.5 maybe', 'EXPN': '502 5.5.1 no'}

    def __init__(self, host='127.0.0.1', port=0, **answers):
        self.answers = {**self.OK, **answers}
        self.heard = []
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((host, port))
        self.socket.listen(16)
        self.port = self.socket.getsockname()[1]
        self.address = '%s:%d' % (host, self.port)
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()

    def accept(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def reply(self, s, verb, line, used):
        answer = self.answers.get(verb, '500 5.5.1 what?')
        if isinstance(answer, list):
            n = used[verb] = used.get(verb, -1) + 1
            answer = answer[min(n, len(answer) - 1)]
        if callable(answer):
            answer = answer(s, line)
        if answer is not None:
            s.sendall(answer if isinstance(answer, bytes) else answer.replace('\n', '\r\n').encode() + b'\r\n')

    def serve(self, s):
        heard, used, data = [], {}, False
        self.heard.append(heard)
        try:
            with s, s.makefile('rb') as f:
                self.reply(s, 'greeting', '', used)
                for raw in f:
                    line = raw.decode('utf-8', 'replace').rstrip('\r\n')
                    heard.append(line)
                    if data and line != '.':
                        continue
                    verb = line.split(' ')[0].upper()
                    self.reply(s, 'DOT' if data else verb, line, used)
                    data = verb in ('DATA', 'XPRT') and not data
                    if verb == 'QUIT':
                        return
        except OSError:
            pass

    def said(self):
        """All commands of all connections."""
        return [line for heard in self.heard for line in heard]
