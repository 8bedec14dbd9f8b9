#!/bin/bash
# `resite run` is killed in the middle of a move of 5,000 users, at many moments, with
# and without transactions. resume ends the move: each user is moved exactly once (the
# directory's own audit log is the witness), each with an undo record that was in the
# journal before the change, and never do two generations of workers act together.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 ldapsearch ldapmodify ldapwhoami
users=${RESITE_TEST_USERS:-5000}
seed=${RESITE_TEST_SEED:-$RANDOM}
echo "# $users users, RESITE_TEST_SEED=$seed"
RANDOM=$seed

start_lab "$users"
"$root/lab/lab" --dir "$work/lab" lose primary >/dev/null
audit=$work/audit
mkdir "$audit" && chmod 777 "$audit"

# The directory writes down every change that it makes.
audit_on() {
	ldapmodify -Q -Y EXTERNAL -H "$LAB_DR_LDAPI" <<EOF2
dn: cn=module{0},cn=config
changetype: modify
add: olcModuleLoad
olcModuleLoad: auditlog

dn: olcOverlay=auditlog,olcDatabase={1}mdb,cn=config
changetype: add
objectClass: olcOverlayConfig
objectClass: olcAuditLogConfig
olcOverlay: auditlog
olcAuditlogFile: $audit/log
EOF2
}
check "the directory's audit log is switched on" audit_on

revive() {
	crashed=
	restarted dr || return 0
	crashed=1
	check "$1: slapd runs again" audit_on
}

# Two sites in the sense of the plan, which are two homes in one directory, so that each
# round moves all users back.
write_plan() {
	cat >"$plan" <<EOF2
format = 1;
name = "resume";
sites: { a: { pool = "$LAB_PRIMARY_POOL"; }; b: { pool = "$LAB_DR_POOL"; }; };
secrets: { bind = { file = "$LAB_BIND_PASSWORD_FILE"; }; };
runbooks: { move: { steps = (
  { name = "users"; does = "ldap-homing.move"; timeout = "1m";
    with = { server = "$LAB_DR_LDAP"; allow_plaintext = true; base = "ou=Staff,$LAB_SUFFIX"; from = "\${from.pool}";
             to = "\${to.pool}"; bind_dn = "$LAB_BIND_DN"; password = "\${secret.bind}";
             transaction_size = $1; }; },
  { name = "alone"; does = "exec.run"; timeout = "1m";
    with = { apply = ["$work/alone"]; probe = ["$work/alone.probe"]; }; } ); }; };
EOF2
}

# A step that must never run twice at one time. The first one does not end by itself,
# and with alone.stubborn not when it is asked to, either.
cat >"$work/alone" <<'EOS'
#!/bin/bash
cd "$(dirname "$0")" || exit 1
exec 9>alone.lock
flock -n 9 || { echo "two at once" >>alone.overlap; exit 1; }
if [[ -e alone.started ]]; then
	touch alone.done
else
	[[ ! -e alone.stubborn ]] || trap '' TERM
	touch alone.started
	for ((i = 0; i < 600; i++)); do read -r -t 0.1 <> <(:); done
fi
EOS
cat >"$work/alone.probe" <<'EOS'
#!/bin/sh
if [ -e "$(dirname "$0")/alone.done" ]; then n=0; else n=1; fi
echo "{\"changes\":$n,\"total\":1,\"now\":\"\",\"fingerprint\":\"$n\"}"
EOS
chmod 755 "$work/alone" "$work/alone.probe"

# homed POOL: the DNs that the directory has there, one a line, sorted.
homed() {
	ldapsearch -LLL -o ldif-wrap=no -x -D "$LAB_BIND_DN" -y "$LAB_BIND_PASSWORD_FILE" \
		-H "$LAB_DR_LDAP" -b "ou=Staff,$LAB_SUFFIX" "(msRTCSIP-PrimaryHomeServer=$1)" 1.1 |
		plain_dns
}

