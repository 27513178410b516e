"""pennypost merge: the table, the letters, and servers with and without XMRG."""
import pytest

from puppet import Puppet, client, objects

PART1 = 'Subject: hello &name;\nTo: &*TO;\nFrom: &*FROM;\n\nDear &NAME;, &trade; &undefined;\n.dot &n;\n'
PART2 = 'An offer for &color; things.\n'
TABLE = ('email,name,n,color,*PARTS\r\nalice@example.com,"Alice ""A/B"" & Co",1,red,"1,2"\r\nbob@example.com,Bob,2,blue,1\r\n'
         'nobody@example.com,No,3,x,1\r\nnot-an-address,No,4,x,1\r\nalice+x@example.com,Al,5,green,\r\n')


@pytest.fixture
def files(tmp_path):
    for name, text in (('1.txt', PART1), ('2.txt', PART2), ('rows.csv', TABLE)):
        (tmp_path / name).write_text(text, newline='')
    return tmp_path


def merge(files, *words, data=None, parts=('1.txt', '2.txt'), **more):
    return client('merge', '--data', data or str(files / 'rows.csv'), '--from', 'news@example.net', '--timeout', '10',
                  *[str(files / p) for p in parts], *words, **more)


def bodies(lab, address):
    return [letter.split(b'\r\n\r\n', 1)[1].decode() for letter in lab.letters(address)]


@pytest.mark.parametrize('ipmm', [True, False])
def test_lab(make_lab, files, ipmm):
    lab = make_lab(sets=['ipmm=yes'] if ipmm else [])
    r = merge(files, '127.0.0.1:%d' % lab.port())
    assert r.returncode == 11, r.stderr
    assert ('3 sent in 1 merge, 2 refused' if ipmm else '3 sent, 2 refused') in r.stdout
    assert 'row 4  nobody@example.com  550 5.1.1' in r.stdout and 'row 5  not-an-address  this is no address' in r.stdout
    assert ('no XMRG' in r.stderr) == (not ipmm)
    assert bodies(lab, 'alice@example.com') == [
        'Dear Alice "A/B" & Co, &trade; &undefined;\r\n.dot 1\r\nAn offer for red things.\r\n',
        'Dear Al, &trade; &undefined;\r\n.dot 5\r\nAn offer for green things.\r\n']
    assert bodies(lab, 'bob@example.com') == ['Dear Bob, &trade; &undefined;\r\n.dot 2\r\n']
    letter = lab.letters('alice@example.com')[1]
    assert b'Subject: hello Al\r\nTo: alice+x@example.com\r\nFrom: news@example.net\r\n' in letter


def test_the_same_both_ways(make_lab, files):
    """What the server puts together is what we do."""
    lab = make_lab(sets=['ipmm=yes'])
    one = ['127.0.0.1:%d' % lab.port()]
    merge(files, *one)
    merge(files, *one, '--single')
    first, second = [b[:2] for b in (bodies(lab, 'alice@example.com'), bodies(lab, 'alice@example.com')[2:])]
    assert len(first) == 2 and first == second


def test_json(make_lab, files):
    lab = make_lab(sets=['ipmm=yes'])
    got = objects(merge(files, '--json', '127.0.0.1:%d' % lab.port()))
    assert {(o['row'], o['address']) for o in got[:-1]} == {(4, 'nobody@example.com'), (5, 'not-an-address')}
    assert got[-1] == {'ev': 'result', 'sent': 3, 'refused': 2, 'merges': 1, 'status': 11}


def test_many(make_lab, files):
    """More than one merge, because the server takes only so many recipients in one."""
    lab = make_lab(sets=['ipmm=yes', 'limit.ipmm_rcpts=300', 'fronts=1'])
    n = 1000
    (files / 'many.csv').write_text('to;n\n' + ''.join('alice+%d@example.com;%d\n' % (i, i) for i in range(n)))
    r = merge(files, '127.0.0.1:%d' % lab.port(), data=str(files / 'many.csv'), parts=('2.txt', '1.txt'))
    assert r.returncode == 0 and '%d sent in 4 merges, 0 refused' % n in r.stdout, r.stdout + r.stderr
    assert lab.count('alice@example.com') == n


def test_dry_run(files):
    r = merge(files, '--dry-run')
    assert r.returncode == 0 and 'Dear Alice "A/B" & Co, &trade; &undefined;\n.dot 1\nAn offer for red things.\n' in r.stdout
    assert r.stdout.startswith('MAIL FROM:<news@example.net>\nRCPT TO:<alice@example.com>\n')


def test_standard_input(make_lab, files):
    lab = make_lab(sets=['ipmm=yes'])
    r = client('merge', '--data', '-', '--from', 'news@example.net', str(files / '1.txt'), '127.0.0.1:%d' % lab.port(),
               input='\ufeffmail\tname\nbob@example.com\tB\u00f6b\n')
    assert r.returncode == 0, r.stderr
    assert 'Böb'.encode() in lab.only_letter('bob@example.com')


