"""servers: the servers that are compared, each started in a directory of its own on loopback.

A server has .name, .host_port, .start(), .stop(), .pids() -> {pid: role}, .delivered() -> letters in
mailboxes (None: at its 250), .clean(). Everything that was started ends with this process,
however that ends.
"""
import atexit
import ctypes
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEER = os.path.join(ROOT, 'build', 'peers', 'postfix')
PEER_ENV = {**os.environ, 'LD_LIBRARY_PATH': os.path.join(PEER, 'usr', 'lib', 'postfix')}
started = []  # processes, the newest last


class Trouble(Exception):
    """Says what is wrong and what helps."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def with_us(signo=signal.SIGTERM):
    """In the child: its own group, and signo when we die."""
    def prepare():
        os.setsid()
        ctypes.CDLL(None).prctl(1, signo)
    return prepare


def spawn(args, signo=signal.SIGTERM, **options):
    p = subprocess.Popen(args, stdin=subprocess.DEVNULL, preexec_fn=with_us(signo), **options)
    started.append(p)
    return p


def end(p, seconds=30):
    """SIGTERM, then SIGKILL, for a process of ours and its group."""
    if p is None or p.poll() is not None:
        return
    p.terminate()
    try:
        p.wait(seconds)
    except subprocess.TimeoutExpired:
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        p.wait()


def end_all():
    while started:
        end(started.pop())


def leave(signo, frame):
    sys.exit(128 + signo)


def tidy_up():
    """Children end on every way out; ^C too."""
    atexit.register(end_all)
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signo, leave)


def children(pid):
    """{pid: (comm, argv)} of the children of pid."""
    found = {}
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            with open('/proc/%s/stat' % entry) as f:
                text = f.read()
            fields = text.rpartition(')')[2].split()
            if int(fields[1]) != pid or fields[0] == 'Z':
                continue
            with open('/proc/%s/cmdline' % entry, 'rb') as f:
                argv = f.read().decode(errors='replace').rstrip('\0').split('\0')
        except (OSError, ValueError):
            continue
        found[int(entry)] = (text[text.index('(') + 1:text.rindex(')')], argv)
    return found


def free_ports(count):
    """Base of count ports nobody uses now, apart from those that the tests take."""
    for base in [thousand + hundred for thousand in range(20000, 32000, 1000) for hundred in (200, 600)]:
        socks = []
        try:
            for i in range(count):
                s = socket.socket()
                socks.append(s)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(('127.0.0.1', base + i))
            return base
        except OSError:
            continue
        finally:
            for s in socks:
                s.close()
    raise Trouble('no free ports from 20000 to 32000')


def wait_for_greeting(port, process, what, seconds=30):
    """Until 127.0.0.1:port says 220; what() is its log, for when it does not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(('127.0.0.1', port), timeout=5) as s:
                if s.recv(512).startswith(b'220'):
                    s.sendall(b'QUIT\r\n')
                    s.recv(512)
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise Trouble('nothing greets at port %d (status %s):\n%s' % (port, process.poll(), what()))


