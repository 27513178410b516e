#!/usr/bin/python3
"""test.py [step...] [--seconds N]: builds and runs every test; `make test` calls it.

Steps, in this order when none is named:
  make     build/ as `make` does
  house    the rules of the source tree
  conv     tests/conversations against build/pennypost
  e2e      tests/e2e against build/pennypost
  asan     build-asan/ by gcc, warnings are errors (AddressSanitizer, UndefinedBehaviorSanitizer):
           unit tests, conversations and most of e2e
  fuzz     build-fuzz/ by clang, warnings are errors: replay of every corpus, then N seconds (3) of
           fuzzing for each target
And when named: clang, the program in build-clang/; unit, the unit tests without sanitizers.

What fails beside others is run again alone, and named at the end when it passes then: other work on
the machine may have come between, or it is a race that somebody should look for. Files of the
sanitizers' e2e that have not begun after MINUTES are left out, and named as well.

The last line is "N passed, N failed"; the exit status is 0 when none failed. Logs of the
steps are in build/test-logs.
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, 'build', 'test-logs')
SANITIZER_ENV = {
    'ASAN_OPTIONS': 'abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1',
    'UBSAN_OPTIONS': 'halt_on_error=1:abort_on_error=1:print_stacktrace=1',
    'PENNYPOST_SLOW': '1',
    'PENNYPOST_KILL_CYCLES': os.environ.get('PENNYPOST_KILL_CYCLES', '3'),
    'PENNYPOST_KILL_DELIVERIES': os.environ.get('PENNYPOST_KILL_DELIVERIES', '500'),
}
E2E = glob.glob(os.path.join(ROOT, 'tests', 'e2e', 'test_*.py'))
SLICE = 3  # seconds of fuzzing for a target in `make test`
# Not a second time with sanitizers: what other programs, waiting and counting take their time for.
NOT_AGAIN = ('test_mail_clients.py', 'test_crash.py', 'test_counts.py', 'test_sizes.py', 'test_idle.py',
             'test_idle_mail.py', 'test_docs.py', 'test_space.py', 'test_testssl.py', 'test_kill.py', 'test_overload.py',
             'test_pressure.py', 'test_processes.py', 'test_run.py', 'test_config.py', 'test_tls_cmd.py', 'test_format.py',
             'test_concurrent.py', 'test_client_only.py', 'test_seeds.py', 'test_merge_cmd.py',
             'test_dane_sts.py', 'test_cert.py', 'test_replay.py', 'test_b64.py', 'test_explain.py')
LONG = ('test_kill.py', 'test_front.py')  # started first
JOBS = str(max(2, os.cpu_count() or 2))
MINUTES = int(os.environ.get('PENNYPOST_TEST_MINUTES', '17'))  # then no more files of the sanitizers' e2e are begun
BEGIN = time.monotonic()
WAITING = 1  # more files at once than there are processors: they wait for servers
results = []  # (step, passed, failed)
troubles = []  # (where, last lines): said again at the end
second_try = []  # what passed only then
left_out = []  # for want of time


def note(step, passed, failed, seconds, extra=''):
    results.append((step, passed, failed))
    print('== %-10s %d passed, %d failed (%.1f s)%s' % (step, passed, failed, seconds, extra), flush=True)


def run(name, args, env=None, show=True, tell=True, blame=True):
    """Runs a command; its output goes to a log and, with show, here as well; with blame the end
    of it when it failed. Status and text."""
    words = ' '.join(args)
    if tell:
        print('-- %s: %s' % (name, words if len(words) < 200 else words[:190] + ' ...'), flush=True)
    lines = []
    with open(os.path.join(LOGS, name.replace(' ', '-') + '.log'), 'w') as log:
        p = subprocess.Popen(args, cwd=ROOT, env={**os.environ, **(env or {})}, text=True, errors='replace',
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in p.stdout:
            log.write(line)
            lines.append(line)
            if show:
                sys.stdout.write(line)
                sys.stdout.flush()
        status = p.wait()
    if status != 0 and not show and blame:
        sys.stdout.write(''.join(lines[-60:]))
        troubles.append((name, ''.join(lines[-30:])))
    return status, ''.join(lines)


def build(step, directory, options, cc='gcc', targets=()):
    start = time.monotonic()
    status = 0
    if not os.path.exists(os.path.join(ROOT, directory, 'build.ninja')):
        status, _ = run(step + ' setup', ['meson', 'setup', directory] + options, {'CC': cc}, show=False)
    if status == 0:
        status, _ = run(step + ' build', ['ninja', '-C', directory] + list(targets), show=False)
    note(step + ' build', int(status == 0), int(status != 0), time.monotonic() - start)
    return status == 0


def junit(path):
    """Cases, failures and skips of a JUnit file; a file that is not there is one failure."""
    try:
        suites = ElementTree.parse(path).getroot().iter('testsuite')
    except (OSError, ElementTree.ParseError):
        return 0, 1, 0
    cases = bad = skipped = 0
    for case in (c for s in suites for c in s.findall('testcase')):
        cases += 1
        bad += case.find('failure') is not None or case.find('error') is not None
        skipped += case.find('skipped') is not None
    return cases - bad - skipped, bad, skipped


def unit(step, directory, env=None):
    start = time.monotonic()
    status, text = run(step, ['meson', 'test', '-C', directory, '--suite', 'unit', '--print-errorlogs',
                              '--num-processes', JOBS, '--timeout-multiplier', '5' if env else '3'], env, show=False)
    passed, failed, _ = junit(os.path.join(ROOT, directory, 'meson-logs', 'testlog.junit.xml'))
    if status != 0:
        failed = failed or 1
        bad = [line for line in text.split('\n') if re.search(r'\b(FAIL|TIMEOUT|ERROR|not ok)\b', line)]
        troubles.append((step, '\n'.join(bad[-20:]) + '\n' + text[-1500:]))
    note(step, passed, failed or int(passed == 0), time.monotonic() - start)


def pytest_one(step, what, env):
    """One file in a process of its own; (passed, failed, skipped)."""
    name = '%s %s' % (step, os.path.basename(what)[:-3])
    xml = os.path.join(LOGS, name.replace(' ', '-') + '.xml')
    if os.path.exists(xml):
        os.unlink(xml)
    status, text = run(name, ['/usr/bin/python3', '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '--durations=3',
                              '--durations-min=5', '--junitxml', xml, what], env, show=False, tell=False, blame=False)
    passed, failed, skipped = junit(xml)
    if status != 0 and failed == 0:
        failed = 1
    print('-- %s: %d passed, %d failed' % (name, passed, failed), flush=True)
    if failed:
        print(text, flush=True)
    return passed, failed, skipped, (name, text[-2000:])


def pytest(step, files, binary=None, env=None, limit=None):
    """limit: seconds since the beginning after which no more files are begun."""
    start = time.monotonic()
    env = {'PYTHONDONTWRITEBYTECODE': '1', **({'PENNYPOST': binary} if binary else {}), **(env or {})}
    files = sorted(files, key=lambda f: (os.path.basename(f) not in LONG, f))

    def one(f):
        if limit is not None and time.monotonic() - BEGIN > limit:
            left_out.append('%s %s' % (step, os.path.basename(f)))
            return 0, 0, 0, None
        return pytest_one(step, f, env)

    with concurrent.futures.ThreadPoolExecutor(int(JOBS) + WAITING) as pool:
        counts = list(pool.map(one, files))
    for i, f in enumerate(files):
        if counts[i][1]:
            print('-- again, alone: %s' % os.path.basename(f), flush=True)
            second = pytest_one(step, f, env)
            if second[1] == 0:
                second_try.append(counts[i][3])
            else:
                troubles.append(second[3])
            counts[i] = second
    passed, failed, skipped = (sum(c[i] for c in counts) for i in range(3))
    note(step, passed, failed, time.monotonic() - start, ', %d skipped' % skipped if skipped else '')


def conversations(step, binary, env=None):
    start = time.monotonic()
    files = sorted(glob.glob(os.path.join(ROOT, 'tests', 'conversations', '*.conv')))
    files = [os.path.relpath(f, ROOT) for f in files]
    slow = ['--timeout', '20'] if env else []
    status, text = run(step, [binary, 'run', '--jobs', '2'] + slow + files, env)
    m = re.search(r'^(\d+) passed, (\d+) failed', text, re.M)
    passed, failed = (int(m.group(1)), int(m.group(2))) if m else (0, 1)
    note(step, passed, failed or int(status != 0), time.monotonic() - start)
    if status != 0:
        troubles.append((step, text[-2000:]))


def fuzz_one(name, seconds):
    """Replay of the corpus, then new inputs; what those find stays in build-fuzz/found."""
    found = os.path.join('build-fuzz', 'found', name)
    dictionary = os.path.join('fuzz', name + '.dict')
    corpus = os.path.join('fuzz', 'corpus', name)
    os.makedirs(os.path.join(ROOT, found), exist_ok=True)
    args = ['build-fuzz/fuzz/' + name, '-artifact_prefix=build-fuzz/found/', '-rss_limit_mb=2048', '-timeout=25',
            '-verbosity=0', '-print_final_stats=1']
    if os.path.exists(os.path.join(ROOT, dictionary)):
        args.append('-dict=' + dictionary)
    env = {'UBSAN_OPTIONS': SANITIZER_ENV['UBSAN_OPTIONS']}
    seeds = [os.path.relpath(s, ROOT) for s in sorted(glob.glob(os.path.join(ROOT, corpus, '*')))]
    if not seeds:
        print('-- %s: no seeds in %s' % (name, corpus), flush=True)
        return False
    if run('replay ' + name, args + seeds, env, show=False, tell=False)[0] != 0:
        return False
    if seconds <= SLICE:  # the same inputs in the same order every time; new ones are for `make fuzz`
        args.append('-seed=1')
    status, text = run('fuzz ' + name, args + ['-max_total_time=%d' % seconds, found, corpus], env, show=False,
                       tell=False)
    runs = re.search(r'number_of_executed_units: (\d+)', text)
    print('-- %s: %d seeds, %s runs' % (name, len(seeds), runs.group(1) if runs else 'no'), flush=True)
    return status == 0


def fuzz(seconds):
    options = ['-Dfuzz=true', '-Doptimization=1', '-Db_sanitize=address,undefined', '-Db_lundef=false', '-Dwerror=true']
    if not build('fuzz', 'build-fuzz', options, 'clang'):
        return
    start = time.monotonic()
    names = [os.path.basename(p)[:-2] for p in sorted(glob.glob(os.path.join(ROOT, 'fuzz', 'fuzz_*.c')))]
    with concurrent.futures.ThreadPoolExecutor(int(JOBS)) as pool:
        passed = sum(pool.map(lambda name: fuzz_one(name, seconds), names))
    note('fuzz', passed, len(names) - passed or int(not names), time.monotonic() - start)


def asan():
    options = ['-Doptimization=1', '-Db_sanitize=address,undefined', '-Db_lundef=false', '-Dwerror=true']
    if not build('asan', 'build-asan', options):
        return
    unit('asan unit', 'build-asan', SANITIZER_ENV)
    conversations('asan conv', 'build-asan/pennypost', SANITIZER_ENV)
    pytest('asan e2e', [p for p in E2E if os.path.basename(p) not in NOT_AGAIN], 'build-asan/pennypost', SANITIZER_ENV,
           limit=MINUTES * 60)


def plain_unit():
    if build('gcc', 'build-gcc', ['-Dwerror=true']):
        unit('unit', 'build-gcc')


STEPS = {
    'make': lambda n: build('make', 'build', [], targets=['pennypost']),
    'house': lambda n: pytest('house', glob.glob(os.path.join(ROOT, 'tests', 'test_*.py'))),
    'conv': lambda n: conversations('conv', 'build/pennypost'),
    'e2e': lambda n: pytest('e2e', E2E, 'build/pennypost'),
    'asan': lambda n: asan(),
    'fuzz': fuzz,
}
EXTRA = {
    'clang': lambda n: build('clang', 'build-clang', ['-Dwerror=true'], 'clang'),
    'unit': lambda n: plain_unit(),
}


def main(argv):
    seconds = SLICE
    if '--seconds' in argv:
        at = argv.index('--seconds')
        seconds = int(argv[at + 1])
        del argv[at:at + 2]
    unknown = [a for a in argv if a not in STEPS and a not in EXTRA]
    if unknown:
        print(__doc__, file=sys.stderr)
        return 1
    os.makedirs(LOGS, exist_ok=True)
    start = time.monotonic()
    for name in argv or STEPS:
        {**STEPS, **EXTRA}[name](seconds)
    passed = sum(r[1] for r in results)
    failed = sum(r[2] for r in results)
    for where, text in troubles:
        print('\n-- again, what failed in %s:\n%s' % (where, text.strip()))
    for where, text in second_try:
        print('\n-- passed only when it was run again, alone: %s\n%s' % (where, text.strip()))
    if left_out:
        print('\nleft out after %d minutes: %s' % (MINUTES, ', '.join(left_out)))
    print('\nsteps that failed: %s' % (', '.join(r[0] for r in results if r[2]) or 'none'))
    print('all of it took %.0f s' % (time.monotonic() - start))
    print('%d passed, %d failed' % (passed, failed), flush=True)
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
