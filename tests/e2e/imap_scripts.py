"""Runs the IMAP conversations of tests/data/imap-scripts: lines "C:" are sent, lines "S:" are
patterns of what must come, "SUB {" ... "}" a group of them in any order, "SESSION: n" changes the
connection, "REINIT" connects anew. "WAIT ms" gives an indexer time, which nobody needs here.

What the RFCs leave open is let pass: the wording of texts, the order of untagged responses, of FETCH
and STATUS items and of flags, and untagged responses beside those that are asked for."""
import json
import os
import re
import socket

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'data', 'imap-scripts')
OPTIONAL = re.compile(r'\* OK \[(MAILBOXID|HIGHESTMODSEQ|UNSEEN|CLOSED|UIDNEXT|UIDVALIDITY|PERMANENTFLAGS|READ-WRITE)'
                      r'|\* \d+ RECENT|\* FLAGS|\* OK|\* ID|\* CAPABILITY', re.I)
IGNORED_ATTRIBUTES = {'\\hasnochildren', '\\haschildren', '\\noinferiors', '\\subscribed', '\\unmarked', '\\marked'}
# Where one expectation ends and the next begins.
BEGINS = re.compile(r'(\\\*|\(\\\*|\\\+|\+|[A-Za-z]*\d+[A-Za-z]* (OK|NO|BAD|\()|[a-z]+\d* (OK|NO|BAD|\()|A\d+ |\.\*)')


class Fail(Exception):
    pass


class Conn:
    def __init__(self, connect):
        self.sock = connect()
        self.buffer = b''
        self.pending = []  # untagged responses that nothing has claimed
        self.last_tag = None
        self.literal = 0
        self.log = []
        self.greeting = self.unit()

    def fill(self):
        octets = self.sock.recv(65536)
        if not octets:
            raise Fail('the server closed')
        self.buffer += octets

    def line(self):
        while b'\n' not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b'\n', 1)
        return line.rstrip(b'\r')

    def unit(self):
        """One response with its literals, lines parted by LF."""
        try:
            out = self.line()
            while True:
                m = re.search(rb'~?\{(\d+)\}$', out)
                if not m:
                    break
                n = int(m.group(1))
                while len(self.buffer) < n:
                    self.fill()
                literal, self.buffer = self.buffer[:n], self.buffer[n:]
                out += b'\n' + literal.replace(b'\r\n', b'\n') + self.line()
        except socket.timeout:
            raise Fail('no response') from None
        text = out.decode('latin1')
        self.log.append('S: ' + text)
        return text

    def send(self, line):
        self.log.append('C: ' + line)
        octets = (line + '\r\n').encode('utf8', 'surrogateescape')
        self.sock.sendall(octets)
        if self.literal > 0:
            self.literal -= len(octets)
        else:
            m = re.match(r'(\S+) [A-Za-z]', line)
            if m:
                self.last_tag = m.group(1)
        if self.literal <= 0:
            m = re.search(r'\{(\d+)\+?\}$', line)
            self.literal = int(m.group(1)) if m else 0

    def command(self, text, tag='zz9'):
        self.send(tag + ' ' + text)
        got = []
        while True:
            u = self.unit()
            got.append(u)
            if u.startswith(tag + ' '):
                return got

    def close(self):
        self.sock.close()


# --- comparing


def parse(s):
    """IMAP's lists and strings as ('L', [...]) and text; literals lose their CRs as unit() does it."""
    at = 0

    def quoted():
        nonlocal at
        out = ''
        at += 1
        while s[at] != '"':
            at += s[at] == '\\'
            out += s[at]
            at += 1
        at += 1
        return out

    def literal(m):
        nonlocal at
        begin = at = m.end()
        left = int(m.group(1))
        while left > 0:
            left -= 2 if s[at] == '\n' else 1
            at += 1
        return s[begin:at]

    def atom():
        nonlocal at
        begin, depth = at, 0
        while at < len(s) and (depth > 0 or s[at] not in ' ()'):
            depth += (s[at] == '[') - (s[at] == ']')
            at += 1
        if at == begin:
            raise ValueError(s)
        return s[begin:at]

    def value():
        nonlocal at
        if s[at] == '(':
            at += 1
            out = []
            while s[at] != ')':
                if s[at] == ' ':
                    at += 1
                else:
                    out.append(value())
            at += 1
            return ('L', out)
        if s[at] == '"':
            return quoted()
        m = re.compile(r'\{(\d+)\}\n').match(s, at)
        return literal(m) if m else atom()

    out = []
    while at < len(s):
        if s[at] == ' ':
            at += 1
        else:
            out.append(value())
    return out


