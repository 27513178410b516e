"""Other people's servers out of their Debian packages (build/peers, unpacked by tools/setup.sh), each on
loopback in a mount namespace of its own, where /usr, /etc and /var/spool are what it expects:
nothing of them is installed, and nothing of this machine changes.

    with others.exim(port) as server: ...

All know the user joe@example.org with the password sesame where they know users, take mail for
example.org and nobody else's, and offer STARTTLS with a certificate for mx.example.org that signs
itself. OpenSMTPD 6.8, as Debian 12 has it, cannot end a handshake with OpenSSL 3: what it offers
fails, as servers do in life."""
import contextlib
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEERS = os.path.join(ROOT, 'build', 'peers')
HOST, USER, PASSWORD = 'mx.example.org', 'joe@example.org', 'sesame'
ACCOUNTS = (('Debian-exim', 641), ('opensmtpd', 642), ('opensmtpq', 643), ('dovecot', 644), ('dovenull', 645),
            ('postfix', 646), ('postdrop', 647), ('vmail', 648))

EXIM = '''primary_hostname = mx.example.org
domainlist local_domains = example.org
exim_path = /usr/sbin/exim4
spool_directory = /var/spool/exim4
log_file_path = /var/spool/exim4/%slog
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts = *
tls_certificate = /etc/peer/cert.pem
tls_privatekey = /etc/peer/key.pem
host_lookup =
rfc1413_hosts =
keep_environment =
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  accept domains = +local_domains
         local_parts = joe : postmaster
  deny   domains = +local_domains
         message = Unrouteable address
  accept authenticated = *
  deny   message = relay not permitted
begin routers
loc:
  driver = accept
  transport = out
begin transports
out:
  driver = appendfile
  file = /var/spool/vmail/mbox
  user = vmail
begin retry
* * F,2h,15m
begin rewrite
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and {{{{eq{{$auth2}}{{joe@example.org}}}}{{eq{{$auth3}}{{sesame}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and {{{{eq{{$auth1}}{{joe@example.org}}}}{{eq{{$auth2}}{{sesame}}}}}}}}
  server_set_id = $auth1
  server_advertise_condition = ${{if def:tls_in_cipher}}
'''
OPENSMTPD = '''pki mx.example.org cert "/etc/peer/cert.pem"
pki mx.example.org key "/etc/peer/key.pem"
table users {{ "joe@example.org" = "648:648:/var/spool/vmail" }}
table secrets {{ "joe@example.org" = "{hash}" }}
listen on 127.0.0.1 port {port} tls pki mx.example.org auth-optional <secrets> hostname mx.example.org
listen on 127.0.0.1 port {port2} smtps pki mx.example.org auth <secrets> hostname mx.example.org
action "loc" maildir "/var/spool/vmail/box" virtual {{ "joe@example.org" = "vmail" }}
match from any for domain "example.org" action "loc"
'''
DOVECOT = '''base_dir = /var/spool/dovecot/run
state_dir = /var/spool/dovecot/run
log_path = /var/spool/dovecot/log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = </etc/peer/cert.pem
ssl_key = </etc/peer/key.pem
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 digest-md5
first_valid_uid = 600
mail_location = maildir:/var/spool/vmail/Maildir
mail_plugin_dir = /usr/lib/dovecot/modules
passdb {{
  driver = passwd-file
  args = /etc/peer/users
}}
userdb {{
  driver = static
  args = uid=648 gid=648 home=/var/spool/vmail
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {port2}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {port3}
  }}
  inet_listener pop3s {{
    port = {port4}
  }}
}}
'''
POSTFIX_MAIN = '''compatibility_level = 3.6
queue_directory = /var/spool/postfix
data_directory = /var/spool/postfix-data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = /var/spool/log/mail
maillog_file_prefixes = /var/spool
myhostname = mx.example.org
mynetworks = 192.0.2.1/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
alias_database =
disable_dns_lookups = yes
virtual_mailbox_domains = example.org
virtual_mailbox_maps = inline:{{ joe@example.org=joe/ postmaster@example.org=joe/ }}
virtual_mailbox_base = /var/spool/vmail
virtual_uid_maps = static:648
virtual_gid_maps = static:648
smtpd_tls_security_level = may
smtpd_tls_cert_file = /etc/peer/cert.pem
smtpd_tls_key_file = /etc/peer/key.pem
smtpd_recipient_restrictions = reject_unauth_destination
'''
POSTFIX_MASTER = '''127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
''' + ''.join('%s unix - n n - %s %s\n' % row for row in (
    ('rewrite', '-', 'trivial-rewrite'), ('bounce', '0', 'bounce'), ('defer', '0', 'bounce'), ('trace', '0', 'bounce'),
    ('error', '-', 'error'), ('retry', '-', 'error'), ('virtual', '-', 'virtual'), ('proxymap', '-', 'proxymap'),
    ('tlsmgr', '1', 'tlsmgr'), ('anvil', '1', 'anvil'), ('scache', '1', 'scache'), ('smtp', '-', 'smtp'))) + 'postlog unix-dgram n - n - 1 postlogd\n'

