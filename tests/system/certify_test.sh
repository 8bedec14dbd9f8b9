#!/bin/bash
# resite certify: a short certificate passes, and what is broken is found. Two bugs that it
# has found are cases of their own.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3
[[ -z ${RESITE_UNDER_VALGRIND:-} ]] || {
	echo "skipped: valgrind keeps the shim from seeing the calls"
	exit 77
}
# The sanitizer's own library wants to be the first one that is loaded.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0
disk=$work/disk
# More with, for instance, RESITE_TEST_CASES=1000 RESITE_TEST_SEED=$RANDOM.
cases=${RESITE_TEST_CASES:-60}
seed=${RESITE_TEST_SEED:-7}

field() {
	sqlite3 :memory: "select json_extract(readfile('$1'), '$2')"
}

# passes WHAT CASE: that case alone passes.
passes() {
	exits 0 "$1" certify --seed "$seed" --case "$2" "$disk"
	check "$1: $2 has happened" grep -q 'in all.* 1      1      0      0$' "$work/out"
}

echo "# a certificate"
exits 0 "a short certificate passes" certify --seed "$seed" --cases "$cases" "$disk"
says "and says so" "resite crash certificate: PASSED"
says "with the file system that it was made on" "file system"
says "and its seed" "seed $seed"
same "the text is saved" "" "$(diff <(head -n 40 "$disk/resite-certificate.txt") <(head -n 40 "$work/out"))"
check "so is the JSON" valid_json "$disk/resite-certificate.json"
same "all cases are in it" "$cases 0" "$(field "$disk/resite-certificate.json" '$.cases') \
$(field "$disk/resite-certificate.json" '$.failed')"
same "nothing else is left on the disk" "resite-certificate.json resite-certificate.txt" \
	"$(cd "$disk" && echo *)"
exits 0 "--json prints the same object" certify --seed "$seed" --case 1.effect.3.owner-after --json "$disk"
check "which is JSON" valid_json "$work/out"

echo "# what a certificate has found once"
passes "the state directory's own name survives a power cut" 1.tell.1.power
passes "what a failed sync has left behind loses nothing later" 1.sync.20.eio+2.tell.2.power
passes "and not when only some of it is on the disk" 2.sync.5.eio+3.tell.3.power-some

# With workers that wait for an acknowledgement: told, not killed after 5 s. A busy machine
# gets three tries.
in_time() {
	local try
	for try in 1 2 3; do
		"$build/resite" certify --seed "$seed" --case 1.sync.20.eio --json "$disk" >"$work/took" || return
		(($(field "$work/took" '$.took_ms') < 5000)) && return
	done
	cat "$work/took"
	return 1
}
check "a run whose journal fails ends at once" in_time

echo "# a certificate can fail"
# broken WHAT TEXT: breaking it on purpose is found.
broken() {
	exits 1 "with broken $1 there is none" certify --seed "$seed" --cases 40 --broken "$1" "$work/$1"
	says "broken $1 is found" "resite crash certificate: FAILED"
	says "broken $1 is named" "$2"
	says "broken $1 is no certificate" "NO CERTIFICATE: '$1' was broken on purpose"
	check "broken $1 is not saved as one" test ! -e "$work/$1/resite-certificate.txt"
}
broken sync "was acknowledged and is lost"
broken undo "has no undo record"
broken probe "was changed twice"
# One that fails wherever the calls of the two branches have come to lie this time.
exits 1 "a case that fails alone" certify --seed "$seed" --broken sync --case 1.effect.2.power "$work/again"
says "says how to run it again" "again: resite certify --seed $seed --broken sync --case 1.effect.2.power DIR"
says "its folder is kept" "(kept: $work/again/"

echo "# bad input"
exits 2 "a case that is none is refused" certify --case 1.write.x "$disk"
says "with one that would be right" "1.write.17.kill-torn"
exits 2 "a case that cannot be is refused" certify --case 1.sync.3.short "$disk"
exits 2 "so is what cannot be broken" certify --broken everything "$disk"
exits 1 "a folder that cannot be made is named" certify --cases 1 /proc/nowhere
says "with the reason" "/proc/nowhere"
exits 2 "no cases are none" certify --cases 0 "$disk"

echo "# Ctrl-C"
launch certify --cases 4000 "$disk"
sleep 2
kill -INT "$pid"
ended 1 "an interrupted certificate fails"
says "because it is not whole" "NOT WHOLE"
same "and leaves nothing behind" "resite-certificate.json resite-certificate.txt" \
	"$(cd "$disk" && echo *)"
same "not even in place of a whole one" "$cases" "$(field "$disk/resite-certificate.json" '$.cases')"
finish
