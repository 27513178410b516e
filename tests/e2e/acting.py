"""Plays the five seed documents with `pennypost talk`, on a real terminal (tmux), and tells what was seen.

    acting.py              plays all and says which files of docs/seeds, and docs/talk.svg, are not as made
    acting.py --write      writes them

An act (acting_000.py to acting_004.py) says which command is given, what is typed, what must then be
seen, and what the page did. Acts that need the same server share a stage: a network namespace of its
own, in which the page's names, addresses and ports are the stage's. So `talk HOST 25` is what it is on
the page. Server of a stage: what a file of tests/conversations asks for, or one of others.py."""
import concurrent.futures
import contextlib
import fcntl
import glob
import importlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import others  # noqa: E402
from server import BINARY, ROOT, SLOW, Lab  # noqa: E402

sys.path.insert(1, os.path.join(ROOT, 'tools'))
import screen2svg  # noqa: E402

SEEDS = ('000', '001', '002', '003', '004')
DOCS = os.path.join(ROOT, 'docs', 'seeds')
PICTURE = os.path.join(ROOT, 'docs', 'talk.svg')
PORTS = (25, 110, 143, 465, 587, 993, 995)
REAL = ('exim', 'opensmtpd', 'postfix', 'dovecot')
US = 'client.example.net'
SIZE = (112, 60)  # columns, lines
ENTER = '\r'
LETTER = '. to end >'  # the prompt behind which a letter is typed
PROMPT = re.compile(r'(?: >|[:)]) *$')


class Act:
    """title; server: number of a conversation, or one of REAL; command: for the shell.
    steps: (typed, what must then newly be seen); without steps the command ends by itself.
    page: what the page did; better: what is better here; at: {name: addresses}, "!" in front of an address where
    nothing listens; more: lines as in a conversation; arrives: [(address, pattern of the letter)]; shape: columns and lines of a screen that becomes a
    picture when the steps are done."""

    def __init__(self, title, server, command, steps=(), *, page='', better=(), at=None, more=(), arrives=(),
                 status=0, env=None, files=None, shape=()):
        self.title, self.server, self.command, self.steps = title, server, command, list(steps)
        self.page, self.better, self.at, self.more = page.strip('\n'), list(better), dict(at or {}), tuple(more)
        self.arrives, self.status, self.env, self.files = list(arrives), status, dict(env or {}), dict(files or {})
        self.shape = shape
        self.stage = (server,) + self.more
        self.result = None


def letter(text, end='.', seen=''):
    """The lines of a letter behind 354, and its end."""
    return [(line, LETTER) for line in text.strip('\n').split('\n')] + [(end, seen)]


def seed(number):
    return importlib.import_module('acting_' + number)


def all_acts():
    return [(number, i, act) for number in SEEDS + ('picture',) for i, act in enumerate(seed(number).ACTS)]


# --- what changes from one time to the next ---------------------------------------------------------------------

CHANGES = [(re.compile(pattern, re.M), text) for pattern, text in (
    (r'[A-Z][a-z]{2}, +\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [-+]\d{4}', 'DATE'),
    (r'valid to \d{4}-\d\d-\d\d', 'valid to DATE'),
    (r'\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?', 'DATE'),
    (r'<[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}@', '<ID@'),
    (r'InternalId=\d+', 'InternalId=N'),
    (r'queued as \S+', 'queued as ID'),
    (r'^(s: \d50 2\.0\.0 )\S+( Message accepted)', r'\1ID\2'),
    (r'OK id=\S+', 'OK id=ID'),
    (r'<C34495-51701\w+@', '<ID@'),
    (r'(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ|APPENDUID) \d+', r'\1 N'),
    (r'<[0-9A-Za-z]+\.[0-9A-Za-z.]+@', '<ID@'),
    (r'^s: (334|\+) [A-Za-z0-9+/=]{24,}$', r's: \1 CHALLENGE'),
    (r'completed \([0-9.+ ]+ secs\)', 'completed'),
    (r'MAILBOXID \(\S+\)', 'MAILBOXID (ID)'),
    (r'\d+\.\d+ ms', 'N ms'),
    (r'[0-9a-f]{2}(:[0-9a-f]{2}){15,}', 'HASH'),
    (r'\b[0-9a-f]{64}\b', 'HASH'),
    (r'\b[A-Za-z0-9+/]{43}=', 'HASH'),
    (r'^#  (?:[0-9a-f]{4} .*|(?:read|write) \d.*|TLS (?:>>>|<<<).*|\[\.\.\.\])\n', ''),  # --debug-bytes
)]


