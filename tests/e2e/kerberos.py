"""A key distribution centre of one's own: one realm, on 127.0.0.1, in a directory."""
import os
import socket
import subprocess

from server import ROOT, SLOW, end_with_us, wait_until

PLACE = os.path.join(ROOT, 'build', 'peers', 'krb5')
LIBRARIES = os.path.join(PLACE, 'usr', 'lib', os.uname().machine + '-linux-gnu')
REALM = 'EXAMPLE.COM'


def program(name):
    for where in ('usr/bin', 'usr/sbin'):
        path = os.path.join(PLACE, where, name)
        if os.access(path, os.X_OK):
            return path
    return None


def missing():
    """What is not there of what this needs."""
    return [n for n in ('krb5kdc', 'kdb5_util', 'kadmin.local', 'kinit') if not program(n)]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Kdc:
    def __init__(self, directory):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.port = free_port()
        self.process = None
        self.env = {**os.environ, 'LD_LIBRARY_PATH': LIBRARIES, 'KRB5_CONFIG': self.path('krb5.conf'),
                    'KRB5_KDC_PROFILE': self.path('kdc.conf'), 'KRB5CCNAME': self.path('tickets')}
        self.write('krb5.conf', '''
[libdefaults]
 default_realm = %s
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 %s = {
  kdc = 127.0.0.1:%d
 }
[domain_realm]
 localhost = %s
''' % (REALM, REALM, self.port, REALM))
        self.write('kdc.conf', '''
[kdcdefaults]
 kdc_listen = 127.0.0.1:%d
 kdc_tcp_listen = 127.0.0.1:%d
[realms]
 %s = {
  database_name = %s
  key_stash_file = %s
  acl_file = %s
  max_life = 1h
 }
[dbmodules]
 db_module_dir = %s
[logging]
 kdc = FILE:%s
''' % (self.port, self.port, REALM, self.path('principal'), self.path('stash'), self.path('acl'),
            os.path.join(LIBRARIES, 'krb5', 'plugins', 'kdb'), self.path('kdc.log')))

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), 'w') as f:
            f.write(text.lstrip())

    def run(self, name, *words, input=None):
        r = subprocess.run([program(name), *words], env=self.env, input=input, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=60 * SLOW, text=True)
        assert r.returncode == 0, '%s: %s' % (name, r.stdout)
        return r.stdout

    def start(self):
        self.run('kdb5_util', 'create', '-s', '-W', '-P', 'master', '-r', REALM)
        self.process = subprocess.Popen([program('krb5kdc'), '-n', '-r', REALM], env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=end_with_us)
        wait_until(self.answers)
        return self

    def answers(self):
        assert self.process.poll() is None, 'the KDC has ended'
        try:
            socket.create_connection(('127.0.0.1', self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def user(self, name, password='secret'):
        self.run('kadmin.local', '-r', REALM, '-q', 'addprinc -pw %s %s' % (password, name))

    def service(self, name, keytab):
        """A key of a service, in a keytab."""
        self.run('kadmin.local', '-r', REALM, '-q', 'addprinc -randkey ' + name)
        self.run('kadmin.local', '-r', REALM, '-q', 'ktadd -k %s %s' % (self.path(keytab), name))
        return self.path(keytab)

    def login(self, name, password='secret'):
        """Tickets of name in place of those that were there."""
        self.run('kinit', name, input=password + '\n')
