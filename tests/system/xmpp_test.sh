#!/bin/bash
# Contact lists of Lync in a real XMPP server, an ejabberd of this test's own: contacts.hand-over writes
# XEP-0227, `ejabberdctl import_piefxis` reads it, and what the server exports afterwards decides, since the
# importer says 0 to a file that was cut and to a user whom the server does not know.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 ejabberdctl erl perl setsid
[[ -e $build/modules/contacts.so ]] || {
	echo "skipped: the plugin contacts is not built"
	exit 77
}
domain=contoso.example
users=50
password=lab-only
server=

# --- a server that shares nothing with one of the system: no epmd, no user of its own, loopback only ----

# shellcheck disable=SC2317 # called by the trap
end_server() {
	[[ -z $server ]] || kill -KILL -- "-$server" 2>/dev/null
	cleanup
}
trap end_server EXIT

mkdir "$work/etc" "$work/spool" "$work/logs"
read -r client_port node_port < <(perl -MIO::Socket::INET -e '
	print join(" ", map { $_->sockport } map { IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1) } 1, 2), "\n"')
cat >"$work/etc/ejabberd.yml" <<EOF2
hosts: [$domain]
loglevel: info
listen:
  - { port: $client_port, ip: "127.0.0.1", module: ejabberd_c2s }
auth_method: internal
auth_password_format: scram
modules: { mod_roster: {} }
EOF2
cat >"$work/etc/ejabberdctl.cfg" <<EOF2
ERL_DIST_PORT=$node_port
ERLANG_NODE=resite-$$@localhost
ERL_OPTIONS="-setcookie $RANDOM$RANDOM$RANDOM -kernel inet_dist_use_interface {127,0,0,1} -env ERL_CRASH_DUMP_BYTES 0"
EOF2
: >"$work/etc/inetrc"
# The packaged script becomes the user of the system's service; this server is the test's own.
sed 's/^INSTALLUSER=.*/INSTALLUSER=/' "$(command -v ejabberdctl)" >"$work/ejabberdctl"
cat >"$work/ctl" <<EOF2
#!/bin/sh
HOME='$work' exec '$work/ejabberdctl' --config-dir '$work/etc' --logs '$work/logs' --spool '$work/spool' "\$@"
EOF2

