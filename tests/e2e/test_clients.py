"""Letters from all kinds of clients: telnet, smtplib, swaks, curl, smtp-source."""
import email
import os
import re
import select
import shutil
import socket
import subprocess
import time

import pytest

from server import ROOT, SLOW, split_letter

LETTER = (b'From: Ann <ann@example.net>\r\nTo: alice@example.com\r\nSubject: hello\r\n'
          b'Date: Fri, 27 Apr 2012 23:29:54 +0000\r\nMessage-ID: <1@example.net>\r\n\r\n'
          b'line one\r\n.dot\r\n..two dots\r\n\r\nlast line\r\n')


def fields(front):
    """[(name, value)] of a header block."""
    text = re.sub(rb'\r\n[ \t]+', b' ', front).decode()
    return [tuple(p.strip() for p in line.split(':', 1)) for line in text.split('\r\n') if line]


def test_one_keystroke_per_packet(lab):
    with lab.talk() as t:
        def typed(line):
            for octet in line + b'\r\n':
                t.send(bytes([octet]))
                time.sleep(0.0005)
        assert t.reply()[0] == 220
        for line, code in ((b'helo me', 250), (b'mail from: testing@example.net', 250),
                           (b'rcpt to: alice@example.com', 250), (b'data', 354)):
            typed(line)
            assert t.reply()[0] == code
        typed(b'This is a test.')
        typed(b'.')
        assert t.reply()[0] == 250
        typed(b'quit')
        assert t.reply()[0] == 221
        assert t.at_end()
    stored = lab.only_letter('alice@example.com')
    assert stored.endswith(b'\r\nThis is a test.\r\n')
    assert stored.startswith(b'Return-Path: <testing@example.net>\r\n')


def test_telnet(lab):
    """The program itself. From a pipe it sends CR LF for a line feed."""
    p = subprocess.Popen(['telnet', '127.0.0.1', str(lab.port())], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)

    def until(what):
        said = b''
        while not re.search(what, said):
            assert select.select([p.stdout], [], [], 20 * SLOW)[0], said
            octets = os.read(p.stdout.fileno(), 4096)
            assert octets, said
            said += octets

    until(rb'220 .*\n')
    for lines, answer in ((b'ehlo me', rb'250 .*\n'), (b'mail from:<a@example.net>', rb'250 .*\n'),
                          (b'rcpt to:<alice@example.com>', rb'250 .*\n'), (b'data', rb'354 .*\n'),
                          (b'Subject: by telnet\n\nhello\n.', rb'250 .*\n'), (b'quit', rb'221 .*\n')):
        p.stdin.write(lines + b'\n')
        p.stdin.flush()
        until(answer)
    p.stdin.close()
    p.wait(20)
    p.stdout.close()
    assert b'Subject: by telnet\r\n\r\nhello\r\n' in lab.only_letter('alice@example.com')


def test_smtplib(lab):
    with lab.smtp() as s:
        s.ehlo()
        assert s.has_extn('pipelining') and s.has_extn('8bitmime') and s.has_extn('smtputf8')
        assert s.has_extn('chunking') and s.has_extn('enhancedstatuscodes') and s.has_extn('dsn')
        refused = s.sendmail('ann@example.net', ['alice@example.com', 'bob@example.com'], LETTER)
        assert refused == {}
    for who in ('alice', 'bob'):
        front = fields(split_letter(lab.only_letter(who + '@example.com'), LETTER))
        names = [n for n, _ in front]
        assert names == ['Return-Path', 'Delivered-To', 'Received']
        assert front[0][1] == '<ann@example.net>'
        assert front[1][1] == who + '@example.com'
        assert ' with ESMTP ' in front[2][1] and 'client.example.net' in front[2][1] and '[127.0.0.1]' in front[2][1]
        assert ' for ' not in front[2][1], 'two recipients: no for clause'


def test_for_clause_for_one_recipient(lab):
    lab.send(LETTER)
    received = dict(fields(split_letter(lab.only_letter('alice@example.com'), LETTER)))['Received']
    assert 'for <alice@example.com>' in received


def test_eight_bit(lab):
    letter = b'Subject: 8bit\r\nFrom: a@example.net\r\n\r\n' + bytes(range(128, 256)) + b'\r\n\xc3\xa4\r\n'
    lab.send(letter, options=['BODY=8BITMIME'])
    split_letter(lab.only_letter('alice@example.com'), letter)


