"""The same letters, and the same questions, to Pennypost and to Dovecot."""
import datetime
import glob
import os
import re

import dovecot
import odd_mime
from rawimap import login
from server import SLOW

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(os.path.dirname(HERE), 'data', 'mime')
GROUP = 24  # letters in one command or in one run of commands without waiting
ZONES = ('+0000', '-0800', '+0130', '+1200')
# Every so many letters have the flag.
FLAGS = (('\\Seen', 3), ('\\Flagged', 5), ('\\Answered', 7), ('\\Draft', 13), ('\\Deleted', 17),
         ('$Forwarded', 11), ('Work', 6))


def letters():
    out = dict(odd_mime.FIXED)
    out.update(odd_mime.conversation())
    for path in sorted(glob.glob(os.path.join(DATA, '*', '*.eml'))):
        text = open(path, 'rb').read().replace(b'\r\n', b'\n').replace(b'\n', b'\r\n')
        if b'\0' not in text:
            out[os.path.relpath(path, DATA)] = text
    for seed in range(150):
        out['random-%d' % seed] = odd_mime.random_letter(seed)
    return out


LETTERS = letters()
NAMES = list(LETTERS)


def flags_of(n):
    return '(%s)' % ' '.join(f for f, every in FLAGS if n % every == 0)


def date_of(n):
    when = datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=37 * (n * 7 % 401))
    return when.strftime('"%d-%b-%Y %H:%M:%S ') + ZONES[n % len(ZONES)] + '"'


def groups(things, size=GROUP):
    things = list(things)
    return [things[i:i + size] for i in range(0, len(things), size)]


def fill(c, mailbox='INBOX'):
    """All letters, with flags and dates of their own, a group in a command."""
    for group in groups(enumerate(LETTERS.values(), 1)):
        octets = b'APPEND ' + mailbox.encode()
        for n, text in group:
            octets += (' %s %s {%d+}\r\n' % (flags_of(n), date_of(n), len(text))).encode() + text
        c.ok(octets)


class Pair:
    """A session with ours and one with theirs."""

    def __init__(self, lab, user='alice@example.com', **options):
        self.peer = dovecot.Dovecot(**options)
        self.theirs = self.peer.connect()
        self.theirs.timeout = 60 * SLOW
        self.ours = login(lab, user)

    def __iter__(self):
        return iter((self.ours, self.theirs))

    def ok(self, command):
        for c in self:
            c.ok(command)

    def ask(self, command):
        """What each of them says, and its status."""
        return [answer(c.ask(command)) for c in self]

    def ask_all(self, commands):
        """[(command, what ours says, what theirs says)]; ours is asked without waiting."""
        ours = []
        for group in groups(commands, 40):
            ours += [answer(self.ours.until(tag)) for tag in [self.ours.send(command) for command in group]]
        return list(zip(commands, ours, [answer(self.theirs.ask(command)) for command in commands]))

    def close(self):
        for c in self:
            c.close()
        self.peer.close()


def answer(said):
    untagged, tagged = said
    return tagged.split(b' ', 2)[1].decode(), untagged


def string_form(value):
    """A string says the same quoted and as a literal."""
    found = re.match(rb'"((?:[^"\\]|\\.)*)"$', value, re.S)
    if found:
        text = re.sub(rb'\\(.)', rb'\1', found.group(1))
        return b'{%d}\r\n' % len(text) + text
    return value
