# shellcheck shell=bash
# Names, addresses, secrets, and the files made from the templates in lab/conf.

all_servers=(primary.slapd primary.kamailio dr.slapd dr.kamailio dns.named dns2.named)
domain=contoso.example
suffix=dc=contoso,dc=example
pools_dn="CN=Pools,CN=RTC Service,CN=Services,CN=Configuration,DC=contoso,DC=example"

declare -A site_address=([primary]=127.1.0.10 [dr]=127.2.0.10 [dns]=127.0.0.1 [dns2]=127.0.0.1)
declare -A site_pool=(
	[primary]="CN=Lc Services,CN=Microsoft,CN=1:1,$pools_dn"
	[dr]="CN=Lc Services,CN=Microsoft,CN=2:1,$pools_dn")
declare -A site_fqdn=([primary]=pool01.$domain [dr]=drse01.$domain)
declare -A site_number=([primary]=1 [dr]=2)
declare -A other=([primary]=dr [dr]=primary)
# In the block of ports: the same for both sites, so that only addresses differ.
declare -A port_offset=([sip]=0 [xcap]=1 [ldap]=2 [ldaps]=3 [dns]=4 [dns2]=5)
# From 8 on: those of the parts, given by parts.sh.

port() {
	echo $((ports + port_offset[$1]))
}

config_of() {
	case $1 in
	*.slapd) echo "$run_dir/${1%.*}/slapd.conf" ;;
	*.kamailio) echo "$run_dir/${1%.*}/kamailio.cfg" ;;
	*.named) echo "$run_dir/${1%.*}/named.conf" ;;
	*) "config_${1#*.}" "${1%.*}" ;;
	esac
}

address_of() {
	local site=${1%.*}
	case $1 in
	*.slapd) echo "ldap://${site_address[$site]}:$(port ldap) ldaps:$(port ldaps)" ;;
	*.kamailio) echo "sip:${site_address[$site]}:$(port sip) http:$(port xcap)" ;;
	*.named) echo "${site_address[$site]}:$(port "$site")" ;;
	*) "address_${1#*.}" "$site" ;;
	esac
}

is_lost() {
	[[ -e $lab_dir/pids/lost.${1%.*} ]]
}