def generalize(text):
    for pattern, general in CHANGES:
        text = pattern.sub(general, text)
    return text


def shorten(text):
    """Without the octets of --debug-bytes and of certificates: only that they stand there, and how they begin."""
    text = re.sub(r'(-----BEGIN CERTIFICATE-----\n)(?:[A-Za-z0-9+/=]{1,64}\n)+', r'\1[...]\n', text)
    lines, dumped = [], 0
    for line in text.split('\n'):
        dumped = dumped + 1 if re.match(r'#  (?:[0-9a-f]{4} |(?:read|write) \d|TLS (?:>>>|<<<))', line) else 0
        if dumped <= 3:
            lines.append(line)
        elif dumped == 4:
            lines.append('#  [...]')
    return '\n'.join(lines)


# --- inside the namespace ---------------------------------------------------------------------------------------

def lo_ioctl(call, name, data):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, call, struct.pack('16s24s', name.encode(), data))


def furnish(names, folder):
    """Names and addresses of the page, and our own name."""
    lo_ioctl(0x8914, 'lo', struct.pack('h', 0x1 | 0x8 | 0x40))  # SIOCSIFFLAGS: up, loopback, running
    addresses = sorted({a.lstrip('!') for those in names.values() for a in those} - {'127.0.0.1'})
    for i, address in enumerate(addresses):
        lo_ioctl(0x8916, 'lo:%d' % i, struct.pack('HH4s', socket.AF_INET, 0, socket.inet_aton(address)))  # SIOCSIFADDR
    hosts = '127.0.0.1 localhost\n::1 localhost\n127.0.0.2 %s\n' % US
    hosts += ''.join('%s %s\n' % (a.lstrip('!'), name) for name, those in names.items() for a in those)
    with open(folder + '/hosts', 'w') as f:
        f.write(hosts)
    subprocess.run(['mount', '--bind', folder + '/hosts', '/etc/hosts'], check=True)
    socket.sethostname(US)
    for address in {a for those in names.values() for a in those if a[0] != '!'} - {'127.0.0.1'}:
        for port in PORTS:
            threading.Thread(target=relay, args=(address, port), daemon=True).start()


def relay(address, port):
    """The server only listens on 127.0.0.1."""
    with socket.create_server((address, port)) as listener:
        while True:
            near, _ = listener.accept()
            try:
                far = socket.create_connection(('127.0.0.1', port))
            except OSError:
                near.close()
                continue
            for take, give in ((near, far), (far, near)):
                take.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=pump, args=(take, give), daemon=True).start()


def pump(take, give):
    with contextlib.suppress(OSError):
        while octets := take.recv(65536):
            give.sendall(octets)
    with contextlib.suppress(OSError):
        give.shutdown(socket.SHUT_WR)


