"""What tests of mail for elsewhere share: a server that takes letters and remembers them, a lab that
brings its mail there, and looking at the queue and at reports."""
import asyncio
import collections
import email
import email.policy
import json
import re
import threading
import time

from server import SLOW, wait_until

Letter = collections.namedtuple('Letter', 'sender rcpts octets time connection')


class Connection:
    """What became of one to a Sink: the letters it took, whether the other side took its leave, when it was over."""

    def __init__(self):
        self.letters, self.quit, self.ended = [], False, None


class Sink:
    """An SMTP (or LMTP) server on 127.0.0.1 that takes everything, quickly. reply(verb, argument) may say
    something else than 250: text without its end, or None for "as usual", or a number of seconds to wait first and
    the text. `letters` is what it has said 250 to."""

    EHLO = ('PIPELINING', '8BITMIME', 'SIZE 50000000', 'ENHANCEDSTATUSCODES')

    def __init__(self, reply=None, ehlo=EHLO, lmtp=False, keep=True, host='127.0.0.1'):
        self.reply, self.ehlo, self.lmtp, self.keep, self.host = reply or (lambda verb, arg: None), ehlo, lmtp, keep, host
        self.letters, self.connections, self.open, self.most = [], 0, 0, 0
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(started,), daemon=True)
        self.thread.start()
        assert started.wait(20)

    def run(self, started):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self.serve, self.host, 0, limit=1 << 20, backlog=1000))
        self.port = self.server.sockets[0].getsockname()[1]
        started.set()
        self.loop.run_forever()

    def close(self):
        def end():
            self.server.close()
            for t in asyncio.all_tasks(self.loop):
                t.cancel()
            self.loop.call_soon(self.loop.stop)
        self.loop.call_soon_threadsafe(end)
        self.thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()

    @property
    def target(self):
        return '%s:%s:%d' % ('lmtp' if self.lmtp else 'smtp', self.host, self.port)

    async def say(self, w, verb, arg, usual):
        answer = self.reply(verb, arg)
        if isinstance(answer, tuple):
            await asyncio.sleep(answer[0])
            answer = answer[1]
        text = usual if answer is None else answer
        w.write(text.replace('\n', '\r\n').encode() + b'\r\n')
        return text[:1]

    async def serve(self, r, w):
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        connection = Connection()
        try:
            await self.session(r, w, connection)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            connection.ended = time.time()
            w.close()

    async def session(self, r, w, connection):
        sender, rcpts = None, []
        if await self.say(w, 'greeting', '', '220 sink.example.org ESMTP') != '2':
            return
        while True:
            line = await r.readline()
            if not line:
                return
            text = line.decode('utf-8', 'replace').rstrip('\r\n')
            verb = text.split(' ')[0].upper()
            if verb in ('EHLO', 'LHLO', 'HELO'):
                words = ('sink.example.org',) + (self.ehlo if verb != 'HELO' else ())
                await self.say(w, verb, text, '\n'.join('250%s%s' % (' ' if i == len(words) - 1 else '-', k) for i, k in enumerate(words)))
            elif verb == 'MAIL':
                ok = await self.say(w, verb, text, '250 2.1.0 ok')
                sender, rcpts = (re.search('<(.*?)>', text).group(1), []) if ok == '2' else (None, [])
            elif verb == 'RCPT':
                if await self.say(w, verb, text, '250 2.1.5 ok') == '2':
                    rcpts.append(re.search('<(.*)>', text).group(1))
            elif verb == 'DATA':
                if not rcpts:
                    w.write(b'503 5.5.1 no recipients\r\n')
                elif await self.say(w, verb, text, '354 go') == '3':
                    await self.data(r, w, sender, rcpts, connection)
                    rcpts = []
            elif verb == 'RSET':
                sender, rcpts = None, []
                await self.say(w, verb, text, '250 2.0.0 ok')
            elif verb == 'QUIT':
                connection.quit = True
                await self.say(w, verb, text, '221 2.0.0 bye')
                return
            else:
                await self.say(w, verb, text, '500 5.5.1 what?')
            await w.drain()

    async def data(self, r, w, sender, rcpts, connection):
        await w.drain()
        octets = await r.readuntil(b'\r\n.\r\n') if self.keep else await self.skip(r)
        letter = Letter(sender, tuple(rcpts), re.sub(rb'(?m)^\.\.', b'.', octets[:-3]), time.time(), connection)
        for rcpt in rcpts if self.lmtp else ['']:
            if await self.say(w, 'DOT', rcpt, '250 2.0.0 taken') == '2':
                taken = letter._replace(rcpts=(rcpt,)) if self.lmtp else letter
                self.letters.append(taken)
                connection.letters.append(taken)

    async def skip(self, r):
        """Only its header is kept."""
        head = await r.readuntil(b'\r\n\r\n')
        while not (await r.readuntil(b'\r\n')) == b'.\r\n':
            pass
        return head + b'.\r\n'


