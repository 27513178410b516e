"""Letters with odd structures, made here: what real ones have, and what nobody should send."""
import random

CRLF = '\r\n'


def lines(*text):
    return CRLF.join(text).encode('utf-8', 'surrogateescape') + b'\r\n'


def nested(depth):
    head = ['Subject: nested', 'MIME-Version: 1.0']
    for i in range(depth):
        head += ['Content-Type: multipart/mixed; boundary="b%d"' % i, '', '--b%d' % i]
    head += ['Content-Type: text/plain', '', 'innermost']
    for i in reversed(range(depth)):
        head.append('--b%d--' % i)
    return lines(*head)


def many_parts(n):
    body = ''.join('--x\r\n\r\npart %d\r\n' % i for i in range(n))
    return lines('Subject: many', 'Content-Type: multipart/mixed; boundary=x', '') + body.encode() + b'--x--\r\n'


def enclosed(depth):
    text = lines('Subject: inner', 'From: a@b', '', 'hello')
    for i in range(depth):
        text = lines('Subject: level %d' % i, 'Content-Type: message/rfc822', '') + text
    return text


FIXED = {
    'only-newline': b'\r\n',
    'no-header': b'\r\nbody only\r\n',
    'no-body': b'Subject: x\r\n',
    'no-blank-line': b'Subject: x\r\nFrom: a@b',
    'no-final-newline': b'Subject: x\r\n\r\nbody',
    'plain': lines('From: Ann Example <ann@example.com>', 'To: bob@example.org, "Last, First" <c@d.e>',
                   'Date: Mon, 7 Feb 1994 21:52:25 -0800', 'Subject: afternoon meeting',
                   'Message-Id: <1@x>', 'In-Reply-To: <0@x>', '', 'Hello'),
    'quoted-specials': lines('Subject: a "quoted" \\ backslash', 'From: "A \\"B\\" C" <a@b>', '', 'x'),
    'eight-bit-header': 'Subject: caf\u00e9\r\nFrom: J\u00f6rg <j@x>\r\n\r\nx\r\n'.encode(),
    'latin1-header': 'Subject: caf\u00e9\r\n\r\nx\r\n'.encode('latin1'),
    'encoded-words': lines('Subject: =?utf-8?Q?caf=C3=A9?= =?iso-8859-1?B?6Q==?=', 'From: =?utf-8?q?J=C3=B6rg?= <j@x>', '', 'x'),
    'folded': lines('Subject: one', '  two', '\tthree', 'To: a@b,', ' c@d', '', 'x'),
    'group': lines('To: friends: a@b, "C D" <c@d>;, e@f', 'Cc: undisclosed-recipients:;', 'From: x@y', '', 'x'),
    'route': lines('From: <@hop1,@hop2:user@host>', '', 'x'),
    'comments': lines('From: Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>', 'To: a@b (Alpha Beta)', '', 'x'),
    'no-domain': lines('From: root', 'To: "quoted local"@x, a b c, <d>', '', 'x'),
    'broken-addresses': lines('From: <', 'To: @', 'Cc: a@b@c, ,, ;', 'Bcc: "unterminated', '', 'x'),
    'two-from': lines('From: a@b', 'From: c@d', 'Subject: 1', 'Subject: 2', 'To: x@y', 'To: z@w', '', 'x'),
    'empty-fields': lines('From:', 'Subject: ', 'To:  ', 'Date:', 'Message-Id:', '', 'x'),
    'alternative': lines('Content-Type: multipart/alternative; boundary="=_b"', '', 'preamble', '--=_b',
                         'Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: quoted-printable', '', 'caf=C3=A9',
                         '--=_b', 'Content-Type: text/html; charset=iso-8859-1', '', '<p>x</p>', '--=_b--', 'epilogue'),
    'no-end-boundary': lines('Content-Type: multipart/mixed; boundary=b', '', '--b', '', 'one', '--b', '', 'two'),
    'end-without-newline': lines('Content-Type: multipart/mixed; boundary=b', '', '--b', '', 'one') + b'--b--',
    'no-boundary-parameter': lines('Content-Type: multipart/mixed', '', '--b', '', 'one', '--b--'),
    'boundary-never-comes': lines('Content-Type: multipart/mixed; boundary=b', '', 'nothing here'),
    'boundary-with-blanks': lines('Content-Type: multipart/mixed; boundary="a b"', '', '--a b  ', '', 'one', '--a b--  '),
    'boundary-prefix': lines('Content-Type: multipart/mixed; boundary=ab', '', '--ab', 'Content-Type: multipart/mixed; boundary=abc',
                             '', '--abc', '', 'inner', '--abc--', '--ab--'),
    'outer-boundary-in-inner': lines('Content-Type: multipart/mixed; boundary=o', '', '--o', 'Content-Type: multipart/mixed; boundary=i',
                                     '', '--i', '', 'cut', '--o', '', 'next', '--o--'),
    'empty-parts': lines('Content-Type: multipart/mixed; boundary=b', '', '--b', '--b', '', '--b', 'Content-Type: text/html', '--b--'),
    'empty-multipart': lines('Content-Type: multipart/mixed; boundary=b', '', '--b--'),
    'digest': lines('Content-Type: multipart/digest; boundary=b', '', '--b', '', 'Subject: one', '', 'first', '--b',
                    'Content-Type: text/plain', '', 'not a message', '--b--'),
    'parameters': lines('Content-Type: application/octet-stream; name="a b.txt"; x=y', 'Content-Disposition: attachment; filename="a.txt"; size=12',
                        'Content-Description: a thing', 'Content-Id: <id@x>', 'Content-Language: en, de', 'Content-Location: http://x/',
                        'Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==', 'Content-Transfer-Encoding: base64', '', 'AAAA'),
    'rfc2231': lines("Content-Type: text/plain; name*0*=utf-8'en'caf%C3%A9; name*1=.txt; charset=utf-8",
                     "Content-Disposition: attachment; filename*=utf-8''%e2%82%ac.txt", '', 'x'),
    'odd-types': lines('Content-Type: TEXT', 'Content-Transfer-Encoding: weird', '', 'x'),
    'type-with-comment': lines('Content-Type: text/plain (plain text); charset=us-ascii (ascii)', '', 'x'),
    'type-garbage': lines('Content-Type: /; =', 'Content-Disposition: ;', 'Content-Language: ', '', 'x'),
    'type-empty': lines('Content-Type:', '', 'x'),
    'encoding-binary': lines('Content-Type: text/plain', 'Content-Transfer-Encoding: BINARY', '', 'x'),
    'message': enclosed(1),
    'message-3': enclosed(3),
    'message-encoded': lines('Content-Type: message/rfc822', 'Content-Transfer-Encoding: base64', '', 'U3ViamVjdDogeA0KDQp4DQo='),
    'message-in-multipart': lines('Content-Type: multipart/mixed; boundary=b', '', '--b', 'Content-Type: message/rfc822', '',
                                  'Subject: in', 'Content-Type: multipart/alternative; boundary=c', '', '--c', '', 'one', '--c--', '--b', '', 'last', '--b--'),
    'message-empty': lines('Content-Type: message/rfc822', ''),
    'delivery-report': lines('Content-Type: multipart/report; report-type=delivery-status; boundary=b', '', '--b', '', 'It failed.',
                             '--b', 'Content-Type: message/delivery-status', '', 'Reporting-MTA: dns; x', '', 'Final-Recipient: rfc822; a@b',
                             '--b', 'Content-Type: text/rfc822-headers', '', 'Subject: it', '--b--'),
    'damaged-header': lines('Subject: x', 'this is no field', 'From: a@b', '', 'x'),
    'space-before-colon': lines('Subject : x', 'From\t: a@b', '', 'x'),
    'long-line': b'Subject: x\r\n\r\n' + b'y' * 100000 + b'\r\n',
    'long-header': b'Subject: ' + b'word ' * 5000 + b'\r\nFrom: a@b\r\n\r\nx\r\n',
    'many-fields': b''.join(b'X-%d: y\r\n' % i for i in range(1000)) + b'Subject: last\r\n\r\nx\r\n',
    'many-addresses': b'To: ' + b',\r\n '.join(b'a%d@b' % i for i in range(500)) + b'\r\n\r\nx\r\n',
    'eight-bit-body': b'Subject: x\r\nContent-Type: text/plain; charset=latin1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9\xff\r\n',
    'nested-10': nested(10),
    'nested-40': nested(40),
    'parts-200': many_parts(200),
    'parts-3000': many_parts(3000),
}

