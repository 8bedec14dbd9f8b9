#!/bin/bash
# A journal that is not as it was written: edited, cut, reordered, damaged, or of a newer
# resite. Nobody acts on it or repairs it; the first bad event is named, and
# `resite verify` says what can still be trusted.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3

cat >"$plan" <<EOF2
format = 1; name = "verify"; sites: { a: { x = "1"; }; b: { x = "2"; }; };
runbooks: { work: { steps = (
  { name = "one"; does = "exec.run"; with = { apply = ["/bin/sh", "-c", "echo >>$work/one"]; }; },
  { name = "two"; does = "exec.run"; after = ["one"]; retry = { attempts = 1; };
    with = { apply = ["/bin/sh", "-c", "echo >>$work/two; test -e $work/mended"]; }; },
  { name = "extra"; does = "exec.run"; retry = { attempts = 1; }; with = { apply = ["/bin/false"]; }; },
  { name = "three"; does = "exec.run"; after = ["two"]; with = { apply = ["/bin/true"]; }; } ); }; };
EOF2

exits 3 "(a run that pauses)" run "$plan" work
run=$(last_run)
exits 0 "a journal as it was written is whole" verify
says "and says so" "run $run: the journal is whole"
says "with its head" "  head "
head=$(sed -n 's/^  head //p' "$work/out")
events=${head%%:*}
same "the head is that of the last event" \
	"$(journal 'select count(*) from event'):$(journal 'select body from event order by id desc limit 1' |
		tr -d '\n' | sha256sum | cut -d ' ' -f 1)" "$head"
says "and what to type later" "resite verify $run --expect-head $head"
exits 0 "the head is found" verify --expect-head "$head"
says "and told" "the head that was kept is event $events"
exits 0 "the hash alone is enough" verify --expect-head "${head#*:}"
exits 2 "what is no head is refused" verify --expect-head 12
exits 0 "(a word more)" skip last extra --reason test
exits 0 "a head from before is found in a journal that has grown" verify --expect-head "$head"
cp "$RESITE_STATE/journal.db" "$work/whole.db"
whole=$events

# altered WHAT SQL: every case begins with the whole journal.
altered() {
	echo "# $1"
	rm -f "$RESITE_STATE"/journal.db*
	cp "$work/whole.db" "$RESITE_STATE/journal.db"
	sqlite3 "$RESITE_STATE/journal.db" "$2"
	before=$(contents)
}

contents() {
	journal "select count(*), sum(length(body)) from event"
}

# refused_everywhere WHAT EVENT WHY
refused_everywhere() {
	local command
	for command in status resume "retry last two --reason test" "stop last --reason test"; do
		# shellcheck disable=SC2086 # words
		exits 1 "$1: ${command%% *} is refused" $command
		says "$1: ${command%% *} names the first bad event" "event $2"
		says "$1: and what is wrong" "$3"
		says "$1: and what to type" "resite verify $run"
	done
	exits 1 "$1: verify finds it" verify
	says "$1: and names it" "the first bad event is $2"
	says "$1: and what is wrong" "$3"
	says "$1: and what to do" "bring $RESITE_STATE/journal.db back from a copy"
	"$build/resite" verify --json >"$work/verify.json" 2>/dev/null
	same "$1: and in JSON" "0 ${2%% *}" "$(sqlite3 :memory: "select json_extract(j, '\$.whole') || ' ' ||
		json_extract(j, '\$.bad.seq') from (select readfile('$work/verify.json') j)")"
	same "$1: nothing was written, nothing repaired" "$before" "$(contents)"
	same "$1: nobody acted" 1 "$(wc -l <"$work/two")"
}

bad_at() {
	journal "select id & 0xfffffff from event where json_extract(body, '\$.kind') = '$1'
		and json_extract(body, '\$.step') = '$2'"
}

ended=$(bad_at attempt.ended two)
altered "an edited event" "update event set body = json_set(body, '\$.outcome', 'ok')
	where (id & 0xfffffff) = $ended"
refused_everywhere "edited" "$ended (attempt.ended)" "was changed after it was written"
says "the good part is told" "events 1 to $((ended - 1)) are as they were written"
exits 1 "its steps too" verify
check "what was done before is certain" grep -qE "^  one +done +certain" "$work/out"
check "what was not is not" grep -qE "^  two +running +may have gone on since: look for yourself \(later" "$work/out"
altered "another value in the plan" "update event set body = replace(body, 'bin/true', 'bin/rm')
	where (id & 0xfffffff) = 1"
refused_everywhere "plan" "1 (run.started)" "was changed after it was written"
altered "two events in each other's place" "update event set body = (select body from event e where
	(e.id & 0xfffffff) = 5 - (event.id & 0xfffffff)) where (id & 0xfffffff) in (2, 3)"
refused_everywhere "reordered" "2 (attempt." "it says that it is number 3"
altered "an event left out" "delete from event where (id & 0xfffffff) = 4"
refused_everywhere "left out" "4" "is missing"
altered "an event that is no JSON" "update event set body = 'x' where (id & 0xfffffff) = 4"
refused_everywhere "no JSON" "4" "is no JSON"
altered "a newer format" "delete from event where (id & 0xfffffff) > 1;
	update event set body = replace(body, '\"format\":1', '\"format\":99')"
refused_everywhere "newer" "1 (run.started)" \
	"was written by a newer resite (journal format 99, this one knows 1): use that one"
altered "an event of a newer resite" "update event set body = replace(body, 'operator.skip', 'operator.wish')
	where id = (select max(id) from event)"
refused_everywhere "newer kind" "$((whole + 1)) (operator.wish)" "the journal is of a newer resite"

echo "# an end that was cut off"
altered "cut" "delete from event where (id & 0xfffffff) >= $ended"
exits 0 "looks whole" verify
exits 1 "not to one who kept the head" verify --expect-head "$head"
says "who is told how much is missing" \
	"it ends with event $((ended - 1)), but event $whole was there when the head was kept: $((whole - ended + 1)) events are missing"
exits 1 "nor to one who kept the hash" verify --expect-head "${head#*:}"
says "who is told so" "it has no event with the head that was kept"
altered "a new last event" "update event set body = replace(body, '\"test\"', '\"tset\"')
	where id = (select max(id) from event)"
exits 0 "the head before it is still there" verify --expect-head "$head"

echo "# a file that is damaged"
altered "(nothing)" "select 1"
size=$(stat -c %s "$RESITE_STATE/journal.db")
truncate -s $((size / 2)) "$RESITE_STATE/journal.db"
exits 1 "half a file is refused" status
says "in the words of SQLite" "malformed"
exits 1 "verify too" verify
rm -f "$RESITE_STATE"/journal.db*
cp "$work/whole.db" "$RESITE_STATE/journal.db"
sqlite3 "$RESITE_STATE/journal.db" "pragma user_version = 9"
exits 2 "a database of a newer resite is refused" status
says "and says so" "has format 9, this resite knows 1: use a newer resite"

echo "# the copy that was kept"
rm -f "$RESITE_STATE"/journal.db*
cp "$work/whole.db" "$RESITE_STATE/journal.db"
exits 0 "is whole" verify --expect-head "$head"
touch "$work/mended"
exits 0 "a word and" retry last two --reason "mended"
exits 0 "the run goes on from there" resume
finish
