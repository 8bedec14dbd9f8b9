#!/bin/bash
# by_hand.sh: the failover of the lab as a careful administrator would script it, one thing after
# the other: the users' home, their contact lists, DNS, and a sign-in to see that it works.
#	RESITE_LAB=DIR by_hand.sh LISTS       LISTS: a folder with a file for each user's list
# It has none of what resite has: no record of what was there, no resume, no look at the result.
set -eu -o pipefail
lists=$1
# shellcheck source=/dev/null
. "$RESITE_LAB/env"
lab=$(dirname "$(readlink -f "$0")")/../lab
say() { printf '%(%T)T %s\n' -1 "$*"; }

bind=(-x -H "$LAB_DR_LDAP" -D "$LAB_BIND_DN" -y "$LAB_BIND_PASSWORD_FILE")
say "users"
ldapsearch "${bind[@]}" -LLL -o ldif-wrap=no -E pr=1000/noprompt -b "ou=Staff,$LAB_SUFFIX" \
	"(msRTCSIP-PrimaryHomeServer=$LAB_PRIMARY_POOL)" 1.1 |
	awk -v from="$LAB_PRIMARY_POOL" -v to="$LAB_DR_POOL" -v a=msRTCSIP-PrimaryHomeServer '/^dn:/ {
		print $0 "\nchangetype: modify\ndelete: " a "\n" a ": " from "\n-\nadd: " a "\n" a ": " to "\n-\n" }' |
	ldapmodify "${bind[@]}" >/dev/null
say "contact lists"
for list in "$lists"/*; do
	curl -sS -f -o /dev/null -T "$list" -H 'Content-Type: application/resource-lists+xml' \
		"$LAB_DR_XCAP/resource-lists/users/${list##*/}/index"
done
say "DNS"
nsupdate -k "$LAB_TSIG_KEY_FILE" <<-EOT
	server $LAB_DNS_HOST $LAB_DNS_PORT
	zone $LAB_DOMAIN
	update delete sip.$LAB_DOMAIN A
	update add sip.$LAB_DOMAIN 60 A $LAB_DR_ADDRESS
	send
EOT
say "sign-in"
"$lab/sign-in" u00001
say "done"
