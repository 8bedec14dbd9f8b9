#!/bin/bash
# A plan that cannot be run is refused with all that is wrong in it, each with
# file and line, before anything is started: no state folder, no process.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3

printf 'sesame-opens\n' >"$work/secret"
chmod 600 "$work/secret"

nothing_started() {
	[[ ! -e $RESITE_STATE && ! -e $work/applied ]]
}

# bad WHAT ARGS...: run and check both refuse it and start nothing.
bad() {
	local what=$1
	shift
	exits 2 "$what: run refuses" run "$plan" "$@"
	check "$what: nothing was started" nothing_started
}

# steps TEXT: a plan of one runbook with these steps, which begin in line 6.
steps() {
	cat >"$plan" <<EOF2
format = 1;
name = "bad";
secrets: { good = { file = "secret"; }; gone = { file = "no-such-file"; }; env = { env = "RESITE_TEST_NONE"; }; };
sites: { a: { name = "a"; networks = ["127.9.0.0/16"]; }; b: { name = "b"; }; };
runbooks: { move: { steps = (
$1
); }; };
EOF2
}

apply="apply = [\"/bin/sh\", \"-c\", \"echo >> $work/applied\"];"

exits 2 "a plan that is not there" run "$work/nosuch.conf" move
says "is named with the system's reason" "$work/nosuch.conf"
says "is named with the system's reason" "No such file"
check "nothing was started" nothing_started
mkdir "$work/folder"
exits 2 "a plan that cannot be read" run "$work/folder" move
says "is named" "$work/folder"
check "nothing was started" nothing_started
# The first of them is no UTF-8 for certain: random ones may be, up to a newline and beyond.
{ printf '\377' && head -c 4095 /dev/urandom; } >"$plan"
bad "a plan of random bytes" move
says "a plan of random bytes: file and line are named" "$plan:1: not text: a byte here is no UTF-8"
printf 'format = 1;\nname = "latin";\n# caf\351\n' >"$plan"
bad "a plan in another encoding" move
says "a plan in another encoding: file and line are named" "$plan:3: not text: a byte here is no UTF-8"
: >"$plan"
bad "an empty plan" move

steps "  { name = \"one\"; dose = \"exec.run\"; with = { $apply }; },
  { name = \"two\"; does = \"exec.run\"; timeout = 30; with = { $apply }; },
  { name = \"three\"; does = \"exec.run\"; with = { aply = [\"/bin/true\"]; }; },
  { name = \"four\"; does = \"nosuch.move\"; },
  { name = \"five\"; does = \"exec.walk\"; },
  { name = \"six\"; does = \"exec.run\"; with = { $apply stdin_secret = \"\${secret.gone}\"; }; },
  { name = \"seven\"; does = \"exec.run\"; with = { $apply stdin_secret = \"\${secret.env}\"; }; },
  { name = \"eight\"; does = \"exec.run\"; after = [\"nine\"]; with = { $apply }; },
  { name = \"nine\"; does = \"exec.run\"; after = [\"eight\"]; with = { $apply }; },
  { name = \"ten\"; does = \"exec.run\"; with = { apply = [\"/bin/true\", \"\${from.nosuch}\"]; }; },
  { name = \"eleven\"; does = \"exec.run\"; after = [\"twelf\"]; with = { $apply }; },
  { name = \"twelve\"; does = \"health.tcp\"; with = { endpoint = \"127.9.0.1:5060\"; }; }"
bad "everything at once" move --mode disaster
says "an unknown key" "$plan:6: runbook move, step one: unknown key 'dose' (did you mean 'does'?)"
says "a number without its unit" "$plan:7: runbook move, step two: 'timeout' is a number without a unit"
says "an unknown parameter, with the line" "$plan:8: runbook move, step three:"
says "and its nearest name" "'apply'"
says "a plugin that is not there" "$plan:9: runbook move, step four:"
says "an action that is not there" "$plan:10: runbook move, step five:"
says "the file of a secret that is not there" "no-such-file"
says "a variable of a secret that is not there" "RESITE_TEST_NONE"
says "a cycle, printed whole" "eight ($plan:13) -> nine ($plan:14) -> eight"
says "a value that a site does not have" "nosuch"
says "a dependency that is not there, with the nearest name" "'twelve'"
says "a step that needs the lost site" "127.9.0.1"
says_not "no secret is shown" "sesame-opens"
exits 2 "check says the same" check "$plan" move --mode disaster
says "a cycle, printed whole" "eight ($plan:13) -> nine ($plan:14) -> eight"
says "a step that needs the lost site" "$plan:17: runbook move, step twelve"
exits 2 "check --json of it" check "$plan" move --json
check "is JSON" valid_json "$work/out"

steps "  { name = \"one\"; does = \"exec.run\"; with = { $apply }; }"
bad "an unknown runbook" movve
says "it is named, with the nearest" "'move'"
bad "a mode that is none" move --mode disatser
says "and the modes are named" "disaster, planned, rehearsal"
bad "a site that is none" move --from c
says "and it is named" "'c'"
bad "both sites the same" move --from a --to a
exits 2 "no runbook" run "$plan"
says "usage is printed" "usage: resite run PLAN RUNBOOK"
exits 2 "an unknown command" walk "$plan"
exits 2 "an unknown option" run "$plan" move --hurry
check "nothing was started" nothing_started

# The installed plugins are found beside the program; one that cannot be loaded is
# named with the reason, whatever is wrong with it.
bad_plugins=$build/tests/bad/.libs
for plugin in badmagic badmajor badminor badname badsize badsymbol badnone badcrash; do
	[[ -e $bad_plugins/$plugin.so ]] || continue
	steps "  { name = \"one\"; does = \"$plugin.noop\"; }"
	bad "the plugin $plugin" move --plugins "$bad_plugins"
	says "the plugin $plugin: where" "$plan:6: runbook move, step one"
	says "the plugin $plugin: which file" "$plugin.so"
done

steps "  { name = \"one\"; does = \"exec.run\"; with = { $apply }; }"
exits 0 "a good plan runs" run "$plan" move
check "and applies" test -e "$work/applied"
rm -rf "$RESITE_STATE" "$work/applied"
mkdir "$work/readonly"
exits 1 "a state folder that cannot be made" run "$plan" move --state "$plan/state"
says "is named with the system's reason" "Not a directory"
check "nothing was applied" test ! -e "$work/applied"
exits 2 "a status where no journal is" status
says "says where it looked, and how to say another place" "$RESITE_STATE (give --state DIR"

finish
