#!/usr/bin/env python3
"""codes2c.py OUTPUT INPUT...: the .codes files as the C table that src/explain looks things up in.

data/codes/README tells how a record is written. A malformed one stops the build with FILE:LINE.
"""
import os
import re
import sys

PROTOS = ['any', 'smtp', 'imap', 'pop3', 'sieve', 'tls', 'dns', 'os']
KINDS = ['neutral', 'good', 'go-on', 'temporary', 'permanent']
WHO = ['nobody', 'sender', 'recipient', 'sender-admin', 'recipient-admin', 'list-owner', 'provider', 'client']
WHO_WORDS = ['nobody', 'sender', 'recipient', "sender's administrator", "recipient's administrator",
             'list owner', 'provider', 'client']
CODE = re.compile(r'[2-5][0-9x][0-9x]$')
ENHANCED = re.compile(r'(?:[X245x])\.(?:\d{1,3}|x)\.(?:\d{1,3}(?:-\d{1,3})?|x)$')
NAME = re.compile(r'-?[A-Za-z0-9_+-]+$')
BRACKET = re.compile(r'\[[A-Z0-9/-]+\]$|\([A-Z0-9/-]+\)$')
PATTERN_MAX = 300


class Bad(Exception):
    pass


def tokens(key):
    """Words and "quoted patterns" of the first field; a pattern that marks keeps its "!"."""
    out = []
    for m in re.finditer(r'(!?)"((?:[^"\\]|\\.)*)"|(\S+)', key):
        if m.group(3) is not None:
            if '"' in m.group(3):
                raise Bad('a quote that does not end: %s' % m.group(3))
            out.append((False, m.group(3)))
        else:
            out.append((True, m.group(1) + re.sub(r'\\(.)', r'\1', m.group(2))))
    return out


def pattern_of(text):
    if text.startswith('!'):
        return '!' + pattern_of(text[1:])
    text = ' '.join(text.split()).lower()
    if text.endswith('.'):
        text = text.rstrip('.')
    if not text.strip('*%. ') or len(text) > PATTERN_MAX:
        raise Bad('a pattern that says nothing, or of more than %d octets' % PATTERN_MAX)
    if not text.isprintable():
        raise Bad('control characters in a pattern')
    return re.sub(r'\*+', '*', text)


def sort_words(proto, words):
    codes, enhanced = [], []
    for word in words:
        parts = [word] if word[0] in '[(' else word.split('/')
        for part in parts:
            if proto == 'smtp' and CODE.match(part):
                codes.append(part)
            elif proto == 'smtp' and ENHANCED.match(part):
                enhanced.append(part)
            elif proto in ('imap', 'pop3', 'sieve') and BRACKET.match(part):
                enhanced.append(part)
            elif proto != 'smtp' and NAME.match(part):
                codes.append(part)
            else:
                raise Bad('%s is no code of %s' % (part, proto))
    return codes, enhanced


def rows_of(proto, key):
    toks = tokens(key)
    # "*" alone: the codes without any words will do, too.
    patterns = ['' if t == '*' else pattern_of(t) for quoted, t in toks if quoted]
    codes, enhanced = sort_words(proto, [t for quoted, t in toks if not quoted])
    if proto in ('tls', 'dns', 'os'):  # names and words are each enough
        rows = [(c, '', '') for c in codes] + [('', '', p) for p in patterns]
    else:
        rows = [(c, e, p) for c in codes or [''] for e in enhanced or [''] for p in patterns or ['']]
    if not rows or rows == [('', '', '')]:
        raise Bad('a record without code and pattern')
    return rows


def who_of(field):
    kind, who = None, []
    for word in field.split():
        if word in KINDS and kind is None:
            kind = word
        elif word in WHO and word not in who:
            who.append(word)
        else:
            raise Bad('%s is neither a kind (%s) nor one who acts (%s), or is there twice'
                      % (word, ', '.join(KINDS), ', '.join(WHO)))
    if not who:
        raise Bad('who acts is missing')
    return kind, who


def words_of(who):
    names = [WHO_WORDS[WHO.index(w)] for w in who]
    return names[0] if len(names) == 1 else ', '.join(names[:-1]) + ' or ' + names[-1]


def tidy(text):
    text = ' '.join(text.split())
    if not all(0x20 <= ord(c) < 0x7f for c in text):
        raise Bad('only printable ASCII is allowed')
    return text


def record_of(state, text):
    fields = [tidy(f) for f in text.split('|')]
    if len(fields) == 5:
        fields.append('')
    if len(fields) != 6:
        raise Bad('%d fields; code | who | meaning | causes | next | source' % len(fields))
    if not state['proto']:
        raise Bad('@proto must come before the first record')
    fields[5] = fields[5] or state['source']
    if not fields[5]:
        raise Bad('the source is missing')
    if not fields[2]:
        raise Bad('the meaning is missing')
    kind, who = who_of(fields[1])
    if state['proto'] != 'smtp' and kind is None:
        raise Bad('temporary, permanent, good, go-on or neutral is missing')
    return {'proto': state['proto'], 'rows': rows_of(state['proto'], fields[0]), 'kind': kind,
            'actor': who[0], 'who': words_of(who), 'meaning': fields[2], 'causes': fields[3],
            'next': fields[4], 'source': fields[5], 'file': state['file']}


