#!/usr/bin/python3 -B
"""What a letter for elsewhere costs, end to end: in at our door, out to smtp-sink.

    bench/relay.py                         Pennypost and Postfix, 4 KiB letters, at 1, 10 and 50 connections
    bench/relay.py --many                  100,000 letters to 1,000 destinations, of which a tenth is dead, a tenth
                                           slow and a tenth answers 4xx: how long the healthy ones take, alone and so.
                                           The queue is filled first; time is from the start with it until they are there
    bench/relay.py --many --letters 10000 --destinations 100     the same, smaller
    bench/relay.py --queued 1000000        memory of so many letters that wait, and how long a start with them takes

Time is from the first connection of the driver to the last letter in smtp-sink. CPU is that of all processes
of the server, with what they still have to do when the last letter is there. Runs alternate; figures are
medians. Ends with status 3 when a bound that the project promises is missed (--check).
"""
import argparse
import collections
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import probe
from servers import PEER, PEER_ENV, ROOT, Pennypost, Postfix, Server, Trouble, free_ports, say, tidy_up, wait_for_greeting

SINK_BACKLOG = 4096
SINK_SESSIONS = 30000  # it takes 256 when nothing is said, and lets the others wait
RATE_TIMES, CPU_SHARE, HEALTHY_TIMES, ENTRY_OCTETS = 8, 0.25, 1.3, 300  # what is promised
NO_LIMITS = ('limit.queue_messages=off', 'limit.queue_bytes=off')


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--letters', type=int)
    p.add_argument('--size', type=int, default=4096)
    p.add_argument('--connections', default='1,10,50')
    p.add_argument('--runs', type=int, default=3)
    p.add_argument('--servers', default='pennypost,postfix')
    p.add_argument('--many', action='store_true')
    p.add_argument('--destinations', type=int, default=1000)
    p.add_argument('--queued', type=int)
    p.add_argument('--set', action='append', default=[], metavar='KEY=VALUE', help='settings of Pennypost')
    p.add_argument('--build', default=os.path.join(ROOT, 'build'))
    p.add_argument('--dir', default='/var/tmp', help='where to work (a new directory there)')
    p.add_argument('--out', help='JSON, an object a line')
    p.add_argument('--check', action='store_true')
    return p.parse_args()


class Sink(Server):
    """smtp-sink, which counts."""
    name = 'smtp-sink'

    def __init__(self, directory, port, *words, host='127.0.0.1'):
        super().__init__(directory, port)
        self.words, self.host = words, host

    def start(self):
        program = os.path.join(PEER, 'usr', 'sbin', 'smtp-sink')
        if not os.path.exists(program):
            raise Trouble('%s is missing: tools/setup.sh bench unpacks it' % program)
        user = ['-u', 'nobody'] if os.getuid() == 0 else []
        self.launch([program, '-c', '-m', str(SINK_SESSIONS), *user, *self.words, '%s:%d' % (self.host, self.port), str(SINK_BACKLOG)], env=PEER_ENV)
        wait_for_greeting(self.port, self.process, self.log)

    def letters(self):
        with open(os.path.join(self.dir, 'log'), 'rb') as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - 200))
            found = re.findall(rb'mesg=(\d+)', f.read())
        return int(found[-1]) if found else 0


