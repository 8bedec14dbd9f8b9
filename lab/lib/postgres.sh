# shellcheck shell=bash disable=SC2034,SC2154 # the variables of lab/lab
# One PostgreSQL cluster for each site, shared by all parts that need one. A part
# says, when it is read:
#	. "$here/lib/postgres.sh"
#	postgres_database NAME ROLE [FUNCTION]
# Both sites then have that database, owned by that role; FUNCTION prints the SQL
# that fills it, carried out as that role before the servers are started (wave 1).
# Later, in hooks of its own:
#	postgres_sql SITE NAME ROLE [PSQL-ARGUMENT...]
# The role's password is in DIR/secrets/postgres-ROLE.password; the superuser is
# `lab`. Connections are made over TCP or the socket in postgres_socket SITE, with
# a password (scram-sha-256) in both cases.
[[ ! -v postgres_roles ]] || return 0

# Parts are read within a function.
declare -gA postgres_databases=() postgres_fill=()
postgres_roles=(lab)
all_servers+=(primary.postgres dr.postgres)
wave+=([postgres]=1)
# It is the first part, so that its hooks have run when those of others do.
[[ " ${parts[*]} " == *" postgres "* ]] || parts=(postgres "${parts[@]}")
# Debian keeps the server's programs out of PATH; of several versions the newest.
postgres_bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
programs+=("$postgres_bin/postgres:postgresql" "$postgres_bin/initdb:postgresql" psql:postgresql-client)

postgres_database() {
	postgres_databases[$1]=$2
	postgres_fill[$1]=${3-}
	[[ " ${postgres_roles[*]} " == *" $2 "* ]] || postgres_roles+=("$2")
}

postgres_data_dir() {
	echo "$run_dir/$1/pgdata"
}

postgres_socket() {
	echo "$run_dir/$1/pg"
}

postgres_password() {
	secret "postgres-$1"
}

# postgres_sql SITE DATABASE ROLE [ARGUMENT...]: psql that stops at the first error.
postgres_sql() {
	local site=$1 database=$2 role=$3
	shift 3
	PGPASSWORD=$(postgres_password "$role") PGCONNECT_TIMEOUT=5 psql -X -q -v ON_ERROR_STOP=1 \
		-h "$(postgres_socket "$site")" -p "$(port postgres)" -U "$role" -d "$database" "$@"
}

# --- what the lab asks of a kind of server ------------------------------------------

# The data directory is the word of the command line by which it is known.
config_postgres() {
	postgres_data_dir "$1"
}

# Nobody else runs it: lab/lab starts a server only after its end. What is left of
# a killed one must not be taken for a server that runs.
launch_postgres() {
	rm -f "$2/postmaster.pid" "$(postgres_socket "$1")"/.s.PGSQL.*
	spawn "$1.postgres" "$postgres_bin/postgres" -D "$2"
}

answers_postgres() {
	[[ $(PGCONNECT_TIMEOUT=3 postgres_sql "$1" postgres lab -A -t -c "select 'here'" 2>/dev/null) == here ]]
}

address_postgres() {
	echo "postgresql://${site_address[$1]}:$(port postgres)"
}

