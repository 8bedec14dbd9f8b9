#!/bin/bash
# Who may let a step pass: different people over the socket, and by signatures that
# ssh-keygen has made, whether or not an orchestrator is at work.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 ssh-keygen

me=$(id -un)
for name in ann bob eve old any me; do
	ssh-keygen -q -t ed25519 -N '' -C "" -f "$work/$name" || exit 1
done
key_of() {
	cut -d' ' -f1,2 "$work/$1.pub"
}
signers=$work/signers
cat >"$signers" <<EOF2
ann@contoso.example $(key_of ann)
bob@contoso.example $(key_of bob)
$me@contoso.example $(key_of me)
*@contoso.example $(key_of any)
EOF2
cat >"$plan" <<EOF2
format = 1;
name = "approvals";
sites: { a: { name = "a"; }; b: { name = "b"; }; };
runbooks: {
  two: { steps = (
    { name = "sure"; does = "core.approve"; with = { question = "Is the old site\nreally down?"; needs = 2;
      allowed_signers = "$signers"; }; },
    { name = "next"; does = "core.none"; after = ["sure"]; } ); };
  named: { steps = (
    { name = "sure"; does = "core.approve"; with = { question = "Sure?"; approvers = ["ann"];
      allowed_signers = "$signers"; }; },
    { name = "other"; does = "core.approve"; with = { question = "Sure?"; approvers = ["bob@contoso.example"];
      allowed_signers = "$signers"; }; } ); };
  brief: { steps = (
    { name = "sure"; does = "core.approve"; with = { question = "Sure?"; needs = 2; expires = "4s";
      allowed_signers = "$signers"; }; } ); };
  plain: { steps = (
    { name = "sure"; does = "core.approve"; with = { question = "Sure?"; }; } ); };
  many: { steps = (
    { name = "sure"; does = "core.approve"; with = { question = "Sure?"; needs = 2;
      approvers = ["$me", "daemon", "nobody"]; }; } ); };
};
EOF2

# ask STEP [REASON]: what there is to sign is in $work/doc then.
ask() {
	rm -f "$work"/doc "$work"/doc.sig
	"$build/resite" approve "$run" "$1" --reason "${2:-looked at it}" --print \
		>"$work/doc" 2>"$work/err"
}
# sign KEY [NAMESPACE]
sign() {
	rm -f "$work/doc.sig"
	ssh-keygen -q -Y sign -n "${2:-resite-approval}" -f "$work/$1" "$work/doc" 2>"$work/err"
}
# hand_in STATUS WHAT [STEP]
hand_in() {
	exits "$1" "$2" approve "$run" "${3:-sure}" --file "$work/doc" --signature "$work/doc.sig"
}
refusals() {
	journal "select json_extract(body, '\$.actor') || ': ' || json_extract(body, '\$.why') from event
		where json_extract(body, '\$.kind') = 'operator.refused' order by id desc limit 1"
}
# refused_as WHAT ACTOR TEXT: the last refusal in the journal.
refused_as() {
	check "$1" grep -qF -e "$3" <(refusals)
	same "$1: by whom" "$2" "$(refusals | sed "s/: .*//; s/^\(signed:[^:]*\).*/\1/")"
}

echo "# while nobody works on the run"
exits 3 "the run waits" run "$plan" two
run=$(last_run)
says "how many people are wanted is said" "0 of 2 have approved"
says "and that a signature will do" "resite approve $run sure --reason '...' --print"
exits 2 "what is signed has a reason" approve "$run" sure --print
check "the text is printed" ask sure "the mast is down"
check "with the run" grep -qx "run: $run" "$work/doc"
check "the question, on one line" grep -qx "question: Is the old site really down?" "$work/doc"
check "the reason" grep -qx "reason: the mast is down" "$work/doc"
check "and the hash of the run's first event" \
	grep -qx "run began with: $(journal "select json_extract(body, '\$.prev') from event
		where id & 0xfffffffff = 2 order by id desc limit 1")" "$work/doc"
check "a person signs it" sign ann
cp "$work/doc" "$work/ann.doc"
cp "$work/doc.sig" "$work/ann.sig"
hand_in 0 "and it is handed in"
says "for the journal" "resite resume $run"
same "the actor is the signer, not who hands it in" "signed:ann@contoso.example|$me|the mast is down" \
	"$(journal "select json_extract(body, '\$.actor'), json_extract(body, '\$.by'),
		json_extract(body, '\$.reason') from event
		where json_extract(body, '\$.kind') = 'operator.approve' order by id desc limit 1")"
