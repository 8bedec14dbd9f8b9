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
	rm -f "$work"/{bad,later,other,then,users} "$work"/*.mended
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

echo "# expect, preview and JSON"
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
json 0 approve last sure --reason test
json 0 resume
json 1 retry last sure --reason test
json 2 status nosuch
json 2 check "$work/nosuch.conf"

no_process_left "no process is left"
finish
