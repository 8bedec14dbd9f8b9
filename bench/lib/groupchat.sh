# shellcheck shell=bash
# The row about group chat: a dump of many messages restored and checked.

# A lab with many messages at primary; at dr there is no database.
start_chat_lab() {
	export RESITE_LAB=$PWD/lab RESITE_LAB_GEN=$build/lab/gen/gen RESITE_LAB_MESSAGES=$1
	later "'$top/lab/lab' down >/dev/null"
	loudly "$top/lab/lab" --users 10 --with chat up
	# shellcheck source=/dev/null
	. "$RESITE_LAB/env"
	postgres_bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
	export PGHOST=${LAB_DR_POSTGRES%:*} PGPORT=${LAB_DR_POSTGRES#*:} PGUSER=lab
	PGPASSWORD=$(<"$LAB_POSTGRES_LAB_PASSWORD_FILE")
	export PGPASSWORD
}

chat_sql() {
	"$postgres_bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -d "$1" -c "$2" || die "psql failed: $2"
}

# A plan whose one step does $1 with the parameters $2 as well.
chat_plan() {
	lab_plan "does = \"groupchat.$1\"; with = { database = \"chat\"; user = \"resite\"; password = \"\${secret.chat}\";
		vault = \"$PWD/vault\"; $2 };" |
		sed "s|^secrets: {|secrets: { chat = { file = \"$LAB_POSTGRES_RESITE_PASSWORD_FILE\"; };|"
}

empty_chat() {
	local name
	for name in $(chat_sql postgres "SELECT datname FROM pg_database WHERE datname LIKE 'chat%'"); do
		chat_sql postgres "DROP DATABASE \"$name\" WITH (FORCE)"
	done
	chat_sql postgres CHECKPOINT
}

before_restore_by_resite() { empty_chat; }
restore_by_resite() { resite_run state restore.conf move; }
after_restore_by_resite() {
	check_chat
	phase_values state
}

# Into an empty database that is there already: pg_restore alone is measured.
before_restore_by_pg() {
	empty_chat
	chat_sql postgres "CREATE DATABASE chat OWNER prosody TEMPLATE template0"
}
restore_by_pg() {
	"$postgres_bin/pg_restore" "$@" --exit-on-error -d chat "$dump" >pg_restore.log 2>&1 ||
		die "pg_restore: $(tail -n 3 pg_restore.log)"
}
after_restore_by_pg() { check_chat; }

check_chat() {
	local there
	there=$(chat_sql chat "SELECT count(*) FROM prosodyarchive")
	((there == n)) || die "$there of $n messages are there"
}

row_chat_restore() {
	need psql postgresql-client
	n=$(small 1000000)
	start_chat_lab "$n"
	chat_plan backup-db "server = \"\${from.postgres}\"; site = \"\${from.name}\"; restore_check = false;" >backup.conf
	chat_plan restore-db "server = \"\${to.postgres}\"; from_site = \"\${from.name}\";" >restore.conf
	resite_run state backup.conf move
	dump=$(echo vault/groupchat/2*/chat.dump)
	turns resite=restore_by_resite pg_restore-j2="restore_by_pg -j2" pg_restore="restore_by_pg"
	goal_ratio "restored, counted and digested, of pg_restore -j2 alone" 0.87 pg_restore-j2 resite
	note "$n messages with five indexes, a dump of $(($(stat -c %s "$dump") / 1000000)) MB; resite: the set proven, a database made, loaded, every row digested, renamed"
}
