#!/bin/bash
# A step whose apply is done, but whose verify had no time to be content (the replica that it
# asks is away, then lags): the next attempts find nothing to change and must ask all the same.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 ldapsearch
[[ -e $build/modules/ldap-homing.so ]] || {
	echo "skipped: the plugin ldap-homing is not built"
	exit 77
}
start_lab 500

cat >"$plan" <<EOF2
format = 1;
name = "unverified";
@include "lab/sites.inc"
secrets: { bind = { file = "$LAB_BIND_PASSWORD_FILE"; }; };
runbooks: { move: { steps = (
  { name = "users"; does = "ldap-homing.move"; timeout = "20s"; retry = { attempts = 1; };
    with = { server = "\${to.ldaps}"; verify_server = "\${from.ldaps}"; ca_file = "$LAB_CA_FILE"; network_timeout = "2s";
             base = "ou=Staff,$LAB_SUFFIX"; from = "\${from.pool}"; to = "\${to.pool}";
             bind_dn = "$LAB_BIND_DN"; password = "\${secret.bind}"; }; } ); }; };
EOF2

# attempts WHERE: how many ended attempts of the step are so.
attempts() {
	events attempt.ended "$1"
}
in_verify="json_extract(body, '\$.phase') = 'verify'"
converged="json_extract(body, '\$.decision') = 'converged'"

check "(the replica that verify asks is away)" "$root/lab/lab" --dir "$work/lab" lose primary
exits 3 "what cannot be verified is not done" run "$plan" move --from primary --to dr --mode planned
same "it has failed in verify, with everybody moved" "1 500" "$(attempts "$in_verify") \
$(journal "select sum(json_extract(body, '\$.n')) from event where json_extract(body, '\$.kind') = 'attempt.undo'")"
check "the step is failed" step_is users failed

exits 0 "(retry)" retry last users --reason "again"
exits 3 "the next attempt is not done either" resume
same "although there is nothing left to change" 1 "$(events attempt.probed "$converged")"
same "because verify was asked again" 2 "$(attempts "$in_verify")"

check "(the replica comes back, and catches up)" "$root/lab/lab" --dir "$work/lab" restore primary
exits 0 "(retry)" retry last users --reason "it is back"
exits 0 "then it is done" resume
same "by verify, as the last call of the attempt" 1 \
	"$(attempts "$in_verify and json_extract(body, '\$.outcome') = 'ok'")"
same "and nothing was applied a second time" 1 \
	"$(events attempt.probed "json_extract(body, '\$.decision') = 'apply'")"
finish
