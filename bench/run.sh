#!/bin/sh
# run.sh [LETTERS]: letters a second, durable and in the mailbox, beside smtp-sink, which stores
# nothing, in the same run; and how many letters share one sync. Figures, not a test.
set -eu
cd "$(dirname "$0")/.."
letters=${1:-20000}
port=19025
tools=build/peers/postfix/usr/sbin
libs=build/peers/postfix/usr/lib/postfix
dir=$(mktemp -d)
trap 'kill $server $sink 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
server= sink=

source_of() { # connections, options...
	LD_LIBRARY_PATH=$libs "$tools/smtp-source" -s "$1" -l 4096 -m "$letters" -f a@example.net -t alice@example.com $3 "127.0.0.1:$2"
}
rate() { # name, connections, port, options
	begin=$(date +%s%N)
	source_of "$2" "$3" "$4"
	end=$(date +%s%N)
	awk -v n="$letters" -v ns=$((end - begin)) -v name="$1" 'BEGIN { printf "%-44s %8.0f letters/s\n", name, n * 1e9 / ns }'
}
field() {
	build/pennypost status --dir "$dir/lab" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["store"][sys.argv[1]])' "$1"
}

build/pennypost lab --dir "$dir/lab" --port-base $((port - 25)) --user alice@example.com:bench \
	--set log.level=warn >"$dir/lab.log" 2>&1 &
server=$!
LD_LIBRARY_PATH=$libs "$tools/smtp-sink" -u nobody 127.0.0.1:$((port + 1)) 1000 2>/dev/null &
sink=$!
for _ in $(seq 100); do grep -q '^ready$' "$dir/lab.log" && break; sleep 0.1; done
grep -q '^ready$' "$dir/lab.log" || { cat "$dir/lab.log" >&2; exit 1; }

ninja -C build bench/bench_store >/dev/null
echo "the engine alone, 4 KiB letters, 50 under way:"
build/bench/bench_store "$dir/store" "$letters" 50
echo
for load in '50 -d' '50 ' '1 -d'; do
	connections=${load%% *} options=${load#* }
	for round in 1 2 3; do
		before=$(field group_letters) syncs=$(field groups)
		rate "pennypost, $connections connections $options, run $round" "$connections" $port "$options"
		after=$(field group_letters) now=$(field groups)
		rate "smtp-sink, $connections connections $options, run $round" "$connections" $((port + 1)) "$options"
		awk -v l=$((after - before)) -v s=$((now - syncs)) 'BEGIN { if (s) printf "%-44s %8.1f letters a sync\n", "", l / s }'
	done
done
