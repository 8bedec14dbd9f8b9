# shellcheck shell=bash
# Rows about the directory: all users change their home, there and back in turn.

users_base=ou=Staff,dc=contoso,dc=example
admin=cn=admin,dc=contoso,dc=example
pools="CN=Pools,CN=RTC Service,CN=Services,CN=Configuration,DC=contoso,DC=example"
pool_a="CN=Lc Services,CN=Microsoft,CN=1:1,$pools"
pool_b="CN=Lc Services,CN=Microsoft,CN=2:1,$pools"

# A port that nobody uses now, below those of outgoing connections.
free_port() {
	local port hex tries
	for ((tries = 0; tries < 100; tries++)); do
		port=$((14000 + SRANDOM % 5000))
		printf -v hex ':%04X ' $port
		grep -q "$hex" /proc/net/tcp || { echo $port; return; }
	done
	die "no free port"
}

# fill TEMPLATE: @NAME@ becomes the variable of that name
fill() {
	local text name
	text=$(<"$1")
	while [[ $text =~ @([A-Z_]+)@ ]]; do
		name=${BASH_REMATCH[1]}
		text=${text//"@$name@"/${!name}}
	done
	printf '%s\n' "$text"
}

# run_slapd: starts the directory and waits until it answers; also one that crashed
run_slapd() {
	slapd -d "${directory_says-none}" -f slapd.conf -h "$ldap_url/" >>slapd.log 2>&1 &
	slapd_pid=$!
	until ldapwhoami -x -H "$ldap_url" >/dev/null 2>&1; do
		kill -0 $slapd_pid 2>/dev/null || die "slapd ended: $(tail -n 3 slapd.log)"
		sleep 0.05
	done
}

# One that has locked itself does not end when asked to.
end_slapd() {
	local try
	kill "$slapd_pid" 2>/dev/null
	for ((try = 0; try < 100; try++)); do
		kill -0 "$slapd_pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$slapd_pid" 2>/dev/null
	wait "$slapd_pid" 2>/dev/null
}

# Who wants other than 100,000 users, more in slapd.conf, or more in its log, sets directory_users,
# directory_more, directory_says.
# shellcheck disable=SC2034 # names for templates
start_slapd() {
	PATH=$PATH:/usr/sbin
	need slapd slapd
	need ldapmodify ldap-utils
	users=${directory_users:-$(small 100000)}
	password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	(umask 077; printf %s "$password" >password)
	mkdir -p db
	HOME=$PWD TOP=$top PASSWORD=$password fill "$here/conf/slapd.conf.in" >slapd.conf
	printf '%s' "${directory_more-}" >>slapd.conf
	{
		DOMAIN=contoso.example SUFFIX=dc=contoso,dc=example RESITE_PASSWORD=$password \
			REPLICATOR_PASSWORD=- REGISTRAR_PASSWORD=- fill "$top/lab/conf/tree.ldif.in"
		echo
		"$build/lab/gen/gen" ldif --users "$users" --home "$pool_a" | tee users.ldif
	} | slapadd -q -f slapd.conf >slapadd.log 2>&1 || die "slapadd: $(tail -n 3 slapadd.log)"
	ldap_url=ldap://127.0.0.1:$(free_port)
	run_slapd
	later end_slapd
	write_changes "$pool_a" "$pool_b" >a-b.ldif
	write_changes "$pool_b" "$pool_a" >b-a.ldif
	from=a to=b
}

# write_changes FROM TO: the same change of every user as LDIF
write_changes() {
	awk -v from="$1" -v to="$2" -v a=msRTCSIP-PrimaryHomeServer '/^dn:/ {
		print $0 "\nchangetype: modify\ndelete: " a "\n" a ": " from "\n-\nadd: " a "\n" a ": " to "\n-\n"
	}' users.ldif
}

# move_plan WITH: the move of all users, with these parameters besides
move_plan() {
	cat <<-EOT
	format = 1;
	name = "bench";
	sites: { a: { pool = "$pool_a"; }; b: { pool = "$pool_b"; }; };
	secrets: { bind = { file = "$PWD/password"; }; };
	runbooks: { move: { steps = ( { name = "users"; does = "ldap-homing.move"; timeout = "30m";
		with = { server = "$ldap_url"; base = "$users_base"; from = "\${from.pool}"; to = "\${to.pool}";
		         bind_dn = "$admin"; password = "\${secret.bind}"; $1 }; } ); }; };
	EOT
}

