"""mailbox import: mbox, Maildir and .eml files; what was interrupted goes on, and nothing comes twice."""
import json
import mailbox
import os
import random
import re
import signal
import subprocess
import time

import pytest

from server import BINARY, SLOW, Lab, wait_until

ALICE = None  # the user of the test at hand
LONG = int(os.environ.get('PENNYPOST_IMPORT', '1500'))  # letters of an import that is cut short


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """One server for all of them."""
    one = Lab(tmp_path_factory.mktemp('import') / 'lab').start()
    yield one
    status = one.stop()
    reports = one.sanitizer_reports()
    one.close()
    assert status == 0 and not reports, one.log()[-20000:]


@pytest.fixture(autouse=True)
def user(lab, request):
    global ALICE
    ALICE = re.sub('[^a-z0-9]+', '-', request.node.name).strip('-') + '@example.com'
    if not lab.running():
        lab.start()
    lab.run('user', 'add', ALICE, '--password-stdin', input='secret\n')
    yield
    if getattr(request.node, 'failed', False):
        print(lab.log()[-20000:])


def text_of(n):
    """A letter's text with LF line ends; some have what is hard in an mbox."""
    rng = random.Random(n)
    lines = [b'From: sender%d@example.net' % n, b'To: alice@example.com', b'Subject: letter %d' % n,
             b'Date: Fri, 27 Apr 2012 23:29:54 +0200', b'Message-ID: <%d@example.net>' % n, b'']
    kinds = [b'plain text', b'From here on', b'>From there', b'\xff\xfe 8 bit', b'a NUL \0 in a line', b'', b'.', b'x' * 2000]
    lines += [rng.choice(kinds) for _ in range(rng.randrange(8))] + [b'end of %d' % n]
    return b'\n'.join(lines) + b'\n'


def put_mbox(path, numbers, append=False, quote=True):
    with open(path, 'ab' if append else 'wb') as f:
        for n in numbers:
            text = re.sub(rb'^(>*From )', rb'>\1', text_of(n), flags=re.M) if quote else text_of(n)
            f.write(b'From sender%d@example.net Fri Apr 27 21:29:54 2012\n' % n + text + b'\n')


def put_maildir(path, numbers, sub='new'):
    for name in ('cur', 'new', 'tmp'):
        os.makedirs(os.path.join(path, name), exist_ok=True)
    for n in numbers:
        name = '%d.M%dP1.host' % (1335562194 + n, n)
        with open(os.path.join(path, sub, name), 'wb') as f:
            f.write(text_of(n))


def export(lab, box='INBOX', marks=False):
    """The letters of a mailbox in order, with LF line ends; with marks the flags in front of them."""
    octets = lab.run('mailbox', 'export', ALICE, '--mailbox', box, text=False).stdout
    parts = re.split(rb'^From \S+ \w{3} \w{3} .\d \d\d:\d\d:\d\d \d{4}\n', octets, flags=re.M)
    assert parts[0] == b''
    assert all(p.endswith(b'\n') for p in parts[1:])
    parts = [re.sub(rb'^>(>*From )', rb'\1', p[:-1], flags=re.M) for p in parts[1:]]
    return parts if marks else [re.sub(rb'\A(Status: RO\n)?(X-Status: [AFDT]+\n)?', b'', p) for p in parts]


def words(lab, *more):
    return [BINARY, 'mailbox', 'import', ALICE, *map(str, more), '--dir', lab.dir]


def run_import(lab, *more, check=True, **options):
    return lab.run('mailbox', 'import', ALICE, *map(str, more), check=check, **options)


def count(r):
    """Letters that the command says it has imported."""
    return int(re.search(r'letters imported: (\d+) ', r.stderr).group(1))


def fsck(lab):
    r = lab.run('fsck', check=False)
    assert r.returncode == 0, r.stdout + r.stderr


# --- mbox

