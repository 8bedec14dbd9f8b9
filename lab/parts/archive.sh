# shellcheck shell=bash source-path=SCRIPTDIR disable=SC2034,SC2154 # variables of lab/lab
# An archive of messages in PostgreSQL in each site: database and role archive, its table of messages,
# and beside it the one that archiving.gate writes its markers to, as role resite.
# One user in twenty is archived, in any lab (lab/gen/ldif.c).
# shellcheck source=../lib/postgres.sh
. "$here/lib/postgres.sh"

[[ " ${postgres_roles[*]} " == *" resite "* ]] || postgres_roles+=(resite)
postgres_database archive archive archive_sql

archive_sql() {
	cat "$here/../plugins/archiving/schema.sql"
	cat <<-'EOF'
	CREATE TABLE archive.messages (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		sent timestamptz NOT NULL DEFAULT now(),
		sender text NOT NULL, receiver text NOT NULL, body text NOT NULL
	);
	GRANT USAGE ON SCHEMA archive TO resite;
	GRANT SELECT, INSERT, DELETE ON archive.resite_marker TO resite;
	EOF
}
