# shellcheck shell=bash
# Rows about contact lists: importing them, and reading an export of Lync.

curl_sample=500

# Nothing at the target, as before a failover.
empty_target() {
	as_server sqlite3 "$LAB_RUN/dr/xcap/xcap.db" \
		'PRAGMA busy_timeout = 5000; DELETE FROM xcap; PRAGMA wal_checkpoint(TRUNCATE);' >/dev/null
}

count_target() {
	local there
	there=$(as_server sqlite3 -readonly "$LAB_RUN/dr/xcap/xcap.db" 'SELECT count(*) FROM xcap')
	((there == $1)) || die "$there of $1 lists are at the target"
}

# The first $2 documents of a vault set as files in $3, named by their user.
split_documents() {
	mkdir -p "$3"
	awk -v limit="$2" -v dir="$3" '
		left > 0 {
			printf "%s%s", $0, (left > length($0) ? "\n" : "") >file
			if ((left -= length($0) + 1) <= 0) close(file)
			next
		}
		$1 == "doc" { if (++n > limit) exit; file = dir "/" $3; left = $2 }' "$1"
}

import_setup() {
	start_lab "$1"
	seq -f 'sip:u%05g@contoso.example' "$1" >users
	lab_plan "does = \"contacts.export\"; with = { server = \"\${from.xcap}\"; users_file = \"$PWD/users\";
		vault = \"$PWD/vault\"; site = \"\${from.name}\"; };" >export.conf
	resite_run state.export export.conf move
	lab_plan "does = \"contacts.import\"; with = { server = \"\${to.xcap}\"; vault = \"$PWD/vault\";
		from_site = \"\${from.name}\"; };" >import.conf
	documents=$(echo vault/contacts/*/documents.txt)
	split_documents "$documents" $curl_sample some
	host=${LAB_DR_XCAP#http://} host=${host%%/*}
}

before_import_by_resite() { empty_target; }
import_by_resite() { resite_run state import.conf move; }
after_import_by_resite() {
	count_target "$n"
	phase_values state
}

before_import_by_limit() { empty_target; }
import_by_limit() {
	"$tools/xcap_limit" "${host%:*}" "${host#*:}" "${2:-$documents}" "$1" >limit.out || die "xcap_limit: $(cat limit.out)"
	took=$(limit_seconds)
}
after_import_by_limit() { count_target "$n"; }

limit_seconds() {
	sed -n 's/.*[^0-9.]\([0-9][0-9.]*\) s\b.*/\1/p' limit.out | head -n 1
}

# How many connections serve the limit best: each once, with the first 5,000 lists.
best_connections() {
	local best='' c
	awk '/^doc [0-9]+ / && ++n > 5000 { exit } { print }' "$documents" >first.txt
	for c in 1 2 4 8 16 32; do
		empty_target
		import_by_limit $c first.txt
		printf '   limit with %d connections: %s s\n' $c "$took"
		if [[ -z $best ]] || awk "BEGIN { exit !($took < $best) }"; then
			best=$took connections=$c
		fi
	done
}

before_import_by_curl() { empty_target; }
# One process for each PUT; a sample, and its time made that of all.
import_by_curl() {
	local file began
	began=$(now_us)
	for file in some/*; do
		curl -sS -f -o /dev/null -T "$file" -H 'Content-Type: application/resource-lists+xml' \
			"$LAB_DR_XCAP/resource-lists/users/${file#some/}/index" || die "curl failed"
	done
	took=$(seconds $((($(now_us) - began) * n / curl_sample)))
}
after_import_by_curl() { count_target $curl_sample; }

import_row() {
	n=$(small "$1")
	need curl curl
	import_setup "$n"
	best_connections
	turns resite=import_by_resite limit="import_by_limit $connections" curl=import_by_curl
	goal_ratio "the minimal client's speed, whole run" 0.85 limit resite
	goal_ratio "the same, apply alone" 0.85 limit resite-apply
	goal_ratio "ten times a loop of curl" 10 curl resite
	note "limit: $connections connections, its best; curl: measured on $curl_sample lists and scaled to $n"
}

row_import_5k() { import_row 5000; }
row_import_50k() { import_row 50000; }

# From the file of dbimpexp.exe itself; the limit sends the same lists, made before.
row_import_dbimpexp() {
	n=$(small 100000)
	start_lab "$n"
	"$build/lab/gen/gen" dbimpexp --users "$n" >export.xml
	lab_plan "does = \"contacts.convert\"; with = { source = \"$PWD/export.xml\"; vault = \"$PWD/vault\";
		site = \"primary\"; };" >convert.conf
	resite_run state.convert convert.conf move
	lab_plan "does = \"contacts.import\"; with = { server = \"\${to.xcap}\"; source = \"$PWD/export.xml\"; };" >import.conf
	documents=$(echo vault/contacts/*/documents.txt)
	host=${LAB_DR_XCAP#http://} host=${host%%/*}
	best_connections
	turns resite=import_by_resite limit="import_by_limit $connections"
	goal_ratio "the minimal client's speed, whole run" 0.85 limit resite
	goal_ratio "the same, apply alone" 0.85 limit resite-apply
	note "$(($(stat -c %s export.xml) / 1000000)) MB, UTF-16LE; limit: $connections connections, its best"
}

# --- straight into the table -------------------------------------------------------

# psql as the role that owns the table
sql_at_target() {
	PGPASSWORD=$(<"$LAB_POSTGRES_KAMAILIO_PASSWORD_FILE") psql -X -q -A -t -v ON_ERROR_STOP=1 \
		-h "${LAB_DR_POSTGRES%:*}" -p "${LAB_DR_POSTGRES##*:}" -U kamailio -d kamailio "$@" ||
		die "psql failed"
}

before_sql_by_resite() { sql_at_target -c 'truncate xcap'; }
before_sql_by_copy() { before_sql_by_resite; }
sql_by_resite() { resite_run state sql.conf move; }
count_table() {
	local there
	there=$(sql_at_target -c 'select count(*) from xcap')
	((there == n)) || die "$there of $n lists are in the table"
}
after_sql_by_resite() {
	count_table
	phase_values state
}
sql_by_copy() { sql_at_target -c "\\copy xcap($table_columns) from rows.$1 with (format $1)"; }
after_sql_by_copy() { count_table; }
table_columns=username,domain,doc,doc_type,etag,source,doc_uri,port

row_import_sql() {
	n=$(small 100000)
	need psql postgresql-client
	start_lab "$n" sqlxcap
	"$build/lab/gen/gen" dbimpexp --users "$n" >export.xml
	lab_plan "does = \"contacts.convert\"; with = { source = \"$PWD/export.xml\"; vault = \"$PWD/vault\";
		site = \"primary\"; };" >convert.conf
	resite_run state.convert convert.conf move
	lab_plan "does = \"contacts.import\"; with = { server = \"\${to.xcap_sql}\"; vault = \"$PWD/vault\"; via = \"sql\";
		database_server = \"\${to.postgres}\"; database_user = \"kamailio\"; database_password = \"\${secret.sql}\"; };" |
		sed "s|secrets: {|secrets: { sql = { file = \"$LAB_POSTGRES_KAMAILIO_PASSWORD_FILE\"; };|" >sql.conf
	sql_by_resite
	for format in binary text; do
		sql_at_target -c "\\copy xcap($table_columns) to rows.$format with (format $format)"
	done
	turns resite=sql_by_resite copy="sql_by_copy binary" copy-text="sql_by_copy text"
	goal_ratio "a bare COPY's speed, whole run" 0.7 copy resite
	goal_ratio "the same, apply alone" 0.7 copy resite-apply
	note "$(($(stat -c %s rows.binary) / 1000000)) MB of rows; PostgreSQL durable (fsync on)"
}

# peak_of FILE: of /usr/bin/time -f %M
peak_of() { awk '{ printf "%.1f", $1 / 1024 }' "$1"; }

parse_by_resite() { "$tools/dbimpexp_parse" export.xml >parse.out || die "dbimpexp_parse failed"; }
after_parse_by_resite() { value resite-peak MiB "$(sed -n 's/.*peak \([0-9]*\) KiB.*/\1/p' parse.out | awk '{ printf "%.1f", $1 / 1024 }')"; }
parse_by_xmllint() { xmllint "$1" --noout export.xml || die "xmllint $1 failed"; }

row_parse() {
	need xmllint libxml2-utils
	n=$(small 40000)
	"$build/lab/gen/gen" dbimpexp --users "$n" >export.xml
	turns resite=parse_by_resite sax="parse_by_xmllint --sax" stream="parse_by_xmllint --stream"
	goal_ratio "0.6 times the speed of xmllint --sax" 0.6 sax resite
	goal_ratio "1.3 times the speed of xmllint --stream" 1.3 stream resite
	goal "memory, resident at its peak, MiB" "<=" 32 resite-peak
	note "$(($(stat -c %s export.xml) / 1000000)) MB, UTF-16LE with base64 names, $n users; $(cat parse.out)"
}
