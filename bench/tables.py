"""tables: markdown of what compare wrote."""
import json
import statistics

TITLES = {
    'reuse50': '50 connections, reuse, 4 KiB',
    'one50': '50 connections, one letter each, 4 KiB',
    'reuse1': '1 connection, reuse, 4 KiB',
    'pipelined50': '50 connections, reuse, pipelined, 4 KiB',
    '64k': '10 connections, reuse, 64 KiB',
    '5m': '4 connections, reuse, 5 MiB',
    'tls50': '50 connections, TLS, reuse, 4 KiB',
    'shake20': '20 connections, a handshake each, no letter',
}
# of TLS: times Postfix
TLS_TARGETS = {'tls50': 5, 'shake20': 1}
IDLE_TLS_KIB = 20
# of the issue: times Postfix, times smtp-sink, CPU us, system calls
TARGETS = {'reuse50': (10, 0.7, 120, 15), 'one50': (5, 0.6, 200, 30), 'reuse1': (3, 0.35, 200, 30)}
DOT_OVER_FLUSH_US = 150
ORDER = ['pennypost', 'postfix', 'smtp-sink']


def read(files):
    """{kind: [object]} of all files."""
    kinds = {}
    for file in files:
        with open(file) as f:
            for line in f:
                one = json.loads(line)
                kinds.setdefault(one['kind'], []).append(one)
    return kinds


def number(v):
    if v is None:
        return '-'
    v = float(v)
    return '%.0f' % v if abs(v) >= 1000 else '%.1f' % v if abs(v) >= 10 else '%.2f' % v


def spread(values):
    """median [min..max]"""
    values = [v for v in values if v is not None]
    if not values:
        return '-'
    if len(values) == 1:
        return number(values[0])
    return '%s [%s..%s]' % (number(statistics.median(values)), number(min(values)), number(max(values)))


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def table(head, rows):
    if not rows:
        return ''
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    return '\n'.join(lines + ['| ' + ' | '.join(row) + ' |' for row in rows]) + '\n'


def about(kinds):
    keys = ('command', 'when', 'commit', 'kernel', 'cpu', 'cores', 'memory_mib', 'file_system', 'postfix', 'load_before')
    rows = [[', '.join('%s: %s' % (k, a[k]) for k in keys if k in a) + (', with changes' if a.get('changed') else '')]
            for a in kinds.get('about', [])]
    return ''.join('- ' + r[0] + '\n' for r in rows)


def pick(kinds, kind, **what):
    return [r for r in kinds.get(kind, []) if all(r.get(k) == v for k, v in what.items())]


def counted(kinds, load, server):
    found = pick(kinds, 'count', load=load, server=server)
    return found[-1] if found else None


def runs_table(kinds):
    rows = []
    for load in TITLES:
        for server in ORDER:
            runs = pick(kinds, 'run', load=load, server=server)
            if not runs:
                continue
            c = counted(kinds, load, server)
            rows.append([
                TITLES[load], server, '%d x %d' % (len(runs), runs[0]['letters']),
                spread([r['rate'] for r in runs]), spread([r['mailbox_rate'] for r in runs]),
                spread([r['cpu_us'] / 1000 for r in runs]), number(c['total']) if c else '-',
                '%.3f' % c['syncs'] if c else '-', spread([r['switches'] for r in runs]) if server != 'postfix' else '-',
                number(max(r['high_kib'] for r in runs) / 1024), number(median([r['pss_kib'] for r in runs]) / 1024),
                number(median([r['driver_cpu_us'] for r in runs]))])
    return table(['load', 'server', 'runs', 'letters/s accepted', 'letters/s in the mailbox', 'CPU ms per letter',
                  'system calls', 'syncs', 'context switches', 'memory, MiB: sum of peaks', 'PSS', 'driver: CPU us'], rows)


def latency_table(kinds):
    rows = []
    for load in TITLES:
        for server in ORDER:
            runs = pick(kinds, 'run', load=load, server=server)
            if runs:
                flush = [r['flush_us']['p50'] for r in runs if r.get('flush_us')]
                rows.append([TITLES[load], server] + [spread([r[what][p] / 1000 for r in runs])
                            for what in ('transaction_us', 'dot_us') for p in ('p50', 'p99')] +
                            [spread([v / 1000 for v in flush])])
    return table(['load', 'server', 'transaction p50, ms', 'p99', 'dot to 250 p50, ms', 'p99', 'one flush p50, ms'], rows)


def verdict(value, limit, at_least):
    if value is None:
        return 'not measured'
    met = value >= limit if at_least else value <= limit
    return '%s %s' % (number(value), '(met)' if met else '**(missed)**')