def test_mbox_comes_in_as_it_is(lab, tmp_path):
    path = tmp_path / 'in.mbox'
    put_mbox(path, range(300))
    assert count(run_import(lab, path)) == 300
    assert export(lab) == [text_of(n) for n in range(300)]
    rows = lab.json('mailbox', 'show', ALICE)
    assert rows[0]['time'].startswith('2012-04-27T21:29:54')
    assert [r['subject'] for r in rows] == ['letter %d' % n for n in range(300)]
    history = lab.json('trace', rows[7]['letter'])[0]['history']
    assert 'letter 8' in history[0] and str(path) in history[0]
    fsck(lab)


def test_mbox_of_another_program(lab, tmp_path):
    """As Python's module writes it, flags and all."""
    path = tmp_path / 'in.mbox'
    box = mailbox.mbox(str(path))
    for n, flags in enumerate(['', 'R', 'RO', 'ROA', 'F', 'AFDT']):
        m = mailbox.mboxMessage(text_of(n))
        m.set_flags(''.join(f for f in flags if f != 'T') if 'T' not in flags else 'AFD')
        box.add(m)
    box.flush()
    box.close()
    assert count(run_import(lab, path)) == 6
    assert [r['flags'] for r in lab.json('mailbox', 'show', ALICE)] == ['', 'S', 'S', 'RS', 'F', 'FRT']
    for row in lab.json('mailbox', 'show', ALICE):
        assert b'Status:' not in lab.run('mailbox', 'read', ALICE, str(row['uid']), text=False).stdout
    marks = [b'', b'Status: RO\n', b'Status: RO\n', b'Status: RO\nX-Status: A\n', b'X-Status: F\n', b'X-Status: AFD\n']
    assert [g.partition(b'From: ')[0] for g in export(lab, marks=True)] == marks


def test_mbox_with_lengths(lab, tmp_path):
    """mboxcl2: nothing is quoted, and the length says where a letter ends."""
    path = tmp_path / 'in.mbox'
    bodies = [b'first\n\nFrom x Fri Sep 25 12:27:48 2009\nSubject: no letter\n\n', b'>From here\n']
    with open(path, 'wb') as f:
        for n, body in enumerate(bodies):
            f.write(b'From a Fri Sep 25 12:27:48 2009\nSubject: %d\nContent-Length: %d\n\n' % (n, len(body)) + body + b'\n')
    assert count(run_import(lab, path, '--format', 'mboxcl2')) == 2
    assert [g.split(b'\n\n', 1)[1] for g in export(lab)] == bodies


def test_small_files(lab, tmp_path):
    empty = tmp_path / 'empty'
    empty.write_bytes(b'')
    assert count(run_import(lab, empty)) == 0
    tail = tmp_path / 'tail'
    tail.write_bytes(b'From a Fri Sep 25 12:27:48 2009\r\nSubject: no end\r\n\r\nlast line')
    assert count(run_import(lab, tail)) == 1
    assert export(lab) == [b'Subject: no end\n\nlast line\n']
    wrong = tmp_path / 'wrong'
    wrong.write_bytes(b'\n\nSubject: \x1b[31mno mbox\n\nx\n')
    r = run_import(lab, wrong, check=False)
    assert r.returncode == 4 and 'line 3' in r.stderr and 'no mbox' in r.stderr and '\x1b' not in r.stderr
    assert lab.count(ALICE) == 1


def test_large_and_too_large(lab, tmp_path):
    path = tmp_path / 'in.mbox'
    large = b'Subject: large\n\n' + b'0123456789abcde\n' * 100000
    with open(path, 'wb') as f:
        for text in (text_of(1), large, text_of(2)):
            f.write(b'From a Fri Sep 25 12:27:48 2009\n' + re.sub(rb'^(>*From )', rb'>\1', text, flags=re.M) + b'\n')
    r = run_import(lab, path, '--max-size', '1M')
    assert count(r) == 2 and '1 skipped' in r.stderr and 'at octet' in r.stderr and 'goes on behind it' in r.stderr
    assert count(run_import(lab, path)) == 0
    assert export(lab) == [text_of(1), text_of(2)]
    r = run_import(lab, path, '--mailbox', 'All', '--create')
    assert count(r) == 3
    assert export(lab, 'All') == [text_of(1), large, text_of(2)]
    fsck(lab)


