"""probe: what a server used, read from outside: /proc, tracepoints (perf) or strace."""
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time

from servers import PEER, PEER_ENV, ROOT, Trouble, end, spawn

TICK = os.sysconf('SC_CLK_TCK')
# Named in the break-down; whatever else is called is counted in the sum.
CALLS = ('sendto', 'recvfrom', 'sendmsg', 'recvmsg', 'read', 'write', 'writev', 'epoll_wait', 'epoll_pwait', 'epoll_ctl',
         'poll', 'futex', 'pwrite64', 'pwritev', 'pwritev2', 'pread64', 'accept', 'accept4', 'close', 'openat', 'fcntl',
         'ioctl', 'setsockopt', 'shutdown', 'getpid', 'getrandom', 'lseek', 'mmap', 'munmap', 'madvise', 'flock',
         'rt_sigprocmask', 'rt_sigaction', 'alarm', 'rename', 'unlink', 'newfstat', 'newfstatat', 'getppid')
SYNCS = ('fsync', 'fdatasync', 'msync', 'sync_file_range')


def text_of(path):
    with open(path, errors='replace') as f:
        return f.read()


def threads(pid):
    try:
        return ['/proc/%d/task/%s' % (pid, t) for t in os.listdir('/proc/%d/task' % pid)]
    except OSError:
        return []


def usage(pids):
    """CPU microseconds and context switches of the living threads, and of children that were
    waited for (CPU only), so far."""
    cpu = switches = 0
    for pid in pids:
        for t in threads(pid):
            try:
                cpu += int(text_of(t + '/schedstat').split()[0]) / 1000
                switches += sum(map(int, re.findall(r'ctxt_switches:\s+(\d+)', text_of(t + '/status'))))
            except (OSError, IndexError):
                continue
        try:
            fields = text_of('/proc/%d/stat' % pid).rpartition(')')[2].split()
            cpu += (int(fields[13]) + int(fields[14])) * 1e6 / TICK
        except OSError:
            continue
    return cpu, switches


def memory(pids):
    """KiB: proportional share now, private now, sum of each process's highest."""
    pss = private = high = 0
    for pid in pids:
        try:
            rollup = text_of('/proc/%d/smaps_rollup' % pid)
            status = text_of('/proc/%d/status' % pid)
        except OSError:
            continue
        pss += sum(map(int, re.findall(r'^Pss:\s+(\d+)', rollup, re.M)))
        private += sum(map(int, re.findall(r'^Private_\w+:\s+(\d+)', rollup, re.M)))
        high += sum(map(int, re.findall(r'^VmHWM:\s+(\d+)', status, re.M)))
    return {'pss_kib': pss, 'private_kib': private, 'high_kib': high}