class LabServer:
    """`pennypost lab` with what a conversation asks for, at the well-known ports."""

    def __init__(self, number, more, folder):
        path, = glob.glob(os.path.join(ROOT, 'tests', 'conversations', number + '-*.conv'))
        with open(path) as f:
            lines = [line.rstrip('\n') for line in f if line.startswith('@')] + list(more)
        settings, words = {}, {k: [] for k in ('user', 'user-plain', 'mailbox', 'domain', 'dialect')}
        for key, _, rest in (line[1:].partition(' ') for line in lines):
            if key == 'set':
                settings.update([rest.split('=', 1)])
            elif key in words:
                words[key].append(rest)
        host = settings.get('host', '')
        args = ['--dialect', words['dialect'][-1]] if words['dialect'] else []
        if re.fullmatch(r'[a-z0-9-]+(\.[a-z0-9-]+)+', host):
            args += ['--hostname', host]
        plain = words['user-plain'] + [p for user in words['user'] for p in plain_of(*user.split(' '))]
        for p in plain:
            args += ['--user-plain', p]
        self.lab = Lab(folder + '/lab', users=[m + ':mailbox' for m in words['mailbox']], domains=words['domain'],
                       sets=['%s=%s' % s for s in settings.items()], args=args, base=0)
        self.lab.start()
        self.cert = self.lab.dir + '/tls/default.crt'

    def letters(self, address):
        return self.lab.letters(address)

    def close(self):
        assert self.lab.stop() == 0, self.lab.log()
        assert not self.lab.sanitizer_reports(), self.lab.log()


def plain_of(login, password, address=None):
    """As --user-plain wants them: the mailbox, and the login where it is another name."""
    import base64
    made = [address + ':' + password] if address else []
    if not address or login not in (address, address.partition('@')[0]):
        made.append('\0%s\0%s' % (login, password))
    return [base64.b64encode(m.encode()).decode() for m in made]


class RealServer:
    def __init__(self, name):
        ports = {'exim': [25], 'opensmtpd': [25, 465], 'postfix': [25], 'dovecot': [143, 993, 110, 995]}[name]
        self.server = getattr(others, name)(*ports)
        self.cert = self.server.cert

    def letters(self, _):
        return self.server.letters()

    def close(self):
        self.server.close()


TMUX_CONF = '''set -g default-terminal xterm-256color
set -g status off
set -g escape-time 0
set -g remain-on-exit on
set -g remain-on-exit-format ""
'''


