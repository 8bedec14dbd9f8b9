# shellcheck shell=bash
# The row about DNS: many names change their address, there and back in turn.

# dns_files VALUE: the records as resite and nsupdate read them, 500 names a message
dns_files() {
	awk -v n="$n" -v net="$1" 'BEGIN {
		for (i = 1; i <= n; i++) printf "h%05d 60 A 10.%d.%d.%d\n", i, net, i / 250, i % 250 + 1 }' >"records.$1"
	awk -v server="$LAB_DNS_HOST $LAB_DNS_PORT" '
		NR % 500 == 1 { if (NR > 1) print "send"; print "server " server "\nzone contoso.example" }
		{ print "update delete " $1 ".contoso.example A\nupdate add " $1 ".contoso.example 60 A " $4 }
		END { print "send" }' "records.$1" >"nsupdate.$1"
}

turn_value() { value_now=$((value_now == 1 ? 2 : 1)); }

set_by_resite() { turn_value; resite_run state "set.$value_now.conf" move; }
after_set_by_resite() {
	phase_values state
	check_value
}
# With -v over TCP.
set_by_nsupdate() {
	turn_value
	nsupdate ${1-} -k "$LAB_TSIG_KEY_FILE" "nsupdate.$value_now" >nsupdate.log 2>&1 || die "nsupdate: $(tail -n 3 nsupdate.log)"
}
after_set_by_nsupdate() { check_value; }

# Like the whole step, until both servers have it.
set_by_nsupdate_served() {
	local last want
	set_by_nsupdate -v
	read -r last _ _ want < <(tail -n 1 "records.$value_now")
	until [[ $(dig +short +tcp "@${LAB_DNS2_SERVER%:*}" -p "${LAB_DNS2_SERVER#*:}" "$last.contoso.example" A) == "$want" ]]; do
		sleep 0.02
	done
}
after_set_by_nsupdate_served() { check_value; }

# set_by_limit swap|bare: its own time is that of sending and waiting, all parsed before
set_by_limit() {
	local now=$value_now
	turn_value
	"$tools/dns_limit" "$LAB_DNS_SERVER" contoso.example. "$LAB_TSIG_KEY_FILE" "records.$now" "records.$value_now" \
		"$1" 200 4 >limit.json || die "dns_limit failed"
	took=$(sed 's/.*"seconds": \([0-9.]*\).*/\1/' limit.json)
}
after_set_by_limit() { check_value; }

# The last name has the new value, so all have: messages go in order.
check_value() {
	local last want got
	read -r last _ _ want < <(tail -n 1 "records.$value_now")
	got=$(dig +short +tcp "@$LAB_DNS_HOST" -p "$LAB_DNS_PORT" "$last.contoso.example" A)
	[[ $got == "$want" ]] || die "$last is $got, not $want"
}

row_dns() {
	need nsupdate bind9-dnsutils
	n=$(small 10000)
	start_lab 10
	for value_now in 1 2; do
		dns_files $value_now
		lab_plan "does = \"dns-nsupdate.set\"; with = { server = \"\${var.dns_server}\"; zone = \"\${var.domain}\";
			key = \"\${secret.tsig}\"; records_file = \"$PWD/records.$value_now\";
			verify_at = [\"\${var.dns_server}\", \"\${var.dns_secondary}\"]; };" >set.$value_now.conf
	done
	set_by_nsupdate -v
	turns resite=set_by_resite nsupdate-tcp="set_by_nsupdate -v" nsupdate-udp=set_by_nsupdate \
		nsupdate-served=set_by_nsupdate_served limit-swap="set_by_limit swap" limit-bare="set_by_limit bare"
	goal_ratio "as fast as nsupdate" 1.0 nsupdate-tcp,nsupdate-udp resite
	goal_ratio "as fast as nsupdate until both servers serve it" 1.0 nsupdate-served resite
	goal_ratio "of the limit with prerequisites, apply alone" 0.85 limit-swap resite-apply
	goal_ratio "the same, apply alone" 1.0 nsupdate-tcp,nsupdate-udp resite-apply
	note "$n names, each a delete and an add, signed, 500 names a message; resite with prerequisites, and verified at both servers"
}
