#!/bin/bash
# A failed step, and what an operator can say to a run: later, or while it waits.
# Also what the commands print: JSON everywhere, and what to type next.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3

# Steps leave a line for each of their starts in $work/STEP; a step that needs
# $work/STEP.mended fails until that is there.
cat >"$work/step" <<'EOS'
#!/bin/sh
name=$1
cd "$(dirname "$0")" || exit 1
echo started >>"$name"
while [ -e "$name.slow" ]; do sleep 0.05; done
echo ended >>"$name.ended"
[ -z "$2" ] || [ -e "$name.mended" ] || { echo "$name: the disk is on fire" >&2; exit 9; }
EOS
chmod 755 "$work/step"

cat >"$plan" <<EOF2
format = 1;
name = "words";
sites: { a: { name = "a"; }; b: { name = "b"; }; };
runbooks: {
  work: { steps = (
    { name = "bad"; does = "exec.run"; workload = "im";
      with = { apply = ["$work/step", "bad", "fails"]; }; },
    { name = "later"; does = "exec.run"; after = ["bad"]; workload = "im";
      with = { apply = ["$work/step", "later"]; }; },
    { name = "other"; does = "exec.run"; with = { apply = ["$work/step", "other"]; }; } ); };
  gate: { steps = (
    { name = "sure"; does = "core.approve"; with = { question = "Is the old site really down?"; }; },
    { name = "then"; does = "exec.run"; after = ["sure"];
      with = { apply = ["$work/step", "then"]; }; } ); };
  two: { steps = (
    { name = "sure"; does = "core.approve"; with = { question = "Two of you?"; needs = 2; }; } ); };
  slow: { steps = (
    { name = "first"; does = "exec.run"; with = { apply = ["$work/step", "first"]; }; },
    { name = "second"; does = "exec.run"; after = ["first"];
      with = { apply = ["$work/step", "second"]; }; } ); };
  guarded: { steps = (
    { name = "bad"; does = "exec.run"; on_failure = "stop";
      with = { apply = ["$work/step", "bad", "fails"]; }; },
    { name = "first"; does = "exec.run"; with = { apply = ["$work/step", "first"]; }; } ); };
  rest: { steps = (
    { name = "sure"; does = "core.approve"; with = { question = "Shall we?"; };
      modes = ["planned", "disaster", "rehearsal"]; } ); };
  look: { steps = (
    { name = "users"; does = "exec.run"; expect = { max = 6; };
      with = { probe = ["/bin/echo", "{\"changes\":7,\"total\":9,\"now\":\"7 of 9 are at a\"}"];
               apply = ["$work/step", "users"]; }; } ); };
};
EOF2

