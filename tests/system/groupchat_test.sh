#!/bin/bash
# Group chat there and back, in the lab: a lost site's rooms come up at the second one from the
# newest proven backup; the site that comes back does not start a second server; the return takes
# along what was written meanwhile. Two active servers are refused, whatever is planned.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 prosody psql
[[ -e $build/modules/groupchat.so ]] || {
	echo "skipped: the plugin groupchat is not built"
	exit 77
}
export RESITE_LAB_MESSAGES=2000 RESITE_LAB_ROOMS=10
start_lab 20 --with chat
cat >"$plan" <<EOF
format = 1;
name = "chat";
@include "lab/sites.inc"
vars: {
@include "lab/vars.inc"
};
secrets: {
  db = { file = "$LAB_POSTGRES_RESITE_PASSWORD_FILE"; };
  probe = { file = "$LAB_CHATPROBE_PASSWORD_FILE"; };
};
runbooks: {
  move: { steps = (
    { name = "stop"; does = "groupchat.stop"; modes = ["planned"];
      with = { ready = "\${from.xmpp}"; domain = "\${var.chat_domain}";
               start_command = "\${from.chat_start}"; stop_command = "\${from.chat_stop}"; }; },
    { name = "save"; does = "groupchat.backup-db"; after = ["stop"]; modes = ["planned"];
      with = { server = "\${from.postgres}"; database = "chat"; user = "resite"; password = "\${secret.db}";
               vault = "\${var.vault}"; site = "\${from.name}"; }; },
    { name = "one"; does = "groupchat.only-one-active"; after = ["stop"];
      with = { other = "\${from.xmpp}"; here = "\${to.xmpp}"; domain = "\${var.chat_domain}"; }; },
    { name = "db"; does = "groupchat.restore-db"; after = ["one", "save"];
      with = { server = "\${to.postgres}"; database = "chat"; user = "resite"; password = "\${secret.db}";
               vault = "\${var.vault}"; from_site = "\${from.name}"; max_age = "1h"; }; },
    { name = "start"; does = "groupchat.start"; after = ["db"];
      with = { ready = "\${to.xmpp}"; domain = "\${var.chat_domain}";
               start_command = "\${to.chat_start}"; stop_command = "\${to.chat_stop}"; }; },
    { name = "see"; does = "groupchat.verify"; after = ["start"];
      with = { xmpp = "\${to.xmpp}"; jid = "\${var.chat_user}"; jid_password = "\${secret.probe}";
               rooms = ["room1@\${var.chat_rooms}", "room7@\${var.chat_rooms}"]; min_messages = 200;
               ca_file = "\${var.ca_file}"; server = "\${to.postgres}"; database = "chat";
               user = "resite"; password = "\${secret.db}"; }; } ); };
  protect: { steps = (
    { name = "save"; does = "groupchat.backup-db";
      with = { server = "\${from.postgres}"; database = "chat"; user = "resite"; password = "\${secret.db}";
               vault = "\${var.vault}"; site = "\${from.name}"; }; } ); };
};
EOF

# chat_sql SITE SQL, as superuser
chat_sql() {
	local server=LAB_${1^^}_POSTGRES
	PGPASSWORD=$(<"$LAB_POSTGRES_LAB_PASSWORD_FILE") psql -X -q -A -t -v ON_ERROR_STOP=1 \
		-h "${!server%:*}" -p "${!server#*:}" -U lab -d chat -c "$2"
}
state_in_lab() {
	"$root/lab/lab" --dir "$work/lab" status | awk -v s="$1" '$1 == s && $2 == "prosody" { print $3 }'
}
sides() {
	echo "$(state_in_lab primary) $(state_in_lab dr)"
}

same "at first primary's chat runs and dr's is on standby" "up standby" "$(sides)"
exits 0 "a backup is made and proven by restoring it" run "$plan" protect --from primary --to dr --mode planned
chat_sql primary "insert into prosodyarchive (host, \"user\", store, key, \"when\", \"with\", type, value)
	values ('rooms.$LAB_DOMAIN', 'room1', 'muc_log', 'after', 1, 'message<groupchat', 'xml', '<message/>')"

exits 3 "two active servers are refused" run "$plan" move --from primary --to dr --mode disaster
says "says so" "the other site's server is active: stop it first"
give_up
"$root/lab/lab" --dir "$work/lab" lose primary >/dev/null
exits 0 "the lost site's chat comes up at dr" run "$plan" move --from primary --to dr --mode disaster
same "dr's chat outlives the run that has started it" "lost up" "$(sides)"
same "dr has what was saved, and not what came after" 2000 "$(chat_sql dr "select count(*) from prosodyarchive")"

"$root/lab/lab" --dir "$work/lab" restore primary >/dev/null
same "the site that comes back does not start a second server" "standby up" "$(sides)"
chat_sql dr "insert into prosodyarchive (host, \"user\", store, key, \"when\", \"with\", type, value)
	select 'rooms.$LAB_DOMAIN', 'room1', 'muc_log', 'dr' || g, g, 'message<groupchat', 'xml',
	'<message xmlns=\"jabber:client\" type=\"groupchat\" from=\"room1@rooms.$LAB_DOMAIN/x\"><body>at dr</body></message>'
	from generate_series(1, 7) g"
exits 0 "dr is protected as primary was" run "$plan" protect --from dr --to primary --mode planned
exits 0 "what will not be seen is said beforehand" preview "$plan" move --from dr --to primary --mode disaster
says "with what primary has and dr never had" "written at this site after the other one began"
exits 0 "the chat moves back in good order" run "$plan" move --from dr --to primary --mode planned
same "primary's runs again, dr's does not" "up standby" "$(sides)"
same "with what was written at dr" 2007 "$(chat_sql primary "select count(*) from prosodyarchive")"
same "what primary had is kept beside it" 1 \
	"$(chat_sql primary "select count(*) from pg_database where datname like 'chat\\_was\\_%'")"

finish
