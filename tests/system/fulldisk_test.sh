#!/bin/bash
# No space under the journal: the run stops before its next effect and says so, and
# goes on when there is space again. A file size limit stands in for a full disk
# for everybody; who may mount, in a namespace of one's own, also gets a real one.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 prlimit

# Each step notes that it was applied, and the journal must know of it by then.
cat >"$work/step" <<'EOS'
#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$1" >>applied
EOS
chmod 755 "$work/step"

# A chain of steps, each with a large parameter in what it prints into the journal.
steps=60
{
	echo 'format = 1; name = "full"; sites: { a: { x = "1"; }; b: { x = "2"; }; };'
	echo 'runbooks: { chain: { steps = ('
	for ((i = 1; i <= steps; i++)); do
		((i == 1)) || echo ","
		echo "{ name = \"s$i\"; does = \"exec.run\"; ${after:-}"
		echo "  with = { probe = [\"$work/probe\", \"s$i\"]; apply = [\"$work/step\", \"s$i\"]; }; }"
		after="after = [\"s$i\"];"
	done
	echo '); }; };'
} >"$plan"

# Says much of what is there, so that events are of some size.
cat >"$work/probe" <<'EOS'
#!/bin/sh
cd "$(dirname "$0")" || exit 1
many=$(printf '%02000d' 0)
if grep -qx "$1" applied 2>/dev/null; then n=0; else n=1; fi
echo "{\"changes\":$n,\"total\":1,\"now\":\"$many\",\"fingerprint\":\"$n\"}"
EOS
chmod 755 "$work/probe"

applied() {
	if [[ -e $work/applied ]]; then wc -l <"$work/applied"; else echo 0; fi
}

# Steps that were applied, but of which the journal knows no intent.
without_intent() {
	journal "select json_extract(body, '\$.step') from event
		where json_extract(body, '\$.kind') = 'attempt.probed'
		and json_extract(body, '\$.decision') = 'apply'" | sort -u >"$work/intents"
	sort -u "$work/applied" | comm -23 - "$work/intents"
}

# stopped_by WHAT: what must be so after a run that ended for want of space.
stopped_by() {
	check "$1: some steps were applied, not all" test "$(applied)" -gt 0 -a "$(applied)" -lt "$steps"
	same "$1: none without an intent in the journal" "" "$(without_intent)"
	says "$1: the journal is named" "$RESITE_STATE/journal.db"
	says "$1: what to type is said" "resite resume $(last_run)"
	exits 0 "$1: status still works" status
	says "$1: and tells the truth" ": interrupted"
}

goes_on() {
	exits 0 "$1: resume ends the run when there is space" resume
	same "$1: every step was applied exactly once" "$steps $steps" \
		"$(applied) $(sort -u "$work/applied" | wc -l)"
	no_process_left "$1: no process is left"
}

echo "# a limit on the size of files"
limited() {
	prlimit --fsize=400000 "$build/resite" "$@"
}
limited run "$plan" chain >"$work/out" 2>"$work/err" </dev/null
same "a run whose journal may not grow fails" 1 $?
stopped_by "a file size limit"
goes_on "a file size limit"

echo "# a full disk"
# In a mount namespace: nothing outside of it sees the small disk.
cat >"$work/inside" <<'EOS'
set -u
mkdir -p "$RESITE_STATE" && mount -t tmpfs -o size=300k tmpfs "$RESITE_STATE" || exit 77
"$build/resite" run "$plan" chain >"$work/out" 2>"$work/err"
echo $? >"$work/status.run"
"$build/resite" status >"$work/out.status" 2>&1
echo $? >"$work/status.status"
timeout 20 "$build/resite" resume >"$work/out.full" 2>"$work/err.full"
echo $? >"$work/status.full"
cp "$work/applied" "$work/applied.full"
mount -o remount,size=8m "$RESITE_STATE" || exit 77
mkdir "$work/copy" && cp "$RESITE_STATE"/journal.db* "$work/copy"
"$build/resite" resume >"$work/out.resume" 2>"$work/err.resume"
echo $? >"$work/status.resume"
"$build/resite" status --json >"$work/status.json"
umount "$RESITE_STATE"
EOS
rm -rf "$RESITE_STATE" "$work/applied"
export build plan work
unshare --mount --propagation private bash "$work/inside" >"$work/unshare" 2>&1 </dev/null
case $? in
0)
	same "a full disk ends the run with exit status 1" 1 "$(<"$work/status.run")"
	says "the reason is the system's" "full"
	says "what to type is said" "resite resume"
	same "status works on a full disk" "0" "$(<"$work/status.status")"
	same "resume on a disk that is still full fails" 1 "$(<"$work/status.full")"
	check "some steps were applied, not all" test "$(wc -l <"$work/applied.full")" -lt "$steps"
	RESITE_STATE=$work/copy
	cp "$work/applied" "$work/applied.all"
	cp "$work/applied.full" "$work/applied"
	same "none without an intent in the journal" "" "$(without_intent)"
	same "resume ends the run when there is space" 0 "$(<"$work/status.resume")"
	same "every step was applied exactly once" "$steps $steps" \
		"$(wc -l <"$work/applied.all") $(sort -u "$work/applied.all" | wc -l)"
	;;
*) echo "not tried: this user may not mount a small disk: $(tail -n 1 "$work/unshare")" ;;
esac
finish