class Server:
    name = ''
    to = 'user@bench.example.com'
    stores = True

    def __init__(self, directory, port):
        self.dir = directory
        self.port = port
        self.process = None

    @property
    def host_port(self):
        return '127.0.0.1:%d' % self.port

    def log(self):
        try:
            with open(os.path.join(self.dir, 'log'), errors='replace') as f:
                return f.read()[-3000:]
        except OSError:
            return ''

    def launch(self, args, **options):
        os.makedirs(self.dir, exist_ok=True)
        with open(os.path.join(self.dir, 'log'), 'ab') as log:
            self.process = spawn(args, stdout=log, stderr=log, **options)

    def pids(self):
        roles = {self.process.pid: 'parent'}
        for pid, (comm, argv) in children(self.process.pid).items():
            roles[pid] = argv[argv.index('--role') + 1] if '--role' in argv else comm
        return roles

    def delivered(self):
        return None

    def settle(self):
        """Until it is done with what it accepted; its CPU time is part of the letters' price."""

    def clean(self):
        pass

    def stop(self):
        end(self.process)
        self.process = None

    def destroy(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Pennypost(Server):
    """The real server, as `lab` sets it up: everything is synced as it is in production."""
    name = 'pennypost'

    def __init__(self, directory, port, binary, users=('user@bench.example.com',), sets=()):
        super().__init__(directory, port + 25)
        self.binary = binary
        self.users = users
        self.sets = ('log.level=warn',) + tuple(sets)

    def start(self):
        args = [self.binary, 'lab', '--dir', os.path.join(self.dir, 'lab'), '--port-base', str(self.port - 25)]
        for user in self.users:
            args += ['--user', user + ':bench']
        for s in self.sets:
            args += ['--set', s]
        self.launch(args)
        deadline = time.monotonic() + 60 + len(self.users)  # each password takes its time
        while '\nready\n' not in '\n' + self.log():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Trouble('pennypost did not start (status %s):\n%s' % (self.process.poll(), self.log()))
            time.sleep(0.05)

    def cli(self, *words):
        r = subprocess.run([self.binary, *words, '--dir', os.path.join(self.dir, 'lab'), '--json'], timeout=120,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if r.returncode:
            raise Trouble('pennypost %s: %s' % (' '.join(words), r.stderr))
        return json.loads(r.stdout)

    def settle(self):
        """The index follows the log."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            store = self.cli('status').get('store') or {}
            if store.get('durable_lsn', 0) == store.get('applied_lsn', 1):
                return
            time.sleep(0.05)

    def count(self, user):
        return sum(m['messages'] for m in self.cli('mailbox', 'list', user) if m['name'] == 'INBOX')


class Sink(Server):
    """smtp-sink: takes letters and forgets them."""
    name = 'smtp-sink'
    stores = False

    def start(self):
        program = os.path.join(PEER, 'usr', 'sbin', 'smtp-sink')
        if not os.path.exists(program):
            raise Trouble('%s is missing: tools/setup.sh bench unpacks it' % program)
        user = ['-u', 'nobody'] if os.getuid() == 0 else []
        self.launch([program, *user, self.host_port, '1024'], env=PEER_ENV)
        wait_for_greeting(self.port, self.process, self.log)


MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = {peer}/usr/sbin
daemon_directory = {peer}/usr/lib/postfix/sbin
shlib_directory = {peer}/usr/lib/postfix
meta_directory = {dir}/conf
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LD_LIBRARY_PATH LANG=C
export_environment = TZ LD_LIBRARY_PATH LANG
mail_owner = {owner}
setgid_group = {group}
default_privs = nobody
myhostname = mx.bench.example.com
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
disable_dns_lookups = yes
smtputf8_enable = no
maillog_file = {dir}/mail.log
maillog_file_prefixes = {dir}
message_size_limit = 20000000
virtual_mailbox_domains = bench.example.com
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:user/
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_transport = virtual
smtpd_tls_security_level = may
smtpd_tls_cert_file = {dir}/tls/cert.pem
smtpd_tls_key_file = {dir}/tls/key.pem
smtpd_tls_loglevel = 0
"""
# Debian's master.cf with chroot off: service, type, private, wakeup, processes, program.
MASTER_CF = """\
127.0.0.1:{port} inet n - n - {processes} smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Server):
    """Postfix from Debian's package, unpacked, not installed: smtpd, cleanup, qmgr and virtual(8), which
    delivers into one Maildir. Accounts that every Debian has lend it their numbers."""
    name = 'postfix'
    owner, group, mailer = 'news', 'uucp', 'games'
    more = ''  # lines of main.cf

    def __init__(self, directory, port, processes='-'):
        super().__init__(directory, port)
        self.processes = processes
        self.old = 0
        self.new = os.path.join(directory, 'mail', 'user', 'new')

    def start(self):
        master = os.path.join(PEER, 'usr', 'lib', 'postfix', 'sbin', 'master')
        if not os.path.exists(master):
            raise Trouble('%s is missing: tools/setup.sh bench unpacks it' % master)
        if os.getuid() != 0:
            raise Trouble('Postfix starts only as root')
        shutil.rmtree(self.dir, ignore_errors=True)
        conf = os.path.join(self.dir, 'conf')
        os.makedirs(conf)
        mailer = pwd.getpwnam(self.mailer)
        words = dict(dir=self.dir, peer=PEER, port=self.port, processes=self.processes, owner=self.owner,
                     group=self.group, uid=mailer.pw_uid, gid=mailer.pw_gid)
        for file, template in (('main.cf', MAIN_CF), ('master.cf', MASTER_CF)):
            with open(os.path.join(conf, file), 'w') as f:
                f.write(template.format(**words) + (self.more if file == 'main.cf' else ''))
        self.certificate_make()
        self.queue_make()
        above = self.dir
        while above != '/':
            if not os.stat(above).st_mode & 0o001:
                raise Trouble('Postfix cannot pass through %s: take a --dir that all may enter' % above)
            above = os.path.dirname(above)
        self.launch([master, '-c', conf, '-d'], env={**PEER_ENV, 'MAIL_CONFIG': conf})
        wait_for_greeting(self.port, self.process, self.log)

    def certificate_make(self):
        """P-256, as ours."""
        where = os.path.join(self.dir, 'tls')
        self.directory(where, 0o755)
        made = subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                               '-days', '30', '-subj', '/CN=mx.bench.example.com', '-keyout', where + '/key.pem',
                               '-out', where + '/cert.pem'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if made.returncode:
            raise Trouble('openssl made no certificate: ' + made.stdout)

    def queue_make(self):
        spool = os.path.join(self.dir, 'spool')
        owned = ('active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'private', 'saved',
                 'trace')
        for name in owned:
            self.directory(os.path.join(spool, name), 0o700, self.owner)
        self.directory(os.path.join(spool, 'maildrop'), 0o730, self.owner, self.group)
        self.directory(os.path.join(spool, 'public'), 0o710, self.owner, self.group)
        self.directory(os.path.join(spool, 'pid'), 0o755)
        self.directory(os.path.join(self.dir, 'data'), 0o700, self.owner)
        self.directory(os.path.join(self.dir, 'mail'), 0o755, self.mailer, self.mailer)
        os.chmod(spool, 0o755)
        os.chmod(self.dir, 0o755)

    @staticmethod
    def directory(path, mode, owner=None, group=None):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        if owner:
            shutil.chown(path, owner, group)

    def log(self):
        try:
            with open(os.path.join(self.dir, 'mail.log'), errors='replace') as f:
                return super().log() + f.read()[-3000:]
        except OSError:
            return super().log()

    def delivered(self):
        try:
            return len(os.listdir(self.new))
        except FileNotFoundError:
            return 0

    def clean(self):
        """Aside, not away: to remove so many files would burden the run that follows."""
        if os.path.isdir(self.new):
            self.old += 1
            os.rename(os.path.dirname(self.new), os.path.join(self.dir, 'old.%d' % self.old))
