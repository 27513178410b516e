"""Starting, asking and stopping a server of one's own."""
import ctypes
import json
import os
import random
import select
import signal
import smtplib
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.join(ROOT, os.environ.get('PENNYPOST', 'build/pennypost'))
SLOW = 4 if os.environ.get('PENNYPOST_SLOW') else 1  # sanitizers take their time
PORTS = (24, 25, 110, 143, 366, 465, 587, 993, 995)


def bind(family, port):
    s = socket.socket(family)
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('127.0.0.1' if family == socket.AF_INET else '::1', port))
        s.listen(1)
        return s
    except OSError:
        s.close()
        return None


def port_is_free(port):
    with_v6 = bind(socket.AF_INET6, 0)
    if with_v6:
        with_v6.close()
    for family in (socket.AF_INET, socket.AF_INET6) if with_v6 else (socket.AF_INET,):
        s = bind(family, port)
        if not s:
            return False
        s.close()
    return True


def free_base():
    """A base whose ports are free, and a socket that keeps others (`pennypost run` too) off it."""
    bases = list(range(11000, 32000, 1000))
    random.shuffle(bases)
    for base in bases:
        guard = bind(socket.AF_INET, base)
        if guard and all(port_is_free(base + p) for p in PORTS):
            return base, guard
        if guard:
            guard.close()
    raise RuntimeError('no free range of ports')


def wait_until(what, seconds=10, step=0.02):
    """The first true value of what(); fails when there is none in time."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < deadline, 'it did not happen in %d s' % (seconds * SLOW)
        time.sleep(step)


def alive(pid):
    """Running; a process that has ended and waits for its parent to notice is not."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def children(pid):
    """{pid: argv} of the processes whose parent is pid."""
    found = {}
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            with open('/proc/%s/stat' % entry) as f:
                fields = f.read().rpartition(')')[2].split()
            if int(fields[1]) != pid or fields[0] == 'Z':
                continue
            with open('/proc/%s/cmdline' % entry, 'rb') as f:
                found[int(entry)] = f.read().decode().rstrip('\0').split('\0')
        except (OSError, ValueError):
            continue
    return found


