# shellcheck shell=bash
# Parts: further servers that not every test needs, each kind in lab/parts/NAME.sh
# and started by `lab --with NAME,... up`.  A part says, when it is read:
#	all_servers+=(SITE.KIND ...)       its servers; KIND is a name of its own
#	standby+=(SITE.KIND ...)           those of them that `up` leaves to `start`
#	wave[KIND]=1|2|3                   when they start (1; 2: after the directories; 3)
#	programs+=(program:package ...)    what it needs
# and has for each KIND
#	config_KIND SITE           the configuration file, a word of the server's command line
#	launch_KIND SITE CONFIG    calls spawn SITE.KIND COMMAND...
#	answers_KIND SITE          does it answer a real question?
#	address_KIND SITE          for lab status
# and, where it has something to do,
#	members_KIND SITE          pids of its processes that left the session they were started in
#	part_NAME_write            the configuration files (render)
#	part_NAME_data             what the servers know at the start
#	part_NAME_ready            after all servers answer
#	part_NAME_back SITE        before the servers of a lost site are started again
#	part_NAME_env              lines of DIR/env
#	part_NAME_site SITE        lines of the site in DIR/sites.inc
#	part_NAME_vars             lines of DIR/vars.inc
# A database: lib/postgres.sh, one cluster for each site, for all parts.
# Servers of a part are lost and restored with their site as all others.

parts=()
standby=()
declare -A wave=()
# All parts' ports, in one place so that no two are the same; up to block_size.
port_offset+=([postgres]=8 [xmpp]=9 [xmpp_http]=10 [edge]=11 [edge_rpc]=12 [web]=13
	[web_admin]=14 [web_back]=15 [archive]=16 [xcap_sql]=17 [scratch]=18)

known_parts() {
	local file names=()
	for file in "$here"/parts/*.sh; do
		[[ ! -e $file ]] || names+=("$(basename "$file" .sh)")
	done
	echo "${names[*]:-none}"
}

are_known_parts() {
	local part
	for part in "${parts[@]}"; do
		[[ $part != */* && -r $here/parts/$part.sh ]] || return 1
	done
}

use_parts() {
	local part
	for part in "${parts[@]}"; do
		# shellcheck source=/dev/null
		. "$here/parts/$part.sh"
	done
}

# each_part HOOK ARGUMENT...
each_part() {
	local part hook=$1
	shift
	for part in "${parts[@]}"; do
		! declare -F "part_${part}_$hook" >/dev/null || "part_${part}_$hook" "$@"
	done
}

# A server on standby is not running and nobody misses it.
is_standby() {
	[[ -e $lab_dir/pids/standby.$1 ]]
}

mark_standby() {
	local name
	for name; do
		: >"$lab_dir/pids/standby.$name"
	done
}

not_on_standby() {
	local name
	for name; do
		is_standby "$name" || echo "$name"
	done
}

# A line for each server of a site.
servers_of() {
	printf '%s\n' "${all_servers[@]}" | grep "^$1\."
}
