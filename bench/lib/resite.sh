# shellcheck shell=bash
# Running resite, and reading what its journal says.

programs=(resite resite-worker modules tests/bad/noop.la tests/bad/fatnoop.la lab/gen/gen bench-programs)

# Builds what is missing, and sets build, resite, and the folder of plugins with noop.
find_build() {
	local dir
	if [[ -z $build ]]; then
		for dir in . "$top"; do
			[[ ! -e $dir/Makefile ]] || { build=$dir; break; }
		done
	fi
	[[ -e $build/config.status ]] || die "resite is not built (./autogen.sh && ./configure && make), or say where with --build"
	build=$(cd "$build" && pwd -P)
	make -s -C "$build" "${programs[@]}" >/dev/null || die "make failed in $build"
	resite=$build/resite
	tools=$build/bench
	export RESITE_WORKER=$build/resite-worker RESITE_PLUGINS=$build/modules:$build/tests/bad/.libs
	need sqlite3 sqlite3
}

# resite_run STATE PLAN RUNBOOK [OPTION…]: quietly, in a new state directory
resite_run() {
	rm -rf "$1"
	resite_run_again "$@"
}

# The same in a state directory that is there: what steps took in its earlier runs is known.
resite_run_again() {
	local state=$1
	shift
	"$resite" run --state "$state" -q "$@" >"$work/resite.out" 2>&1 </dev/null ||
		die "resite run $* ended with status $?: $(tail -n 5 "$work/resite.out")"
}

# journal STATE SQL: the events are in the table e (run, seq, ms, kind, step, body)
journal() {
	sqlite3 -batch -noheader -separator $'\t' "$1/journal.db" "
		CREATE TEMP VIEW e AS SELECT id >> 36 AS run, id & 0xfffffffff AS seq, body,
			cast((julianday(json_extract(body, '\$.time')) - 2440587.5) * 86400000 + 0.5 AS INTEGER) AS ms,
			json_extract(body, '\$.kind') AS kind, json_extract(body, '\$.step') AS step FROM event;
		$2"
}

# phase_values STATE: what the phases of the only step took, as series of their own
phase_values() {
	local phase ms
	while read -r phase ms; do
		value "resite-$phase" s "$(seconds $((ms * 1000)))"
	done < <(journal "$1" "SELECT p.key, p.value FROM e, json_each(e.body, '\$.phase_ms') AS p
		WHERE kind = 'attempt.ended' AND p.value > 0")
}

# watch_memory PID FILE: a line "seconds who pid resident_KiB proportional_KiB" for each process
# of the family of PID, five times a second until that process ends.  Resident is its peak.
watch_memory() {
	local root=$1 file=$2 began
	began=$(now_us)
	: >"$file"
	while [[ -e /proc/$root/status ]] && ! grep -q '^State:	Z' "/proc/$root/status" 2>/dev/null; do
		watch_family "$root" core "$(seconds $(($(now_us) - began)))" >>"$file"
		sleep 0.2
	done
}

watch_family() {
	local pid=$1 who=$2 at=$3 rss pss child next=worker
	rss=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
	pss=$(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null)
	[[ -z $pss ]] || printf '%s %s %s %s %s\n' "$at" "$who" "$pid" "$rss" "$pss"
	[[ $who != core ]] || next=nursery
	for child in $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
		watch_family "$child" "$next" "$at"
	done
}
