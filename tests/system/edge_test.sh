#!/bin/bash
# The edge in the lab: calls from outside and the simple URLs follow the users to the other
# site when theirs is lost, and back; a list that somebody spoilt is left alone.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 haproxy curl
for plugin in edge-nexthop health; do
	[[ -e $build/modules/$plugin.so ]] || {
		echo "skipped: the plugin $plugin is not built"
		exit 77
	}
done
start_lab 20 --with edge

cat >"$plan" <<EOF2
format = 1;
name = "edge";
@include "lab/sites.inc"
vars: {
	@include "lab/vars.inc"
};
runbooks: { move: { steps = (
  { name = "certificates"; does = "health.certificate";
    with = { endpoint = "\${to.sip}:$((LAB_PORTS + 3))"; ca_file = "\${var.ca_file}"; names = ["\${to.pool_fqdn}", "sip.contoso.example"];
             min_days = 30; revocation = "reachable"; }; },
  { name = "edge"; does = "edge-nexthop.kamailio"; after = ["certificates"]; workload = "external";
    with = { list = "\${var.edge_list}"; rpc = "\${var.edge_rpc}"; to = "\${to.edge_hop}"; others = "disable";
             sip = "\${var.edge_sip}"; sip_domain = "\${var.domain}"; look_for = "X-Site: \${to.name}"; }; timeout = "1m"; },
  { name = "simple-urls"; does = "edge-nexthop.haproxy"; after = ["certificates"]; workload = "external";
    with = { socket = "\${var.web_socket}"; backend = ["meet", "dialin", "admin"]; to = "\${to.web_server}"; url = "\${var.web_url}";
             host = ["meet.contoso.example", "dialin.contoso.example", "admin.contoso.example"]; look_for = "X-Site: \${to.name}"; };
    timeout = "1m"; } ); }; };
EOF2

# Who answers calls from outside, and who the simple URL.
outside() {
	local sip line
	exec {sip}<>"/dev/tcp/${LAB_EDGE_SIP%:*}/${LAB_EDGE_SIP#*:}" || return 1
	printf '%s\r\n' "OPTIONS sip:$LAB_DOMAIN SIP/2.0" "Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK$SRANDOM" \
		"From: <sip:t@$LAB_DOMAIN>;tag=$SRANDOM" "To: <sip:$LAB_DOMAIN>" "Call-ID: $SRANDOM@t" \
		"CSeq: 1 OPTIONS" "Max-Forwards: 5" "Content-Length: 0" "" >&"$sip"
	while read -r -t 5 line <&"$sip" && [[ $line != $'\r' ]]; do
		[[ $line != X-Site:* ]] || printf '%s ' "${line//[$'\r' ]/}"
	done
	exec {sip}>&-
	curl -s -m 5 -H "Host: meet.$LAB_DOMAIN" "$LAB_WEB_URL"
}

same "at first all goes to primary" "X-Site:primary primary" "$(outside)"
before=$(sha256sum <"$LAB_EDGE_LIST")
exits 0 "a preview" preview "$plan" move --from primary --to dr
says "of both lines of the list" "set 1 sip:127.2.0.10"
says "and of the reverse proxy's servers" "dialin/primary state"
check "(primary is lost)" "$root/lab/lab" --dir "$work/lab" lose primary
exits 0 "the move" run "$plan" move --from primary --to dr --mode disaster
same "then all goes to dr" "X-Site:dr dr" "$(outside)"
check "(primary is back)" "$root/lab/lab" --dir "$work/lab" restore primary
exits 0 "the way back" failback last --mode planned
same "and all goes to primary again" "X-Site:primary primary" "$(outside)"
same "with the list that was there, to the byte" "$before" "$(sha256sum <"$LAB_EDGE_LIST")"

exits 0 "another move" run "$plan" move --from primary --to dr --mode planned
exits 0 "an undo of it" undo last
same "takes it back" "X-Site:primary primary" "$(outside)"
same "to the byte" "$before" "$(sha256sum <"$LAB_EDGE_LIST")"

cp "$LAB_EDGE_LIST" "$work/list"
printf 'garbage\n' >>"$LAB_EDGE_LIST"
exits 3 "a list that Kamailio would misread stops the step" run "$plan" move --from primary --to dr --mode planned
says "with its line" "line 4: no set id: 'garbage'"
cp "$work/list" "$LAB_EDGE_LIST"
exits 0 "(retry)" retry last edge --reason "corrected"
exits 0 "once it is corrected the run goes on" resume
same "to its end" "X-Site:dr dr" "$(outside)"
finish