# Each of its processes is in a session of its own and has a new title, in which
# the cluster's name stands.
members_postgres() {
	local file title
	for file in /proc/[0-9]*/cmdline; do
		read -r -d '' title 2>/dev/null <"$file" || continue
		[[ $title != "postgres: $(postgres_cluster "$1"): "* ]] || { file=${file#/proc/}; echo "${file%/cmdline}"; }
	done
}

postgres_cluster() {
	echo "resite-lab-$ports-$1"
}

# --- making the clusters ------------------------------------------------------------

# PostgreSQL refuses to run as root.
as_server() {
	if ((EUID == 0)); then
		setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"
	else
		"$@"
	fi
}

postgres_make_secrets() {
	local role
	for role in "${postgres_roles[@]}"; do
		(umask 077 && openssl rand -hex 16 | tr -d '\n' >"$lab_dir/secrets/postgres-$role.password") ||
			die "openssl rand failed"
	done
}

# The first words of the cluster: only its superuser, who must know the password.
postgres_init() {
	local data=$1 word=$run_dir/postgres.word
	(umask 077 && postgres_password lab >"$word") || die "cannot write $word"
	mkdir -p -m 700 "$data" "$(postgres_socket primary)" || die "cannot make $data"
	((EUID != 0)) || chown nobody:nogroup "$word" "$data" "$(postgres_socket primary)"
	quietly as_server "$postgres_bin/initdb" -D "$data" -U lab -A scram-sha-256 --pwfile="$word" \
		-E UTF8 --locale=C.UTF-8 --no-sync --no-instructions
	rm -f "$word"
	echo "include 'lab.conf'" >>"$data/postgresql.conf"
}

postgres_configure() {
	local site=$1 data
	data=$(postgres_data_dir "$site")
	cat >"$data/lab.conf" <<-EOF
	cluster_name = '$(postgres_cluster "$site")'
	listen_addresses = '${site_address[$site]}'
	port = $(port postgres)
	unix_socket_directories = '$(postgres_socket "$site")'
	unix_socket_permissions = 0700
	max_connections = 60
	shared_buffers = 128MB
	max_wal_size = 2GB
	log_line_prefix = '%m [%p] %u@%d '
	EOF
	((EUID != 0)) || chown nobody:nogroup "$data/lab.conf"
}

# Roles, databases and what is in them are the same in both sites.
postgres_fill_all() {
	local role name
	for role in "${postgres_roles[@]:1}"; do
		echo "create role \"$role\" login password '$(postgres_password "$role")';"
	done | postgres_sql primary postgres lab || die "PostgreSQL's roles could not be made"
	for name in "${!postgres_databases[@]}"; do
		role=${postgres_databases[$name]}
		postgres_sql primary postgres lab -c "create database \"$name\" owner \"$role\"" ||
			die "the database $name could not be made"
		[[ -z ${postgres_fill[$name]} ]] || "${postgres_fill[$name]}" |
			postgres_sql primary "$name" "$role" >/dev/null ||
			die "the database $name could not be filled"
	done
}

# Before the configuration files of those who log in.
part_postgres_write() {
	postgres_make_secrets
}

# One cluster is made, with its durability off, and copied for the other site.
part_postgres_data() {
	local data filled=yes
	data=$(postgres_data_dir primary)
	postgres_init "$data"
	postgres_configure primary
	quietly as_server "$postgres_bin/pg_ctl" -s -w -D "$data" -l "$data/made.log" \
		-o "-c listen_addresses= -c fsync=off" start 9>&-
	# It is ended whatever comes of it.
	(postgres_fill_all) || filled=''
	quietly as_server "$postgres_bin/pg_ctl" -s -w -m fast -D "$data" stop
	[[ $filled ]] || exit 1
	quietly cp -a "$data" "$(postgres_data_dir dr)"
	quietly cp -a "$(postgres_socket primary)" "$(postgres_socket dr)"
	postgres_configure dr
}

part_postgres_env() {
	local site role
	for site in primary dr; do
		echo "LAB_${site^^}_POSTGRES=${site_address[$site]}:$(port postgres)"
		echo "LAB_${site^^}_POSTGRES_SOCKET=$(postgres_socket "$site")"
	done
	for role in "${postgres_roles[@]}"; do
		echo "LAB_POSTGRES_${role^^}_PASSWORD_FILE=$lab_dir/secrets/postgres-$role.password"
	done
}

part_postgres_site() {
	printf '    %s = "%s";\n' postgres "${site_address[$1]}:$(port postgres)" \
		postgres_host "${site_address[$1]}" postgres_port "$(port postgres)"
}

part_postgres_vars() {
	local role
	for role in "${postgres_roles[@]}"; do
		printf 'postgres_%s_password_file = "%s";\n' "$role" "$lab_dir/secrets/postgres-$role.password"
	done
}