def test_smtputf8(make_lab):
    lab = make_lab(users=['j\u00f6rg@example.com', 'alice@example.com'])
    with lab.talk() as t:
        t.begin()
        assert t.ask('MAIL FROM:<\u00e4nn@example.net>', 553)[1].startswith('5.6.7')
        t.ask('MAIL FROM:<ann@example.net>', 250)
        assert t.ask('RCPT TO:<j\u00f6rg@example.com>', 553)[1].startswith('5.6.7')
        t.ask('RSET', 250)
        t.ask('MAIL FROM:<\u00e4nn@example.net> SMTPUTF8', 250)
        t.ask('RCPT TO:<j\u00f6rg@example.com>', 250)
        t.ask('DATA', 354)
        t.send('Subject: gr\u00fc\u00dfe\r\n\r\nhallo\r\n.\r\n')
        assert t.reply()[0] == 250
    with lab.smtp() as s:
        s.sendmail('\u00e4nn@example.net', 'alice@example.com', LETTER, mail_options=['SMTPUTF8'])
    assert lab.count('alice@example.com') == 1
    stored = lab.only_letter('j\u00f6rg@example.com')
    assert stored.startswith('Return-Path: <\u00e4nn@example.net>\r\n'.encode())
    assert b' with UTF8SMTP ' in stored


def test_bdat_by_hand(lab):
    half = len(LETTER) // 2
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<ann@example.net>', 250)
        t.ask('RCPT TO:<alice@example.com>', 250)
        t.send(b'BDAT %d\r\n' % half + LETTER[:half])
        assert t.reply()[0] == 250
        t.send(b'BDAT %d\r\n' % (len(LETTER) - half) + LETTER[half:])
        assert t.reply()[0] == 250
        t.send(b'BDAT 0 LAST\r\n')
        assert t.reply()[0] == 250
        t.ask('QUIT', 221)
    split_letter(lab.only_letter('alice@example.com'), LETTER)


def test_binarymime(lab):
    letter = b'Subject: binary\r\n\r\n' + bytes(range(256)) * 4
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<ann@example.net> BODY=BINARYMIME', 250)
        t.ask('RCPT TO:<alice@example.com>', 250)
        assert t.ask('DATA')[0] == 503
        t.send(b'BDAT %d LAST\r\n' % len(letter) + letter)
        assert t.reply()[0] == 250
    assert letter in lab.only_letter('alice@example.com')


def test_bdat_of_a_refused_transaction_is_eaten(lab):
    with lab.talk() as t:
        t.begin()
        t.send(b'BDAT 20\r\n' + b'MAIL FROM:<a@b.cc>\r\nNOOP\r\n')
        assert t.reply()[0] == 503
        assert t.reply()[0] == 250
        t.ask('QUIT', 221)
        assert t.at_end()


def test_pipelining(lab):
    with lab.talk() as t:
        t.begin()
        t.send('MAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.com>\r\nRCPT TO:<nobody@example.com>\r\n'
               'RCPT TO:<x@elsewhere.example>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n')
        assert [t.reply()[0] for _ in range(6)] == [250, 250, 550, 550, 250, 354]
        t.send('Subject: one\r\n\r\none\r\n.\r\nMAIL FROM:<b@example.net>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n')
        assert [t.reply()[0] for _ in range(4)] == [250, 250, 250, 354]
        t.send('Subject: two\r\n\r\ntwo\r\n.\r\nQUIT\r\n')
        assert [t.reply()[0] for _ in range(2)] == [250, 221]
        assert t.at_end()
    assert lab.count('alice@example.com') == 2
    assert lab.count('bob@example.com') == 1


def test_body_behind_a_refused_data_is_not_executed(lab):
    with lab.talk() as t:
        t.begin()
        t.send('MAIL FROM:<a@example.net>\r\nRCPT TO:<nobody@example.com>\r\nDATA\r\n'
               'MAIL FROM:<b@example.net>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\nevil\r\n.\r\nQUIT\r\n')
        assert [t.reply()[0] for _ in range(2)] == [250, 550]
        assert t.reply()[0] in (503, 554)
        assert t.at_end()
    assert lab.count('alice@example.com') == 0


def test_http_is_no_mail(lab):
    with lab.talk() as t:
        assert t.reply()[0] == 220
        t.send('POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b.cc>\r\n')
        rest = t.file.read()
        assert rest.count(b'\r\n') <= 1, rest


