"""LMTP over TCP and a unix socket: a reply for each recipient, and nobody but those who may."""
import grp
import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import stat
import subprocess
import tempfile
import threading

import pytest

from server import BINARY, ROOT, SLOW, Talk, end_with_us, free_base, port_is_free, split_letter, wait_until

LETTER = b'Subject: handed over\r\nFrom: a@example.net\r\n\r\n.dot\r\nline\r\n'
STUFFED = LETTER.replace(b'\r\n.', b'\r\n..') + b'.\r\n'
BOTH = pytest.mark.parametrize('way', ['tcp', 'unix'])


def at_path(path, what):
    """A unix socket of which what(socket, address) was done, however long the path is."""
    fd = os.open(os.path.dirname(path), os.O_PATH)
    s = socket.socket(socket.AF_UNIX)
    try:
        s.settimeout(20 * SLOW)
        what(s, '/proc/self/fd/%d/%s' % (fd, os.path.basename(path)))
        return s
    except OSError:
        s.close()
        raise
    finally:
        os.close(fd)


def connect_unix(path):
    return at_path(path, socket.socket.connect)


def talk(lab, way='unix'):
    return lab.talk(24) if way == 'tcp' else Talk(connect_unix(lab.dir + '/lmtp.sock'))


def begun(lab, way='unix'):
    t = talk(lab, way)
    assert t.reply() == (220, 'mail.example.com LMTP ready')
    t.ask('LHLO relay.example.net', 250)
    return t


def envelope(t, *to):
    t.ask('MAIL FROM:<a@example.net>', 250)
    return [t.ask('RCPT TO:<%s>' % address)[0] for address in to]


def deliver(lab, *to, way='unix', letter=STUFFED):
    """The replies to one letter, in order."""
    with begun(lab, way) as t:
        codes = envelope(t, *to)
        t.ask('DATA', 354)
        t.send(letter)
        replies = [t.reply() for code in codes if code == 250]
        t.ask('QUIT', 221)
        assert t.at_end()
        return replies


def test_lab_says_where(lab):
    sock = lab.dir + '/lmtp.sock'
    assert re.search(r'lmtp +127\.0\.0\.1:%d' % lab.port(24), lab.output)
    assert 'unix:' + sock in lab.output
    st = os.stat(sock)
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o660
    listeners = lab.json('status')['listeners']
    assert {'protocol': 'lmtp', 'address': '127.0.0.1', 'port': lab.port(24)} in listeners
    assert {'protocol': 'lmtp', 'address': 'unix:' + sock, 'port': None} in listeners
    assert sock in lab.run('status').stdout
    assert lab.stop() == 0
    assert not os.path.exists(sock), 'it goes with the server'


@BOTH
def test_a_reply_for_each(lab, way):
    replies = deliver(lab, 'alice@example.com', 'nobody@example.com', 'bob@example.com', way=way)
    assert [r[0] for r in replies] == [250, 250]
    assert re.fullmatch(r'2\.1\.5 <alice@example\.com> delivered as \S+', replies[0][1])
    assert re.fullmatch(r'2\.1\.5 <bob@example\.com> delivered as \S+', replies[1][1])
    for address in ('alice@example.com', 'bob@example.com'):
        front = split_letter(lab.only_letter(address), LETTER).decode()
        assert front.startswith('Return-Path: <a@example.net>\r\nDelivered-To: %s\r\nReceived: ' % address)
        peer = '[127.0.0.1]' if way == 'tcp' else 'unix socket'
        assert re.search(r'from relay\.example\.net \(%s\)\s+by mail\.example\.com with LMTP id ' % re.escape(peer),
                         front), front
        assert 'Date:' not in front, 'nothing is added to what another server has seen'


@BOTH
def test_smtplib(lab, way):
    where = ('127.0.0.1', lab.port(24)) if way == 'tcp' else None
    s = smtplib.LMTP(*where) if where else smtplib.LMTP()
    if not where:
        s.sock = connect_unix(lab.dir + '/lmtp.sock')
        assert s.getreply()[0] == 220
    with s:
        assert s.sendmail('a@example.net', ['alice@example.com'], LETTER) == {}
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            s.sendmail('a@example.net', ['nobody@example.com', 'x@example.org'], LETTER)
        assert [r[0] for r in refused.value.recipients.values()] == [550, 550], 'not here, and nothing is relayed'
        assert s.ehlo()[0] == 250, 'that is LHLO for this class'
        assert s.docmd('EHLO x')[0] == 500
    split_letter(lab.only_letter('alice@example.com'), LETTER)


