"""The same letters in Pennypost and in Dovecot: what IMAP says of them, octet by octet.

A difference is either a fault of ours or stands in EXPLAINED with its reason."""
import itertools
import re

import pytest

import dovecot
import search_programs
from differential import LETTERS, NAMES, Pair, fill, groups, string_form
from rawimap import fetch_items, string, tree

WHOLE = ['UID', 'FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY', 'BODYSTRUCTURE', 'BODY.PEEK[]', 'BODY.PEEK[HEADER]',
         'BODY.PEEK[TEXT]', 'BODY.PEEK[HEADER.FIELDS (SUBJECT FROM X-NONE)]',
         'BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT RECEIVED)]', 'BODY.PEEK[]<5.20>', 'BODY.PEEK[TEXT]<100000000.5>', 'BODY.PEEK[1]',
         'BODY.PEEK[1.MIME]', 'BODY.PEEK[2]', 'BODY.PEEK[1.HEADER]', 'BODY.PEEK[1.TEXT]', 'BODY.PEEK[99]',
         'BODY.PEEK[1.HEADER.FIELDS (SUBJECT)]']
SECTIONS_MAX = 40
BINARIES_MAX = 12
# (letter, item, reason): letter and item are patterns.
EXPLAINED = [
    ('.*content_transfer_encoding_empty.eml', r'BINARY.*', 'an empty Content-Transfer-Encoding says nothing, so it is 7bit (RFC 2045 6.1)'),
    ('mail-parser/thirdparty-004.eml', r'BINARY.*\[6\]', 'the same'),
    ('random-12', r'BODY\[1\.HEADER\.FIELDS .*', 'theirs gives a field of the part, not of the letter in it'),
    ('random-11', r'BINARY.PEEK\[2\.1\]', 'theirs gives more octets than there are in the part'),
    ('no-blank-line', r'BODY\[HEADER\.FIELDS\.NOT .*', 'the header ends in the middle of a line; theirs ends it for HEADER.FIELDS alone, ours for both'),
]
# A search: letters of which the two may say different things, and why.
EXPLAINED_LETTERS = {
    'BODY|TEXT': [
        ('.*content_transfer_encoding_.*|odd-types', 'an encoding that is not known: what stands there is looked at as it is (RFC 9051 6.4.4 '
         'leaves the matching open)'),
        ('mail-parser/thirdparty-004.eml', 'the same'),
        ('random-17', 'base64 that is none: theirs stops at it, ours passes over it'),
        ('type-garbage|type-empty', 'a Content-Type that cannot be read is text/plain (RFC 2045 5.2)'),
    ],
    'SUBJECT': [
        ('.*(binary_encoded|mixed_quoted_boundary)\\.eml', 'of two Subject fields that in the ENVELOPE counts (RFC 9051 6.4.4)'),
    ],
    'SENT': [
        ('.*rfc2822-example(04|10)\\.eml', 'of 1969: theirs takes a time before 1970 for a late one'),
        ('.*bad_time\\.eml', 'of the year 3609: theirs keeps dates in 32 bits'),
    ],
}


def sections(structure, prefix=''):
    """The section numbers of a BODYSTRUCTURE."""
    parts = tree(structure) if isinstance(structure, bytes) else structure
    if isinstance(parts[0], list):
        for n, part in enumerate(itertools.takewhile(lambda p: isinstance(p, list), parts), 1):
            yield from number(part, prefix + str(n))
    else:
        yield from inside(parts, prefix + '1')


def number(part, at):
    yield at
    if isinstance(part[0], list):
        yield from sections(part, at + '.')
    else:
        yield from inside(part, at)


def inside(part, at):
    """Of a message/rfc822: its own parts."""
    if part[0].lower() == b'"message"' and part[1].lower() == b'"rfc822"' and len(part) > 8 and isinstance(part[8], list):
        if isinstance(part[8][0], list):
            yield from sections(part[8], at + '.')
        else:
            yield at + '.1'


def items_of(untagged):
    """{number of the letter: {item: value}}"""
    out = {}
    for r in untagged:
        found = fetch_items(r)
        if found:
            out.setdefault(int(found.pop(b'seq')), {}).update(found)
    return out


@pytest.fixture(scope='module')
def both(shared):
    if not dovecot.there():
        pytest.skip('no Dovecot in build/peers: tools/setup.sh test puts it there')
    pair = Pair(shared)
    for c in pair:
        fill(c)
        c.ok('SELECT INBOX')
    yield pair
    pair.close()


def explained(name, item):
    return any(re.fullmatch(a, name) and re.fullmatch(b, item) for a, b, _ in EXPLAINED)


def comparable(item, value):
    if item == b'FLAGS':
        return sorted(f for f in value[1:-1].split() if f != b'\\Recent')
    return string_form(value)


def is_blank(item, said, ours, theirs):
    """Of a header without an empty line theirs makes one behind HEADER.FIELDS, which it has not (RFC 9051 6.4.5.1)."""
    if b'HEADER.FIELDS (' not in item:
        return False
    header = string(said[item.split(b'.FIELDS')[0] + b']'])
    return not (header == b'\r\n' or header.endswith(b'\r\n\r\n')) and string(ours) + b'\r\n' == string(theirs)


def differences(name, ours, theirs):
    for item in sorted(set(ours) | set(theirs)):
        a, b = (g.get(item, b'(absent)') for g in (ours, theirs))
        if comparable(item, a) != comparable(item, b) and not explained(name, item.decode()) and not is_blank(item, ours, a, b):
            yield '%s %s\n  ours   %r\n  theirs %r' % (name, item.decode(), a[:1500], b[:1500])


