#!/bin/bash
# A plugin that crashes, hangs, floods, talks nonsense, lies or leaves processes
# behind costs one step: it is told in words, the others go on, nothing is left.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3

[[ -e $build/tests/bad/.libs/bad.so ]] || {
	echo "skipped: tests/bad/.libs/bad.so is not built (make check builds it)"
	exit 77
}
export RESITE_PLUGINS=$build/tests/bad/.libs

# Each misbehaviour with what the operator is to read about it; "-": it is harmless.
misdeeds=(
	"crash|killed by signal 11 (Segmentation fault) in apply"
	"abort|killed by signal 6 (Aborted) in apply"
	"exit-zero|ended with exit status 0 and no result in apply"
	"exit-after-ok|gave a result, but then ended with exit status 3"
	"unknown-rc|42"
	"no-reason|"
	"hang|not done after 1.0s: ended with SIGKILL in apply"
	"polite-hang|not done after 1.0s: ended with SIGTERM in apply"
	"garbage|broke the protocol"
	"unknown-kind|format-disk"
	"endless-line|broke the protocol: a line that is too long"
	"double-result|broke the protocol: a message after its result"
	"undeclared-output|nobody-knows-me"
	"apply-pending|"
	"liar|apply said OK, but probe still sees 3 changes"
	"never-verified|"
	"flood-output|-"
	"long-line|-"
	"flood-messages|-"
	"left-behind|-"
	"daemonizes|-"
	"leak-fds|-"
)

{
	echo 'format = 1; name = "bad"; sites: { a: { x = "1"; }; b: { x = "2"; }; };'
	echo 'runbooks: { all: { steps = ('
	for misdeed in "${misdeeds[@]}"; do
		name=${misdeed%%|*}
		timeout=30s
		case $name in hang | polite-hang | never-verified) timeout=1s ;; esac
		echo "  { name = \"$name\"; does = \"bad.$name\"; timeout = \"$timeout\"; retry = { attempts = 1; }; },"
	done
	echo "  { name = \"good\"; does = \"exec.run\"; with = { apply = [\"/bin/sh\", \"-c\", \"echo >> $work/good\"]; }; },"
	echo "  { name = \"after-good\"; does = \"exec.run\"; after = [\"good\"];"
	echo "    with = { apply = [\"/bin/sh\", \"-c\", \"echo >> $work/after-good\"]; }; },"
	echo "  { name = \"after-crash\"; does = \"exec.run\"; after = [\"crash\"];"
	echo "    with = { apply = [\"/bin/sh\", \"-c\", \"echo >> $work/after-crash\"]; }; } ); }; };"
} >"$plan"

exits 3 "a run with plugins that misbehave ends and asks" run "$plan" all
cp "$work/err" "$work/run.err"
cp "$work/out" "$work/run.out"
check "status is JSON whatever the plugins sent" \
	"$build/resite" status --json
"$build/resite" status --json >"$work/status.json"
sqlite3 -separator '|' :memory: "select json_extract(value, '\$.name'), json_extract(value, '\$.state'),
	replace(json_extract(value, '\$.text'), char(10), ' ') from
	json_each(readfile('$work/status.json'), '\$.steps')" >"$work/steps"

for misdeed in "${misdeeds[@]}"; do
	name=${misdeed%%|*} wanted=${misdeed#*|}
	line=$(grep "^$name|" "$work/steps")
	case $wanted in
	-) same "$name is harmless" "$name|done|" "$line" ;;
	*)
		if [[ $line == "$name|failed|"*"$wanted"* && -n ${line#"$name|failed|"} ]]; then
			ok "$name: ${line#"$name|failed|"}"
		else
			fail "$name is told in words" "wanted: $wanted" "got:    $line"
		fi
		;;
	esac
done
check "what does not depend on them is done" test -e "$work/after-good"
check "what depends on one waits" test ! -e "$work/after-crash"
check "a flood does not fill the journal" \
	test "$(stat -c %s "$RESITE_STATE/journal.db")" -lt 1000000
check "nor the screen" test "$(cat "$work/run.err" "$work/run.out" | wc -c)" -lt 4000000
no_process_left "no process is left, not even a daemon that kept the run's lock"
exits 0 "skip the one that crashed" skip last crash --reason "it is broken"
exits 3 "and resume goes on at once" resume
check "with what waited for it" test -e "$work/after-crash"
finish