def test_large_letters_lie_in_files(lab, tmp_path):
    """They do not count as memory, of which strangers' letters would find none left."""
    path = tmp_path / 'in.mbox'
    path.write_bytes(b'From a Fri Sep 25 12:27:48 2009\nSubject: large\n\n' + b'0123456789abcde\n' * 2500000)
    p = subprocess.Popen(words(lab, path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    most = 0
    while p.poll() is None:
        most = max([most] + [r.get('body_memory') or 0 for r in lab.json('status')['roles']])
    assert p.returncode == 0, p.stderr.read()
    p.stderr.close()
    assert most <= 16 << 20


def test_standard_input(lab, tmp_path):
    path = tmp_path / 'in.mbox'
    put_mbox(path, range(20))
    for _ in range(2):
        r = run_import(lab, '-', input=path.read_bytes(), text=False)
        assert b'letters imported: 20 ' in r.stderr and b'only be read once' in r.stderr
    assert export(lab) == [text_of(n) for n in range(20)] * 2


def test_round_trip(lab, tmp_path):
    for n in range(5):
        lab.send(text_of(n).replace(b'\n', b'\r\n').replace(b'\0', b' '))
    before = lab.letters(ALICE)
    path = tmp_path / 'out.mbox'
    path.write_bytes(lab.run('mailbox', 'export', ALICE, text=False).stdout)
    lab.run('mailbox', 'import', 'bob@example.com', str(path))
    assert lab.letters('bob@example.com') == before
    lab.run('mailbox', 'export', ALICE, '--format', 'maildir', '--to', str(tmp_path / 'md'))
    lab.run('mailbox', 'import', 'bob@example.com', str(tmp_path / 'md'))
    assert lab.letters('bob@example.com') == before * 2
    times = [r['time'] for r in lab.json('mailbox', 'show', 'bob@example.com')][5:]
    assert times == [r['time'] for r in lab.json('mailbox', 'show', ALICE)]


# --- directories

def test_maildir(lab, tmp_path):
    path = tmp_path / 'md'
    put_maildir(path, range(0, 200))
    put_maildir(path, range(200, 210), 'cur')
    for n, flags in ((200, ':2,S'), (201, ':2,FRST'), (202, ':2,DPa'), (203, ':2,')):
        name = path / 'cur' / ('%d.M%dP1.host' % (1335562194 + n, n))
        name.rename(str(name) + flags)
    assert count(run_import(lab, path)) == 210
    assert export(lab) == [text_of(n) for n in range(210)]
    rows = lab.json('mailbox', 'show', ALICE)
    assert [r['flags'] for r in rows[200:204]] == ['S', 'FRST', 'D', '']
    assert rows[5]['time'] == '2012-04-27T21:29:59.000Z'
    # Only what is new, whatever moved meanwhile.
    for n in range(50):
        name = '%d.M%dP1.host' % (1335562194 + n, n)
        (path / 'new' / name).rename(path / 'cur' / (name + ':2,S'))
    put_maildir(path, range(210, 215))
    r = run_import(lab, path)
    assert count(r) == 5 and '210 were imported before' in r.stderr
    assert export(lab) == [text_of(n) for n in range(215)]
    assert count(run_import(lab, path, '--again')) == 215
    assert count(run_import(lab, path)) == 0
    assert lab.count(ALICE) == 430
    fsck(lab)


def test_maildir_folders(lab, tmp_path):
    path = tmp_path / 'md'
    put_maildir(path, [1])
    put_maildir(path / '.Sent', [2, 3])
    put_maildir(path / '.Lists.R&AOk-sum&AOk-', [4])
    r = run_import(lab, path, '--recursive', check=False)
    assert r.returncode == 2 and '--create' in r.stderr
    r = run_import(lab, path, '--recursive', '--create', '--dry-run')
    assert 'letters to import: 3 ' in r.stderr
    assert not [b for b in lab.json('mailbox', 'list', ALICE) if b['name'].startswith('Lists')]
    assert count(run_import(lab, path, '--recursive', '--create')) == 3
    assert {b['name']: b['messages'] for b in lab.json('mailbox', 'list', ALICE) if b['messages']} == {
        'INBOX': 1, 'Sent': 2, 'Lists/R\u00e9sum\u00e9': 1}
    assert export(lab, 'Sent') == [text_of(2), text_of(3)]
    fsck(lab)


def test_maildir_leads_nowhere_else(lab, tmp_path):
    """Who owns the Maildir cannot make us read what they may not."""
    secret = tmp_path / 'secret'
    put_maildir(secret, [1])
    path = tmp_path / 'md'
    put_maildir(path, [2])
    os.symlink(secret / 'new' / os.listdir(secret / 'new')[0], path / 'new' / '1.link')
    os.mkfifo(path / 'new' / '1.fifo')
    os.symlink(secret, path / '.Folder')
    r = run_import(lab, path)
    assert count(r) == 1 and '1.link is no file' in r.stderr and '1.fifo is no file' in r.stderr
    r = run_import(lab, path, '--recursive', '--create', check=False)
    assert r.returncode == 4 and '.Folder' in r.stderr
    os.rmdir(path / 'cur')
    os.symlink(secret / 'new', path / 'cur')
    assert run_import(lab, path, check=False).returncode == 4
    assert export(lab) == [text_of(2)]


@pytest.mark.skipif(os.geteuid() != 0, reason='only root could read too much')
def test_root_follows_no_strangers_link(lab, tmp_path):
    put_maildir(tmp_path / 'md', [1])
    put_mbox(tmp_path / 'in.mbox', [2])
    for name in 'md', 'in.mbox':
        link = tmp_path / (name + '.link')
        os.symlink(tmp_path / name, link)
        os.lchown(link, 65534, 65534)
        r = run_import(lab, link, check=False)
        assert r.returncode == 4 and 'name what it leads to' in r.stderr
        os.lchown(link, 0, 0)
        assert count(run_import(lab, link)) == 1
    assert export(lab) == [text_of(1), text_of(2)]


def test_eml(lab, tmp_path):
    path = tmp_path / 'letters'
    path.mkdir()
    for n in range(3):
        (path / ('%d.eml' % n)).write_bytes(text_of(n))
    (path / 'other.txt').write_text('no letter')
    assert count(run_import(lab, path)) == 3
    assert export(lab) == [text_of(n) for n in range(3)]
    assert count(run_import(lab, path)) == 0


# --- without a server, and errors

def test_without_a_server(lab, tmp_path):
    path = tmp_path / 'in.mbox'
    put_mbox(path, range(50))
    assert lab.stop() == 0
    assert count(run_import(lab, path, '--mailbox', 'Old', '--create')) == 50
    put_mbox(path, range(50, 60), append=True)
    assert count(run_import(lab, path, '--mailbox', 'Old')) == 10
    lab.start()
    assert export(lab, 'Old') == [text_of(n) for n in range(60)]


def test_errors(lab, tmp_path):
    path = tmp_path / 'in.mbox'
    put_mbox(path, range(3))
    for more, status, text in (
            (['--mailbox', 'None'], 2, '--create'),
            (['--mailbox', 'a\nb', '--create'], 2, 'control'),
            (['--mailbox', 'x' * 300, '--create'], 2, 'octets'),
            (['--format', 'tar'], None, 'mboxrd'),
            (['--max-size', 'much'], None, '--max-size'),
            (['--recursive'], None, 'Maildir')):
        r = run_import(lab, path, *more, check=False)
        assert r.returncode != 0 and status in (None, r.returncode) and text in r.stderr, r.stderr
    r = lab.run('mailbox', 'import', 'nobody@example.com', str(path), check=False)
    assert r.returncode == 2 and 'nobody@example.com' in r.stderr
    r = run_import(lab, tmp_path / 'none', check=False)
    assert r.returncode == 4 and 'No such file' in r.stderr
    r = run_import(lab, tmp_path, check=False)
    assert r.returncode == 4 and 'Maildir' in r.stderr
    assert lab.count(ALICE) == 0


def test_json(lab, tmp_path):
    path = tmp_path / 'in.mbox'
    put_mbox(path, range(30))
    r = run_import(lab, path, '--json')
    lines = [json.loads(x) for x in r.stdout.splitlines()]
    assert lines[-1]['event'] == 'end' and lines[-1]['letters'] == 30 and lines[-1]['status'] == 0
    assert r.stderr == ''
    lines = [json.loads(x) for x in run_import(lab, path, '--json', '--again', '--dry-run').stdout.splitlines()]
    assert lines[-1]['letters'] == 30 and lines[-1]['dry_run'] and lab.count(ALICE) == 30


# --- going on

def test_mbox_grows_and_changes(lab, tmp_path):
    path = tmp_path / 'in.mbox'
    put_mbox(path, range(10))
    assert count(run_import(lab, path)) == 10
    r = run_import(lab, path)
    assert count(r) == 0 and '10 were imported before' in r.stderr
    put_mbox(path, range(10, 15), append=True)
    assert count(run_import(lab, path)) == 5
    # A program that has read it writes flags into the last letter.
    octets = path.read_bytes()
    at = octets.rindex(b'Subject: letter 14\n')
    path.write_bytes(octets[:at] + b'Status: RO\n' + octets[at:])
    assert count(run_import(lab, path)) == 0
    put_mbox(path, range(1, 15))
    r = run_import(lab, path, check=False)
    assert r.returncode == 2 and 'has changed' in r.stderr and '--again' in r.stderr
    assert lab.count(ALICE) == 15
    assert count(run_import(lab, path, '--again')) == 14
    assert count(run_import(lab, path)) == 0
    assert export(lab) == [text_of(n) for n in list(range(15)) + list(range(1, 15))]


def test_mbox_without_dates_goes_on(lab, tmp_path):
    """What the file's first From_ line is like counts, not that of the letter where it goes on."""
    path = tmp_path / 'in.mbox'
    path.write_bytes(b'From a\nSubject: 1\n\nx\n\nFrom b Fri Sep 25 12:27:48 2009\nSubject: 2\n\nx\n\n')
    assert count(run_import(lab, path)) == 2
    with open(path, 'ab') as f:
        f.write(b'From c\nSubject: 3\n\nx\n\nFrom d\nSubject: 4\n\nx\n\n')
    assert count(run_import(lab, path)) == 2
    assert [r['subject'] for r in lab.json('mailbox', 'show', ALICE)] == ['1', '2', '3', '4']


def kill_at_random(lab, tmp_path, kill, kills=5):
    """Imports with an interruption each time until one goes through; exactly the letters there are."""
    path = tmp_path / 'in.mbox'
    put_mbox(path, range(LONG))
    md = tmp_path / 'md'
    put_maildir(md, range(LONG // 5))
    rng = random.Random(7)
    for source, box, total in ((path, 'Mbox', LONG), (md, 'Dir', LONG // 5)):
        interrupted = 0
        for turn in range(kills + 4):
            if turn < kills:
                p = subprocess.Popen(words(lab, source, '--mailbox', box, '--create'), stdout=subprocess.DEVNULL,
                                     stderr=subprocess.PIPE)
                time.sleep(rng.random() * 0.12)
                kill(p)
                text = p.communicate(timeout=60 * SLOW)[1].decode()
                interrupted += p.returncode != 0
                assert p.returncode in (0, -signal.SIGKILL, -signal.SIGINT, 2, 3, 130), text
            else:
                r = run_import(lab, source, '--mailbox', box, '--create', check=False)
                if r.returncode == 0:
                    break
        assert r.returncode == 0, r.stderr
        assert count(run_import(lab, source, '--mailbox', box)) == 0
        assert export(lab, box) == [text_of(n) for n in range(total)], (box, interrupted)
    fsck(lab)


def test_command_is_killed(lab, tmp_path):
    kill_at_random(lab, tmp_path, lambda p: p.kill())


def test_command_is_interrupted(lab, tmp_path):
    kill_at_random(lab, tmp_path, lambda p: p.send_signal(signal.SIGINT))


def test_store_is_killed(lab, tmp_path):
    def kill(p):
        for pid in lab.roles('store'):
            os.kill(pid, signal.SIGKILL)
        p.wait(timeout=60 * SLOW)
        wait_until(lambda: lab.run('mailbox', 'list', ALICE, check=False).returncode == 0, 60)
    kill_at_random(lab, tmp_path, kill, kills=2)


def test_what_to_do_is_said(lab, tmp_path):
    path = tmp_path / 'in.mbox'
    put_mbox(path, range(10))
    p = subprocess.Popen(words(lab, '-'), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    p.stdin.write(path.read_bytes())
    p.stdin.flush()
    wait_until(lambda: b'only be read once' in os.read(p.stderr.fileno(), 65536))
    time.sleep(0.2)
    p.send_signal(signal.SIGINT)
    err = p.communicate(timeout=60 * SLOW)[1].decode()
    assert p.returncode == 130 and 'interrupted' in err


@pytest.mark.parametrize('server', ['beside', 'none'])
def test_interrupted_again(lab, tmp_path, server):
    """What --again has brought does not come once more; the last line of JSON says how it ended."""
    path = tmp_path / 'in.mbox'
    put_mbox(path, range(LONG))
    run_import(lab, path)
    if server == 'none':
        assert lab.stop() == 0
    # As ^C at a terminal: the group gets it.
    p = subprocess.Popen(words(lab, path, '--again', '--json'), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         start_new_session=True)
    assert json.loads(p.stdout.readline())['event'] in ('progress', 'end')
    os.killpg(p.pid, signal.SIGINT)
    out, err = (x.decode() for x in p.communicate(timeout=60 * SLOW))
    assert p.returncode in (0, 130), err
    if p.returncode == 130:
        end = json.loads(out.splitlines()[-1])
        assert end['event'] == 'end' and end['status'] == 130
        assert 'interrupted' in err and ('without --again' in err or end['letters'] == 0), err
    if 'without --again' in err or p.returncode == 0:
        run_import(lab, path)
        if server == 'none':
            lab.start()
        assert export(lab) == [text_of(n) for n in range(LONG)] * 2


def test_two_at_once(lab, tmp_path):
    """The same source twice at a time: one of them may be refused, no letter comes twice."""
    path = tmp_path / 'in.mbox'
    put_mbox(path, range(LONG))
    ps = [subprocess.Popen(words(lab, path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
    texts = [p.communicate(timeout=60 * SLOW)[1].decode() for p in ps]
    assert all(p.returncode in (0, 2) for p in ps), texts
    assert export(lab) == [text_of(n) for n in range(LONG)]


def test_locked(lab, tmp_path):
    fcntl = pytest.importorskip('fcntl')
    path = tmp_path / 'in.mbox'
    put_mbox(path, range(3))
    with open(path, 'r+b') as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        r = run_import(lab, path)
    assert count(r) == 3 and 'cannot be locked' in r.stderr
    (tmp_path / 'in.mbox.lock').write_text('')
    assert 'in.mbox.lock' in run_import(lab, path).stderr
