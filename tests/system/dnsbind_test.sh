#!/bin/bash
# A zone file of a real named is edited in a run; everything is killed between the replacing of
# the file and the reload, and later in the middle of the checker: resume sees what was done and
# does the rest, and undo puts the values back and keeps what somebody else has written meanwhile.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 named rndc named-checkzone dig
[[ -e $build/modules/dns-bind.so ]] || {
	echo "skipped: the plugin dns-bind is not built"
	exit 77
}

# Two ports that nobody has; tried again with others if somebody was faster.
port=$((20000 + RANDOM % 20000))
zone=$work/named/db.contoso
mkdir "$work/named"
cat >"$zone" <<'EOZ'
; contoso, kept by hand
$TTL 300
@	SOA	ns1 admin ( 2020010101 ; serial
		3600 600 86400 60 )
	NS	ns1
ns1	A	127.0.0.1
sip	A	10.1.0.10 ; the pool
EOZ
cp "$zone" "$work/before"
start_named() {
	key='key "rndc-key" { algorithm hmac-sha256; secret "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="; };'
	cat >"$work/named/named.conf" <<EON
$key
controls { inet 127.0.0.1 port $((port + 1)) allow { any; } keys { "rndc-key"; }; };
options { directory "$work/named"; pid-file "pid"; lock-file none; session-keyfile "session.key";
 managed-keys-directory "$work/named"; listen-on port $port { 127.0.0.1; }; listen-on-v6 { none; };
 recursion no; dnssec-validation no; empty-zones-enable no; notify no; };
logging { channel f { file "log"; severity info; }; category default { f; }; };
zone "contoso.example" { type primary; file "db.contoso"; };
EON
	printf '%s\noptions { default-key "rndc-key"; default-server 127.0.0.1; default-port %d; };\n' \
		"$key" $((port + 1)) >"$work/named/rndc.conf"
	named -f -4 -n 1 -c "$work/named/named.conf" &
	soon serves sip 10.1.0.10
}
serves() {
	[[ $(dig +short +time=1 +tries=1 "@127.0.0.1" -p "$port" "$1.contoso.example" A) == "$2" ]]
}
until start_named; do
	((tries = ${tries:-0} + 1, tries < 5)) || { echo "FAIL named starts"; exit 1; }
	port=$((20000 + RANDOM % 20000))
done

# A program that waits before it does what it is for, while there is a file hold.NAME.
hold() { # NAME PROGRAM WORD
	cat >"$work/$1" <<EOS
#!/bin/bash
if [[ -e "$work/hold.$1" && " \$* " == *" $3 "* ]]; then
	touch "$work/held.$1"
	for ((i = 0; i < 600; i++)); do read -r -t 0.1 <> <(:); done
fi
exec $(command -v "$2") "\$@"
EOS
	chmod 755 "$work/$1"
}
hold reload rndc reload
hold checker named-checkzone contoso.example.

cat >"$plan" <<EOP
format = 1; name = "bind"; sites: { a: { sip = "10.1.0.10"; }; b: { sip = "10.2.0.10"; }; };
runbooks: { move: { steps = (
  { name = "dns"; does = "dns-bind.set"; timeout = "30s";
    with = { zone = "contoso.example."; file = "$zone"; server = "127.0.0.1:$port";
             rndc = "$work/reload"; rndc_conf = "$work/named/rndc.conf"; checkzone = "$work/checker";
             record = ["sip 60 A \${to.sip}", "new 60 A \${to.sip}"]; }; } ); }; };
EOP

# killed NAME: a run that is killed, with all it has started, while NAME is held.
killed() {
	rm -f "$work/held.$1"
	touch "$work/hold.$1"
	launch run "$plan" move --from a --to b
	check "the run comes to where it is held" soon test -e "$work/held.$1"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	no_process_left "nothing of it is left"
	rm "$work/hold.$1"
}

exits 0 "a preview" preview "$plan" move --from a --to b
says "shows the values" "300 10.1.0.10"
same "and changes nothing" "$(<"$work/before")" "$(<"$zone")"

killed checker
same "killed before the rename: the file is what it was" "$(<"$work/before")" "$(<"$zone")"
exits 0 "resume does it" resume last
check "and it is served" serves sip 10.2.0.10
same "nothing is left beside the file" "" "$(find "$work/named" -name '.*resite*')"
check "comments stay" grep -q '^sip.*10.2.0.10 ; the pool$' "$zone"

echo 'other A 10.9.9.9' >>"$zone"
exits 0 "undo" undo last
check "the old value is served" soon serves sip 10.1.0.10
check "what others wrote stays" grep -q '^other A 10.9.9.9$' "$zone"
same "all else is as it was" "$(sed 's/2020010101/SERIAL/; s/300 A/A/' "$work/before"; echo 'other A 10.9.9.9')" \
	"$(sed 's/ 20[0-9]\{8\} / SERIAL /; s/300 A/A/' "$zone")"

killed reload
check "killed before the reload: the file is new" grep -q '10.2.0.10 ; the pool' "$zone"
check "and not yet served" serves sip 10.1.0.10
exits 0 "resume sees that and reloads" resume last
check "and it is served" serves sip 10.2.0.10
same "the undo records are there once" 2 "$(journal "select count(*) from event e, json_each(e.body, '\$.records')
	where e.id >> 36 = (select max(no) from run) and json_extract(e.body, '\$.kind') = 'attempt.undo'")"
exits 0 "undo" undo last
check "the old value is served" soon serves sip 10.1.0.10
finish