def directive(state, text):
    word, _, value = text[1:].partition(' ')
    if word == 'proto' and value in PROTOS[1:]:
        state['proto'] = value
    elif word == 'source' and value.strip():
        state['source'] = tidy(value)
    else:
        raise Bad('@proto one of %s, or @source TEXT' % ', '.join(PROTOS[1:]))


def logical_lines(path):
    """(line number, text): lines that begin with a blank go on with the one before."""
    held = None
    with open(path, encoding='utf-8') as f:
        for n, line in enumerate(f, 1):
            line = line.rstrip()
            if line[:1] in (' ', '\t') and line.strip():
                if held is None:
                    raise Bad('%s:%d: goes on with nothing' % (path, n))
                held = (held[0], held[1] + ' ' + line.strip())
                continue
            if held:
                yield held
            held = None if not line or line.startswith('#') else (n, line)
    if held:
        yield held


def read(path, records, seen):
    name = os.path.basename(path)
    state = {'proto': None, 'source': None, 'file': name[:name.rindex('.')]}
    for n, text in logical_lines(path):
        try:
            if text.startswith('@'):
                directive(state, text)
                continue
            record = record_of(state, text)
            for row in record['rows']:
                key = (record['proto'],) + row
                if key in seen and not (row[0].isdigit() and record['proto'] != 'smtp'):
                    raise Bad('the same code and pattern stand at %s' % seen[key])
                seen[key] = '%s:%d' % (path, n)
            records.append(record)
        except Bad as e:
            raise Bad('%s:%d: %s' % (path, n, e)) from None


class Pool:
    def __init__(self):
        self.at, self.parts, self.size = {'': 0}, [''], 1

    def put(self, text):
        if text not in self.at:
            self.at[text] = self.size
            self.parts.append(text)
            self.size += len(text) + 1
        return self.at[text]


def literal(text):
    # Octal, so that no digit that follows can be taken for a part of it; no trigraphs.
    return '"' + re.sub(r'["\\?]', lambda m: '\\' + m.group(0), text) + '\\0"'


def reach(pattern):
    if not pattern or '*' in pattern[:-1]:
        return 0
    return 1 if pattern.endswith('*') else 2


def gram(pattern):
    """The hash of four octets that any text the pattern takes must hold, as src/explain/ask.c makes it."""
    part = max(re.split(r'[*%]', pattern), key=len)
    if len(part) < 4:
        return 65535
    at = (len(part) - 4) // 2
    h = 0
    for c in part[at:at + 4]:
        h = (h * 37 + ord(c)) % 8192
    return h


def table(records):
    pool, rows, entries = Pool(), [], []
    for i, r in enumerate(records):
        entries.append('\t{ %d, %d, %d, %d, %d, %d, %d, %d, %d, %s, %d },\n' % (
            pool.put(r['who']), pool.put(r['meaning']), pool.put(r['causes']), pool.put(r['next']),
            pool.put(r['source']), pool.put(r['file']), PROTOS.index(r['proto']),
            KINDS.index(r['kind']) if r['kind'] else 0, WHO.index(r['actor']),
            'true' if r['kind'] else 'false', len(rows)))
        for code, enhanced, pattern in r['rows']:
            words = pattern.lstrip('!')
            rows.append('\t{ %d, %d, %d, %d, %d, %d, %s },\n' % (
                pool.put(code), pool.put(enhanced), pool.put(words), i, gram(words), reach(words),
                'true' if words != pattern else 'false'))
    if len(records) > 65535 or len(rows) > 65535:
        raise Bad('too many records')
    return pool, rows, entries


def main():
    records, seen = [], {}
    try:
        for path in sorted(sys.argv[2:]):
            read(path, records, seen)
        pool, rows, entries = table(records)
    except Bad as e:
        sys.exit(str(e))
    with open(sys.argv[1], 'w', encoding='utf-8') as f:
        f.write('#include "explain/explain_priv.h"\n\nconst char explain_pool[] =\n')
        f.writelines('\t' + literal(p) + '\n' for p in pool.parts)
        f.write('\t"";\n\nconst struct explain_row explain_rows[] = {\n')
        f.writelines(rows)
        f.write('};\nconst unsigned explain_row_count = %d;\n\n' % len(rows))
        f.write('const struct explain_record explain_records[] = {\n')
        f.writelines(entries)
        f.write('};\nconst unsigned explain_record_count = %d;\n' % len(entries))


if __name__ == '__main__':
    main()
