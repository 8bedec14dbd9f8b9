# shellcheck shell=bash
# Rows about graphs: steps a second, latency, the scheduler, makespan.

seed=1

# make_graph SHAPE N: g.ninja, g.make
make_graph() {
	need ninja ninja-build
	need make make
	"$tools/graphgen" "$1" "$2" $seed ninja >g.ninja
	"$tools/graphgen" "$1" "$2" $seed make >g.make
}

# Quiet, and make without the search for built-in rules: both at their best.
before_run_ninja() { rm -f .ninja_log .ninja_deps; }
run_ninja() { ninja --quiet -f g.ninja "-j$1" >/dev/null || die "ninja failed"; }
run_make() { make -r -s -f g.make "-j$1" >/dev/null || die "make failed"; }

# run_graph JOBS: g.conf, with a durable journal
run_graph() { resite_run state --jobs "$1" g.conf g; }
run_graph_default() { resite_run state g.conf g; }

# try_jobs: once each, only told
try_jobs() {
	local jobs began told=''
	for jobs in 4 8 16 32 64; do
		began=$(now_us)
		run_graph $jobs
		told+=" $jobs: $(seconds $(($(now_us) - began))) s;"
	done
	note "resite --jobs, once each:$told the rounds above use the default"
}

against_peers() {
	turns resite=run_graph_default make-j2="run_make 2" make-j8="run_make 8" ninja-j2="run_ninja 2" \
		ninja-j8="run_ninja 8"
	# In a chain there is never more than one.
	[[ $1 == chain ]] || try_jobs
	note "$(journal state "SELECT count(*) || ' events, ' || (sum(length(body)) / 1000) || ' kB' FROM event") in the journal; $n steps"
}

# graph_row SHAPE PLUGIN
graph_row() {
	n=$(small 10000)
	make_graph "$1" "$n"
	"$tools/graphgen" "$1" "$n" $seed plan "does = \"$2.noop\";" >g.conf
	against_peers "$1"
	if [[ $1 == chain ]]; then
		goal_ratio "as fast as ninja" 1.0 ninja-j2,ninja-j8 resite
	else
		goal_ratio "as fast as make and ninja" 1.0 make-j2,make-j8,ninja-j2,ninja-j8 resite
		goal_ratio "twice as fast as ninja" 2.0 ninja-j2,ninja-j8 resite
	fi
}

row_graph_wide() { graph_row wide noop; }
row_graph_layered() { graph_row layered noop; }
row_graph_chain() { graph_row chain noop; }
row_graph_wide_fat() { graph_row wide fatnoop; }
row_graph_layered_fat() { graph_row layered fatnoop; }

row_exec() {
	n=$(small 10000)
	make_graph wide "$n"
	"$tools/graphgen" wide "$n" $seed plan 'does = "exec.run"; with = { apply = ["/bin/true"]; };' >g.conf
	turns resite=run_graph_default ninja-j2="run_ninja 2" ninja-j8="run_ninja 8"
	goal_ratio "half as fast as ninja" 0.5 ninja-j2,ninja-j8 resite
}

# latency_of SHAPE: each step tells by the monotonic clock when its apply began and ended;
# a step's wait is from the end of the last one it comes after to its own beginning, so it
# has all in it: the end of a process, two commits of the journal, the start of a process.
latency_of() {
	"$tools/graphgen" "$1" "$n" $seed plan 'does = "noop.stamp";' >g.conf
	"$tools/graphgen" "$1" "$n" $seed edges >edges
	took=''
	resite_run state g.conf g
	journal state "SELECT step, json_extract(body, '\$.name'), json_extract(body, '\$.value') FROM e
		WHERE kind = 'attempt.output'" >stamps
	awk '
		FILENAME == "stamps" { t[$1, $2] = $3; next }
		{ if (t[$2, "ended"] > last[$1]) last[$1] = t[$2, "ended"] }
		END { for (s in last) printf "%.3f\n", (t[s, "began"] - last[s]) / 1e6 }' stamps edges |
		sort -n >waits
	value "$1-p50" ms "$(sed -n "$(($(wc -l <waits) * 50 / 100))p" waits)"
	value "$1-p99" ms "$(sed -n "$(($(wc -l <waits) * 99 / 100))p" waits)"
	value "$1-max" ms "$(tail -n 1 waits)"
}