exits 0 "status" status
says "says who has" "1 of 2 have approved: signed:ann@contoso.example"
hand_in 1 "the same one a second time"
refused_as "is refused, and that is in the journal" signed:ann@contoso.example "has approved step sure already"
exits 2 "half of it is a slip" approve "$run" sure --file "$work/doc"

ask sure && sign eve
hand_in 1 "a key that nobody knows"
refused_as "is refused, in the journal" "$me" "of no key that the plan's allowed_signers has"
ask sure && sign bob other-namespace
hand_in 1 "a signature for something else"
refused_as "is refused, in the journal" "$me" "the signature does not fit the text"
ask sure && sign any
hand_in 1 "a key of no one person"
refused_as "is refused, in the journal" "$me" "write one person's name there"
ask sure && sign bob && sed -i 's/^reason: .*/reason: another one/' "$work/doc"
hand_in 1 "a text that was altered"
refused_as "is refused, in the journal" "$me" "the signature does not fit the text"
ask sure && sed -i 's/^question: .*/question: Tea?/' "$work/doc" && sign bob
hand_in 1 "an altered text with a good signature"
refused_as "is refused, in the journal" "$me" "not the one that resite approve"
ask sure && sed -i 's/^written: 20../written: 2199/' "$work/doc" && sign bob
hand_in 1 "a text of the future"
refused_as "is refused, in the journal" "$me" "written in the future"
ask sure && sed -i 's/^run: .*/run: 20200101-000000-two/' "$work/doc" && sign bob
hand_in 1 "a text for another run"
refused_as "is refused, in the journal" "$me" "for run '20200101-000000-two', not for '$run'"
ask sure && sign bob && echo "no signature" >"$work/doc.sig"
hand_in 1 "what is no signature"
refused_as "is refused, in the journal" "$me" "missing header"
cp "$signers" "$work/signers.kept"
sed -i "s|^bob@.*|bob@contoso.example $(key_of eve)|" "$signers"
ask sure && sign eve
hand_in 1 "a key that came into the file after the run had begun"
refused_as "is refused, in the journal" "$me" "of no key that"
ask sure && sign bob
hand_in 0 "and one that was there then is good"
cp "$work/signers.kept" "$signers"
exits 0 "with two people the run goes on" resume
run1=$run

echo "# one person is one, by whichever way"
exits 3 "(the run waits)" run "$plan" two
run=$(last_run)
cp "$work/ann.doc" "$work/doc"
cp "$work/ann.sig" "$work/doc.sig"
hand_in 1 "yesterday's approval of another run"
refused_as "is refused, in the journal" "$me" "for run '$run1', not for '$run'"
exits 0 "a word" approve "$run" sure --reason "I say so"
ask sure && sign me
hand_in 1 "and the same person's signature"
refused_as "are one approval" "signed:$me@contoso.example" "has approved step sure already"
SUDO_USER=ann exits 1 "sudo makes nobody two people" approve "$run" sure --reason "as ann"
refused_as "and that is in the journal" "$me" "has approved step sure already"
give_up

echo "# who may"
exits 3 "(the run waits)" run "$plan" named
run=$(last_run)
says "the approvers are named" "approvers: ann"
exits 1 "who is no approver may not" approve "$run" sure --reason "I say so"
says "and is told who may" "its approvers are ann"
refused_as "and it is in the journal" "$me" "may not approve step sure"
ask sure && sign bob
hand_in 1 "nor by signature"
refused_as "and it is in the journal" signed:bob@contoso.example "may not approve step sure"
ask sure && sign ann
hand_in 0 "an approver may"
hand_in 0 "and again when it is done: nothing happens"
says "which is said" "already said by signed:ann@contoso.example"
hand_in 1 "but not for another step" other
refused_as "which is refused, in the journal" "$me" "for step 'sure', not for 'other'"
ask other && sign bob
hand_in 0 "a principal may be named whole" other
exits 0 "(the run goes on)" resume
exits 1 "an ended run takes no approval" approve "$run" sure --reason test
exits 1 "nor prints one" approve "$run" sure --reason test --print
exits 3 "(a run without keys)" run "$plan" plain
run=$(last_run)
exits 1 "without allowed_signers there is nothing to sign" approve "$run" sure --reason test --print
says "and that is said" "no allowed_signers in the plan"
give_up
mv "$signers" "$work/gone"
exits 2 "a file of keys that is missing is an error of the plan" check "$plan"
says "at its line" "step sure: allowed_signers"
exits 2 "before anything is started" run "$plan" two
mv "$work/gone" "$signers"

