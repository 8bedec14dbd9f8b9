# shellcheck shell=bash
# Ports: a block for each lab, below the range of outgoing connections. Several
# labs may run at once and a lost site's ports must stay its own while nobody
# listens on them, so each block is reserved by a symbolic link to its lab.

block_size=32
first_block=20000
last_block=31968

registry() {
	local dir=/tmp/resite-lab-ports
	[[ -d $dir ]] || mkdir -m 1777 "$dir" 2>/dev/null || [[ -d $dir ]] ||
		die "cannot make $dir, where labs reserve their ports"
	echo "$dir"
}

# The ports that somebody uses, as :HEX: words.
ports_in_use() {
	cat /proc/net/tcp /proc/net/udp 2>/dev/null |
		awk 'BEGIN { printf ":" } { split($2, a, ":"); printf "%s:", a[2] }'
}

block_is_free() {
	local port hex
	for ((port = $1; port < $1 + block_size; port++)); do
		printf -v hex '%04X' "$port"
		[[ $used != *:$hex:* ]] || return 1
	done
}

# A reservation holds as long as its lab says that it has that block.
drop_if_stale() {
	local owner
	owner=$(readlink "$1") || return 0
	grep -qsx "LAB_PORTS=${1##*/}" "$owner/env" || [[ -e $owner/.choosing ]] || rm -f "$1"
}

choose_ports() {
	local dir used block tries registry_fd
	dir=$(registry) || exit 1
	exec {registry_fd}<"$dir" || die "cannot read $dir"
	flock "$registry_fd"
	used=$(ports_in_use)
	: >"$lab_dir/.choosing"
	for ((tries = 0; tries < 1000; tries++)); do
		block=$((first_block + (SRANDOM % ((last_block - first_block) / block_size)) * block_size))
		drop_if_stale "$dir/$block"
		if block_is_free "$block" && ln -s "$lab_dir" "$dir/$block" 2>/dev/null; then
			ports=$block
			exec {registry_fd}<&-
			return
		fi
	done
	die "no free block of $block_size ports between $first_block and $last_block"
}

release_ports() {
	[[ $(readlink "/tmp/resite-lab-ports/$1") != "$lab_dir" ]] || rm -f "/tmp/resite-lab-ports/$1"
}