def flush_us(directory, count=200):
    """Microseconds of pwrite + fdatasync of 4 KiB into a file that is already there: half and 99 %."""
    with tempfile.NamedTemporaryFile(dir=directory) as f:
        fd = f.fileno()
        os.write(fd, bytes(4096 * count))
        os.fsync(fd)
        times = []
        for i in range(count):
            begin = time.perf_counter_ns()
            os.pwrite(fd, b'x' * 4096, 4096 * i)
            os.fdatasync(fd)
            times.append((time.perf_counter_ns() - begin) / 1000)
    times.sort()
    return {'p50': round(times[count // 2], 1), 'p99': round(times[count - 1 - count // 100], 1)}


# --- system calls


def perf_works():
    if not shutil.which('perf'):
        return False
    r = subprocess.run(['perf', 'stat', '-x,', '-e', 'raw_syscalls:sys_enter', 'true'], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    return r.returncode == 0 and re.search(r'^\d+,', r.stdout, re.M) is not None


def strace_works():
    """Whether this process may trace another one."""
    if not shutil.which('strace'):
        return False
    r = subprocess.run(['strace', '-o', '/dev/null', 'true'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return r.returncode == 0


def stop_quietly(p):
    p.send_signal(signal.SIGINT)
    try:
        p.wait(30)
    except subprocess.TimeoutExpired:
        end(p)


class Perf:
    """Tracepoints: the server runs at its own speed."""
    name = 'perf'

    def __init__(self, roles, scratch):
        self.roles = roles
        self.out = os.path.join(scratch, 'perf.out')
        known = subprocess.run(['perf', 'list', '--raw-dump', 'tracepoint'], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True).stdout.split()
        self.events = ['raw_syscalls:sys_enter'] + ['syscalls:sys_enter_' + c for c in SYNCS + CALLS
                                                    if 'syscalls:sys_enter_' + c in known]
        self.p = None

    def run_perf(self, extra, pids, out):
        args = ['perf', 'stat', '-x,', *extra, '-e', ','.join(self.events), '-o', out, '-p', ','.join(map(str, pids))]
        return spawn(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for role, pids in self.by_role().items():
            self.p = (self.p or []) + [(role, self.run_perf([], pids, self.out + '.' + role))]
        time.sleep(1)

    def by_role(self):
        roles = {}
        for pid, role in self.roles.items():
            roles.setdefault(role, []).append(pid)
        return roles

    def stop(self):
        """{role: {call: count}}; 'all' is the sum."""
        counts = {}
        for role, p in self.p:
            stop_quietly(p)
            found = counts.setdefault(role, {})
            for line in text_of(self.out + '.' + role).split('\n'):
                fields = line.split(',')
                if len(fields) > 2 and fields[0].isdigit():
                    call = fields[2].rpartition(':')[2].replace('sys_enter_', '').replace('sys_enter', 'all')
                    found[call] = found.get(call, 0) + int(fields[0])
        return counts


class Strace:
    """ptrace: works everywhere it is permitted; the server is several times slower meanwhile. By
    thread: roles are named role or role/thread, and threads and children to come are not seen."""
    name = 'strace'

    def __init__(self, roles, scratch, by_thread=False):
        self.roles = self.threads_of(roles) if by_thread else roles
        self.follow = [] if by_thread else ['-f']
        self.out = os.path.join(scratch, 'strace.out')
        self.p = []

    @staticmethod
    def threads_of(roles):
        found = {}
        for pid, role in roles.items():
            for t in threads(pid):
                tid = int(os.path.basename(t))
                found[tid] = role if tid == pid else '%s/%s' % (role, text_of(t + '/comm').strip())
        return found

    def start(self):
        for pid, role in self.roles.items():
            out = '%s.%d' % (self.out, pid)
            errors = tempfile.TemporaryFile()
            p = spawn(['strace', *self.follow, '-c', '-o', out, '-p', str(pid)], stdout=subprocess.DEVNULL, stderr=errors)
            self.p.append((role, p, out, errors))
        deadline = time.monotonic() + 20
        for role, p, out, errors in self.p:
            while not os.fstat(errors.fileno()).st_size and p.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            if p.poll() is not None:
                errors.seek(0)
                raise Trouble('strace -p of %s: %s' % (role, errors.read().decode(errors='replace').strip()))
        time.sleep(0.3)

    def stop(self):
        counts = {}
        for role, p, out, errors in self.p:
            stop_quietly(p)
            errors.close()
            found = counts.setdefault(role, {})
            for line in text_of(out).split('\n') if os.path.exists(out) else []:
                fields = line.split()
                if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != 'total':
                    found[fields[-1]] = found.get(fields[-1], 0) + int(fields[3])
                    found['all'] = found.get('all', 0) + int(fields[3])
        return counts


def counter(roles, scratch):
    if perf_works():
        return Perf(roles, scratch)
    if strace_works():
        return Strace(roles, scratch)
    raise Trouble('neither perf (kernel.perf_event_paranoid) nor strace (ptrace) may look at processes here')


def syncs(calls):
    return sum(calls.get(c, 0) for c in SYNCS)


# --- what it ran on


def command(*words):
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
                              timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ''


def surroundings(directory, binary):
    cpu = re.search(r'^model name\s*:\s*(.*)$', text_of('/proc/cpuinfo'), re.M)
    ram = re.search(r'^MemTotal:\s+(\d+)', text_of('/proc/meminfo'), re.M)
    return {
        'when': time.strftime('%Y-%m-%d %H:%M:%S %z'),
        'commit': command('git', 'rev-parse', '--short', 'HEAD') or 'unknown',
        'changed': bool(command('git', 'status', '--porcelain', '--untracked-files=no', 'src', 'data', 'meson.build')),
        'version': command(binary, '--version'),
        'kernel': os.uname().release,
        'cpu': cpu.group(1) if cpu else os.uname().machine,
        'cores': os.cpu_count(),
        'memory_mib': int(ram.group(1)) // 1024,
        'file_system': command('stat', '-f', '-c', '%T', directory),
        'postfix': postfix_version(),
        'load_before': os.getloadavg()[0],
    }


def postfix_version():
    program = os.path.join(PEER, 'usr', 'sbin', 'postconf')
    try:
        r = subprocess.run([program, '-d', '-h', 'mail_version'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           text=True, env=PEER_ENV)
    except OSError:
        return 'absent'
    return r.stdout.strip() or 'unknown'
