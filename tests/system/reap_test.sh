#!/bin/bash
# An attempt that hangs whatever it is told is ended and reaped, its outcome is unknown, and
# only when it is out of the process table the next one looks and acts. How long that takes is
# measured by bench/reap; here times only protect against waiting for ever.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3

[[ -e $build/tests/bad/.libs/bad.so ]] || {
	echo "skipped: tests/bad/.libs/bad.so is not built (make check builds it)"
	exit 77
}
export RESITE_PLUGINS=$build/tests/bad/.libs

ways=("hangs|ignores cancel and TERM" "stops|is stopped" "shuts|closes its socket and sleeps")
{
	echo 'format = 1; name = "reap"; sites: { a: { x = "1"; }; b: { x = "2"; }; };'
	echo 'runbooks: { reap: { steps = ('
	for way in "${ways[@]}"; do
		echo "${comma-} { name = \"${way%%|*}\"; does = \"bad.${way%%|*}\"; timeout = \"500ms\";"
		echo '    retry = { attempts = 2; backoff = "10ms"; }; }'
		comma=,
	done
	echo '); }; };'
} >"$plan"

# Of the newest run: one number or word of the events of a step's attempt.
of_attempt() { # STEP N KIND COLUMN
	journal "select $4 from event where id >> 36 = (select max(no) from run)
		and json_extract(body, '\$.kind') = '$3' and json_extract(body, '\$.step') = '$1'
		and json_extract(body, '\$.attempt') = $2"
}
# The first probe says "attempt PID of: PIDS": what the process table had then.
table_at() { # STEP N
	sed -n "s/.* $1: attempt \([0-9]* of:.*\)/\1/p" "$work/err" | sed -n "$2p"
}

launch run "$plan" reap
soon grep -q "shuts: attempt" "$work/launched.err"
check "the run does not wait for ever" timeout 60 tail --pid="$pid" -f /dev/null
ended 3 "then a person is asked"
for way in "${ways[@]}"; do
	step=${way%%|*} what=${way#*|}
	same "one that $what is unknown" '"unknown" "unknown"' \
		"$(for n in 1 2; do of_attempt "$step" $n attempt.ended "body -> '\$.outcome'"; done | paste -s -d ' ')"
	same "was ended with SIGKILL, as the journal says" "not done after 500ms: ended with SIGKILL in apply" \
		"$(of_attempt "$step" 1 attempt.ended "json_extract(body, '\$.why')")"
	check "the next one started after its end" test \
		"$(of_attempt "$step" 2 attempt.started id)" -gt "$(of_attempt "$step" 1 attempt.ended id)"
	same "and began with a probe" '"probe"' "$(of_attempt "$step" 2 attempt.started "body -> '\$.intent'")"
	first=$(table_at "$step" 1)
	first=${first%% *}
	check "the first one's process was known" test "${first:-0}" -gt 0
	check "and out of the process table by then" refused grep -qw "$first" <<<"$(table_at "$step" 2)"
done
no_process_left "no process is left"
finish
