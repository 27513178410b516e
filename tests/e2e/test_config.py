"""serve with a file: checking it, running it, reading it again."""
import re
import signal
import socket
import subprocess
import time

from server import BINARY, Lab, free_base, wait_until

MISTAKES = '''hostnam = "mail.example.com";
data_dir = "%s";
limit: { conns_total = "many"; hops = -3; };
starttls = "sometimes";
auth = 7;
domains = [ "example.com" ];
alias = ( { address = "staff@example.com"; members = [ "no address" ]; } );
listen = ( { port = 0; }, { port = 2525; dialect = "nope"; }, { prot = 25; } );
'''


def config_check(path, *more):
    return subprocess.run([BINARY, 'config', 'check', str(path), *more], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)


def test_check_tells_all_mistakes_with_their_place(tmp_path):
    path = tmp_path / 'bad.conf'
    path.write_text(MISTAKES % (tmp_path / 'd'))
    r = config_check(path)
    assert r.returncode == 2
    told = {int(n) for n in re.findall(r'%s:(\d+):' % re.escape(str(path)), r.stdout + r.stderr)}
    assert {1, 3, 4, 5, 8} <= told, r.stdout + r.stderr
    assert 'hostname' in r.stdout + r.stderr, 'what to write instead'
    r = subprocess.run([BINARY, 'serve', '--config', str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=20)
    assert r.returncode == 2 and 'bad.conf:1:' in r.stdout


def test_mistakes_between_keys_name_the_file(tmp_path):
    """They stand in no line of it; `serve` says the same."""
    path = tmp_path / 'between.conf'
    path.write_text('hostname = "mail.example.com"; domains = [ "example.com" ]; data_dir = "%s";\n' % (tmp_path / 'd') +
                    'routes = ( { match = "y.example"; via = "smtp:mx.example.net:25"; login = "us"; } );\n'
                    'listen = ( { port = 2525; }, { port = 2525; } );\n')
    serve = subprocess.run([BINARY, 'serve', '--config', str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    for r in (config_check(path), serve):
        assert r.returncode == 2 and 'y.example' in r.stdout and 'two listeners' in r.stdout, r.stdout
        assert all('%s: ' % path in line for line in r.stdout.splitlines()), r.stdout


def test_check_of_broken_syntax_and_missing_file(tmp_path):
    path = tmp_path / 'open.conf'
    path.write_text('limit: {\n conns_total = 1;\n')
    r = config_check(path)
    assert r.returncode == 2 and 'open.conf:' in r.stdout + r.stderr
    r = config_check(tmp_path / 'none.conf')
    assert r.returncode == 2 and 'none.conf' in r.stdout + r.stderr


def test_check_looks_for_what_routes_name(tmp_path):
    """A server starts without them; its mail then waits."""
    (tmp_path / 'd').mkdir()
    (tmp_path / 'empty').write_text('\n')
    path = tmp_path / 'routes.conf'
    path.write_text('hostname = "mail.example.com"; data_dir = "%s"; listen = ( { port = 2525; } );\n' % (tmp_path / 'd') +
                    'routes = ( { match = "a.example"; via = "smtp:x.example:25"; login = "us"; secret_file = "/nonexistent"; },\n'
                    '{ match = "b.example"; via = "smtp:x.example:25"; login = "us"; secret_file = "%s"; },\n' % (tmp_path / 'empty') +
                    '{ match = "c.example"; certificate = "nosuch.example"; },\n'
                    '{ match = "d.example"; certificate = "mail.example.com"; } );\n')
    r = subprocess.run([BINARY, 'tls', 'make', 'mail.example.com', '--dir', str(tmp_path / 'd')], capture_output=True)
    assert r.returncode == 0, r
    r = config_check(path)
    assert r.returncode == 0, r.stdout
    for what in ('route a.example: secret_file /nonexistent: No such file', 'route b.example: secret_file %s: its first line is empty'
                 % (tmp_path / 'empty'), 'route c.example: none of our certificates has the name nosuch.example'):
        assert 'warning: ' + what in r.stdout, r.stdout
    assert 'd.example' not in r.stdout


def write_config(tmp_path, base, ports=(25,), **keys):
    path = tmp_path / 'pennypost.conf'
    text = {'hostname': '"mail.example.com"', 'data_dir': '"%s"' % (tmp_path / 'data'),
            'domains': '[ "example.com" ]', 'store': '{ segment_bytes = "8M"; }', 'fronts': '2', **keys}
    path.write_text(''.join('%s = %s;\n' % (k, v) if v[0] != '{' else '%s: %s;\n' % (k, v) for k, v in text.items()) +
                    'listen = ( %s );\n' % ', '.join('{ address = "127.0.0.1"; port = %d; }' % (base + p) for p in ports))
    return str(path)


def wait_greeting(lab):
    def greeted():
        try:
            with lab.talk() as t:
                return t.reply()[0] == 220
        except (ConnectionError, AssertionError):
            assert lab.running(), lab.log()
            return False
    wait_until(greeted)


def served(make_lab, tmp_path, args=lambda base: [], **keys):
    base, guard = free_base()
    lab = make_lab(start=False, config=write_config(tmp_path, base, **keys), base=base, args=args(base))
    lab.guard = guard
    lab.start(wait=False)
    wait_greeting(lab)
    return lab


def test_serve(make_lab, tmp_path):
    lab = served(make_lab, tmp_path)
    lab.run('user', 'add', 'ann@example.com', '--password-stdin', input='x\n')
    lab.send(b'Subject: x\r\nFrom: a@example.net\r\n\r\nx\r\n', to='ann@example.com')
    assert lab.count('ann@example.com') == 1
    assert config_check(lab.config).returncode == 0


def test_one_listener_only(make_lab, tmp_path):
    """PORT:KEY=VALUE is for one listener, KEY=VALUE for all."""
    lab = served(make_lab, tmp_path, ports=(25, 587),
                 args=lambda base: ['--set', '%d:limit.rcpts_per_msg=1' % (base + 25), '--set', 'vrfy=yes'])
    for name in ('ann', 'bob'):
        lab.run('user', 'add', name + '@example.com', '--password-stdin', input='x\n')
    codes = []
    for port in (25, 587):
        with lab.talk(port) as t:
            t.begin()
            t.ask('VRFY ann@example.com', 250)
            t.ask('MAIL FROM:<a@example.net>', 250)
            t.ask('RCPT TO:<ann@example.com>', 250)
            codes.append(t.ask('RCPT TO:<bob@example.com>')[0])
    assert codes == [452, 250]


def test_reload_keeps_connections(make_lab, tmp_path):
    lab = served(make_lab, tmp_path)
    lab.run('user', 'add', 'ann@example.com', '--password-stdin', input='x\n')
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<a@example.net>', 250)
        fronts = lab.roles('front')
        write_config(tmp_path, lab.base, vrfy='true', domains='[ "example.com", "example.org" ]')
        lab.process.send_signal(signal.SIGHUP)

        def new_rules():
            with lab.talk() as other:
                other.begin()
                return other.ask('VRFY ann@example.com')[0] == 250
        wait_until(new_rules)
        assert lab.roles('front') == fronts, 'no process was exchanged'
        t.ask('RCPT TO:<ann@example.com>', 250)
        t.ask('DATA', 354)
        t.send(b'Subject: over a reload\r\n\r\nx\r\n.\r\n')
        assert t.reply()[0] == 250
        t.ask('QUIT', 221)
    assert lab.count('ann@example.com') == 1
    assert 'example.org' in lab.run('domain', 'list').stdout


def test_reload_reads_who_exists_elsewhere(make_lab, tmp_path):
    """relay_recipients is a file that the configuration names: it is read with it, and refused with it."""
    listed = tmp_path / 'recipients'
    listed.write_text('joe@backed-up.example\n')
    lab = served(make_lab, tmp_path, relay_domains='"backed-up.example"', relay_recipients='"%s"' % listed)

    def taken():
        """Who of joe and jo is taken."""
        with lab.talk() as t:
            t.begin()
            t.ask('MAIL FROM:<a@example.net>', 250)
            return [t.ask('RCPT TO:<%s@backed-up.example>' % who)[0] for who in ('joe', 'jo')]
    assert taken() == [250, 550]
    listed.write_text('jo@backed-up.example\n')
    lab.run('reload')
    wait_until(lambda: taken() == [550, 250])
    listed.write_text('joe@backed-up.example\njoe\n')
    r = lab.run('reload', check=False)
    assert r.returncode != 0 and '%s:2: "joe" is no address' % listed in r.stdout + r.stderr
    assert taken() == [550, 250]
    listed.unlink()
    r = config_check(lab.config)
    assert r.returncode == 2 and 'relay_recipients: %s cannot be read' % listed in r.stdout + r.stderr


def test_reload_with_a_mistake_changes_nothing(make_lab, tmp_path):
    lab = served(make_lab, tmp_path)
    with open(lab.config, 'a') as f:
        f.write('nonsense = 1;\n')
    r = lab.run('reload', check=False)
    assert r.returncode in (2, 3) and 'nonsense' in r.stderr + r.stdout
    lab.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert lab.running()
    with lab.talk() as t:
        t.begin()


def test_reload_moves_ports(make_lab, tmp_path):
    lab = served(make_lab, tmp_path)
    old = lab.base
    base, guard = free_base()
    with lab.talk() as t:
        t.begin()
        write_config(tmp_path, base)
        lab.run('reload')
        lab.base = base
        wait_greeting(lab)
        t.ask('NOOP', 250)
    def old_port_is_closed():
        with socket.socket() as s:
            s.settimeout(5)
            return s.connect_ex(('127.0.0.1', old + 25)) != 0
    wait_until(old_port_is_closed)
    guard.close()


def test_lab_finds_its_data_again(make_lab):
    lab = make_lab()
    lab.send(b'Subject: x\r\nFrom: a@example.net\r\n\r\nx\r\n')
    assert lab.stop() == 0
    lab.start()
    assert lab.count('alice@example.com') == 1


def test_second_server_on_the_same_folder(make_lab):
    lab = make_lab()
    base, guard = free_base()
    other = Lab(dir=lab.dir, base=base)
    other.log_path = lab.dir + '.second.log'
    r = subprocess.run(other.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert r.returncode != 0 and lab.dir in r.stdout, r.stdout
    guard.close()
    lab.send(b'Subject: x\r\nFrom: a@example.net\r\n\r\nx\r\n')


def test_second_server_on_the_same_port(make_lab, tmp_path):
    """SO_REUSEPORT must not let two servers share a port in silence."""
    lab = make_lab()
    other = Lab(dir=tmp_path / 'other', base=lab.base)
    r = subprocess.run(other.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert r.returncode != 0 and str(lab.port()) in r.stdout, r.stdout


def test_lab_output(make_lab):
    lab = make_lab(users=[])
    lines = lab.output.split('\n')
    assert lines[-2:] == ['ready', '']
    for piece in ('alice@example.com', 'bob@example.com', str(lab.port(25)), lab.dir):
        assert piece in lab.output, lab.output
    assert lab.count('alice@example.com') == 0


def test_lab_user_password_of_an_existing_account(make_lab):
    lab = make_lab(users=['ann@example.com:one'])
    assert lab.stop() == 0
    lab.users = ['ann@example.com:two']
    lab.start()
    assert 'ann@example.com' in lab.run('user', 'list').stdout


def test_lab_refuses_what_it_does_not_know(tmp_path):
    base, guard = free_base()
    for words in (['--set', 'nonsense=1'], ['--dialect', 'nope'], ['--frob'], ['--user', 'nonsense']):
        r = subprocess.run([BINARY, 'lab', '--dir', str(tmp_path / 'x'), '--port-base', str(base)] + words,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        assert r.returncode not in (0, -6, -11) and r.stderr, (words, r)
        assert words[0] in r.stderr or words[-1].split('=')[0] in r.stderr
    guard.close()
