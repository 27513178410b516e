"""idle: what an idle SMTP connection costs, and how long a newcomer waits while many are held."""
import os
import resource
import socket
import ssl
import time

import probe
from servers import Pennypost, Postfix, Trouble, free_ports

NEWCOMERS = 21


def read_reply(s):
    """One whole reply."""
    text = b''
    while True:
        got = s.recv(4096)
        if not got:
            raise Trouble('the server closed: %r' % text)
        text += got
        if text.endswith(b'\n') and text[:-1].split(b'\n')[-1][3:4] == b' ':
            return text


def connect(port, tls=None):
    s = socket.create_connection(('127.0.0.1', port), timeout=30)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    read_reply(s)
    if tls:
        s.sendall(b'EHLO idle.example.net\r\n')
        read_reply(s)
        s.sendall(b'STARTTLS\r\n')
        read_reply(s)
        s = tls.wrap_socket(s)
    s.sendall(b'EHLO idle.example.net\r\n')
    read_reply(s)
    return s


def unverified():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c


def newcomer_ms(port):
    begin = time.perf_counter()
    with socket.create_connection(('127.0.0.1', port), timeout=30) as s:
        read_reply(s)
        took = (time.perf_counter() - begin) * 1000
        s.sendall(b'QUIT\r\n')
        s.recv(200)
    return took


def make(name, directory, binary):
    where = os.path.join(directory, 'idle-' + name)
    if name == 'pennypost':
        return Pennypost(where, free_ports(26), binary, sets=['limit.conns_per_ip=off'])
    return Postfix(where, free_ports(1))


def steady(server):
    """Its memory when it has stopped changing."""
    last = probe.memory(server.pids())
    for _ in range(10):
        time.sleep(0.5)
        now = probe.memory(server.pids())
        if now == last:
            break
        last = now
    return last


def measure(name, directory, binary, held, note, tls=False):
    server = make(name, directory, binary)
    cover = unverified() if tls else None
    socks = []
    try:
        server.start()
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        warm = min(held, 100)
        for s in [connect(server.port, cover) for _ in range(warm)] if name == 'pennypost' else []:
            s.close()
        before = steady(server)
        begin = time.monotonic()
        for _ in range(held):
            socks.append(connect(server.port, cover))
        took = time.monotonic() - begin
        after = steady(server)
        waits = sorted(newcomer_ms(server.port) for _ in range(NEWCOMERS))
        for s in socks[::max(1, held // 100)]:
            s.sendall(b'NOOP\r\n')
            read_reply(s)
        one = {'server': name, 'tls': tls, 'held': held, 'seconds': round(took, 2),
               'pss_kib': round((after['pss_kib'] - before['pss_kib']) / held, 3),
               'private_kib': round((after['private_kib'] - before['private_kib']) / held, 3),
               'newcomer_ms': {'p50': round(waits[NEWCOMERS // 2], 3), 'max': round(waits[-1], 3)}}
        note('idle%s %-10s %d held: %.2f KiB (PSS), %.2f KiB (private) each; newcomer greeted in %.2f ms, at most '
             '%.2f ms' % (' (TLS)  ' if tls else '        ', name, held, one['pss_kib'], one['private_kib'], one['newcomer_ms']['p50'],
                          one['newcomer_ms']['max']))
        return one
    except Trouble as e:
        if name == 'pennypost':
            raise
        note('idle: without %s: %s' % (name, e))
        return None
    finally:
        for s in socks:
            s.close()
        server.destroy()
