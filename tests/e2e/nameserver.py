"""A name server on 127.0.0.1 that says what a test wants, over UDP and TCP."""
import ipaddress
import socket
import struct
import threading

TYPES = {'A': 1, 'CNAME': 5, 'PTR': 12, 'MX': 15, 'TXT': 16, 'AAAA': 28, 'SRV': 33, 'TLSA': 52}
CODES = {'ok': 0, 'formerr': 1, 'servfail': 2, 'nxdomain': 3, 'notimp': 4, 'refused': 5}


def encode_name(name):
    out = b''
    for label in name.strip('.').split('.'):
        if label:
            out += bytes([len(label)]) + label.encode()
    return out + b'\0'


def encode_data(kind, value):
    if kind == 'A' or kind == 'AAAA':
        return ipaddress.ip_address(value).packed
    if kind == 'MX':
        preference, host = value.split()
        return struct.pack('>H', int(preference)) + encode_name(host)
    if kind == 'TXT':
        parts = [value] if isinstance(value, str) else value
        return b''.join(bytes([len(p.encode())]) + p.encode() for p in parts)
    if kind == 'SRV':
        priority, weight, port, host = value.split()
        return struct.pack('>HHH', int(priority), int(weight), int(port)) + encode_name(host)
    if kind == 'TLSA':
        usage, selector, matching, data = value.split()
        return bytes([int(usage), int(selector), int(matching)]) + bytes.fromhex(data)
    return encode_name(value)


class NameServer:
    """records: {(name, type): [value, ...] or 'servfail', 'refused', 'silent', 'garbage', 'truncated'}; a name
    without any record does not exist. secure: names whose answers have AD set."""

    def __init__(self, records=(), secure=()):
        self.records = {(key[0].lower(),) + tuple(key[1:]): value for key, value in dict(records).items()}
        self.secure = {name.lower() for name in secure}
        self.asked = []
        self.bind()
        self.tcp.listen(8)
        self.address = '127.0.0.1:%d' % self.port
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def bind(self):
        """One port of both kinds that nobody else has."""
        for left in reversed(range(20)):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.udp.bind(('127.0.0.1', 0))
                self.port = self.udp.getsockname()[1]
                self.tcp.bind(('127.0.0.1', self.port))
                return
            except OSError:
                self.close()
                if not left:
                    raise

    def close(self):
        self.udp.close()
        self.tcp.close()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()

    # --- answers

    def question(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = struct.unpack('>H', query[at + 1:at + 3])[0]
        return '.'.join(labels).lower(), {v: k for k, v in TYPES.items()}.get(kind, str(kind)), query[12:at + 5]

    def lookup(self, name, kind):
        """(code, [(owner, type, value)])"""
        answers = []
        for _ in range(4):
            value = self.records.get((name, kind))
            if isinstance(value, str):
                return value, answers
            if value is not None:
                return 'ok', answers + [(name, kind, v) for v in value]
            alias = self.records.get((name, 'CNAME'))
            if not alias or kind == 'CNAME':
                break
            answers.append((name, 'CNAME', alias[0]))
            name = alias[0].lower()
        exists = any(key[0] == name or key[0].endswith('.' + name) for key in self.records)
        return ('ok' if exists else 'nxdomain'), answers

    def answer(self, query, tcp):
        name, kind, question = self.question(query)
        self.asked.append((name, kind, 'tcp' if tcp else 'udp'))
        code, answers = self.lookup(name, kind)
        if code == 'silent':
            return None
        if code == 'garbage':
            return query[:2] + b'\x81\x80\0\1\0\5\0\0\0\0' + question + b'\xc0\x0c\0\1\0\1\0\0\0\0\xff\xff'
        flags = 0x8180 | CODES.get(code, 0) | (0x20 if name in self.secure else 0)
        if code == 'truncated':
            if not tcp:
                return query[:2] + struct.pack('>HHHHH', flags | 0x200, 1, 0, 0, 0) + question
            answers = [(name, kind, value) for value in self.records[(name, kind, 'tcp')]]
        out = query[:2] + struct.pack('>HHHHH', flags, 1, len(answers), 0, 0) + question
        for owner, t, value in answers:
            data = encode_data(t, value)
            out += encode_name(owner) + struct.pack('>HHIH', TYPES[t], 1, 300, len(data)) + data
        return out

    def serve_udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
                out = self.answer(query, False)
                if out is not None:
                    self.udp.sendto(out, peer)
            except OSError:
                return

    def serve_tcp(self):
        while True:
            try:
                s, _ = self.tcp.accept()
            except OSError:
                return
            with s:
                size = s.recv(2)
                if len(size) == 2:
                    out = self.answer(s.recv(int.from_bytes(size, 'big')), True)
                    if out is not None:
                        s.sendall(struct.pack('>H', len(out)) + out)
