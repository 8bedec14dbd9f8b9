# shellcheck shell=bash
# The row about a large zone file: 100 records of it change their address, there and back.

# zone_file: as a large site would have it, some with comments and omitted fields
zone_file() {
	awk -v n="$n" 'BEGIN {
		print "; " n " records\n$TTL 300\n$ORIGIN contoso.example.\n@ IN SOA ns1 admin ( 7 ; serial\n\t3600 600 86400 60 )\n\tNS ns1\nns1 A 127.0.0.1"
		for (i = 4; i <= n; i++) {
			if (i % 10 == 0) printf "_sip._tcp.h%07d\t60 IN SRV 0 0 5061 h%07d\n", i - 1, i - 1
			else if (i % 10 == 1) printf "alias%07d\tIN CNAME h%07d ; kept\n", i, i - 2
			else printf "h%07d\t300 IN A\t10.%d.%d.%d\n", i, i / 65536, i / 256 % 256, i % 256
		} }'
}

# zone_records NET: 100 records all over the zone
zone_records() {
	awk -v n="$n" -v net="$1" 'BEGIN {
		for (i = 1; i <= 100; i++) { k = int(i * (n - 100) / 100 / 10) * 10 + 5; printf "h%07d 300 A 10.%d.0.%d\n", k, net, i } }'
}

zone_turn() { zone_net=$((zone_net == 101 ? 102 : 101)); }

edit_by_resite() {
	zone_turn
	"$tools/zone_edit" contoso.example. zone "records.$zone_net" >edit.out || die "zone_edit failed"
}
after_edit_by_resite() {
	grep -q ' 100 RRsets changed' edit.out || die "not 100 changed: $(cat edit.out)"
	value resite-peak files "$(awk -v bytes="$(stat -c %s zone)" '{ sub(/.*peak /, ""); printf "%.3f", $1 * 1024 / bytes }' edit.out)"
}
edit_and_check() { edit_by_resite && check_by_named; }
after_edit_and_check() { after_edit_by_resite; }
check_by_named() { named-checkzone -i none -q contoso.example zone || die "named-checkzone refuses the zone"; }

row_zone() {
	need named-checkzone bind9-utils
	n=$(small 1000000) zone_net=101
	zone_file >zone
	zone_records 101 >records.101
	zone_records 102 >records.102
	"$tools/zone_edit" contoso.example. zone records.101 >edit.out || die "zone_edit failed"
	turns resite=edit_by_resite named-checkzone=check_by_named resite-checked=edit_and_check
	goal_ratio "the time of named-checkzone -i none, without that checker" 1.0 named-checkzone resite
	goal "memory, resident at its peak, sizes of the file" "<=" 1.5 resite-peak
	note "$(stat -c %s zone) bytes, $(cat edit.out); resite: read, edited, written beside and synced, read again and compared, renamed"
	note "resite-checked: with named-checkzone -i none of the new file, as in a run"
}
