#!/bin/bash
# The site that a planned move was to leave in good order dies on the way: the run is
# switched to mode disaster, and goes on without what only a planned move has.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3

cat >"$work/step" <<'EOS'
#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo started >>"$1"
[ "$1" != export ] || exec sleep 600
EOS
chmod 755 "$work/step"
write_plan() {
	cat >"$plan" <<EOF
format = 1;
name = "mode";
sites: { a: { networks = ["192.0.2.0/24"]; }; b: { networks = ["198.51.100.0/24"]; }; };
runbooks: {
  move: { steps = (
    { name = "export"; does = "exec.run"; modes = ["planned"]; with = { apply = ["$work/step", "export"]; }; },
    { name = "lost"; does = "core.approve"; modes = ["disaster"]; with = { question = "Is a really lost?"; }; },
    { name = "users"; does = "exec.run"; after = ["export", "lost"]; workload = "im";
      with = { apply = ["$work/step", "users"]; }; }$1 ); };
};
EOF
}
count() {
	if [[ -e $work/$1 ]]; then wc -l <"$work/$1"; else echo 0; fi
}
write_plan ""

echo "# a live run"
exits 0 "a preview of a planned move shows nothing of a disaster" preview "$plan" move
says_not "no gate" "lost"
launch run --wait "$plan" move
soon step_is export running
run=$(last_run)
exits 0 "status of the planned run" status
says "counts its own steps only" "1 waiting, 1 running of 2 steps"
exits 2 "a mode that is none is refused" mode "$run" rehearsal --reason "a drill"
says "with the reason" "can be switched to mode disaster only"
exits 2 "a reason is wanted" mode "$run" disaster
exits 0 "the run is switched" mode "$run" disaster --reason "a has lost power"
says "what becomes of it is said" "1 steps that only a planned move has are passed over, 1 of them run"
check "the export ends, and the gate opens" soon step_is lost gate
exits 0 "status of the switched run" status
says "tells who switched it and why" "mode disaster (begun as planned, switched by"
says "with the reason" "a has lost power"
says_not "the export is not shown any more" "export  "
exits 0 "saying it twice does nothing" mode "$run" disaster --reason "again"
says "and tells that it was said" "already switched to mode disaster by"
exits 0 "a person confirms that the site is lost" approve "$run" lost --reason "seen"
ended 0 "the run ends well"
same "the export was started once" 1 "$(count export)"
same "users were moved" 1 "$(count users)"
no_process_left "nothing of the export is left"
exits 1 "a run that has ended is not switched" mode "$run" disaster --reason "late"

echo "# a run that nobody works on"
rm -f "$work/export" "$work/users"
launch run "$plan" move
soon test -e "$work/export"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
run=$(last_run)
exits 0 "the word goes into the journal" mode "$run" disaster --reason "all of a is lost"
exits 3 "the resumed run asks whether the site is lost" resume "$run"
exits 0 "a person says so" approve "$run" lost --reason "seen"
exits 0 "and the run goes on" resume "$run"
same "the export was not tried again" 1 "$(count export)"
same "users were moved" 1 "$(count users)"

echo "# a plan that cannot do without the lost site"
write_plan ", { name = \"seen\"; does = \"health.tcp\"; after = [\"users\"]; with = { endpoint = \"192.0.2.7:25\"; }; }"
launch run --wait "$plan" move
soon step_is export running
run=$(last_run)
exits 1 "it is not switched" mode "$run" disaster --reason "a is lost"
says "the step is named with its line" "plan.conf:9: "
exits 0 "it is given up" stop "$run" --now --reason "enough seen"
ended 3 "and ends"
finish
