#!/bin/bash
# A rehearsal towards a scratch pool and a scratch name, on the same servers: it is put back
# to the byte. What cannot be put back is listed. One that is killed is finished later; one
# whose workers are killed and stopped on the way comes to its end by its retries.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 ldapsearch dig
for plugin in ldap-homing dns-nsupdate exec; do
	[[ -e $build/modules/$plugin.so ]] || {
		echo "skipped: the plugin $plugin is not built"
		exit 77
	}
done
users=${RESITE_TEST_USERS:-2000}
start_lab "$users"
scratch=${LAB_PRIMARY_POOL/CN=1:1/CN=9:1}

cat >"$work/apply" <<'EOS'
#!/bin/sh
echo rehearsed >"$(dirname "$0")/left"
EOS
cat >"$work/probe" <<'EOS'
#!/bin/sh
cd "$(dirname "$0")" || exit 1
now=nothing
[ -e left ] && now=$(cat left)
[ "$now" = rehearsed ] && n=0 || n=1
[ $n = 0 ] || echo '{"change":{"object":"left","was":"nothing","will_be":"rehearsed"}}'
echo "{\"changes\":$n,\"total\":1,\"now\":\"$now\",\"fingerprint\":\"$now\"}"
EOS
cat >"$work/always" <<'EOS'
#!/bin/sh
echo '{"changes":1,"total":1,"now":"it is to be done","fingerprint":"x"}'
EOS
chmod 755 "$work/apply" "$work/probe" "$work/always"
# Without transactions: slapd 2.5.13 may crash when its client is killed amid one.
cat >"$plan" <<EOF2
format = 1;
name = "rehearse";
sites: { primary: { pool = "$LAB_PRIMARY_POOL"; networks = ["127.1.0.0/16"]; };
         scratch: { pool = "$scratch"; networks = ["127.9.0.0/16"]; }; };
secrets: { bind = { file = "$LAB_BIND_PASSWORD_FILE"; }; tsig = { file = "$LAB_TSIG_KEY_FILE"; }; };
runbooks: {
  move: { steps = (
    { name = "people"; does = "core.approve"; with = { question = "go?"; }; },
    { name = "users"; does = "ldap-homing.move"; after = ["people"]; rehearse = "run"; timeout = "1m";
      retry = { attempts = 4; backoff = "100ms"; };
      with = { server = "$LAB_DR_LDAPS"; ca_file = "$LAB_CA_FILE"; base = "ou=Staff,$LAB_SUFFIX"; from = "\${from.pool}";
               to = "\${to.pool}"; require_target = false;
               transaction_size = 0; bind_dn = "$LAB_BIND_DN"; password = "\${secret.bind}"; }; },
    { name = "dns"; does = "dns-nsupdate.set"; after = ["users"]; rehearse = "run";
      retry = { attempts = 4; backoff = "100ms"; };
      with = { server = "$LAB_DNS_SERVER"; zone = "$LAB_DOMAIN."; key = "\${secret.tsig}";
               record = ["scratch 60 A 127.2.9.1", "scratch2 60 A 127.2.9.2"]; }; },
    { name = "live"; does = "dns-nsupdate.set"; after = ["dns"];
      with = { server = "$LAB_DNS_SERVER"; zone = "$LAB_DOMAIN."; key = "\${secret.tsig}";
               record = ["live 60 A 127.2.9.3"]; }; },
    { name = "mail"; does = "exec.run"; after = ["live"]; rehearse = "skip";
      with = { apply = ["/bin/false"]; }; } ); };
  leaves: { steps = (
    { name = "leaves"; does = "exec.run"; rehearse = "run";
      with = { probe = ["$work/probe"]; apply = ["$work/apply"]; }; },
    { name = "blind"; does = "exec.run"; after = ["leaves"]; rehearse = "run";
      with = { apply = ["/bin/true"]; }; } ); };
  fails: { steps = (
    { name = "leaves"; does = "exec.run"; rehearse = "run";
      with = { probe = ["$work/probe"]; apply = ["$work/apply"]; revert = ["/bin/rm", "$work/left"]; }; },
    { name = "bad"; does = "exec.run"; after = ["leaves"]; rehearse = "run";
      with = { probe = ["$work/always"]; apply = ["/bin/false"]; }; } ); };
};
EOF2