def frozen(v):
    return ('L', tuple(frozen(x) for x in v[1])) if isinstance(v, tuple) else v


def inbox(name):
    return 'INBOX' if name.upper() == 'INBOX' else name


def canon_fetch(m):
    values = parse(m.group(2))[0][1]
    items = {}
    for name, value in zip(values[::2], values[1::2]):
        name, value = name.upper(), frozen(value)
        if name == 'FLAGS':
            value = frozenset(x.lower() for x in value[1] if x.lower() != '\\recent')
        elif name in ('BODY', 'BODYSTRUCTURE'):
            value = json.dumps(value).lower().replace('"nil"', 'null')
        items[name] = value
    return ('FETCH', int(m.group(1)), items)


def canon_list(m):
    values = parse(m.group(2))
    return (m.group(1).upper(), frozenset(x.lower() for x in values[0][1]) - IGNORED_ATTRIBUTES, values[1], inbox(values[2]))


def canon_status(m):
    values = parse(m.group(1))
    pairs = values[1][1]
    return ('STATUS', inbox(values[0]), dict(zip([x.upper() for x in pairs[::2]], pairs[1::2])))


FORMS = [
    (re.compile(r'\* (\d+) FETCH (.*)$', re.S | re.I), canon_fetch),
    (re.compile(r'\* (LIST|LSUB) (.*)$', re.S | re.I), canon_list),
    (re.compile(r'\* STATUS (.*)$', re.S | re.I), canon_status),
    (re.compile(r'\* SEARCH ?(.*)$', re.I), lambda m: ('SEARCH', frozenset(m.group(1).replace('(', ' ( ').split()))),
    (re.compile(r'\* (NAMESPACE|QUOTA|QUOTAROOT|ACL|MYRIGHTS|LISTRIGHTS|METADATA|ESEARCH|ENABLED) (.*)$', re.S | re.I),
     lambda m: (m.group(1).upper(), json.dumps(frozen(('L', parse(m.group(2))))))),
]


def canon(unit):
    """A response in a form in which order and case say nothing."""
    for pattern, form in FORMS:
        m = pattern.match(unit)
        if m:
            try:
                return form(m)
            except (ValueError, IndexError, TypeError):
                break
    return ('RAW', unit.strip().upper())


def fits(pattern, text, flags=0):
    try:
        return bool(re.fullmatch(pattern, text, flags))
    except re.error:
        return False


def same(want, have):
    if isinstance(want, dict):
        return (isinstance(have, dict) and want.keys() <= have.keys() and all(same(want[k], have[k]) for k in want) and
                have.keys() - want.keys() <= {'UID', 'FLAGS', 'MODSEQ'})
    if isinstance(want, frozenset) and isinstance(have, frozenset):
        return want == have
    if isinstance(want, tuple) and isinstance(have, tuple):
        return len(want) == len(have) and all(same(a, b) for a, b in zip(want, have))
    return want == have or (isinstance(want, str) and isinstance(have, str) and fits(want, have, re.I))


def sample(pattern):
    """What a pattern that only escapes stands for."""
    return re.sub(r'\\([^A-Za-z0-9])', r'\1', pattern)


def loosened(pattern):
    """A status response without its words."""
    m = re.match(r'\\\* (OK|NO|BAD|BYE|PREAUTH) (.*)$', pattern)
    if not m:
        return None
    code = re.match(r'(\\\[.*?\\\])', m.group(2))
    return r'\* ' + m.group(1) + ' ' + (code.group(1) + '.*' if code else '.*')


def fetch_by_items(pattern, unit):
    """A FETCH whose simple items are patterns, in any order."""
    m = re.match(r'\\\* (\\d\+|\d+) FETCH \\\((.*)\\\)$', pattern, re.S)
    g = re.match(r'\* (\d+) FETCH \((.*)\)$', unit, re.S)
    if not m or not g or not fits(m.group(1), g.group(1)):
        return False
    items = re.findall(r'(UID (?:\\d\+|\d+|\.\*)|FLAGS \\\(.*?\\\)|MODSEQ \\\(.*?\\\)|INTERNALDATE ".*?"|RFC822\.SIZE \S+)', m.group(2))
    rest = m.group(2)
    for item in items:
        rest = rest.replace(item, '', 1)

    def any_order(k):
        return 'FLAGS \\\\(' + ''.join('(?=[^)]*' + f + ')' for f in k.group(1).split()) + '[^)]*\\\\)'
    return bool(items) and not rest.strip() and all(
        re.search(re.sub(r'FLAGS \\\((.*?)\\\)', any_order, i) if i.startswith('FLAGS') else i, g.group(2)) for i in items)


