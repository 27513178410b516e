"""Signed zones on loopback: NSD serves them, ldns signs them (both out of their Debian packages in
build/peers/zones, unpacked by tools/setup.sh).

    with Zones(tmp_path, {
        ('example.net', 'MX'): ['10 mx.example.net'],
        ('mx.example.net', 'A'): ['127.0.0.2'],
        ('_25._tcp.mx.example.net', 'TLSA'): ['3 1 1 ' + digest],
        ('plain.example', 'A'): ['127.0.0.3'],
    }, {'example.net': 'signed', 'plain.example': 'unsigned'}) as z:
        lab = Lab(..., sets=z.sets, args=z.args)

Records are written as for nameserver.NameServer. The root is signed and its key is the trust anchor;
each domain of `zones` is a zone of its own, delegated from the root:

    signed    with a DS record
    unsigned  nothing signed, no DS: its answers are insecure
    expired   every signature of it is two days old, and was good for one
    forged    every signature of it is another one
    lost      the DS record is there, the signatures are not

`spoil` does the same to one set of records of a signed zone: {(name, type): 'expired' or 'forged' or
'lost'}. change() puts other records in place of those that were there."""
import base64
import glob
import os
import signal
import socket
import subprocess
import time

from server import ROOT, SLOW, end_with_us, wait_until

PEERS = os.path.join(ROOT, 'build', 'peers', 'zones')
TTL = 60
NSD = '''server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{dir}"
  database: ""
  pidfile: "{dir}/nsd.pid"
  xfrdfile: "{dir}/xfrd.state"
  xfrdir: "{dir}"
  zonelistfile: "{dir}/zone.list"
  logfile: "{dir}/nsd.log"
  server-count: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
  zonefiles-check: yes
remote-control:
  control-enable: no
'''


def environment():
    """Where their libraries lie."""
    libs = glob.glob(os.path.join(PEERS, 'usr', 'lib', '*-linux-gnu*'))
    return {**os.environ, 'LD_LIBRARY_PATH': ':'.join(libs)}


def tool(name, *args, cwd):
    r = subprocess.run([os.path.join(PEERS, 'usr', 'bin', name), *args], cwd=cwd, capture_output=True, text=True, timeout=60 * SLOW,
                       env=environment())
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout


def data_of(kind, value):
    """As it stands in a zone file."""
    if kind == 'TXT':
        parts = [value] if isinstance(value, str) else value
        return ' '.join('"%s"' % p.replace('\\', '\\\\').replace('"', '\\"') for p in parts)
    if kind in ('MX', 'SRV'):
        rest, host = value.rsplit(' ', 1)
        return '%s %s.' % (rest, host.strip('.'))
    if kind in ('CNAME', 'PTR', 'NS', 'DNAME'):
        return value.strip('.') + '.'
    return value


def another(signature):
    return base64.b64encode(bytes(b ^ 0x55 for b in base64.b64decode(signature))).decode()


def free_port():
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u, socket.socket() as t:
            u.bind(('127.0.0.1', 0))
            try:
                t.bind(('127.0.0.1', u.getsockname()[1]))
            except OSError:
                continue
            return u.getsockname()[1]