class Silence:
    """Takes connections and says nothing, as a host does that is about to fall over."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(('0.0.0.0', 0))
        self.socket.listen(SINK_BACKLOG)
        self.port = self.socket.getsockname()[1]
        self.kept = collections.deque()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                self.kept.append(self.socket.accept())
            except OSError:
                return


class OurRelay(Pennypost):
    def start(self):
        super().start()
        self.done = self.totals()

    def totals(self):
        r = subprocess.run([self.binary, 'queue', 'top', '--json', '--dir', os.path.join(self.dir, 'lab')], timeout=120,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if r.returncode:
            raise Trouble('pennypost queue top: ' + r.stderr)
        return json.loads(r.stdout)

    def waiting(self):
        return self.totals()['entries']


class PostfixRelay(Postfix):
    def waiting(self):
        found = 0
        for name in ('maildrop', 'incoming', 'active', 'deferred'):
            for _, _, files in os.walk(os.path.join(self.dir, 'spool', name)):
                found += len(files)
        return found


class Bench:
    def __init__(self, o):
        self.o = o
        self.driver = os.path.join(o.build, 'bench', 'bench_smtp')
        self.binary = os.path.join(o.build, 'pennypost')
        self.dir = tempfile.mkdtemp(prefix='relay-', dir=o.dir)
        os.chmod(self.dir, 0o755)
        self.json = open(o.out, 'w') if o.out else None
        self.servers, self.failed = [], []

    def place(self, name):
        return os.path.join(self.dir, name)

    def record(self, **row):
        if self.json:
            self.json.write(json.dumps(row) + '\n')
            self.json.flush()

    def promise(self, kept, text):
        print('%s %s' % ('kept  ' if kept else 'MISSED', text))
        if not kept:
            self.failed.append(text)

    def started(self, server):
        server.start()
        self.servers.append(server)
        return server

    def close(self):
        for s in reversed(self.servers):
            s.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def ours(self, name, sets):
        return self.started(OurRelay(self.place(name), free_ports(26), self.binary, sets=[
            'relay_ip=127.0.0.0/8', 'limit.conns_per_ip=off', 'limit.rcpts_per_hour=off', 'limit.msgs_per_session=off',
            *sets, *self.o.set]))

    def drive(self, server, connections, letters, to, more=()):
        words = [self.driver, '-j', '-c', str(connections), '-m', str(letters), '-l', str(self.o.size), '-t', to, *more,
                 server.host_port]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def driven(p):
        out, err = p.communicate()
        if p.returncode:
            raise Trouble(err.strip())
        return json.loads(out)

    # --- one destination

    def run(self, server, sink, connections, letters):
        before, pids = sink.letters(), server.pids()
        cpu = probe.usage(pids)[0]
        begin = time.monotonic()
        fed = self.driven(self.drive(server, connections, letters, 'user%d@far.test', ['-r', '1:1000']))
        last, changed = before, time.monotonic()
        while last - before < letters:
            now = sink.letters()
            if now != last:
                last, changed = now, time.monotonic()
            elif time.monotonic() - changed > 120:
                raise Trouble('%s: %d of %d letters came through\n%s' % (server.name, last - before, letters, server.log()))
            time.sleep(0.01)
        seconds = time.monotonic() - begin
        while server.waiting():
            time.sleep(0.1)
        pids = {**pids, **server.pids()}
        used = (probe.usage(pids)[0] - cpu) / letters
        row = dict(kind='relay', server=server.name, connections=connections, letters=letters, rate=letters / seconds,
                   fed=fed['rate'], cpu_us=used)
        self.record(**row)
        say('%-10s %3d connections: %7.0f letters/s (taken in at %.0f/s), %6.0f us of CPU a letter'
            % (server.name, connections, row['rate'], row['fed'], used))
        return row

    def compare(self):
        sink = self.started(Sink(self.place('sink'), free_ports(1)))
        letters = self.o.letters or 10000
        servers = []
        if 'pennypost' in self.o.servers:
            servers.append(self.ours('pennypost', ['route.far.test=smtp:127.0.0.1:%d' % sink.port]))
        if 'postfix' in self.o.servers:
            p = PostfixRelay(self.place('postfix'), free_ports(1))
            p.more = 'relayhost = [127.0.0.1]:%d\ndefault_destination_concurrency_limit = 50\n' % sink.port
            servers.append(self.started(p))
        rows = collections.defaultdict(list)
        for connections in map(int, self.o.connections.split(',')):
            for _ in range(self.o.runs):
                for server in servers:
                    n = letters if server.name == 'pennypost' else max(500, letters // 4)
                    rows[server.name, connections].append(self.run(server, sink, connections, n))
        self.table(rows)

    def table(self, rows):
        middle = {k: {f: statistics.median(r[f] for r in v) for f in ('rate', 'cpu_us')} for k, v in rows.items()}
        print('%-12s %12s %14s %14s' % ('connections', 'server', 'letters/s', 'CPU us/letter'))
        for (name, connections), m in sorted(middle.items(), key=lambda kv: (kv[0][1], kv[0][0])):
            print('%-12d %12s %14.0f %14.0f' % (connections, name, m['rate'], m['cpu_us']))
        for connections in sorted({c for _, c in middle}):
            a, b = middle.get(('pennypost', connections)), middle.get(('postfix', connections))
            if not a or not b:
                continue
            times, share = a['rate'] / b['rate'], a['cpu_us'] / b['cpu_us']
            print('%d connections: %.1f times Postfix, %.2f of its CPU' % (connections, times, share))
            if connections == 50:
                self.promise(times >= RATE_TIMES, 'at 50 connections %.1f times Postfix (at least %d)' % (times, RATE_TIMES))
                self.promise(share <= CPU_SHARE, 'CPU a letter %.2f of Postfix (at most %.2f)' % (share, CPU_SHARE))

    def again(self, server, done, seconds=3600):
        """Starts it anew with what is in its queue; how long it takes until done()."""
        server.stop()
        os.remove(os.path.join(server.dir, 'log'))  # it says `ready` already
        begin = time.monotonic()
        server.start()
        while not done():
            if time.monotonic() - begin > seconds:
                raise Trouble('it is not done in %d s: %s' % (seconds, server.totals()))
            time.sleep(0.02)
        return time.monotonic() - begin

    # --- many destinations

    def routes(self, n, ports):
        """Destination i is d<i>.test; the last three tenths are dead, slow and full of 4xx."""
        found, counts = [], collections.Counter()
        for i in range(1, n + 1):
            tenth = (i - 1) * 10 // n
            kind = {7: 'dead', 8: 'slow', 9: 'busy'}.get(tenth, 'well')
            if kind == 'dead' and i % 2:
                kind = 'closed'
            counts[kind] += 1
            found.append('route.d%d.test=smtp:127.%d.%d.1:%d' % (i, 1 + i // 250, i % 250, ports[kind]))
        return found, counts

    def many(self):
        n, letters = self.o.destinations, self.o.letters or 100000
        well = self.started(Sink(self.place('well'), free_ports(1), host=''))
        slow = self.started(Sink(self.place('slow'), free_ports(1), '-w', '2', host=''))
        busy = self.started(Sink(self.place('busy'), free_ports(1), '-r', 'RCPT', host=''))
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            closed = s.getsockname()[1]
        routes, counts = self.routes(n, dict(well=well.port, slow=slow.port, busy=busy.port, dead=Silence().port, closed=closed))
        healthy = letters * counts['well'] // n
        say('%d destinations: %s; %d letters, %d of them for the healthy ones' % (n, dict(counts), letters, healthy))
        times = collections.defaultdict(list)
        for _ in range(self.o.runs):
            for what, last, total in (('alone', counts['well'], healthy), ('among all', n, letters)):
                seconds = self.one_of_many(what, well, routes, last, total, healthy)
                times[what].append(seconds)
                print('%-10s %6.1f s for %d letters to %d healthy destinations' % (what, seconds, healthy, counts['well']), flush=True)
        alone, among = (statistics.median(times[what]) for what in ('alone', 'among all'))
        self.promise(among / alone <= HEALTHY_TIMES, 'the healthy ones take %.2f times what they need alone (at most %.1f)'
                     % (among / alone, HEALTHY_TIMES))

    def one_of_many(self, what, well, routes, last, total, healthy):
        """Seconds from a start with `total` letters for destinations 1 to last until the healthy ones have theirs."""
        server = self.ours('ours', ['route.*=hold:', *NO_LIMITS])
        self.driven(self.drive(server, 50, total, 'user@d%d.test', ['-r', '1:%d' % last]))
        server.sets = tuple(s for s in server.sets if s != 'route.*=hold:') + tuple(routes)
        before = well.letters()
        seconds = self.again(server, lambda: well.letters() - before >= healthy)
        self.record(kind='many', what=what, seconds=seconds, healthy=healthy, letters=total, destinations=self.o.destinations,
                    totals={k: v for k, v in server.totals().items() if k != 'destinations'})
        server.destroy()
        return seconds

    # --- many letters that wait

    def queued(self):
        n = self.o.queued
        server = self.ours('ours', ['route.far.test=hold:', *NO_LIMITS])
        begin = time.monotonic()
        self.o.size = min(self.o.size, 1024)
        self.driven(self.drive(server, 50, n, 'user%d@far.test', ['-r', '1:1000000']))
        say('%d letters taken in within %.0f s' % (n, time.monotonic() - begin))
        memory = server.totals()['memory'] / n
        store = [pid for pid, role in server.pids().items() if role == 'store']
        private = probe.memory(store)['private_kib'] * 1024 / n
        seconds = self.again(server, lambda: server.waiting() >= n)
        self.record(kind='queued', letters=n, octets=memory, private=private, start_s=seconds)
        print('%d letters wait: %.0f octets of memory each (all of store: %.0f); a start with them takes %.1f s'
              % (n, memory, private, seconds))
        self.promise(memory <= ENTRY_OCTETS, '%.0f octets of memory for a letter that waits (at most %d)' % (memory, ENTRY_OCTETS))


def main():
    o = options()
    tidy_up()
    bench = Bench(o)
    try:
        if o.many:
            bench.many()
        elif o.queued:
            bench.queued()
        else:
            bench.compare()
    except Trouble as e:
        sys.exit('bench: %s' % e)
    finally:
        bench.close()
    if o.check and bench.failed:
        sys.exit(3)


if __name__ == '__main__':
    main()