def targets_table(kinds):
    rows = []
    for load, (postfix, sink, cpu, calls) in TARGETS.items():
        ours = pick(kinds, 'run', load=load, server='pennypost')
        if not ours:
            continue
        rate = median([r['mailbox_rate'] for r in ours])
        theirs = {s: median([r['rate'] for r in pick(kinds, 'run', load=load, server=s)]) for s in ORDER}
        c = counted(kinds, load, 'pennypost')
        over = median([r['dot_us']['p50'] - r['flush_us']['p50'] for r in ours])
        rows.append([TITLES[load],
                     'at least %g: %s' % (postfix, verdict(theirs['postfix'] and rate / theirs['postfix'], postfix, True)),
                     'at least %g: %s' % (sink, verdict(theirs['smtp-sink'] and rate / theirs['smtp-sink'], sink, True)),
                     'at most %g: %s' % (cpu / 1000, verdict(median([r['cpu_us'] for r in ours]) / 1000, cpu / 1000, False)),
                     'at most %d: %s' % (calls, verdict(c and c['total'], calls, False)),
                     'at most 0.15: %s' % verdict(over / 1000, DOT_OVER_FLUSH_US / 1000, False) if load == 'reuse1' else '-'])
    return table(['load', 'times Postfix', 'times smtp-sink', 'CPU ms per letter', 'system calls per letter',
                  'dot to 250 minus one flush, ms'], rows)


def tls_targets_table(kinds):
    rows = []
    for load, times in TLS_TARGETS.items():
        rate = {s: median([r['rate'] for r in pick(kinds, 'run', load=load, server=s)]) for s in ('pennypost', 'postfix')}
        if rate['pennypost']:
            rows.append([TITLES[load], number(rate['pennypost']), number(rate['postfix']), 'at least %g: %s' % (
                times, verdict(rate['postfix'] and rate['pennypost'] / rate['postfix'], times, True))])
    for r in kinds.get('idle', []):
        if r.get('tls') and r['server'] == 'pennypost':
            rows.append(['an idle TLS session, KiB', number(r['private_kib']), '-',
                         'at most %d: %s' % (IDLE_TLS_KIB, verdict(r['private_kib'], IDLE_TLS_KIB, False))])
    return table(['over TLS', 'Pennypost, a second', 'Postfix, a second', 'times Postfix'], rows)


def calls_table(kinds):
    out = []
    for load in TITLES:
        c = counted(kinds, load, 'pennypost')
        if not c:
            continue
        names = sorted({k for found in c['calls'].values() for k in found if k != 'all'},
                       key=lambda k: -sum(found.get(k, 0) for found in c['calls'].values()))
        roles = [r for r in ('front', 'store', 'reader', 'auth', 'parent') if c['calls'].get(r, {}).get('all', 0) >= 0.005]
        rows = [[name] + [number(c['calls'][r].get(name, 0)) if c['calls'][r].get(name, 0) >= 0.005 else '' for r in roles]
                for name in names if sum(c['calls'][r].get(name, 0) for r in roles) >= 0.02]
        rows.append(['all'] + [number(c['calls'][r]['all']) for r in roles])
        out.append('%s (%s, %d letters):\n\n%s' % (TITLES[load], c['how'], c['letters'],
                                                 table(['per letter'] + roles, rows)))
    return '\n'.join(out)


def mailboxes_table(kinds):
    found = kinds.get('mailboxes', [])
    rows, cost = [], {}
    for way in ('one full', 'many'):
        runs = [r for r in found if r['way'] == way]
        if runs:
            cost[way] = median([r['cpu_us'] for r in runs])
            title = 'one mailbox that holds %d' % runs[0]['fill'] if way == 'one full' else '%d mailboxes' % runs[0]['boxes']
            rows.append([title, '%d x %d' % (len(runs), runs[0]['letters']), spread([r['rate'] for r in runs]),
                         spread([r['cpu_us'] / 1000 for r in runs]), spread([r['dot_us']['p50'] / 1000 for r in runs])])
    text = table(['letters to', 'runs', 'letters/s', 'CPU ms per letter', 'dot to 250 p50, ms'], rows)
    if len(cost) == 2:
        apart = abs(cost['one full'] - cost['many']) / min(cost.values()) * 100
        text += '\nCPU per letter differs by %.0f %% (at most 20: %s).\n' % (apart, 'met' if apart <= 20 else '**missed**')
    return text


def idle_table(kinds):
    rows = [[r['server'] + (', TLS' if r.get('tls') else ''), str(r['held']), number(r['pss_kib']), number(r['private_kib']), number(r['newcomer_ms']['p50']),
             number(r['newcomer_ms']['max'])] for r in kinds.get('idle', [])]
    return table(['server', 'connections held', 'KiB each (PSS)', 'KiB each (private)', 'newcomer greeted, ms, p50', 'at most'],
                 rows)


def engine_table(kinds):
    return ''.join('    %s\n' % r['says'] for r in kinds.get('engine', []))


def markdown(files):
    kinds = read(files)
    parts = [('Measured', about), ('Targets', targets_table), ('Targets over TLS', tls_targets_table), ('Rates and costs', runs_table), ('Latency', latency_table),
             ('System calls of Pennypost', calls_table), ('One full mailbox, many mailboxes', mailboxes_table),
             ('Idle connections', idle_table), ('The engine alone', engine_table)]
    texts = [(title, make(kinds)) for title, make in parts]
    return '\n'.join('### %s\n\n%s' % (title, text) for title, text in texts if text)