@BOTH
def test_swaks(lab, way):
    where = ['--server', '127.0.0.1:%d' % lab.port(24)] if way == 'tcp' else ['--socket', 'lmtp.sock']
    r = subprocess.run(['swaks', '--protocol', 'LMTP', *where, '--from', 'a@example.net', '--to',
                        'alice@example.com,bob@example.com,nobody@example.com', '--body', 'from swaks'],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * SLOW, cwd=lab.dir)
    assert 'LHLO' in r.stdout and r.stdout.count('delivered as') == 2, r.stdout
    for address in ('alice@example.com', 'bob@example.com'):
        assert b'from swaks' in lab.only_letter(address)


def test_verbs(lab):
    with talk(lab) as t:
        assert t.reply()[0] == 220
        t.ask('EHLO x', 500)
        t.ask('HELO x', 500)
        t.ask('MAIL FROM:<a@example.net>', 503)
        caps = t.ask('LHLO x', 250)[1].split('\n')
        assert {'8BITMIME', 'PIPELINING', 'ENHANCEDSTATUSCODES', 'DSN', 'SMTPUTF8'} <= set(caps)
        assert not [c for c in caps if c.startswith(('ETRN', 'AUTH', 'STARTTLS', 'DELIVERBY'))]
        t.ask('ETRN example.com', 500)
    with lab.talk() as t:
        assert t.reply()[0] == 220
        t.ask('LHLO x', 500)
        t.ask('EHLO x', 250)


def test_no_valid_recipient(lab):
    with begun(lab) as t:
        assert envelope(t, 'nobody@example.com', 'x@elsewhere.example') == [550, 550]
        t.ask('DATA', 503)
        t.ask('RSET', 250)
        t.ask('DATA', 503)


def test_the_same_recipient_twice(lab):
    """Two replies, and as with SMTP one copy."""
    replies = deliver(lab, 'alice@example.com', 'alice@example.com', 'alice+x@example.com')
    assert [r[0] for r in replies] == [250, 250, 250]
    lab.only_letter('alice@example.com')


@BOTH
def test_pipelined(lab, way):
    """Everything at once, as RFC 2033 4.2 shows it; the replies come in order."""
    said = b''.join(
        b'LHLO x\r\nMAIL FROM:<a@example.net>\r\n' + b''.join(b'RCPT TO:<%s@example.com>\r\n' % n for n in to) +
        b'DATA\r\n' if not i else
        STUFFED + b'MAIL FROM:<a@example.net>\r\n' + b''.join(b'RCPT TO:<%s@example.com>\r\n' % n for n in to) +
        b'BDAT %d LAST\r\n%sQUIT\r\n' % (len(LETTER), LETTER)
        for i, to in enumerate([(b'alice', b'nobody', b'bob'), (b'bob', b'nobody', b'alice')]))
    with talk(lab, way) as t:
        t.send(said)
        codes = []
        while len(codes) < 16:
            codes.append(t.reply()[0])
        assert codes == [220, 250, 250, 250, 550, 250, 354, 250, 250, 250, 250, 550, 250, 250, 250, 221]
        assert t.at_end()
    assert lab.count('alice@example.com') == lab.count('bob@example.com') == 2


def test_a_bad_letter_is_refused_to_each(lab):
    replies = deliver(lab, 'alice@example.com', 'bob@example.com', letter=b'Subject: x\r\n\r\nbare\nlf\r\n.\r\n')
    assert [r[0] for r in replies] == [554, 554]
    assert lab.count('alice@example.com') == lab.count('bob@example.com') == 0


def test_dialect_is_for_smtp(make_lab):
    lab = make_lab(args=['--dialect', 'ironport'])
    assert [r[0] for r in deliver(lab, 'alice@example.com')] == [250]
    with lab.talk() as t:
        assert 'LMTP' not in t.reply()[1]


def test_log_and_trace_know_the_peer(make_lab):
    lab = make_lab(sets=['log.level=info'])
    qid = deliver(lab, 'alice@example.com')[0][1].split()[-1]
    wait_until(lambda: re.search(r'event=accepted .*peer=unix:%d' % os.getuid(), lab.log()))
    trace = lab.run('trace', qid).stdout
    assert 'c: LHLO relay.example.net' in trace and 'with' not in trace.split('History')[0].lower()