def test_commands_by_line_feed_are_not_executed(lab):
    with lab.talk() as t:
        t.begin()
        t.send('MAIL FROM:<a@example.net>\n')
        assert t.reply()[0] == 500
        t.ask('MAIL FROM:<a@example.net>', 250)


def test_two_from_fields_are_refused(lab):
    for second in (b'From: b@example.net', b'From : b@example.net'):
        with lab.talk() as t:
            t.begin()
            t.ask('MAIL FROM:<a@example.net>', 250)
            t.ask('RCPT TO:<alice@example.com>', 250)
            t.ask('DATA', 354)
            t.send(b'From: a@example.net\r\n' + second + b'\r\nSubject: x\r\n\r\nx\r\n.\r\n')
            assert t.reply()[0] == 554
    assert lab.count('alice@example.com') == 0


def test_ipv6(lab):
    probe = socket.socket(socket.AF_INET6)
    try:
        probe.bind(('::1', 0))
    except OSError:
        pytest.skip('this host has no ::1')
    finally:
        probe.close()
    with lab.smtp(host='::1') as s:
        s.sendmail('ann@example.net', 'alice@example.com', LETTER)
    front = split_letter(lab.only_letter('alice@example.com'), LETTER)
    assert b'[IPv6:::1]' in front


def test_swaks(lab, tmp_path):
    body = tmp_path / 'body'
    body.write_text('From: a@example.net\nTo: alice@example.com\nSubject: swaks\n\nhello from swaks\n')
    for more in ([], ['--pipeline'], ['--protocol', 'SMTP']):
        r = subprocess.run(['swaks', '--server', '127.0.0.1', '--port', str(lab.port()), '--from', 'a@example.net',
                            '--to', 'alice@example.com,bob@example.com', '--helo', 'swaks.example.net', '--data',
                            '@' + str(body)] + more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert r.returncode == 0, r.stdout
    letters = lab.letters('alice@example.com')
    assert len(letters) == 3 and all(b'hello from swaks' in x for x in letters)
    assert b' with SMTP ' in letters[2] and b' with ESMTP ' in letters[0]
    assert lab.count('bob@example.com') == 3


def test_swaks_with_an_attachment(lab, tmp_path):
    octets = os.urandom(200000)
    (tmp_path / 'a.bin').write_bytes(octets)
    r = subprocess.run(['swaks', '--server', '127.0.0.1', '--port', str(lab.port()), '--from', 'a@example.net',
                        '--to', 'alice@example.com', '--helo', 'swaks.example.net', '--body', 'see file',
                        '--attach', '@' + str(tmp_path / 'a.bin')], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True)
    assert r.returncode == 0, r.stdout
    letter = email.message_from_bytes(lab.only_letter('alice@example.com'))
    assert octets in [p.get_payload(decode=True) for p in letter.walk()]


def test_curl(lab, tmp_path):
    (tmp_path / 'letter').write_bytes(LETTER)
    r = subprocess.run(['curl', '-sS', 'smtp://127.0.0.1:%d/curl.example.net' % lab.port(), '--mail-from',
                        'ann@example.net', '--mail-rcpt', 'alice@example.com', '--upload-file',
                        str(tmp_path / 'letter')], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 0, r.stdout
    split_letter(lab.only_letter('alice@example.com'), LETTER)


def smtp_source():
    system = shutil.which('smtp-source', path='/usr/sbin:/usr/bin:/sbin:/bin')
    if system:
        return [system], {}
    peer = os.path.join(ROOT, 'build', 'peers', 'postfix')
    path = os.path.join(peer, 'usr', 'sbin', 'smtp-source')
    assert os.path.exists(path), 'smtp-source is not there; tools/setup.sh test unpacks it'
    return [path], {'LD_LIBRARY_PATH': os.path.join(peer, 'usr', 'lib', 'postfix')}


def test_smtp_source(lab):
    command, env = smtp_source()
    n = 5000 // SLOW
    r = subprocess.run(command + ['-s', '50', '-l', '4096', '-m', str(n), '-f', 'a@example.net', '-t', 'alice@example.com',
                                  '127.0.0.1:%d' % lab.port()],
                       env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       timeout=300 * SLOW)
    assert r.returncode == 0 and not r.stdout, r.stdout
    assert lab.count('alice@example.com') == n
