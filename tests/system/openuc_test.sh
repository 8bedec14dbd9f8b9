#!/bin/bash
# The whole of a site, as in ./demo but small: every workload of examples/open-uc is backed up,
# rehearsed, moved when the site is lost, killed on the way, and brought back.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 haproxy prosody curl
for plugin in contacts dns-nsupdate edge-nexthop groupchat health ldap-homing response-groups vault; do
	[[ -e $build/modules/$plugin.so ]] || {
		echo "skipped: the plugin $plugin is not built"
		exit 77
	}
done
export RESITE_LAB_MESSAGES=500 RESITE_LAB_ROOMS=5
# As the plan itself says.
parts=$(sed -n 's/.*lab --with \([a-z,]*\)).*/\1/p' "$root/examples/open-uc/open-uc.conf")
start_lab 100 --with "$parts"
sed 's|lab-run/|lab/|' "$root/examples/open-uc/open-uc.conf" >"$plan"

# count SITE DATABASE TABLE
count() {
	local server=LAB_${1^^}_POSTGRES
	server=${!server}
	PGPASSWORD=$(<"$LAB_POSTGRES_LAB_PASSWORD_FILE") psql -h "${server%:*}" -p "${server##*:}" \
		-U lab -Atc "SELECT count(*) FROM $3" "$2" 2>&1
}

web() { curl -s -m 5 -H "Host: $1.$LAB_DOMAIN" "$LAB_WEB_URL"; }

# all_at SITE: as those who use it see it.
all_at() {
	local name
	check "users sign in at $1" "$root/lab/sign-in" --dir "$work/lab" u00001 u00050 u00097 u00100
	for name in meet dialin admin; do
		same "$name is answered at $1" "$1" "$(web $name)"
	done
	same "all response groups are at $1" 48 "$(count "$1" rgs rgs.agent_groups)"
	same "all messages of group chat are at $1" 500 "$(count "$1" chat prosodyarchive)"
}

exits 0 "it is a plan" check "$plan"
exits 0 "a night's protection" run "$plan" protect
exits 0 "it would work tonight" run "$plan" ready
exits 0 "and fast" run "$plan" lower-ttl
exits 0 "a rehearsal" rehearse "$plan" move
says "which leaves nothing" "zero residue"
all_at primary

check "(primary is lost)" "$root/lab/lab" --dir "$work/lab" lose primary
decided() {
	sqlite3 "$RESITE_STATE/journal.db" "SELECT count(*) FROM event WHERE body LIKE '%attempt.probed%'"
}
before=$(decided)
launch run "$plan" move --mode disaster
moved() { (($(decided) >= before + 4)); }
soon moved
kill -KILL "$pid" 2>/dev/null
wait "$pid" 2>/dev/null
restarted dr
exits 0 "the move, killed on the way and resumed" resume last
for workload in im contacts response-groups external groupchat; do
	says "says when $workload was back" "$workload "
done
says_not "all of it is" "not back"
all_at dr
exits 0 "nothing is left to move" preview "$plan" move --mode disaster
says "not one change" "0 changes in all"

check "(primary is back)" "$root/lab/lab" --dir "$work/lab" restore primary
exits 0 "the way back" failback last
says "says when it was back" "back after"
says_not "all of it was" "not back"
all_at primary
finish
