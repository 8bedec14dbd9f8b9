#!/bin/bash
# A failover of 5,000 users, DNS and a command is undone: the directory and the zone are
# again what they were, to the byte. What somebody else has changed since is listed and
# left alone. An undo that is killed is resumed and does the rest. What an undo cannot or
# may not do is refused with what to do instead.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 ldapsearch ldapmodify ldapdelete dig
for plugin in ldap-homing dns-nsupdate contacts health exec; do
	[[ -e $build/modules/$plugin.so ]] || {
		echo "skipped: the plugin $plugin is not built"
		exit 77
	}
done
users=${RESITE_TEST_USERS:-5000}
start_lab "$users"
printf 'sip:u00001@%s\n' "$LAB_DOMAIN" >"$work/users"

cat >"$plan" <<EOF2
format = 1;
name = "undo";
@include "lab/sites.inc"
secrets: { bind = { file = "$LAB_BIND_PASSWORD_FILE"; }; tsig = { file = "$LAB_TSIG_KEY_FILE"; }; };
runbooks: { move: { steps = (
  { name = "look"; does = "health.tcp"; with = { endpoint = "${LAB_DR_LDAP#ldap://}"; }; },
  { name = "lists"; does = "contacts.export"; with = { server = "$LAB_PRIMARY_XCAP";
    users_file = "$work/users"; vault = "$LAB_VAULT"; name = "lists"; site = "x"; }; },
  { name = "users"; does = "ldap-homing.move"; after = ["look"]; timeout = "1m";
    with = { server = "$LAB_DR_LDAPS"; ca_file = "$LAB_CA_FILE"; base = "ou=Staff,$LAB_SUFFIX"; from = "$LAB_PRIMARY_POOL";
             to = "$LAB_DR_POOL"; bind_dn = "$LAB_BIND_DN"; password = "\${secret.bind}"; }; },
  { name = "dns"; does = "dns-nsupdate.set"; after = ["users"];
    with = { server = "$LAB_DNS_SERVER"; zone = "$LAB_DOMAIN."; key = "\${secret.tsig}";
             record = ["undo 60 A 127.2.9.1", "undo2 60 A 127.2.9.2"]; }; },
  { name = "switch"; does = "exec.run"; after = ["dns"]; point_of_no_return = true;
    with = { apply = ["$work/switch", "b"]; revert = ["$work/switch", "a"]; }; } ); }; };
EOF2
cat >"$work/switch" <<'EOS'
#!/bin/sh
echo "$1" >>"$(dirname "$0")/switched"
EOS
chmod 755 "$work/switch"

ldap() {
	"$1" -x -D "$LAB_BIND_DN" -y "$LAB_BIND_PASSWORD_FILE" -H "$LAB_DR_LDAP" "${@:2}"
}
# All of the directory's users; the order of an entry's attributes means nothing.
directory() {
	ldap ldapsearch -LLL -o ldif-wrap=no -b "ou=Staff,$LAB_SUFFIX" -E pr=1000/noprompt |
		awk '/^dn:/{dn = $0} /^[^#]/{print dn "|" $0}' | LC_ALL=C sort
}
zone() {
	dig +noall +answer +norec "@$LAB_DNS_HOST" -p "$LAB_DNS_PORT" \
		"undo.$LAB_DOMAIN" A "undo2.$LAB_DOMAIN" A
}
homed() {
	ldap ldapsearch -LLL -b "ou=Staff,$LAB_SUFFIX" -E pr=1000/noprompt \
		"(msRTCSIP-PrimaryHomeServer=$1)" 1.1 | grep -c '^dn:'
}
set_home() {
	ldap ldapmodify <<EOF2
dn: $1
changetype: modify
replace: msRTCSIP-PrimaryHomeServer
msRTCSIP-PrimaryHomeServer: $2
EOF2
}
dn_of() {
	ldap ldapsearch -LLL -o ldif-wrap=no -b "ou=Staff,$LAB_SUFFIX" \
		"(msRTCSIP-PrimaryUserAddress=sip:$1@$LAB_DOMAIN)" 1.1 |
		awk '/^dn: /{print substr($0, 5)} /^dn:: /{print substr($0, 6) | "base64 -d"}'
}
move() {
	exits 0 "$1" run "$plan" move
	origin=$(last_run)
}

directory >"$work/before"
zone >"$work/zone.before"
same "everybody is at the first site" "$users" "$(homed "$LAB_PRIMARY_POOL")"

