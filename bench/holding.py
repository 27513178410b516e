"""holding: a crowd of sessions, kept by processes of their own, for one may not open so many files."""
import os

from servers import Trouble

EACH = 8000  # sessions of one process


def keep(make, numbers, asked, answers, every):
    """In the child: opens sessions; each '?' is answered when some of them have been found alive."""
    socks = []
    try:
        for i in numbers:
            socks.append(make(i))
        os.write(answers, b'+')
        while os.read(asked, 1):
            for s in socks[::every]:
                s.done()
                s.cmd('NOOP')
            os.write(answers, b'+')
        return 0
    except (Trouble, OSError) as e:
        os.write(answers, str(e).encode()[:1000])
        return 1


class Crowd:
    """make(i) opens the i-th session, which is in IDLE then. The first one is ours: .first."""
    def __init__(self, make, count):
        self.children = []
        self.first = make(0)
        every = max(1, count // 100)
        try:
            for at in range(1, count, EACH):
                self.fork(make, range(at, min(at + EACH, count)), every)
            self.hear()
        except BaseException:
            self.close()
            raise

    def fork(self, make, numbers, every):
        asked, ask = os.pipe()
        answer, answers = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for fd in [ask] + [fd for _, *both in self.children for fd in both]:
                    os.close(fd)  # else the others would not hear that we are gone
                status = keep(make, numbers, asked, answers, every)
            finally:
                os._exit(status)
        os.close(asked)
        os.close(answers)
        self.children.append((pid, ask, answer))

    def hear(self):
        for _, _, answer in self.children:
            got = os.read(answer, 1000)
            if got != b'+':
                raise Trouble('a session was lost: ' + got.decode(errors='replace'))

    def alive(self):
        """One of a hundred leaves IDLE and says NOOP."""
        for _, ask, _ in self.children:
            os.write(ask, b'?')
        self.hear()

    def close(self):
        for pid, ask, answer in self.children:
            os.close(ask)
            os.close(answer)
            os.waitpid(pid, 0)
        self.children = []
        self.first.s.close()
