# shellcheck shell=bash
# A row about Active Directory: Samba writes one change after the other, whoever sends them, so
# that the server is the limit and little can be won.

start_samba() {
	local dir=$PWD/dc
	((EUID == 0)) || die "a domain controller has fixed ports: run this row as root"
	need samba-tool samba-ad-dc
	need ldapmodify ldap-utils
	users=$(small 5000)
	# shellcheck disable=SC2016 # the one that runs then
	later '"$top/lab/samba" --dir "$PWD/dc" down'
	"$top/lab/samba" --dir "$dir" --users "$users" up >samba.log 2>&1 || die "lab/samba: $(tail -n 3 samba.log)"
	# shellcheck source=/dev/null
	. "$dir/env"
	password=$SAMBA_PASSWORD admin=mover@ad.contoso.example users_base="OU=Staff,$SAMBA_ROOT"
	pool_a="CN=Lc Services,CN=Microsoft,CN=1:1,CN=Pools,CN=RTC Service,CN=Services,CN=Configuration,$SAMBA_ROOT"
	pool_b=${pool_a/1:1/2:1}
	ldap_url=ldaps://$SAMBA_ADDRESS
	export LDAPTLS_CACERT=$SAMBA_CA_FILE
	(umask 077; printf %s "$password" >password)
	from=a to=b
}

# The names of the rows of slapd are used again, with other values.
row_samba() {
	local ldap_url password admin users_base pool_a pool_b users
	start_samba
	move_plan "ca_file = \"$LDAPTLS_CACERT\";" >move.conf
	turns resite=move_by_resite one="move_by_limit window 1" limit="move_by_limit window 64"
	check_homes
	goal_ratio "1.1 times one synchronous connection, apply alone" 1.1 one resite-apply
	goal_ratio "1.1 times one synchronous connection, whole run" 1.1 one resite
	note "one: each change waits for the answer to the last. limit: 64 in flight. $users users over ldaps; Samba does" \
		"one change at a time, so that it is the limit: 64 in flight save the round trips alone"
}
