#!/bin/bash
# What an attempt has started ends with it: also a daemon that left its group and its
# session and closed every descriptor, whoever of orchestrator, nursery and attempt is
# killed. Only a service of a step that ended well stays.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3

[[ -e $build/tests/bad/.libs/bad.so ]] || {
	echo "skipped: tests/bad/.libs/bad.so is not built (make check builds it)"
	exit 77
}
export RESITE_PLUGINS=$build/tests/bad/.libs

step() {
	echo "  $1: { steps = ( { name = \"$1\"; does = \"bad.$1\"; timeout = \"${2:-1m}\"; retry = { attempts = 1; }; } ); };"
}
cat >"$plan" <<EOF2
format = 1; name = "orphans"; sites: { a: { x = "1"; }; b: { x = "2"; }; };
runbooks: {
$(step hidden-daemon)
$(step lock-daemon)
$(step service)
  hang: { steps = ( { name = "hang"; does = "bad.hidden-daemon"; timeout = "500ms"; retry = { attempts = 1; }; } ); };
};
EOF2

gone() {
	[[ ! -e /proc/$1 || $(awk '/^State/{print $2}' "/proc/$1/status" 2>/dev/null) == Z ]]
}
lives() {
	! gone "$1"
}
daemon_told() {
	daemon=$(sed -n 's/.*daemon \([0-9]*\)$/\1/p' "$work/launched.err" "$work/err" | tail -n 1)
	[[ -n $daemon ]]
}
# begin RUNBOOK: until its daemon is there; then $daemon, $attempt and $nursery are known.
begin() {
	rm -rf "$RESITE_STATE"
	: >"$work/err"
	launch run "$plan" "$1"
	check "$1: the daemon is there" soon daemon_told
	daemon_told
	nursery=
	read -r -a kids <"/proc/$pid/task/$pid/children"
	for p in "${kids[@]}"; do
		[[ $(<"/proc/$p/comm") != resite-nursery ]] || nursery=$p
	done
	attempt=$(tr ' ' '\n' <"/proc/$nursery/task/$nursery/children" | grep -vx "$daemon" | head -n 1)
	same "it has left the group of its attempt" "" "$(ps -o pgid= -p "$daemon" | grep -wx " *$attempt")"
}

echo "# the attempt is killed"
begin hidden-daemon
kill -KILL "$attempt"
ended 3 "a person is asked"
check "and the daemon was gone before" gone "$daemon"

echo "# the attempt's time is over"
rm -rf "$RESITE_STATE"
: >"$work/err"
launch run "$plan" hang
check "(the daemon is there)" soon daemon_told
daemon_told
ended 3 "a person is asked"
check "and the daemon was gone before" gone "$daemon"

echo "# the nursery is killed"
begin hidden-daemon
kill -KILL "$nursery"
ended 3 "a person is asked"
check "and the daemon was gone before" gone "$daemon"

echo "# the orchestrator is killed"
begin hidden-daemon
kill -KILL "$pid"
began=$(date +%s%3N)
check "the daemon is gone" soon gone "$daemon"
took=$(($(date +%s%3N) - began))
check "within the grace time of two seconds and one more ($took ms)" test "$took" -lt 3000
ended 137 "(it was killed)"
exits 3 "resume asks a person" resume
says "who is told that nobody knows how it ended" "its outcome is unknown"

echo "# orchestrator and nursery are killed"
begin hidden-daemon
kill -KILL "$pid" "$nursery"
wait "$pid" 2>/dev/null
check "the attempt dies with them" soon gone "$attempt"
check "the daemon does not" lives "$daemon"
exits 3 "resume" resume
check "has killed it before it acts" gone "$daemon"

echo "# orchestrator and nursery are killed, and a daemon has the lock"
begin lock-daemon
kill -KILL "$pid" "$nursery"
wait "$pid" 2>/dev/null
check "the daemon lives" lives "$daemon"
exits 3 "resume waits for it, then" resume
check "has killed it before it acts" gone "$daemon"

echo "# a step ends well and leaves a service"
: >"$work/err"
exits 0 "the step is done" run "$plan" service
daemon_told
check "its service stays when the run has ended" lives "$daemon"
kill -KILL "$daemon"
no_process_left "no process is left"

echo "# at random moments"
check "no orphan in 40 kills" "$root/bench/orphans" --build "$build" --kills 40 --seed "${RESITE_TEST_SEED:-$RANDOM}"
finish