class Zones:
    def __init__(self, directory, records, zones, spoil=()):
        self.dir = os.path.join(str(directory), 'zones')
        self.zones, self.process = dict(zones), None
        self.keys, self.serial = {}, int(time.time())
        os.makedirs(self.dir)
        self.port = free_port()
        self.address = '127.0.0.1:%d' % self.port
        for zone in ['.'] + list(self.zones):
            if self.zones.get(zone) != 'unsigned':
                self.keys[zone] = tool('ldns-keygen', '-a', 'ECDSAP256SHA256', '-k', zone.strip('.') + '.', cwd=self.dir).strip()
        with open(self.path(self.keys['.'] + '.key')) as key:
            self.anchor = self.write('root.key', key.read())
        self.args = ['--dns', self.address]
        self.sets = ['dns_trust_anchor=' + self.anchor]
        self.put(records, spoil)
        config = NSD.format(port=self.port, dir=self.dir)
        for zone in ['.'] + list(self.zones):
            config += 'zone:\n  name: "%s"\n  zonefile: "%s"\n' % (zone, self.file(zone))
        self.write('nsd.conf', config)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), 'w') as f:
            f.write(text)
        return self.path(name)

    def file(self, zone):
        return (zone.strip('.') or 'root') + '.zone'

    # --- zone files

    def zone_of(self, name):
        inside = [z for z in self.zones if name == z or name.endswith('.' + z)]
        return max(inside, key=len, default='.')

    def signed(self, zone, days):
        """The lines of the zone, signed yesterday and good for so many days."""
        now = time.time()
        first, last = (time.strftime('%Y%m%d%H%M%S', time.gmtime(now + 86400 * d)) for d in (-2, days))
        tool('ldns-signzone', '-b', '-o', zone, '-i', first, '-e', last, '-f', 'out', self.file(zone) + '.plain', self.keys[zone],
             cwd=self.dir)
        with open(self.path('out')) as f:
            return [line for line in f.read().split('\n') if line and not line.startswith(';')]

    def spoiled(self, zone, spoil):
        """The lines of the zone; signatures as asked for."""
        good, old = self.signed(zone, 30), self.signed(zone, -1)
        old = {tuple(line.split()[:5:4]): line for line in old if line.split()[3] == 'RRSIG'}
        out = []
        for line in good:
            words = line.split()
            if words[3] == 'RRSIG':
                how = spoil.get((words[0].lower().strip('.'), words[4]), self.zones.get(zone))
                if how == 'lost':
                    continue
                if how == 'expired':
                    line = old[(words[0], words[4])]
                elif how == 'forged':
                    line = ' '.join(words[:12] + [another(''.join(words[12:]))])
            out.append(line)
        return out

    def put(self, records, spoil=()):
        spoil = {(n.lower(), t): how for (n, t), how in dict(spoil).items()}
        self.serial += 1
        plain = {zone: ['%s. %d IN SOA ns.test. hostmaster.test. %d 3600 600 86400 %d' % (zone.strip('.'), TTL, self.serial, TTL),
                        '%s. %d IN NS ns.test.' % (zone.strip('.'), TTL)] for zone in ['.'] + list(self.zones)}
        plain['.'].append('ns.test. %d IN A 127.0.0.1' % TTL)
        for zone, how in self.zones.items():
            plain['.'].append('%s. %d IN NS ns.test.' % (zone, TTL))
            if how != 'unsigned':
                with open(self.path(self.keys[zone] + '.ds')) as f:
                    plain['.'].append(f.read().strip())
        for (name, kind, *_), values in dict(records).items():
            for value in values:
                plain[self.zone_of(name.lower())].append('%s. %d IN %s %s' % (name, TTL, kind, data_of(kind, value)))
        for zone, lines in plain.items():
            if zone in self.keys:
                self.write(self.file(zone) + '.plain', '\n'.join(lines) + '\n')
                lines = self.spoiled(zone, spoil)
            self.write(self.file(zone), '\n'.join(lines) + '\n')

    def change(self, records, spoil=()):
        """Served when it returns; who has asked before may remember for TTL seconds what he was told."""
        self.put(records, spoil)
        serial = self.serial
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: b'%d' % serial in self.ask_soa() or None)

    # --- the server

    def ask_soa(self):
        """The serial number of the root's zone, as it is served."""
        query = b'\x12\x34\0\0\0\1\0\0\0\0\0\0\0\0\6\0\1'
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            s.sendto(query, ('127.0.0.1', self.port))
            try:
                answer = s.recv(4096)
            except OSError:
                return b''
        for at in range(12, len(answer) - 3):
            if answer[at:at + 4] == self.serial.to_bytes(4, 'big'):
                return b'%d' % self.serial
        return b''

    def start(self):
        self.process = subprocess.Popen([os.path.join(PEERS, 'usr', 'sbin', 'nsd'), '-d', '-c', self.path('nsd.conf')],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env=environment(), start_new_session=True, preexec_fn=end_with_us)
        wait_until(lambda: self.ask_soa() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()
        return self

    def log(self):
        try:
            with open(self.path('nsd.log')) as f:
                return f.read()
        except OSError:
            return ''

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *why):
        self.stop()