echo "# too old"
exits 3 "(the run waits)" run "$plan" brief
run=$(last_run)
ask sure && sign ann
check "the text says until when" grep -q '^expires: 20' "$work/doc"
sleep 4.1
hand_in 1 "an approval that is too old"
refused_as "is refused, in the journal" signed:ann@contoso.example "has expired"
exits 0 "one that is in time" approve "$run" sure --reason "now"
sleep 4.1
exits 0 "(status)" status
says "is shown when it is too old" "(expired)"
ask sure && sign ann
hand_in 0 "and does not count when the next one comes"
exits 3 "the run waits on" resume
exits 0 "until two are in time" approve "$run" sure --reason "again"
exits 0 "then it goes on" resume

echo "# over the socket"
launch run "$plan" two --wait
check "(the run waits)" soon step_is sure gate
run=$(last_run)
ask sure && sign eve
hand_in 1 "an orchestrator refuses, too"
refused_as "and writes it down" "$me" "of no key that"
ask sure && sign ann
hand_in 0 "and takes what is signed"
says "how many more are wanted is said" "1 more must agree"
ask sure && sign bob
hand_in 0 "(the other one)"
says "the run goes on with it" "the run goes on"
ended 0 "and ends"

# as USER COMMAND...: with that user's name and groups, and the group that may.
as() {
	local user=$1
	shift
	setpriv --reuid "$user" --regid "$(id -g "$user")" --groups "$gid" "$@"
}
echo "# several users"
if (($(id -u) != 0)); then
	echo "skipped: several users: only root can be several"
elif ! setpriv --reuid daemon --regid daemon --clear-groups "$build/resite" --version >/dev/null 2>&1; then
	echo "skipped: several users: setpriv is missing, or they cannot reach $build/resite"
elif ! command -v setpriv >/dev/null || ! getent group games >/dev/null; then
	echo "skipped: several users: setpriv or the group games is missing"
else
	gid=$(getent group games | cut -d: -f3)
	exits 2 "a group that there is not" run "$plan" many --group nosuchgroup
	launch run "$plan" many --wait --group games
	check "(the run waits)" soon step_is sure gate
	run=$(last_run)
	same "the state directory lets the group in, and nobody else" "2750 games" \
		"$(stat -c '%a %G' "$RESITE_STATE")"
	same "so does the socket" "660 games" "$(stat -c '%a %G' "$RESITE_STATE/$run.sock")"
	check "one of the group sees the run" as daemon "$build/resite" status "$run"
	check "and who works on it" grep -qF "(process $pid)" <(as daemon "$build/resite" status "$run")
	check "one of the group approves" as daemon "$build/resite" approve "$run" sure --reason "one"
	check "the same one cannot again" refused as daemon "$build/resite" approve "$run" sure --reason "two"
	refused_as "which is in the journal" daemon "has approved step sure already"
	check "one who is no approver may not" refused as games "$build/resite" approve "$run" sure --reason no
	refused_as "which is in the journal" games "may not approve step sure"
	check "one who is not of the group cannot reach it" refused setpriv --reuid nobody \
		--regid "$(id -g nobody)" --clear-groups "$build/resite" approve "$run" sure --reason no
	check "another one of the group is the second" as nobody "$build/resite" approve "$run" sure --reason "two"
	ended 0 "and the run goes on"
	same "both are in the journal by the kernel's word" "daemon,nobody" \
		"$(journal "select group_concat(actor) from (select json_extract(body, '\$.actor') actor from event
			where json_extract(body, '\$.kind') = 'operator.approve' and
			id >> 36 = (select max(no) from run) order by id)")"
	exits 3 "(a run that nobody works on)" run "$plan" many
	run=$(last_run)
	as daemon "$build/resite" approve "$run" sure --reason "one" >"$work/out" 2>"$work/err"
	same "its journal is written by its owner alone" 1 $?
	says "and it is said what to do" "resite resume $run --wait"
	give_up
fi
no_process_left "no process is left"
finish