def end_with_us():
    """In the child: SIGTERM when the test run dies, so that no server stays behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Lab:
    """`pennypost lab` (or serve, with config=) in dir on free ports."""

    def __init__(self, dir, users=('alice@example.com', 'bob@example.com'), domains=(), sets=(), args=(),
                 config=None, base=None):
        self.dir = str(dir)
        self.users = list(users)
        self.domains = list(domains)
        self.sets = ['store.segment_bytes=8388608'] + list(sets)
        self.args = list(args)
        self.config = config
        self.guard = None
        if base is None and config is None:
            base, self.guard = free_base()
        self.base = base
        self.process = None
        self.output = ''
        os.makedirs(os.path.dirname(self.dir), exist_ok=True)
        self.log_path = self.dir + '.log'

    def command(self):
        if self.config:
            return [BINARY, 'serve', '--config', self.config] + self.args
        words = [BINARY, 'lab', '--dir', self.dir, '--port-base', str(self.base)]
        for d in self.domains:
            words += ['--domain', d]
        for u in self.users:
            words += ['--user', u if ':' in u else u + ':secret']
        for s in self.sets:
            words += ['--set', s]
        return words + self.args

    def start(self, wait=True):
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=log, start_new_session=True, preexec_fn=end_with_us)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=30):
        """Reads what it prints up to the line `ready`."""
        fd = self.process.stdout.fileno()
        deadline = time.monotonic() + seconds * SLOW
        text = b''
        while b'\nready\n' not in b'\n' + text:
            left = deadline - time.monotonic()
            got = select.select([fd], [], [], max(left, 0))[0] and os.read(fd, 65536)
            if not got:
                raise AssertionError('not ready (status %s):\n%s\n%s' % (self.process.poll(), text.decode(), self.log()))
            text += got
        self.output = text.decode()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds=20):
        """SIGTERM, and the exit status."""
        if self.process is None:
            return 0
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            return 'none: it did not stop'

    def kill(self):
        """SIGKILL for every process of it, in any order; returns when all are gone."""
        pids = [self.process.pid] + list(self.roles_all())
        random.shuffle(pids)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        wait_until(lambda: not any(alive(p) for p in pids))

    def close(self):
        if self.process and self.process.stdout:
            self.process.stdout.close()
        if self.guard:
            self.guard.close()

    # --- processes

    def roles_all(self):
        """{pid: name of the role} of all its processes but the first."""
        return {pid: argv[argv.index('--role') + 1] for pid, argv in children(self.process.pid).items()
                if '--role' in argv}

    def roles(self, name):
        return sorted(pid for pid, role in self.roles_all().items() if role == name)

    def log(self):
        try:
            with open(self.log_path, errors='replace') as f:
                return f.read()
        except OSError:
            return ''

    def sanitizer_reports(self):
        text = self.log()
        return 'ERROR: AddressSanitizer' in text or 'runtime error:' in text or 'ERROR: LeakSanitizer' in text

    # --- talking to it

    def port(self, logical=25):
        return self.base + logical

    def connect(self, logical=25, host='127.0.0.1', source=None):
        s = socket.create_connection((host, self.port(logical)), timeout=20 * SLOW, source_address=source and (source, 0))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def talk(self, logical=25, host='127.0.0.1', source=None):
        return Talk(self.connect(logical, host, source))

    def smtp(self, logical=25, host='127.0.0.1', timeout=60):
        return smtplib.SMTP(host, self.port(logical), local_hostname='client.example.net', timeout=timeout * SLOW)

    def send(self, letter, to='alice@example.com', sender='sender@example.net', **more):
        """One letter in one session; the reply's text."""
        with self.smtp() as s:
            s.ehlo()
            code, text = s.mail(sender, more.get('options', ()))
            assert code == 250, text
            for address in [to] if isinstance(to, str) else to:
                code, text = s.rcpt(address)
                assert code == 250, text
            code, text = s.data(letter)
            assert code == 250, text
            return text.decode()

    # --- the command line

    def run(self, *words, input=None, check=True, text=True):
        where = ['--config', self.config] if self.config else ['--dir', self.dir]
        r = subprocess.run([BINARY, *words, *where], input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           stdin=subprocess.DEVNULL if input is None else None, timeout=120 * SLOW, text=text)
        if check:
            assert r.returncode == 0, '%s: %d\n%s\n%s' % (' '.join(words), r.returncode, r.stdout, r.stderr)
        return r

    def json(self, *words):
        return json.loads(self.run(*words, '--json').stdout)

    def count(self, address, mailbox='INBOX'):
        return sum(m['messages'] for m in self.json('mailbox', 'list', address) if m['name'] == mailbox)

    def letters(self, address):
        """The letters of INBOX as they are stored, octet for octet."""
        uids = [row['uid'] for row in self.json('mailbox', 'show', address)]
        return [self.run('mailbox', 'read', address, str(uid), text=False).stdout for uid in uids]

    def only_letter(self, address):
        letters = self.letters(address)
        assert len(letters) == 1
        return letters[0]


class Talk:
    """A conversation by hand."""

    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile('rb')

    def send(self, octets):
        self.sock.sendall(octets.encode() if isinstance(octets, str) else octets)

    def line(self):
        line = self.file.readline()
        assert line.endswith(b'\r\n'), line
        return line[:-2].decode('utf-8', 'replace')

    def reply(self):
        """All lines of one reply; (code, text)."""
        lines = []
        while True:
            line = self.line()
            lines.append(line[4:])
            if line[3:4] != '-':
                return int(line[:3]), '\n'.join(lines)

    def ask(self, line, code=None):
        self.send(line + '\r\n' if isinstance(line, str) else line + b'\r\n')
        got = self.reply()
        assert code is None or got[0] == code, got
        return got

    def begin(self, name='client.example.net'):
        assert self.reply()[0] == 220
        return self.ask('EHLO ' + name, 250)

    def at_end(self):
        """True when the server has closed and left nothing unread."""
        try:
            return self.file.read(1) == b''
        except ConnectionError:
            return True

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()


def split_letter(stored, sent):
    """The fields that were put in front of sent (both with CRLF)."""
    assert stored.endswith(sent), stored[-2000:]
    front = stored[:len(stored) - len(sent)]
    assert front.endswith(b'\r\n')
    return front