def find(pattern, got):
    """The response that an expectation means, or None."""
    loose, want = loosened(pattern), canon(sample(pattern))
    tests = (lambda g: fits(pattern, g),
             lambda g: loose is not None and fits(loose, g.split('\n')[0]),
             lambda g: want[0] != 'RAW' and same(want, canon(g)),
             lambda g: want[0] == 'RAW' and canon(g)[0] == 'RAW' and (canon(g) == want or fits(pattern, g.strip(), re.I)),
             lambda g: fetch_by_items(pattern, g))
    for test in tests:
        for g in got:
            if test(g):
                return g
    return None


def before(expunges):
    """The numbers of EXPUNGE responses as they were before the first of them."""
    gone = []
    for n in expunges:
        for o in sorted(gone):
            n += o <= n
        gone.append(n)
    return sorted(gone)


def units_of(lines):
    """Expectations with the lines that continue them."""
    units = []
    for line in lines:
        if units and not BEGINS.match(line) and (re.search(r'\\?\{[^{}]*\\?\}$', units[-1][0]) or len(units[-1]) > 1):
            units[-1].append(line)
        else:
            units.append([line])
    return ['\n'.join(u) for u in units]


def sort_out(conn, expected):
    """(tag, pattern) pairs, continuations, untagged patterns."""
    tags, plus, untagged = [], 0, []
    units = units_of(expected)
    for p in units:
        m = re.match(r'([A-Za-z0-9._-]+) (OK|NO|BAD|\(|\.\*)(.*)$', p, re.S)
        if p.startswith('\\+') or p.startswith('+'):
            plus += 1
        elif m:
            tags.append((m.group(1), p))
        elif p in ('.*', '') and conn.last_tag and len(units) == 1:
            tags.append((conn.last_tag, '.*'))
        else:
            untagged.append(p)
    return tags, plus, untagged


def read_until(conn, tags, plus, untagged):
    got, conn.pending = conn.pending, []
    need, done = [t for t, _ in tags], {}
    while need or plus > 0 or (untagged and not tags and len(got) < len(untagged)):
        u = conn.unit()
        tag = u.split(' ', 1)[0]
        if u.startswith('+'):
            if plus == 0:
                raise Fail('a continuation that nobody wants: %r' % u)
            plus -= 1
        elif tag == '*':
            got.append(u)
        elif tag in need:
            need.remove(tag)
            done.setdefault(tag, []).append(u)
        elif plus > 0:
            raise Fail('no continuation, but %r' % u)
    return got, done


def check_tagged(pattern, unit):
    if fits(pattern, unit) or pattern == '.*':
        return
    m = re.match(r'\S+ (\(.*?\)|OK|NO|BAD)', pattern)
    want = m.group(1).strip('()').split('|') if m else ['OK']
    have = unit.split(' ')[1].upper()
    if have not in want and not (set(want) <= {'NO', 'BAD'} and have in ('NO', 'BAD')):
        raise Fail('expected %r, got %r' % (pattern, unit))


def numbers(pattern, units):
    return [int(m.group(1)) for m in (re.match(pattern, u) for u in units) if m]


def check(conn, expected):
    tags, plus, untagged = sort_out(conn, expected)
    got, done = read_until(conn, tags, plus, untagged)
    for tag, pattern in tags:
        check_tagged(pattern, done[tag].pop(0))
    want, have = numbers(r'\\\* (\d+) EXPUNGE$', untagged), numbers(r'\* (\d+) EXPUNGE$', got)
    if want and want != have and before(want) == before(have):
        untagged = [p for p in untagged if not re.match(r'\\\* \d+ EXPUNGE$', p)]
        got = [g for g in got if not re.match(r'\* \d+ EXPUNGE$', g)]
    for pattern in untagged:
        hit = find(pattern, got)
        if hit is not None:
            got.remove(hit)
        elif not OPTIONAL.match(sample(pattern)):
            raise Fail('missing %r; there was %r' % (pattern, [g[:300] for g in got][:6]))


# --- scripts


def read_script(name):
    """[(session, kind, value)]"""
    steps, session, group = [], 0, None
    with open(os.path.join(DATA, name + '.test'), encoding='utf8', errors='surrogateescape') as f:
        lines = [line.rstrip('\r') for line in f.read().split('\n')]
    for line in lines:
        if group is not None:
            if line.startswith('}'):
                steps.append((session, 'SUB', group))
                group = None
            elif line.startswith('S:'):
                group.append(line[3:])
        elif line.startswith('SUB {'):
            group = []
        elif line.startswith('SESSION:'):
            session = int(line[8:])
        elif line.startswith('REINIT'):
            steps.append((session, 'REINIT', None))
        elif line == 'S: \\+':
            steps.append((session, 'S', '\\+.*'))
        elif line[:2] in ('C:', 'S:') and 'IMAP4rev1 Server ready' not in line:
            steps.append((session, line[0], line[3:]))
    return steps