# --- there and back ---
move "the failover is done"
same "everybody is at the second site" "$users" "$(homed "$LAB_DR_POOL")"
exits 1 "a point of no return that was passed is refused" undo "$origin"
says "it is named" "step switch is a point of no return that was passed"
says "and what can be undone without" "--only users,dns"
exits 2 "to pass it a reason is wanted" undo "$origin" --past-no-return
exits 2 "a step that is not there is refused" undo "$origin" --only users,nosuch
says "by its name" "the run has no step 'nosuch'"
exits 0 "a preview looks" undo "$origin" --preview
says "it counts" "$users of $users would be put back, 0 already as before, 0 conflicts"
says "it says what an action that reads does" "look                 passed over: only reads"
says "it says what an action that moves data does" "what it brought stays there"
same "and changes nothing" "$users" "$(homed "$LAB_DR_POOL")"
exits 0 "a preview is JSON, too" undo "$origin" --preview --json
check "(one object)" valid_json "$work/out"
exits 0 "the whole is undone" undo "$origin" --past-no-return --reason "drill is over"
# slapd spells the names in a DN its own way once it is written: "cn=" for "CN=".
directory >"$work/after"
same "the directory is what it was" "" "$(diff -i "$work/before" "$work/after" | head -n 5)"
mv "$work/after" "$work/before"
zone >"$work/zone.after"
check "the zone is what it was" cmp "$work/zone.before" "$work/zone.after"
same "the command was told to put back" "b a" "$(tr '\n' ' ' <"$work/switched" | sed 's/ $//')"
same "the order is turned round" "switch dns users" \
	"$(journal "select json_extract(body, '\$.step') from event
		where id >> 36 = (select max(no) from run)
		and json_extract(body, '\$.kind') = 'attempt.started' order by id" | tr '\n' ' ' | sed 's/ $//')"
same "the reason is in the journal" "drill is over 1" "$(journal "select json_extract(body, '\$.reason')
	|| ' ' || json_extract(body, '\$.past_no_return') from event where id >> 36 = (select max(no) from run)
	and json_extract(body, '\$.kind') = 'run.started'")"
undo=$(last_run)
exits 0 "the undo's status" status
says "counts" "$users put back, 0 already as before, 0 conflicts"
says "says what it is" "undo of move of plan undo"
exits 0 "and its journal verifies" verify
exits 1 "what was undone is not undone again" undo "$origin" --past-no-return --reason "again"
says "it says by which run it was" "was undone already, by run $undo"
exits 1 "an undo is not undone" undo "$undo"
says "it says what to do instead" "resite run PLAN move --from"

# --- conflicts ---
move "the failover is done again"
third="CN=3:1,${LAB_PRIMARY_POOL#*,}"
changed=$(dn_of u00017) gone=$(dn_of u00018) back=$(dn_of u00019)
set_home "$changed" "$third" >/dev/null
set_home "$back" "$LAB_PRIMARY_POOL" >/dev/null
ldapdelete -x -D "$LAB_ADMIN_DN" -y "$LAB_ADMIN_PASSWORD_FILE" -H "$LAB_DR_LDAP" "$gone" || fail "(a user is deleted)"
exits 1 "a preview with conflicts says so" undo "$origin" --preview --only users
says "it counts them" "$((users - 3)) of $users would be put back, 1 already as before, 2 conflicts"
says "it names them with was, set" ", set to $LAB_DR_POOL,"
says "and now" "now cn=3:1,"
exits 1 "the undo leaves them alone" undo "$origin" --only users,dns
says "it counts them, too" "$((users - 3)) put back, 1 already as before, 2 conflicts"
says "it names them" "left alone: $changed"
says "and one that is gone" "now gone"
says "it says what to type" "resite undo $origin --only users --diverged restore --reason '...'"
same "the changed one is as somebody else has set it" 1 "$(homed "$third")"
exits 0 "status of the undo" status --json
same "has the conflicts, too" "conflicts 2 conflict gone" "$(sqlite3 :memory: "
	with s as (select readfile('$work/out') j)
	select json_extract(j, '\$.status') || ' ' || json_extract(j, '\$.conflicts') || ' ' ||
	(select group_concat(r, ' ') from (select json_extract(c.value, '\$.result') r
	from json_each(j, '\$.steps') t, json_each(t.value, '\$.conflict') c order by r)) from s")"
