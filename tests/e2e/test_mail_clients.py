"""Mail read with the programs that people read it with, each over TLS and with its own way of things."""
import email
import glob
import imaplib
import itertools
import json
import mailbox
import os
import poplib
import shutil
import subprocess

import pytest

from rawimap import login
from secure import context
from server import ROOT, SLOW

PEERS = os.path.join(ROOT, 'build', 'peers')
NUMBERS = itertools.count()


def letter(n, body='hello\r\n'):
    return ('From: Ann <ann@example.net>\r\nTo: alice@example.com\r\nSubject: letter %d\r\n'
            'Date: Fri, 27 Apr 2012 23:29:54 +0000\r\nMessage-ID: <%d@example.net>\r\n\r\n%s' % (n, n, body)).encode()


def have(program):
    found = shutil.which(program)
    assert found, '%s is not installed: tools/setup.sh test does that' % program
    return found


def certificate(lab):
    certs = glob.glob(os.path.join(lab.dir, 'tls', '*.crt'))
    assert len(certs) == 1, certs
    return certs[0]


def call(args, tmp_path, ok=(0,), input=None, env=(), seconds=60):
    r = subprocess.run(args, cwd=tmp_path, stdin=None if input is not None else subprocess.DEVNULL, input=input,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds * SLOW,
                       env={**os.environ, 'HOME': str(tmp_path), 'LC_ALL': 'C.UTF-8', **dict(env)})
    text = r.stdout.decode('utf-8', 'replace')
    assert r.returncode in ok, '%s: %d\n%s' % (args, r.returncode, text[-4000:])
    return text


