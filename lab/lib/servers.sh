# shellcheck shell=bash
# Starting servers, and asking whether they answer.

launch() {
	local site=${1%.*} config
	config=$(config_of "$1")
	case $1 in
	*.slapd)
		spawn "$1" slapd -d none -f "$config" -h "ldap://${site_address[$site]}:$(port ldap)/ \
ldaps://${site_address[$site]}:$(port ldaps)/ $(ldapi_url "$site")"
		;;
	*.kamailio)
		rm -f "$run_dir/$site/ctl"
		spawn "$1" kamailio -f "$config" -DD -E -m 64 -M 8 -w "$run_dir/$site" -Y "$run_dir/$site"
		;;
	*.named)
		spawn "$1" named -f -4 -n 1 -c "$config"
		;;
	*) "launch_${1#*.}" "$site" "$config" ;;
	esac
}

# start_servers NAME...: all at once, then waits until each answers. A registrar
# does not start without its directory, and a secondary DNS server that does not
# find its primary asks again only much later: these come second. Servers of the
# parts come in the wave that their part says (parts.sh).
start_servers() {
	local name first=() second=() third=()
	for name; do
		case $name in
		*.kamailio | dns2.*) second+=("$name") ;;
		*)
			case ${wave[${name#*.}]-1} in
			1) first+=("$name") ;;
			2) second+=("$name") ;;
			*) third+=("$name") ;;
			esac
			;;
		esac
	done
	start_wave "${first[@]}"
	start_wave "${second[@]}"
	start_wave "${third[@]}"
}

start_wave() {
	local name
	for name; do
		launch "$name"
	done
	for name; do
		wait_for "$name"
	done
}

wait_for() {
	local deadline=$(($(now_ms) + 30000))
	until answers "$1"; do
		if ! is_running "$1"; then
			sleep 0.2
			is_running "$1" || die "$1 ended at its start: $(last_words "$1")"
		fi
		(($(now_ms) < deadline)) || die "$1 does not answer after 30 s: $(last_words "$1")"
		sleep 0.02
	done
}

last_words() {
	tail -n 5 "$lab_dir/log/$1"
	echo "(all of it in $lab_dir/log/$1)"
}

# A real question to each server, not only a connection.
answers() {
	local site=${1%.*}
	case $1 in
	*.slapd) timeout 3 ldapwhoami -x -H "ldap://${site_address[$site]}:$(port ldap)" >/dev/null 2>&1 ;;
	*.kamailio) sip_answers "${site_address[$site]}" "$(port sip)" ;;
	*.named) [[ $(dig +short +time=1 +tries=1 "@127.0.0.1" -p "$(port "$site")" "$domain" SOA 2>/dev/null) == ns1.* ]] ;;
	*) "answers_${1#*.}" "$site" ;;
	esac
}

sip_answers() {
	local line first=''
	exec {sip}<>"/dev/tcp/$1/$2" || return 1
	printf '%s\r\n' "OPTIONS sip:$domain SIP/2.0" "Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK$SRANDOM" \
		"From: <sip:lab@$domain>;tag=$SRANDOM" "To: <sip:$domain>" "Call-ID: $SRANDOM@lab" \
		"CSeq: 1 OPTIONS" "Max-Forwards: 5" "Content-Length: 0" "" >&"$sip" &&
		read -r -t 2 first <&"$sip"
	# To the end of the head: what is left unread would reset the connection.
	while read -r -t 2 line <&"$sip" && [[ $line != $'\r' ]]; do :; done
	exec {sip}>&-
	[[ $first == "SIP/2.0 200"* ]]
} 2>/dev/null

# How far a site's directory has come: for each directory that takes writes, the
# number of the newest change from there. Nothing if it does not answer.
change_numbers() {
	timeout 10 ldapsearch -LLL -Q -o ldif-wrap=no -Y EXTERNAL -H "$(ldapi_url "$1")" \
		-s base -b "$suffix" contextCSN 2>/dev/null | sed -n 's/^contextCSN: //p'
}

# has_seen NUMBER NUMBERS: is there one from the same directory, not older?
has_seen() {
	local number
	for number in $2; do
		# time#count#directory#modification: comparable as text
		[[ ${number: -10:3} != "${1: -10:3}" || $number < $1 ]] || return 0
	done
	return 1
}

# durable SITE TRUE|FALSE: whether a directory flushes each change to the disk.
durable() {
	local nosync=TRUE
	[[ $2 == FALSE ]] || nosync=FALSE
	quietly ldapmodify -Q -Y EXTERNAL -H "$(ldapi_url "$1")" <<-EOF
	dn: olcDatabase={1}mdb,cn=config
	changetype: modify
	replace: olcDbNoSync
	olcDbNoSync: $nosync
	EOF
}

# Waits until the directory of SITE has all that the other one has now. What is
# copied need not be flushed one by one: a crash would only copy it again.
catch_up() {
	local wanted number began deadline
	began=$(now_ms)
	deadline=$((began + 600000))
	wanted=$(change_numbers "${other[$1]}")
	durable "$1" FALSE
	for number in $wanted; do
		until has_seen "$number" "$(change_numbers "$1")"; do
			(($(now_ms) < deadline)) ||
				die "the directory of $1 has not caught up in 10 minutes: $(last_words "$1.slapd")"
			sleep 0.1
		done
	done
	durable "$1" TRUE
	note "the directory of $1 has what ${other[$1]} has, after $(($(now_ms) - began)) ms"
}