def test_limits_by_address_are_not_for_a_unix_socket(make_lab):
    lab = make_lab(sets=['limit.conns_per_ip=2', 'limit.rcpts_per_hour=2', '24:limit.conns_listener=4'])
    inside = [begun(lab) for _ in range(4)]
    for t in inside:
        assert envelope(t, 'alice@example.com', 'bob@example.com') == [250, 250]
    with talk(lab) as t:
        assert t.reply()[0] == 421
    inside.pop().close()

    def room():
        with talk(lab) as t:
            return t.reply()[0] == 220
    wait_until(room)
    with begun(lab, 'tcp') as a, begun(lab, 'tcp') as b:
        assert envelope(a, *['alice@example.com'] * 3) == [250, 250, 452]
        with talk(lab, 'tcp') as c:
            assert c.reply()[0] == 421
        b.ask('QUIT', 221)
    for t in inside:
        t.close()


def test_store_dies_between_dot_and_reply(lab):
    """Each recipient hears the truth, and the same one."""
    with begun(lab) as t:
        assert envelope(t, 'alice@example.com', 'bob@example.com') == [250, 250]
        t.ask('DATA', 354)
        store = lab.roles('store')[0]
        os.kill(store, signal.SIGSTOP)
        t.send(STUFFED)
        os.kill(store, signal.SIGKILL)
        codes = [t.reply()[0], t.reply()[0]]
        assert codes in ([250, 250], [451, 451])
        wait_until(lambda: lab.roles('store') not in ([], [store]))
        copies = 1 if codes[0] == 250 else 0

    def counted():
        try:
            return [lab.count(a) for a in ('alice@example.com', 'bob@example.com')]
        except (AssertionError, ValueError):
            return None
    assert wait_until(counted, 60, 0.2) == [copies, copies]
    assert [r[0] for r in deliver(lab, 'alice@example.com', 'bob@example.com')] == [250, 250]
    assert counted() == [copies + 1, copies + 1]


def test_the_socket_outlives_the_fronts(lab):
    """Parent keeps it: who connects meanwhile waits in its queue."""
    for pid in lab.roles('front'):
        os.kill(pid, signal.SIGKILL)
    with talk(lab) as t:
        assert t.reply()[0] == 220
        t.ask('LHLO x', 250)
    wait_until(lambda: len(deliver(lab, 'alice@example.com')) == 1, 60)


def test_what_was_acknowledged_survives(make_lab):
    """kill -9 of everything under load; the socket that stays behind is taken over."""
    lab = make_lab()
    acknowledged, unheard, lock = set(), set(), threading.Lock()

    def client(n):
        try:
            with begun(lab, 'unix' if n % 2 else 'tcp') as t:
                for i in range(1000):
                    name = '%d-%d' % (n, i)
                    with lock:
                        unheard.add(name)
                    assert envelope(t, 'alice@example.com', 'bob@example.com') == [250, 250]
                    t.ask('DATA', 354)
                    t.send('Subject: %s\r\n\r\nx\r\n.\r\n' % name)
                    for copy in ('alice', 'bob'):
                        if t.reply()[0] == 250:
                            with lock:
                                acknowledged.add((name, copy))
        except (OSError, AssertionError, ValueError, IndexError):
            pass
    threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
    for th in threads:
        th.start()
    wait_until(lambda: len(acknowledged) >= 40, 60)
    lab.kill()
    for th in threads:
        th.join()
    assert os.path.exists(lab.dir + '/lmtp.sock')
    lab.start()
    for copy in ('alice', 'bob'):
        subjects = [row['subject'] for row in lab.json('mailbox', 'show', copy + '@example.com')]
        assert len(set(subjects)) == len(subjects), 'nothing twice'
        assert {name for name, who in acknowledged if who == copy} <= set(subjects) <= unheard
    deliver(lab, 'alice@example.com')


# --- serve: the configuration of listeners


def write(tmp_path, base, listen, **keys):
    path = tmp_path / 'pennypost.conf'
    text = {'hostname': '"mail.example.com"', 'data_dir': '"%s"' % (tmp_path / 'data'), 'fronts': '2',
            'domains': '[ "example.com" ]', 'store': '{ segment_bytes = "8M"; }', 'log': '{ level = "info"; }', **keys}
    path.write_text(''.join('%s%s %s;\n' % (k, ':' if v[0] == '{' else ' =', v) for k, v in text.items()) +
                    'listen = ( %s );\n' % ', '.join('{ %s }' % li for li in listen))
    return str(path)