set_home "$changed" "$LAB_PRIMARY_POOL" >/dev/null
exits 1 "run again when one was mended, the other is left" undo "$origin" --only users
says "what was put back is as before" "0 put back, $((users - 1)) already as before, 1 conflicts"
set_home "$changed" "$third" >/dev/null
exits 2 "to overwrite needs a reason" undo "$origin" --only users --diverged restore
exits 1 "what was changed since can be overwritten" undo "$origin" --only users --diverged restore \
	--reason "it was a mistake"
says "it is put back" "1 put back, $((users - 2)) already as before, 1 conflicts"
same "everybody who is there is at the first site" "$((users - 1))" "$(homed "$LAB_PRIMARY_POOL")"
grep -vF "dn: $gone|" "$work/before" >"$work/wanted"
directory >"$work/after"
check "the directory is what it was, but for who was deleted" cmp "$work/wanted" "$work/after"

# --- killed in the middle ---
# So many batches of users were told to be put back.
has_put_back() {
	[[ $(last_run) != "$origin" ]] &&
		(($(events attempt.reverted "json_extract(body, '\$.step') = 'users'") >= $1))
}
for ((round = 1; round <= 3; round++)); do
	move "round $round: the failover is done"
	launch undo "$origin" --only users,dns
	soon has_put_back "$round"
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	restarted dr
	undo=$(last_run)
	some=$(homed "$LAB_PRIMARY_POOL")
	if [[ $(events run.ended) == 0 ]]; then
		exits 1 "round $round: a second undo is refused" undo "$origin" --only users
		says "it says how to go on" "resite resume $undo"
		exits 1 "round $round: the origin is not resumed" resume "$origin"
		exits 0 "round $round ($some of $((users - 1)) were back): resume does the rest" resume "$undo"
	else
		echo "     (the undo was faster than the kill)"
	fi
	directory >"$work/after"
	check "round $round: the directory is what it was" cmp "$work/wanted" "$work/after"
	zone >"$work/zone.after"
	check "round $round: so is the zone" cmp "$work/zone.before" "$work/zone.after"
	same "round $round: nobody was a conflict" 0 "$(journal "select
		sum(json_array_length(body, '\$.conflicts')) from event
		where id >> 36 = (select max(no) from run) and json_extract(body, '\$.kind') = 'attempt.reverted'")"
	no_process_left "round $round: no process is left"
done

# --- a run that has not ended ---
sed 's/@include/# &/; s/name = "undo"/name = "half"/' "$plan" >"$work/half.conf"
cat >"$work/half.conf" <<EOF2
format = 1;
name = "half";
@include "lab/sites.inc"
runbooks: { move: { steps = (
  { name = "first"; does = "exec.run"; with = { apply = ["$work/switch", "b"]; revert = ["$work/switch", "a"]; }; },
  { name = "bad"; does = "exec.run"; after = ["first"]; with = { apply = ["/bin/false"]; }; },
  { name = "last"; does = "exec.run"; after = ["bad"]; with = { apply = ["/bin/true"]; }; } ); }; };
EOF2
exits 3 "a run pauses half way" run "$work/half.conf" move
origin=$(last_run)
exits 0 "it is undone" undo "$origin" --json
exits 0 "it is ended by that" status "$origin"
says "and says so" "run $origin: undone"
exits 1 "nobody goes on with it" resume "$origin"
cat >"$work/slow.conf" <<EOF2
format = 1;
name = "slow";
@include "lab/sites.inc"
runbooks: { move: { steps = ( { name = "slow"; does = "exec.run";
	with = { apply = ["/bin/sleep", "30"]; revert = ["/bin/true"]; }; } ); }; };
EOF2
launch run "$work/slow.conf" move
is_slow() { [[ $(events attempt.undo) == 1 ]]; }
soon is_slow
slow=$pid origin=$(last_run)
exits 1 "a run under way is not undone" undo "$origin"
says "it names the process" "(process $slow)"
says "and how to stop it" "resite stop $origin --reason"
kill -INT "$slow"
kill -INT "$slow"
wait "$slow" 2>/dev/null
exits 2 "a run that is not there is refused" undo nosuchrun
origin=$(last_run)
sqlite3 "$RESITE_STATE/journal.db" "update event set body = replace(body, 'slow', 'flow')
	where id >> 36 = (select max(no) from run) and id & 0xfffffffff = 2"
exits 1 "a run whose journal was altered is not undone" undo "$origin"
says "it names the event" "event 2"
finish
