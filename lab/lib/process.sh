# shellcheck shell=bash
# Processes: started in a session of their own, without privileges, and ended
# only if they are still the ones that were started. A server is known by its
# recorded pid and by the configuration file in its command line; a number that
# was given to another process meanwhile does not match. A zombie has no command
# line and so counts as gone: init may take seconds to reap.

# spawn NAME COMMAND...
spawn() {
	local name=$1 as=()
	shift
	((EUID != 0)) || as=(setpriv --reuid=nobody --regid=nogroup --clear-groups
		--no-new-privs --bounding-set=-all --inh-caps=-all)
	# From a folder that it can enter: haproxy goes back to where it came from.
	(cd "$run_dir" && exec setsid "${as[@]}" "$@") </dev/null >>"$lab_dir/log/$name" 2>&1 9>&- &
	echo $! >"$lab_dir/pids/$name"
}

recorded_pid() {
	local pid=-
	[[ ! -e $lab_dir/pids/$1 ]] || read -r pid <"$lab_dir/pids/$1"
	echo "$pid"
}

# is_ours PID NAME
is_ours() {
	local word marker
	marker=$(config_of "$2")
	[[ -r /proc/$1/cmdline ]] || return 1
	while IFS= read -r -d '' word; do
		[[ $word == "$marker" ]] && return 0
	done 2>/dev/null <"/proc/$1/cmdline"
	return 1
}

is_running() {
	local pid
	pid=$(recorded_pid "$1")
	[[ $pid != - ]] && is_ours "$pid" "$1"
}

# The processes of a server: those in the session that was made for it. Kamailio
# is one process for each worker, and they outlive a killed main process.
members() {
	local pid stat session
	pid=$(recorded_pid "$1")
	[[ $pid != - ]] || return 0
	for stat in /proc/[0-9]*/stat; do
		read -r -d '' stat 2>/dev/null <"$stat" || [[ $stat != /proc/* ]] || continue
		# After the name, which may hold anything: state ppid pgrp session ...
		read -r _ _ _ session _ <<<"${stat##*) }"
		[[ $session != "$pid" ]] || ! is_ours "${stat%% *}" "$1" || echo "${stat%% *}"
	done
	! declare -F "members_${1#*.}" >/dev/null || "members_${1#*.}" "${1%.*}"
}

# kill_servers SIGNAL NAME...: one signal to all, at once, then waits until all
# are gone; what does not go in ten seconds is killed.
kill_servers() {
	local signal=$1 name pids=() deadline
	shift
	for name; do
		mapfile -t -O ${#pids[@]} pids < <(members "$name")
	done
	((${#pids[@]} == 0)) || kill "-$signal" "${pids[@]}" 2>/dev/null
	deadline=$(($(now_ms) + 10000))
	for name; do
		while mapfile -t pids < <(members "$name") && ((${#pids[@]})); do
			if (($(now_ms) > deadline)); then
				note "$name did not end in 10 s: killing it"
				kill -KILL "${pids[@]}" 2>/dev/null
				deadline=$(($(now_ms) + 10000))
			fi
			sleep 0.01
		done
		rm -f "$lab_dir/pids/$name"
	done
}
