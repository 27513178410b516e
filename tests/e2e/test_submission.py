"""Who hands in: who one may be, what is added and what is taken out."""
import pytest

from secure import submission
from server import split_letter

LETTER = b'From: alice@example.com\r\nTo: bob@example.com\r\nSubject: hello\r\n\r\ntext\r\n'


def ask(s, line):
    code, text = s.docmd(line)
    return code, text.decode()


def letter(s, octets, sender='alice@example.com', to='bob@example.com'):
    assert s.mail(sender)[0] == 250
    assert s.rcpt(to)[0] == 250
    return s.data(octets)


def test_envelope_sender(make_lab):
    lab = make_lab(sets=['alias.team@example.com=alice@example.com,bob@example.com', 'alias.hers@example.com=alice@example.com'])
    with submission(lab) as s:
        for mine in ('alice@example.com', 'ALICE@EXAMPLE.COM', 'alice+list@example.com', 'hers@example.com', 'team@example.com',
                     'postmaster@example.com', ''):  # postmaster: the first user's
            assert ask(s, 'MAIL FROM:<%s>' % mine)[0] == 250, mine
            s.rset()
        for other in ('bob@example.com', 'alice@example.net', 'nobody@example.com'):
            code, text = ask(s, 'MAIL FROM:<%s>' % other)
            assert code == 553 and '5.7.1' in text, (other, text)
    with submission(lab, user='bob@example.com') as s:
        assert [ask(s, 'MAIL FROM:<%s@example.com>' % name)[0] for name in ('hers', 'postmaster', 'team')] == [553, 553, 250]
    lab = make_lab(sets=['own_sender=no', 'own_from=no'])
    with submission(lab) as s:
        assert letter(s, LETTER.replace(b'From: alice@example.com', b'From: bob@example.com'), 'anybody@example.org')[0] == 250


def test_header_from(lab):
    with submission(lab) as s:
        for good in (b'From: alice@example.com', b'From: "Smith, Alice" <alice@example.com>', b'from : Alice\r\n <ALICE@example.com>',
                     b'From: alice+tag@example.com (Alice (Bob) Smith)', b'From: =?utf-8?q?Al=C3=ADce?= <alice@example.com>',
                     b'X-No-From: at all'):
            assert letter(s, LETTER.replace(b'From: alice@example.com', good))[0] == 250, good
        n = lab.count('bob@example.com')
        for bad in (b'From: bob@example.com', b'From: alice@example.com, bob@example.com', b'From: alice@example.com <bob@example.com>',
                    b'From: "alice@example.com" <bob@example.com>', b'From: Friends: bob@example.com;',
                    b'From: (alice@example.com) bob@example.com', b'From: ceo'):
            code, text = letter(s, LETTER.replace(b'From: alice@example.com', bad))
            assert code == 550 and b'5.7.1' in text, (bad, code, text)
        code, text = letter(s, b'From: alice@example.com\r\n' + LETTER)
        assert code == 554
    assert lab.count('bob@example.com') == n


def test_what_is_added(lab):
    with submission(lab) as s:
        assert letter(s, b'Subject: only\r\n\r\ntext\r\n')[0] == 250
    stored = lab.only_letter('bob@example.com')
    front = split_letter(stored, b'Subject: only\r\n\r\ntext\r\n')
    for name in (b'From: ', b'Date: ', b'Message-ID: '):
        assert front.count(b'\r\n' + name) == 1, name
    assert b'alice@example.com' in front.split(b'\r\nFrom: ')[1].split(b'\r\n')[0]


@pytest.mark.parametrize('port', [587, 25])
def test_bcc(lab, port):
    """Taken out where a client of ours hands in; elsewhere octets stay as they came."""
    head = b'From: alice@example.com\r\nTo: bob@example.com\r\nBCC: carol@example.net,\r\n dave@example.net\r\nbcc:\r\nSubject: x\r\n'
    body = b'\r\nBcc: this is text\r\n'
    if port == 587:
        with submission(lab) as s:
            assert letter(s, head + body)[0] == 250
    else:
        lab.send(head + body, to='bob@example.com')
    stored = lab.only_letter('bob@example.com')
    assert stored.endswith(body)
    assert (b'carol@example.net' in stored) == (port == 25)
    assert (b'dave@example.net' in stored) == (port == 25)


def test_rate_of_an_account(make_lab):
    lab = make_lab(sets=['limit.rcpts_per_hour_account=3'])
    with submission(lab) as s:
        s.mail('alice@example.com')
        assert [s.rcpt('bob@example.com')[0] for _ in range(5)] == [250, 250, 250, 452, 452]
    with submission(lab, user='bob@example.com') as s:
        s.mail('bob@example.com')
        assert s.rcpt('alice@example.com')[0] == 250


def test_elsewhere(lab):
    """Strangers are refused what is not ours."""
    with lab.smtp() as s:
        s.ehlo()
        s.mail('ann@example.net')
        code, text = s.rcpt('somebody@example.org')
        assert code == 550 and b'5.7.1' in text