def outward(target, domain='*', tls=None, **more):
    """Settings of a lab that brings mail for domain to target, and takes mail for elsewhere from 127.0.0.1."""
    sets = ['relay_ip=127.0.0.0/8', 'route.%s=%s' % (domain, target)]
    if tls:
        sets.append('route.%s.tls=%s' % (domain, tls))
    return sets + ['route.%s.%s=%s' % (domain, key, value) for key, value in more.items()]


def queue(lab, *words):
    """The entries, as `queue list --json` tells them."""
    return [json.loads(line) for line in lab.run('queue', 'list', *words, '--json').stdout.splitlines()]


def why(lab, ident):
    return json.loads(lab.run('queue', 'why', ident, '--json').stdout)


def wait_empty(lab, seconds=30):
    wait_until(lambda: not queue(lab), seconds, 0.1)


def tried(lab, seconds=30, **fit):
    """The entry that was tried and fits, when it has."""
    def look():
        for e in queue(lab):
            if e['attempts'] and e['state'] != 'active' and all(e[k] == v for k, v in fit.items()):
                return e
        return None
    return wait_until(look, seconds, 0.1)


class Report:
    """An RFC 3464 report, taken apart by Python's email package. rcpts: {address: {field: value}}."""

    def __init__(self, octets):
        self.letter = email.message_from_bytes(octets, policy=email.policy.SMTP)
        assert self.letter.get_content_type() == 'multipart/report', octets
        assert self.letter.get_param('report-type') in ('delivery-status',)
        assert not any(part.defects for part in self.letter.walk()), [p.defects for p in self.letter.walk()]
        self.parts = list(self.letter.iter_parts())
        assert len(self.parts) in (2, 3)
        self.text = self.parts[0].get_content()
        kind = self.parts[1].get_content_type()
        assert kind in ('message/delivery-status', 'message/global-delivery-status'), kind
        blocks = self.blocks(self.parts[1])
        self.message, self.rcpts = blocks[0], {}
        for fields in blocks[1:]:
            self.rcpts[fields['final-recipient'].split(';', 1)[1].strip()] = fields
        self.enclosed = self.parts[2] if len(self.parts) == 3 else None

    @staticmethod
    def blocks(part):
        payload = part.get_payload()
        if isinstance(payload, list):  # Python has taken message/delivery-status apart
            return [{k.lower(): str(v) for k, v in b.items()} for b in payload if len(b)]
        text = part.get_payload(decode=True).decode('utf-8')
        return [{k.lower(): str(v) for k, v in email.message_from_string(b).items()}
                for b in re.split(r'\r?\n\r?\n', text.strip())]


def reports(lab, address):
    """All reports in the mailbox; nothing else may be in it."""
    return [Report(octets) for octets in lab.letters(address)]


def only_report(lab, address, seconds=30):
    wait_until(lambda: lab.count(address) > 0, seconds, 0.1)
    found = reports(lab, address)
    assert len(found) == 1, [r.rcpts for r in found]
    return found[0]


def patience(seconds):
    return seconds * SLOW