# $1: the packages' usr; $2: etc; $3: spool; then the command. Each has a /run of its own: control sockets
# are there.
INSIDE = '''
set -e
mount -t overlay overlay -o "lowerdir=$1:/usr" /usr
mount --bind "$2" /etc
mount --bind "$3" /var/spool
mount -t tmpfs -o mode=755 tmpfs /run
shift 3
exec "$@"
'''


class Trouble(Exception):
    pass


def namespaces():
    """May we make mount namespaces here?"""
    return os.geteuid() == 0 and subprocess.run(
        ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', 'mount -t overlay o -o lowerdir=/usr:/etc /mnt'],
        stderr=subprocess.DEVNULL).returncode == 0


def there(name):
    return os.path.exists(os.path.join(PEERS, name, 'packages' if name != 'postfix' else 'usr'))


class Server:
    """One server and its directory."""

    def __init__(self, name, ports, files, folders, command, greetings, env=None):
        self.name, self.ports, self.env = name, ports, env or {}
        self.host, self.user, self.password = HOST, USER, PASSWORD
        if not there(name):
            raise Trouble('build/peers/%s is missing: tools/setup.sh test unpacks it' % name)
        self.dir = tempfile.mkdtemp(prefix='pennypost-%s-' % name)
        os.chmod(self.dir, 0o755)
        self.etc, self.spool = self.dir + '/etc', self.dir + '/spool'
        shutil.copytree('/etc', self.etc, symlinks=True, ignore_dangling_symlinks=True,
                        ignore=shutil.ignore_patterns('ssl', 'alternatives', 'shadow*', 'gshadow*'))
        os.symlink('/usr/lib/ssl', self.etc + '/ssl')
        shutil.copytree('/etc/alternatives', self.etc + '/alternatives', symlinks=True)
        with open(self.etc + '/passwd', 'a') as f:
            f.writelines('%s:x:%d:%d::/nonexistent:/bin/false\n' % (n, i, i) for n, i in ACCOUNTS)
        with open(self.etc + '/group', 'a') as f:
            f.writelines('%s:x:%d:\n' % a for a in ACCOUNTS)
        os.makedirs(self.etc + '/peer', exist_ok=True)
        self.cert = self.etc + '/peer/cert.pem'
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=' + HOST, '-addext', 'subjectAltName=DNS:%s,IP:127.0.0.1' % HOST,
                        '-keyout', self.etc + '/peer/key.pem', '-out', self.cert], check=True, capture_output=True)
        if name == 'exim':  # reads it as its own user
            os.chown(self.etc + '/peer/key.pem', 0, dict(ACCOUNTS)['Debian-exim'])
            os.chmod(self.etc + '/peer/key.pem', 0o640)
        for path, text in files.items():
            os.makedirs(os.path.dirname(self.etc + path), exist_ok=True)
            with open(self.etc + path, 'w') as f:
                f.write(text)
        ids = dict(ACCOUNTS)
        for path, mode, owner, group in folders:
            os.makedirs(self.spool + path, exist_ok=True)
            os.chown(self.spool + path, ids.get(owner, 0), ids.get(group or owner, 0))
            os.chmod(self.spool + path, mode)
        libs = glob.glob(os.path.join(PEERS, name, 'usr/lib/*-linux-*')) + \
            glob.glob(os.path.join(PEERS, name, 'lib/*-linux-*')) + self.env.pop('libs', [])
        env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'TZ': 'UTC', **self.env}
        if libs:
            env['LD_LIBRARY_PATH'] = ':'.join(libs)
        self.out = open(self.dir + '/out', 'w+')
        self.process = subprocess.Popen(
            ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private', 'sh', '-c',
             INSIDE, 'sh', os.path.join(PEERS, name, 'usr'), self.etc, self.spool] + command,
            env=env, stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.STDOUT, start_new_session=True)
        for port in greetings:
            self.wait(port)

    @property
    def port(self):
        return self.ports[0]

    def wait(self, port):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(('127.0.0.1', port), timeout=10) as s:
                    if s.recv(512):
                        return
            except OSError:
                pass
            time.sleep(0.05)
        said = self.log()
        self.close()
        raise Trouble('%s does not greet at port %d:\n%s' % (self.name, port, said))

    def log(self):
        text = ''
        for path in [self.dir + '/out'] + glob.glob(self.spool + '/**/*log*', recursive=True):
            if os.path.isfile(path):
                with open(path, errors='replace') as f:
                    text += f.read()[-4000:]
        return text

    def letters(self):
        """What was delivered, each as octets."""
        found = []
        for path in sorted(glob.glob(self.spool + '/**/new/*', recursive=True)) + [self.spool + '/vmail/mbox']:
            if os.path.isfile(path):
                with open(path, 'rb') as f:
                    found.append(f.read())
        return found

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.out.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()


