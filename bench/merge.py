#!/usr/bin/env python3
"""What a recipient of a mail merge costs, from the first XDFN to the 250 behind the last part.

    bench/merge.py [--recipients N[,N...]] [--users N] [--size OCTETS] [--binary FILE] [--dir DIR]

One merge for each N: three variables for each recipient, one letter of OCTETS (its words aside) in two
parts, with five places for words. XDFN and RCPT are pipelined, their replies switched off (XACK OFF), so
that what is timed is the server. Prints for each N: microseconds a recipient for the commands, for the
end (from the last dot to its 250), and for both; microseconds of CPU; what disk the store took; and the
memory of front and store at their highest. Cost is flat when the columns do not grow.
"""
import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time

import probe
from servers import ROOT, Pennypost, Trouble, free_ports, tidy_up

BATCH = 500  # recipients in one write


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--recipients', default='1000,10000,100000')
    p.add_argument('--users', type=int, default=20, help='mailboxes that they are spread over')
    p.add_argument('--size', type=int, default=4096)
    p.add_argument('--binary', default=os.path.join(ROOT, 'build', 'pennypost'))
    p.add_argument('--dir', help='where to work (a new directory there); default: the system\'s')
    return p.parse_args()


class Session:
    def __init__(self, port):
        self.s = socket.create_connection(('127.0.0.1', port), timeout=600)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.f = self.s.makefile('rb')
        self.reply('220')

    def reply(self, code):
        while True:
            line = self.f.readline().decode()
            if not line.startswith(code):
                raise Trouble('expected %s, got %r' % (code, line))
            if line[3:4] == ' ':
                return line

    def say(self, text, code):
        self.s.sendall(text.encode() + b'\r\n')
        return self.reply(code)


def letter(size):
    head = 'From: Bench <from@bench.example.com>\r\nTo: &first_name; &last_name; <&*TO;>\r\nSubject: For &first_name;\r\n\r\n'
    line = 'Something that all of them read, with nobody\'s name in it anywhere at all.\r\n'
    text = line * max(1, (size - len(head)) // len(line))
    return head + 'Dear &first_name;, you have &number; points.\r\n', text


def recipients(n, users):
    for first in range(0, n, BATCH):
        yield ''.join('XDFN first_name="Jane %d" last_name=User number=%d\r\nRCPT TO:<%s>\r\n' % (
            i, i * 7, users[i % len(users)]) for i in range(first, min(n, first + BATCH))).encode()


def disk(server):
    where = os.path.join(server.dir, 'lab', 'store')
    return int(subprocess.run(['du', '-sk', where], capture_output=True, text=True).stdout.split()[0]) << 10


def merge(server, n, size):
    c = Session(server.port)
    c.say('EHLO bench.example.com', '250')
    c.say('XACK OFF', '250')
    c.say('XMRG FROM:<from@bench.example.com>', '250')
    pids, before = server.pids(), disk(server)
    cpu = probe.usage(pids)[0]
    begin = time.perf_counter()
    for octets in recipients(n, server.users):
        c.s.sendall(octets)
    first, second = letter(size)
    c.say('XPRT 1', '354')
    told = time.perf_counter()
    c.say(first + '.', '250')
    c.say('XPRT 2 LAST', '354')
    c.s.sendall(second.encode())
    last = time.perf_counter()
    c.say('.', '250')
    end = time.perf_counter()
    server.settle()
    return {'n': n, 'told': (told - begin) / n * 1e6, 'end': (end - last) / n * 1e6, 'all': (end - begin) / n * 1e6,
            'cpu': (probe.usage(pids)[0] - cpu) / n, 'disk': (disk(server) - before) / n}


def by_role(server):
    high = {}
    for pid, role in server.pids().items():
        high[role] = high.get(role, 0) + probe.memory([pid])['high_kib']
    return high


def main():
    o = options()
    tidy_up()
    users = ['u%d@bench.example.com' % i for i in range(o.users)]
    print('recipients  told us  end us  all us  cpu us  disk octets  front MB  store MB')
    with tempfile.TemporaryDirectory(prefix='pennypost-merge-', dir=o.dir) as place:
        for n in map(int, o.recipients.split(',')):
            server = Pennypost(os.path.join(place, str(n)), free_ports(600), o.binary, users,
                               ['fronts=1', 'ipmm=yes', 'limit.ipmm_rcpts=%d' % n])
            os.makedirs(server.dir, exist_ok=True)
            server.start()
            try:
                r = merge(server, n, o.size)
                seen = sum(server.count(u) for u in users)
                if seen != n:
                    raise Trouble('%d letters of %d arrived' % (seen, n))
                high = by_role(server)
                front = max((v for k, v in high.items() if 'front' in k), default=0)
                store = max((v for k, v in high.items() if 'store' in k), default=0)
                print('%10d %8.1f %7.1f %7.1f %7.1f %12.0f %9.1f %9.1f' % (
                    n, r['told'], r['end'], r['all'], r['cpu'], r['disk'], front / 1024, store / 1024), flush=True)
            finally:
                server.stop()


if __name__ == '__main__':
    try:
        main()
    except Trouble as e:
        sys.exit(str(e))
