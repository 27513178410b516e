"""client_rows: what bench/clients tries, row by row. A try is a function of the bench that returns what
the cell says; a text stands for itself (there is nothing to run); what is not there at all is "no"."""
import base64
import glob
import os
import re
import statistics
import time

import peer
from peer import Peer

ROWS = []
HAND = ('pennypost', 'telnet', 'plink')  # those that talk without TLS, line by line
PLAIN = base64.b64encode(b'\0joe@example.net\0s3cret-word').decode()
FROM_TO = '--from me@example.org --to joe@example.net'
ONE_SHOT = 'one shot'


class Row:
    def __init__(self, part, title, tries):
        self.part, self.title, self.tries = part, title, tries


def row(part, title, tools=(), **others):
    """The function below is tried with each of the tools; others have a text or a function of their own."""
    def add(f):
        tries = {t: (lambda b, t=t: f(b, t)) for t in tools}
        tries.update(others)
        ROWS.append(Row(part, title, tries))
        return f
    return add


def said(part, title, **cells):
    ROWS.append(Row(part, title, cells))


def hand(tool, port, host='127.0.0.1', more=''):
    """The command of somebody who wants to type."""
    return {
        'pennypost': 'pennypost talk %s %s %s' % (more, host, port),
        'telnet': 'telnet %s %s' % (host, port),
        'plink': 'plink -raw -P %s %s' % (port, host),
        'telnetty': 'plink -telnet -P %s %s' % (port, host),
        's_client': 'openssl s_client %s -connect %s:%s' % (more, '[%s]' % host if ':' in host else host, port),
    }[tool]