# ldap_plan TRANSACTION_SIZE
ldap_plan() { move_plan "allow_plaintext = true; transaction_size = $1;"; }

turn_round() {
	local was=$from
	from=$to to=$was
}

move_by_resite() {
	resite_run state --from $from --to $to move.conf move
	turn_round
}

after_move_by_resite() {
	phase_values state
}

move_by_ldapmodify() {
	ldapmodify -x -H "$ldap_url" -D "$admin" -y password -f "$from-$to.ldif" >ldapmodify.log 2>&1 ||
		die "ldapmodify: $(tail -n 3 ldapmodify.log)"
	turn_round
}

# move_by_limit window|txn N
move_by_limit() {
	local -n pool_from=pool_$from pool_to=pool_$to
	"$tools/ldap_limit" "$ldap_url" "$admin" "$password" "$users_base" msRTCSIP-PrimaryHomeServer \
		"$pool_from" "$pool_to" "$1" "$2" >limit.json || die "ldap_limit failed"
	turn_round
}

# All must be where they were sent, or the times mean nothing.
check_homes() {
	local -n pool=pool_$from
	local there
	there=$(ldapsearch -x -LLL -E pr=1000/noprompt -H "$ldap_url" -D "$admin" -y password -b "$users_base" \
		"(msRTCSIP-PrimaryHomeServer=$pool)" 1.1 | grep -c '^dn:') || true
	((there == users)) || die "$there of $users users are on $pool"
}

# Without transactions slapd flushes twice for each change, so that the disk of that minute
# decides; a run on a slow one can be told by this.
disk_before() {
	value "flushes/s-before-$1" 1/s "$(fsync_rate)"
}

before_move_by_resite() { disk_before resite; }
before_move_by_limit() { disk_before limit; }
before_move_by_ldapmodify() { disk_before ldapmodify; }

# ldap_row TRANSACTION_SIZE WAY N
ldap_row() {
	start_slapd
	ldap_plan "$1" >move.conf
	turns resite=move_by_resite limit="move_by_limit $2 $3" ldapmodify=move_by_ldapmodify
	check_homes
}

row_ldap_transactions() {
	ldap_row 1000 txn 1000
	goal_ratio "ten times ldapmodify" 10 ldapmodify resite
	goal_ratio "the minimal client's speed, whole run" 0.85 limit resite
	goal_ratio "the same, apply alone" 0.85 limit resite-apply
	note "limit: RFC 5805 transactions of 1000, no undo, no verify, no second look; $users users"
}

row_ldap_window() {
	ldap_row 0 window 64
	goal_ratio "1.4 times ldapmodify" 1.4 ldapmodify resite
	goal_ratio "the minimal client's speed, whole run" 0.85 limit resite
	goal_ratio "the same, apply alone" 0.85 limit resite-apply
	note "limit: 64 changes in flight, no undo, no verify, no second look; $users users"
}

# Apart from the rows above: looking at a process takes its time too.
row_ldap_memory() {
	local who
	start_slapd
	ldap_plan 1000 >move.conf
	for ((round = 1; round <= rounds; round++)); do
		rm -rf state
		"$resite" run --state state -q --from $from --to $to move.conf move >run.log 2>&1 </dev/null &
		watch_memory $! "memory.$round"
		wait $! || die "resite run failed: $(tail -n 3 run.log)"
		turn_round
		for who in core nursery worker; do
			value "$who-peak" MiB "$(awk -v w=$who '$2 == w && $4 > max { max = $4 } END { printf "%.1f", max / 1024 }' "memory.$round")"
		done
		value core-growth MiB "$(growth core "memory.$round")"
		value worker-growth MiB "$(growth worker "memory.$round")"
	done
	goal "core, resident at its peak" "<=" 64 core-peak
	goal "worker, resident at its peak" "<=" 64 worker-peak
	note "growth: proportional memory (PSS) at the end of the move less that in its middle"
	for who in core worker; do
		note "$who, PSS in MiB over time: $(awk -v w=$who '$2 == w { print $1, $5 }' memory.1 | awk '
			{ t[NR] = $1; m[NR] = $2 } END { step = NR > 12 ? NR / 12 : 1
			for (i = 1; i <= NR; i += step) printf " %.1fs %.1f", t[int(i)], m[int(i)] / 1024 }')"
	done
}

growth() {
	awk -v w="$1" '$2 == w { m[++n] = $5 } END { printf "%.1f", (m[n] - m[int((n + 1) / 2)]) / 1024 }' "$2"
}
