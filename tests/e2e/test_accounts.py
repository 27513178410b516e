"""Users, domains, aliases: changed beside a running server and on a stopped one."""
import os
import subprocess

import pytest
from server import BINARY

LETTER = b'From: a@example.net\r\nSubject: x\r\n\r\nx\r\n'


def rcpt(lab, address, sender='a@example.net'):
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<%s>' % sender, 250)
        code, text = t.ask('RCPT TO:<%s>' % address)
        return '%d %s' % (code, text)


def addresses(lab, what):
    return {row['address'] if what != 'domain' else row['domain'] for row in lab.json(what, 'list')}


def ask(directory, *words, input=''):
    return subprocess.run([BINARY, *words, '--dir', str(directory)], input=input, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize('words', [('queue', 'list'), ('queue', 'retry', '--all'), ('trace', 'x'), ('user', 'list'),
                                   ('mailbox', 'list', 'ann@example.com'), ('alias', 'list'), ('domain', 'remove', 'example.com'),
                                   ('backup', 'there')])
def test_asking_makes_no_store(tmp_path, words):
    """A directory that was mistyped is no server in which nothing waits."""
    (tmp_path / 'empty').mkdir()
    if words[0] == 'backup':
        words = ('backup', str(tmp_path / 'there'))
    r = ask(tmp_path / 'empty', *words)
    assert r.returncode in (2, 3) and 'there is no server in %s' % (tmp_path / 'empty') in r.stderr, r
    assert os.listdir(tmp_path / 'empty') == []


def test_making_makes_a_store(tmp_path):
    assert ask(tmp_path, 'domain', 'add', 'example.com').returncode == 0
    assert 'example.com' in ask(tmp_path, 'domain', 'list').stdout


@pytest.mark.parametrize('words', [('trace', '--follow'), ('queue', 'fetch'), ('queue', 'top')])
def test_what_needs_a_running_server(lab, words):
    """Looking on would keep the directory's lock, and so the server from its start."""
    assert lab.stop() == 0
    r = ask(lab.dir, *words)
    assert r.returncode == 3 and 'no server is running in' in r.stderr, r


def test_nothing_is_sent_without_a_server(make_lab):
    lab = make_lab(sets=['relay_ip=127.0.0.0/8', 'dns='])
    lab.send(LETTER, to='joe@example.net')
    assert 'no server is running' not in lab.run('queue', 'retry', '--all').stderr
    assert lab.stop() == 0
    for words in (('queue', 'retry', '--all'), ('queue', 'flush')):
        r = ask(lab.dir, *words)
        assert r.returncode == 0 and '1 entry due now' in r.stdout and 'no server is running' in r.stderr, r


@pytest.mark.parametrize('running', [True, False], ids=['running', 'stopped'])
def test_lifecycle(lab, running):
    """The same commands and the same result with a server and without one."""
    if not running:
        assert lab.stop() == 0
    lab.run('domain', 'add', 'example.org')
    lab.run('user', 'add', 'ann@example.org', '--password-stdin', input='one two\n')
    lab.run('user', 'passwd', 'ann@example.org', '--password-stdin', input='three\n')
    lab.run('alias', 'add', 'staff@example.org', 'ann@example.org', 'bob@example.com')
    assert {'example.com', 'example.org'} <= addresses(lab, 'domain')
    assert {'ann@example.org', 'alice@example.com'} <= addresses(lab, 'user')
    assert 'staff@example.org' in addresses(lab, 'alias')
    if not running:
        lab.start()
    lab.send(LETTER, to='staff@example.org')
    lab.send(LETTER, to='ann@example.org')
    assert lab.count('ann@example.org') == 2 and lab.count('bob@example.com') == 1
    if not running:
        assert lab.stop() == 0
    lab.run('alias', 'remove', 'staff@example.org')
    lab.run('user', 'remove', 'ann@example.org', '--yes')
    assert 'ann@example.org' not in addresses(lab, 'user')
    if not running:
        lab.start()
    assert rcpt(lab, 'staff@example.org').startswith('550 5.1.1')
    assert rcpt(lab, 'ann@example.org').startswith('550 5.1.1')
    lab.run('domain', 'remove', 'example.org')
    assert rcpt(lab, 'ann@example.org').startswith('550 5.7.1')
    lab.run('domain', 'add', 'example.org')
    lab.run('user', 'add', 'ann@example.org', '--password-stdin', input='x\n')
    assert lab.count('ann@example.org') == 0, 'an old account\'s mail came back'


def test_a_change_is_seen_at_once(lab):
    for i in range(10):
        address = 'u%d@example.com' % i
        lab.run('user', 'add', address, '--password-stdin', input='x\n')
        assert rcpt(lab, address).startswith('250')


def test_refusals(lab):
    for words, what in ((('user', 'add', 'x@elsewhere.example'), 'elsewhere.example'),
                        (('user', 'add', 'alice@example.com'), 'alice@example.com'),
                        (('user', 'add', 'nonsense'), 'nonsense'),
                        (('user', 'remove', 'nobody@example.com', '--yes'), 'nobody@example.com'),
                        (('domain', 'add', 'bad domain'), 'bad domain'),
                        (('domain', 'remove', 'nope.example'), 'nope.example'),
                        (('alias', 'remove', 'nope@example.com'), 'nope@example.com')):
        more = ['--password-stdin'] if words[:2] == ('user', 'add') else []
        r = lab.run(*words, *more, input='x\n', check=False)
        assert r.returncode == 2 and what in r.stderr, (words, r)


def test_domain_with_users_stays(lab):
    """Removing a domain with mail in it is refused or leaves the mail where it is."""
    lab.send(LETTER)
    r = lab.run('domain', 'remove', 'example.com', check=False)
    if r.returncode == 0:
        lab.run('domain', 'add', 'example.com')
    assert lab.count('alice@example.com') == 1


def test_unknown_and_elsewhere(lab):
    assert rcpt(lab, 'nobody@example.com').startswith('550 5.1.1')
    assert rcpt(lab, 'x@elsewhere.example').startswith('550 5.7.1')


@pytest.mark.parametrize('bait', ['x%elsewhere.example@example.com', 'elsewhere.example!x@example.com',
                                  '"a@b"@elsewhere.example', '|/bin/sh@example.com', '../../etc/passwd@example.com',
                                  '$(id)@example.com', '`id`@example.com', '-oQ/tmp@example.com'])
def test_bait_is_refused(lab, bait):
    assert rcpt(lab, bait)[0] == '5'


def test_source_route(lab):
    """RFC 5321 C: a source route may be ignored or refused; it never relays."""
    answer = rcpt(lab, '@elsewhere.example:alice@example.com')
    assert answer[0] == '5' or lab.count('alice@example.com') == 0
    assert rcpt(lab, '@example.com:x@elsewhere.example')[0] == '5'


def test_letter_case(lab):
    lab.send(LETTER, to='ALICE@Example.COM')
    assert lab.count('alice@example.com') == 1


def test_plus_address(make_lab):
    lab = make_lab()
    lab.send(LETTER, to='alice+list+more@example.com')
    assert lab.count('alice@example.com') == 1
    assert b'Delivered-To: alice+list+more@example.com\r\n' in lab.only_letter('alice@example.com')
    assert rcpt(lab, 'nobody+x@example.com').startswith('550 5.1.1')


def test_plus_address_can_be_switched_off(make_lab):
    lab = make_lab(sets=['plus_separator='])
    assert rcpt(lab, 'alice+x@example.com').startswith('550 5.1.1')


def test_catch_all(lab):
    lab.run('alias', 'add', '@example.com', 'bob@example.com')
    lab.send(LETTER, to='whoever@example.com')
    lab.send(LETTER, to='alice@example.com')
    assert lab.count('bob@example.com') == 1 and lab.count('alice@example.com') == 1


def test_alias_file(lab, tmp_path):
    (tmp_path / 'members').write_text('# all of us\nalice@example.com\n\nbob@example.com # and bob\n')
    lab.run('alias', 'add', 'all@example.com', '--file', str(tmp_path / 'members'))
    lab.send(LETTER, to='all@example.com')
    assert lab.count('alice@example.com') == 1 and lab.count('bob@example.com') == 1


def test_one_copy_per_mailbox(lab):
    """Three aliases, the address itself twice: one letter."""
    for name in ('one', 'two', 'three'):
        lab.run('alias', 'add', name + '@example.com', 'alice@example.com')
    lab.send(LETTER, to=['one@example.com', 'two@example.com', 'alice@example.com', 'three@example.com',
                         'alice@example.com', 'alice+x@example.com'])
    assert lab.count('alice@example.com') == 1
    lab.send(LETTER, to='one@example.com')
    assert lab.count('alice@example.com') == 2


def test_alias_of_alias_and_loops(lab):
    lab.run('alias', 'add', 'deep@example.com', 'deeper@example.com')
    lab.run('alias', 'add', 'deeper@example.com', 'alice@example.com')
    lab.send(LETTER, to='deep@example.com')
    assert lab.count('alice@example.com') == 1
    made = [lab.run('alias', 'add', a + '@example.com', b + '@example.com', check=False).returncode
            for a, b in (('l1', 'l2'), ('l2', 'l3'), ('l3', 'l1'))]
    made.append(lab.run('alias', 'add', 'self@example.com', 'self@example.com', check=False).returncode)
    assert made == [0, 0, 2, 2], 'what closes a circle is refused'
    r = lab.run('alias', 'add', 'l3@example.com', 'L1@example.com', 'l2@example.com', check=False)
    assert r.returncode == 2 and 'l3@example.com would lead in a circle' in r.stderr, r
    assert 'l3@example.com' not in addresses(lab, 'alias')
    for name in ('l1', 'l2', 'l3', 'self'):
        assert rcpt(lab, name + '@example.com')[0] in '45'
    lab.run('alias', 'add', 'half@example.com', 'half@example.com', 'bob@example.com', check=False)
    with lab.talk() as t:  # whatever a loop does, the server goes on
        t.begin()


def test_lists_of_each_other_with_somebody_in_them(lab):
    """No circle that keeps mail from anybody."""
    lab.run('alias', 'add', 'day@example.com', 'night@example.com', 'alice@example.com')
    lab.run('alias', 'add', 'night@example.com', 'day@example.com')
    lab.send(LETTER, to='night@example.com')
    assert lab.count('alice@example.com') == 1


def test_circle_through_the_configuration(make_lab):
    lab = make_lab(sets=['alias.file@example.com=made@example.com'])
    r = lab.run('alias', 'add', 'made@example.com', 'file@example.com', check=False)
    assert r.returncode == 2 and 'in a circle' in r.stderr, r


def test_list_with_a_member_that_cannot_be(lab):
    """Better refused whole than delivered in part; who it is, is not told."""
    lab.run('alias', 'add', 'mixed@example.com', 'alice@example.com', 'x@nowhere')
    answer = rcpt(lab, 'mixed@example.com')
    assert answer.startswith('550 5.1.2') and 'nowhere' not in answer
    assert 'address=x@nowhere' in lab.log()
    lab.run('alias', 'add', 'good@example.com', 'alice@example.com', 'x@elsewhere.example')
    assert rcpt(lab, 'good@example.com').startswith('250')


def test_postmaster(lab):
    """R-POST: always there, in any case, with or without a domain; in a lab the first user."""
    for address in ('postmaster', 'PostMaster', 'POSTMASTER@example.com', 'postmaster@Example.Com'):
        assert rcpt(lab, address, '').startswith('250')
    lab.send(LETTER, to='postmaster')
    assert lab.count('alice@example.com') == 1
    assert rcpt(lab, 'postmaster@elsewhere.example').startswith('550')


def test_vrfy_and_expn(make_lab):
    lab = make_lab()
    with lab.talk() as t:
        t.begin()
        t.ask('VRFY alice@example.com', 252)
        t.ask('VRFY nobody@example.com', 252)
        t.ask('EXPN staff@example.com', 502)
    lab = make_lab(sets=['vrfy=yes', 'expn=yes', 'alias.staff@example.com=alice@example.com,bob@example.com'])
    with lab.talk() as t:
        t.begin()
        assert 'alice@example.com' in t.ask('VRFY alice@example.com', 250)[1]
        assert t.ask('VRFY nobody@example.com')[0] in (550, 551, 553)
        code, text = t.ask('EXPN staff@example.com')
        assert code == 250 and 'alice@example.com' in text and 'bob@example.com' in text
