"""Mail that goes on while processes are killed: senders that note what they were told, servers elsewhere that
note what they took and how each connection ended, and the check that both fit.

Letters go elsewhere in each of the four ways that need another process: by a route (relay alone), by MX records
(dns), by a policy of MTA-STS (fetch), to a smarthost that wants a login (auth); and some to bob here as well.
"""
import collections
import json
import os
import random
import re
import signal
import smtplib
import threading
import time

from nameserver import NameServer
from relaying import Sink, outward
from secure import authority
from server import SLOW, alive, wait_until
from test_dane_sts import http, policy
from test_names_sts import Web

SENDERS = 6
POLICIES = 100  # domains with one
KINDS = ('parent', 'store', 'reader', 'front', 'relay', 'dns', 'fetch', 'auth', 'all')
DOUBLE = ('relay', 'parent', 'all')  # whose end leaves nobody who knows what the other side has answered
NOTICED = 2.0 * SLOW  # seconds from a kill until a sink has seen its connections end
HERE = 'bob@example.com'


class Names(NameServer):
    """Every domain below mx.test is brought to mail.test, and so are the domains with a policy."""

    def lookup(self, name, kind):
        if kind == 'MX' and name.endswith('.mx.test'):
            return 'ok', [(name, 'MX', '10 mail.test')]
        return super().lookup(name, kind)


class World:
    """The servers elsewhere, and the settings of a lab that finds them."""

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        domains = ['p%d.test' % i for i in range(POLICIES)]
        ca, sign = authority(directory)
        self.web = Web(*sign('web', ','.join('DNS:mta-sts.' + d for d in domains)))
        records = {('mail.test', 'A'): ['127.0.0.1']}
        for d in domains:
            self.web.pages['mta-sts.' + d] = http(policy('testing', ['mail.test']))
            records.update({(d, 'MX'): ['10 mail.test'], ('mta-sts.' + d, 'A'): ['127.0.0.1'],
                            ('_mta-sts.' + d, 'TXT'): ['v=STSv1; id=1;']})
        self.names = Names(records)
        self.sinks = [Sink(), Sink(), Sink(lambda verb, arg: '235 2.7.0 welcome' if verb == 'AUTH' else None,
                                           ehlo=Sink.EHLO + ('AUTH PLAIN',))]
        by_route, by_mx, with_login = self.sinks
        secret = os.path.join(directory, 'secret')
        with open(secret, 'w') as f:
            f.write('sesame\n')
        self.args = ['--dns', self.names.address]
        self.sets = outward(by_route.target, '*.route.test') + outward(
            with_login.target, 'login.test', login='us', secret_file=secret, auth_cleartext='allow') + [
            'relay.port=%d' % by_mx.port, 'relay.authorities=' + ca, 'sts.port=%d' % self.web.port, 'relays=2', 'fronts=2',
            'queue.retry_first=1', 'queue.retry_most=5', 'limit.conns_per_ip=off', 'limit.rcpts_per_hour=off',
            'limit.msgs_per_session=off', 'store.segment_bytes=8388608']

    @property
    def letters(self):
        return [letter for sink in self.sinks for letter in sink.letters]

    def __enter__(self):
        return self

    def __exit__(self, *why):
        for part in self.sinks + [self.names, self.web]:
            part.close()


def recipients(ident):
    """Two at one domain, one at another, and for every third letter bob; the same for the same letter."""
    r = random.Random(ident)
    one, other = r.sample(['d%d.route.test' % r.randrange(20), ident + '.mx.test', 'p%d.test' % r.randrange(POLICIES),
                           'login.test'], 2)
    here = [HERE] if r.randrange(3) == 0 else []
    return ['%s@%s' % (ident, one), '%s.two@%s' % (ident, one), '%s@%s' % (ident, other)] + here


class Sender(threading.Thread):
    """Sends letters as long as the crowd wants more."""

    def __init__(self, crowd, name):
        super().__init__(daemon=True)
        self.crowd, self.name_of = crowd, name
        self.acknowledged, self.refused, self.n, self.deliveries = {}, set(), 0, 0

    def run(self):
        while self.crowd.wanting():
            try:
                with self.crowd.lab.smtp(timeout=20) as s:
                    s.ehlo()
                    while self.crowd.wanting():
                        self.one(s)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.02)

    def one(self, s):
        self.n += 1
        ident = '%s-%d' % (self.name_of, self.n)
        rcpts = recipients(ident)
        body = ('line of %s\r\n' % ident) * (3, 30, 300)[self.n % 3]
        for code, _ in [s.mail('alice@example.com')] + [s.rcpt(x) for x in rcpts] + [s.docmd('DATA')]:
            if code >= 400:
                self.refused.add(ident)
                s.rset()
                return
        s.send(('Subject: %s\r\nFrom: alice@example.com\r\n\r\n%s.\r\n' % (ident, body)).encode())
        code, _ = s.getreply()
        if code == 250:
            self.acknowledged[ident] = rcpts
            self.deliveries += len(rcpts)
        else:
            self.refused.add(ident)


