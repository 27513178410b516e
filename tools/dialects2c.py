#!/usr/bin/env python3
"""dialects2c.py OUTPUT INPUT...: the .dialect files as the C table dialect_builtin[]."""
import os
import sys


def literal(line):
    out = []
    for octet in line:
        if octet in b'"\\?':
            out.append('\\' + chr(octet))
        elif 0x20 <= octet < 0x7f:
            out.append(chr(octet))
        else:
            out.append('\\%03o' % octet)
    return '"' + ''.join(out) + '"'


def main():
    rows = []
    for path in sys.argv[2:]:
        name = os.path.basename(path)
        name = name[:name.rindex('.')]
        with open(path, 'rb') as f:
            text = f.read()
        body = '\n'.join('\t    ' + literal(l) for l in text.splitlines(keepends=True))
        rows.append('\t{ "%s", {\n%s,\n\t    %d } },\n' % (name, body or '\t    ""', len(text)))
    with open(sys.argv[1], 'w') as f:
        f.write('#include "dialect/dialect.h"\n\nconst struct dialect_source dialect_builtin[] = {\n')
        f.writelines(rows)
        f.write('\t{ NULL, { NULL, 0 } },\n};\n')


main()
