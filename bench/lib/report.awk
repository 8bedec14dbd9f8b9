# Reads the samples; prints the table of one row (-v row=NAME), or JSON of all (-v json=1).
BEGIN { FS = "\t" }

function remember(list, key) {
	if (!((list, key) in known)) {
		known[list, key] = 1
		order[list, ++count[list]] = key
	}
}

$2 == "machine" { remember("machine", $3); about[$3] = $4; next }
row != "" && $1 != row { next }
{ remember("rows", $1) }
$2 == "what" || $2 == "load" || $2 == "failed" { said[$1, $2] = $3 }
$2 == "note" { notes[$1, ++n_notes[$1]] = $3 }
$2 == "goal" { goals[$1, ++n_goals[$1]] = $0 }
$2 == "sample" {
	remember("series " $1, $3)
	unit[$1, $3] = $4
	x[$1, $3, ++n[$1, $3]] = $5
	at[$1, $3, $6] = $5
	if ($7 != "-" && (!(($1, $3) in quiet) || $7 < quiet[$1, $3])) quiet[$1, $3] = $7
}

# Sets lo, mid, hi of v[1..n].
function spread(v, n,   i, j, t) {
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
	lo = v[1] + 0; hi = v[n] + 0
	mid = n % 2 ? v[(n + 1) / 2] + 0 : (v[n / 2] + v[n / 2 + 1]) / 2
	return n > 0
}

function spread_of(r, s,   i, v) {
	for (i = 1; i <= n[r, s]; i++) v[i] = x[r, s, i]
	return spread(v, n[r, s])
}

# Of series separated by commas the one with the least median.
function least(r, names,   list, k, i, best, best_mid) {
	k = split(names, list, ",")
	for (i = 1; i <= k; i++)
		if (n[r, list[i]] && spread_of(r, list[i]) && (best == "" || mid < best_mid)) {
			best = list[i]; best_mid = mid
		}
	return best
}

function ratio_of(r, num, den,   i, k, v) {
	for (i = 1; ; i++) {
		if (!((r, den, i) in at) || !((r, num, i) in at)) break
		if (at[r, den, i] > 0) v[++k] = at[r, num, i] / at[r, den, i]
	}
	return spread(v, k)
}

# Works one goal out: sets g_text, g_bound (with its sign), g_reached, g_by, and lo, mid, hi.
function work_out(r, i,   f, by, seen) {
	split(goals[r, i], f, FS)
	g_text = f[3]; g_op = f[5]; g_bound = f[6]
	if (f[4] == "ratio") {
		by = least(r, f[7])
		seen = by != "" && ratio_of(r, by, f[8])
		g_by = by " / " f[8]
	} else {
		seen = n[r, f[7]] && spread_of(r, f[7])
		g_by = f[7]
	}
	if (!seen) { lo = mid = hi = 0; g_reached = "not measured"; return }
	g_reached = (g_op == ">=" ? mid >= g_bound + 0 : mid <= g_bound + 0) ? "reached" : "MISSED"
}

# How idle the CPUs were before the busiest start of a series, or none when nobody looked.
function idle_before(r, s, mark, none) {
	if (!((r, s) in quiet)) return none
	return quiet[r, s] mark
}

function shown(v) {
	return v >= 1000 ? sprintf("%.0f", v) : v >= 100 ? sprintf("%.1f", v) : sprintf("%.3g", v)
}

function print_row(r,   i, s) {
	printf "   %-26s %10s %10s %10s  %-6s %2s %s\n", "", "median", "min", "max", "unit", "n", "idle before"
	for (i = 1; i <= count["series " r]; i++) {
		s = order["series " r, i]
		spread_of(r, s)
		printf "   %-26s %10s %10s %10s  %-6s %2d %s\n", s, shown(mid), shown(lo), shown(hi), unit[r, s], n[r, s],
			idle_before(r, s, " %", "")
	}
	for (i = 1; i <= n_goals[r]; i++) {
		work_out(r, i)
		printf "   %-12s %s: %s (%s-%s) %s %s  [%s]\n", g_reached, g_text, shown(mid), shown(lo), shown(hi),
			g_op, g_bound, g_by
	}
	for (i = 1; i <= n_notes[r]; i++) print "   note: " notes[r, i]
	if (said[r, "failed"]) print "   FAILED: " said[r, "failed"]
}

function q(s) { gsub(/[\\"]/, "\\\\&", s); gsub(/[\001-\037]/, " ", s); return "\"" s "\"" }

function json_row(r,   i, k, s, t) {
	printf "    {\"row\": %s, \"what\": %s, \"load\": %s,\n", q(r), q(said[r, "what"]), q(said[r, "load"])
	if (said[r, "failed"]) printf "     \"failed\": %s,\n", q(said[r, "failed"])
	printf "     \"series\": ["
	for (i = 1; i <= count["series " r]; i++) {
		s = order["series " r, i]
		t = ""
		for (k = 1; k <= n[r, s]; k++) t = t (k > 1 ? ", " : "") x[r, s, k]
		spread_of(r, s)
		printf "%s\n      {\"name\": %s, \"unit\": %s, \"median\": %.6g, \"min\": %.6g, \"max\": %.6g, \"values\": [%s], \"idle_before\": %s}",
			(i > 1 ? "," : ""), q(s), q(unit[r, s]), mid, lo, hi, t, idle_before(r, s, "", "null")
	}
	printf "],\n     \"goals\": ["
	for (i = 1; i <= n_goals[r]; i++) {
		work_out(r, i)
		printf "%s\n      {\"goal\": %s, \"of\": %s, \"must\": %s, \"median\": %.6g, \"min\": %.6g, \"max\": %.6g, \"result\": %s}",
			(i > 1 ? "," : ""), q(g_text), q(g_by), q(g_op " " g_bound), mid, lo, hi, q(tolower(g_reached))
	}
	printf "],\n     \"notes\": ["
	for (i = 1; i <= n_notes[r]; i++) printf "%s%s", (i > 1 ? ", " : ""), q(notes[r, i])
	printf "]}"
}

END {
	if (!json) { print_row(row); exit }
	printf "{\n  \"machine\": {"
	for (i = 1; i <= count["machine"]; i++)
		printf "%s\n    %s: %s", (i > 1 ? "," : ""), q(order["machine", i]), q(about[order["machine", i]])
	printf "},\n  \"rows\": [\n"
	for (i = 1; i <= count["rows"]; i++) {
		json_row(order["rows", i])
		print (i < count["rows"] ? "," : "")
	}
	printf "  ]\n}\n"
}
