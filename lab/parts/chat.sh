# shellcheck shell=bash source-path=SCRIPTDIR disable=SC2034,SC2154 # the variables of lab/lab
# Group chat: Prosody with rooms and their history in PostgreSQL. Only one site's server
# runs: that of dr is configured, its database is not there, and a runbook brings both up.
#	RESITE_LAB_MESSAGES   how many messages (20000), in RESITE_LAB_ROOMS rooms (50)
# shellcheck source=../lib/postgres.sh
. "$here/lib/postgres.sh"

all_servers+=(primary.prosody dr.prosody)
standby+=(dr.prosody)
wave+=([prosody]=2)
programs+=(prosody:prosody)
# resite: with what groupchat.backup-db and restore-db need, and no more.
postgres_roles+=(resite)
postgres_database chat prosody chat_sql
chat_messages=${RESITE_LAB_MESSAGES:-20000}
chat_rooms=${RESITE_LAB_ROOMS:-50}

chat_values() {
	site_values "$1"
	values+=([XMPP_PORT]=$(port xmpp) [POSTGRES_PORT]=$(port postgres)
		[PROSODY_PASSWORD]=$(postgres_password prosody) [CHATPROBE_PASSWORD]=$(secret chatprobe)
		[MESSAGES]=$chat_messages [ROOMS]=$chat_rooms [USERS]=$users)
}

chat_sql() {
	local -A values
	chat_values primary
	render chat.sql.in "$run_dir/chat.sql"
	cat "$run_dir/chat.sql"
	rm -f "$run_dir/chat.sql"
}

part_chat_write() {
	local site
	(umask 077 && openssl rand -hex 16 | tr -d '\n' >"$lab_dir/secrets/chatprobe.password") ||
		die "openssl rand failed"
	for site in primary dr; do
		mkdir -p "$run_dir/$site/prosody"
		chat_command start "$site"
		chat_command stop "$site"
	done
}

# What a runbook runs.
chat_command() {
	mkdir -p "$lab_dir/bin"
	printf '#!/bin/sh\nexec "%s" --dir "%s" %s %s.prosody\n' "$here/lab" "$lab_dir" "$1" "$2" \
		>"$lab_dir/bin/chat-$1-$2"
	chmod 755 "$lab_dir/bin/chat-$1-$2"
}

# After PostgreSQL has its passwords.
part_chat_data() {
	local site
	local -A values
	[[ $chat_messages$chat_rooms =~ ^[1-9][0-9]*$ ]] || die "RESITE_LAB_MESSAGES and RESITE_LAB_ROOMS: numbers"
	umask 077
	for site in primary dr; do
		chat_values "$site"
		render prosody.cfg.lua.in "$run_dir/$site/prosody.cfg.lua"
	done
	umask 022
}

part_chat_ready() {
	local site
	for site in primary dr; do
		postgres_sql "$site" postgres lab -c "alter role resite createdb" \
			-c "grant prosody, pg_read_all_data, pg_monitor, pg_signal_backend to resite" ||
			die "the role resite could not be given its rights in $site"
	done
	postgres_sql dr postgres lab -c "drop database chat" || die "the database chat of dr could not be dropped"
}

# A site that comes back must not start a second server.
part_chat_back() {
	! is_running "${other[$1]}.prosody" || mark_standby "$1.prosody"
}

config_prosody() {
	echo "$run_dir/$1/prosody.cfg.lua"
}

launch_prosody() {
	spawn "$1.prosody" prosody --config "$2" -F
}

answers_prosody() {
	local text='' xmpp
	exec {xmpp}<>"/dev/tcp/${site_address[$1]}/$(port xmpp)" || return 1
	printf '%s' "<?xml version='1.0'?><stream:stream to='$domain' version='1.0' xmlns='jabber:client'" \
		" xmlns:stream='http://etherx.jabber.org/streams'>" >&"$xmpp"
	while [[ $text != *"<stream:features"* ]] && read -r -t 2 -d '>' <&"$xmpp"; do
		text+=$REPLY
	done
	exec {xmpp}>&-
	[[ $text == *"<stream:features"* ]]
} 2>/dev/null

address_prosody() {
	echo "xmpp:${site_address[$1]}:$(port xmpp)"
}

part_chat_env() {
	local site
	for site in primary dr; do
		echo "LAB_${site^^}_XMPP=${site_address[$site]}:$(port xmpp)"
		echo "LAB_${site^^}_CHAT_START=$lab_dir/bin/chat-start-$site"
		echo "LAB_${site^^}_CHAT_STOP=$lab_dir/bin/chat-stop-$site"
	done
	echo "LAB_CHAT_MESSAGES=$chat_messages"
	echo "LAB_CHAT_ROOMS=$chat_rooms"
	echo "LAB_CHATPROBE_PASSWORD_FILE=$lab_dir/secrets/chatprobe.password"
}

part_chat_site() {
	printf '    %s = "%s";\n' xmpp "${site_address[$1]}:$(port xmpp)" \
		chat_start "$lab_dir/bin/chat-start-$1" chat_stop "$lab_dir/bin/chat-stop-$1"
}

part_chat_vars() {
	printf '%s = "%s";\n' chat_domain "$domain" chat_rooms "rooms.$domain" chat_user "chatprobe@$domain" \
		chatprobe_password_file "$lab_dir/secrets/chatprobe.password"
}