directory() {
	ldapsearch -x -D "$LAB_BIND_DN" -y "$LAB_BIND_PASSWORD_FILE" -H "$LAB_DR_LDAP" -LLL \
		-o ldif-wrap=no -b "ou=Staff,$LAB_SUFFIX" -E pr=1000/noprompt |
		awk '/^dn:/{dn = $0} /^[^#]/{print dn "|" $0}' | LC_ALL=C sort
}
# The whole zone by transfer, less the serial number, which counts on.
zone() {
	dig +noall +answer -y "$(awk '/key "/{gsub(/"/, "", $2); k = $2} /algorithm/{sub(/;/, "", $2); a = $2}
		/secret/{gsub(/[";]/, "", $2); s = $2} END{print a ":" k ":" s}' "$LAB_TSIG_KEY_FILE")" \
		"@$LAB_DNS_HOST" -p "$LAB_DNS_PORT" "$LAB_DOMAIN" AXFR | grep -v SOA | LC_ALL=C sort
}
as_before() {
	directory >"$work/directory.after"
	same "$1: the directory is what it was" "" \
		"$(diff -i "$work/directory" "$work/directory.after" | head -n 5)"
	zone >"$work/zone.after"
	check "$1: so is the zone" cmp "$work/zone" "$work/zone.after"
}
the_rehearsal() {
	journal "select name from run where name not like '%-undo-%' order by no desc limit 1"
}

directory >"$work/directory"
zone >"$work/zone"
check "(the zone was transferred)" test -s "$work/zone"

echo "# zero residue"
exits 0 "a rehearsal ends as it has begun" rehearse "$plan" move
says "it says so" "zero residue: 3 steps as before"
says "it has moved everybody there" "$users of $users changed"
says "and back" "$users put back, 0 already as before, 0 conflicts"
says "nobody was asked" "passed over: nobody is asked in a rehearsal (--wait asks)"
as_before "a rehearsal"
rehearsal=$(the_rehearsal)
exits 0 "its status" status "$rehearsal"
says "has the result" "ago: zero residue: 3 steps as before"
says "as its outcome" "run $rehearsal: rehearsed"
exits 0 "the history, too" history
says "(it has)" "ago: zero residue"
exits 0 "its journal verifies" verify "$rehearsal"
exits 1 "what has ended is not finished again" rehearse --finish "$rehearsal"
exits 0 "it is JSON, too" rehearse "$plan" move --json
check "(objects)" valid_json "$work/out"

echo "# --keep, and finished later"
exits 0 "a rehearsal can be kept" rehearse "$plan" move --keep
rehearsal=$(the_rehearsal)
says "it says how to finish it" "resite rehearse --finish $rehearsal"
exits 1 "another one is refused" rehearse "$plan" move
says "(it says what to do)" "resite rehearse --finish $rehearsal"
exits 1 "it is not resumed" resume "$rehearsal"
exits 0 "an undo puts it back" undo "$rehearsal"
says "and says that it is not over" "resite rehearse --finish $rehearsal"
exits 0 "then it is compared" rehearse --finish "$rehearsal"
says "with nothing left" "zero residue: 3 steps as before"
as_before "kept and finished"

echo "# what is left is listed"
exits 0 "a rehearsal of a step that cannot be put back is no error of the plan" check "$plan" leaves
exits 1 "a step that leaves something fails the rehearsal" rehearse "$plan" leaves
says "it names the step" "leaves               MOVED"
says "and the object" "- left: nothing -> rehearsed (no longer to be changed)"
says "and a step that nothing can see" "blind                LEFT: it ran"
exits 0 "the status" status "$(the_rehearsal)"
says "has the list" "- left: nothing -> rehearsed (no longer to be changed)"
rm -f "$work/left"
exits 1 "one that fails is put back, too" rehearse "$plan" fails
says "nothing is left" "zero residue: 2 steps as before"
says "but it says that it failed" "did not come to its end"
check "(nothing is)" test ! -e "$work/left"

echo "# killed in the middle"
for ((round = 1; round <= 3; round++)); do
	before=$(the_rehearsal)
	launch rehearse "$plan" move
	begun() { [[ $(the_rehearsal) != "$before" ]]; }
	soon begun
	sleep "0.$((round * 2))"
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	if [[ $(journal "select count(*) from event e join run r on r.no = e.id >> 36 where r.name =
		'$(the_rehearsal)' and json_extract(e.body, '\$.kind') = 'run.ended'") == 0 ]]; then
		exits 0 "round $round: it has a name" status "$(the_rehearsal)"
		says "round $round: and an end" "resite rehearse --finish $(the_rehearsal)"
		"$build/resite" rehearse --finish "$(the_rehearsal)" >"$work/out" 2>"$work/err" </dev/null
		says "round $round: finished, nothing is left" "zero residue: 3 steps as before"
	else
		echo "     (the rehearsal was faster than the kill)"
	fi
	as_before "round $round"
	no_process_left "round $round: no process is left"
done

echo "# faults"
struck=0
for seed in 1 2 3; do
	exits 0 "seed $seed: it comes to its end" rehearse "$plan" move --faults "$seed"
	says "seed $seed: it is said" "faults: seed $seed"
	says "seed $seed: nothing is left" "zero residue: 3 steps as before"
	struck=$((struck + $(cat "$work/out" "$work/err" | grep -c ' fault: ')))
	as_before "seed $seed"
done
check "workers were struck ($struck times)" test "$struck" -ge 3
finish
