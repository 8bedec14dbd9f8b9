#!/bin/bash
# There and back: users are moved in a disaster, the first site comes back, and a failback
# puts each user where he was and carries today's contact lists. What somebody else has
# changed, deleted or created since is reported before anything is done, by name. A
# failback that is killed is resumed. What has no way back is refused with what to do.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 ldapsearch ldapmodify ldapdelete ldapadd curl
for plugin in ldap-homing dns-nsupdate contacts health; do
	[[ -e $build/modules/$plugin.so ]] || {
		echo "skipped: the plugin $plugin is not built"
		exit 77
	}
done
users=${RESITE_TEST_USERS:-1000}
start_lab "$users"
export RESITE_LAB=$work/lab
# The report reads every list, so that it can name those that differ.
sed 's/lab-run/lab/; s/max_age = "26h";/& probe_sample = 1000000;/' "$root/examples/small/small.conf" >"$plan"

ldap() {
	"$1" -x -D "$LAB_BIND_DN" -y "$LAB_BIND_PASSWORD_FILE" -H "$LAB_DR_LDAP" "${@:2}"
}
admin() {
	"$1" -x -D "$LAB_ADMIN_DN" -y "$LAB_ADMIN_PASSWORD_FILE" -H "$LAB_DR_LDAP" "${@:2}"
}
homes() {
	ldap ldapsearch -LLL -o ldif-wrap=no -b "ou=Staff,$LAB_SUFFIX" -E pr=1000/noprompt \
		msRTCSIP-PrimaryHomeServer | awk '/^dn:/{dn = $0} /^msRTC/{sub(/^[^:]*: /, ""); print dn "|" $0}' |
		tr '[:upper:]' '[:lower:]' | LC_ALL=C sort
}
dn_of() {
	ldap ldapsearch -LLL -o ldif-wrap=no -b "ou=Staff,$LAB_SUFFIX" \
		"(msRTCSIP-PrimaryUserAddress=sip:$1@$LAB_DOMAIN)" 1.1 |
		awk '/^dn: /{print substr($0, 5)} /^dn:: /{print substr($0, 6) | "base64 -d"}'
}
set_home() {
	ldap ldapmodify >/dev/null <<EOF
dn: $1
changetype: modify
replace: msRTCSIP-PrimaryHomeServer
msRTCSIP-PrimaryHomeServer: $2
EOF
}
list_url() {
	echo "$1/resource-lists/users/sip:$2@$LAB_DOMAIN/index"
}
lists() {
	local n
	for ((n = 1; n <= users; n += users / 20)); do
		curl -sf "$(list_url "$1" "$(printf 'u%05d' "$n")")" || echo none
	done | sha256sum
}
change_list() {
	curl -sf "$(list_url "$LAB_DR_XCAP" "$1")" |
		sed 's|</display-name>| (changed)</display-name>|' >"$work/list"
	curl -sf -X PUT -H 'Content-Type: application/resource-lists+xml' --data-binary "@$work/list" \
		"$(list_url "$LAB_DR_XCAP" "$1")" >/dev/null
}
# with N of the report's objects of STEP that are of KIND.
reported() {
	sqlite3 :memory: "select json_extract(c.value, '\$.object') from
		json_each(readfile('$1'), '\$.steps') s, json_each(s.value, '\$.$3') c
		where json_extract(s.value, '\$.name') = '$2' ${4:-}"
}

homes >"$work/homes.before"
exits 0 "the lists of the first site are kept" run "$plan" protect --from primary --to dr -q
exits 0 "a rehearsal is done" run "$plan" move --mode rehearsal -q
exits 1 "from a rehearsal there is no way back" failback last
says "says why" "is a rehearsal"
"$root/lab/lab" --dir "$work/lab" lose primary >/dev/null
exits 0 "the failover is done" run "$plan" move --mode disaster -q
origin=$(journal "select name from run order by no desc limit 1")
"$root/lab/lab" --dir "$work/lab" restore primary >/dev/null

echo "# what has no way back"
exits 2 "a run that is not there" failback nosuchrun
exits 2 "a word that is none" failback "$origin" --diverged sideways
exits 2 "to overwrite needs a reason" failback "$origin" --diverged restore

echo "# nothing has diverged"
exits 0 "a report on nothing" failback "$origin" --preview
says "says so" "nothing has diverged since run $origin"
says "counts the way back" "$users of $users would be put back, 0 already as before, 0 conflicts"
says "knows the lists only after the export" "known in the run, after step export"

echo "# what others have done since"
third="CN=3:1,${LAB_PRIMARY_POOL#*,}"
changed=$(dn_of u00017) gone=$(dn_of u00018)
set_home "$changed" "$third"
admin ldapdelete "$gone" || fail "(a user is deleted)"
ldap ldapsearch -LLL -o ldif-wrap=no -b "$(dn_of u00019)" -s base |
	sed "s/u00019/u99999/g; s/^cn: .*/cn: New User/; /^dn::/d" >"$work/new.ldif"
admin ldapadd >/dev/null <"$work/new.ldif" || fail "(a user is created)" "$(<"$work/new.ldif")"
created=$(dn_of u99999)
for u in u00001 u00101 u00201; do
	change_list "$u"
done
exits 0 "the lists of the second site are kept" run "$plan" protect --from dr --to primary -q
lists "$LAB_DR_XCAP" >"$work/lists.dr"
exits 1 "the report" failback "$origin" --preview --json
cp "$work/out" "$work/report.json"
same "names who was moved by somebody else, and who is gone" "$(printf '%s\n' "$changed" "$gone" | LC_ALL=C sort)" \
	"$(reported "$work/report.json" users conflicts | LC_ALL=C sort)"
