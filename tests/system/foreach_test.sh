#!/bin/bash
# `resite run` is killed, several times, in the middle of a for_each of 20 items. resume
# goes on at the item: each of them is done once, and none that was done is started again.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3
items=20

# What an item does takes a moment; its effect is one line. Its probe can tell.
cat >"$work/item" <<'EOS'
#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$1" >>begun
sleep 0.15
echo "$1" >>effects
EOS
cat >"$work/item.probe" <<'EOS'
#!/bin/sh
cd "$(dirname "$0")" || exit 1
if grep -qx "$1" effects 2>/dev/null; then n=0; else n=1; fi
echo "{\"changes\":$n,\"total\":1,\"now\":\"$1: $n to do\"}"
EOS
chmod 755 "$work/item" "$work/item.probe"

names=$(seq -f '"item-%.0f"' -s ', ' $items)
cat >"$plan" <<EOF2
format = 1;
name = "foreach";
sites: { a: { }; b: { todo = [$names]; edge = false; }; };
limits: { three = 3; };
runbooks: {
  work: { steps = (
    { name = "first"; does = "core.none"; },
    { name = "todo"; does = "exec.run"; after = ["first"]; for_each = "\${to.todo}"; limits = ["three"];
      with = { probe = ["$work/item.probe", "\${item}"]; apply = ["$work/item", "\${item}"]; }; },
    { name = "last"; does = "exec.run"; after = ["todo"];
      with = { apply = ["$work/item", "last"]; }; } ); };
  maybe: { steps = (
    { name = "never"; does = "exec.run"; if = "\${to.edge}"; with = { apply = ["\${to.nothing}"]; }; },
    { name = "look"; does = "exec.run"; with = { apply = ["/bin/echo", "{\"output\":{\"value\":\"0\"}}"]; }; },
    { name = "not"; does = "exec.run"; after = ["look"]; if = "\${step.look.value} != '0'"; with = { apply = ["$work/item", "no"]; }; },
    { name = "in"; does = "runbook.inner"; after = ["not", "never"]; if = "\${step.look.value} == '0'"; with = { who = "inner"; }; } ); };
  inner: { steps = (
    { name = "a"; does = "exec.run"; with = { apply = ["$work/item", "\${arg.who}"]; }; } ); };
  bad: { steps = (
    { name = "odd"; does = "exec.run"; for_each = ["fine", "wrong", "a b"]; on_failure = "ask";
      with = { apply = ["/bin/sh", "-c", "test '\${item}' = fine"]; }; } ); };
};
EOF2

exits 0 "the plan is valid" check "$plan" work --from a --to b
exits 0 "its preview" preview "$plan" work
says "the preview of a long for_each is one line" "20 steps: 20 of 20 would change"
exits 0 "its graph" graph "$plan" work
says "the graph has one box for a long for_each" "20 steps"
says_not "and not its items" "item-7"
exits 0 "its graph with --all" graph "$plan" work --all
says "has the items" "todo[item-7]"

effects() {
	[[ -e $work/effects && $(wc -l <"$work/effects") -ge $1 ]]
}

launch run "$plan" work
for at in 3 8 13; do
	check "$at items are done" soon effects $at
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	exits 0 "status after a kill" status last
	says "the items are one line" " of $items"
	says_not "items that are done are not listed" "+ todo[item"
	launch resume last
done
ended 0 "the last resume ends the run"
same "each item had its effect once" "$( (seq -f 'item-%.0f' $items; echo last) | sort)" "$(sort "$work/effects")"
same "no item was started again after it was done" 0 "$(journal "
	select count(*) from event a join event b on a.id > b.id and a.id >> 36 = b.id >> 36
	where json_extract(a.body, '\$.kind') = 'attempt.started'
	and json_extract(b.body, '\$.kind') = 'attempt.ended'
	and json_extract(b.body, '\$.outcome') = 'ok'
	and json_extract(a.body, '\$.step') = json_extract(b.body, '\$.step')")"
exits 0 "status of the whole" status last
says "all items are counted" "20 done of 20"
exits 0 "status --all" status last --all
says "has every item" "todo[item-20]"

# Conditions and a runbook inside a runbook.
exits 0 "a preview with a condition" preview "$plan" maybe
says "says why a step is passed over" "never                passed over: if: \${to.edge}"
exits 0 "it runs" run "$plan" maybe
exits 0 "its status" status last
says "says why, too" "passed over: if: \${to.edge}"
says "and what an output was that decided" "value} != '0', \${step.look.value} is '0'"
says "and has the step inside" "in/a"
same "the step inside had its effect" 1 "$(grep -cx inner "$work/effects")"

# A failing item has its own words; items that cannot be part of a name have numbers.
exits 3 "two of three items fail" run "$plan" bad
says "what to type is quoted for the shell" "'odd[2]'"
exits 0 "status of the failed items" status last
says "an item with a number shows its text" "(a b)"
exits 1 "a word to the step itself is refused" skip last odd --reason "all of them"
says "and names the items that it could be said to" "say it to one of them: odd[2] (failed), odd[3] (failed)"
exits 0 "an item is skipped" skip last 'odd[2]' --reason "test"
exits 0 "an item is done by hand" by-hand last 'odd[3]' --reason "test"
exits 0 "then the run ends" resume last
finish
