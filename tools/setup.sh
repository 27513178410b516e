#!/bin/sh
# setup.sh build|run|test|bench: sees to it that the Debian or Ubuntu packages are there which
# building (build, run), testing (test) or measuring (bench) needs. As root it installs what is
# missing; else it prints the one line to run and ends with 1. Packages of mail servers are never
# installed, only unpacked into build/peers, so no service of theirs ever starts.
set -eu
cd "$(dirname "$0")/.."

build='build-essential pkg-config meson ninja-build libssl-dev libuv1-dev liblmdb-dev
	libseccomp-dev libconfig-dev libjansson-dev libcrypt-dev'
test='libcmocka-dev clang clang-format python3-pytest swaks curl mandoc telnet strace'
apt='apt-get -y -q --no-install-recommends -o DPkg::Lock::Timeout=300'
export DEBIAN_FRONTEND=noninteractive

die() {
	echo "setup: $*" >&2
	exit 1
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing() {
	for p in "$@"; do
		installed "$p" || printf '%s ' "$p"
	done
}

# Runs it; when that fails, once more behind `apt-get update`: the lists may be old or absent.
with_lists() {
	"$@" || { apt-get -q -o DPkg::Lock::Timeout=300 update && "$@"; }
}

need() {
	want=$(missing "$@")
	[ -n "$want" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "These packages are missing. Install them with this line, then try again:" >&2
		echo "  sudo apt-get update && sudo apt-get install --no-install-recommends $want" >&2
		exit 1
	fi
	echo "setup: installing $want"
	# shellcheck disable=SC2086
	with_lists $apt install $want || die "apt-get could not install $want"
}

# The sanitizers' run-time library is a package of its own, named after clang's version.
need_clang_rt() {
	v=$(clang -dumpversion | cut -d. -f1)
	if apt-cache show "libclang-rt-$v-dev" >/dev/null 2>&1; then
		need "libclang-rt-$v-dev"
	else
		need "libclang-common-$v-dev"
	fi
}

# Postfix, smtp-source, smtp-sink and their libraries out of Postfix's package.
unpack_postfix() {
	[ ! -x build/peers/postfix/usr/sbin/smtp-source ] || return 0
	# shellcheck disable=SC2046
	need $(apt-cache depends postfix | sed -n 's/^  Depends: \(lib.*\)/\1/p')
	rm -rf build/peers/postfix
	mkdir -p build/peers/postfix
	(
		cd build/peers
		with_lists apt-get -q download postfix || die "apt-get could not download postfix"
		dpkg-deb -x postfix_*.deb postfix
		rm postfix_*.deb
	)
}

[ -f /etc/debian_version ] || die "this script knows Debian and Ubuntu; elsewhere install what it names: $build (and for tests $test)"
case "${1:-}" in
build | run)
	# shellcheck disable=SC2086
	need $build
	;;
test)
	# shellcheck disable=SC2086
	need $build $test
	need_clang_rt
	unpack_postfix
	;;
bench)
	# shellcheck disable=SC2086
	need $build python3 strace
	unpack_postfix
	;;
*)
	die "usage: tools/setup.sh build|run|test|bench"
	;;
esac
