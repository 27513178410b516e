#!/usr/bin/python3
"""powercut.py [--build DIR] [--cycles N] [--seconds N] [--server]: power cuts of a real file system.

An ext4 on a loop device is shut down with EXT4_IOC_SHUTDOWN while a store works on it: nothing
reaches the image from that moment on, not even what the journal in memory holds. Then it is
mounted again (the journal is replayed), and what was acknowledged before the cut must be there.
Without --server it is the engine (`crash run`, `crash check`), with it the whole server under
SMTP load. Needs root and the right to mount; says so, and exits with 77, when it is not permitted.
"""
import argparse
import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'e2e'))

EXT4_IOC_SHUTDOWN = 0x8004587d
NO_LOG_FLUSH = 2


class NotPermitted(Exception):
    pass


class Finding(Exception):
    pass


def command(*words):
    r = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
    if r.returncode != 0:
        raise NotPermitted('%s: %s' % (' '.join(words), r.stdout.strip()))


class Disk:
    """An ext4 in a file, mounted at .path."""

    def __init__(self, megabytes=1024):
        self.scratch = tempfile.mkdtemp(prefix='pennypost-disk-', dir='/dev/shm' if os.path.isdir('/dev/shm') else None)
        self.image = os.path.join(self.scratch, 'image')
        self.path = os.path.join(self.scratch, 'disk')
        self.mounted = False
        os.mkdir(self.path)
        os.chmod(self.scratch, 0o755)
        try:
            if os.geteuid() != 0 or not shutil.which('mkfs.ext4', path='/usr/sbin:/sbin:' + os.environ.get('PATH', '')):
                raise NotPermitted('mounting needs root and mkfs.ext4')
            with open(self.image, 'wb') as f:
                f.truncate(megabytes << 20)
            command('mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=1', self.image)
            self.mount()
        except NotPermitted:
            self.close()
            raise

    def mount(self):
        command('mount', '-o', 'loop', self.image, self.path)
        self.mounted = True

    def umount(self):
        deadline = time.monotonic() + 60
        while self.mounted:
            r = subprocess.run(['umount', self.path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if r.returncode == 0:
                self.mounted = False
            elif time.monotonic() > deadline:
                raise RuntimeError(r.stderr)
            else:
                time.sleep(0.05)

    def cut(self):
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack('I', NO_LOG_FLUSH))
        except OSError as e:
            raise NotPermitted('EXT4_IOC_SHUTDOWN: %s' % e.strerror)
        finally:
            os.close(fd)

    def again(self):
        """After a cut: as after a start of the machine."""
        deadline = time.monotonic() + 60
        while True:
            self.umount()
            self.mount()
            try:
                probe = os.path.join(self.path, 'probe')
                with open(probe, 'w') as f:
                    os.fsync(f.fileno())
                os.unlink(probe)
                return
            except OSError:
                # Another name space may still hold it as it was when it was cut.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def close(self):
        self.umount()
        shutil.rmtree(self.scratch, ignore_errors=True)


def keep_store(keep, seed, store, notes):
    """What a check left, for looking at."""
    where = os.path.join(keep, 'powercut-%d' % seed)
    shutil.rmtree(where, ignore_errors=True)
    os.makedirs(where)
    shutil.copy(notes, where)
    if os.path.exists(store):
        shutil.copytree(store, os.path.join(where, 'store'))
    return where


def engine_cut(crash, disk, seed, keep=None):
    """One cut of the engine; letters that were acknowledged."""
    r = random.Random(seed)
    store, notes = os.path.join(disk.path, 'store-%d' % seed), os.path.join(disk.scratch, 'notes')
    p = subprocess.Popen([crash, 'run', store, notes, str(seed), '20000'], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    time.sleep(r.choice((0.02, 0.1, 0.3, 0.6)) + r.random() * 0.3)
    answered = os.path.getsize(notes) if os.path.exists(notes) else 0
    try:
        disk.cut()
    finally:
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    disk.again()
    if answered == 0:
        return 0
    done = subprocess.run([crash, 'check', store, notes, str(answered)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        where = keep_store(keep, seed, store, notes) if keep else 'nowhere'
        raise Finding('power cut, seed %d, %d octets of notes, kept in %s: %s' % (seed, answered, where, done.stdout))
    shutil.rmtree(store, ignore_errors=True)
    return int(done.stdout.split(' letters')[0].rsplit(' ', 1)[-1])


def server_cuts(binary, disk, cycles, seconds=None, senders=12):
    """Cuts under a server with many senders; (cycles, letters acknowledged)."""
    os.environ['PENNYPOST'] = binary
    import crowd
    import server
    server.BINARY = binary
    start, done = time.monotonic(), 0
    lab = server.Lab(dir=os.path.join(disk.path, 'lab'), sets=['limit.conns_per_ip=off', 'fronts=2',
                                                                'store.segment_bytes=2097152'])
    lab.log_path = os.path.join(disk.scratch, 'log')
    people = crowd.Crowd()
    try:
        lab.start()
        while done < cycles if seconds is None else time.monotonic() - start < seconds:
            def while_running():
                time.sleep(random.uniform(0.05, 1.2) * server.SLOW)
                people.cut()
                disk.cut()
                time.sleep(random.uniform(0, 0.3))
                lab.kill()
            people.run(lab, while_running, senders)
            disk.again()
            lab.start()
            crowd.check_all(lab, people, disk.scratch)
            done += 1
    except AssertionError as e:
        raise Finding('power cut of the server, cycle %d: %s\n%s' % (done, e, lab.log()[-3000:]))
    finally:
        if lab.running():
            lab.kill()
        lab.close()
    return done, len(people.acknowledged)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--build', default=os.path.join(ROOT, 'build'))
    p.add_argument('--cycles', type=int, default=10)
    p.add_argument('--seconds', type=int)
    p.add_argument('--seed', type=int, default=random.randrange(1 << 30))
    p.add_argument('--keep')
    p.add_argument('--server', action='store_true')
    o = p.parse_args()
    crash, binary = os.path.join(o.build, 'tests/crash/crash'), os.path.join(os.path.abspath(o.build), 'pennypost')
    letters = done = 0
    start, disk = time.monotonic(), None
    try:
        disk = Disk()
        if o.server:
            done, letters = server_cuts(binary, disk, o.cycles, o.seconds)
        while not o.server and (done < o.cycles if o.seconds is None else time.monotonic() - start < o.seconds):
            letters += engine_cut(crash, disk, o.seed + done, o.keep)
            done += 1
    except NotPermitted as e:
        print('power cuts are not permitted here (%s)' % e)
        return 77
    except Finding as e:
        print('FINDING %s' % e)
        return 1
    finally:
        if disk:
            disk.close()
    print('%d power cuts, %d letters acknowledged, 0 findings, %.1f s' % (done, letters, time.monotonic() - start))
    return 0


if __name__ == '__main__':
    sys.exit(main())
