#!/bin/sh
# setup.sh build|run|test|bench: sees to it that the Debian or Ubuntu packages are there which
# building (build, run), testing (test) or measuring (bench) needs. As root it installs what is
# missing; else it prints the one line to run and ends with 1. Packages of servers are never
# installed, only unpacked into build/peers, so no service of theirs ever starts; the same for what
# is large and needed by one test.
set -eu
cd "$(dirname "$0")/.."

build='build-essential pkg-config meson ninja-build libssl-dev libuv1-dev liblmdb-dev
	libseccomp-dev libconfig-dev libjansson-dev libcrypt-dev libsasl2-dev libsasl2-modules
	libunbound-dev libcurl4-openssl-dev libunistring-dev libidn2-dev libedit-dev zlib1g-dev ca-certificates dns-root-data'
test='libcmocka-dev clang clang-format python3-pytest python3-pexpect tmux swaks libnet-ssleay-perl curl mandoc telnet strace
	openssl msmtp libsasl2-modules-gssapi-mit bsdextrautils procps isync mutt fetchmail mpop getmail6
	offlineimap3 libmail-imapclient-perl libio-socket-ssl-perl'
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

# unpack WHERE PACKAGE...: into build/peers/WHERE, unless they are there already.
unpack() {
	where=build/peers/$1
	shift
	[ "$(cat "$where/packages" 2>/dev/null)" != "$*" ] || return 0
	rm -rf "$where"
	mkdir -p "$where"
	(
		cd "$where"
		with_lists apt-get -q download "$@" || die "apt-get could not download $*"
		for deb in *.deb; do dpkg-deb -x "$deb" .; done
		rm ./*.deb
		echo "$*" >packages
	)
}

# Postfix, smtp-source, smtp-sink and their libraries out of Postfix's package.
unpack_postfix() {
	[ ! -x build/peers/postfix/usr/sbin/smtp-source ] || return 0
	# shellcheck disable=SC2046
	need $(apt-cache depends postfix | sed -n 's/^  Depends: \(lib.*\)/\1/p')
	unpack postfix postfix
}

# unpack_libs WHERE LIBRARIES PACKAGE...: with those of its libraries, by a pattern of their names,
# that this machine has not got.
unpack_libs() {
	to=$1
	like=$2
	shift 2
	[ ! -e "build/peers/$to/packages" ] || return 0
	libs=$(apt-get -s --no-install-recommends install "$@" |
		sed -n 's/^Inst \(lib[^ ]*\).*/\1/p' | grep -E "^($like)" || true)
	# shellcheck disable=SC2086
	unpack "$to" "$@" $libs
}

# Dovecot, whose answers ours are compared with.
unpack_dovecot() {
	unpack_libs dovecot 'libexttextcat|liblua|libwrap' dovecot-core dovecot-imapd dovecot-pop3d \
		dovecot-lmtpd
}

# Other servers that the client talks to.
unpack_servers() {
	unpack_libs exim lib exim4-daemon-light exim4-base
	unpack_libs opensmtpd lib opensmtpd
}

# An authoritative name server, and what signs zones for it.
unpack_zones() {
	unpack_libs zones lib nsd ldnsutils
}

# imapflow and what it needs, beside nodemailer.
unpack_imapflow() {
	[ ! -d build/peers/imapflow/node_modules/imapflow ] || return 0
	command -v npm >/dev/null || need npm
	mkdir -p build/peers/imapflow
	npm install --silent --no-audit --no-fund --prefix build/peers/imapflow imapflow@1 >/dev/null ||
		die "npm could not install imapflow"
}

# Clients that log in: smtptest, testssl, a key distribution centre for GSSAPI, nodemailer, imapflow.
unpack_clients() {
	unpack testssl testssl.sh
	unpack_libs cyrus 'libpq|libpcre|libsqlite|libicu' cyrus-clients cyrus-common
	unpack_libs krb5 lib krb5-kdc krb5-admin-server krb5-user
	command -v node >/dev/null || need nodejs
	unpack node node-nodemailer
	ln -sfn usr/share/nodejs build/peers/node/node_modules
	unpack_imapflow
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
	unpack_clients
	unpack_dovecot
	unpack_servers
	unpack_zones
	;;
bench)
	# shellcheck disable=SC2086
	need $build python3 strace
	unpack_postfix
	unpack_dovecot
	;;
*)
	die "usage: tools/setup.sh build|run|test|bench"
	;;
esac