def write(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


class Mailbox:
    """An account of one's own in a server that is everybody's."""

    def __init__(self, lab, user):
        self.lab = lab
        self.user = user
        lab.run('user', 'add', user, '--password-stdin', input='secret\n')

    def port(self, logical):
        return self.lab.port(logical)

    def send(self, octets):
        self.lab.send(octets, to=self.user)

    def count(self):
        return self.lab.count(self.user)

    def login(self, select):
        return login(self.lab, self.user, select=select)


@pytest.fixture
def filled(shared):
    box = Mailbox(shared, 'user%d@example.com' % next(NUMBERS))
    for n in range(3):
        box.send(letter(n))
    return box


def subjects(paths):
    return sorted(email.message_from_bytes(open(p, 'rb').read())['Subject'] for p in paths)


def flags_of(c):
    out = {}
    for r in c.ok('FETCH 1:* (FLAGS ENVELOPE)'):
        if b'FETCH' in r:
            out[r.split(b'"letter ')[1][:1].decode()] = {f for f in ('Seen', 'Flagged', 'Deleted', 'Answered') if b'\\' + f.encode() in r}
    return out


def test_mbsync(filled, tmp_path):
    """Two ways: letters and flags from either side arrive on the other."""
    rc = write(tmp_path / 'rc', '''
IMAPAccount p
Host 127.0.0.1
Port %d
User %s
Pass secret
SSLType STARTTLS
CertificateFile %s
AuthMechs LOGIN

IMAPStore far
Account p

MaildirStore near
Path %s/mail/
Inbox %s/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Remove Both
SyncState *
''' % (filled.port(143), filled.user, certificate(filled.lab), tmp_path, tmp_path))
    (tmp_path / 'mail').mkdir()
    sync = [have('mbsync'), '-c', rc, '-a']
    call(sync, tmp_path)
    box = tmp_path / 'mail' / 'INBOX'
    near = sorted(box.glob('new/*')) + sorted(box.glob('cur/*'))
    assert subjects(near) == ['letter 0', 'letter 1', 'letter 2']
    assert (tmp_path / 'mail' / 'Sent').is_dir()
    # Far: letter 0 is flagged, a new one comes. Near: letter 1 is seen, letter 2 goes, a new one is put there.
    c = filled.login(select='INBOX')
    c.ok('STORE 1 +FLAGS (\\Flagged)')
    filled.send(letter(3))
    by_subject = {subjects([p])[0]: p for p in near}
    p = by_subject['letter 1']
    os.rename(p, box / 'cur' / (p.name.split(':')[0] + ':2,S'))
    os.unlink(by_subject['letter 2'])
    (box / 'cur' / '1.mine:2,FS').write_bytes(letter(4).replace(b'\r\n', b'\n'))
    call(sync, tmp_path)
    c.ok('NOOP')
    assert flags_of(c) == {'0': {'Flagged'}, '1': {'Seen'}, '3': set(), '4': {'Seen', 'Flagged'}}
    near = sorted(box.glob('new/*')) + sorted(box.glob('cur/*'))
    assert subjects(near) == ['letter 0', 'letter 1', 'letter 3', 'letter 4']
    assert [p for p in near if 'F' in p.name.partition(':2,')[2]]
    call(sync, tmp_path)  # nothing to do, and nothing twice
    assert len(flags_of(c)) == 4
    assert len(list(box.glob('new/*')) + list(box.glob('cur/*'))) == 4
    c.close()


def test_mutt(filled, tmp_path):
    """Opens, saves a letter into a folder that it makes, deletes, and leaves."""
    rc = write(tmp_path / 'rc', '''
set imap_user=%s imap_pass=secret
set imap_condstore=yes imap_qresync=yes imap_deflate=yes header_cache=%s
set ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=no
set certificate_file=%s
set folder=imap://127.0.0.1:%d/ spoolfile=imap://127.0.0.1:%d/INBOX
set quit=yes delete=yes confirmcreate=no confirmappend=no move=no wait_key=no
set ssl_ca_certificates_file=%s
''' % (filled.user, tmp_path / 'headers', certificate(filled.lab), filled.port(143), filled.port(143), certificate(filled.lab)))
    def run(push):
        call([have('script'), '-qec', '%s -F %s -e "push %s"' % (have('mutt'), rc, push), '/dev/null'], tmp_path,
             env={'TERM': 'xterm'}.items(), seconds=30)

    # Saving goes on to the next letter, which is passed over.
    run('<save-message>=Kept<enter><next-entry><delete-message><sync-mailbox><quit>')
    c = filled.login(select='Kept')
    assert list(flags_of(c)) == ['0']
    c.ok('SELECT INBOX')
    assert sorted(flags_of(c)) == ['1']
    # Again, with what it remembers: what it missed comes by QRESYNC.
    c.ok('STORE 1 +FLAGS (\\Deleted)')
    c.ok('EXPUNGE')
    filled.send(letter(7))
    run('<flag-message><sync-mailbox><quit>')
    c.ok('NOOP')
    assert flags_of(c)['7'] >= {'Flagged'} and len(flags_of(c)) == 1
    c.close()


def test_offlineimap(filled, tmp_path):
    rc = write(tmp_path / 'rc', '''
[general]
accounts = a
metadata = %s/meta
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %s/mail
[Repository far]
type = IMAP
remotehost = localhost
remoteport = %d
remoteuser = %s
remotepass = secret
ssl = yes
sslcacertfile = %s
auth_mechanisms = PLAIN, LOGIN
usecompression = yes
''' % (tmp_path, tmp_path, filled.port(993), filled.user, certificate(filled.lab)))
    run = [have('offlineimap'), '-c', rc, '-u', 'basic', '-o']
    call(run, tmp_path)
    box = tmp_path / 'mail' / 'INBOX'
    near = sorted(box.glob('new/*')) + sorted(box.glob('cur/*'))
    assert subjects(near) == ['letter 0', 'letter 1', 'letter 2']
    os.rename(near[0], box / 'cur' / (near[0].name.split(':')[0].split(',FMD5')[0] + ',' + near[0].name.split(',', 1)[1].split(':')[0] + ':2,S'))
    (box / 'cur' / '1_0.1.mine,U=,:2,S').write_bytes(letter(7))
    call(run, tmp_path)
    c = filled.login(select='INBOX')
    flags = flags_of(c)
    assert set(flags) == {'0', '1', '2', '7'}
    assert sum('Seen' in f for f in flags.values()) == 2
    c.close()


@pytest.mark.parametrize('kind', ['SimplePOP3SSLRetriever', 'SimpleIMAPSSLRetriever'])
def test_getmail(filled, tmp_path, kind):
    mda = write(tmp_path / 'mda', '#!/bin/sh\nexec cat > %s/$$.got\n' % tmp_path)
    os.chmod(mda, 0o700)
    rc = write(tmp_path / 'rc', '''
[retriever]
type = %s
server = 127.0.0.1
port = %d
username = %s
password = secret
[destination]
type = MDA_external
path = %s
allow_root_commands = true
[options]
read_all = false
delete = true
''' % (kind, filled.port(995 if 'POP3' in kind else 993), filled.user, mda))
    (tmp_path / '.getmail').mkdir()
    call([have('getmail'), '--getmaildir', str(tmp_path / '.getmail'), '--rcfile', rc], tmp_path)
    assert subjects(tmp_path.glob('*.got')) == ['letter 0', 'letter 1', 'letter 2']
    assert filled.count() == 0


@pytest.mark.parametrize('protocol', ['POP3', 'IMAP'])
def test_fetchmail(filled, tmp_path, protocol):
    store = tmp_path / 'got'
    mda = write(tmp_path / 'mda', '#!/bin/sh\nexec cat >> %s\n' % store)
    os.chmod(mda, 0o700)
    rc = write(tmp_path / 'rc', 'poll localhost protocol %s port %d user "%s" password "secret" ssl sslcertck sslcertfile "%s"'
               ' is nobody here mda "%s" no keep\n'
               % (protocol, filled.port(995 if protocol == 'POP3' else 993), filled.user, certificate(filled.lab), mda))
    call([have('fetchmail'), '-f', rc, '--pidfile', str(tmp_path / 'pid'), '-v', '-i', str(tmp_path / 'ids')], tmp_path,
         env={'FETCHMAILHOME': str(tmp_path)}.items())
    text = store.read_text()
    assert [text.count('Subject: letter %d' % n) for n in range(3)] == [1, 1, 1]
    assert filled.count() == 0


def test_mpop(filled, tmp_path):
    rc = write(tmp_path / 'rc', '''
defaults
tls on
tls_starttls on
tls_certcheck off
account p
host 127.0.0.1
port %d
auth scram-sha-256
user %s
password secret
keep on
delivery mbox %s/mbox
account default : p
''' % (filled.port(110), filled.user, tmp_path))
    mpop = [have('mpop'), '-C', rc, '--uidls-file=%s/uidls' % tmp_path]
    call(mpop, tmp_path)
    assert len(mailbox.mbox(str(tmp_path / 'mbox'))) == 3
    filled.send(letter(3))
    call(mpop, tmp_path)
    assert len(mailbox.mbox(str(tmp_path / 'mbox'))) == 4


def test_curl(filled, tmp_path):
    curl = [have('curl'), '-sS', '-k', '--user', filled.user + ':secret']
    imaps, pops = ('imaps://127.0.0.1:%d' % filled.port(993), 'pop3s://127.0.0.1:%d' % filled.port(995))
    assert 'INBOX' in call(curl + [imaps + '/'], tmp_path)
    assert 'Subject: letter 1' in call(curl + [imaps + '/INBOX;MAILINDEX=2'], tmp_path)
    assert call(curl + [imaps + '/INBOX?SUBJECT%20%22letter%202%22'], tmp_path).split() == ['*', 'SEARCH', '3']
    new = tmp_path / 'new.eml'
    new.write_bytes(letter(9))
    call(curl + ['-T', str(new), imaps + '/INBOX'], tmp_path)
    assert filled.count() == 4
    assert len(call(curl + [pops + '/'], tmp_path).split('\n')) >= 4
    assert 'Subject: letter 9' in call(curl + [pops + '/4'], tmp_path)
    call(curl + ['--head', '-X', 'DELE', pops + '/1'], tmp_path)
    assert filled.count() == 3
    assert 'letter 1' in call(curl + ['--ssl-reqd', 'pop3://127.0.0.1:%d/1' % filled.port(110)], tmp_path)


def test_imaplib(filled):
    m = imaplib.IMAP4('127.0.0.1', filled.port(143))
    assert 'LOGINDISABLED' in m.capabilities
    m.starttls(context())
    m.login(filled.user, 'secret')
    assert m.select() == ('OK', [b'3'])
    assert m.search(None, 'SUBJECT', '"letter 1"') == ('OK', [b'2'])
    assert m.append('Archive', '(\\Seen $Mine)', imaplib.Time2Internaldate(86400 * 365), letter(5))[0] == 'OK'
    assert m.copy('1:2', 'Archive')[0] == 'OK'
    assert m.store('1', '+FLAGS', '\\Deleted')[0] == 'OK'
    assert m.expunge() == ('OK', [b'1'])
    assert m.select('Archive') == ('OK', [b'3'])
    status, rows = m.fetch('1', '(FLAGS INTERNALDATE RFC822)')
    assert rows[0][1] == letter(5) and b'$Mine' in rows[0][0] + rows[1]
    assert m.sort('REVERSE SUBJECT', 'UTF-8', 'ALL') == ('OK', [b'1 3 2'])
    assert m.thread('REFERENCES', 'UTF-8', 'ALL')[0] == 'OK'
    assert m.uid('MOVE', '1', 'INBOX')[0] == 'OK'
    assert m.status('INBOX', '(MESSAGES UNSEEN)') == ('OK', [b'INBOX (MESSAGES 3 UNSEEN 2)'])
    assert m.logout()[0] == 'BYE'


def test_poplib(filled):
    p = poplib.POP3('127.0.0.1', filled.port(110))
    assert 'STLS' in p.capa()
    with pytest.raises(poplib.error_proto):
        p.user(filled.user)
    p.stls(context())
    p.user(filled.user)
    p.pass_('secret')
    assert p.stat()[0] == 3 and len(p.list()[1]) == 3
    ids = p.uidl()[1]
    assert len(set(ids)) == 3
    assert b'Subject: letter 0' in p.retr(1)[1] and p.top(2, 0)[1][-1] == b''
    p.dele(2)
    p.rset()
    p.dele(3)
    p.quit()
    p = poplib.POP3_SSL('127.0.0.1', filled.port(995), context=context())
    p.utf8()
    p.user(filled.user)
    p.pass_('secret')
    assert p.uidl()[1] == ids[:2]
    p.quit()


IMAPFLOW = '''
const { ImapFlow } = require('imapflow');
(async () => {
  const c = new ImapFlow({ host: '127.0.0.1', port: +process.argv[2], secure: true, logger: false, qresync: true,
    auth: { user: process.argv[3], pass: 'secret' }, tls: { rejectUnauthorized: false } });
  await c.connect();
  const out = { boxes: (await c.list()).map(b => [b.path, b.specialUse || '']) };
  let lock = await c.getMailboxLock('INBOX');
  out.subjects = [];
  for await (const m of c.fetch('1:*', { envelope: true, bodyStructure: true, source: true, flags: true, uid: true }))
    out.subjects.push([m.envelope.subject, m.bodyStructure.type, m.source.length]);
  out.found = await c.search({ subject: 'letter 1' });
  await c.messageFlagsAdd('1', ['\\\\Seen', '$Flow']);
  await c.mailboxCreate(['Flow', 'Deeper']);
  out.moved = (await c.messageMove('2', 'Flow/Deeper')).destination;
  out.appended = !!(await c.append('INBOX', 'Subject: appended\\r\\n\\r\\nx\\r\\n', ['\\\\Seen'])).uid;
  out.status = await c.status('Flow/Deeper', { messages: true });
  out.quota = await c.getQuota('INBOX');
  const part = await c.download('1', '1');
  let text = '';
  for await (const x of part.content) text += x;
  out.text = text;
  lock.release();
  await c.logout();
  console.log(JSON.stringify(out));
})().catch(e => { console.error(e); process.exit(1); });
'''


def test_imapflow(filled, tmp_path):
    assert os.path.isdir(os.path.join(PEERS, 'imapflow', 'node_modules')), 'tools/setup.sh test puts imapflow there'
    script = write(tmp_path / 'flow.js', IMAPFLOW)
    text = call([have('node'), script, str(filled.port(993)), filled.user], tmp_path,
                env={'NODE_PATH': os.path.join(PEERS, 'imapflow', 'node_modules')}.items())
    out = json.loads(text.strip().split('\n')[-1])
    assert {tuple(b) for b in out['boxes']} >= {('INBOX', '\\Inbox'), ('Sent', '\\Sent'), ('Drafts', '\\Drafts'), ('Trash', '\\Trash'),
                                               ('Junk', '\\Junk'), ('Archive', '\\Archive')}
    assert [s[0] for s in out['subjects']] == ['letter 0', 'letter 1', 'letter 2']
    assert out['found'] == [2] and out['moved'] == 'Flow/Deeper' and out['appended']
    assert out['status']['messages'] == 1 and out['text'] == 'hello\r\n'


PERL = r'''
use strict; use Mail::IMAPClient; use IO::Socket::SSL;
my $s = IO::Socket::SSL->new(PeerAddr => "127.0.0.1:$ARGV[0]", SSL_verify_mode => 0) or die "connect: $@";
my $c = Mail::IMAPClient->new(Socket => $s, User => $ARGV[1], Password => 'secret', Uid => 1) or die "new: $@";
$c->IsAuthenticated or $c->login or die "login: ", $c->LastError;
$c->select('INBOX') or die $c->LastError;
my @all = $c->messages; die "messages" unless @all == 3;
my @found = $c->search('SUBJECT', 'letter 2'); die "search" unless @found == 1;
die "subject" unless $c->subject($all[0]) eq 'letter 0';
$c->set_flag('Flagged', $all[0]) or die $c->LastError;
die "flagged" unless ($c->search('FLAGGED'))[0] == $all[0];
$c->create('Perl') or die $c->LastError;
my $uid = $c->append_string('Perl', "Subject: p\r\n\r\nbody\r\n") or die $c->LastError;
$c->move('Perl', $all[1]) or die $c->LastError; $c->expunge;
die "count" unless $c->message_count('Perl') == 2 && $c->message_count('INBOX') == 2;
my $bs = $c->get_bodystructure($all[0]) or die "bodystructure";
die "type" unless lc $bs->bodytype eq 'text';
my $env = $c->get_envelope($all[0]) or die "envelope";
die "string" unless $c->message_string($all[0]) =~ /\r\nhello\r\n\z/;
$c->idle or die "idle"; $c->done or die "done";
$c->logout; print "all well\n";
'''


def test_perl(filled, tmp_path):
    script = write(tmp_path / 'client.pl', PERL)
    assert 'all well' in call([have('perl'), script, str(filled.port(993)), filled.user], tmp_path)