def tcp(port, protocol='smtp', more=''):
    return 'address = "127.0.0.1"; port = %d; protocol = "%s"; %s' % (port, protocol, more)


def at(path, more=''):
    return 'protocol = "lmtp"; address = "unix:%s"; %s' % (path, more)


@pytest.fixture
def serve(make_lab, tmp_path):
    base, guard = free_base()

    def start(*listen, wait=True):
        lab = make_lab(start=False, config=write(tmp_path, base, listen), base=base)
        lab.guard = lab.guard or guard
        lab.start(wait=False)
        if wait:
            wait_until(lambda: up(lab), 30)
        return lab

    start.base = base
    yield start
    guard.close()


def up(lab):
    assert lab.running(), lab.log()
    try:
        return all(r['state'] == 'ready' for r in lab.json('status')['roles'])
    except (AssertionError, ValueError):
        return False


def greets(path):
    try:
        with Talk(connect_unix(str(path))) as t:
            return t.reply()[0] == 220
    except (OSError, AssertionError):
        return False


def test_serve_a_unix_socket(serve, tmp_path):
    """The directory is made, a relative path starts from data_dir, rights are as written."""
    far = tmp_path / 'run' / 'mail' / 'lmtp'
    listen = [tcp(serve.base + 25), at(far, 'socket: { mode = "0640"; group = "%d"; };' % os.getgid()), at('near.sock')]
    lab = serve(*listen)
    near = tmp_path / 'data' / 'near.sock'
    wait_until(lambda: greets(far) and greets(near))
    assert stat.S_IMODE(os.stat(far).st_mode) == 0o640 and os.stat(far).st_gid == os.getgid()
    assert stat.S_IMODE(os.stat(near).st_mode) == 0o660
    lab.run('user', 'add', 'alice@example.com', '--password-stdin', input='x\n')

    def delivered():
        with Talk(connect_unix(str(far))) as t:
            t.reply()
            t.ask('LHLO x', 250)
            return envelope(t, 'alice@example.com') == [250]
    wait_until(delivered)
    # A reload: one goes, one comes, one gets other rights, and a conversation goes on.
    other = tmp_path / 'run' / 'other'
    with Talk(connect_unix(str(near))) as t:
        assert t.reply()[0] == 220
        write(tmp_path, lab.base, [at(other), tcp(lab.base + 25), at(far, 'socket: { mode = "0666"; };')])
        lab.run('reload')
        wait_until(lambda: greets(other) and greets(far) and not near.exists())
        assert stat.S_IMODE(os.stat(far).st_mode) == 0o666
        t.ask('LHLO x', 250)
    # One with a mistake changes nothing.
    write(tmp_path, lab.base, [at(far, 'socket: { mode = "0600"; group = "nobody-of-that-name"; };')])
    r = lab.run('reload', check=False)
    assert r.returncode == 2 and 'there is no group nobody-of-that-name' in r.stderr
    assert stat.S_IMODE(os.stat(far).st_mode) == 0o666 and greets(other)
    assert lab.stop() == 0
    assert not far.exists() and not other.exists()


def test_a_socket_of_somebody_else_stays(serve, tmp_path):
    path = tmp_path / 'lmtp'
    with at_path(str(path), socket.socket.bind) as s:
        s.listen(1)
        lab = serve(at(path), wait=False)
        assert lab.process.wait(30 * SLOW) == 3
        assert 'another server answers there' in lab.log()
    assert path.exists()
    path.unlink()
    path.write_text('precious')
    lab = serve(at(path), wait=False)
    assert lab.process.wait(30 * SLOW) == 3
    assert 'no socket' in lab.log() and path.read_text() == 'precious'


def test_nobody_of_that_name(serve, tmp_path):
    lab = serve(at('x', 'socket: { user = "nobody-of-that-name"; };'), wait=False)
    assert lab.process.wait(30 * SLOW) == 3
    assert 'there is no account nobody-of-that-name' in lab.log()