# What an administrator would write: imports stdin, because the server's user may not read resite's files.
cat >"$work/import" <<EOF2
#!/bin/sh
head -c "\${1:-1000000000}" >'$work/in.xml' && '$work/ctl' import_piefxis '$work/in.xml'
EOF2
# The export is a file for the host, and one that includes it.
cat >"$work/export" <<EOF2
#!/bin/sh
umask 077
dir=\$(mktemp -d '$work/export.XXXXXX') || exit
trap 'rm -rf "\$dir"' EXIT
'$work/ctl' export_piefxis_host "\$dir" $domain >&2 && cat "\$dir"/*_*.xml
EOF2
chmod 755 "$work/ejabberdctl" "$work/ctl" "$work/import" "$work/export"

started() {
	local try
	for ((try = 0; try < 600; try++)); do
		grep -qs "Start accepting TCP connections" "$work/logs/ejabberd.log" && return
		kill -0 "$server" 2>/dev/null || return
		sleep 0.1
	done
	return 1
}
setsid "$work/ctl" foreground >"$work/server.log" 2>&1 </dev/null &
server=$!
check "(ejabberd starts)" started

# --- who is there, and what is handed over ----------------------------------------------------------------

# An account each, with a password; the first one has a contact that the export does not have.
accounts() {
	local i
	echo "<server-data xmlns='urn:xmpp:pie:0'><host jid='$domain'>"
	for ((i = 1; i <= users; i++)); do
		printf "<user name='u%05d' password='%s'>" "$i" "$password"
		((i > 1)) || printf "<query xmlns='jabber:iq:roster'><item jid='kept@%s'/></query>" $domain
		echo "</user>"
	done
	echo "</host></server-data>"
}
accounts | check "(the accounts are made)" "$work/import"

"$build/lab/gen/gen" dbimpexp --users $users --domain $domain >"$work/lync.xml"
# one USER CONTACT...: an export of Lync with one user
one() {
	echo "<HomedResources xmlns='http://schemas.microsoft.com/RtcServer/2002/11/dbimpexp'><HomedResource UserAtHost='$1'>"
	echo "<ContactGroups><ContactGroup Number='1' DisplayName='fg==' ExternalUri=''/>"
	echo "<ContactGroup Number='2' DisplayName='' ExternalUri=''/></ContactGroups><Contacts>"
	printf "<Contact Buddy='%s' SubscribePresence='1' Groups='1 2' DisplayName=''/>" "${@:2}"
	echo "</Contacts></HomedResource></HomedResources>"
}
one "stranger@$domain" "u00001@$domain" >"$work/stranger.xml"
one "u00001@elsewhere.example" "u00001@$domain" >"$work/elsewhere.xml"
# A server that got one of these as a JID would stop at it.
one "u00002@$domain" tel:+15550100 "&quot;a b&quot;@fabrikam.example" "who@fabrikam..example" \
	"who@.example" "who@x y" "who@x/" "a/b:c&lt;&gt;&amp;@fabrikam.example" "umlaut@b&#xfc;cher.example" >"$work/odd.xml"

# hand NAME SOURCE [ARGUMENT]: a runbook that hands over
hand() {
	echo "  $1: { steps = ( { name = \"import\"; does = \"contacts.hand-over\"; timeout = \"1m\";
	with = { source = \"$work/$2.xml\"; target = \"$work/out.xml\"; target_format = \"xep0227\";
	command = [\"$work/import\"${3:+, \"$3\"}]; verify = [\"$work/export\"]; }; } ); };"
}
cat >"$plan" <<EOF2
format = 1;
name = "xmpp";
sites: { a: { }; b: { }; };
runbooks: {
$(hand whole lync)
$(hand cut lync 9000)
$(hand stranger stranger)
$(hand elsewhere elsewhere)
$(hand odd odd)
  drift: { steps = ( { name = "drift"; does = "contacts.diff";
	with = { source = "$work/out.xml"; other = "$work/there.xml"; }; } ); };
};
EOF2
move() {
	exits "$1" "$2" run "$plan" "$3" --from a --to b --mode disaster
}

# --- what the importer's exit code is worth ------------------------------------------------------------------

move 3 "a file that was cut on the way is refused, though the importer says 0" cut
says "with how many users lack something" "of $users users have not all that was handed over"
give_up
move 3 "a user whom the server does not know is refused, though the importer says 0" stranger
says "by name" "stranger@$domain has no list at all"
give_up
move 3 "a host that the server does not have is refused" elsewhere
says "with the importer's words" "Error: import_failed"
says "and the user's name" "u00001@elsewhere.example has no list at all"
give_up

# --- lists --------------------------------------------------------------------------------------------------

move 0 "the lists of $users users are handed over, and in the server's export" whole
exits 0 "(a preview)" preview "$plan" whole
says "what the format has no place for is said beforehand" "xep0227 has no place for that"
move 0 "the same again does no harm" whole

check "(the server's export)" sh -c "'$work/export' >'$work/there.xml'"
exits 0 "what was handed over and the export are compared" preview "$plan" drift
says "name by name and group by group all is there" "49 users have the same"
says "once, and what the server had besides stays" "1 changes in all"
says "(that is u00001's contact)" "u00001@$domain: kept@$domain: not there"

# roster USER: as a client of hers is told.
roster() {
	local x part said=
	local stream="<stream:stream to='$domain' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	exec {x}<>"/dev/tcp/127.0.0.1/$client_port" || return
	printf '%s' "$stream<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>$(
		printf '\0%s\0%s' "$1" "$password" | base64)</auth>" >&"$x"
	while [[ $said != *"<success "* ]]; do
		IFS= read -r -t 10 -d '>' part <&"$x" || break
		said+="$part>"
	done
	printf '%s' "$stream<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>" \
		"<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>" >&"$x"
	while [[ $said != *"</query></iq>"* ]]; do
		IFS= read -r -t 10 -d '>' part <&"$x" || break
		said+="$part>"
	done
	exec {x}>&-
	printf '%s\n' "$said"
}
# items FILE: address, name and groups of each contact of u00007
items() {
	perl -0777 -ne 's/&(apos|#39);/\x27/g; s/&quot;/"/g; my ($u) = m{(<user name=["\x27]u00007.*?</user>)}s; $u //= $_;
		while ($u =~ m{<item ([^>]*?)(/>|>(.*?)</item>)}gs) { my ($a, $g) = ($1, $3 // "");
			my ($j) = $a =~ /jid=["\x27](.*?)["\x27](?= |$)/; my ($n) = $a =~ /name=["\x27](.*?)["\x27](?= \w+=|$)/;
			print join("\t", $j, $n // "", sort $g =~ m{<group>(.*?)</group>}gs), "\n" }' "$1" | sort
}
roster u00007 >"$work/client.xml"
same "a client that signs in is told the same, with names and groups" "$(items "$work/out.xml")" "$(items "$work/client.xml")"
check "(which is a list)" test "$(items "$work/client.xml" | wc -l)" -ge 3

move 0 "what is no address of XMPP is left out, and the rest goes in" odd
roster u00002 >"$work/client.xml"
for jid in '\22a\20b\22@fabrikam' 'a\2fb\3ac\3c\3e\26@fabrikam' 'umlaut@b'; do
	check "$jid is among the client's contacts" grep -qF -e "jid='$jid" "$work/client.xml"
done

kill -KILL -- "-$server"
wait "$server" 2>/dev/null
server=
move 3 "a server that is down is refused" whole
says "with the words of ejabberdctl" "nodedown"
give_up
finish
