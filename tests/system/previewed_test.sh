#!/bin/bash
# A run that is bound to a preview: refused where the world has moved since, with what
# has moved; and files that are no preview of this plan.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3

# The world is a folder: a file for each user, with the site where it is in it.
mkdir "$work/world"
world() {
	local user
	rm -f "$work"/world/*
	for user; do echo a >"$work/world/$user"; done
}
cat >"$work/probe" <<'EOS'
#!/bin/sh
cd "$(dirname "$0")/world" || exit 1
changes=0
total=0
for user in *; do
	total=$((total + 1))
	[ "$(cat "$user")" = a ] || continue
	changes=$((changes + 1))
	echo "{\"change\":{\"object\":\"$user\",\"was\":\"a\",\"will_be\":\"b\"}}"
done
echo "{\"changes\":$changes,\"total\":$total,\"now\":\"$changes of $total are at a\",\"fingerprint\":\"$(grep . ./* | cksum | tr ' ' -)\"}"
EOS
cat >"$work/apply" <<'EOS'
#!/bin/sh
cd "$(dirname "$0")/world" || exit 1
for user in *; do echo b >"$user"; done
EOS
chmod 755 "$work/probe" "$work/apply"

write_plan() {
	cat >"$plan" <<EOF
format = 1;
name = "$1";
sites: { a: { name = "a"; }; b: { name = "b"; }; };
runbooks: {
  move: { steps = (
    { name = "users"; does = "exec.run"; $2
      with = { probe = ["$work/probe"]; apply = ["$work/apply"]; }; } ); };
  broken: { steps = (
    { name = "users"; does = "exec.run"; with = { probe = ["/bin/false"]; apply = ["$work/apply"]; }; } ); };
};
EOF
}
at_b() {
	grep -lx b "$work"/world/* 2>/dev/null | wc -l
}
file=$work/before.json
write_plan previewed ""

echo "# nothing has moved"
world ann bob cy
exits 0 "a preview is kept in a file" preview -o "$file" "$plan" move
says "and it says how to bind a run to it" "--as-previewed $file"
check "the file is JSON" valid_json "$file"
same "no half-written file is left beside it" 1 "$(find "$work" -name 'before.json*' | wc -l)"
exits 0 "a second look finds everything as previewed" preview --against "$file" "$plan" move
says "and says so" "every step is as previewed"
exits 0 "a run that is bound to it is carried out" run --as-previewed "$file" "$plan" move
same "everybody was moved" 3 "$(at_b)"

echo "# the world has moved"
world ann bob cy
exits 0 "a preview is kept" preview -o "$file" "$plan" move
world ann bob dora
exits 3 "a step whose world has moved is refused" run --as-previewed "$file" "$plan" move
run=$(last_run)
same "nothing was changed" 0 "$(at_b)"
says "it says that the world has moved" "the world has moved since the preview of"
says "and how to see what has" "resite preview --against"
says "and what can be typed" "resite retry|skip|by-hand $run users --reason"
exits 1 "a preview against the file shows what has moved" preview --against "$file" "$plan" move
says "what is new" "+ dora: a -> b"
says "what is no longer there" "- cy: a -> b"
exits 1 "as JSON, too" preview --json --against "$file" "$plan" move
check "which is valid" valid_json "$work/out"
says "with the objects" '"object":"dora","what":"new"'
exits 3 "a resume is bound to the same preview" resume "$run"
same "and still changes nothing" 0 "$(at_b)"
exits 0 "a person takes the world as it is now" retry "$run" users --reason "dora is new, cy has left"
exits 0 "and the run goes on" resume "$run"
same "everybody was moved" 3 "$(at_b)"

echo "# files that do not fit"
world ann
exits 0 "a preview is kept" preview -o "$file" "$plan" move
exits 1 "another direction is refused" run --as-previewed "$file" --from b --to a "$plan" move
says "with the reason" 'is a preview of another from: "a", and here it is "b"'
exits 1 "another runbook is refused" run --as-previewed "$file" "$plan" broken
says "with the reason" 'another runbook: "move"'
exits 1 "a preview whose probe fails is kept, and said to be so" preview -o "$work/broken.json" "$plan" broken
exits 1 "nothing is bound to a failed probe" run --as-previewed "$work/broken.json" "$plan" broken
says "with the step" "the probe of step users had failed"
write_plan previewed 'timeout = "9m";'
exits 1 "an edited plan is refused" run --as-previewed "$file" "$plan" move
says "with the reason" "was made of another text of this plan"
write_plan elsewhere ""
exits 1 "another plan's file is refused" run --as-previewed "$file" "$plan" move
says "with both names" 'another plan: "previewed", and here it is "elsewhere"'
echo '{"steps":[]}' >"$work/other.json"
exits 2 "a file that is no preview is refused" run --as-previewed "$work/other.json" "$plan" move
says "with the reason" "is no file of resite preview -o"
head -c 40 "$file" >"$work/cut.json"
exits 2 "a file that was cut is refused" run --as-previewed "$work/cut.json" "$plan" move
exits 1 "a file that is not there is refused" run --as-previewed "$work/none.json" "$plan" move
says "with the system's words" "No such file or directory"
same "none of these has started a run" 2 "$(journal "select count(*) from run")"
same "or changed anything" 0 "$(at_b)"
exits 1 "a file that cannot be written is an error" preview -o "$work/none/file" "$plan" move

echo "# expect"
write_plan previewed 'expect = { max = 0; };'
exits 1 "a preview says what would be refused" preview "$plan" move
says "and why" "1 changes, but the plan expects at most 0 (expect.max)"
finish
