"""Mail that leads nowhere, or back here: what is said, and when."""
import socket

import pytest

from nameserver import NameServer
from relaying import Report, Sink, why, tried
from server import wait_until

LETTER = 'From: alice@example.com\r\nTo: joe@there.example\r\nSubject: around\r\n\r\nhi\r\n'


def report(lab):
    wait_until(lambda: lab.count('alice@example.com') == 1, 30)
    return Report(lab.only_letter('alice@example.com'))


def own_address():
    """One that others can reach, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(('192.0.2.1', 9))
        except OSError:
            return None
        address = s.getsockname()[0]
    return None if address.startswith('127.') else address


# --- an address that leads nowhere

@pytest.mark.parametrize('match, to', [('gone.example', 'gone.example'), ('*.gone.example', 'a.b.gone.example'), ('*', 'gone.example'),
                                       ('intranet', 'intranet'), ('[192.0.2.7]', '[192.0.2.7]')])
def test_an_error_route_is_told(make_lab, match, to):
    lab = make_lab(sets=['relay_ip=127.0.0.0/8', 'route.%s=error:5.1.6  moved to new.example; write there ' % match])
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<alice@example.com>', 250)
        assert t.ask('RCPT TO:<joe@%s>' % to, 550)[1] == '5.1.6  moved to new.example; write there'


def test_strangers_are_told_too(make_lab):
    """Where a domain has moved to; but not what is said of every domain that is not ours."""
    lab = make_lab(sets=['route.gone.example=error:5.1.6 moved to new.example', 'route.*=error:5.7.1 nothing leaves this house',
                         'alias.list@example.com=alice@example.com,joe@gone.example'])
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<ann@example.net>', 250)
        assert t.ask('RCPT TO:<joe@gone.example>', 550)[1] == '5.1.6 moved to new.example'
        assert t.ask('RCPT TO:<joe@other.example>', 550)[1] == '5.7.1 <joe@other.example> relaying denied'
        # Who stands in a list is nobody's business.
        assert t.ask('RCPT TO:<list@example.com>', 550)[1] == '5.1.2 <list@example.com> the domain is one that this alias should not lead to'
    with lab.talk(24) as t:
        t.line()
        t.ask('LHLO c.example.net', 250)
        t.ask('MAIL FROM:<ann@example.net>', 250)
        assert t.ask('RCPT TO:<joe@gone.example>', 550)[1] == '5.1.6 moved to new.example'


def test_our_address_by_number(make_lab):
    """It is ours (test_literals.py), but an alias that leads there leads nowhere."""
    address = own_address()
    if not address:
        pytest.skip('this host has the loopback addresses only')
    lab = make_lab(start=False, sets=['relay_ip=127.0.0.0/8'])
    lab.sets.append('relay.port=%d' % lab.port(25))
    lab.start()
    lab.run('alias', 'add', 'list@example.com', 'joe@[%s]' % address)
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<alice@example.com>', 250)
        t.ask('RCPT TO:<alice@[%s]>' % address, 250)
        t.ask('RCPT TO:<joe@[%s]>' % address, 550)
        t.ask('RCPT TO:<list@example.com>', 550)
        t.ask('RCPT TO:<joe@[192.0.2.1]>', 250)


# --- a host that resolves to us

@pytest.mark.parametrize('records, words', [
    ({('there.example', 'MX'): ['10 Mail.Example.com']}, 'is this server, which does not have the domain'),
    ({('there.example', 'MX'): ['10 mx.there.example'], ('mx.there.example', 'A'): ['127.0.0.77']}, 'is this server'),
    ({('there.example', 'A'): ['127.0.0.1']}, 'is this server'),
    ({('there.example', 'AAAA'): ['::1']}, 'is this server'),
    ({('there.example', 'MX'): ['20 worse.example', '10 mail.example.com'], ('worse.example', 'A'): ['192.0.2.1']}, 'is this server'),
], ids=['name', 'loopback', 'address', 'v6', 'better'])
def test_it_resolves_to_us(make_lab, records, words):
    with NameServer({('mail.example.com', 'A'): ['127.0.0.1'], **records}) as ns:
        lab = make_lab(start=False, sets=['relay_ip=127.0.0.0/8'], args=['--dns', ns.address])
        lab.sets.append('relay.port=%d' % lab.port(25))
        lab.start()
        lab.send(LETTER, to='joe@there.example', sender='alice@example.com')
        told = report(lab).rcpts['joe@there.example']
        assert told['status'] == '5.4.6' and told['action'] == 'failed'
        assert words in lab.only_letter('alice@example.com').decode()


def test_a_route_leads_to_us(make_lab):
    """By our name, which leads to an address that no interface has, as Debian writes it in /etc/hosts."""
    with NameServer({('mail.example.com', 'A'): ['127.0.1.1']}) as ns:
        lab = make_lab(start=False, sets=['relay_ip=127.0.0.0/8'], args=['--dns', ns.address])
        lab.sets.append('route.there.example=smtp:mail.example.com:%d' % lab.port(25))
        lab.start()
        lab.send(LETTER, to='joe@there.example', sender='alice@example.com')
        assert report(lab).rcpts['joe@there.example']['status'] == '5.4.6'
        assert 'mail.example.com port %d is this server itself' % lab.port(25) in lab.only_letter('alice@example.com').decode()


def test_it_greets_by_our_name(make_lab):
    """An address in front of ours, as behind NAT: we are there, and what is no better is not tried. A better host that may come
    back is waited for."""
    def says(verb, arg):
        return '250-mail.example.com\n250 SIZE' if verb == 'EHLO' else None
    with Sink(says) as us, NameServer({}) as ns:
        ns.records[('there.example', 'MX')] = ['10 front.example', '20 worse.example']
        ns.records[('front.example', 'A')] = ['127.0.0.1']
        ns.records[('worse.example', 'A')] = ['127.0.0.2']
        ns.records[('behind.example', 'MX')] = ['10 down.example', '20 front.example']
        ns.records[('down.example', 'A')] = ['127.0.0.3']
        lab = make_lab(sets=['relay_ip=127.0.0.0/8', 'relay.port=%d' % us.port, 'queue.retry_first=1h'], args=['--dns', ns.address])
        lab.send(LETTER, to='joe@there.example', sender='alice@example.com')
        assert report(lab).rcpts['joe@there.example']['status'] == '5.4.6'
        assert us.connections == 1 and not us.letters
        lab.send(LETTER, to='joe@behind.example', sender='alice@example.com')
        e = tried(lab)
        assert why(lab, e['id'])['mta'] == 'down.example' and not us.letters


# --- seen at load time

CONF = '''hostname = "mail.example.com";
data_dir = "%s";
listen = ( { port = 25; }, { port = 2525; address = "127.0.0.1"; } );
alias = ( { address = "a@example.com"; members = [ "b@example.com" ]; },
          { address = "b@example.com"; members = [ "A@example.com" ]; },
          { address = "c@example.com"; members = [ "d@example.com", "carol@example.com" ]; },
          { address = "d@example.com"; members = [ "c@example.com" ]; },
          { address = "e@example.org"; members = [ "frida@example.org" ]; },
          { address = "@example.org"; members = [ "e@example.org" ]; } );
routes = ( { match = "one.example"; via = "smtp:Mail.example.com:25"; },
           { match = "two.example"; via = "smtp:[127.0.0.1]:2525"; },
           { match = "three.example"; via = "lmtp:127.0.0.1:2424"; },
           { match = "four.example"; via = "mx:mail.example.com"; },
           { match = "five.example"; via = "smtp:[127.0.0.1]:2526"; } );
'''


def test_config_check_sees_it(tmp_path):
    from puppet import client
    path = tmp_path / 'pennypost.conf'
    path.write_text(CONF % tmp_path)
    said = client('config', 'check', str(path)).stdout
    told = [line.split('warning: ')[1] for line in said.splitlines() if 'circle' in line or 'this server' in line]
    assert [line.split()[1].strip(':') for line in told] == ['one.example', 'two.example', 'four.example', 'a@example.com', 'b@example.com'], said
    assert 'add the domain with `pennypost domain add`' in told[0] and '554 5.4.6' in told[3]