same "the one who is gone as gone" "$gone" "$(reported "$work/report.json" users conflicts \
	"and json_extract(c.value, '\$.result') = 'gone'")"
same "who was created" "$created" "$(reported "$work/report.json" users created)"
same "whose lists were changed" "$(printf 'sip:%s\n' "u00001@$LAB_DOMAIN" "u00101@$LAB_DOMAIN" "u00201@$LAB_DOMAIN")" \
	"$(reported "$work/report.json" contacts change | LC_ALL=C sort)"
exits 1 "the report for people" failback "$origin" --preview
says "says what was changed" "diverged: $changed"
says "to what" "now cn=3:1,"
says "and what is gone" "now gone"
says "and what was created" "created since: $created"
says "and sums up" "1 changed by somebody else, 1 gone, 1 created"
says "what leave means" "--diverged leave    what was changed stays as it is now"
says "what restore means" "the one of today is lost"
exits 1 "it can be kept in a file" failback "$origin" --preview -o "$work/report"
check "with every object" test "$(reported "$work/report" users change | wc -l)" = $((users - 2))
same "nothing was done" 0 "$(journal "select count(*) from run where name like '%failback%'")"
exits 1 "it does not start before somebody has said what to do" failback "$origin"
says "and says so" "resite failback $origin --diverged leave, or restore --reason '...'"

echo "# back, with a kill on the way"
launch failback "$origin" --diverged leave
is_reverting() {
	[[ $(last_run) == *failback* ]] && [[ $(events attempt.started "json_extract(body, '\$.step') = 'users'") != 0 ]]
}
soon is_reverting
kill -KILL "$pid" 2>/dev/null
wait "$pid" 2>/dev/null
restarted dr
back=$(last_run)
if [[ $(events run.ended) == 0 ]]; then
	exits 1 "a second failback is refused" failback "$origin" --diverged leave
	says "and says how to go on" "resite resume $back"
	exits 0 "resume does the rest" resume "$back"
fi
exits 0 "its status" status "$back"
says "says what it is" "failback of $origin: move of plan small, dr -> primary"
says "and that it is done" "run $back: done"
says "and whom it has left alone" "left alone: $changed"
exits 0 "the history" history
says "names way and origin" "failback of $origin"
exits 0 "the journal verifies" verify "$back"
same "users are put back, not moved" "revert" "$(journal "select distinct json_extract(body, '\$.intent') from event
	where id >> 36 = (select max(no) from run) and json_extract(body, '\$.kind') = 'attempt.started'
	and json_extract(body, '\$.step') = 'users'")"
same "in the order of the runbook" "target-up export" "$(journal "select json_extract(body, '\$.step') from event
	where id >> 36 = (select max(no) from run) and json_extract(body, '\$.kind') = 'attempt.started'
	and json_extract(body, '\$.step') in ('target-up', 'export') order by id" | uniq | head -n 2 | tr '\n' ' ' | sed 's/ $//')"
lower() { printf '%s' "$1" | tr '[:upper:]' '[:lower:]'; }
homes >"$work/homes.after"
grep -vF -e "$(lower "dn: $gone|")" -e "$(lower "dn: $changed|")" "$work/homes.before" >"$work/wanted"
grep -vF -e "$(lower "dn: $created|")" -e "$(lower "dn: $changed|")" "$work/homes.after" >"$work/got"
same "everyone else is where he was" "" "$(diff "$work/wanted" "$work/got" | head -n 5)"
check "the changed one is where somebody else has put him" grep -qF "$(lower "dn: $changed|$third")" "$work/homes.after"
check "the created one has stayed" grep -qF "$(lower "dn: $created|$LAB_DR_POOL")" "$work/homes.after"
same "the lists are those of the second site as changed" "$(<"$work/lists.dr")" "$(lists "$LAB_PRIMARY_XCAP")"
check "users sign in at the first site" "$root/lab/sign-in" --dir "$work/lab" u00001 u00097
no_process_left "no process is left"

echo "# what has no way back"
exits 1 "a run that was turned round" failback "$origin"
says "names by what" "was turned round already, by run $back"
exits 1 "a failback" failback "$back"
says "and says what to do" "run the runbook again instead (resite run PLAN move --from primary --to dr)"
exits 1 "an undo of a failback" undo "$back"
cat >"$work/half.conf" <<EOF
format = 1;
name = "half";
@include "lab/sites.inc"
runbooks: { move: { steps = (
  { name = "gate"; does = "core.approve"; with = { question = "Go on?"; }; } ); }; };
EOF
exits 3 "a run pauses" run "$work/half.conf" move
half=$(last_run)
exits 1 "a run that is not done" failback "$half"
says "says how to finish it or take it back" "resite resume $half finishes it, resite undo $half takes it back"
exits 0 "it is given up" abandon "$half" --reason "test"
exits 1 "a run that was given up" failback "$half"
says "says as what it ended" "has ended as abandoned"
sqlite3 "$RESITE_STATE/journal.db" "update event set body = replace(body, 'kind', 'kinD')
	where id >> 36 = (select no from run where name = '$origin') and id & 0xfffffffff = 3"
exits 1 "a run whose journal was altered" failback "$origin"
says "names the event" "event 3"
finish