WORDS = ['--b', '--b--', '--c', '--c--', '', '', 'text', 'Content-Type: multipart/mixed; boundary=c',
         'Content-Type: multipart/alternative; boundary="b"', 'Content-Type: message/rfc822', 'Content-Type: text/html',
         'Subject: x', ' folded', 'From: a <b@c>', 'Content-Disposition: inline', '--', '--bc', 'Content-Transfer-Encoding: base64']


def random_letter(seed):
    """Lines that mean something to a MIME parser, in any order."""
    r = random.Random(seed)
    head = ['Content-Type: multipart/%s; boundary=b' % r.choice(('mixed', 'digest', 'alternative')), 'Subject: seed %d' % seed, '']
    return lines(*(head + [r.choice(WORDS) for _ in range(r.randrange(4, 40))]))


# (Message-ID, References, In-Reply-To, Subject): what THREAD and SORT are about.
TALK = [
    ('a1', '', '', 'Project plan'), ('a2', 'a1', '', 'Re: Project plan'), ('a3', 'a1 a2', '', 'RE: re: project  plan'),
    ('a4', '', 'a2', 'Re[2]: Project plan'), ('a5', 'a9', '', 'Fwd: Project plan'), ('a6', 'a9', '', '[list] Re: Project plan (fwd)'),
    ('a7', 'a1 missing1 missing2', '', 'something else'), ('a8', 'a8', '', 'its own parent'), ('b1', 'b2', '', 'circle'),
    ('b2', 'b1', '', 'Re: circle'), ('c2', 'c1', '', 'Re: late root'), ('c1', '', '', 'late root'), ('', '', '', 'Re: late root'),
    ('a1', '', '', 'same id again'), ('d1', 'c1 a1', '', 'two trees'), ('e1', '', 'Your letter of <a3@t> and <a2@t>', 'Re: no refs'),
    ('f1', '', '', '=?utf-8?q?Stra=C3=9Fe?='), ('f2', '', '', 'Re: =?iso-8859-1?q?Stra=DFe?='), ('f3', '', '', 'STRASSE'),
    ('g1', '', '', ''), ('g2', '', '', 'Re:'), ('g3', '', '', '[only a blob]'), ('g4', '', '', 'Re: [blob] [fwd: [fwd: nested]]'),
    ('h1', 'h0', '', 'orphan one'), ('h2', 'h0', '', 'orphan two'), ('h3', 'h1 h2', '', 'Re: orphan'),
    ('i1', '', '', 'same subject'), ('i2', '', '', 'same subject'), ('i3', 'i2', '', 'Re: same subject'), ('i4', '', '', 'Re: same subject'),
]


def conversation():
    """Letters that answer one another, of days in no order."""
    out = {}
    for n, (id, refs, reply, subject) in enumerate(TALK):
        head = ['From: =?utf-8?q?J=C3=B6rg_%c?= <user%d@Example.%s>' % (65 + n * 5 % 26, n % 4, ('org', 'COM')[n % 2]),
                'To: %s' % ('Team <team@x.example>', 'ann@x.example, bob@y.example', '"Zed, A" <zed@x.example>')[n % 3],
                'Date: %s, %02d Mar 2021 %02d:30:00 %s' % ('Mon', 1 + n * 11 % 28, n % 24, ('+0000', '-0700', '+0900')[n % 3])]
        head += ['Message-ID: <%s@t>' % id] if id else []
        head += ['References: ' + ' '.join('<%s@t>' % r for r in refs.split())] if refs else []
        head += ['In-Reply-To: ' + (reply if '<' in reply else '<%s@t>' % reply)] if reply else []
        head += ['Subject: ' + subject] if subject or n % 2 else []
        out['talk-%d' % n] = lines(*head, '', 'Letter %d of the talk' % n)
    return out
