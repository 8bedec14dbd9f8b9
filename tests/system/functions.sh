# shellcheck shell=bash
# What the system tests share; to be sourced before anything else is done. A test
# runs in the build tree's top folder (or has its path in RESITE_BUILD), starts
# everything in a folder of its own, and ends only processes that it has started.
set -u -o pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${RESITE_BUILD:-$PWD}
failures=0
work=
lab_is_up=

# Background jobs of this shell are the only processes that it ends.
cleanup() {
	local pid
	for pid in $(jobs -p); do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	[[ -z $lab_is_up ]] || "$root/lab/lab" --dir "$work/lab" down >/dev/null 2>&1
	[[ -z $work || -n ${KEEP:-} ]] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# need PROGRAM...: the test is skipped, with a name, where one is missing.
need() {
	local program
	PATH=$PATH:/usr/sbin:/sbin
	for program; do
		command -v "$program" >/dev/null || {
			echo "skipped: $program is not installed"
			exit 77
		}
	done
}

ok() {
	echo "ok   $1"
}

# fail WHAT [DETAIL...]: what was expected, and what there was instead.
fail() {
	local line
	failures=$((failures + 1))
	echo "FAIL $1"
	shift
	for line; do
		printf '%s\n' "$line" | tail -n 25 | sed 's/^/     | /'
	done
}

# check WHAT COMMAND...: its output is shown only if it fails.
check() {
	local what=$1 out
	shift
	if out=$("$@" 2>&1); then
		ok "$what"
	else
		fail "$what" "$* ended with $?" "$out"
	fi
}

# same WHAT WANTED GOT
same() {
	if [[ $2 == "$3" ]]; then
		ok "$1"
	else
		fail "$1" "wanted: $2" "got:    $3"
	fi
}

refused() {
	! "$@"
}

# soon COMMAND...: true within ten seconds.
soon() {
	local try
	for ((try = 0; try < 500; try++)); do
		"$@" && return
		sleep 0.02
	done
	return 1
}

# exits STATUS WHAT ARGS...: `resite ARGS` ends with it; its output stays in
# $work/out and $work/err for says and json.
exits() {
	local wanted=$1 what=$2 got
	shift 2
	"$build/resite" "$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	if ((got == wanted)); then
		ok "$what"
	else
		fail "$what" "resite $*: exit status $got, wanted $wanted" \
			"$(<"$work/out")" "$(<"$work/err")"
	fi
}

# says WHAT TEXT: the last output has it, wherever.
says() {
	if grep -qF -e "$2" "$work/out" "$work/err"; then
		ok "$1"
	else
		fail "$1" "wanted: $2" "$(<"$work/out")" "$(<"$work/err")"
	fi
}

says_not() {
	if grep -qF -e "$2" "$work/out" "$work/err"; then
		fail "$1" "not wanted: $2" "$(<"$work/out")" "$(<"$work/err")"
	else
		ok "$1"
	fi
}

# launch ARGS...: `resite ARGS` in the background; its pid is in $pid. It has files of its
# own: what it says in between must not be written over the answer to another command.
launch() {
	: >"$work/launched.out"
	: >"$work/launched.err"
	"$build/resite" "$@" >"$work/launched.out" 2>"$work/launched.err" </dev/null &
	pid=$!
}

# ended STATUS WHAT: what was launched ends so; its output is the last one from here on.
ended() {
	local got
	wait "$pid" 2>/dev/null
	got=$?
	cp "$work/launched.out" "$work/out"
	cp "$work/launched.err" "$work/err"
	if ((got == $1)); then
		ok "$2"
	else
		fail "$2" "exit status $got, wanted $1" "$(<"$work/out")" "$(<"$work/err")"
	fi
}

# The journal is read with the sqlite3 shell, which can also read JSON.
journal() {
	sqlite3 "file:$RESITE_STATE/journal.db?mode=ro" "$1"
}

# The newest run.
last_run() {
	journal "select name from run order by no desc limit 1"
}

# events KIND [WHERE]: how many events of this kind the newest run has.
events() {
	journal "select count(*) from event where id >> 36 = (select max(no) from run)
		and json_extract(body, '\$.kind') = '$1' ${2:+and $2}"
}

# state_of STEP: as `resite status` says.
state_of() {
	"$build/resite" status --json >"$work/status.json" &&
		sqlite3 :memory: "select json_extract(value, '\$.state') from
			json_each(readfile('$work/status.json'), '\$.steps')
			where json_extract(value, '\$.name') = '$1'"
}

step_is() {
	[[ $(state_of "$1" 2>/dev/null) == "$2" ]]
}

# give_up: the newest run ends as it is, so that its runbook can begin anew.
give_up() {
	exits 0 "(the run is given up)" abandon last --reason "the test goes on"
}

# valid_json FILE: one object or array, or one on each line.
valid_json() {
	local line
	[[ -s $1 ]] || return
	while IFS= read -r line; do
		printf '%s' "$line" >"$work/line.json"
		[[ $(sqlite3 :memory: "select json_valid(readfile('$work/line.json'))") == 1 ]] || {
			echo "no JSON: $line"
			return 1
		}
	done <"$1"
}

# Processes that hold a file open below FOLDER: all workers of a run hold its lock.
holders() {
	local self=$$
	find /proc/[0-9]*/fd -lname "$1/*" -printf '%p\n' 2>/dev/null | cut -d/ -f3 | sort -un |
		grep -vx "$self"
	return 0
}

nobody_holds() {
	[[ -z $(holders "$1") ]]
}

no_process_left() {
	check "$1" soon nobody_holds "$RESITE_STATE"
}

# start_lab USERS [OPTION...]: the two sites, with their variables.
start_lab() {
	lab_is_up=1
	"$root/lab/lab" --dir "$work/lab" --users "$1" "${@:2}" up >"$work/lab.log" 2>&1
	case $? in
	0) ;;
	77)
		lab_is_up=
		cat "$work/lab.log"
		exit 77
		;;
	*)
		cat "$work/lab.log"
		echo "FAIL the lab starts"
		exit 1
		;;
	esac
	# shellcheck source=/dev/null
	. "$work/lab/env"
}

