# shellcheck shell=bash
# What the lab says, and small helpers.

note() {
	printf 'lab: %s\n' "$*"
}

die() {
	printf 'lab: %s\n' "$*" >&2
	exit 1
}

now_ms() {
	local t=$EPOCHREALTIME
	echo $((${t/./} / 1000))
}

# program:Debian package; all that are missing are named at once. The exit status
# is the one by which a test says that it was skipped.
programs=(slapd:slapd slapadd:slapd ldapwhoami:ldap-utils named:bind9 dig:bind9-dnsutils
	kamailio:kamailio openssl:openssl setpriv:util-linux flock:util-linux)
kamailio_modules_needed=(ldap:kamailio-ldap-modules db_sqlite:kamailio-sqlite-modules
	xcap_server:kamailio-presence-modules presence:kamailio-presence-modules)

need_programs() {
	local pair missing=''
	PATH=$PATH:/usr/sbin:/sbin
	kamailio_modules=$(echo /usr/lib/*/kamailio/modules)
	for pair in "${programs[@]}"; do
		command -v "${pair%:*}" >/dev/null || missing+="${pair%:*} (apt-get install ${pair#*:}), "
	done
	for pair in "${kamailio_modules_needed[@]}"; do
		[[ -e $kamailio_modules/${pair%:*}.so ]] ||
			missing+="kamailio's ${pair%:*} module (apt-get install ${pair#*:}), "
	done
	[[ -z $missing ]] || {
		printf 'lab: not found: %s\n' "${missing%, }" >&2
		exit 77
	}
}