def exim(port, main='', logins='', files=()):
    """main: more lines of its main section; logins: more authenticators; files: {path below /etc: text}."""
    conf = EXIM.format(port=port).replace('host_lookup =\n', 'host_lookup =\n' + main) + logins
    return Server('exim', [port], {'/exim4/exim.conf': conf, '/exim4/trusted_configs': '/etc/exim4/exim.conf\n', **dict(files)},
                  [('', 0o755, None, None), ('/exim4', 0o750, 'Debian-exim', None),
                   ('/vmail', 0o700, 'vmail', None)],
                  ['/usr/sbin/exim4', '-C', '/etc/exim4/exim.conf', '-bdf', '-q1s'], [port])


def opensmtpd(port, smtps):
    made = subprocess.run(['openssl', 'passwd', '-6', PASSWORD], capture_output=True, text=True, check=True).stdout.strip()
    return Server('opensmtpd', [port, smtps], {'/smtpd.conf': OPENSMTPD.format(port=port, port2=smtps, hash=made)},
                  [('', 0o755, None, None), ('/smtpd', 0o711, None, None), ('/vmail', 0o700, 'vmail', None)],
                  ['sh', '-c', 'mkdir -p /var/lib/opensmtpd/empty /usr/share/empty 2>/dev/null; chmod 640 /etc/smtpd.conf '
                   '/etc/peer/key.pem; exec /usr/sbin/smtpd -d -f /etc/smtpd.conf'], [port])


def dovecot(imap, imaps, pop3, pop3s):
    conf = DOVECOT.format(port=imap, port2=imaps, port3=pop3, port4=pop3s)
    return Server('dovecot', [imap, imaps, pop3, pop3s],
                  {'/dovecot/dovecot.conf': conf, '/peer/users': '%s:{PLAIN}%s:::::\n' % (USER, PASSWORD)},
                  [('', 0o755, None, None), ('/dovecot', 0o755, None, None), ('/dovecot/run', 0o755, None, None),
                   ('/vmail', 0o700, 'vmail', None)],
                  ['dovecot', '-F', '-c', '/etc/dovecot/dovecot.conf'], [imap, pop3], {'libs': ['/usr/lib/dovecot']})


def dovecot_lmtp(port, imap):
    """Dovecot as a place to deliver to, by LMTP on TCP and at spool/lmtp."""
    conf = DOVECOT.format(port=imap, port2=0, port3=0, port4=0).replace('protocols = imap pop3', 'protocols = imap lmtp') + \
        'service lmtp {\n  inet_listener lmtp {\n    address = 127.0.0.1\n    port = %d\n  }\n' \
        '  unix_listener /var/spool/lmtp {\n    mode = 0666\n  }\n}\n' % port
    conf = re.sub(r'(?s)service pop3-login.*?\n}\n', '', conf)
    return Server('dovecot', [port], {'/dovecot/dovecot.conf': conf, '/peer/users': '%s:{PLAIN}%s:::::\n' % (USER, PASSWORD)},
                  [('', 0o755, None, None), ('/dovecot', 0o755, None, None), ('/dovecot/run', 0o755, None, None),
                   ('/vmail', 0o700, 'vmail', None)],
                  ['dovecot', '-F', '-c', '/etc/dovecot/dovecot.conf'], [port], {'libs': ['/usr/lib/dovecot']})


def postfix(port, more=''):
    """more: lines of main.cf."""
    owned = ('active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'private', 'saved', 'trace')
    folders = [('', 0o755, None, None), ('/log', 0o777, None, None), ('/vmail', 0o700, 'vmail', None),
               ('/postfix', 0o755, None, None), ('/postfix/pid', 0o755, None, None), ('/postfix-data', 0o700, 'postfix', None),
               ('/postfix/maildrop', 0o730, 'postfix', 'postdrop'), ('/postfix/public', 0o710, 'postfix', 'postdrop')] + \
        [('/postfix/' + n, 0o700, 'postfix', None) for n in owned]
    return Server('postfix', [port], {'/postfix/main.cf': POSTFIX_MAIN.format(port=port) + more,
                                      '/postfix/master.cf': POSTFIX_MASTER.format(port=port)}, folders,
                  ['/usr/lib/postfix/sbin/master', '-c', '/etc/postfix', '-d'], [port],
                  {'MAIL_CONFIG': '/etc/postfix', 'libs': ['/usr/lib/postfix']})


@contextlib.contextmanager
def all_of_them(free):
    """exim, opensmtpd, dovecot, postfix by name; free() gives a free port."""
    with contextlib.ExitStack() as stack:
        yield {s.name: stack.enter_context(s) for s in (exim(free()), opensmtpd(free(), free()), postfix(free()),
                                                        dovecot(free(), free(), free(), free()))}