# Server data is in DIR, or, where the server's user cannot go there or the path
# is too long for a unix socket, in a directory of its own in /tmp.
choose_run_dir() {
	mkdir -p "$lab_dir"/{pids,log,secrets,vault} || die "cannot make directories in $lab_dir"
	chmod 700 "$lab_dir/secrets"
	remove_run
	run_dir=$lab_dir/run
	if ((${#run_dir} > 80)) || ! reachable "$lab_dir"; then
		run_dir=$(mktemp -d /tmp/resite-lab.XXXXXX) || die "cannot make a directory in /tmp"
		ln -sfn "$run_dir" "$lab_dir/run"
		note "servers cannot work in $lab_dir: their data is in $run_dir"
	fi
	mkdir -p "$run_dir"/{primary,dr}/{ldap,xcap} "$run_dir"/{dns,dns2,tls} || die "cannot make directories in $run_dir"
	chmod 755 "$run_dir"
}

reachable() {
	((EUID != 0)) || setpriv --reuid=nobody --regid=nogroup --clear-groups test -x "$1" -a -r "$1"
}

make_secrets() {
	local name
	umask 077
	for name in resite admin replicator registrar; do
		openssl rand -hex 16 | tr -d '\n' >"$lab_dir/secrets/$name.password" || die "openssl rand failed"
	done
	printf 'key "resite." {\n\talgorithm hmac-sha256;\n\tsecret "%s";\n};\n' \
		"$(openssl rand -base64 32)" >"$lab_dir/secrets/tsig.key"
	cp "$lab_dir/secrets/tsig.key" "$run_dir/tsig.key"
	make_certificates
	umask 022
	chmod 755 "$run_dir/tls"
}

# The words of a failed openssl are worth more than ours.
quietly() {
	local out
	out=$("$@" 2>&1) || die "$1 $2 failed: $out"
}

make_certificates() {
	local tls=$run_dir/tls site
	quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
		-keyout "$tls/ca.key" -out "$tls/ca.pem" -subj "/CN=resite lab CA" \
		-addext keyUsage=critical,keyCertSign,cRLSign
	for site in primary dr; do
		quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
			-keyout "$tls/$site.key" -out "$tls/$site.csr" -subj "/CN=${site_fqdn[$site]}"
		printf 'subjectAltName=DNS:%s,DNS:sip.%s,DNS:%s,IP:%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' \
			"${site_fqdn[$site]}" "$domain" "$domain" "${site_address[$site]}" >"$tls/ext"
		quietly openssl x509 -req -in "$tls/$site.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" \
			-CAcreateserial -days 3650 -sha256 -extfile "$tls/ext" -out "$tls/$site.pem"
	done
	rm -f "$tls"/*.csr "$tls/ext" "$tls/ca.key" "$tls/ca.srl"
	cp "$tls/ca.pem" "$lab_dir/ca.pem"
	chmod 644 "$tls"/*.pem "$lab_dir/ca.pem"
}

secret() {
	cat "$lab_dir/secrets/$1.password"
}

# In an LDAP URL a DN's colons, spaces and commas are percent-encoded.
url_dn() {
	local dn=${1// /%20}
	echo "${dn//:/%3a}"
}

# What the templates may use, for one site.
site_values() {
	local site=$1 far=${other[${1}]-}
	values=([SITE]=$site [HOME]=$run_dir/$site [RUN]=$run_dir [CONF]=$run_dir
		[ADDRESS]=${site_address[$site]} [DOMAIN]=$domain [SUFFIX]=$suffix
		[SIP_PORT]=$(port sip) [XCAP_PORT]=$(port xcap) [LDAP_PORT]=$(port ldap)
		[PRIMARY_ADDRESS]=${site_address[primary]} [DR_ADDRESS]=${site_address[dr]}
		[KAMAILIO_MODULES]=$kamailio_modules/ [CALLER_UID]=$(id -u) [CALLER_GID]=$(id -g)
		[RESITE_PASSWORD]=$(secret resite) [ADMIN_PASSWORD]=$(secret admin)
		[REPLICATOR_PASSWORD]=$(secret replicator) [REGISTRAR_PASSWORD]=$(secret registrar))
	[[ -n $far ]] || return 0
	values+=([SERVER_ID]=${site_number[$site]} [OTHER_SITE]=$far [OTHER_ADDRESS]=${site_address[$far]}
		[POOL_URL]=$(url_dn "${site_pool[$site]}") [OTHER_POOL_URL]=$(url_dn "${site_pool[$far]}"))
}

# render TEMPLATE FILE: @NAME@ becomes values[NAME]
render() {
	local text name
	text=$(<"$here/conf/$1") || die "cannot read $here/conf/$1"
	while [[ $text =~ @([A-Z_]+)@ ]]; do
		name=${BASH_REMATCH[1]}
		[[ -v values[$name] ]] || die "lab/conf/$1: there is no value $name"
		text=${text//"@$name@"/${values[$name]}}
	done
	printf '%s\n' "$text" >"$2" || die "cannot write $2"
}

write_files() {
	local site
	local -A values
	umask 077
	for site in primary dr; do
		site_values "$site"
		render slapd.conf.in "$run_dir/$site/slapd.conf"
		render kamailio.cfg.in "$run_dir/$site/kamailio.cfg"
		render ldap.cfg.in "$run_dir/$site/ldap.cfg"
	done
	site_values dns
	cp "$here/conf/msrtcsip.schema" "$run_dir/msrtcsip.schema"
	render tree.ldif.in "$run_dir/tree.ldif"
	render zone.in "$run_dir/dns/$domain.zone"
	values[PORT]=$(port dns)
	values[ZONE]="zone \"$domain\" { type primary; file \"$domain.zone\"; allow-update { key \"resite.\"; };
	allow-transfer { 127.0.0.0/8; }; also-notify { 127.0.0.1 port $(port dns2); }; };"
	render named.conf.in "$run_dir/dns/named.conf"
	site_values dns2
	values[PORT]=$(port dns2)
	values[ZONE]="zone \"$domain\" { type secondary; file \"$domain.zone\"; primaries port $(port dns) { 127.0.0.1; }; };"
	render named.conf.in "$run_dir/dns2/named.conf"
	each_part write
	umask 022
	write_env
	write_includes
	write_users
	rm -f "$lab_dir/.choosing"
}

# Shell variables for scripts.
write_env() {
	local site up
	{
		echo "# The lab's addresses; what they mean: lab/README.md."
		echo "LAB_DIR=$lab_dir"
		echo "LAB_RUN=$run_dir"
		echo "LAB_PORTS=$ports"
		echo "LAB_USERS=$users"
		echo "LAB_PARTS='${parts[*]}'"
		echo "LAB_DOMAIN=$domain"
		echo "LAB_SUFFIX=$suffix"
		echo "LAB_BIND_DN=cn=resite,$suffix"
		echo "LAB_BIND_PASSWORD_FILE=$lab_dir/secrets/resite.password"
		echo "LAB_ADMIN_DN=cn=admin,$suffix"
		echo "LAB_ADMIN_PASSWORD_FILE=$lab_dir/secrets/admin.password"
		echo "LAB_CA_FILE=$lab_dir/ca.pem"
		echo "LAB_TSIG_KEY_FILE=$lab_dir/secrets/tsig.key"
		echo "LAB_TSIG_NAME=resite."
		echo "LAB_DNS_HOST=127.0.0.1"
		echo "LAB_DNS_PORT=$(port dns)"
		echo "LAB_DNS_SERVER=127.0.0.1:$(port dns)"
		echo "LAB_DNS2_SERVER=127.0.0.1:$(port dns2)"
		echo "LAB_VAULT=$lab_dir/vault"
		echo "LAB_USERS_FILE=$lab_dir/users.txt"
		for site in primary dr; do
			up=${site^^}
			echo "LAB_${up}_ADDRESS=${site_address[$site]}"
			echo "LAB_${up}_POOL='${site_pool[$site]}'"
			echo "LAB_${up}_POOL_FQDN=${site_fqdn[$site]}"
			echo "LAB_${up}_LDAP=ldap://${site_address[$site]}:$(port ldap)"
			echo "LAB_${up}_LDAPS=ldaps://${site_address[$site]}:$(port ldaps)"
			echo "LAB_${up}_LDAPI=$(ldapi_url "$site")"
			echo "LAB_${up}_XCAP=http://${site_address[$site]}:$(port xcap)/xcap-root"
			echo "LAB_${up}_SIP=${site_address[$site]}"
			echo "LAB_${up}_SIP_PORT=$(port sip)"
		done
		each_part env
	} >"$lab_dir/env.new" || die "cannot write $lab_dir/env.new"
	mv "$lab_dir/env.new" "$lab_dir/env" || die "cannot write $lab_dir/env"
}

ldapi_url() {
	local path=$run_dir/$1/ldapi
	echo "ldapi://${path//\//%2F}"
}

# The same for a plan: @include "sites.inc" and, within vars, @include "vars.inc".
write_includes() {
	local site
	{
		echo "sites: {"
		for site in primary dr; do
			printf '  %s: {\n' "$site"
			printf '    %s = "%s";\n' pool "${site_pool[$site]}" pool_fqdn "${site_fqdn[$site]}" \
				ldap "ldap://${site_address[$site]}:$(port ldap)" \
				ldaps "ldaps://${site_address[$site]}:$(port ldaps)" \
				ldaps_at "${site_address[$site]}:$(port ldaps)" \
				ldapi "$(ldapi_url "$site")" pools_base "$pools_dn" \
				xcap "http://${site_address[$site]}:$(port xcap)/xcap-root" \
				sip "${site_address[$site]}" sip_port "$(port sip)"
			each_part site "$site"
			printf '    networks = ["%s.0.0/16"];\n  };\n' "${site_address[$site]%.*.*}"
		done
		echo "};"
	} >"$lab_dir/sites.inc" || die "cannot write $lab_dir/sites.inc"
	{
		each_part vars
		printf '%s = "%s";\n' domain "$domain." sip_domain "$domain" users_base "ou=Staff,$suffix" \
			bind_dn "cn=resite,$suffix" password_file "$lab_dir/secrets/resite.password" \
			dns_server "127.0.0.1:$(port dns)" dns_secondary "127.0.0.1:$(port dns2)" \
			tsig_key_file "$lab_dir/secrets/tsig.key" ca_file "$lab_dir/ca.pem" \
			vault "$lab_dir/vault" users_file "$lab_dir/users.txt"
	} >"$lab_dir/vars.inc" ||
		die "cannot write $lab_dir/vars.inc"
}

# Everybody's SIP address, one a line: what a site has in its own address book.
write_users() {
	awk -v n="$users" -v domain="$domain" \
		'BEGIN { for (i = 1; i <= n; i++) printf "sip:u%05d@%s\n", i, domain }' \
		>"$lab_dir/users.txt" || die "cannot write $lab_dir/users.txt"
}

load() {
	[[ -r $lab_dir/env ]] || die "$lab_dir: there is no lab; lab up makes one"
	# shellcheck source=/dev/null
	. "$lab_dir/env"
	run_dir=$LAB_RUN ports=$LAB_PORTS
	read -r -a parts <<<"$LAB_PARTS"
	use_parts
	need_programs
}

# Everything but the logs, which tell what went wrong.
remove_all() {
	kill_servers TERM "${all_servers[@]}"
	release_ports "$ports"
	remove_files
}

remove_files() {
	remove_run
	rm -rf "${lab_dir:?}"/{pids,secrets,vault,env,sites.inc,vars.inc,users.txt,ca.pem,.choosing,bin}
}

remove_run() {
	local elsewhere
	if elsewhere=$(readlink "$lab_dir/run") && [[ $elsewhere == /tmp/resite-lab.?????? ]]; then
		rm -rf "$elsewhere"
	fi
	rm -rf "${lab_dir:?}/run"
}