@pytest.mark.parametrize('group', groups(range(1, len(NAMES) + 1)), ids=lambda g: '%d-%d' % (g[0], g[-1]))
def test_fetch(both, group):
    got = [items_of(c.ok('FETCH %d:%d (%s)' % (group[0], group[-1], ' '.join(WHOLE)))) for c in both]
    commands = []
    for n in group:
        more = list(sections(got[1][n][b'BODYSTRUCTURE']))[:SECTIONS_MAX]
        if more:
            commands.append('FETCH %d (%s)' % (n, ' '.join('BODY.PEEK[%s] BODY.PEEK[%s.MIME]' % (s, s) for s in more)))
    for _, *said in both.ask_all(commands):
        for one, (status, untagged) in zip(got, said):
            assert status == 'OK'
            for n, items in items_of(untagged).items():
                one[n].update(items)
    assert [sorted(one) for one in got] == [group, group]
    bad = [d for n in group for d in differences(NAMES[n - 1], got[0][n], got[1][n])]
    assert not bad, '\n'.join(bad)


@pytest.mark.parametrize('group', groups(range(1, len(NAMES) + 1), 100), ids=lambda g: '%d-%d' % (g[0], g[-1]))
def test_binary(both, group):
    """Leaves: of what holds others theirs decodes all that is in it, ours what it says itself (RFC 3516 4.2)."""
    structures = items_of(both.theirs.ok('FETCH %d:%d BODYSTRUCTURE' % (group[0], group[-1])))
    commands = []
    for n in group:
        numbers = list(sections(structures[n][b'BODYSTRUCTURE'])) or ['1']
        for s in [s for s in numbers if s + '.1' not in numbers][:BINARIES_MAX]:
            commands += ['FETCH %d BINARY.PEEK[%s]' % (n, s), 'FETCH %d BINARY.SIZE[%s]' % (n, s)]
    bad, size = [], 0
    for command, ours, theirs in both.ask_all(commands):
        name, item = NAMES[int(command.split()[1]) - 1], command.split()[2]
        values = [(s, [binary_form(v) for i in items_of(u).values() for v in i.values()] if s == 'OK' else None) for s, u in (ours, theirs)]
        if 'SIZE' not in item:
            size = len(string(values[0][1][0])) if values[0][1] else None
        elif size is not None:
            # Theirs decodes the whole letter for it, gives up at a part that cannot be, and counts past the end of some.
            values[1] = ('OK', [b'%d' % size])
        if values[0] != values[1] and not explained(name, item):
            bad.append('%s %s\n  ours   %r\n  theirs %r' % (name, item, ours, theirs))
    assert not bad, '\n'.join(bad)


def binary_form(value):
    return string_form(value).lstrip(b'~')


def numbers(untagged, word):
    for r in untagged:
        if r.startswith(b'* ' + word):
            return r.split()[2:]
    return None


EXPLAINED_BY = {'bodies': ['BODY|TEXT'], 'nests': ['BODY|TEXT', 'SENT'], 'encoded': ['BODY|TEXT'], 'sent': ['SENT'], 'fields': ['SUBJECT']}


def excused(group, name):
    return any(re.fullmatch(pattern, name) for by in EXPLAINED_BY[group] for pattern, _ in EXPLAINED_LETTERS[by])


@pytest.mark.parametrize('group', search_programs.GROUPS)
def test_search(both, group):
    bad = []
    for command, ours, theirs in both.ask_all(search_programs.GROUPS[group]):
        a, b = ((s, [int(n) for n in numbers(u, b'SEARCH') or []]) for s, u in (ours, theirs))
        if a != b and group in EXPLAINED_BY and command not in search_programs.EXPLAINED:
            a, b = ((s, [n for n in l if not excused(group, NAMES[n - 1])]) for s, l in (a, b))
        if a != b and command not in search_programs.EXPLAINED:
            only = [[NAMES[n - 1] for n in x if n not in y][:12] for x, y in ((a[1], b[1]), (b[1], a[1]))]
            bad.append('%r: ours %s %d, theirs %s %d; only ours %s; only theirs %s' %
                       (command, a[0], len(a[1]), b[0], len(b[1]), *only))
    assert not bad, '\n'.join(bad)


@pytest.mark.parametrize('group', search_programs.ORDERS)
def test_order(both, group):
    bad = []
    dated = [n for n, name in enumerate(NAMES, 1) if any(re.fullmatch(p, name) for p, _ in EXPLAINED_LETTERS['SENT'])]
    subjects = [n for n, name in enumerate(NAMES, 1) if any(re.fullmatch(p, name) for p, _ in EXPLAINED_LETTERS['SUBJECT'])]
    all = 'NOT UID ' + ','.join(str(n) for n in dated + subjects)
    for command, ours, theirs in both.ask_all([c.replace('{all}', all) for c in search_programs.ORDERS[group]]):
        # "* THREAD" with nothing behind it has no blank (RFC 5256 5, thread-data); theirs has one.
        if (ours[0], [r.split() for r in ours[1][-1:]]) != (theirs[0], [r.split() for r in theirs[1][-1:]]):
            bad.append('%s\n  ours   %r\n  theirs %r' % (command, ours, theirs))
    assert not bad, '\n'.join(bad)
