"""What a machine can check of the house rules."""
import glob
import os
import re

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = sorted(p for d in ('src', 'tests', 'fuzz') for p in
                 glob.glob(os.path.join(ROOT, d, '**', '*.[ch]'), recursive=True))
BANNED = re.compile(r'\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|alloca)\s*\(')
NEEDLESS = re.compile(r'\b(TODO|FIXME|XXX|HACK)\b')


def name(path):
    return os.path.relpath(path, ROOT)


def code_of(text):
    """Without comments and without what stands in strings."""
    text = re.sub(r'/\*.*?\*/', lambda m: re.sub(r'[^\n]', ' ', m.group(0)), text, flags=re.S)
    text = re.sub(r'//[^\n]*', '', text)
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


@pytest.mark.parametrize('path', SOURCES, ids=name)
def test_source(path):
    text = open(path, encoding='utf-8').read()
    lines = text.split('\n')
    code = code_of(text).split('\n')
    bad = []
    for n, line in enumerate(lines, 1):
        if line != line.rstrip():
            bad.append('%d: white space at the end' % n)
    for n, line in enumerate(code, 1):
        if BANNED.search(line):
            bad.append('%d: %s is banned' % (n, BANNED.search(line).group(1)))
        if re.match(r'\s*typedef\s+(struct|union|enum)\b', line):
            bad.append('%d: no typedef of a struct' % n)
        if path.startswith(os.path.join(ROOT, 'src')) and re.match(r'\s*#\s*include\s+""', line) and '/' not in lines[n - 1]:
            bad.append('%d: includes are "room/file.h"' % n)
    for n, line in enumerate(lines, 1):
        if NEEDLESS.search(line) and 'XXX' not in line:
            bad.append('%d: %s' % (n, line.strip()))
    if len(lines) > (800 if path.startswith(os.path.join(ROOT, 'src')) else 1000):
        bad.append('%d lines: split it by idea' % len(lines))
    if path.endswith('.h') and '#pragma once' not in text:
        bad.append('#pragma once is missing')
    if text and not text.endswith('\n'):
        bad.append('no line end at the end')
    assert not bad, name(path) + '\n' + '\n'.join(bad)


def test_columns():
    """100 is what we aim at, tabs being 8."""
    bad = ['%s:%d: %d columns' % (name(path), n, len(line.expandtabs(8)) - 1) for path in SOURCES
           for n, line in enumerate(open(path, encoding='utf-8'), 1) if len(line.expandtabs(8)) > 111]
    assert not bad, '%d lines:\n%s' % (len(bad), '\n'.join(bad))


def test_functions_are_of_a_size():
    """10 to 40 lines is the rule; 100 is where nobody reads any more."""
    bad = []
    for path in SOURCES:
        start = None
        for n, line in enumerate(open(path, encoding='utf-8'), 1):
            if line.startswith('{'):
                start = n
            elif line.startswith('}') and start:
                if n - start > 100:
                    bad.append('%s:%d: %d lines' % (name(path), start, n - start))
                start = None
    assert not bad, '\n'.join(bad)
