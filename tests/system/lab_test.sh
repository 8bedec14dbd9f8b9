#!/bin/bash
# The lab behaves as the tests and the demo that stand on it rely on: who may
# sign in where, what is lost and comes back with a site, and that nothing is
# left behind.
set -u -o pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
lab=$root/lab/lab
sign_in=$root/lab/sign-in
work=$(mktemp -d "${TMPDIR:-/tmp}/lab-test.XXXXXX")
export RESITE_LAB=$work/lab
failures=0

finish() {
	"$lab" down >/dev/null
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# check WHAT COMMAND...: prints the command's output only if it fails.
check() {
	local what=$1 out
	shift
	if out=$("$@" 2>&1); then
		echo "ok   $what"
	else
		echo "FAIL $what: $* ended with $?"
		printf '%s\n' "$out" | tail -n 20
		failures=$((failures + 1))
	fi
}

refused() {
	! "$@"
}

# answers STATUS USER [HOST:PORT]
answers() {
	local out
	out=$("$sign_in" ${3:+--server "$3"} "$2")
	[[ $out == *"SIP/2.0 $1 "* ]] || {
		echo "$2: wanted $1, got: $out"
		return 1
	}
}

at_dr() {
	answers "$1" "$2" "$LAB_DR_SIP:$LAB_DR_SIP_PORT"
}

# move USER FROM TO [URL]: one change by the service account
move() {
	printf '%s\n' "dn: uid=$1,ou=Staff,$LAB_SUFFIX" "changetype: modify" \
		"delete: msRTCSIP-PrimaryHomeServer" "msRTCSIP-PrimaryHomeServer: $2" - \
		"add: msRTCSIP-PrimaryHomeServer" "msRTCSIP-PrimaryHomeServer: $3" |
		ldapmodify -x -D "$LAB_BIND_DN" -y "$LAB_BIND_PASSWORD_FILE" -H "${4:-$LAB_DR_LDAP}"
}

# soon COMMAND...: replication takes a moment
soon() {
	local try
	for ((try = 0; try < 100; try++)); do
		"$@" && return
		sleep 0.05
	done
	return 1
}

contacts() {
	curl -s -S -f "$1/resource-lists/users/sip:$2@$LAB_DOMAIN/index"
}

same_contacts() {
	local gen
	for gen in "${RESITE_LAB_GEN:-}" ./lab/gen/gen "$root/lab/gen/gen" "$work/lab/bin/gen"; do
		[[ -z $gen || ! -x $gen ]] || break
	done
	diff <("$gen" document --users "$LAB_USERS" --user "${1#u}") <(contacts "$LAB_PRIMARY_XCAP" "$1")
}

homed_on() {
	ldapsearch -LLL -x -D "$LAB_BIND_DN" -y "$LAB_BIND_PASSWORD_FILE" -H "$2" \
		-b "ou=Staff,$LAB_SUFFIX" "(msRTCSIP-PrimaryHomeServer=$1)" 1.1 | grep -c '^dn:'
}

all_homed_on() {
	[[ $(homed_on "$1" "$2") == "$LAB_USERS" ]]
}

set_address() {
	printf '%s\n' "server $LAB_DNS_HOST $LAB_DNS_PORT" "zone $LAB_DOMAIN" \
		"prereq yxrrset sip.$LAB_DOMAIN A $1" "update delete sip.$LAB_DOMAIN A" \
		"update add sip.$LAB_DOMAIN 60 A $2" send | nsupdate -k "$LAB_TSIG_KEY_FILE"
}

secondary_says() {
	[[ $(dig +short "@${LAB_DNS2_SERVER%:*}" -p "${LAB_DNS2_SERVER#*:}" "sip.$LAB_DOMAIN" A) == "$1" ]]
}

# Processes whose command line names this lab, and files that one has open there.
leftovers() {
	local proc
	for proc in /proc/[0-9]*; do
		[[ ${proc#/proc/} != "$$" ]] || continue
		if tr '\0' '\n' 2>/dev/null <"$proc/cmdline" | grep -qF "$RESITE_LAB/run/$1"; then
			echo "${proc#/proc/} still runs: $(tr '\0' ' ' <"$proc/cmdline")"
		fi
	done
	find /proc/[0-9]*/fd -lname "$RESITE_LAB/*" -printf 'open: %p %l\n' 2>/dev/null |
		grep -F "$RESITE_LAB/run/$1"
}

nothing_left() {
	local left
	left=$(leftovers "$1")
	[[ -z $left ]] || {
		echo "$left"
		return 1
	}
}

removed() {
	local name
	for name in env run pids secrets vault sites.inc vars.inc; do
		[[ ! -e $RESITE_LAB/$name ]] || {
			echo "$RESITE_LAB/$name is still there"
			return 1
		}
	done
}

# Another lab at the same time, on ports of its own.
second_lab() {
	"$lab" --dir "$work/other" --users 10 up &&
		"$sign_in" --dir "$work/other" u00010 &&
		refused "$sign_in" --dir "$work/other" u00011
}

chmod 755 "$work"
"$lab" --users 300 up
case $? in
0) echo "ok   up" ;;
77) exit 77 ;;
*) echo "FAIL up"; tail -n 20 "$RESITE_LAB"/log/*; exit 1 ;;
esac
# shellcheck source=/dev/null
. "$RESITE_LAB/env"

check "up twice leaves a running lab alone" "$lab" up
check "status is good when all runs" "$lab" status
check "every user is homed on primary, and the service account sees all" all_homed_on "$LAB_PRIMARY_POOL" "$LAB_DR_LDAPI"
check "a user signs in at primary, found by SRV" answers 200 u00001
check "so does one whose DN has a comma" answers 200 u00097
check "an unknown user is not known" answers 404 u99999
check "dr sends a user of primary away" at_dr 301 u00001
check "who follows is signed in" "$sign_in" --follow --server "$LAB_DR_SIP:$LAB_DR_SIP_PORT" u00001
check "contact lists are at primary as generated" same_contacts u00007
check "dr has no contact lists" refused contacts "$LAB_DR_XCAP" u00007
check "the directory answers over TLS" env LDAPTLS_CACERT="$LAB_CA_FILE" ldapwhoami -x -H "$LAB_DR_LDAPS"
check "and with StartTLS" env LDAPTLS_CACERT="$LAB_CA_FILE" ldapwhoami -x -ZZ -H "$LAB_PRIMARY_LDAP"

check "the service account may move a user" move u00002 "$LAB_PRIMARY_POOL" "$LAB_DR_POOL"
check "dr takes that user" at_dr 200 u00002
check "primary learns it and sends that user away" soon answers 301 u00002
check "a move at primary reaches dr too" move u00003 "$LAB_PRIMARY_POOL" "$LAB_DR_POOL" "$LAB_PRIMARY_LDAP"
check "and dr takes that user" soon at_dr 200 u00003
check "a move from where the user is not is refused" refused move u00002 "$LAB_PRIMARY_POOL" "$LAB_DR_POOL"

check "two labs run side by side" second_lab
check "and end apart" "$lab" --dir "$work/other" down

check "primary is lost" "$lab" lose primary
check "nothing of it still runs" nothing_left primary
check "status says so" refused "$lab" status
check "nobody signs in there" refused "$sign_in" u00001
check "dr goes on" at_dr 200 u00002
check "moves go on at dr" move u00001 "$LAB_PRIMARY_POOL" "$LAB_DR_POOL"
check "the address of sip changes by a signed update" set_address "$LAB_PRIMARY_ADDRESS" "$LAB_DR_ADDRESS"
check "not twice" refused set_address "$LAB_PRIMARY_ADDRESS" "$LAB_DR_ADDRESS"
check "the secondary DNS server follows" soon secondary_says "$LAB_DR_ADDRESS"
check "a moved user signs in at dr, found by SRV" answers 200 u00001
check "up leaves a lost site lost" "$lab" up
check "and nothing of it runs" nothing_left primary

check "primary comes back" "$lab" restore primary
check "with what it missed" answers 301 u00001 "$LAB_PRIMARY_SIP:$LAB_PRIMARY_SIP_PORT"
check "and with its contact lists" same_contacts u00007
check "status is good again" "$lab" status

kill -KILL "$(cat "$RESITE_LAB/pids/dr.slapd")"
check "a registrar without its directory says 503" soon at_dr 503 u00001
check "the site is repaired" "$lab" restore dr
check "and the registrar finds its directory again" at_dr 200 u00001

kill -KILL "$(cat "$RESITE_LAB/pids/dr.kamailio")"
check "up after a crash starts anew" "$lab" --users 20 up
# shellcheck source=/dev/null
. "$RESITE_LAB/env"
check "with everybody at primary" all_homed_on "$LAB_PRIMARY_POOL" "$LAB_DR_LDAPI"

check "down" "$lab" down
check "no process and no open file is left" nothing_left ""
check "no data is left" removed
check "down twice is safe" "$lab" down

echo "$failures failed"
((failures == 0))
