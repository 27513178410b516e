"""The rooms of src/ and who may include whom (docs/architecture.md)."""
import glob
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOMS = ('base cli sys loop log crypt tls io ipc conf mail sasl smtp dialect access imap pop3 explain store route '
         'policy queue metrics roles/parent roles/front roles/auth roles/store roles/dns roles/fetch roles/relay client play talk oneshot lab ctl').split()
PURE = 'mail sasl smtp dialect access imap pop3 explain route policy queue metrics'.split()
# An include that the order alone would forbid, and why it is right.
EXCEPTIONS = {
    ('conf', 'ipc/msg.h'): 'the caps a configuration must keep to',
    ('conf', 'queue/target.h'): 'what a route may lead to',
    ('queue', 'ipc/msg.h'): 'the flags of a letter for elsewhere, which entries hold as they are',
    ('policy', 'ipc/msg.h'): 'how many fronts and listeners there may be',
}


def room_of(path):
    return next((r for r in ROOMS if path.startswith(r + '/')), None)


def allowed(room, header):
    other = room_of(header)
    if other is None:
        return False
    if room is None or other == room or (room, header) in EXCEPTIONS:
        return True  # main.c has no room
    if room in PURE and other not in ['base', 'crypt'] + PURE:
        return False
    if room.startswith('roles/') and other.startswith('roles/'):
        return False
    return ROOMS.index(other) < ROOMS.index(room)


def test_includes():
    bad = []
    for path in sorted(glob.glob(os.path.join(ROOT, 'src', '**', '*.[ch]'), recursive=True)):
        name = os.path.relpath(path, os.path.join(ROOT, 'src'))
        for n, line in enumerate(open(path, encoding='utf-8'), 1):
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if m and not allowed(room_of(name), m.group(1)):
                bad.append('%s:%d: %s' % (name, n, line.strip()))
            if m and m.group(1).endswith('_priv.h') and room_of(m.group(1)) != room_of(name):
                bad.append('%s:%d: a private header of another room' % (name, n))
    assert not bad, '\n'.join(bad)


def test_every_room_is_listed():
    found = {os.path.relpath(os.path.dirname(p), os.path.join(ROOT, 'src'))
             for p in glob.glob(os.path.join(ROOT, 'src', '*', '**', '*.c'), recursive=True)}
    assert found <= set(ROOMS), 'rooms that the order does not know: %s' % sorted(found - set(ROOMS))
