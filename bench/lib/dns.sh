# shellcheck shell=bash
# The rows about DNS: many names change their address, there and back in turn.  Each peer is
# measured to the same end as what it is compared with: until the primary has acknowledged the
# last change (resite's apply), and until every server serves it (the whole of resite's run).

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

# The primary has acknowledged: it serves it.  The secondary is asked for the last name.
set_by_nsupdate_served() {
	local last want
	set_by_nsupdate -v
	read -r last _ _ want < <(tail -n 1 "records.$value_now")
	until [[ $(dig +short +tcp "@${LAB_DNS2_SERVER%:*}" -p "${LAB_DNS2_SERVER#*:}" "$last.contoso.example" A) == "$want" ]]; do
		sleep 0.01
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
	goal_ratio "until the primary has acknowledged: nsupdate, apply" 1.0 nsupdate-tcp,nsupdate-udp resite-apply
	goal_ratio "until both servers serve it: nsupdate and waiting, the whole run" 1.0 nsupdate-served resite
	goal_ratio "of the limit with prerequisites, apply" 0.85 limit-swap resite-apply
	note "$n names, each a delete and an add, signed; nsupdate sends 500 names a message and asks the secondary for the last one"
	note "resite: prerequisites, undo records, a look before, every name compared at both servers, a look after"
}

# --- dns-zones: the same number of changes over ten zones ---------------------------------

zones=10

# zone_files VALUE: for resite with $ORIGIN, for nsupdate all in one file and one for each zone
zone_files() {
	local z per=$((n / zones))
	: >"zones.$1"
	: >"nsupdate.$1"
	for ((z = 0; z < zones; z++)); do
		awk -v n="$per" -v net="$1" -v z="$z" 'BEGIN { print "$ORIGIN z" z ".example."
			for (i = 1; i <= n; i++) printf "h%05d 60 A 10.%d.%d.%d\n", i, net + 2 * z, i / 250, i % 250 + 1 }' |
			tee -a "zones.$1" |
			awk -v z="$z" -v port="$dns_port" '/^\$/ { next }
				++k % 500 == 1 { if (k > 1) print "send"; print "server 127.0.0.1 " port "\nzone z" z ".example" }
				{ print "update delete " $1 ".z" z ".example A\nupdate add " $1 ".z" z ".example 60 A " $4 }
				END { print "send" }' >"nsupdate.$1.$z"
		cat "nsupdate.$1.$z" >>"nsupdate.$1"
	done
}

