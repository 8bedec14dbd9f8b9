#!/bin/bash
# The rows of the table in docs/operating.md that no other test holds: for each what
# `status` prints then, and what `resume` does.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
# A build with sanitizers lets others be preloaded before it.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0
need sqlite3
world=$build/tests/bad/.libs/world.so
[[ -e $world ]] || { echo "skipped: tests/bad/.libs/world.so is not built (make check builds it)"; exit 77; }

cat >"$work/slow.sh" <<'EOS2'
#!/bin/bash
cd "$(dirname "$0")" || exit 1
echo $$ >>"$1.started"
while [[ -e $1.slow ]]; do read -r -t 0.05 <> <(:); done
[[ ! -e $1.fails ]] || { rm "$1.fails"; echo "not now" >&2; exit 75; }
echo >>"$1.applied"
EOS2
cat >"$work/probe.sh" <<'EOS2'
#!/bin/sh
if [ -e "$(dirname "$0")/$1.applied" ]; then n=0; else n=1; fi
echo "{\"changes\":$n,\"total\":1,\"now\":\"\",\"fingerprint\":\"$n\"}"
EOS2
chmod 755 "$work/slow.sh" "$work/probe.sh"
step() {
	echo "{ name = \"$1\"; does = \"exec.run\"; $2
		with = { probe = [\"$work/probe.sh\", \"$1\"]; apply = [\"$work/slow.sh\", \"$1\"]; }; }"
}
cat >"$plan" <<EOF2
format = 1; name = "world"; sites: { a: { x = "1"; }; b: { x = "2"; }; };
runbooks: {
  work: { steps = ( $(step one 'timeout = "1m"; retry = { backoff = "300ms"; attempts = 3; };'), $(step two 'after = ["one"];') ); };
  short: { steps = ( $(step one 'timeout = "700ms"; retry = { attempts = 1; };') ); };
};
EOF2
begin() {
	rm -rf "$RESITE_STATE" "$work"/{one,two}.{slow,started,applied,fails}
	touch "$work/one.slow"
}
under_way() {
	check "(the step is under way)" soon test -s "$work/one.started"
}
applied_once() {
	same "$1" "1 1" "$(wc -l <"$work/one.applied") $(wc -l <"$work/two.applied")"
}
times_in_order() {
	same "$1" 0 "$(journal "select count(*) from event a join event b on b.id = a.id + 1
		where json_extract(b.body, '\$.time') < json_extract(a.body, '\$.time')")"
}

echo "# the orchestrator is killed"
begin
launch run "$plan" work
under_way
exits 0 "status while it runs" status
says "says who has it" ": running (process $pid)"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
exits 0 "status after it" status
says "says" ": interrupted"
says "and what to type" "resite resume"
# What a reboot leaves behind: the number of a process that is another one now.
for owner in "$RESITE_STATE"/*.owner; do echo $$ >"$owner"; done
exits 0 "status when its number belongs to another process" status
says "is not misled" ": interrupted"
rm "$work/one.slow"
exits 0 "nor is resume" resume
applied_once "each step was applied once"

echo "# SIGSTOP and SIGCONT"
begin
launch run "$plan" work
under_way
kill -STOP "$pid"
exits 0 "status of a stopped orchestrator" status
says "says that it has the run" ": running (process $pid)"
rm "$work/one.slow"
sleep 0.5
kill -CONT "$pid"
ended 0 "it goes on where it was"
applied_once "each step was applied once"
begin
launch run "$plan" short
under_way
kill -STOP "$pid"
sleep 1.2
kill -CONT "$pid"
ended 3 "time that it slept through counts for its steps"
says "as the reason says" "its time was over"

echo "# the clock is set"
export RESITE_TEST_CLOCK=$work/clock
for day in -86400000 86400000; do
	begin
	touch "$work/one.fails"
	echo 0 >"$work/clock"
	LD_PRELOAD=$world launch run "$plan" work
	under_way
	echo $day >"$work/clock"
	began=$(date +%s%3N)
	rm "$work/one.slow"
	ended 0 "by $day ms: the run goes on"
	took=$(($(date +%s%3N) - began))
	check "by $day ms: the wait of 300 ms before its second try took no day ($took ms)" \
		test "$took" -ge 250 -a "$took" -lt 15000
	applied_once "by $day ms: each step was applied once"
	times_in_order "by $day ms: no time in the journal is before the one before it"
	begin
	echo 0 >"$work/clock"
	LD_PRELOAD=$world launch run "$plan" work
	under_way
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	echo $day >"$work/clock"
	rm "$work/one.slow"
	LD_PRELOAD=$world launch resume
	ended 0 "by $day ms between run and resume: it goes on"
	times_in_order "by $day ms between run and resume: the times are in order"
	begin
	echo 0 >"$work/clock"
	LD_PRELOAD=$world launch run "$plan" short
	under_way
	echo $day >"$work/clock"
	ended 3 "by $day ms: a step's time is over when it is"
	says "by $day ms: as the reason says" "its time was over"
done

echo "# two orchestrators, where locks do not hold"
begin
export RESITE_TEST_NO_FLOCK=1
LD_PRELOAD=$world launch run "$plan" work
first=$pid
under_way
rm "$work/one.slow"
touch "$work/two.slow"
check "(the second step is under way)" soon test -s "$work/two.started"
LD_PRELOAD=$world "$build/resite" resume >"$work/out2" 2>"$work/err2" </dev/null &
second=$!
has_resumed() {
	[[ $(events run.resumed) == 1 ]]
}
check "the second one has the journal" soon has_resumed
rm "$work/two.slow"
pid=$first
ended 4 "the first one stops with status 4"
says "and says why" "another resite owns this run now"
wait "$second"
rc=$?
same "the second one ends the run" "0 " "$rc $( ((rc == 0)) || tail -n 3 "$work/err2")"
unset RESITE_TEST_NO_FLOCK RESITE_TEST_CLOCK
applied_once "each step was applied once"

echo "# the disk under the journal is read-only"
begin
launch run "$plan" work
under_way
kill -KILL "$pid"
wait "$pid" 2>/dev/null
rm "$work/one.slow"
cat >"$work/inside" <<'EOF2'
mount --bind "$RESITE_STATE" "$RESITE_STATE" && mount -o remount,bind,ro "$RESITE_STATE" || exit 77
for command in status verify resume; do
	"$build/resite" $command >"$work/ro.$command" 2>&1 </dev/null
	echo $? >"$work/ro.$command.rc"
done
EOF2
export build work
if unshare --mount --propagation private bash "$work/inside" >"$work/unshare" 2>&1; then
	same "status works" 0 "$(<"$work/ro.status.rc")"
	check "and tells the truth" grep -q ": interrupted" "$work/ro.status"
	same "verify works" 0 "$(<"$work/ro.verify.rc")"
	same "resume does not" 1 "$(<"$work/ro.resume.rc")"
	check "and says why" grep -qi "read-only" "$work/ro.resume"
	sed 's/^/     /' "$work/ro.resume" | tail -n 2
else
	echo "not tried: this user may not mount: $(tail -n 1 "$work/unshare")"
fi
exits 0 "resume goes on when it can be written" resume
applied_once "each step was applied once"

echo "# the kernel kills a worker for want of memory"
group=/sys/fs/cgroup/memory/resite-test-$$
if mkdir "$group" 2>/dev/null && echo 64M >"$group/memory.limit_in_bytes"; then
	cat >"$work/greedy.conf" <<EOF2
format = 1; name = "greedy"; sites: { a: { x = "1"; }; b: { x = "2"; }; };
runbooks: { work: { steps = (
  { name = "greedy"; does = "exec.run"; retry = { attempts = 1; };
    with = { apply = ["/usr/bin/awk", "BEGIN { s = \"0123456789abcdef\"; while (1) s = s s }"]; }; },
  { name = "modest"; does = "exec.run"; with = { apply = ["/bin/true"]; }; } ); }; };
EOF2
	rm -rf "$RESITE_STATE"
	(
		echo $BASHPID >"$group/cgroup.procs"
		exec "$build/resite" run "$work/greedy.conf" work >"$work/out" 2>"$work/err" </dev/null
	)
	same "a person is asked" 3 $?
	exits 0 "status" status
	says "says who was killed" "signal 9"
	check "the other step is done" step_is modest "done"
	rmdir "$group"
else
	echo "not tried: this user may not make a memory cgroup"
fi
no_process_left "no process is left"
finish
