"""Questions about the letters of differential.py: every key of SEARCH, SORT and THREAD."""

# Programs that may be answered otherwise, and why.
EXPLAINED = {
    'SEARCH 100000:*': 'a range has the last letter in it when one end is * (RFC 9051 9, seq-range); theirs does so for UIDs alone',
    'UID SEARCH 100000:*': 'the same',
    'SEARCH ON 32-Jan-2020': 'not a date',
}


def charset(name, program, text):
    """A word in a charset, as a literal."""
    octets = text.encode(name)
    return b'SEARCH CHARSET %s %s {%d+}\r\n' % (name.encode(), program.encode(), len(octets)) + octets


WORDS = ['hello', 'x', 'test', 'SUBJECT', 'example.com', 'a', '"plain text"', '"<p>"', '"b"', '""', '"="', '"."', 'boundary', 'one',
         '"Last, First"', 'nosuchword']
FLAG_KEYS = ['ANSWERED', 'DELETED', 'DRAFT', 'FLAGGED', 'SEEN', 'UNANSWERED', 'UNDELETED', 'UNDRAFT', 'UNFLAGGED', 'UNSEEN',
             'KEYWORD Work', 'KEYWORD WORK', 'KEYWORD $Forwarded', 'KEYWORD nosuch', 'UNKEYWORD Work', 'UNKEYWORD nosuch', 'ALL']
SETS = ['1', '1:10', '10:1', '5,3,1', '1,1,2:4,3', '*', '300:*', '*:300', '1:*', '100000', '100000:*', '7:9,200,*',
        'UID 1', 'UID 1:10', 'UID 10:1', 'UID *', 'UID 100000', 'UID 100000:*', 'UID 3,5:7,100000', 'NOT 1:100', 'NOT UID 50:*',
        '1:50 NOT 10:20', 'OR 1:5 300:305', '1:10 UID 5:20']
SIZES = ['LARGER 0', 'LARGER 100', 'LARGER 1000', 'LARGER 100000', 'SMALLER 0', 'SMALLER 100', 'SMALLER 1000', 'SMALLER 4294967295',
         'LARGER 50 SMALLER 200', 'NOT LARGER 500', 'OR LARGER 50000 SMALLER 50']
DAYS = ['1-Jan-2020', '"2-Jan-2020"', '15-Jun-2020', '1-Jan-2021', '31-Dec-2021', '1-Jan-1990', '1-Jan-2040']
SENT = ['7-Feb-1994', '8-Feb-1994', '1-Mar-2021', '12-Mar-2021', '13-Mar-2021', '21-Nov-1997', '1-Jan-2005', '22-Aug-2005', '1-Jan-1971']
HEADERS = ['SUBJECT ""', 'SUBJECT meeting', 'X-0 y', 'X-999 ""', 'X-NOSUCH ""', 'Message-ID 1@x', 'Message-ID ""', 'In-Reply-To 0@x',
           'References a1@t', 'Content-Type multipart', 'Content-Type ""', 'Received ""', 'MIME-Version 1.0', 'Date 1994', 'From ann',
           'To bob@example.org', 'Reply-To ""', 'Sender ""', 'Bcc ""', 'Content-Disposition attachment', 'Return-Path ""',
           'DKIM-Signature ""']
NESTS = ['OR SEEN FLAGGED', 'OR (SEEN FLAGGED) (DRAFT)', 'NOT (SEEN FLAGGED)', 'NOT NOT SEEN', 'NOT OR SEEN FLAGGED',
         'OR OR SEEN FLAGGED OR DRAFT ANSWERED', '(((SEEN)))', 'OR NOT SEEN NOT FLAGGED', 'NOT SUBJECT seed', 'NOT BODY text',
         'NOT TEXT seed', 'OR SUBJECT seed BODY hello', 'OR BODY text TEXT one', 'SUBJECT seed BODY text NOT TEXT html',
         'NOT (OR BODY text SUBJECT seed)', 'OR (1:50 BODY x) (100:150 SUBJECT seed)', 'SEEN SUBJECT seed SINCE 1-Jun-2020',
         'NOT FROM a OR TO b CC c', 'NOT HEADER From ""', 'OR NOT SENTSINCE 1-Jan-2000 LARGER 5000',
         'FROM a TO b', 'SUBJECT meeting FROM ann', 'BODY one BODY two', 'OR BODY one BODY two', 'TEXT seed NOT BODY seed']
