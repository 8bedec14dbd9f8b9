# shellcheck shell=bash
# The row about the whole: from the button to a client that is signed in.

# A lab whose contact lists are saved and whose primary site is then lost.
lose_a_site() {
	"$top/lab/lab" down >/dev/null 2>&1 || true
	loudly "$top/lab/lab" --users "$n" up
	# shellcheck source=/dev/null
	. "$RESITE_LAB/env"
	# The plan of the demo, beside a lab-run of its own.
	ln -sfn "$RESITE_LAB" lab-run
	cp "$top/examples/small/small.conf" plan.conf
	resite_run state.protect --from primary --to dr plan.conf protect
	rm -rf lists
	split_documents "$(echo "$LAB_VAULT"/contacts/*/documents.txt)" "$n" lists
	loudly "$top/lab/lab" lose primary
}

signs_in() {
	"$top/lab/sign-in" u00001 >sign-in.out || die "nobody signs in: $(cat sign-in.out)"
}

before_fail_over_by_resite() { lose_a_site; }
fail_over_by_resite() {
	resite_run state --mode disaster plan.conf move
	signs_in
}
after_fail_over_by_resite() { count_target "$n"; }

before_fail_over_by_hand() { lose_a_site; }
fail_over_by_hand() { loudly "$here/by_hand.sh" lists; }
after_fail_over_by_hand() { count_target "$n"; }

row_demo() {
	n=$(small 5000)
	export RESITE_LAB=$PWD/lab RESITE_LAB_GEN=$build/lab/gen/gen
	later "'$top/lab/lab' down >/dev/null"
	turns resite=fail_over_by_resite by-hand=fail_over_by_hand
	goal_ratio "five times the script" 5 by-hand resite
	note "$n users; resite verifies everything and 20 users sign in, the script does one sign-in; by hand, the article says, 30 to 60 minutes"
	note "steps:$(journal state "SELECT ' ' || step || ' ' || (max(ms) - min(ms)) || ' ms' FROM e
		WHERE step IS NOT NULL GROUP BY step ORDER BY min(seq)" | paste -s -d ,)"
}