count() {
	if [[ -e $work/$1 ]]; then wc -l <"$work/$1"; else echo 0; fi
}
again() {
	rm -f "$work"/{bad,later,other,then,users,first,second} "$work"/*.{mended,ended,slow}
}

echo "# a failed step"
exits 3 "a failed step pauses the run" run "$plan" work
run=$(last_run)
says "where the step is written is said" "$plan:6: step bad failed"
says "the command's own last words are the reason" "bad: the disk is on fire"
says "what can be typed is printed" "resite retry|skip|by-hand $run bad --reason"
says "and how to go on then" "resite resume $run"
same "a dependent of the failed step has not started" 0 "$(count later)"
same "what does not depend on it has run" 1 "$(count other)"
exits 0 "status of a paused run" status
says "it says that the run is paused" "run $run: paused"

echo "# words that do not apply"
exits 2 "a word needs a reason" retry "$run" bad
says "and it says why" "--reason TEXT"
exits 1 "what is done cannot be tried again" retry "$run" other --reason test
says "the refusal names the state" "retry does not apply: step other is done"
exits 1 "a failed step cannot be approved" approve "$run" bad --reason test
exits 2 "an unknown step is named" skip "$run" nosuch --reason test
says "with the run's own words" "the run has no step 'nosuch'"
exits 2 "so is an unknown run" skip 19991231 bad --reason test
says "and where the runs are listed" "resite history"
same "no refused word is in the journal" 0 "$(events operator.retry)"

echo "# retry, skip, by-hand for the next resume"
exits 0 "retry of a run that nobody works on goes to its journal" retry "$run" bad --reason "again"
says "and says what to type" "resite resume $run"
exits 3 "resume fails again while the cause is there" resume "$run"
same "it has been tried once more" 2 "$(count bad)"
touch "$work/bad.mended"
exits 0 "retry again" retry "$run" bad --reason "mended the disk"
exits 0 "resume ends the run when the cause is mended" resume "$run"
same "the dependent ran once" 1 "$(count later)"
same "what was done was not done again" 1 "$(count other)"
same "the reason is in the journal" "mended the disk" \
	"$(journal "select json_extract(body, '\$.reason') from event
		where json_extract(body, '\$.kind') = 'operator.retry' order by id desc limit 1")"
exits 1 "an ended run is not resumed" resume "$run"
says "because it has ended" "has ended (done)"
exits 1 "and takes no words" skip "$run" bad --reason test
again
exits 3 "(another run that fails)" run "$plan" work
exits 0 "skip" skip "$(last_run)" bad --reason "not needed today"
exits 0 "resume goes on without it" resume
same "its dependent has run" 1 "$(count later)"
same "a skipped step is not tried again" 1 "$(count bad)"
again
exits 3 "(another run that fails)" run "$plan" work
exits 2 "the beginning of a run's name must fit one run" status 20
says "and those that fit are named" "fits more than one run: $run"
exits 0 "by-hand" by-hand "$(last_run)" bad --reason "did it with the vendor's tool"
exits 0 "resume believes it" resume
same "its dependent has run then" 1 "$(count later)"
check "status says that it was by hand" step_is bad by-hand

echo "# approvals"
exits 3 "an approval pauses the run" run "$plan" gate
run=$(last_run)
says "the question is shown" "Is the old site really down?"
says "with the command" "resite approve $run sure --reason"
same "nothing after it has started" 0 "$(count "then")"
exits 0 "approve" approve "$run" sure --reason "looked: it is"
exits 0 "resume goes on" resume "$run"
same "and runs what waited" 1 "$(count "then")"
again

echo "# while the run waits"
launch run "$plan" gate --wait
check "a run with --wait stays" soon step_is sure gate
run=$(last_run)
exits 0 "status of a run under way" status "$run"
says "says who works on it" "(process $pid)"
exits 1 "a second resume is refused" resume "$run"
says "and says who has the run" "process $pid has it"
exits 1 "a word that does not apply is refused over the socket too" retry "$run" sure --reason test
says "for the same reason" "retry does not apply: step sure is"
exits 2 "an unknown step is named over the socket, too" skip "$run" nosuch --reason test
exits 0 "approve over the socket" approve "$run" sure --reason "it is down"
says "the run goes on with it" "the run goes on"
ended 0 "and ends by itself"
same "what waited has run" 1 "$(count "then")"
launch run "$plan" work --wait
check "a failed step waits for a word too" soon step_is bad failed
touch "$work/bad.mended"
exits 0 "retry over the socket" retry last bad --reason "mended"
ended 0 "and the run ends"
again
launch run "$plan" gate --wait
check "(a run that waits)" soon step_is sure gate
exits 0 "stop over the socket" stop last --reason "enough for today"
ended 3 "ends a waiting run, resumable"
exits 3 "resume waits for the approval again" resume
exits 0 "(skip it)" skip last sure --reason "test"
exits 0 "and goes on" resume

echo "# pause, stop, stop --now"
again
touch "$work/first.slow"
launch run "$plan" slow
check "(a run with a slow step)" soon test -s "$work/first"
run=$(last_run)
exits 2 "a pause needs a reason" pause "$run"
exits 0 "pause" pause "$run" --reason "the storage looks odd"
says "says how many steps still run" "no step starts, 1 that run go to their end"
says "and what to type" "resite continue $run"
exits 0 "status while it pauses" status
says "says so" "run $run: pausing (process $pid)"
says "and who and why" "paused by $(id -un)"
says "in his words" "ago: the storage looks odd"
exits 0 "a second pause changes nothing" pause "$run" --reason "me too"
says "and says who was first" "already paused by $(id -un)"
same "and is not in the journal" 1 "$(events operator.pause)"
exits 1 "a step that runs takes no word" skip "$run" first --reason test
says "and it is said what does apply" "resite stop --now"
exits 1 "a second run of the plan is refused while one is under way" run "$plan" gate
says "with the run's name" "run $run, process $pid on $(hostname)"
says "and what to type" "resite stop $run --reason"
exits 0 "but not a look at it" preview "$plan" slow
exits 1 "an unfinished run that is under way is not given up" abandon "$run" --reason test
says "it is to be stopped first" "resite stop $run first"
rm "$work/first.slow"
paused() {
	"$build/resite" status >"$work/out" 2>&1 && grep -qF "run $run: paused (process $pid)" "$work/out"
}
check "when the step has ended the run is paused, its orchestrator stays" soon paused
same "no step has started" 0 "$(count second)"
exits 0 "continue" continue "$run" --reason "it was a false alarm"
ended 0 "goes on to the end"
same "with the step that was held" 1 "$(count second)"
same "pause and continue are in the journal" "1 1" "$(events operator.pause) $(events operator.continue)"
exits 1 "nothing can be paused in a run that has ended" pause "$run" --reason test
says "and it is said that it has" "has ended (done)"
again
touch "$work/first.slow"
launch run "$plan" slow
check "(a run with a slow step)" soon test -s "$work/first"
run=$(last_run)
exits 0 "stop" stop "$run" --reason "not today"
says "says what comes next" "resite resume $run"
exits 0 "stop again" stop "$run" --reason "not today"
says "answers who was first" "already stopped by"
exits 1 "a pause cannot follow a stop" pause "$run" --reason "wait"
exits 0 "continue takes the stop back" continue "$run" --reason "after all"
exits 0 "(stop it again)" stop "$run" --reason "no"
exits 0 "stop --now may follow a stop" stop "$run" --now --reason "I said no"
says "and says that steps are cancelled" "1 that run are cancelled"
ended 3 "the run ends, resumable"
same "the step was cancelled in the middle" 0 "$(count first.ended)"
same "that the stop was --now is in the journal" 1 \
	"$(events operator.stop "json_extract(body, '\$.now') = 1")"
no_process_left "no process is left of it"
exits 0 "stop --now of what was stopped" stop "$run" --now --reason again
says "is nothing new" "already stopped by"
exits 1 "there is nothing to continue without an orchestrator" continue "$run" --reason test
says "and it is said what to type" "resite resume $run"
exits 0 "status says who stopped it" status
says "and why" "ago: I said no"
rm "$work/first.slow"
exits 0 "resume does the step again and goes on" resume
same "twice started, once ended" "2 1" "$(count first) $(count first.ended)"

echo "# a step whose policy is to stop"
again
touch "$work/first.slow"
launch run "$plan" guarded
check "(it has failed while another runs)" soon step_is bad failed
touch "$work/bad.mended"
exits 0 "retry takes back the stop of its own step" retry last bad --reason "mended"
check "and it is done again at once" soon step_is bad "done"
rm "$work/first.slow"
ended 0 "and the run ends"

echo "# one run of a plan at a time"
again
exits 3 "(a run that waits, nobody works on it)" run "$plan" gate
run=$(last_run)
exits 1 "a new one of the runbook is refused" run "$plan" gate
says "which one is in the way is said" "run $run of runbook gate has not ended"
says "how to go on" "resite resume $run"
says "how to give it up" "resite abandon $run --reason"
says "and how to start all the same" "--beside-unfinished $run --reason"
exits 3 "another runbook is not held up" run "$plan" two
exits 2 "to start beside it wants a reason" run "$plan" gate --beside-unfinished "$run"
exits 2 "and the right name" run "$plan" gate --beside-unfinished 2000 --reason test
exits 3 "then it starts" run "$plan" gate --beside-unfinished "$run" --reason "3 a.m."
same "which and why is in the journal" "[\"$run\"]|3 a.m." \
	"$(journal "select json_extract(body, '\$.beside'), json_extract(body, '\$.reason') from event
		where json_extract(body, '\$.kind') = 'run.started' order by id desc limit 1")"
second=$(last_run)
exits 0 "abandon" abandon "$run" --reason "done in another way"
says "ends the run" "run $run has ended, as abandoned"
exits 1 "for good" resume "$run"
says "and it is said" "has ended (abandoned)"
exits 0 "status says so too" status "$run"
says "in its first line" "run $run: abandoned"
exits 0 "(the other one is given up, too)" abandon "$second" --reason test
exits 3 "then a new one starts" run "$plan" gate
give_up
exits 3 "(a rehearsal that waits)" run "$plan" rest --mode rehearsal
exits 3 "does not hold up what is real" run "$plan" rest --mode disaster
give_up
exits 1 "but another rehearsal" run "$plan" rest --mode rehearsal
launch run "$plan" look --wait
check "(a run that waits)" soon step_is users failed
kill -KILL "$pid"
ended 137 "(its orchestrator is lost)"
exits 0 "(what it had started is gone)" abandon last --reason test
exits 3 "a lock does not outlive its process" run "$plan" look
give_up

echo "# expect, preview and JSON"
again
exits 1 "preview says that expect would refuse" preview "$plan" look
says "with the numbers" "7 changes, but the plan expects at most 6"
same "and applies nothing" 0 "$(count users)"
runs_before=$(journal "select count(*) from run")
exits 0 "(preview of what has no probe)" preview "$plan" work
same "preview runs no command" 0 "$(count bad)"
same "preview leaves no run" "$runs_before" "$(journal "select count(*) from run")"
exits 3 "more changes than expected: a person is asked" run "$plan" look
says "nothing was changed is said" "(expect.max): nothing was changed"
same "and nothing was" 0 "$(count users)"
run=$(last_run)

json() {
	local wanted=$1
	shift
	exits "$wanted" "$* --json" "$@" --json
	check "is JSON" valid_json "$work/out"
}
json 0 check "$plan"
json 1 preview "$plan" look
json 0 status "$run"
json 0 history
json 0 plugins list
json 0 plugins show exec
json 0 graph "$plan" work
json 3 run "$plan" gate
json 1 run "$plan" gate
json 1 pause last --reason test
json 0 approve last sure --reason test
json 0 resume
json 1 retry last sure --reason test
json 2 status nosuch
json 2 check "$work/nosuch.conf"

no_process_left "no process is left"
finish