def recounted(steps):
    """With the octets of literals counted as they are sent; the last CR LF ends the command."""
    out, literal = list(steps), None
    for i, (session, kind, value) in enumerate(steps):
        m = kind == 'C' and literal is None and re.match(r'(.*\{)\d+(\+\})$', value)
        if m:
            literal = (i, session, m, -2)
        elif kind == 'C' and literal:
            literal = literal[:3] + (literal[3] + len(value.encode('utf8', 'surrogateescape')) + 2,)
        elif literal:
            at, whose, m, size = literal
            out[at] = (whose, 'C', '%s%d%s' % (m.group(1), size, m.group(2)))
            literal = None
    return out


class Runner:
    """connect() gives a connected socket; users: [(name, password), (second name, password)]."""

    def __init__(self, connect, users):
        self.connect, self.users = connect, users

    def login(self, conn, user):
        if not re.match(r'\S+ OK', conn.command('LOGIN "%s" "%s"' % user)[-1]):
            raise Fail('LOGIN failed')

    def wipe(self, user):
        """The account as empty as IMAP can make it."""
        conn = Conn(self.connect)
        self.login(conn, user)
        names = []
        for u in conn.command('LIST "" "*"'):
            m = re.match(r'\* LIST \(([^)]*)\) (?:"(.)"|NIL) (.*)$', u, re.S)
            if m:
                names.append(m.group(3))
        for n in sorted(names, key=len, reverse=True):
            if n.strip('"').upper() != 'INBOX':
                conn.command('UNSUBSCRIBE ' + n)
                conn.command('DELETE ' + n)
        for u in conn.command('LSUB "" "*"'):
            m = re.match(r'\* LSUB \([^)]*\) (?:"."|NIL) (.*)$', u, re.S)
            if m:
                conn.command('UNSUBSCRIBE ' + m.group(1))
        for c in ('SELECT INBOX', 'STORE 1:* +FLAGS.SILENT (\\Deleted)', 'EXPUNGE', 'CLOSE', 'LOGOUT'):
            conn.command(c)
        conn.close()

    def named(self, line):
        if len(self.users) > 1:
            line = line.replace('imapuser2', self.users[1][0])
        return line.replace('imapuser', self.users[0][0])

    def play(self, conns, steps):
        expected, last = {}, None

        def flush(session):
            if expected.get(session):
                check(conns[session], expected.pop(session))
        for session, kind, value in steps:
            if last is not None and session != last:
                flush(last)
            last = session
            if kind == 'C':
                flush(session)
                line = self.named(value)
                if re.search(r' LOGIN ', line, re.I):
                    line = re.sub(r' password$', ' ' + self.users[0][1], line)
                conns[session].send(line)
            elif kind == 'S':
                expected.setdefault(session, []).append(self.named(value))
            elif kind == 'SUB':
                expected.setdefault(session, []).extend(self.named(v) for v in value)
            else:
                flush(session)
                conns[session].close()
                conns[session] = Conn(self.connect)
        for session in list(expected):
            flush(session)

    def run(self, entry, fix=list):
        """One entry of the manifest, with the steps that fix() makes of its own; raises Fail with the conversation."""
        for user in self.users[:2 if entry['second_user'] else 1]:
            self.wipe(user)
        steps = fix(read_script(entry['script']))
        conns = [Conn(self.connect) for _ in range(max((s[0] for s in steps), default=0) + 1)]
        try:
            for c in conns:
                if entry['login']:
                    self.login(c, self.users[0])
                if entry['select_inbox']:
                    c.command('SELECT INBOX')
            if entry['prepare']:
                self.play(conns[:1], read_script('SelectedStateSetup'))
                for c in conns[1:]:
                    c.command('SELECT selected')
            self.play(conns, steps)
        except Fail as e:
            talk = '\n'.join('%d %s' % (i, line[:300]) for i, c in enumerate(conns) for line in c.log[-40:])
            raise Fail('%s\n%s' % (e, talk)) from None
        finally:
            for c in conns:
                c.close()


def manifest():
    with open(os.path.join(DATA, 'manifest.json')) as f:
        return json.load(f)


def skipped(entry):
    """Why a script says nothing about a server, or None."""
    with open(os.path.join(DATA, entry['script'] + '.test'), encoding='latin1') as f:
        text = f.read()
    if '#user.' in text:
        return 'uses a namespace that only its own server has'
    return 'needs preparation on the host' if entry['host_prep'] else None
