"""The same mailboxes in Pennypost and in Dovecot: LIST, LSUB, STATUS and names, answer for answer."""
import re

import pytest

import dovecot
from differential import Pair
from rawimap import string, value_end

# Attributes that say nothing here: Dovecot looks for new letters, and we have mailboxes of special use.
SILENT = {'\\marked', '\\unmarked', '\\drafts', '\\sent', '\\trash', '\\junk', '\\archive'}
# Made in this order; `gone` ones are deleted again, so that what is below them has no parent.
NAMES = ['work', 'work/2024', 'work/2024/q1', 'Work', 'WORK/x', 'a', 'a/b', 'a/b/c', 'a/b/c/d', 'ab', 'b', 'with space', 'qu"ote',
         'back\\slash', 'per cent', 'x.y', 'x.y/z.w', 'p(aren)', '{3}', 'amp&-ersand', '&AOQ-', '&AOQ-/&2D3cSg-', 'caf&AOk-', '&U,BTFw-',
         '&U,BTFw-/&ZeVnLIqe-', "'single'", '#hash', 'inbox2', 'INBOX/sub', 'lone/child', 'lone/child/deep', 'NIL', 'gone/kept',
         'gone/kept/more', 'sub1', 'sub2/below', 'trail-', '-lead', '1', 'x' * 100]
GONE = ['gone', 'work/2024', 'a/b']
SUBSCRIBED = ['work', 'work/2024/q1', 'a/b/c', 'caf&AOk-', 'with space', 'INBOX', 'sub2/below', 'b']
PATTERNS = [('', '*'), ('', '%'), ('', '%/%'), ('', '%/%/%'), ('', '*/*'), ('', '*%'), ('', '%*'), ('', '**'), ('', '%%'), ('', 'work'),
            ('', 'work*'), ('', 'work%'), ('', 'work/%'), ('', 'work/*'), ('work/', '%'), ('work/', '*'), ('a/', '%/%'), ('', 'a*c'),
            ('', '*b*'), ('', '%b%'), ('', '*/'), ('', '%/'), ('', 'a/b/c/d'), ('', 'inbox'), ('', 'INBOX'), ('', 'InBoX'), ('', 'I%'),
            ('', 'inb%'), ('', 'inb*'), ('', 'INBOX/%'), ('', 'inbox/%'), ('', 'inbox/sub'), ('INBOX/', '%'), ('', 'nosuch'), ('', 'nosuch/*'),
            ('', 'x.y*'), ('', 'x%y'), ('', '&AOQ-*'), ('', '&U,BTFw-/%'), ('', '*&*'), ('', 'with*'), ('', '*"*'),
            ('', 'l%d'), ('', 'lone/%'), ('', 'lone/*'), ('', 'gone*'), ('', 'gone/%'), ('', '%one'), ('', '%one/%'), ('', 'a/*/d'),
            ('', 'a/%/d'), ('', 'a/%/c'), ('', '*c'), ('', '%c'), ('', '*1'), ('', 'nil'), ('', '{3}'), ('', 'work/2024'), ('a', '/b'),
            ('a', 'b'), ('a/b', 'c'), ('', '')]
EXTENDED = ['LIST (SUBSCRIBED) "" "*"', 'LIST (SUBSCRIBED) "" "%"', 'LIST "" "*" RETURN (SUBSCRIBED)',
            'LIST "" "%" RETURN (SUBSCRIBED CHILDREN)', 'LIST "" "*" RETURN (CHILDREN)', 'LIST (SUBSCRIBED) "" "*" RETURN (CHILDREN)',
            'LIST (SUBSCRIBED) "" "work/%" RETURN (SUBSCRIBED)', 'LIST "" ("work" "a/%" "INBOX")', 'LIST "" ("%" "%/%")',
            'LIST (SUBSCRIBED) "" ("w*" "c*")', 'LIST () "" "%"', 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"',
            'LIST (SUBSCRIBED RECURSIVEMATCH) "" "work/%"', 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "*"',
            'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (SUBSCRIBED CHILDREN)', 'LIST (REMOTE) "" "%"', 'LIST (SUBSCRIBED REMOTE) "" "*"',
            'LIST "" "w*" RETURN (STATUS (MESSAGES UIDNEXT))', 'LIST "" "%" RETURN (CHILDREN STATUS (UNSEEN))',
            'LIST (RECURSIVEMATCH) "" "*"', 'LIST (NOSUCH) "" "*"', 'LIST "" "*" RETURN (NOSUCH)', 'LIST "" ()']
LSUB = [('', '*'), ('', '%'), ('', 'work*'), ('', 'work/%'), ('', 'never%'), ('', 'never/%'), ('', 'nosuch'), ('', '%/%'), ('', 'INBOX'),
        ('work/', '*')]