ENCODED = [('utf-8', 'SUBJECT', 'café'), ('utf-8', 'SUBJECT', 'CAFÉ'), ('iso-8859-1', 'SUBJECT', 'café'),
           ('utf-8', 'FROM', 'Jörg'), ('utf-8', 'FROM', 'jörg'), ('utf-8', 'SUBJECT', 'Straße'), ('utf-8', 'SUBJECT', 'strasse'),
           ('utf-8', 'BODY', 'café'), ('iso-8859-1', 'BODY', 'é'), ('utf-8', 'TEXT', 'é'), ('utf-8', 'BODY', 'Jörg'),
           ('utf-8', 'BODY', 'すみません'), ('shift_jis', 'BODY', 'あいうえお'), ('iso-2022-jp', 'BODY', 'すみません'),
           ('utf-8', 'SUBJECT', '日本'), ('utf-8', 'TEXT', 'まみむめも'), ('utf-8', 'HEADER Subject', 'é'),
           ('utf-8', 'HEADER To', 'ü'), ('utf-8', 'BODY', 'é'), ('utf-8', 'BODY', 'É'), ('utf-8', 'TEXT', 'ß'),
           ('utf-8', 'BODY', '한국'), ('euc-kr', 'TEXT', '한'), ('us-ascii', 'SUBJECT', 'seed'), ('koi8-r', 'SUBJECT', 'и'),
           ('windows-1251', 'TEXT', 'и')]


def search(*programs):
    return ['SEARCH ' + p for p in programs]


GROUPS = {
    'flags': search(*FLAG_KEYS),
    'sets': search(*SETS) + ['UID SEARCH ' + p for p in SETS[:12]],
    'sizes': search(*SIZES),
    'days': search(*[k + ' ' + d for k in ('ON', 'BEFORE', 'SINCE') for d in DAYS]),
    # Letters without a date are of no day (RFC 9051 6.4.4: those whose Date is ...); theirs takes them for letters of 1970.
    'sent': search(*[k + ' ' + d for k in ('SENTON', 'SENTSINCE') for d in SENT],
                   *['SENTBEFORE %s SENTSINCE 2-Jan-1971' % d for d in SENT]),
    'headers': search(*['HEADER ' + h for h in HEADERS]),
    'fields': search(*['%s %s' % (k, w) for k in ('SUBJECT', 'FROM', 'TO', 'CC', 'BCC') for w in WORDS]),
    'bodies': search(*['%s %s' % (k, w) for k in ('BODY', 'TEXT') for w in WORDS]),
    'nests': search(*NESTS),
    'encoded': [charset(*row) for row in ENCODED],
    'wrong': search('', 'NOSUCH', 'FROM', '0', '(', 'OR SEEN', 'LARGER x', 'ON 32-Jan-2020', 'ON 1-Foo-2020', 'KEYWORD',
                    'CHARSET nosuch ALL', 'UID', 'UID 0', 'NOT', 'HEADER x'),
}
KEYS = ['ARRIVAL', 'CC', 'DATE', 'FROM', 'SIZE', 'SUBJECT', 'TO', 'DISPLAYFROM', 'DISPLAYTO']
ORDERS = {
    'sort': ['SORT (%s%s) UTF-8 {all}' % (r, k) for k in KEYS for r in ('', 'REVERSE ')],
    'sort by more': ['SORT (SUBJECT DATE) UTF-8 {all}', 'SORT (FROM REVERSE DATE) UTF-8 {all}', 'SORT (TO CC SIZE) UTF-8 {all} 1:200',
                     'UID SORT (REVERSE SUBJECT ARRIVAL) UTF-8 {all} SEEN', 'SORT (DATE) UTF-8 SUBJECT re', 'SORT (SIZE) UTF-8 UID 5:9',
                     'SORT (DATE) US-ASCII NOT ALL'],
    'thread': [c + a + ' UTF-8 ' + w for a in ('REFERENCES', 'ORDEREDSUBJECT') for c, w in
               (('THREAD ', '{all}'), ('UID THREAD ', '{all}'), ('THREAD ', '{all} SEEN'), ('THREAD ', '{all} 1:100'), ('THREAD ', 'NOT ALL'),
                ('THREAD ', 'SUBJECT plan'), ('THREAD ', 'HEADER Message-ID @t {all}'))],
}
