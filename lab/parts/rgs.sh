# shellcheck shell=bash source-path=SCRIPTDIR disable=SC2034,SC2154 # the variables of lab/lab
# Response groups in PostgreSQL: database and role rgs in each site; primary's has
# RESITE_LAB_GROUPS (48) hunt groups, dr's none.
# shellcheck source=../lib/postgres.sh
. "$here/lib/postgres.sh"

postgres_database rgs rgs rgs_sql

rgs_sql() {
	local -A values=([GROUPS]=${RESITE_LAB_GROUPS:-48} [USERS]=$users)
	cat "$here/../plugins/response-groups/schema.sql"
	render rgs.sql.in "$run_dir/rgs.sql"
	cat "$run_dir/rgs.sql"
	rm -f "$run_dir/rgs.sql"
}

# The clusters are made alike; at the second site nobody has made groups yet.
part_rgs_ready() {
	postgres_sql dr rgs rgs -c "truncate rgs.workflows, rgs.queues, rgs.agent_groups,
		rgs.holiday_sets, rgs.business_hours, rgs.settings" || die "dr's response groups stay"
}

part_rgs_site() {
	printf '    pool_name = "%s";\n' "$([[ $1 == primary ]] && echo pool1 || echo pool2).contoso.example"
}