# restarted SITE: true when its directory had to be started again. When its client is killed amid
# a transaction, slapd 2.5.13 may crash (txn_preop answers a request that the end of its connection
# has freed) or lock its database for ever: it answers reads, and no change. Nothing is committed
# then; what watches over a real server starts it again, and so do we.
restarted() {
	local ldapi=LAB_${1^^}_LDAPI rc=0
	sleep 0.5
	# An entry that is not there is looked for with the lock that a change takes.
	timeout 10 ldapmodify -Q -Y EXTERNAL -H "${!ldapi}" >/dev/null 2>&1 <<-EOF || rc=$?
		dn: cn=nobody,$LAB_SUFFIX
		changetype: modify
		delete: description
	EOF
	((rc == 124 || rc == 255)) || return 1
	echo "     (slapd did not outlive its client: $rc; it is started again)"
	kill -KILL "$(cat "$work/lab/pids/$1.slapd")" 2>/dev/null
	"$root/lab/lab" --dir "$work/lab" restore "$1" >/dev/null 2>&1
}

finish() {
	echo "$failures failed"
	((failures == 0))
}

[[ -x $build/resite && -x $build/resite-worker ]] || {
	echo "there is no resite in $build: run 'make', then from there 'make check', or set RESITE_BUILD"
	exit 1
}
work=$(mktemp -d "${TMPDIR:-/tmp}/resite-test.XXXXXX") || exit 1
chmod 755 "$work"
export RESITE_STATE=$work/state
# shellcheck disable=SC2034 # of use to those who source this
plan=$work/plan.conf
