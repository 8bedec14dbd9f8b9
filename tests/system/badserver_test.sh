#!/bin/bash
# Servers that are down, refuse, hang or talk nonsense: the step fails with the server's
# own words and the right reaction, and what does not depend on it goes on. No secret is
# shown on the way. A vault that was altered is refused before anything is imported.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 perl ldapsearch curl
for plugin in ldap-homing contacts dns-nsupdate health; do
	[[ -e $build/modules/$plugin.so ]] || {
		echo "skipped: the plugin $plugin is not built"
		exit 77
	}
done
start_lab 200

# listener HOW FILE: listens on a free port, which it writes to FILE.
cat >"$work/listener" <<'EOS'
use IO::Socket::INET;
my ($how, $file) = @ARGV;
my $l = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 20) or die "$!";
open(my $f, '>', "$file.new") or die; print $f $l->sockport; close $f;
rename("$file.new", $file);
my @held;
while (my $c = $l->accept) {
	push @held, $c;
	if ($how eq 'garbage') {
		sysread($c, my $request, 1);
		syswrite($c, join('', map { chr(int(rand(256))) } 1 .. 2000));
		close $c;
	}
}
EOS
listen() {
	perl "$work/listener" "$1" "$work/$1.port" &
	soon test -s "$work/$1.port" || fail "(a server that does $1)"
	port=$(<"$work/$1.port")
}
listen hang
hang=127.0.0.1:$port
listen garbage
garbage=127.0.0.1:$port
# Nobody listens there: it is a port of the lab's block at an address of no server.
down=127.0.0.9:${LAB_PRIMARY_SIP_PORT}

wrong="wrong-Sesame-4711"
right=$(<"$LAB_BIND_PASSWORD_FILE")
export RESITE_TEST_SECRET="env-Sesame-0815"
printf '%s\n' "$wrong" >"$work/wrong"
printf 'key "resite." { algorithm hmac-sha256; secret "d3JvbmctU2VzYW1lLTQ3MTEtd3Jvbmc="; };\n' >"$work/wrong.tsig"
chmod 600 "$work/wrong" "$work/wrong.tsig"
for ((i = 1; i <= LAB_USERS; i++)); do printf 'sip:u%05d@%s\n' "$i" "$LAB_DOMAIN"; done >"$work/users"