@pytest.mark.parametrize('listen,what', [
    (tcp(25, 'lmtp'), 'RFC 2033 5'),
    ('address = "unix:/x/y"; protocol = "smtp";', 'only lmtp and metrics are spoken'),
    ('address = "unix:/x/y"; protocol = "lmtp"; port = 24;', 'has no port'),
    ('address = "unix:"; protocol = "lmtp";', 'or unix:/PATH'),
    (at('/x', 'socket: { mode = "0888"; };'), 'rights in octal'),
    (at('/x') + '}, {' + at('/x'), 'two listeners at unix:/x'),
])
def test_config_check_refuses(tmp_path, listen, what):
    r = subprocess.run([BINARY, 'config', 'check', write(tmp_path, 0, [listen])], stdout=subprocess.PIPE, text=True)
    assert r.returncode == 2 and what in r.stdout, r.stdout


@pytest.mark.parametrize('listen,what', [
    ('address = "*"; protocol = "lmtp";', 'answered to this machine only'),
    (at('/x', 'socket: { mode = "0666"; };'), 'every account of this machine'),
    (at('/x', 'dialect = "postfix";'), 'dialect has no effect'),
    ('protocol = "lmtp";', ''),
    (at('/x'), ''),
    ('address = "*"; protocol = "lmtp"; relay_ip = "192.0.2.0/24";', ''),
])
def test_config_check_warns(tmp_path, listen, what):
    r = subprocess.run([BINARY, 'config', 'check', write(tmp_path, 0, [listen])], stdout=subprocess.PIPE, text=True)
    assert r.returncode == 0, r.stdout
    warnings = [line for line in r.stdout.split('\n') if 'warning' in line]
    assert len(warnings) == (1 if what else 0) and what in r.stdout


def test_defaults_of_a_listener(tmp_path):
    r = subprocess.run([BINARY, 'config', 'show', write(tmp_path, 0, ['protocol = "lmtp";', at('x')])],
                       stdout=subprocess.PIPE, text=True)
    assert r.returncode == 0
    first, second = r.stdout.split('listen = (')[1].split('},')
    assert 'address = "127.0.0.1"' in first and 'port = 24;' in first
    assert 'address = "unix:x"' in second and 'port' not in second


def test_one_mistake_is_one_line(tmp_path):
    """Behind a syntax error nothing is certain, so nothing else is said."""
    path = tmp_path / 'open.conf'
    path.write_text('limit: {\n conns_total = 1;\n')
    r = subprocess.run([BINARY, 'config', 'check', str(path)], stdout=subprocess.PIPE, text=True)
    assert r.returncode == 2 and len(r.stdout.strip().split('\n')) == 1, r.stdout


def test_connections_keep_their_listener_over_a_reload(serve, tmp_path):
    """limit.conns_listener: a listener that got another number has the connections it had."""
    a, b = tcp(serve.base + 25), tcp(serve.base + 587, more='limit: { conns_listener = 2; };')
    lab = serve(a, b)
    left = [lab.talk(25) for _ in range(3)]
    inside = [lab.talk(587) for _ in range(2)]
    assert [t.reply()[0] for t in left + inside] == [220] * 5

    def full():
        with lab.talk(587) as t:
            return t.reply()[0] == 421
    assert full()
    write(tmp_path, lab.base, [b])
    lab.run('reload')

    def gone():
        try:
            lab.talk(25).close()
            return False
        except ConnectionError:
            return True
    wait_until(gone)
    assert full(), 'the two are still there'
    for t in left:
        t.close()
    assert full(), 'those of the other listener do not count here'
    inside.pop().close()
    wait_until(lambda: not full())
    write(tmp_path, lab.base, [a, b])
    lab.run('reload')
    with lab.talk(587) as t:
        assert t.reply()[0] == 220
        assert full()


def test_few_descriptors_are_told(make_lab):
    """With a low hard limit the server says how many connections are possible."""
    lab = make_lab(start=False, sets=['log.level=info'])
    command = lab.command()
    lab.command = lambda: ['prlimit', '--nofile=1024:1024'] + command
    lab.start()
    most = lab.json('status')['connections_max']
    # Who may raise the limit does.
    assert most == 20000 or (most == 1024 - 200 and 'event=few-descriptors' in lab.log())


# --- another mail server in front

