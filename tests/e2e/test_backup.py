"""Backups: whole, consistent with what was acknowledged, incremental, and never half of one."""
import glob
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import smtplib
import subprocess
import threading
import time

import pytest

from server import BINARY, SLOW, end_with_us, wait_until
from test_space import SPARE, feed, settled

ALICE = 'alice@example.com'
SMALL = ['store.segment_bytes=1048576']


def letter_of(name, size=None):
    """The letter called name: the same octets whenever it is asked for; some go to blob files."""
    r = random.Random(name)
    size = size or r.choice((10, 300, 3000, 3000, 20000, 400000))
    line = hashlib.sha256(name.encode()).hexdigest().encode()
    return (b'From: a@example.net\r\nDate: Fri, 27 Apr 2012 23:29:54 +0000\r\nMessage-ID: <%s@example.net>\r\n'
            b'Subject: %s\r\n\r\n' % (name.encode(), name.encode()) + (line + b'\r\n') * (size // len(line) + 1))


def send_all(lab, names, size=None):
    with lab.smtp() as s:
        for name in names:
            s.sendmail('a@example.net', [ALICE], letter_of(name, size))


def ask(*words, check=0):
    r = subprocess.run([BINARY, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=120 * SLOW, text=True)
    if check is not None:
        assert r.returncode == check, '%s: %d\n%s\n%s' % (' '.join(words), r.returncode, r.stdout, r.stderr)
    return r


def backup(lab, to, check=0):
    r = ask('backup', str(to), '--json', '--dir', lab.dir, check=check)
    return json.loads(r.stdout) if check == 0 else r


def verify(to, check=0):
    return ask('backup', '--verify', str(to), check=check)


def restore(to, dir, *more, check=0):
    return ask('restore', str(to), '--dir', str(dir), *more, check=check)


def manifest(to):
    """{name: size}"""
    with open(os.path.join(str(to), 'MANIFEST')) as f:
        return {w[4]: int(w[1]) for w in (line.split() for line in f) if w[0] == 'file'}


def manifest_of(done, to):
    assert done['damaged'] == 0
    return manifest(to)


def export(dir, address=ALICE):
    """The whole mailbox, octet for octet."""
    return subprocess.run([BINARY, 'mailbox', 'export', address, '--dir', str(dir)], stdout=subprocess.PIPE,
                          timeout=120 * SLOW, check=True).stdout


def subjects(mbox):
    """{name: letters called so} of an exported mailbox; each must be whole."""
    found = {}
    for part in re.split(rb'(?m)^From .*\n', mbox)[1:]:
        name = re.search(rb'(?m)^Subject: (.*)$', part).group(1).decode()
        assert letter_of(name).replace(b'\r\n', b'\n') in part, name
        found[name] = found.get(name, 0) + 1
    return found


def mailboxes(dir):
    return json.loads(ask('mailbox', 'list', ALICE, '--json', '--dir', str(dir)).stdout)


def damage(path, at=None):
    with open(path, 'r+b') as f:
        size = f.seek(0, os.SEEK_END)
        at = size // 2 if at is None else at
        f.seek(at)
        octet = f.read(1)
        f.seek(at)
        f.write(bytes([octet[0] ^ 1]))


def recorded(lab, letters):
    """Waits until the recorder has the histories of so many letters; it follows the log by tenths of a second."""
    def found():
        return sum(pathlib.Path(p).read_bytes().count(b'PPTR') for p in glob.glob(os.path.join(lab.dir, 'store/trace/*.trc')))
    wait_until(lambda: found() >= letters, 30)


def test_there_and_back(make_lab, tmp_path):
    lab = make_lab(sets=SMALL)
    send_all(lab, ['n%d' % i for i in range(30)])
    lab.run('mailbox', 'delete', ALICE, '3-9,12', '--yes')
    first = backup(lab, tmp_path / 'b')
    assert first['kept'] == 0 and first['removed'] == 0 and first['damaged'] == 0
    assert first['copied_bytes'] == sum(manifest(tmp_path / 'b').values())
    verify(tmp_path / 'b')
    restore(tmp_path / 'b', tmp_path / 'new')
    assert ask('fsck', '--dir', str(tmp_path / 'new')).stdout.startswith('Read ')
    assert mailboxes(tmp_path / 'new') == mailboxes(lab.dir)
    assert export(tmp_path / 'new') == export(lab.dir)
    with open(os.path.join(lab.dir, 'auth/passwd')) as a, open(tmp_path / 'new/auth/passwd') as b:
        assert a.read() == b.read()
    # It works on: the next letter takes the next uid, and its own backup goes on from there.
    again = make_lab(dir=tmp_path / 'new', users=(), sets=SMALL)
    before = mailboxes(lab.dir)[0]
    again.send(letter_of('after'))
    now = mailboxes(again.dir)[0]
    assert now['uidnext'] == before['uidnext'] + 1 and now['uidvalidity'] == before['uidvalidity']
    more = backup(again, tmp_path / 'b')
    assert 0 < more['copied_bytes'] < 100000


def test_histories_and_keys(make_lab, tmp_path):
    """What was recorded up to the cut, and the key of addresses that are out there."""
    lab = make_lab(sets=SMALL)
    send_all(lab, ['t%d' % i for i in range(10)])
    ids = [row['letter'] for row in lab.json('mailbox', 'show', ALICE)]
    before = lab.json('trace', *ids[:1])
    recorded(lab, 10)
    backup(lab, tmp_path / 'b')
    names = manifest(tmp_path / 'b')
    assert 'trace/00000001.trc' in names and 'keys/srs.key' in names
    verify(tmp_path / 'b')
    lab.send(letter_of('behind the cut'))
    restore(tmp_path / 'b', tmp_path / 'new')
    assert ask('fsck', '--dir', str(tmp_path / 'new')).returncode == 0
    with open(os.path.join(lab.dir, 'srs.key')) as a, open(tmp_path / 'new/srs.key') as b:
        assert a.read() == b.read()
    assert os.stat(tmp_path / 'new/srs.key').st_mode & 0o777 == 0o600
    # Without the log's own histories they come from there.
    again = make_lab(dir=tmp_path / 'new', users=(), sets=SMALL)
    assert again.json('trace', ids[0]) == before
    assert [row['letter'] for row in again.json('trace', '--to', ALICE)] == ids
    again.send(letter_of('after'))
    assert len(again.json('trace', '--to', ALICE)) == len(ids) + 1
    # Into a place with another key: that one stays beside it.
    with open(tmp_path / 'new/srs.key', 'w') as f:
        f.write('another\n')
    assert again.stop() == 0
    restore(tmp_path / 'b', tmp_path / 'new', '--force')
    assert any(open(tmp_path / 'new' / n).read() == 'another\n' for n in os.listdir(tmp_path / 'new') if n.startswith('srs.key.before-'))


def test_letters_without_their_histories(make_lab, tmp_path):
    """What was noted of letters is damaged, or was thrown away: they come back all the same."""
    lab = make_lab(sets=SMALL)
    send_all(lab, ['t%d' % i for i in range(10)])
    recorded(lab, 10)
    backup(lab, tmp_path / 'b')
    trace = tmp_path / 'b/trace/00000001.trc'
    damage(trace)
    for new in ('new', 'newer'):
        assert 'trace/00000001.trc' in verify(tmp_path / 'b', check=2).stderr
        r = restore(tmp_path / 'b', tmp_path / new)
        assert 'trace/00000001.trc' in r.stderr and 'left out' in r.stderr and '10 letters' in r.stdout
        assert ask('fsck', '--dir', str(tmp_path / new)).returncode == 0
        trace.unlink(missing_ok=True)


def test_only_what_is_new_is_copied(make_lab, tmp_path):
    lab = make_lab(sets=SMALL)
    to = tmp_path / 'b'
    send_all(lab, ['a%d' % i for i in range(40)], 50000)
    recorded(lab, 40)
    backup(lab, to)
    sealed = sorted(glob.glob(str(to / 'log/*')))[:-1]
    times = {p: os.stat(p).st_mtime_ns for p in sealed}
    assert len(sealed) >= 1
    before = manifest(to)
    assert backup(lab, to)['copied_bytes'] == 0
    assert manifest(to) == before
    send_all(lab, ['b%d' % i for i in range(25)], 50000)
    send_all(lab, ['blob'], 400000)
    recorded(lab, 66)
    more = backup(lab, to)
    after = manifest(to)
    newest = sum(n for name, n in before.items() if name.startswith('trace/'))  # that file is copied anew
    assert more['copied_bytes'] == sum(after.values()) - sum(before.values()) + newest
    assert 25 * 50000 + 400000 < more['copied_bytes'] < 25 * 60000 + 500000
    assert times == {p: os.stat(p).st_mtime_ns for p in sealed}
    verify(to)
    restore(to, tmp_path / 'new')
    assert export(tmp_path / 'new') == export(lab.dir)


def test_without_a_server(make_lab, tmp_path):
    lab = make_lab()
    send_all(lab, ['x', 'y'])
    assert lab.stop() == 0
    backup(lab, tmp_path / 'b')
    restore(tmp_path / 'b', tmp_path / 'new')
    assert set(subjects(export(tmp_path / 'new'))) == {'x', 'y'}


class Sender(threading.Thread):
    def __init__(self, lab, number):
        super().__init__(daemon=True)
        self.lab, self.number, self.acknowledged, self.stop = lab, number, {}, threading.Event()

    def run(self):
        n = 0
        while not self.stop.is_set():
            try:
                with self.lab.smtp(timeout=20) as s:
                    while not self.stop.is_set():
                        n += 1
                        name = 'load%d-%d' % (self.number, n)
                        s.sendmail('a@example.net', [ALICE], letter_of(name))
                        self.acknowledged[name] = time.monotonic()
            except (OSError, smtplib.SMTPException):
                time.sleep(0.01)


def test_under_load(make_lab, tmp_path):
    """What was acknowledged before the command began is in the copy; nothing in it is torn."""
    lab = make_lab(sets=SMALL)
    senders = [Sender(lab, i) for i in range(3)]
    for s in senders:
        s.start()
    for turn in range(3):
        enough = (turn + 1) * 30
        wait_until(lambda: sum(len(s.acknowledged) for s in senders) > enough, 60)
        began = time.monotonic()
        backup(lab, tmp_path / 'b')
        verify(tmp_path / 'b')
        restore(tmp_path / 'b', tmp_path / ('new%d' % turn))
        have = subjects(export(tmp_path / ('new%d' % turn)))
        due = {name for s in senders for name, at in list(s.acknowledged.items()) if at < began}
        assert due <= set(have) and set(have.values()) == {1}
        ask('fsck', '--dir', str(tmp_path / ('new%d' % turn)))
    for s in senders:
        s.stop.set()
        s.join(60)


def start(lab, to):
    return subprocess.Popen([BINARY, 'backup', str(to), '--dir', lab.dir], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=end_with_us)


def test_killed(make_lab, tmp_path):
    """The command and the server's store are killed at many points: the last backup stays whole."""
    lab = make_lab(sets=SMALL)
    to = tmp_path / 'b'
    send_all(lab, ['k%d' % i for i in range(20)], 100000)
    began = time.monotonic()
    backup(lab, to)
    took = time.monotonic() - began
    text = (to / 'MANIFEST').read_text()
    due = {'k%d' % i for i in range(20)}
    r = random.Random(1)
    for turn in range(8):
        name = 'turn%d' % turn
        send_all(lab, [name], 300000 if turn % 3 else 30000)
        p = start(lab, to)
        time.sleep(took * r.random())
        if turn % 2:
            p.send_signal(signal.SIGSTOP)
            os.kill(lab.roles('store')[0], signal.SIGKILL)
            p.send_signal(signal.SIGCONT)
            p.wait(60 * SLOW)
            wait_until(lambda: json.loads(lab.run('mailbox', 'list', ALICE, '--json', check=False).stdout or '[]'), 60)
        else:
            p.kill()
            p.wait()
        verify(to)
        now = (to / 'MANIFEST').read_text()
        if now != text and turn % 2 == 0:
            due.add(name)
        text = now
    shutil.copytree(to, tmp_path / 'copy')
    restore(tmp_path / 'copy', tmp_path / 'old')
    assert due <= {n.decode() for n in re.findall(rb'(?m)^Subject: (.*)$', export(tmp_path / 'old'))}
    done = backup(lab, to)
    assert done['damaged'] == 0
    verify(to)
    assert not glob.glob(str(to / '*/*.new')) and not glob.glob(str(to / '*.tmp'))
    restore(to, tmp_path / 'new')
    assert export(tmp_path / 'new') == export(lab.dir)
    ask('fsck', '--dir', str(tmp_path / 'new'))


def test_an_interrupted_first_one(make_lab, tmp_path):
    lab = make_lab(sets=SMALL)
    send_all(lab, ['k%d' % i for i in range(10)], 200000)
    backup(lab, tmp_path / 'b')
    os.unlink(tmp_path / 'b/MANIFEST')  # as if it had been killed before the end
    damage(glob.glob(str(tmp_path / 'b/log/*'))[0])
    (tmp_path / 'b/log/00000009.seg.new').write_bytes(b'rest')
    r = verify(tmp_path / 'b', check=2)
    assert 'no finished backup' in r.stderr
    backup(lab, tmp_path / 'b')
    verify(tmp_path / 'b')
    assert not os.path.exists(tmp_path / 'b/log/00000009.seg.new')


def test_damage_is_named(make_lab, tmp_path):
    lab = make_lab(sets=SMALL)
    send_all(lab, ['d%d' % i for i in range(10)], 150000)
    send_all(lab, ['blob'], 400000)
    recorded(lab, 11)
    backup(lab, tmp_path / 'b')
    names = sorted(manifest(tmp_path / 'b'))
    assert {n.split('/')[0] for n in names} == {'auth', 'blob', 'keys', 'log', 'trace'}
    mail = [n for n in names if not n.startswith('trace/')]
    for name in (mail[0], mail[1], next(n for n in mail if n.startswith('log/')), mail[-1]):
        shutil.copytree(tmp_path / 'b', tmp_path / 'c')
        damage(tmp_path / 'c' / name)
        for r in (verify(tmp_path / 'c', check=2), restore(tmp_path / 'c', tmp_path / 'new', check=2)):
            assert name in r.stderr
        assert not os.path.exists(tmp_path / 'new/store')
        os.unlink(tmp_path / 'c' / name)
        assert name in verify(tmp_path / 'c', check=2).stderr
        # The next run mends what it can tell.
        backup(lab, tmp_path / 'c')
        verify(tmp_path / 'c')
        shutil.rmtree(tmp_path / 'c')
    for at in (3, 100, -20):
        shutil.copytree(tmp_path / 'b', tmp_path / 'c')
        damage(tmp_path / 'c/MANIFEST', at if at > 0 else os.path.getsize(tmp_path / 'c/MANIFEST') + at)
        assert 'MANIFEST' in verify(tmp_path / 'c', check=2).stderr
        assert 'MANIFEST' in backup(lab, tmp_path / 'c', check=2).stderr
        shutil.rmtree(tmp_path / 'c')


def test_what_it_refuses(make_lab, tmp_path):
    lab, other = make_lab(), make_lab()
    send_all(lab, ['one'])
    backup(lab, tmp_path / 'b')
    assert 'another store' in backup(other, tmp_path / 'b', check=2).stderr
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full/README').write_text('mine')
    assert 'no backup' in backup(lab, tmp_path / 'full', check=2).stderr
    assert os.listdir(tmp_path / 'full') == ['README']
    for inside in ('backup', 'store/deep/backup', '.'):
        assert 'own directory' in backup(lab, os.path.join(lab.dir, inside), check=2).stderr
    assert 'stop it first' in restore(tmp_path / 'b', lab.dir, check=2).stderr
    assert other.stop() == 0
    send_all(lab, ['two'])
    r = restore(tmp_path / 'b', other.dir, check=2)
    assert '--force' in r.stderr
    assert mailboxes(other.dir)[0]['messages'] == 0
    restore(tmp_path / 'b', other.dir, '--force')
    assert set(subjects(export(other.dir))) == {'one'}
    assert len(glob.glob(other.dir + '/store.before-*')) == 1
    # The backup goes on with `lab`; then the other one has lost what the backup has.
    backup(lab, tmp_path / 'b')
    other.start()
    assert 'never had' in backup(other, tmp_path / 'b', check=2).stderr
    send_all(other, ['else%d' % i for i in range(5)])
    assert 'never had' in backup(other, tmp_path / 'b', check=2).stderr
    verify(tmp_path / 'b')


def test_two_at_once(make_lab, tmp_path):
    """Into one directory only one; and the store is not held for ever by one that hangs."""
    lab = make_lab(sets=SMALL)
    send_all(lab, ['t%d' % i for i in range(30)], 100000)
    running = [start(lab, tmp_path / ('b%d' % i)) for i in range(3)] + [start(lab, tmp_path / 'b0')]
    status = sorted(p.wait(60 * SLOW) for p in running)
    assert status[:3] == [0, 0, 0] and status[3] in (0, 2)
    for i in range(3):
        verify(tmp_path / ('b%d' % i))


def test_configuration(make_lab, tmp_path):
    dir = tmp_path / 'data'
    conf, extra = tmp_path / 'pennypost.conf', tmp_path / 'extra.conf'
    extra.write_text('hostname = "mail.example.com";\n')
    conf.write_text('# ours\n@include "extra.conf"\ndata_dir = "%s";\nstore: { segment_bytes = 1048576; };\n'
                    'domains = [ "example.com" ];\n' % dir)
    dir.mkdir()
    ask('domain', 'add', 'example.org', '--config', str(conf))
    r = json.loads(ask('backup', str(tmp_path / 'b'), '--json', '--config', str(conf)).stdout)
    assert r['damaged'] == 0
    assert {'conf/pennypost.conf', 'conf/complete.conf'} <= set(manifest(tmp_path / 'b'))
    assert (tmp_path / 'b/conf/pennypost.conf').read_text() == conf.read_text()
    # A changed file: the old one stays for the old manifest until the new one is there.
    conf.write_text(conf.read_text() + '# changed\n')
    ask('backup', str(tmp_path / 'b'), '--config', str(conf))
    verify(tmp_path / 'b')
    shutil.rmtree(dir)
    text = conf.read_text()
    conf.unlink()
    ask('restore', str(tmp_path / 'b'), '--config', str(conf))
    assert conf.read_text() == text
    assert os.path.exists(dir / 'store/log/00000001.seg')
    shutil.rmtree(dir)
    conf.unlink()
    extra.unlink()
    assert 'one piece' in ask('restore', str(tmp_path / 'b'), '--config', str(conf)).stderr
    assert 'mail.example.com' in conf.read_text()


def test_after_compaction(make_lab, tmp_path):
    """What the store has freed leaves the backup too, once the next one is complete."""
    lab = make_lab(sets=SMALL)
    to = tmp_path / 'b'
    send_all(lab, ['keep%d' % i for i in range(5)], 20000)
    feed(lab.port(), [ALICE] * 600, 8192)
    send_all(lab, ['blob%d' % i for i in range(3)], 400000)
    before = manifest_of(backup(lab, to), to)
    assert sum(n.startswith('blob/') for n in before) == 3
    lab.run('mailbox', 'delete', ALICE, '6-*', '--yes')
    settled(lab.dir, SPARE)
    wait_until(lambda: not os.listdir(lab.dir + '/store/blob'), 60)
    segments = {n for n in before if n.startswith('log/')}
    wait_until(lambda: sum(not os.path.exists(os.path.join(lab.dir, 'store', n)) for n in segments) > 1, 60)
    done = backup(lab, to)
    after = manifest_of(done, to)
    assert done['removed'] > 4 and done['removed_bytes'] > 3000000
    assert not any(n.startswith('blob/') for n in after) and len(segments - set(after)) > 1
    assert sorted(after) == sorted(os.path.relpath(p, to) for p in glob.glob(str(to / '*/*')))
    verify(to)
    restore(to, tmp_path / 'new')
    assert export(tmp_path / 'new') == export(lab.dir)
    assert set(subjects(export(tmp_path / 'new'))) == {'keep%d' % i for i in range(5)}
    ask('fsck', '--dir', str(tmp_path / 'new'))
    # Compaction and a backup at the same time.
    for turn in range(3):
        feed(lab.port(), [ALICE] * 300, 8192)
        p = start(lab, to)
        lab.run('mailbox', 'delete', ALICE, '6-*', '--yes')
        assert p.wait(60 * SLOW) == 0
        verify(to)
        restore(to, tmp_path / ('turn%d' % turn))
        ask('fsck', '--dir', str(tmp_path / ('turn%d' % turn)))
        found = re.findall(rb'(?m)^Subject: (keep\d)$', export(tmp_path / ('turn%d' % turn)))
        assert len(found) == 5


@pytest.mark.skipif(os.geteuid() != 0, reason='only root may mount')
def test_a_full_disk(make_lab, tmp_path):
    lab = make_lab(sets=SMALL)
    to = tmp_path / 'b'
    to.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'none', str(to)], stderr=subprocess.DEVNULL).returncode:
        pytest.skip('mounting is not permitted here')
    try:
        send_all(lab, ['f%d' % i for i in range(10)], 50000)
        backup(lab, to)
        before = manifest(to)
        send_all(lab, ['g%d' % i for i in range(50)], 50000)
        send_all(lab, ['blob'], 400000)
        r = backup(lab, to, check=4)
        assert 'make room' in r.stderr and 'still whole' in r.stderr
        verify(to)
        assert manifest(to) == before
        assert sum(os.path.getsize(p) for p in glob.glob(str(to / '*/*'))) == sum(before.values())
        subprocess.run(['mount', '-o', 'remount,size=16m', str(to)], check=True)
        backup(lab, to)
        restore(to, tmp_path / 'new')
        assert export(tmp_path / 'new') == export(lab.dir)
    finally:
        subprocess.run(['umount', '-l', str(to)], check=True)
