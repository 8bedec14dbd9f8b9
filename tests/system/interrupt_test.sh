#!/bin/bash
# What happens to a run when something under it dies or hangs, when a person presses
# Ctrl-C, and when its terminal is closed.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 script

# A step that takes as long as $work/slow is there. It tells its pid, and what it did.
cat >"$work/slow.sh" <<'EOS'
#!/bin/bash
cd "$(dirname "$0")" || exit 1
echo $$ >>"$1.started"
while [[ -e $1.slow ]]; do read -r -t 0.05 <> <(:); done
echo >>"$1.applied"
EOS
cat >"$work/probe.sh" <<'EOS'
#!/bin/sh
if [ -e "$(dirname "$0")/$1.applied" ]; then n=0; else n=1; fi
echo "{\"changes\":$n,\"total\":1,\"now\":\"\",\"fingerprint\":\"$n\"}"
EOS
chmod 755 "$work/slow.sh" "$work/probe.sh"
step() {
	echo "{ name = \"$1\"; does = \"exec.run\"; $2
		with = { probe = [\"$work/probe.sh\", \"$1\"]; apply = [\"$work/slow.sh\", \"$1\"]; }; }"
}
cat >"$plan" <<EOF2
format = 1; name = "interrupt"; sites: { a: { x = "1"; }; b: { x = "2"; }; };
runbooks: {
  work: { steps = ( $(step one 'retry = { backoff = "10ms"; };'), $(step two 'after = ["one"];') ); };
  short: { steps = ( $(step one 'timeout = "500ms"; retry = { attempts = 1; };') ); };
};
EOF2

count() {
	if [[ -e $work/$1 ]]; then wc -l <"$work/$1"; else echo 0; fi
}
begin() {
	rm -f "$work"/{one,two}.{slow,started,applied}
	touch "$work/one.slow"
}
under_way() {
	check "(the step is under way)" soon test -s "$work/one.started"
	step_pid=$(tail -n 1 "$work/one.started")
	attempt=$(awk '/^PPid/{print $2}' "/proc/$step_pid/status")
	nursery=$(awk '/^PPid/{print $2}' "/proc/$attempt/status")
}
# The longest way: half a second of time, five to stop, two more, five for the report.
eventually() {
	soon "$@" || soon "$@"
}
gone() {
	[[ ! -e /proc/$1 || $(awk '/^State/{print $2}' "/proc/$1/status" 2>/dev/null) == Z ]]
}

echo "# the nursery is killed"
begin
launch run "$plan" work
under_way
kill -KILL "$nursery"
check "the step's command dies with it" soon gone "$step_pid"
rm "$work/one.slow"
ended 0 "the run starts another nursery, probes again and goes on"
same "what was not applied is applied once" "1 1" "$(count one.applied) $(count two.applied)"
same "the attempt is unknown in the journal" 1 \
	"$(events attempt.ended "json_extract(body, '\$.outcome') = 'unknown'")"

echo "# the attempt is killed"
begin
launch run "$plan" work
under_way
kill -KILL "$attempt"
check "the step's command dies with it" soon gone "$step_pid"
rm "$work/one.slow"
ended 0 "the run probes again and goes on"
same "what was not applied is applied once" 1 "$(count one.applied)"

echo "# the attempt hangs"
begin
launch run "$plan" short
under_way
kill -STOP "$attempt"
check "a stopped attempt is killed when its time is over" soon gone "$attempt"
check "and its command with it" soon gone "$step_pid"
ended 3 "then a person is asked"
says "and told" "not done after 500ms: ended with SIGKILL"
no_process_left "no process is left"
give_up

echo "# the nursery hangs"
begin
launch run "$plan" short
under_way
kill -STOP "$nursery"
check "what a stopped nursery holds is ended too" soon gone "$step_pid"
check "the run does not wait for it for ever" eventually gone "$pid"
kill -CONT "$nursery" 2>/dev/null
ended 3 "a person is asked"
says "and told" "hung: an attempt was to be killed"
no_process_left "no process is left"
give_up

echo "# Ctrl-C"
begin
launch run "$plan" work
under_way
kill -INT "$pid"
check "the run says what it does" soon grep -q "running steps end, no new ones start" "$work/launched.err"
check "the running step goes on" test -e "/proc/$step_pid"
rm "$work/one.slow"
ended 3 "the run ends when it has ended"
same "the running step has ended well, the next one has not begun" "1 0" \
	"$(count one.applied) $(count two.started)"
says "what to type is said" "resite resume"
exits 0 "resume does the rest" resume
same "each once" "1 1" "$(count one.applied) $(count two.applied)"
begin
launch run "$plan" work
under_way
kill -INT "$pid"
soon grep -q "no new ones start" "$work/launched.err"
kill -INT "$pid"
check "twice: the running step is cancelled" soon gone "$step_pid"
ended 3 "and the run ends, resumable"
rm "$work/one.slow"
exits 0 "resume does it again" resume
same "each once" "1 1" "$(count one.applied) $(count two.applied)"

echo "# the terminal is closed"
begin
script -q -c "exec '$build/resite' run '$plan' work" "$work/typescript" >/dev/null 2>&1 </dev/null &
terminal=$!
under_way
run_pid=$(awk '/^PPid/{print $2}' "/proc/$nursery/status")
kill -KILL "$terminal"
wait "$terminal" 2>/dev/null
sleep 0.2
check "the run lives on" test -e "/proc/$run_pid"
rm "$work/one.slow"
check "to its end" soon gone "$run_pid"
exits 0 "which status shows" status
says "as done" ": done"
same "each once" "1 1" "$(count one.applied) $(count two.applied)"
begin
launch run "$plan" work
under_way
kill -HUP "$pid"
rm "$work/one.slow"
ended 0 "SIGHUP does not end a run"
begin
"$build/resite" run "$plan" work 2>&1 </dev/null | true &
under_way
rm "$work/one.slow"
wait
check "nor does a reader of its output that went away" step_is two "done"

echo "# two resumes at once"
begin
launch run "$plan" work
under_way
kill -KILL "$pid"
wait "$pid" 2>/dev/null
rm -f "$work/one.started"
launch resume
first=$pid
under_way
exits 1 "the second resume is refused" resume
says "and says who has the run" "process $first has it"
rm "$work/one.slow"
ended 0 "the first one ends it"
begin
launch run "$plan" work
under_way
kill -KILL "$pid"
wait "$pid" 2>/dev/null
exits 1 "a word for a step whose outcome is unknown is refused" by-hand last one --reason test
says "with what to type first" "resite resume"
rm "$work/one.slow"
exits 0 "resume finds out" resume
no_process_left "no process is left"
finish