ldap() {
	echo "{ name = \"$1\"; does = \"ldap-homing.move\"; timeout = \"20s\"; retry = { attempts = 2; backoff = \"50ms\"; };
	with = { server = \"$2\"; base = \"ou=Staff,$LAB_SUFFIX\"; from = \"\${from.pool}\"; to = \"\${to.pool}\";
	bind_dn = \"$LAB_BIND_DN\"; password = \"\${secret.$3}\"; allow_plaintext = true; network_timeout = \"1s\"; }; },"
}
xcap() {
	echo "{ name = \"$1\"; does = \"contacts.export\"; timeout = \"20s\"; retry = { attempts = 2; backoff = \"50ms\"; };
	with = { server = \"http://$2/xcap-root\"; users_file = \"$work/users\"; vault = \"$LAB_VAULT\"; name = \"bad\"; timeout = \"1s\"; site = \"x\"; }; },"
}
dns() {
	echo "{ name = \"$1\"; does = \"dns-nsupdate.set\"; timeout = \"$4\"; retry = { attempts = 2; backoff = \"50ms\"; };
	with = { server = \"$2\"; zone = \"$LAB_DOMAIN.\"; record = \"play 60 A 127.9.9.9\"; key = \"\${secret.$3}\"; }; },"
}
cat >"$plan" <<EOF2
format = 1;
name = "badserver";
@include "lab/sites.inc"
secrets: { right = { file = "$LAB_BIND_PASSWORD_FILE"; }; wrong = { file = "wrong"; };
	env = { env = "RESITE_TEST_SECRET"; };
	tsig = { file = "$LAB_TSIG_KEY_FILE"; }; wrongtsig = { file = "wrong.tsig"; }; };
runbooks: {
  bad: { steps = (
$(ldap ldap-down "ldap://$down" right)
$(ldap ldap-hang "ldap://$hang" right)
$(ldap ldap-garbage "ldap://$garbage" right)
$(ldap ldap-password "$LAB_DR_LDAP" wrong)
$(xcap xcap-down "$down")
$(xcap xcap-hang "$hang")
$(xcap xcap-garbage "$garbage")
$(dns dns-down "$down" tsig 12s)
$(dns dns-hang "$hang" tsig 2s)
$(dns dns-key "$LAB_DNS_SERVER" wrongtsig 5s)
{ name = "tcp-down"; does = "health.tcp"; timeout = "1s"; retry = { attempts = 1; };
  with = { endpoint = "$down"; }; },
{ name = "teller"; does = "exec.run"; retry = { attempts = 1; };
  with = { stdin_secret = "\${secret.env}"; shell = true;
	apply = "read s; echo it is \$s; echo \$s >&2; sleep 1; echo failed with \$s >&2; exit 9"; }; },
{ name = "after-down"; does = "exec.run"; after = ["ldap-down"]; with = { apply = ["/bin/true"]; }; },
{ name = "save"; does = "contacts.export";
  with = { server = "\${from.xcap}"; site = "\${from.pool_fqdn}"; vault = "$LAB_VAULT"; name = "lists"; users_file = "$work/users"; }; },
{ name = "good"; does = "health.tcp"; after = ["save"]; with = { endpoint = "\${to.sip}:\${to.sip_port}"; }; } ); };
  import: { steps = (
{ name = "lists"; does = "contacts.import"; retry = { attempts = 1; };
  with = { server = "\${to.xcap}"; vault = "$LAB_VAULT"; name = "lists"; from_site = "\${from.pool_fqdn}"; }; } ); };
  other: { steps = (
{ name = "lists"; does = "contacts.import"; retry = { attempts = 1; };
  with = { server = "\${to.xcap}"; vault = "$LAB_VAULT"; name = "lists"; from_site = "\${to.pool_fqdn}"; }; } ); };
};
EOF2

echo "# servers that misbehave"
launch run "$plan" bad --from primary --to dr
soon test -e "$RESITE_STATE/journal.db"
sleep 0.7
for p in $(holders "$RESITE_STATE" | grep -vx "$pid"); do
	tr '\0' '\n' <"/proc/$p/environ"
	tr '\0' '\n' <"/proc/$p/cmdline"
done >"$work/proc" 2>/dev/null
ended 3 "the run ends and asks"
"$build/resite" status --json >"$work/status.json"
sqlite3 -separator '|' :memory: "select json_extract(value, '\$.name'), json_extract(value, '\$.state'),
	json_extract(value, '\$.attempts'), json_extract(value, '\$.text') from
	json_each(readfile('$work/status.json'), '\$.steps')" >"$work/steps"

# failed STEP ATTEMPTS TEXT
failed() {
	local line
	line=$(grep "^$1|" "$work/steps")
	if [[ $line == "$1|failed|$2|"*"$3"* ]]; then
		ok "$1, $2 tried: ${line#"$1|failed|$2|"}"
	else
		fail "$1" "wanted: $2 attempts, $3" "got:    $line"
	fi
}
failed ldap-down 2 "$down: Connection refused"
failed ldap-hang 2 "127.0.0.1"
failed ldap-garbage 2 "127.0.0.1"
failed ldap-password 1 "Invalid credentials"
failed xcap-down 2 "Connection refused"
failed xcap-hang 2 "127.0.0.1"
failed xcap-garbage 2 "127.0.0.1"
failed dns-down 2 "onnection refused"
failed dns-hang 2 "127.0.0.1"
failed dns-key 1 "BAD"
failed tcp-down 1 "onnection refused"
failed teller 1 "exit 9"
same "what depends on a failed step waits" "after-down|waiting|0|" "$(grep ^after-down "$work/steps")"
same "what does not depend on them is done" "save|done|1| good|done|1|" \
	"$(grep -E '^(save|good)\|' "$work/steps" | paste -sd' ')"
same "nobody was moved" "$LAB_USERS" "$(ldapsearch -LLL -x -D "$LAB_BIND_DN" -y "$LAB_BIND_PASSWORD_FILE" \
	-H "$LAB_DR_LDAP" -b "ou=Staff,$LAB_SUFFIX" "(msRTCSIP-PrimaryHomeServer=$LAB_PRIMARY_POOL)" 1.1 | grep -c '^dn')"

echo "# secrets"
"$build/resite" status >"$work/status.txt" 2>&1
tsig=$(grep -o 'secret "[^"]*"' "$LAB_TSIG_KEY_FILE" | cut -d'"' -f2)
for secret in "$wrong" "$right" "$RESITE_TEST_SECRET" "${tsig:?}" d3JvbmctU2VzYW1lLTQ3MTEtd3Jvbmc=; do
	same "a secret is in no file, output, command line or environment of a worker" "" \
		"$(grep -rlF -e "$secret" "$RESITE_STATE" "$work"/{out,err,proc,status.json,status.txt})"
done
check "(the workers were looked at)" test -s "$work/proc"
check "a worker does have the rest of the environment" grep -q '^PATH=' "$work/proc"

echo "# a vault that was altered"
set=$(find "$LAB_VAULT/lists" -mindepth 1 -maxdepth 1 -type d)
check "there is one set" test -e "$set/documents.txt"
cp -a "$set" "$work/set"
imported() {
	curl -s -o /dev/null -w '%{http_code}' "$LAB_DR_XCAP/resource-lists/users/sip:u00001@$LAB_DOMAIN/index"
}
# altered WHAT TEXT COMMAND...: the import of the altered set is refused.
altered() {
	local what=$1 text=$2
	shift 2
	"$@"
	exits 3 "$what: refused" run "$plan" "${runbook:-import}" --from primary --to dr
	says "$what: and it is said what is wrong" "$text"
	same "$what: nothing was imported" 404 "$(imported)"
	give_up
	rm -rf "$set"
	cp -a "$work/set" "$set"
}
flip() {
	sed -i '0,/display-name/s//display-nbme/' "$set/documents.txt"
}
altered "one byte altered" "documents.txt" flip
altered "truncated" "documents.txt" truncate -s -100 "$set/documents.txt"
altered "a file gone" "documents.txt" rm "$set/documents.txt"
altered "manifest altered" "manifest" sed -i 's/"users": *[0-9]*/"users": 7/' "$set/manifest.json"
altered "no manifest" "manifest" rm "$set/manifest.json"
runbook=other altered "of another site" "$LAB_PRIMARY_POOL_FQDN" true
exits 0 "the set as it was is imported" run "$plan" import --from primary --to dr
same "and is there" 200 "$(imported)"
no_process_left "no process is left"
finish