def settle(server, what, seconds=5):
    """Waits until the server has seen something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not what(server):
        time.sleep(0.02)
    return what(server)


# --- Connecting ---

CONNECTING = 'Connecting'


@row(CONNECTING, 'shows each address that it tries', HAND + ('s_client', 'swaks'))
def addresses(b, tool):
    """localhost is ::1 and 127.0.0.1; only the second answers."""
    with Peer(b.dir, tls='implicit' if tool == 's_client' else None) as p:
        if tool == 'swaks':
            seen = b.tty('swaks --server localhost --port %d %s --quit-after connect' % (p.port, FROM_TO))
        else:
            seen = b.tty(hand(tool, p.port, 'localhost'), ('220', 'quit\r'), seconds=3)
        shown = '127.0.0.1' in seen.text
        return ('yes' if shown else 'no') + ('' if p.sessions else '; does not try the second')


@row(CONNECTING, 'IPv6, written as an address', HAND + ('s_client', 'swaks'))
def ipv6(b, tool):
    with Peer(b.dir, host='::1', tls='implicit' if tool == 's_client' else None) as p:
        if tool == 'swaks':
            seen = b.pipe('swaks -6 --server ::1 --port %d %s --quit-after connect' % (p.port, FROM_TO))
        else:
            seen = b.tty(hand(tool, p.port, '::1'), ('220', 'quit\r'), seconds=3)
        return 'yes' if p.sessions else 'with IO::Socket::INET6 only' if 'INET6' in seen.text else 'no'


@row(CONNECTING, 'a name with an address of your choice (before the DNS is changed), certificate checked by the name',
     ('pennypost', 's_client', 'swaks'), plink='no TLS', telnet='no TLS')
def resolve(b, tool):
    """The certificate is for mx.example.net; the second time for another name."""
    with Peer(b.dir, tls='starttls') as p:
        def run(name):
            ca = b.file('ca.pem')
            if tool == 'pennypost':
                return b.pipe('pennypost send --resolve %s:127.0.0.1 --tls must --ca %s --quit-after starttls %s:%d' % (
                    name, ca, name, p.port)).status
            if tool == 's_client':
                return b.pipe('openssl s_client -starttls smtp -verify_return_error -CAfile %s -verify_hostname %s '
                              '-connect 127.0.0.1:%d' % (ca, name, p.port), 'quit\n').status
            return b.pipe('swaks --server 127.0.0.1 --port %d -tls --tls-verify --tls-ca-path %s --tls-sni %s %s '
                          '--quit-after tls' % (p.port, ca, name, FROM_TO)).status
        right, wrong = run('mx.example.net'), run('other.example.net')
        if right == 0 and wrong != 0:
            return 'yes' + (': `-verify_hostname`' if tool == 's_client' else '')
        return 'the chain, not the name' if right == 0 else 'no'


@row(CONNECTING, 'the MX of a domain, next one when the first is dead', ('pennypost',), telnet='no', plink='no',
     s_client='no', swaks='with Net::DNS only')
def walk(b, tool):
    import sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tests', 'e2e'))
    from nameserver import NameServer
    with Peer(b.dir) as p, NameServer({
            ('example.net', 'MX'): ['10 dead.example.net', '20 mx.example.net'],
            ('dead.example.net', 'A'): ['127.0.0.9'], ('mx.example.net', 'A'): ['127.0.0.1']}) as ns:
        seen = b.pipe('pennypost send --mx --dns %s --port %d --quit-after ehlo --tls never example.net' % (
            ns.address, p.port))
        return 'yes' if seen.status == 0 and p.sessions else 'no'


@row(CONNECTING, 'PROXY header (v1, v2)', ('pennypost', 'swaks'), telnet='v1 typed by hand', plink='v1 typed by hand')
def proxy(b, tool):
    heads = {}
    for version in (1, 2):
        def greet(conn):
            heads[version] = conn.recv(12 if version == 2 else 6)
            conn.sendall(b'220 ready\r\n')
        with Peer(b.dir, greeting=greet) as p:
            if tool == 'pennypost':
                b.pipe('pennypost send --proxy-v%d=192.0.2.1:4000 --tls never --quit-after greeting 127.0.0.1:%d' % (
                    version, p.port))
            else:
                b.pipe('swaks --server 127.0.0.1 --port %d --proxy-version %d --proxy-family %s --proxy-protocol %s '
                       '--proxy-command PROXY --proxy-source 192.0.2.1 --proxy-source-port 4000 --proxy-dest 192.0.2.2 '
                       '--proxy-dest-port 25 --quit-after connect %s' % (
                           p.port, version, 'TCP4' if version == 1 else 'AF_INET', 'STREAM', FROM_TO))
    good = heads.get(1) == b'PROXY ', heads.get(2, b'').startswith(b'\r\n\r\n\0\r\nQUIT\n')
    return {(True, True): 'yes', (True, False): 'v1', (False, True): 'v2'}.get(good, 'no')


@row(CONNECTING, 'XCLIENT', ('pennypost', 'telnet', 'plink', 's_client', 'swaks'))
def xclient(b, tool):
    with Peer(b.dir, caps=['XCLIENT NAME ADDR'], tls='implicit' if tool == 's_client' else None) as p:
        if tool == 'swaks':
            b.pipe('swaks --server 127.0.0.1 --port %d --xclient-addr 192.0.2.1 %s --quit-after mail' % (p.port, FROM_TO))
        else:
            b.tty(hand(tool, p.port, more='-crlf' if tool == 's_client' else ''), ('220', 'xclient ADDR=192.0.2.1\r'), ('250', 'quit\r'), seconds=3)
        got = b'XCLIENT ADDR=192.0.2.1' in p.got.upper()
        return ('**options**' if tool == 'swaks' else 'typed by hand') if got else 'no'


@row(CONNECTING, 'CPU time of a whole short session (connect, QUIT), ms', HAND + ('s_client', 'swaks'))
def start_up(b, tool):
    def once():
        with Peer(b.dir, tls='implicit' if tool == 's_client' else None) as p:
            if tool == 'swaks':
                return b.pipe('swaks --server 127.0.0.1 --port %d %s --quit-after banner' % (p.port, FROM_TO)).cpu_ms
            if tool == 'pennypost':
                return b.pipe(hand(tool, p.port), 'quit\n').cpu_ms
            return b.pipe(hand(tool, p.port), 'quit\r\n', hold=0.3).cpu_ms
    return '%.0f' % statistics.median([once() for _ in range(9)]) + (' (with TLS)' if tool == 's_client' else '')


@row(CONNECTING, 'memory of the same, MB', HAND + ('s_client', 'swaks'))
def size(b, tool):
    with Peer(b.dir, tls='implicit' if tool == 's_client' else None) as p:
        if tool == 'swaks':
            seen = b.pipe('swaks --server 127.0.0.1 --port %d %s --quit-after banner' % (p.port, FROM_TO))
        else:
            seen = b.pipe(hand(tool, p.port), 'quit\r\n', hold=0.3)
        return '%.0f' % seen.peak_mb


# --- TLS ---

TLS = 'TLS'


@row(TLS, 'STARTTLS in the middle of what is typed', HAND, s_client='at the start only', swaks='at its place, by itself')
def starttls(b, tool):
    with Peer(b.dir, tls='starttls') as p:
        b.tty(hand(tool, p.port, more='--insecure' if tool == 'pennypost' else ''), ('220', 'ehlo one\r'),
              ('STARTTLS', 'starttls\r'), ('TLS' if tool == 'pennypost' else 'go ahead', 'ehlo two\r'),
              ('250 peer', 'quit\r'), seconds=4)
        if p.secured and b'ehlo two' in p.got.lower():
            return 'yes'
        return 'no: answers stop' if b'starttls' in p.got.lower() else 'no'


@row(TLS, 'TLS from the start, lines end with CR LF without an option', ('pennypost', 's_client', 'swaks'),
     telnet='no TLS', plink='no TLS')
def implicit(b, tool):
    with Peer(b.dir, tls='implicit') as p:
        if tool == 'swaks':
            b.pipe('swaks --server 127.0.0.1 --port %d -tlsc %s --quit-after ehlo' % (p.port, FROM_TO))
        else:
            more = '--tls implicit --insecure' if tool == 'pennypost' else ''
            b.tty(hand(tool, p.port, more=more), ('greeting', 'ehlo me\r'), ('250 peer', 'noop\r'), ('250 2', '\x04'),
                  seconds=3)
        return 'yes' if b'\r\n' in p.got else 'no: LF alone, unless `-crlf`' if b'\n' in p.got else 'no'


@row(TLS, 'greeting and EHLO stay visible with STARTTLS at the start', ('pennypost', 's_client', 'swaks'),
     telnet='no TLS', plink='no TLS')
def visible(b, tool):
    with Peer(b.dir, tls='starttls', caps=['X-FIRST', 'X-SECOND']) as p:
        if tool == 'pennypost':
            seen = b.tty('pennypost talk -starttls smtp -connect 127.0.0.1:%d --insecure' % p.port, ('TLSv', 'quit\r'), seconds=3)
        elif tool == 's_client':
            seen = b.tty('openssl s_client -starttls smtp -crlf -connect 127.0.0.1:%d' % p.port, ('---', '\x04'), seconds=3)
        else:
            seen = b.pipe('swaks --server 127.0.0.1 --port %d -tls %s --quit-after tls' % (p.port, FROM_TO))
        greeting, caps = 'greeting.example' in seen.text, 'X-FIRST' in seen.text
        return 'yes' if greeting and caps else 'the last line of EHLO only' if 'STARTTLS' in seen.text else \
            'no: neither' if not greeting and not caps else 'one of them'


@row(TLS, 'a line that begins with Q or R is sent', ('pennypost', 's_client'), telnet='yes (no TLS)', plink='yes (no TLS)',
     swaks=ONE_SHOT)
def q_and_r(b, tool):
    found = []
    for line in ('RCPT TO:<joe@example.net>', 'QUIT'):
        with Peer(b.dir, tls='implicit') as p:
            more = '--tls implicit --insecure' if tool == 'pennypost' else '-crlf'
            b.tty(hand(tool, p.port, more=more), ('greeting', 'MAIL FROM:<me@example.org>\r'), ('250', line + '\r'),
                  ('25|22', ''), seconds=3)
            settle(p, lambda p: line[:4].encode() in p.got, 1)
            found.append(line[:4].encode() in p.got)
    return 'yes' if all(found) else 'no: R begins a renegotiation, Q ends (without `-quiet`)' if not any(found) else 'one of them'


@row(TLS, 'goes on by itself when the certificate is not trusted', ('pennypost', 's_client', 'swaks'), telnet='no TLS',
     plink='no TLS')
def trust(b, tool):
    with Peer(b.dir, tls='starttls') as p:
        if tool == 'pennypost':
            seen = b.pipe('pennypost send --tls must %s 127.0.0.1:%d' % (FROM_TO, p.port))
            return 'no: says why, exit 4' if not p.letters and seen.status == 4 else 'yes'
        if tool == 's_client':
            seen = b.pipe('openssl s_client -starttls smtp -crlf -connect 127.0.0.1:%d' % p.port, 'NOOP\r\n', hold=0.5)
            return 'yes: says so, `-verify_return_error` stops it' if b'NOOP' in p.got else 'no'
        b.pipe('swaks --server 127.0.0.1 --port %d -tls %s' % (p.port, FROM_TO))
        return 'yes: `--tls-verify` stops it' if p.letters else 'no'


@row(TLS, 'certificate of the client', ('pennypost', 's_client', 'swaks'), telnet='no TLS', plink='no TLS')
def client_certificate(b, tool):
    with Peer(b.dir, tls='starttls', want_cert=True) as p:
        pair = b.file('client.pem'), b.file('client.key')
        if tool == 'pennypost':
            b.pipe('pennypost send --tls must --insecure --cert %s --key %s %s 127.0.0.1:%d' % (pair + (FROM_TO, p.port)))
        elif tool == 's_client':
            b.pipe('openssl s_client -starttls smtp -crlf -cert %s -key %s -connect 127.0.0.1:%d' % (pair + (p.port,)),
                   'NOOP\r\n', hold=0.5)
        else:
            b.pipe('swaks --server 127.0.0.1 --port %d -tls --tls-cert %s --tls-key %s %s' % ((p.port,) + pair + (FROM_TO,)))
        return 'yes' if p.cert else 'no'


@row(TLS, 'server name (SNI) of your choice', ('pennypost', 's_client', 'swaks'), telnet='no TLS', plink='no TLS')
def sni(b, tool):
    with Peer(b.dir, tls='starttls') as p:
        if tool == 'pennypost':
            b.pipe('pennypost send --tls must --insecure --sni a.example.net %s 127.0.0.1:%d' % (FROM_TO, p.port))
        elif tool == 's_client':
            b.pipe('openssl s_client -starttls smtp -servername a.example.net -connect 127.0.0.1:%d' % p.port, 'Q\n', hold=0.5)
        else:
            b.pipe('swaks --server 127.0.0.1 --port %d -tls --tls-sni a.example.net %s' % (p.port, FROM_TO))
        return 'yes' if p.sni == 'a.example.net' else 'no'


said(TLS, 'DANE', pennypost='`--dane`, asks the DNS', telnet='no TLS', plink='no TLS',
     s_client='records given by hand (`-dane_tlsa_rrdata`)', swaks='no')
said(TLS, 'sessions, tickets, early data, PSK, every TLS message explained', pennypost='octets (`--debug-bytes`), `--keylog`',
     telnet='no TLS', plink='no TLS', s_client='**all of it** (`-sess_out`, `-early_data`, `-psk`, `-trace`)', swaks='no')

# --- Typing ---

TYPING = 'Typing'


@row(TYPING, 'octets that reach the server before anything is typed', HAND, s_client='none', swaks='none')
def first_octets(b, tool):
    def listen(conn):
        conn.settimeout(1.5)
        try:
            first.append(conn.recv(100))
        except OSError:
            first.append(b'')
        conn.sendall(b'220 ready\r\n')
    first = []
    with Peer(b.dir, greeting=listen) as p:
        b.tty(hand('telnetty' if tool == 'plink' else tool, p.port), ('220', 'quit\r'), seconds=4)
    if not first or not first[0]:
        return 'none'
    return '**%d, telnet options** (`%s...`); none with `-raw`' % (len(first[0]), first[0][:3].hex(' '))


@row(TYPING, 'a server that sends telnet options (IIS): what a corrected typing error becomes',
     ('pennypost', 'telnet', 'plink'), s_client='TLS only', swaks=ONE_SHOT)
def character_mode(b, tool):
    """ehllo, two times the backspace key, o me."""
    with Peer(b.dir, greeting=peer.IAC_CHARACTERS + b'220 ready\r\n') as p:
        b.tty(hand('telnetty' if tool == 'plink' else tool, p.port), ('220', 'ehllo'), ('', '\x7f'), ('', '\x7f'), ('', 'o me\r'), seconds=3)
        settle(p, lambda p: b'\n' in p.got, 1)
        line = re.sub(rb'\xff[\xfb-\xfe].', b'', p.got).split(b'\n')[0]
        options = b'\xff' in p.got
    what = 'right' if line.strip(b'\r\0') == b'ehlo me' else 'the backspaces are sent' if b'\x7f' in line or b'\b' in line \
        else 'wrong: `%s`' % ascii(line)[2:-1]
    return what + (' (answers the options)' if options else '')


@row(TYPING, 'the left arrow moves in the line', HAND + ('s_client',), swaks=ONE_SHOT)
def arrow(b, tool):
    with Peer(b.dir, tls='implicit' if tool == 's_client' else None) as p:
        more = {'pennypost': '', 's_client': '-crlf -quiet'}.get(tool, '')
        b.tty(hand(tool, p.port, more=more), ('220', 'elo me'), ('', '\x1b[D' * 5), ('', 'h'), ('', '\r'), seconds=3)
        settle(p, lambda p: b'\n' in p.got, 1)
        return 'yes' if b'ehlo me' in p.got else 'no: `ESC [ D` is sent' if b'\x1b' in p.got else 'no'


@row(TYPING, 'history, with the login left out', ('pennypost',), telnet='none (rlwrap: with the password)',
     plink='none', s_client='none', swaks=ONE_SHOT)
def history(b, tool):
    with Peer(b.dir, caps=['AUTH PLAIN']) as p:
        b.tty(hand(tool, p.port, more='--allow-cleartext'), ('220', 'ehlo me\r'), ('250 AUTH', 'auth plain %s\r' % PLAIN),
              ('235', 'noop\r'), ('250 2', '\x1b[A\r'), ('250 2', 'quit\r'), seconds=4)
        kept = ''.join(open(f).read() for f in glob.glob(b.dir + '/state/pennypost/history/*') + glob.glob(
            b.dir + '/state/pennypost/history') if os.path.isfile(f))
        return 'yes' if p.got.lower().count(b'noop') == 2 and 'ehlo me' in kept and PLAIN not in kept else 'no'


@row(TYPING, 'Tab completes what the server offers', ('pennypost',), telnet='no', plink='no', s_client='no', swaks=ONE_SHOT)
def completion(b, tool):
    with Peer(b.dir, caps=['SIZE 1000', 'XCLIENT NAME ADDR']) as p:
        b.tty(hand(tool, p.port), ('220', 'ehlo me\r'), ('250 XCLIENT', 'xcl\t\r'), seconds=3)
        settle(p, lambda p: b'xclient' in p.got.lower(), 1)
        return 'yes' if b'xclient' in p.got.lower() else 'no'


@row(TYPING, '`printf \'ehlo..\\nmail..\\nrcpt..\\nquit\\n\' \\| tool`: each line waits for its answer',
     HAND + ('s_client',), swaks='its own order; waits')
def piped(b, tool):
    text = 'ehlo me\nmail from:<a@example.org>\nrcpt to:<joe@example.net>\nquit\n'
    with Peer(b.dir, pause=0.15, tls='implicit' if tool == 's_client' else None) as p:
        more = {'s_client': '-crlf -quiet'}.get(tool, '')
        seen = b.pipe(hand(tool, p.port, more=more), text, seconds=6)
        answers = sum(w in seen.text for w in ('250 peer', '250 2.0.0', '250 2.1.5', '221'))
    if p.early == 0 and answers == 4:
        return 'yes'
    return 'no: %s' % ('nothing waits' if answers == 4 else 'ends with %d of 4 answers' % answers)


# --- Logging in ---

LOGIN = 'Logging in'
MECHS = ('PLAIN', 'LOGIN', 'CRAM-MD5', 'DIGEST-MD5', 'NTLM', 'SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS', 'XOAUTH2',
         'OAUTHBEARER', 'EXTERNAL')


@row(LOGIN, 'mechanisms that it does by itself', ('pennypost', 'swaks'), telnet='none: base64 by hand',
     plink='none: base64 by hand', s_client='none: base64 by hand')
def mechanisms(b, tool):
    """Does it begin the mechanism, rather than say that it does not know it? Ended by the server at the first step."""
    works = []
    for mech in MECHS:
        with Peer(b.dir, caps=['AUTH ' + mech], tls='starttls') as p:
            if tool == 'pennypost':
                b.pipe('pennypost send --tls must --insecure --auth=%s --user joe@example.net --password-file %s '
                       '--quit-after auth 127.0.0.1:%d' % (mech, b.file('pw', 's3cret-word\n'), p.port))
            else:
                b.pipe('swaks --server 127.0.0.1 --port %d -tls --auth %s --auth-user joe@example.net '
                       '--auth-password s3cret-word --quit-after auth %s' % (p.port, mech, FROM_TO))
            if b'AUTH ' + mech.encode() in p.got.upper():
                works.append(mech)
    return 'all of ' + ' '.join(MECHS) if len(works) == len(MECHS) else ', '.join(works) + ' (more with Perl modules)'


@row(LOGIN, 'password neither in `ps` nor in what is shown', ('pennypost', 'swaks'), telnet='base64 stands on the screen',
     plink='base64 stands on the screen', s_client='base64 stands on the screen')
def hidden(b, tool):
    with Peer(b.dir, caps=['AUTH PLAIN LOGIN'], tls='starttls') as p:
        if tool == 'pennypost':
            seen = b.tty('pennypost send --tls must --insecure --auth --user joe@example.net %s 127.0.0.1:%d --transcript %s' % (
                FROM_TO, p.port, b.file('t')), ('(?i)password', 's3cret-word\r'))
        else:
            seen = b.tty('swaks --server 127.0.0.1 --port %d -tls --auth --auth-user joe@example.net --protect-prompt %s' % (
                p.port, FROM_TO), ('(?i)password', 's3cret-word\r'))
        shown = PLAIN in seen.text or 's3cret-word' in seen.text or \
            base64.b64encode(b's3cret-word').decode() in seen.text
        if not p.letters:
            return 'no: the login failed'
        return 'asked for; base64 is shown (`-ahp` hides it)' if shown else 'yes'


@row(LOGIN, 'a password is not sent in clear unasked', ('pennypost', 'swaks'), telnet='goes as typed', plink='goes as typed',
     s_client='always TLS')
def in_clear(b, tool):
    with Peer(b.dir, caps=['AUTH PLAIN LOGIN']) as p:
        if tool == 'pennypost':
            b.pipe('pennypost send --auth --user joe@example.net --password-file %s %s 127.0.0.1:%d' % (
                b.file('pw', 's3cret-word\n'), FROM_TO, p.port))
        else:
            b.pipe('swaks --server 127.0.0.1 --port %d --auth --auth-user joe@example.net --auth-password s3cret-word %s' % (
                p.port, FROM_TO))
        return 'no: it goes' if b'AUTH' in p.got.upper() else 'yes: `--allow-cleartext`'


# --- The letter ---

LETTER = 'The letter'


@row(LETTER, 'a typed line that begins with a dot arrives', HAND + ('swaks',), s_client='no: dots are doubled by hand')
def dots(b, tool):
    with Peer(b.dir) as p:
        if tool == 'swaks':
            b.pipe(['swaks', '--server', '127.0.0.1', '--port', p.port, '--from', 'a@b.net', '--to', 'joe@example.net',
                    '--body', 'one\n.two\n'])
        else:
            b.tty(hand(tool, p.port), ('220', 'ehlo me\r'), ('250 peer', 'mail from:<a@example.org>\r'),
                  ('250 2', 'rcpt to:<joe@example.net>\r'), ('250 2.1.5', 'data\r'), ('354', 'Subject: x\r'), ('', '\r'),
                  ('', '.two\r'), ('', '.\r'), ('250 2.0.0', 'quit\r'), seconds=4)
        return 'yes' if any(b'\n..two' in x for x in p.letters) else 'no: dots are doubled by hand'


@row(LETTER, 'attachments', ('pennypost', 'swaks'), telnet='MIME by hand', plink='MIME by hand', s_client='MIME by hand')
def attachment(b, tool):
    pic = b.file('lotus.png', 'picture')
    with Peer(b.dir) as p:
        if tool == 'swaks':
            b.pipe('swaks --server 127.0.0.1 --port %d %s --attach @%s' % (p.port, FROM_TO, pic))
        else:
            b.pipe('pennypost send %s --attach %s 127.0.0.1:%d' % (FROM_TO, pic, p.port))
        letter = b''.join(p.letters)
        named = b'lotus.png' in letter
        typed = b'image/png' in letter
        return 'yes' + ('' if named and typed else ', type and name are options') if b'multipart' in letter else 'no'


@row(LETTER, 'several recipients, each with what became of it', ('pennypost', 'swaks'), telnet='you read it', plink='you read it',
     s_client='you read it')
def recipients(b, tool):
    with Peer(b.dir) as p:
        if tool == 'swaks':
            seen = b.pipe('swaks --server 127.0.0.1 --port %d --from a@b.net --to joe@example.net,nobody@example.net' % p.port)
            return 'goes on, exit %d; you read it' % seen.status if p.letters else 'stops'
        seen = b.pipe('pennypost send --from a@b.net --to joe@example.net,nobody@example.net 127.0.0.1:%d' % p.port)
        return 'yes, exit %d' % seen.status if re.search(r'nobody@example.net\s+REFUSED', seen.text) else 'no'


@row(LETTER, 'LMTP, a result for each recipient', ('pennypost', 'swaks'), telnet='you read it', plink='you read it',
     s_client='TLS only')
def lmtp(b, tool):
    with Peer(b.dir, lmtp=True) as p:
        if tool == 'swaks':
            seen = b.pipe('swaks --server 127.0.0.1 --port %d --protocol LMTP --from a@b.net --to joe@example.net,ann@example.net'
                          % p.port, seconds=10)
            return '%s, exit %s' % ('both answers shown' if '452' in seen.text else 'the first answer only', seen.status)
        seen = b.pipe('pennypost send --proto lmtp --from a@b.net --to joe@example.net,ann@example.net 127.0.0.1:%d' % p.port)
        return 'yes, exit %d' % seen.status if re.search(r'ann@example.net\s+REFUSED.*452', seen.text) else 'no'


@row(LETTER, 'pipelining', ('pennypost', 'swaks'), telnet='no', plink='no', s_client='no')
def pipelining(b, tool):
    with Peer(b.dir, caps=['PIPELINING'], pause=0.05) as p:
        if tool == 'swaks':
            b.pipe('swaks --server 127.0.0.1 --port %d --pipeline %s' % (p.port, FROM_TO))
        else:
            b.pipe('pennypost send --pipeline %s 127.0.0.1:%d' % (FROM_TO, p.port))
        return 'yes' if p.early and p.letters else 'no'


@row(LETTER, 'BDAT (CHUNKING)', ('pennypost',), telnet='octets counted by hand', plink='octets counted by hand',
     s_client='octets counted by hand', swaks='no')
def bdat(b, tool):
    with Peer(b.dir, caps=['CHUNKING']) as p:
        b.pipe('pennypost send --chunking %s 127.0.0.1:%d' % (FROM_TO, p.port))
        return 'yes' if p.letters and b'BDAT' in p.got.upper() else 'no'


@row(LETTER, 'says what is wrong with the letter before it goes', ('pennypost',), telnet='no', plink='no', s_client='no', swaks='no')
def lint(b, tool):
    with Peer(b.dir) as p:
        seen = b.pipe('pennypost send --lint error %s --data %s 127.0.0.1:%d' % (
            FROM_TO, b.file('bad.eml', 'Subject: x\nno colon here\n\ntext\n'), p.port))
        return 'yes (`--lint`)' if seen.status == 17 and not p.letters else 'no'


# --- Reading mail ---

READING = 'Reading mail'


def lines_of(conn):
    held = b''
    while True:
        while b'\n' not in held:
            piece = conn.recv(4096)
            if not piece:
                raise OSError('the end')
            held += piece
        line, _, held = held.partition(b'\n')
        yield line.strip().decode('latin-1')


@row(READING, 'IMAP: tags and literals', HAND, s_client='tags and octets by hand', swaks='no')
def imap(b, tool):
    """`noop` is typed; then a mailbox whose name does not fit into quotes."""
    asked = []

    def serve(conn):
        conn.sendall(b'* OK [CAPABILITY IMAP4rev1] ready\r\n')
        for line in lines_of(conn):
            asked.append(line)
            word = line.split(' ')
            done = '%s OK done\r\n' % word[0] if len(word) > 1 else '* BAD no tag\r\n'
            conn.sendall(b'+ go on\r\n' if line.endswith('}') else done.encode())
            if line.lower().endswith('logout'):
                raise OSError('the end')
    with Peer(b.dir, greeting=serve) as p:
        more = '--proto imap' if tool == 'pennypost' else ''
        b.tty(hand(tool, p.port, more=more), ('ready', 'noop\r'), ('OK done|BAD', 'logout\r'), seconds=3)
        tagged = any(re.fullmatch(r'\S+ noop', a, re.I) for a in asked)
        return 'yes' if tagged else 'tags and octets by hand'


@row(READING, 'POP3: end of a long answer, doubled dots', HAND, s_client='you see them', swaks='no')
def pop3(b, tool):
    def serve(conn):
        conn.sendall(b'+OK ready\r\n')
        for line in lines_of(conn):
            conn.sendall(b'+OK letter\r\nSubject: x\r\n\r\n..two\r\n.\r\n' if line.lower().startswith('retr') else
                         b'-ERR no\r\n' if line.upper() == 'CAPA' else b'+OK\r\n')
            if line.lower() == 'quit':
                raise OSError('the end')
    with Peer(b.dir, greeting=serve) as p:
        more = '--proto pop3' if tool == 'pennypost' else ''
        seen = b.tty(hand(tool, p.port, more=more), ('ready', '/read 1\r' if tool == 'pennypost' else 'retr 1\r'),
                     ('two', 'quit\r'), seconds=3)
        return 'you see them' if '..two' in seen.text and tool != 'pennypost' else 'yes: `/read 1`' if '\n.two' in seen.text else 'no'


@row(READING, 'login at IMAP and POP3 with a password that is not shown', ('pennypost',), telnet='shown', plink='shown',
     s_client='shown', swaks='no')
def imap_login(b, tool):
    asked = []

    def serve(conn):
        conn.sendall(b'* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n')
        for line in lines_of(conn):
            asked.append(line)
            conn.sendall(('%s OK done\r\n' % line.split(' ')[0]).encode())
            if line.lower().endswith('logout'):
                raise OSError('the end')
    with Peer(b.dir, greeting=serve) as p:
        seen = b.tty('pennypost talk --proto imap --allow-cleartext --auth=PLAIN --user joe@example.net 127.0.0.1 %d' % p.port,
                     ('(?i)password[^:]*:', 's3cret-word\r'), ('OK done', 'logout\r'), seconds=4)
        return 'yes' if any(PLAIN in a for a in asked) and PLAIN not in seen.text and 's3cret' not in seen.text else 'no'


said(READING, 'send, then fetch and compare', pennypost='`roundtrip`', telnet='no', plink='no', s_client='no', swaks='no')

# --- What became of it ---

KNOWING = 'Knowing what happened'


@row(KNOWING, 'explains an answer and says what to do', ('pennypost',), telnet='no', plink='no', s_client='no', swaks='no')
def explains(b, tool):
    with Peer(b.dir, codes={'MAIL': '452 #4.3.1 server resources low - try again later'}) as p:
        seen = b.pipe(hand(tool, p.port), 'ehlo me\nmail from:<a@example.org>\nquit\n')
        return 'yes, with `explain` offline, too' if re.search(r'^# .*(AsyncOS|resource|queue)', seen.text, re.M | re.I) else 'no'


@row(KNOWING, 'exit status tells the cause', HAND + ('s_client', 'swaks'))
def statuses(b, tool):
    """No such name, no server, greeting refused, login refused, recipient refused, letter refused."""
    out = []

    def run(host, port, tls=None):
        if tool == 'pennypost':
            return b.pipe('pennypost send %s --allow-cleartext --auth=PLAIN --user u --password-file %s %s:%d' % (
                FROM_TO, b.file('pw', 'x\n'), host, port)).status
        if tool == 'swaks':
            return b.pipe('swaks --server %s --port %d --auth PLAIN --auth-user u --auth-password p %s' % (
                host, port, FROM_TO)).status
        text = 'ehlo me\r\nauth plain AHUAcA==\r\nmail from:<a@b.net>\r\nrcpt to:<c@d.net>\r\ndata\r\n\r\n.\r\nquit\r\n'
        return b.pipe(hand(tool, port, host), text, seconds=4, hold=1).status
    out.append(run('nosuch.invalid', 25))
    with Peer(b.dir) as p:
        port = p.port
    out.append(run('127.0.0.1', port))
    tls = 'implicit' if tool == 's_client' else None
    with Peer(b.dir, greeting=b'554 no\r\n', tls=tls) as p:
        out.append(run('127.0.0.1', p.port))
    for verb, reply in (('AUTH', '535 5.7.8 no'), ('RCPT', '550 5.1.1 no'), ('DATA', '554 5.6.0 no')):
        with Peer(b.dir, caps=['AUTH PLAIN'], codes={verb: reply}, tls=tls) as p:
            out.append(run('127.0.0.1', p.port))
    kinds = len(set(out[2:]))
    return '%s: %s' % ('yes' if kinds >= 3 else 'no', ' '.join('-' if s is None else str(s) for s in out))


@row(KNOWING, 'JSON', ('pennypost',), telnet='no', plink='no', s_client='no', swaks='no')
def json(b, tool):
    import json as j
    with Peer(b.dir) as p:
        seen = b.pipe('pennypost send --json %s 127.0.0.1:%d' % (FROM_TO, p.port))
        return 'yes: an object for each event' if all(j.loads(x) for x in seen.text.splitlines()) else 'no'


@row(KNOWING, 'transcript, secrets masked', ('pennypost', 'swaks'), telnet='`script`, with the secrets',
     plink='`-sessionlog`, with the secrets', s_client='`script`, with the secrets')
def transcript(b, tool):
    log = b.file('log-' + tool)
    with Peer(b.dir, caps=['AUTH PLAIN']) as p:
        if tool == 'pennypost':
            b.pipe('pennypost send --transcript %s --allow-cleartext --auth=PLAIN --user joe@example.net --password-file %s %s '
                   '127.0.0.1:%d' % (log, b.file('pw', 's3cret-word\n'), FROM_TO, p.port))
        else:
            b.pipe('swaks --output %s --server 127.0.0.1 --port %d --auth PLAIN --auth-user joe@example.net --auth-password '
                   's3cret-word %s' % (log, p.port, FROM_TO))
        text = open(log).read() if os.path.exists(log) else ''
        if 'greeting.example' not in text:
            return 'no'
        return 'text; the secret with it, unless `-ahp`' if PLAIN in text else 'yes: text, `conv`, JSON, HTML'


@row(KNOWING, 'plays a recorded conversation again and compares', ('pennypost',), telnet='no', plink='no', s_client='no', swaks='no')
def replay(b, tool):
    log = b.file('session.log')
    with Peer(b.dir) as p:
        b.pipe('pennypost talk --transcript %s 127.0.0.1 %d' % (log, p.port),
               'ehlo me\nmail from:<a@example.org>\nrcpt to:<joe@example.net>\nquit\n')
        same = b.pipe('pennypost replay %s 127.0.0.1:%d' % (log, p.port)).status
    with Peer(b.dir, codes={'RCPT': '550 5.7.1 relaying denied'}) as p:
        other = b.pipe('pennypost replay %s 127.0.0.1:%d' % (log, p.port)).status
    return 'yes' if same == 0 and other != 0 else 'no: %s %s' % (same, other)


@row(KNOWING, 'how long each answer took', ('pennypost', 'swaks'), telnet='no', plink='no', s_client='no')
def timing(b, tool):
    with Peer(b.dir, pause=0.2) as p:
        if tool == 'swaks':
            seen = b.pipe('swaks --show-time-lapse --server 127.0.0.1 --port %d %s' % (p.port, FROM_TO))
            return 'yes' if re.search(r'0\.2\d+s|elapsed', seen.text) else 'whole seconds (more with Time::HiRes)'
        seen = b.pipe('pennypost send --timing %s 127.0.0.1:%d' % (FROM_TO, p.port))
        return 'yes' if re.search(r'2\d\d(\.\d+)? ms', seen.text) else 'no'


# --- Odd and hostile servers ---

HOSTILE = 'Odd and hostile servers'


@row(HOSTILE, 'escape sequences of the server do not reach the terminal', HAND + ('s_client', 'swaks'))
def escapes(b, tool):
    nasty = b'220 \x1b]0;taken over\x07\x1b[2Jready\r\n'
    with Peer(b.dir, greeting=nasty, tls='implicit' if tool == 's_client' else None) as p:
        if tool == 'swaks':
            seen = b.tty('swaks --server 127.0.0.1 --port %d %s --quit-after banner' % (p.port, FROM_TO))
        else:
            more = '-quiet' if tool == 's_client' else ''
            seen = b.tty(hand(tool, p.port, more=more), ('ready', 'quit\r'), seconds=2)
        return 'no: they do' if '\x1b]0;taken' in seen.text else 'yes' if 'ready' in seen.text else '? %r' % seen.text[:40]


@row(HOSTILE, 'memory when a line has 10 MB, MB', HAND + ('s_client', 'swaks'))
def ten_megabytes(b, tool):
    with Peer(b.dir, greeting=peer.long_line, tls='implicit' if tool == 's_client' else None) as p:
        if tool == 'swaks':
            seen = b.pipe('swaks --server 127.0.0.1 --port %d %s --quit-after banner' % (p.port, FROM_TO), seconds=20)
        else:
            more = '-quiet -crlf' if tool == 's_client' else ''
            seen = b.pipe(hand(tool, p.port, more=more), 'quit\r\n', hold=4, seconds=12)
        return '%.0f' % seen.peak_mb


@row(HOSTILE, 'greeting that never ends, 10 s: memory MB; time to leave with ^C', HAND + ('s_client', 'swaks'))
def flooded(b, tool):
    return flood_on_terminal(b, tool)


def flood_on_terminal(b, tool):
    import pexpect
    with Peer(b.dir, greeting=peer.flood, tls='implicit' if tool == 's_client' else None) as p:
        command = 'swaks --server 127.0.0.1 --port %d %s' % (p.port, FROM_TO) if tool == 'swaks' else hand(
            tool, p.port, more='-quiet' if tool == 's_client' else '')
        words = b.argv(command)
        c = pexpect.spawn(words[0], words[1:], env=b.env, cwd=b.dir, dimensions=(24, 80), encoding='latin-1')
        end, peak = time.monotonic() + 10, 0
        while time.monotonic() < end and c.isalive():
            try:
                c.read_nonblocking(1 << 20, 0.2)
            except (pexpect.TIMEOUT, pexpect.EOF):
                pass
            peak = max(peak, rss_mb(c.pid))
        if not c.isalive():
            c.close()
            return '%.0f; ends by itself, exit %s' % (peak, c.exitstatus)
        begin, keys = time.monotonic(), {'telnet': '\x1d'}.get(tool, '\x03')
        gone = leave(c, keys)
        c.close(force=True)
        return '%.0f; %s' % (peak, '%.1f s' % (time.monotonic() - begin) if gone else 'not within 5 s')


def leave(c, keys):
    """Presses ^C (telnet: ^] and quit) until it is gone."""
    import pexpect
    begin = last = time.monotonic()
    c.send(keys)
    while c.isalive() and time.monotonic() - begin < 5:
        try:
            c.read_nonblocking(1 << 20, 0.05)
        except (pexpect.TIMEOUT, pexpect.EOF):
            pass
        if time.monotonic() - last > 0.3:
            last = time.monotonic()
            c.send('quit\r' if keys == '\x1d' else keys)
    return not c.isalive()


def rss_mb(pid):
    try:
        return int(re.search(r'VmHWM:\s+(\d+)', open('/proc/%d/status' % pid).read()).group(1)) / 1024
    except (OSError, AttributeError):
        return 0


@row(HOSTILE, 'server that never says anything', HAND + ('swaks',), s_client='waits for ever')
def silent(b, tool):
    with Peer(b.dir, greeting=peer.silence) as p:
        command = {'pennypost': 'pennypost send --timeout 2 %s 127.0.0.1:%d' % (FROM_TO, p.port),
                   'swaks': 'swaks --timeout 2s --server 127.0.0.1 --port %d %s' % (p.port, FROM_TO)}.get(tool) or hand(tool, p.port)
        seen = b.pipe(command, hold=8, seconds=7)
        if seen.status is None or seen.seconds > 6:
            return 'waits for ever'
        return '`--timeout` (30 s), exit %d' % seen.status


# --- Where it is met ---

ELSE = 'What else'
said(ELSE, 'telnet itself (terminals, switches), SSH, serial lines', pennypost='no', telnet='**telnet**',
     plink='**telnet, SSH, rlogin, serial; windows on Windows**', s_client='no', swaks='no')
said(ELSE, 'any protocol of lines (HTTP, FTP, IRC)', pennypost='`--proto raw`', telnet='yes', plink='yes (`-raw`)',
     s_client='yes, with TLS', swaks='no')
said(ELSE, 'is there already, nearly everywhere', pennypost='no', telnet='**often**', plink='on Windows, often', s_client='**yes**',
     swaks='no (one Perl file)')
said(ELSE, 'PRDR, `%TOKENS%` in the letter, plug-in mechanisms', pennypost='no', telnet='no', plink='no', s_client='no',
     swaks='**yes**')