row_latency() {
	n=$(small 10000)
	turns chain="latency_of chain" lanes="latency_of lanes"
	goal "chain: p99 in ms" "<=" 10 chain-p99
	goal "16 chains side by side: p99 in ms" "<=" 10 lanes-p99
	note "with 16 chains on $(nproc) CPUs the wait for a CPU is in it; chain has the pure cost of a link"
}

check_big() { loudly "$resite" check --state state big.conf; }

row_scheduler() {
	local json
	n=$(small 100000)
	for ((round = 1; round <= rounds; round++)); do
		wait_idle
		json=$("$tools/sched_bench" "$n" 32)
		value transitions 1/s "$(jq_number "$json" transitions_per_s)"
		value counted B/step "$(jq_number "$json" bytes_per_step)"
		value resident B/step "$(jq_number "$json" resident_per_step)"
	done
	"$tools/graphgen" layered "$n" $seed plan 'does = "noop.noop";' >big.conf
	turns check=check_big
	/usr/bin/env time -f %M -o rss "$resite" check --state state big.conf >/dev/null 2>&1 || die "check failed"
	value check-peak MiB "$(awk '{ printf "%.1f", $1 / 1024 }' rss)"
	goal "transitions a second" ">=" 500000 transitions
	goal "bytes a step, counted" "<=" 1024 counted
	goal "bytes a step, resident" "<=" 1024 resident
	goal "check of $n steps, s" "<=" 1 check
}

# The number called $2 in the flat JSON object $1.
jq_number() {
	sed -n "s/.*\"$2\": *\([0-9.]*\).*/\1/p" <<<"$1"
}

# makespan_of MIN MAX JOBS: sleeps of MIN to MAX ms, at most JOBS at once, for the first time
makespan_of() {
	"$tools/graphgen" layered "$n" $seed naps "$1" "$2" >g.conf
	resite_run state --jobs "$3" g.conf g
	makespan_of_last
}

# again MIN MAX JOBS: once more, with what each step took the first time
again() {
	resite_run_again state --jobs "$3" g.conf g
	makespan_of_last
}

makespan_of_last() {
	took=$(journal state "SELECT (max(ms) - min(ms)) / 1000.0 FROM e
		WHERE kind LIKE 'attempt.%' AND run = (SELECT max(run) FROM e)")
}

row_makespan() {
	local bound
	n=$(small 1000)
	turns first-50-500ms-16="makespan_of 50 500 16" naps-50-500ms-16="again 50 500 16" \
		first-5-50ms-16="makespan_of 5 50 16" naps-5-50ms-16="again 5 50 16"
	for bound in "50 500" "5 50"; do
		# shellcheck disable=SC2086
		value "bound-${bound// /-}ms-16" s "$(awk '{ print $1 / 1000 }' < <("$tools/graphgen" layered "$n" $seed bound $bound 16))"
	done
	ratio_to_bound 50-500ms-16
	ratio_to_bound 5-50ms-16
	note "first: nothing is known of how long the steps will take; then as any later run, with what they took"
	goal "sleeps of 50-500 ms: time / lower bound" "<=" 1.05 over-50-500ms-16
	goal "sleeps of 5-50 ms: time / lower bound" "<=" 1.05 over-5-50ms-16
}

ratio_to_bound() {
	local line
	while read -r line; do
		value "over-$1" x "$line"
	done < <(awk -F '\t' -v row="$row" -v s="$1" '
		$1 == row && $3 == "bound-" s { b = $5 }
		$1 == row && $3 == "naps-" s { t[++k] = $5 }
		END { for (i = 1; i <= k; i++) print t[i] / b }' "$samples")
}
