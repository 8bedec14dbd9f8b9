# shellcheck shell=bash source-path=SCRIPTDIR disable=SC2034,SC2154 # variables of lab/lab
# An XCAP server in each site that keeps its lists in PostgreSQL: for imports straight
# into its table. Both are empty at the start.
# shellcheck source=../lib/postgres.sh
. "$here/lib/postgres.sh"
all_servers+=(primary.sqlxcap dr.sqlxcap)
wave+=([sqlxcap]=2)
kamailio_modules_needed+=(db_postgres:kamailio-postgres-modules)
postgres_database kamailio kamailio sqlxcap_tables

sqlxcap_tables() {
	cat /usr/share/kamailio/postgres/{standard,presence}-create.sql
}

sqlxcap_root() { echo "http://${site_address[$1]}:$(port xcap_sql)/xcap-root"; }

config_sqlxcap() { echo "$run_dir/$1/sqlxcap.cfg"; }
launch_sqlxcap() {
	mkdir -p "$run_dir/$1/sqlxcap"
	((EUID != 0)) || chown nobody:nogroup "$run_dir/$1/sqlxcap"
	spawn "$1.sqlxcap" kamailio -f "$2" -DD -E -m 64 -M 8 -w "$run_dir/$1/sqlxcap" -Y "$run_dir/$1/sqlxcap"
}
answers_sqlxcap() { sip_answers "${site_address[$1]}" "$(port xcap_sql)"; }
address_sqlxcap() { sqlxcap_root "$1"; }

part_sqlxcap_write() {
	local site
	local -A values
	for site in primary dr; do
		site_values "$site"
		values+=([XCAP_SQL_PORT]=$(port xcap_sql) [POSTGRES_PORT]=$(port postgres)
			[KAMAILIO_PASSWORD]=$(postgres_password kamailio))
		render sqlxcap.cfg.in "$(config_sqlxcap "$site")"
	done
}

part_sqlxcap_env() {
	local site
	for site in primary dr; do
		echo "LAB_${site^^}_XCAP_SQL=$(sqlxcap_root "$site")"
	done
}

part_sqlxcap_site() {
	printf '    xcap_sql = "%s";\n' "$(sqlxcap_root "$1")"
}
