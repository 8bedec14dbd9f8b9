# shellcheck shell=bash
# What lab/samba puts into its directory: Lync's schema as far as resite reads it, pools, contacts, users.
# Numbers under 1.2.840.113556.1.6.24.1 are those of Microsoft's schema; those under 1.3.6.1.4.1.99999.1
# are of this lab alone, because the true ones were not found in public.
# shellcheck disable=SC2034 # names for lab/samba

realm=AD.CONTOSO.EXAMPLE
domain_short=CONTOSO
root=DC=ad,DC=contoso,DC=example
host=dc1.ad.contoso.example
password=Lab.Passw0rd
rtc="CN=RTC Service,CN=Services,CN=Configuration,$root"

# name number syntax: dn, text, bool or int
attributes="
msRTCSIP-PrimaryUserAddress 1.2.840.113556.1.6.24.1.1 text
msRTCSIP-UserEnabled 1.2.840.113556.1.6.24.1.6 bool
msRTCSIP-TargetHomeServer 1.2.840.113556.1.6.24.1.47 dn
msRTCSIP-PrimaryHomeServer 1.2.840.113556.1.6.24.1.57 dn
msRTCSIP-OptionFlags 1.2.840.113556.1.6.24.1.87 int
msRTCSIP-BackEndServer 1.3.6.1.4.1.99999.1.1.1 text
msRTCSIP-ConferenceDirectoryHomePool 1.3.6.1.4.1.99999.1.1.2 dn
msRTCSIP-ConferenceDirectoryTargetPool 1.3.6.1.4.1.99999.1.1.3 dn"
declare -A syntax=([dn]="2.5.5.1 127" [text]="2.5.5.12 64" [bool]="2.5.5.8 1" [int]="2.5.5.9 2")

# name number attributes it may have
classes="
msRTCSIP-Pools 1.3.6.1.4.1.99999.1.2.1
msRTCSIP-Pool 1.3.6.1.4.1.99999.1.2.2 dNSHostName
msRTCSIP-PoolService 1.3.6.1.4.1.99999.1.2.3
msRTCSIP-GlobalTopologySetting 1.3.6.1.4.1.99999.1.2.4 msRTCSIP-BackEndServer
msRTCSIP-ConferenceDirectory 1.3.6.1.4.1.99999.1.2.5 msRTCSIP-ConferenceDirectoryHomePool msRTCSIP-ConferenceDirectoryTargetPool"

# schema attributes|classes|extend: LDIF
schema() {
	local name number rest kind om may
	case $1 in
	attributes)
		while read -r name number rest; do
			[[ $name ]] || continue
			read -r kind om <<<"${syntax[$rest]}"
			printf '%s\n' "dn: CN=$name,CN=Schema,CN=Configuration,$root" "objectClass: attributeSchema" \
				"lDAPDisplayName: $name" "attributeID: $number" "attributeSyntax: $kind" \
				"oMSyntax: $om" "isSingleValued: TRUE" "searchFlags: 1" \
				"isMemberOfPartialAttributeSet: TRUE"
			# The object class of DS-DN values, 1.3.12.2.1011.28.0.714.
			[[ $rest != dn ]] || echo "oMObjectClass:: KwwCh3McAIVK"
			echo
		done <<<"$attributes"
		;;
	classes)
		while read -r name number rest; do
			[[ $name ]] || continue
			printf '%s\n' "dn: CN=$name,CN=Schema,CN=Configuration,$root" "objectClass: classSchema" \
				"lDAPDisplayName: $name" "governsID: $number" "objectClassCategory: 1" \
				"subClassOf: container" "rDNAttID: cn" "possSuperiors: container" \
				"systemOnly: FALSE" "defaultObjectCategory: CN=$name,CN=Schema,CN=Configuration,$root"
			for may in $rest; do
				echo "mayContain: $may"
			done
			echo
		done <<<"$classes"
		;;
	extend)
		for name in User Contact; do
			printf '%s\n' "dn: CN=$name,CN=Schema,CN=Configuration,$root" "changetype: modify" \
				"add: mayContain"
			for may in PrimaryUserAddress UserEnabled TargetHomeServer PrimaryHomeServer OptionFlags; do
				echo "mayContain: msRTCSIP-$may"
			done
			printf -- '-\n\n'
		done
		;;
	esac
}

home() {
	echo "CN=Lc Services,CN=Microsoft,CN=$1,CN=Pools,$rtc"
}

# object CLASS DN [LINE...]
object() {
	printf 'dn: %s\nobjectClass: %s\n' "$2" "$1"
	(($# < 3)) || printf '%s\n' "${@:3}"
	echo
}

tree() {
	local n
	object container "$rtc"
	object container "CN=Topology Settings,$rtc"
	object msRTCSIP-GlobalTopologySetting "CN=CMS,CN=Topology Settings,$rtc" \
		'msRTCSIP-BackEndServer: se01.contoso.example\rtc'
	object msRTCSIP-Pools "CN=Pools,$rtc"
	for n in 1 2; do
		object msRTCSIP-Pool "CN=$n:1,CN=Pools,$rtc" "dNSHostName: pool0$n.contoso.example"
		object container "CN=Microsoft,CN=$n:1,CN=Pools,$rtc"
		object msRTCSIP-PoolService "$(home $n:1)"
	done
	object container "CN=Application Contacts,$rtc"
	for n in Attendant "Sales Group" "Support Group"; do
		object contact "CN=$n,CN=Application Contacts,$rtc" "msRTCSIP-PrimaryHomeServer: $(home 1:1)"
	done
	for n in 1 2; do
		object msRTCSIP-ConferenceDirectory "CN=Directory $n,$rtc" \
			"msRTCSIP-ConferenceDirectoryHomePool: $(home 1:1)"
	done
	object organizationalUnit "OU=Staff,$root"
}

# mover may change everything, reader may look.
accounts() {
	local name secret
	secret=$(printf %s "$password" | sed 's/./&\x00/g' | base64)
	for name in mover reader; do
		object user "CN=$name,CN=Users,$root" "sAMAccountName: $name" "userPrincipalName: $name@${realm,,}" \
			"userAccountControl: 512" "clearTextPassword:: $secret"
	done
}

admins() {
	local group
	printf 'dn: CN=DC1,OU=Domain Controllers,%s\nchangetype: modify\nadd: servicePrincipalName\n' "$root"
	printf 'servicePrincipalName: ldap/%s\n-\n\n' "$host"
	for group in "Domain Admins" "Enterprise Admins"; do
		printf 'dn: CN=%s,CN=Users,%s\nchangetype: modify\nadd: member\nmember: CN=mover,CN=Users,%s\n-\n\n' \
			"$group" "$root" "$root"
	done
}

people() {
	awk -v n="$1" -v root="$root" -v home="$(home 1:1)" 'BEGIN {
		for (i = 1; i <= n; i++)
			printf "dn: CN=User %05d,OU=Staff,%s\nobjectClass: user\nsAMAccountName: u%05d\n" \
			       "department: %s\nmsRTCSIP-PrimaryUserAddress: sip:u%05d@contoso.example\n" \
			       "msRTCSIP-UserEnabled: TRUE\nmsRTCSIP-PrimaryHomeServer: %s\n\n",
			       i, root, i, i % 10 ? "sales" : "board", i, home
	}'
}