# A server of its own, in this row's folder, with no secondaries.
start_zones() {
	local z dir=$PWD/named pid
	mkdir -p "$dir"
	tsig-keygen -a hmac-sha256 bench >"$dir/key" || die "tsig-keygen failed"
	dns_port=$((20000 + RANDOM % 10000))
	{
		cat "$dir/key"
		echo "options { directory \"$dir\"; pid-file none; lock-file none; session-keyfile \"$dir/session.key\";
			managed-keys-directory \"$dir\"; listen-on port $dns_port { 127.0.0.1; }; listen-on-v6 { none; };
			recursion no; dnssec-validation no; empty-zones-enable no; minimal-responses yes; notify no; };
			controls { };
			logging { channel log { file \"$dir/log\"; severity info; }; category default { log; }; category update { null; }; };"
		for ((z = 0; z < zones; z++)); do
			printf 'zone "z%d.example" { type primary; file "z%d"; allow-update { key bench; }; allow-transfer { any; }; };\n' $z $z
			printf '$ORIGIN z%d.example.\n$TTL 60\n@ SOA ns1 admin 1 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\n' $z >"$dir/z$z"
		done
	} >"$dir/named.conf"
	named -f -4 -c "$dir/named.conf" >"$dir/out" 2>&1 &
	pid=$!
	later "kill $pid; wait $pid 2>/dev/null"
	for ((z = 0; z < 100; z++)); do
		! dig +short +time=1 +tries=1 @127.0.0.1 -p "$dns_port" z9.example SOA | grep -q ns1 || return 0
		sleep 0.1
	done
	die "named does not answer: $(tail -n 3 "$dir/out" "$dir/log" 2>/dev/null)"
}

zones_by_resite() { turn_value; resite_run state "zones.$value_now.conf" move; }
after_zones_by_resite() {
	phase_values state
	check_zones
}
zones_by_nsupdate() {
	turn_value
	nsupdate -v -k named/key "nsupdate.$value_now" >nsupdate.log 2>&1 || die "nsupdate: $(tail -n 3 nsupdate.log)"
}
after_zones_by_nsupdate() { check_zones; }

# Every server serves it: there is one, and it is asked for the last name of each zone.
wait_for_zones() {
	local z last names=() want=''
	read -r last _ _ _ < <(tail -n 1 "zones.$value_now")
	for ((z = 0; z < zones; z++)); do names+=("$last.z$z.example" A); done
	want=$(grep "^$last " "zones.$value_now" | cut -d ' ' -f 4)
	until [[ $(dig +short +tcp @127.0.0.1 -p "$dns_port" "${names[@]}") == "$want" ]]; do sleep 0.01; done
}
zones_by_nsupdate_served() { zones_by_nsupdate; wait_for_zones; }
after_zones_by_nsupdate_served() { check_zones; }
zones_by_many_served() { zones_by_many; wait_for_zones; }
after_zones_by_many_served() { check_zones; }

# One nsupdate for each zone, all at once.
zones_by_many() {
	local z pids=()
	turn_value
	for ((z = 0; z < zones; z++)); do
		nsupdate -v -k named/key "nsupdate.$value_now.$z" >"nsupdate.$z.log" 2>&1 &
		pids+=($!)
	done
	for z in "${pids[@]}"; do wait "$z" || die "nsupdate failed: $(cat nsupdate.*.log | tail -n 3)"; done
}
after_zones_by_many() { check_zones; }

check_zones() {
	local z last want got
	read -r last _ _ want < <(tail -n 1 "zones.$value_now")
	for ((z = 0; z < zones; z++)); do
		got=$(dig +short +tcp @127.0.0.1 -p "$dns_port" "$last.z$z.example" A)
		[[ ${got#*.*.} == "${want#*.*.}" && ${got%.*.*} == "10.$((value_now + 2 * z))" ]] || die "$last.z$z is $got"
	done
}

row_dns_zones() {
	need nsupdate bind9-dnsutils
	need named bind9
	n=$(small 10000)
	start_zones
	for value_now in 1 2; do
		zone_files $value_now
		cat >zones.$value_now.conf <<-EOT
		format = 1;
		name = "bench";
		sites: { primary: { }; dr: { }; };
		secrets: { tsig = { file = "$PWD/named/key"; }; };
		runbooks: { move: { steps = ( { name = "step"; timeout = "60m"; does = "dns-nsupdate.set"; with = {
			server = "127.0.0.1:$dns_port"; key = "\${secret.tsig}"; verify_at = "127.0.0.1:$dns_port";
			zone = [$(for ((z = 0; z < zones; z++)); do printf '"z%d.example."%s' $z "$( ((z == zones - 1)) || echo ,)"; done)];
			records_file = "$PWD/zones.$value_now"; }; } ); }; };
		EOT
	done
	chmod 600 named/key
	zones_by_nsupdate
	turns resite=zones_by_resite nsupdate=zones_by_nsupdate nsupdates-at-once=zones_by_many \
		nsupdate-served=zones_by_nsupdate_served nsupdates-at-once-served=zones_by_many_served
	goal_ratio "until the primary has acknowledged: nsupdate, apply" 1.0 nsupdate,nsupdates-at-once resite-apply
	goal_ratio "until every server serves it: nsupdate and waiting, the whole run" 1.0 \
		nsupdate-served,nsupdates-at-once-served resite
	note "$n names over $zones zones on one server, each a delete and an add, signed; nsupdate sends 500 names a message"
	note "resite: prerequisites, undo records, a look before, every name compared at the server, a look after"
}
