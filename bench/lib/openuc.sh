# shellcheck shell=bash
# The row about everything: users, contact lists, response groups, group chat, edge, DNS.

pg() {
	local program=$1 site=$2
	shift 2
	local server=LAB_${site^^}_POSTGRES
	server=${!server}
	PGPASSWORD=$(<"$LAB_POSTGRES_LAB_PASSWORD_FILE") "$pg_bin/$program" -h "${server%:*}" -p "${server##*:}" -U lab "$@"
}

protected_lab() {
	"$top/lab/lab" down >/dev/null 2>&1 || true
	RESITE_LAB_MESSAGES=$messages loudly "$top/lab/lab" --users "$n" --with edge,chat,rgs,archive up
	# shellcheck source=/dev/null
	. "$RESITE_LAB/env"
	ln -sfn "$RESITE_LAB" lab-run
	cp "$top/examples/open-uc/open-uc.conf" plan.conf
	resite_run state.protect --from primary --to dr plan.conf protect
}

# A lab that is saved, twice: by resite into the vault, and as the playbook wants it.  Then its
# primary site is lost.
lose_everything() {
	protected_lab
	rm -rf lists && split_documents "$(echo "$LAB_VAULT"/contacts/*/documents.txt)" "$n" lists
	for list in lists/*; do
		printf 'next\nupload-file = "%s"\nheader = "Content-Type: application/resource-lists+xml"\noutput = /dev/null\nurl = "%s"\n' \
			"$PWD/$list" "$LAB_DR_XCAP/resource-lists/users/${list##*/}/index"
	done >lists.curl
	pg pg_dump primary -Fc -Z1 -f chat.dump chat
	pg pg_dump primary -Fc -Z1 -f rgs.dump rgs
	loudly "$top/lab/lab" lose primary
}

everything_is_there() {
	count_target "$n"
	signs_in
	[[ $(pg psql dr -Atc 'SELECT count(*) FROM prosodyarchive' chat) -ge $messages ]] || die "not all messages are there"
}

before_everything_by_resite() { lose_everything; }
everything_by_resite() { resite_run state --mode disaster plan.conf move; }
after_everything_by_resite() { everything_is_there; longest_path; }

before_everything_one_by_one() { lose_everything; }
everything_one_by_one() { resite_run state.single --jobs 1 --mode disaster plan.conf move; }
after_everything_one_by_one() { everything_is_there; }

before_everything_by_ansible() {
	lose_everything
	set -a
	# shellcheck source=/dev/null
	. "$RESITE_LAB/env"
	set +a
	sample=$(seq -f 'u%05g' 1 $((n / 20)) "$n" | paste -s -d ' ')
	jq -n 'env | with_entries(select(.key | startswith("LAB_")))' >variables.json
}
everything_by_ansible() {
	LC_ALL=C.UTF-8 ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3 ANSIBLE_LOCALHOST_WARNING=False \
		loudly ansible-playbook -i localhost, -e @variables.json -e "pg_bin=$pg_bin lists=$PWD/lists \
		rgs_dump=$PWD/rgs.dump chat_dump=$PWD/chat.dump sign_in=$top/lab/sign-in" -e "{\"sample\": \"$sample\"}" "$here/peers/move.yml"
}
after_everything_by_ansible() { everything_is_there; }

# The steps' own times along the graph: no order of them could be faster.
longest_path() {
	"$resite" graph --json --mode disaster plan.conf move >graph.json
	journal state "SELECT step, max(ms) - min(ms) FROM e WHERE step IS NOT NULL AND kind LIKE 'attempt.%' GROUP BY step" >took
	jq -r '.steps[] | [.name, (.after | join(" "))] | @tsv' graph.json |
		awk -F '\t' 'NR == FNR { ms[$1] = $2; next }
			{ n = split($2, before, " "); at = 0
			  for (i = 1; i <= n; i++) if (end[before[i]] > at) at = end[before[i]]
			  end[$1] = at + ms[$1]; if (end[$1] > most) most = end[$1] }
			END { print most }' took - >longest
	value longest-path s "$(seconds $(($(<longest) * 1000)))"
	value makespan s "$(seconds $((1000 * $(journal state 'SELECT max(ms) - min(ms) FROM e'))))"
	note "steps: $(sort -t $'\t' -k 2 -nr took | awk -F '\t' '{ printf "%s%s %.2f s", (NR > 1 ? ", " : ""), $1, $2 / 1000 }')"
}

site_of_everything() {
	n=$(small "$1") messages=$(small 1000000)
	export RESITE_LAB=$PWD/lab RESITE_LAB_GEN=$build/lab/gen/gen
	need socat socat
	need jq jq
	pg_bin=$(dirname "$(find /usr/lib/postgresql -name pg_restore | sort -V | tail -n 1)")
	later "'$top/lab/lab' down >/dev/null"
}

row_open_uc() {
	need ansible-playbook ansible-core
	site_of_everything 5000
	turns resite=everything_by_resite one-by-one=everything_one_by_one ansible=everything_by_ansible
	goal_ratio "makespan within a tenth of the longest path" 0.91 longest-path makespan
	goal_ratio "three times the same steps one after the other" 3 one-by-one resite
	goal_ratio "faster than the playbook" 1 ansible resite
	note "$n users, $messages messages; resite keeps undo records, verifies everything, and 20 users sign in; the playbook signs in $(wc -w <<<"$sample")"
}

# watched_move: the move in the background, its family's memory in a file
watched_move() {
	rm -rf state
	"$resite" run --state state -q --mode disaster plan.conf move >"$work/resite.out" 2>&1 </dev/null &
	watch_memory $! memory
	wait $! || die "resite run failed: $(tail -n 5 "$work/resite.out")"
}

# Of the workers that lived longest, by its PSS at the end less that in the middle of its life.
worker_growth() {
	awk '$2 == "worker" { n[$3]++; at[$3, n[$3]] = $5 }
		END { for (pid in n) if (n[pid] >= 25) { grown = at[pid, n[pid]] - at[pid, int((n[pid] + 1) / 2)]; if (grown > most) most = grown }
		      printf "%.1f", most / 1024 }' "$1"
}

before_everything_watched() {
	protected_lab
	loudly "$top/lab/lab" lose primary
}
everything_watched() { watched_move; }
after_everything_watched() {
	local who
	everything_is_there
	longest_path
	for who in core worker; do
		value "$who-peak" MiB "$(awk -v w=$who '$2 == w && $4 > max { max = $4 } END { printf "%.1f", max / 1024 }' memory)"
	done
	value core-growth MiB "$(growth core memory)"
	value worker-growth MiB "$(worker_growth memory)"
}

row_open_uc_mass() {
	site_of_everything 100000
	turns resite=everything_watched
	goal "under five minutes, in seconds" "<=" 300 resite
	goal "core, resident at its peak" "<=" 64 core-peak
	goal "greatest worker, resident at its peak" "<=" 64 worker-peak
	note "growth: proportional memory (PSS) at a process's end less that in the middle of its life, of workers the greatest that lived over five seconds"
	note "$n users, $messages messages; before each move the site is made and saved, then lost"
}
