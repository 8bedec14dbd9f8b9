# shellcheck shell=bash
# Measuring: runs in turn, on idle CPUs as far as that is possible, and what was seen is
# kept as lines of TAB-separated words in $samples (read by report.awk).

die() {
	printf 'bench: %s\n' "$*" >&2
	exit 1
}

# record KIND WORD...: a line about the row under way
record() {
	local line=$row word
	for word; do line+=$'\t'$word; done
	printf '%s\n' "$line" >>"$samples"
}

# value SERIES UNIT NUMBER: one measured value, of the current round
value() {
	record sample "$1" "$2" "$3" "${round:-0}" "${idle:--}"
}

note() {
	record note "$*"
}

# goal_ratio TEXT MIN NUM[,NUM…] DEN: NUM / DEN, round by round, the median of it must be
# at least MIN; of several NUM the one with the least median counts (times: the fastest peer)
goal_ratio() {
	record goal "$1" ratio ">=" "$2" "$3" "$4"
}

# goal TEXT OP BOUND SERIES: the median of SERIES must be OP BOUND (>= or <=)
goal() {
	record goal "$1" value "$2" "$3" "$4" -
}

# worst_of SERIES: the greatest value of this row's so far; nothing when it has none
worst_of() {
	awk -F '\t' -v r="$row" -v s="$1" '$1 == r && $2 == "sample" && $3 == s && (!seen++ || $5 + 0 > m) { m = $5 + 0 }
		END { if (seen) print m }' "$samples"
}

cpu_times() {
	local user nice system idle_time iowait rest
	read -r _ user nice system idle_time iowait rest </proc/stat
	echo "$((user + nice + system + idle_time + iowait)) $((idle_time + iowait))"
}

# Waits until the CPUs were idle for half a second, at most --patience; sets idle (per cent).
wait_idle() {
	local before after tries
	for ((tries = 0; tries < 2 * patience; tries++)); do
		read -r -a before < <(cpu_times)
		sleep 0.5
		read -r -a after < <(cpu_times)
		idle=$((100 * (after[1] - before[1]) / (after[0] - before[0])))
		((idle < 88)) || break
	done
}

now_us() {
	echo "${EPOCHREALTIME/./}"
}

# seconds MICROSECONDS
seconds() {
	printf '%d.%06d' $(($1 / 1000000)) $(($1 % 1000000))
}

# turns SERIES=FUNCTION…: each in turn, $rounds times over.  The time of a function is its
# wall time, unless it sets `took` (seconds).  before_FUNCTION and after_FUNCTION, where there
# are such functions, run before and after it, unmeasured.
turns() {
	local pair series function began
	for ((round = 1; round <= rounds; round++)); do
		for pair; do
			series=${pair%%=*} function=${pair#*=} took=''
			! declare -F "before_${function%% *}" >/dev/null || "before_${function%% *}"
			wait_idle
			began=$(now_us)
			$function
			[[ $took ]] || took=$(seconds $(($(now_us) - began)))
			value "$series" s "$took"
			printf '   %d %-24s %s s\n' "$round" "$series" "$took"
			! declare -F "after_${function%% *}" >/dev/null || "after_${function%% *}"
		done
	done
	round=0
}

# loudly COMMAND…: its output is shown only if it fails
loudly() {
	local log=$work/last.log
	"$@" >"$log" 2>&1 || die "$* failed: $(tail -n 5 "$log")"
}

# later COMMAND: to be run when the row ends, the last one first
later() {
	clean_up=("$*" "${clean_up[@]}")
}

at_end() {
	local command
	for command in "${clean_up[@]}"; do
		eval "$command" || true
	done
}

# small N: N, or a tenth of it with --quick
small() {
	if [[ $quick ]]; then echo $(($1 / 10)); else echo "$1"; fi
}

# need PROGRAM PACKAGE
need() {
	command -v "$1" >/dev/null || die "$1 not found (apt-get install $2)"
}