# "dn: X" and "dn:: BASE64" as LDIF has them, as text.
plain_dns() {
	awk '/^dn: /{print "t " substr($0, 5)} /^dn:: /{print "b " substr($0, 6)}' |
		while read -r how dn; do
			if [[ $how == b ]]; then
				base64 -d <<<"$dn"
				echo
			else
				printf '%s\n' "$dn"
			fi
		done | tr '[:upper:]' '[:lower:]' | LC_ALL=C sort
}

# The objects of all undo records of the newest run, sorted.
undo_records() {
	journal "select json_extract(r.value, '\$.kv.dn') from event e,
		json_each(e.body, '\$.records') r
		where e.id >> 36 = (select max(no) from run)
		and json_extract(e.body, '\$.kind') = 'attempt.undo'" |
		tr '[:upper:]' '[:lower:]' | LC_ALL=C sort -u
}

# The users whose home the directory's log says was changed, one line for each change.
changed() {
	# Lines that start with a space go on with the one before.
	awk '/^ /{l = l substr($0, 2); next} {if (l != "") print l; l = $0} END {print l}' "$audit/log" |
		awk '/^dn:/{dn = $0} /^add: msRTCSIP-PrimaryHomeServer$/{print dn}' | plain_dns
}

# round WHAT FROM TO KILL_AFTER_MS
round() {
	local what=$1 from=$2 to=$3 from_pool to_pool ms=$4 first left p
	if [[ $to == b ]]; then
		from_pool=$LAB_PRIMARY_POOL to_pool=$LAB_DR_POOL
	else
		from_pool=$LAB_DR_POOL to_pool=$LAB_PRIMARY_POOL
	fi
	: >"$audit/log"
	chmod 666 "$audit/log"
	rm -f "$work"/alone.{started,done,stubborn,lock}
	[[ $stubborn == no ]] || touch "$work/alone.stubborn"
	launch run "$plan" move --from "$from" --to "$to"
	soon test -e "$work/alone.started"
	sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
	first=$(holders "$RESITE_STATE" | grep -vx "$pid")
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	revive "$what"
	homed "$to_pool" >"$work/moved"
	: >"$work/changed.before"
	if [[ -n $crashed ]]; then
		# What it wrote down amid a transaction that it then did not commit is void.
		changed | LC_ALL=C comm -12 - "$work/moved" >"$work/changed.before"
		: >"$audit/log"
	fi
	undo_records >"$work/undo"
	same "$what: who was moved when it was killed has an undo record already" "" \
		"$(LC_ALL=C comm -23 "$work/moved" "$work/undo" | head -n 3)"
	launch resume --json
	soon grep -q run.resumed "$work/launched.out"
	left=
	for p in $first; do
		# One that is ending has lost its memory before it let go of the lock.
		[[ -z $(tr -d '\0' 2>/dev/null <"/proc/$p/cmdline") ]] || left+=" $p"
	done
	same "$what: no process of the first run lives when the second one begins" "" "$left"
	ended 0 "$what ($(wc -l <"$work/moved") were moved): resume does the rest"
	same "$what: nobody is left behind" 0 "$(homed "$from_pool" | wc -l)"
	homed "$to_pool" >"$work/all"
	same "$what: everybody is at the target" "$users" "$(wc -l <"$work/all")"
	{ cat "$work/changed.before" && changed; } | LC_ALL=C sort >"$work/changed"
	same "$what: the directory changed everybody exactly once" "$users $users" \
		"$(wc -l <"$work/changed") $(uniq "$work/changed" | wc -l)"
	undo_records >"$work/undo"
	same "$what: everybody has an undo record" "" "$(LC_ALL=C comm -3 "$work/all" "$work/undo" | head -n 3)"
	check "$what: no two workers acted at once" test ! -e "$work/alone.overlap"
	no_process_left "$what: no process is left"
}

for kind in transactions singly; do
	if [[ $kind == transactions ]]; then write_plan 500; most=500; else write_plan 0; most=2000; fi
	stubborn=no
	for back in "a b" "b a" "a b"; do
		ms=$((RANDOM % most))
		# shellcheck disable=SC2086 # two words
		round "$kind, killed after $ms ms" $back "$ms"
	done
	stubborn=yes
	round "$kind, killed at once" b a 0
done
finish