Copy = collections.namedtuple('Copy', 'letter ident rcpt')
Tally = collections.namedtuple('Tally', 'letters deliveries here elsewhere twice kills left')


class Crowd:
    """Senders at a lab until so many deliveries are acknowledged."""

    def __init__(self, lab, world, deliveries):
        self.lab, self.world, self.deliveries, self.kills = lab, world, deliveries, []
        self.senders = [Sender(self, 'k%d%04x' % (i, random.randrange(1 << 16))) for i in range(SENDERS)]
        for s in self.senders:
            s.start()

    def wanting(self):
        return sum(s.deliveries for s in self.senders) < self.deliveries

    def sending(self):
        return any(s.is_alive() for s in self.senders)

    def wait(self):
        for s in self.senders:
            s.join(300 * SLOW)
            assert not s.is_alive(), 'a sender hangs'

    def kill(self, kind):
        """SIGKILL for one process of this kind, or for all of them; they are back when it returns."""
        lab = self.lab
        if kind == 'all':
            self.kills.append(time.time())
            lab.kill()
            lab.start()
        elif kind == 'parent':
            roles = list(lab.roles_all())
            self.kills.append(time.time())
            lab.process.kill()
            lab.process.wait()
            wait_until(lambda: not any(alive(p) for p in roles), 30)
            lab.start()
        else:
            pids = wait_until(lambda: lab.roles(kind), 30)
            self.kills.append(time.time())
            os.kill(random.choice(pids), signal.SIGKILL)
            wait_until(lambda: len(lab.roles(kind)) >= len(pids), 30)

    def kill_while_sending(self, kind):
        while self.sending():
            time.sleep(random.uniform(0.1, 1.0))
            self.kill(kind)
        self.wait()

    # --- the check

    def asked(self, *words):
        """What a command prints; who has just been killed may not answer yet."""
        def answer():
            r = self.lab.run(*words, check=False, text=False)
            return [r.stdout] if r.returncode == 0 else None
        return wait_until(answer, 60, 0.2)[0]

    def queue(self):
        return self.asked('queue', 'list', '--json').splitlines()

    def check(self, may_double):
        """Everything acknowledged is there: here once, elsewhere at least once, and what is there twice is explained."""
        acknowledged, refused = {}, set()
        for s in self.senders:
            acknowledged.update(s.acknowledged)
            refused |= s.refused
        wait_until(lambda: not self.queue(), 180, 0.2)
        copies = collections.defaultdict(list)
        for letter in sorted(self.world.letters, key=lambda letter: letter.time):
            ident = re.search(rb'(?m)^Subject: (\S+)', letter.octets).group(1).decode()
            assert letter.octets.count(b'line of ' + ident.encode() + b'\r\n') in (3, 30, 300), 'damaged: ' + ident
            for rcpt in letter.rcpts:
                assert rcpt in recipients(ident), 'not sent to %s: %s' % (rcpt, ident)
                copies[rcpt].append(Copy(letter, ident, rcpt))
        lost = [(i, r) for i, rcpts in acknowledged.items() for r in rcpts if r != HERE and r not in copies]
        assert not lost, 'lost: %d, such as %s' % (len(lost), lost[:5])
        assert not [c for c in copies.values() if c[0].ident in refused], 'refused, and there'
        twice = [c for c in copies.values() if len(c) > 1]
        assert may_double or not twice, 'twice: %s' % [c[0].rcpt for c in twice[:5]]
        for c in twice:
            self.explain(c)
        here = self.here({i for i, rcpts in acknowledged.items() if HERE in rcpts}, refused)
        assert not self.lab.letters('alice@example.com')[:1], 'a report nobody expected'
        return Tally(len(acknowledged), sum(map(len, acknowledged.values())), here, len(copies), len(twice), len(self.kills),
                     len(self.queue()))

    def here(self, wanted, refused):
        there = collections.Counter(m.decode() for m in re.findall(rb'(?m)^Subject: (\S+)', self.asked('mailbox', 'export', HERE)))
        assert wanted <= set(there), 'lost here: %s' % list(wanted - set(there))[:5]
        assert not refused & set(there), 'refused, and here'
        assert max(there.values(), default=0) <= 1, 'twice here'
        return len(there)

    def explain(self, copies):
        """RFC 1047, and nothing else. Of every copy but one, the connection that brought it broke off behind its end
        mark, without QUIT and at one of our kills; and the outcome never came to our disk, where every attempt that had
        one has its history."""
        for c in copies[:-1]:
            how = c.letter.connection
            assert not how.quit and how.ended, '%s: twice, and the first connection took its leave' % c.rcpt
            assert any(t - 0.2 <= how.ended <= t + NOTICED for t in self.kills), '%s: twice, and nobody was killed' % c.rcpt
        rows = json.loads(self.asked('trace', '--to', copies[0].rcpt, '--json'))
        events = [line for row in rows for e in row['events'] for line in e['history']]
        sent = [line for line in events if re.search('# <%s>: sent' % re.escape(copies[0].rcpt), line)]
        assert len(sent) == 1, '%s: %d copies there, %d known here: %s' % (copies[0].rcpt, len(copies), len(sent), events)
