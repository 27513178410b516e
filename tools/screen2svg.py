#!/usr/bin/env python3
"""screen2svg.py [--columns N] [--rows N] [--cursor COLUMN,ROW] [--title TEXT] < SCREEN > PICTURE.svg

Draws what a terminal shows: text with ANSI colours, as `tmux capture-pane -e -p` prints it. The picture needs no font
but a monospaced one, and nothing from elsewhere."""
import argparse
import re
import sys
from xml.sax.saxutils import escape

SIZE, WIDE, HIGH, EDGE, BAR = 14, 8.4, 19, 14, 30  # font, column, row, margin, title
GROUND, PLAIN = '#16181d', '#d5d8de'
COLOURS = ('#3b4048', '#d4555f', '#6fae5c', '#d1a24a', '#4a86d8', '#a56cc9', '#3f9fa8', '#c5c9d1',
           '#7d8490', '#ff7b84', '#93d07f', '#f0c66f', '#7fb2ff', '#cd96ec', '#66c9d2', '#f4f5f7')
SGR = re.compile('\x1b\\[([0-9;:]*)m')
OTHER = re.compile('\x1b(?:\\[[0-9;?]*[A-Za-ln-z]|[()][A-Z0-9]|[=>])|[\x00-\x08\x0b-\x1a\x0e\x0f\r]')


def colour_256(n):
    if n < 16:
        return COLOURS[n]
    if n < 232:
        n -= 16
        return '#%02x%02x%02x' % tuple(v and 55 + 40 * v for v in (n // 36, n // 6 % 6, n % 6))
    return '#%02x%02x%02x' % ((8 + 10 * (n - 232),) * 3)


class Pen:
    def __init__(self):
        self.reset()

    def reset(self):
        self.front = self.back = None
        self.bold = self.italic = self.under = self.swapped = False

    def take(self, codes):
        codes = [int(c or 0) for c in re.split('[;:]', codes)]
        while codes:
            c = codes.pop(0)
            if c == 0:
                self.reset()
            elif c in (1, 22):
                self.bold = c == 1
            elif c in (3, 23):
                self.italic = c == 3
            elif c in (4, 24):
                self.under = c == 4
            elif c in (7, 27):
                self.swapped = c == 7
            elif c in (38, 48) and codes:
                kind = codes.pop(0)
                value = colour_256(codes.pop(0)) if kind == 5 else '#%02x%02x%02x' % tuple(codes[:3])
                codes = codes if kind == 5 else codes[3:]
                self.front, self.back = (value, self.back) if c == 38 else (self.front, value)
            elif 30 <= c <= 37 or 90 <= c <= 97:
                self.front = COLOURS[c % 10 + (8 if c >= 90 else 0)]
            elif 40 <= c <= 47 or 100 <= c <= 107:
                self.back = COLOURS[c % 10 + (8 if c >= 100 else 0)]
            elif c == 39:
                self.front = None
            elif c == 49:
                self.back = None

    def style(self):
        front, back = self.front or PLAIN, self.back
        if self.swapped:
            front, back = back or GROUND, front
        return front, back, self.bold, self.italic, self.under


def runs(line, pen):
    """(column, text, style) of what is the same throughout."""
    column, at = 0, 0
    line = OTHER.sub('', line)
    for m in list(SGR.finditer(line)) + [None]:
        text = line[at:m.start() if m else len(line)]
        if text:
            yield column, text, pen.style()
        column += len(text)
        if m:
            at = m.end()
            pen.take(m.group(1))


def draw(text, columns=0, rows=0, cursor=None, title=''):
    lines = text.rstrip('\n').split('\n')
    pen = Pen()
    drawn = [list(runs(line, pen)) for line in lines]
    columns = columns or max((c + len(t) for line in drawn for c, t, _ in line), default=1)
    rows = rows or len(lines)
    top = EDGE + (BAR if title else 0)
    width, height = 2 * EDGE + columns * WIDE, top + EDGE + rows * HIGH
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img">' % (
        width, height, width, height)]
    if title:
        out.append('<title>%s</title>' % escape(title))
    out.append('<rect width="100%%" height="100%%" rx="8" fill="%s"/>' % GROUND)
    out.append('<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', \'Liberation Mono\', '
               'monospace" font-size="%d">' % SIZE)
    if title:
        out.append('<text x="%.1f" y="%.1f" text-anchor="middle" fill="%s">%s</text>' % (
            width / 2, EDGE + 8, COLOURS[8], escape(title)))
    if cursor:
        out.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>' % (
            EDGE + cursor[0] * WIDE, top + cursor[1] * HIGH, WIDE, HIGH - 2, COLOURS[8]))
    for row, line in enumerate(drawn[:rows]):
        for column, part, (front, back, bold, italic, under) in line:
            x, long = EDGE + column * WIDE, len(part) * WIDE
            if back:
                out.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>' % (x, top + row * HIGH, long, HIGH, back))
            if part.strip():
                more = ''.join(m for on, m in ((bold, ' font-weight="bold"'), (italic, ' font-style="italic"'),
                                               (under, ' text-decoration="underline"')) if on)
                out.append('<text xml:space="preserve" x="%.1f" y="%.1f" textLength="%.1f" fill="%s"%s>%s</text>' % (
                    x, top + row * HIGH + SIZE, long, front, more, escape(part)))
    return '\n'.join(out + ['</g>', '</svg>']) + '\n'


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--columns', type=int, default=0)
    p.add_argument('--rows', type=int, default=0)
    p.add_argument('--cursor', type=lambda s: tuple(int(n) for n in s.split(',')))
    p.add_argument('--title', default='')
    a = p.parse_args()
    sys.stdout.write(draw(sys.stdin.read(), a.columns, a.rows, a.cursor, a.title))


if __name__ == '__main__':
    main()
