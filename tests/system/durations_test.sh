#!/bin/bash
# Which of the ready steps starts first: the one that took longest in earlier runs, else the
# one that the plan says takes longest; and a resume keeps to the order of its run.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3

sleeps() {
	echo "{ name = \"$1\"; does = \"exec.run\"; $3 with = { apply = [\"/bin/sleep\", \"$2\"]; }; },"
}
cat >"$plan" <<EOF2
format = 1; name = "durations"; sites: { a: { x = "1"; }; b: { x = "2"; }; };
runbooks: {
  work: { steps = ( $(sleeps short 0.05 "") $(sleeps long 1.5 "") $(sleeps middle 0.5 "")
    { name = "end"; does = "core.none"; after = ["short", "long", "middle"]; } ); };
  said: { steps = ( $(sleeps first 0 "") $(sleeps second 0 "takes = \"5m\";")
    { name = "end"; does = "core.none"; after = ["first", "second"]; } ); };
};
EOF2

# order: the steps of the newest run as they were started.
order() {
	journal "select group_concat(json_extract(body, '\$.step'), ' ') from (select body from event
		where id >> 36 = (select max(no) from run)
		and json_extract(body, '\$.kind') = 'attempt.started' order by id)"
}
expected() {
	journal "select json_extract(body, '\$.expected_ms') from event
		where id >> 36 = (select max(no) from run) and json_extract(body, '\$.kind') = 'run.started'"
}

exits 0 "the plan's word for a step that was never run" run --jobs 1 "$plan" said
same "starts it first" "second first" "$(order)"
exits 0 "then what they took is known" run --jobs 1 "$plan" said
check "and the plan's word no longer counts" test 300000 -gt \
	"$(journal "select max(value) from event, json_each(body, '\$.expected_ms')
		where event.id >> 36 = (select max(no) from run) and json_extract(body, '\$.kind') = 'run.started'")"

exits 0 "without both" run --jobs 1 "$plan" work
same "steps start in the plan's order" "short long middle" "$(order)"
same "and nothing is written of it" "" "$(expected)"
same "what they took is, in one event" 1 "$(events run.took "json_extract(body, '\$.ms.long') >= 1500")"

launch run --jobs 1 "$plan" work
check "(the second run has begun)" soon test -n "$(sleep 0.3; order)"
exits 0 "(it is stopped)" stop last --reason test
ended 3 "(and ends)"
same "the longest started first" "long" "$(order)"
exits 0 "resume" resume --jobs 1
same "goes on in the same order" "long middle short" "$(order)"

exits 0 "another direction" run --jobs 1 "$plan" work --from b --to a
same "knows nothing of this one" "short long middle" "$(order)"

sqlite3 "$RESITE_STATE/journal.db" "update event set body = 'broken'
	where json_valid(body) and json_extract(body, '\$.kind') = 'run.took'"
exits 0 "what cannot be read holds nobody up" run --jobs 1 "$plan" work
same "it is as if it were not there" "short long middle" "$(order)"
finish