POSTFIX = os.path.join(ROOT, 'build', 'peers', 'postfix')
MAIN_CF = '''compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = {peer}/usr/sbin
daemon_directory = {peer}/usr/lib/postfix/sbin
shlib_directory = {peer}/usr/lib/postfix
meta_directory = {dir}/conf
import_environment = MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH={peer}/usr/lib/postfix
mail_owner = daemon
setgid_group = games
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
myhostname = mx.example.net
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
disable_dns_lookups = yes
smtpd_recipient_restrictions = permit_mynetworks, reject
virtual_mailbox_domains = example.com
virtual_transport = lmtp:unix:private/pennypost
'''
MASTER_CF = '''127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
''' + ''.join('%s unix - - n - %s %s\n' % row for row in (
    ('rewrite', '-', 'trivial-rewrite'), ('bounce', '0', 'bounce'), ('defer', '0', 'bounce'), ('trace', '0', 'bounce'),
    ('error', '-', 'error'), ('retry', '-', 'error'), ('lmtp', '-', 'lmtp'), ('proxymap', '-', 'proxymap'),
    ('anvil', '1', 'anvil'), ('scache', '1', 'scache'))) + 'postlog unix-dgram n - n - 1 postlogd\n'


@pytest.fixture
def postfix():
    """Postfix from an unpacked package, in a directory that its own account can reach."""
    master = POSTFIX + '/usr/lib/postfix/sbin/master'
    if os.geteuid() != 0 or not os.access(master, os.X_OK):
        pytest.skip('needs root, and Postfix as tools/setup.sh unpacks it')
    where = tempfile.mkdtemp()
    process = None
    daemon, games = pwd.getpwnam('daemon').pw_uid, grp.getgrnam('games').gr_gid

    def folder(name, mode, uid=0, gid=-1):
        os.mkdir(where + '/' + name)
        os.chown(where + '/' + name, uid, gid)
        os.chmod(where + '/' + name, mode)

    os.chmod(where, 0o755)
    for name in ('conf', 'spool', 'spool/pid'):
        folder(name, 0o755)
    folder('data', 0o700, daemon)
    for name in ('active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'private', 'saved',
                 'trace'):
        folder('spool/' + name, 0o700, daemon)
    folder('spool/maildrop', 0o730, daemon, games)
    folder('spool/public', 0o710, daemon, games)

    def start(port):
        nonlocal process
        for name, text in (('main.cf', MAIN_CF), ('master.cf', MASTER_CF)):
            with open(where + '/conf/' + name, 'w') as f:
                f.write(text.format(dir=where, peer=POSTFIX, port=port))
        env = dict(os.environ, MAIL_CONFIG=where + '/conf', LD_LIBRARY_PATH=POSTFIX + '/usr/lib/postfix')
        env.pop('LD_PRELOAD', None)
        process = subprocess.Popen([master, '-c', where + '/conf', '-d'], env=env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                   preexec_fn=end_with_us)
        wait_until(lambda: not port_is_free(port), 60)

    yield where, start
    if process:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60 * SLOW)
    shutil.rmtree(where)


def test_postfix_delivers(serve, postfix):
    """One recipient is refused at RCPT, and bounces; the others have their replies and their copy."""
    where, start = postfix
    group = grp.getgrgid(pwd.getpwnam('daemon').pw_gid).gr_name
    lab = serve(at(where + '/spool/private/pennypost', 'socket: { group = "%s"; };' % group))
    for name in ('ann', 'bob'):
        lab.run('user', 'add', name + '@example.com', '--password-stdin', input='x\n')
    wait_until(lambda: lab.json('status')['roles'])
    start(lab.port(465))
    with smtplib.SMTP('127.0.0.1', lab.port(465), timeout=60 * SLOW) as s:
        s.sendmail('a@example.net', ['ann@example.com', 'nobody@example.com', 'bob@example.com'], LETTER)

    def log():
        with open(where + '/log', errors='replace') as f:
            return f.read()
    try:
        wait_until(lambda: len(re.findall(r'status=\w+', log())) >= 3, 60)
    except AssertionError:
        print(log())
        raise
    status = dict(re.findall(r'to=<(\w+)@example\.com>, relay=.* status=(\w+)', log()))
    assert status == {'ann': 'sent', 'bob': 'sent', 'nobody': 'bounced'}, log()
    for name in ('ann', 'bob'):
        letter = lab.only_letter(name + '@example.com')
        assert letter.endswith(b'\r\n\r\n.dot\r\nline\r\n') and b'with LMTP' in letter and b'(Postfix)' in letter