class Screen:
    """A command on a terminal."""

    def __init__(self, command, env, folder, size):
        self.env, self.size = {**env, 'TMUX_TMPDIR': folder}, size
        self.conf, self.name = folder + '/tmux.conf', 'acting%d' % time.monotonic_ns()
        with open(self.conf, 'w') as f:
            f.write(TMUX_CONF)
        self.status = folder + '/status'
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.status)
        self.tmux('new-session', '-d', '-x', str(size[0]), '-y', str(size[1]), 'sh', '-c',
                  '%s; echo $? >%s.new; mv %s.new %s' % (command, *[self.status] * 3))

    def tmux(self, *words):
        r = subprocess.run(['tmux', '-u', '-L', self.name, '-f', self.conf, *words], env=self.env,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if r.returncode:
            raise AssertionError('tmux %s: %s' % (words[0], r.stderr))
        return r.stdout

    def text(self, *how):
        text = self.tmux('capture-pane', '-p', '-S', '-', *(how or ('-J',)))
        return '\n'.join(line.rstrip() for line in text.split('\n')).rstrip('\n')

    def dead(self):
        """Its exit status; None while it runs."""
        if self.tmux('display-message', '-p', '#{pane_dead}').strip() != '1' or not os.path.exists(self.status):
            return None
        with open(self.status) as f:
            return int(f.read())

    def type(self, line):
        keys = ['send-keys', '-l', '--', line] if line else []
        keys += ([';'] if keys else []) + ['send-keys', 'Enter'] if not line.startswith('\4') else []
        self.tmux(*keys)

    def wait(self, seen, times):
        """For text that stands there more often than before, with a prompt behind it, or for the end."""
        deadline = time.monotonic() + 15 * SLOW
        while True:
            text = self.text()
            last = text.rsplit('\n', 1)[-1]
            there = seen is None or text.count(seen) > times
            dead = self.dead() is not None
            if there and (dead or seen and (PROMPT.search(last) or last.endswith(seen))):
                return
            assert not dead and time.monotonic() < deadline, 'not seen: %r\n%s' % (seen, text)
            time.sleep(0.01)

    def play(self, steps, to_the_end=True):
        """What it shows then, and the exit status. A first step with typed None waits for the first prompt."""
        for typed, seen in steps:
            times = self.text().count(seen) if seen and typed is not None else 0
            if typed is not None:
                self.type(typed)
            self.wait(seen, times)
        if to_the_end:
            self.wait(None, 0)
        return self.text(), self.dead()

    def picture(self, title):
        x, y = self.tmux('display-message', '-p', '#{cursor_x} #{cursor_y}').split()
        return screen2svg.draw(self.tmux('capture-pane', '-p', '-e'), *self.size, cursor=(int(x), int(y)), title=title)

    def close(self):
        with contextlib.suppress(AssertionError):
            self.tmux('kill-server')


def play_one(act, server, folder):
    os.makedirs(folder + '/bin', exist_ok=True)
    os.makedirs(folder + '/home', exist_ok=True)
    if not os.path.lexists(folder + '/bin/pennypost'):
        os.symlink(BINARY, folder + '/bin/pennypost')
    env = {'PATH': folder + '/bin:' + os.environ['PATH'], 'HOME': folder + '/home', 'LANG': 'C.UTF-8',
           'TERM': 'xterm-256color', 'SSL_CERT_FILE': server.cert, 'SHELL': '/bin/sh', 'USER': 'tamer', **act.env}
    env.update({k: v for k, v in os.environ.items() if k in ('ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS')})
    for name, text in act.files.items():
        with open(folder + '/home/' + name, 'w') as f:
            f.write(text)
    if act.steps or '|' not in act.command:
        screen = Screen('cd; ' + act.command if act.files else act.command, env, folder, act.shape or SIZE)
        try:
            text, status = screen.play(act.steps, not act.shape)
            if act.shape:
                text, status = screen.picture(act.command), 0
        finally:
            screen.close()
    else:
        r = subprocess.run(['sh', '-c', act.command], env=env, cwd=folder + '/home', stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * SLOW)
        text, status = r.stdout.rstrip('\n'), r.returncode
    assert status == act.status, 'exit status %s, not %d:\n%s' % (status, act.status, text)
    for address, pattern in act.arrives:
        deadline = time.monotonic() + 10 * SLOW
        while not any(re.search(pattern, got.decode('utf-8', 'replace'), re.M) for got in server.letters(address)):
            assert time.monotonic() < deadline, 'nothing like %r for %s:\n%s' % (pattern, address, text)
            time.sleep(0.1)
    return shorten(text)


def perform(stage):
    """In the namespace: all acts of the stage. {"seed/number": {...}}"""
    acts = [(n, i, a) for n, i, a in all_acts() if a.stage == stage]
    names = {}
    for _, _, act in acts:
        names.update(act.at)
    results = {}
    with tempfile.TemporaryDirectory(prefix='pennypost-acting-') as folder:
        os.chmod(folder, 0o755)
        furnish(names, folder)
        server = RealServer(stage[0]) if stage[0] in REAL else LabServer(stage[0], stage[1:], folder)
        try:
            for number, i, act in acts:
                try:
                    results['%s/%d' % (number, i)] = {'text': play_one(act, server, folder)}
                except AssertionError as e:
                    results['%s/%d' % (number, i)] = {'wrong': str(e)}
        finally:
            server.close()
    return results


# --- outside ----------------------------------------------------------------------------------------------------

AS_ROOT = ['unshare', '--net', '--mount', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc',
           '--propagation', 'private']
AS_USER = ['unshare', '--user', '--map-current-user', '--keep-caps'] + AS_ROOT[1:]


def way():
    """How namespaces are made here; None: they are not."""
    for words in ((AS_ROOT,) if os.geteuid() == 0 else (AS_USER,)):
        if shutil.which('unshare') and shutil.which('tmux') and subprocess.run(
                words + ['mount', '--bind', '/etc/hosts', '/etc/hosts'], stderr=subprocess.DEVNULL).returncode == 0:
            return words
    return None


def can_be_played(act):
    return act.server not in REAL or others.namespaces() and others.there(act.server)


def play(stages):
    """Plays the stages, three at a time; the acts know their results afterwards."""
    words = way()

    def one(stage):
        r = subprocess.run(words + [sys.executable, os.path.abspath(__file__), '--perform', json.dumps(stage)],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           timeout=300 * SLOW)
        return json.loads(r.stdout) if r.returncode == 0 else {'trouble': r.stderr}

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = dict(zip(stages, pool.map(one, stages)))
    for number, i, act in all_acts():
        if act.stage in found:
            results = found[act.stage]
            act.result = results.get('%s/%d' % (number, i), {'wrong': results.get('trouble', 'it was not played')})


def stages(acts):
    """The real servers first: they take their time."""
    found = list(dict.fromkeys(a.stage for _, _, a in acts if can_be_played(a)))
    return sorted(found, key=lambda s: s[0] not in REAL)


SPOKEN = {'exim': 'Exim, from its Debian package', 'opensmtpd': 'OpenSMTPD, from its Debian package',
          'postfix': 'Postfix, from its Debian package', 'dovecot': 'Dovecot, from its Debian package'}


def settings_of(act):
    """How to have the same server."""
    path, = glob.glob(os.path.join(ROOT, 'tests', 'conversations', act.server + '-*.conv'))
    with open(path) as f:
        lines = [line.rstrip('\n')[1:] for line in f if line.startswith('@')] + [m[1:] for m in act.more]
    pairs = [line.partition(' ')[::2] for line in lines]
    dialect = ([v for k, v in pairs if k == 'dialect'] or ['rfc'])[-1]
    sets = dict(v.split('=', 1) for k, v in pairs if k == 'set')
    return 'our lab as `%s`%s' % (dialect, ''.join(', `%s=%s`' % s for s in sets.items()))


def fenced(text):
    return '```text\n%s\n```\n' % text


def render(number):
    """The document of a seed, as its acts make it."""
    s = seed(number)
    if number == 'picture':
        return s.ACTS[0].result['text']
    out = ['# %s\n' % s.TITLE, s.INTRO.strip() + '\n']
    for n, act in enumerate(s.ACTS, 1):
        out.append('## %d. %s\n' % (n, act.title))
        if act.page:
            out += ['On the page:\n', fenced(act.page)]
        out.append('With `talk`; the server is %s:\n' % (SPOKEN.get(act.server) or settings_of(act)))
        end = '\n$ echo $?\n%d' % act.status if act.status else ''
        out.append(fenced('$ %s\n%s%s' % (act.command, act.result['text'], end)))
        if act.better:
            out.append('What is better:\n')
            out.append(''.join('- %s\n' % b for b in act.better))
    return '\n'.join(out)


def path_of(number):
    return PICTURE if number == 'picture' else os.path.join(DOCS, seed(number).FILE)


def stored(number):
    try:
        with open(path_of(number), encoding='utf-8') as f:
            return f.read()
    except OSError:
        return ''


def main(words):
    if words[:1] == ['--perform']:
        stage = tuple(json.loads(words[1]))
        print(json.dumps(perform(stage)))
        return 0
    if way() is None:
        print('acting: no namespaces can be made here; be root, with unshare and tmux', file=sys.stderr)
        return 1
    chosen = [w for w in words if w != '--write'] or list(SEEDS) + ['picture']
    play(stages([a for a in all_acts() if a[0] in chosen]))
    wrong = 0
    for number, i, act in all_acts():
        if number in chosen and act.result and 'wrong' in act.result:
            print('%s/%d %s:\n%s\n' % (number, i + 1, act.title, act.result['wrong']))
            wrong += 1
    for number in chosen:
        if any(not a.result or 'wrong' in a.result for a in seed(number).ACTS):
            print('%s: not all of it could be played' % path_of(number))
            continue
        made = render(number)
        if generalize(made) != generalize(stored(number)):
            print('%s: %s' % (path_of(number), 'written' if '--write' in words else 'is not as made (--write)'))
            if '--write' in words:
                with open(path_of(number), 'w', encoding='utf-8') as f:
                    f.write(made)
            else:
                wrong += 1
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
