# shellcheck shell=bash disable=SC2034,SC2154 # the variables of lab/lab
# The edge, which survives the loss of a site: a Kamailio that hands what comes from
# outside to one site's registrar, by its dispatcher list, and a HAProxy with the simple
# URLs (meet, dialin, admin) in front of a web server in each site.
all_servers+=(edge.proxy edge.reverse primary.web dr.web)
site_address[edge]=127.0.0.1
wave[proxy]=3
wave[reverse]=2
wave[web]=1
programs+=(haproxy:haproxy kamcmd:kamailio)

config_proxy() { echo "$run_dir/edge/kamailio.cfg"; }
config_reverse() { echo "$run_dir/edge/haproxy.cfg"; }
config_web() { echo "$run_dir/$1/web.cfg"; }

launch_proxy() {
	rm -f "$run_dir/edge/ctl"
	spawn edge.proxy kamailio -f "$2" -DD -E -m 32 -M 8 -w "$run_dir/edge" -Y "$run_dir/edge"
}
launch_reverse() { spawn edge.reverse haproxy -db -f "$2"; }
launch_web() { spawn "$1.web" haproxy -db -f "$2"; }

# Whatever its next hop does: it is asked over RPC.
answers_proxy() {
	[[ $(http_get 127.0.0.1 "$(port edge_rpc)" /alive) == edge ]]
}
answers_reverse() { [[ $(http_get 127.0.0.1 "$(port web)" /edge-alive) == edge ]]; }
answers_web() { [[ $(http_get "${site_address[$1]}" "$(port web_back)" /) == "$1" ]]; }

address_proxy() { echo "sip:127.0.0.1:$(port edge) http:$(port edge_rpc)"; }
address_reverse() { echo "http://127.0.0.1:$(port web) $run_dir/edge/haproxy.sock"; }
address_web() { echo "http://${site_address[$1]}:$(port web_back)"; }

# http_get HOST PORT PATH: the answer's body
http_get() {
	local line length=0 body=''
	exec {web}<>"/dev/tcp/$1/$2" || return 1
	printf '%s\r\n' "GET $3 HTTP/1.1" "Host: lab" "Connection: close" "" >&"$web"
	while read -r -t 2 line <&"$web" && [[ $line != $'\r' ]]; do
		line=${line,,}
		[[ $line != content-length:* ]] || length=${line//[!0-9]/}
	done
	# Not to the end: Kamailio keeps the connection.
	((length == 0)) || read -r -t 2 -N "$length" body <&"$web"
	exec {web}>&-
	echo "$body"
} 2>/dev/null

edge_hop() { echo "sip:${site_address[$1]}:$(port sip);transport=tcp"; }

part_edge_write() {
	local site
	local -A values
	mkdir -p "$run_dir/edge" || die "cannot make $run_dir/edge"
	for site in primary dr edge; do
		site_values "$site"
		values+=([EDGE_PORT]=$(port edge) [EDGE_RPC_PORT]=$(port edge_rpc) [WEB_PORT]=$(port web)
			[WEB_BACK_PORT]=$(port web_back))
		case $site in
		edge)
			render edge-kamailio.cfg.in "$run_dir/edge/kamailio.cfg"
			render edge-haproxy.cfg.in "$run_dir/edge/haproxy.cfg"
			;;
		*) render web.cfg.in "$run_dir/$site/web.cfg" ;;
		esac
	done
}

part_edge_data() {
	cat >"$run_dir/edge/dispatcher.list" <<-EOF || die "cannot write $run_dir/edge/dispatcher.list"
	# Next hops of the edge: set, destination, flags (4: disabled), priority, attributes.
	1 $(edge_hop primary) 0 10 duid=primary
	1 $(edge_hop dr) 4 5 duid=dr
	EOF
}

part_edge_env() {
	echo "LAB_EDGE_LIST=$run_dir/edge/dispatcher.list"
	echo "LAB_EDGE_RPC=http://127.0.0.1:$(port edge_rpc)/RPC"
	echo "LAB_EDGE_KAMCMD=unix:$run_dir/edge/ctl"
	echo "LAB_EDGE_SIP=127.0.0.1:$(port edge)"
	echo "LAB_WEB_SOCKET=$run_dir/edge/haproxy.sock"
	echo "LAB_WEB_URL=http://127.0.0.1:$(port web)/"
}

part_edge_site() {
	printf '    %s = "%s";\n' edge_hop "$(edge_hop "$1")" web "${site_address[$1]}:$(port web_back)" \
		web_server "$1"
}

part_edge_vars() {
	printf '%s = "%s";\n' edge_list "$run_dir/edge/dispatcher.list" \
		edge_rpc "http://127.0.0.1:$(port edge_rpc)/RPC" edge_kamcmd "unix:$run_dir/edge/ctl" \
		edge_sip "127.0.0.1:$(port edge)" web_socket "$run_dir/edge/haproxy.sock" \
		web_url "http://127.0.0.1:$(port web)/"
	printf 'simple_urls = ["meet", "dialin", "admin"];\n'
}
