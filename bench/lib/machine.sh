# shellcheck shell=bash
# Which machine, and which versions.

version_of() {
	local text
	text=$("$@" 2>&1 | head -n 1) || true
	echo "$text"
}

machine() {
	row=machine record machine "$1" "$2"
	printf '%-12s %s\n' "$1" "$2"
}

# The Debian package versions of the peers and servers.
packages() {
	command -v dpkg-query >/dev/null || return 0
	# shellcheck disable=SC2016
	dpkg-query -W -f '${Package} ${Version}\n' ninja-build make slapd ldap-utils bind9 bind9-dnsutils \
		kamailio curl libxml2-utils libldap-2.5-0 libsqlite3-0 libuv1 \
		postgresql-15 libpq5 prosody haproxy samba-ad-dc samba ansible-core 2>/dev/null | paste -s -d , || true
}

describe_machine() {
	machine date "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
	machine cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
	machine cores "$(nproc)"
	machine memory "$(awk '/MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)"
	machine kernel "$(uname -sr)"
	machine disk "$(df -T "$work" | awk 'NR == 2 { print $2 " on " $1 }')"
	machine flushes "$(fsync_rate) fdatasync/s of 512 bytes appended"
	machine load "$(cat /proc/loadavg)"
	machine resite "$(version_of git -C "$top" describe --always --dirty) $(version_of "$resite" --version)"
	machine compiler "$(sed -n "s/^CFLAGS = //p" "$build/Makefile" | head -n 1)"
	machine packages "$(packages)"
	machine size "${quick:+a tenth, }$rounds rounds"
}

# All numbers here hang on it.
fsync_rate() {
	local began took n=500
	began=$(now_us)
	dd if=/dev/zero of="$work/fsync" bs=512 count=$n oflag=dsync,append conv=notrunc 2>/dev/null
	took=$(($(now_us) - began))
	rm -f "$work/fsync"
	echo $((n * 1000000 / took))
}