STATUS = ['MESSAGES', 'UNSEEN', 'UIDNEXT', 'SIZE', 'MESSAGES UNSEEN UIDNEXT SIZE', 'NOSUCH', '']
# What is no name, or names nothing.
WRONG = ['nosuch', 'gone', 'a/b', '&', '&AOk', 'caf&AOk', '&AGEA-', '&Jjo!', 'a//b', '/a', 'a/', '&2D0-', '']
ACTS = ['CREATE work', 'CREATE INBOX', 'CREATE inbox', 'DELETE nosuch', 'DELETE INBOX', 'RENAME nosuch other', 'RENAME b ab',
        'RENAME b INBOX', 'RENAME a/b/c moved', 'RENAME lone alone', 'RENAME work/2024/q1 work/2024/q2', 'RENAME x.y deep/er/x.y',
        'DELETE a', 'DELETE a', 'SUBSCRIBE ab', 'SUBSCRIBE ab', 'UNSUBSCRIBE nosuch', 'UNSUBSCRIBE ab', 'CREATE n/e',
        'CREATE n', 'CREATE n/e/w', 'DELETE n', 'DELETE n/e/w', 'DELETE n/e', 'RENAME gone/kept gone']
EXPLAINED = {
    'LIST "" "*&*"': 'a pattern is modified UTF-7 (RFC 3501 5.1.3), in which & begins what is shifted; theirs compares octets',
    'LIST "a" "/b"': 'how a reference and a pattern make one name is for the server to say (RFC 9051 6.3.9); ours joins them',
    'LIST "" ()': 'there is at least one pattern (RFC 9051 9, patterns)',
}


def quoted(name):
    return '"' + name.replace('\\', '\\\\').replace('"', '\\"') + '"'


PLAIN = ['LIST %s %s' % (quoted(a), quoted(b)) for a, b in PATTERNS]


@pytest.fixture(scope='module')
def both(shared):
    if not dovecot.there():
        pytest.skip('no Dovecot in build/peers: tools/setup.sh test puts it there')
    pair = Pair(shared, options=':LAYOUT=fs')
    for name in ('Drafts', 'Sent', 'Trash', 'Junk', 'Archive'):
        pair.ours.ok('UNSUBSCRIBE ' + name)
        pair.ours.ok('DELETE ' + name)
    for c in pair:
        for name in NAMES:
            c.ok('CREATE ' + quoted(name))
        for name in SUBSCRIBED:
            c.ask('SUBSCRIBE ' + quoted(name))
        for n, name in enumerate(NAMES[:10]):
            for i in range(n):
                assert b' OK ' in c.append(quoted(name), b'Subject: %d\r\n\r\nx' % i + b'y' * n, '(\\Seen)' if i % 2 else '')[1]
        for name in GONE:
            c.ask('DELETE ' + quoted(name))
    yield pair
    pair.close()


def row(response, command):
    """A LIST, LSUB or STATUS response so that two of them can be compared."""
    silent = set(SILENT)
    if command.startswith('LIST') and command not in PLAIN and 'CHILDREN' not in command:
        silent |= {'\\haschildren', '\\hasnochildren'}  # theirs has them on request alone: RFC 9051 7.3.1 says always
    if 'RECURSIVEMATCH' in command:
        silent.add('\\noselect')  # theirs leaves it out where CHILDINFO stands
    found = re.match(rb'\* (LIST|LSUB) \(([^)]*)\) (".{1,2}"|NIL) ', response)
    if found:
        end = value_end(response, found.end())
        attributes = {a.lower().decode() for a in found.group(2).split()} - silent
        return (found.group(1).decode(), string(response[found.end():end]).decode(), found.group(3).decode(), sorted(attributes),
                response[end:].strip().decode().replace('"', ''))
    found = re.match(rb'\* STATUS ', response)
    if found:
        end = value_end(response, found.end())
        items = response[end:].strip(b' ()\r\n').split()
        name = string(response[found.end():end]).decode()
        return ('STATUS', 'INBOX' if name.upper() == 'INBOX' else name, '', sorted(zip(items[::2], items[1::2])), '')
    return None


def is_empty_directory(r):
    """Theirs keeps a directory whose last mailbox is gone; ours has names of mailboxes and of what is above them."""
    return r[0] == 'LIST' and {'\\noselect', '\\hasnochildren'} <= set(r[3])


def compare(both, commands):
    bad = []
    for command, *said in both.ask_all(commands):
        ours, theirs = ((status, sorted(r for r in (row(r, command) for r in untagged) if r and not is_empty_directory(r))) for status, untagged in said)
        if {ours[0], theirs[0]} == {'NO', 'BAD'} or command in EXPLAINED:
            continue
        if ours != theirs:
            bad.append('%s: ours %s, theirs %s\n  only ours   %s\n  only theirs %s' % (
                command, ours[0], theirs[0], [r for r in ours[1] if r not in theirs[1]], [r for r in theirs[1] if r not in ours[1]]))
    assert not bad, '\n'.join(bad)


def test_list(both):
    compare(both, PLAIN)


def test_list_extended(both):
    compare(both, EXTENDED)


def test_lsub(both):
    compare(both, ['LSUB %s %s' % (quoted(a), quoted(b)) for a, b in LSUB])


def test_status(both):
    compare(both, ['STATUS %s (%s)' % (quoted(name), items) for name in NAMES[:10] + ['INBOX', 'inbox'] for items in STATUS])


def test_names(both):
    compare(both, [command % quoted(name) for name in WRONG for command in ('STATUS %s (MESSAGES)', 'SELECT %s', 'DELETE %s')])


def test_acts(both):
    """Last: what is made, renamed and deleted, and what is there then."""
    compare(both, [c for act in ACTS for c in (act, 'LIST "" "*"', 'LIST (SUBSCRIBED) "" "*"')])