def test_brackets(make_lab, files):
    lab = make_lab(sets=['ipmm=yes', 'ipmm_subst=brackets'])
    (files / 'b.txt').write_text('Subject: hello [name]\n\n[[x] [*to] [none]!\n')
    r = merge(files, '--brackets', '127.0.0.1:%d' % lab.port(), parts=('b.txt',))
    assert 'sent' in r.stdout
    assert bodies(lab, 'bob@example.com') == ['[x] bob@example.com !\r\n']
    r = merge(files, '--dry-run', '--brackets', parts=('b.txt',))
    assert 'Subject: hello Bob\n' in r.stdout


@pytest.mark.parametrize('table, status, text', [
    ('', 18, 'is empty'),
    ('name\nx\n', 1, 'no column for the address'),
    ('to,*x\na@b.org,1\n', 1, 'reserved name'),
    ('to,a b\na@b.org,1\n', 1, 'is no name of a variable'),
    ('to,a,A\na@b.org,1,2\n', 1, 'two columns'),
    ('to,a\na@b.org,"x\n', 18, 'row 2: a quote is not closed'),
])
def test_bad_tables(files, table, status, text):
    (files / 'rows.csv').write_text(table)
    r = merge(files, '127.0.0.1:1')
    assert r.returncode == status and text in r.stderr, r.stderr


def test_bad_rows(files):
    """Told with their numbers; nothing of them goes over the line."""
    (files / 'rows.csv').write_text('to,a,*PARTS\nx@example.com,"1\n2",1\ny@example.com,1,7\nz@example.com,1,1,1\n,1,1\n'
                                    'w@example.com,' + 'x' * 5000 + ',1\nok@example.com,1,1\n')
    with Puppet(XMRG='250 ok', XDFN='250 ok', XPRT='354 go', DOT='250 ok') as mx:
        r = merge(files, mx.address)
    assert r.returncode == 11 and '1 sent in 1 merge, 5 refused' in r.stdout
    assert [line.split()[1] for line in r.stdout.splitlines() if line.startswith('row')] == ['2', '3', '4', '5', '6']
    assert [line for line in mx.said() if line.startswith('RCPT')] == ['RCPT TO:<ok@example.com>']
    assert 'XDFN a="1" *PARTS=1' in ' '.join(mx.said()) or 'XDFN to="ok@example.com" a="1" *PARTS=1' in mx.said()


@pytest.mark.parametrize('answers, status, text', [
    ({'XMRG': '550 5.7.1 not you'}, 9, 'XMRG was refused'),
    ({'XMRG': '250 ok', 'XDFN': '504 no'}, 12, 'row 3: XDFN was refused'),
    ({'XMRG': '250 ok', 'XDFN': '250 ok', 'XPRT': '504 no'}, 12, 'part 1 was refused'),
    ({'XMRG': '250 ok', 'XDFN': '250 ok', 'XPRT': '354 go', 'DOT': '552 too big'}, 12, 'part 1 was refused'),
    ({'XMRG': '250 ok', 'XDFN': '250 ok', 'RCPT': '550 no'}, 10, ''),
    ({'XMRG': '250 ok', 'XDFN': '250 ok', 'RCPT': '421 bye'}, 14, 'ends the session'),
    ({'XMRG': '250 ok', 'XDFN': '250 ok', 'XPRT': '354 go', 'DOT': lambda s, line: s.shutdown(2) or b''}, 14, 'part'),
    ({'EHLO': '550 no', 'HELO': '550 no'}, 7, ''),
])
def test_sick_servers(files, answers, status, text):
    with Puppet(**answers) as mx:
        r = merge(files, mx.address, parts=('1.txt',))
    assert r.returncode == status and (text in r.stderr or text == 'part'), r.stdout + r.stderr


def test_session_limit(files):
    """A server that takes two letters in a session gets the others in further sessions."""
    with Puppet(MAIL=['250 ok', '250 ok', '421 too many letters'], DOT='250 ok', XMRG='500 what?') as mx:
        (files / 'rows.csv').write_text('to\n' + ''.join('u%d@example.com\n' % i for i in range(5)))
        r = merge(files, mx.address)
    assert r.returncode == 0 and '5 sent' in r.stdout and len(mx.heard) == 3


def test_silence_is_no_reason_to_send_again(files):
    """Behind the end of a letter it may have arrived (RFC 1047)."""
    with Puppet(XMRG='500 what?', DATA='354 go', DOT=lambda s, line: None) as mx:
        r = merge(files, mx.address, '--single', '--timeout', '1')
    assert r.returncode == 15 and len(mx.heard) == 1, r.stdout + r.stderr


def test_usage(files):
    assert client('merge').returncode == 1
    assert merge(files).returncode == 1  # no server
    assert merge(files, 'x:1', parts=('3.txt',)).returncode in (1, 18)
    r = client('merge', '--data', str(files / 'rows.csv'), str(files / '1.txt'), '127.0.0.1:1')
    assert r.returncode == 1 and '--from' in r.stderr
    assert 'Example' in client('merge', '--help').stdout
