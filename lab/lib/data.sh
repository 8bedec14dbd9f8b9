# shellcheck shell=bash
# What the servers know at the start: the users in both directories, their
# contact lists at the primary.

# The generator: built by make, in the tree or beside it; else built here.
find_gen() {
	local gen
	for gen in "${RESITE_LAB_GEN:-}" "$here/gen/gen" ./lab/gen/gen; do
		if [[ -n $gen && -x $gen ]]; then
			echo "$gen"
			return
		fi
	done
	mkdir -p "$lab_dir/bin"
	"${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -I"$here/.." -o "$lab_dir/bin/gen" "$here"/gen/*.c -lsqlite3 ||
		die "lab/gen is not built: run make, and say where it is with RESITE_LAB_GEN"
	echo "$lab_dir/bin/gen"
}

make_data() {
	local gen sql=/usr/share/kamailio/db_sqlite jobs=() job
	gen=$(find_gen) || exit 1
	fill_directory "$gen" & jobs+=($!)
	"$gen" xcap --users "$users" --domain "$domain" --db "$run_dir/primary/xcap/xcap.db" \
		"$sql/standard-create.sql" "$sql/presence-create.sql" & jobs+=($!)
	"$gen" xcap --empty --db "$run_dir/dr/xcap/xcap.db" \
		"$sql/standard-create.sql" "$sql/presence-create.sql" & jobs+=($!)
	for job in "${jobs[@]}"; do
		wait "$job" || die "the data could not be made"
	done
}

# slapadd -q once; the other site gets a copy of the database, so that both have
# the same entryUUIDs and replication starts with nothing to do.
fill_directory() {
	{
		cat "$run_dir/tree.ldif"
		echo
		"$1" ldif --users "$users" --domain "$domain" --suffix "$suffix" --home "${site_pool[primary]}"
	} | slapadd -q -w -S 1 -f "$run_dir/primary/slapd.conf" >"$lab_dir/log/slapadd" 2>&1 || {
		note "slapadd failed: $(tail -n 3 "$lab_dir/log/slapadd")" >&2
		return 1
	}
	cp --sparse=always "$run_dir/primary/ldap/data.mdb" "$run_dir/dr/ldap/data.mdb"
}

# Servers that are started by root run as nobody: what they use is theirs, the
# pids, secrets and logs in DIR are not.
give_away() {
	((EUID == 0)) || return 0
	chown -R nobody:nogroup "$run_dir/" || die "cannot give $run_dir to nobody"
}
