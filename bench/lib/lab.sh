# shellcheck shell=bash
# The lab as the place of a measurement.

# start_lab USERS [PARTS]
start_lab() {
	export RESITE_LAB=$PWD/lab RESITE_LAB_GEN=$build/lab/gen/gen
	later "'$top/lab/lab' down >/dev/null"
	loudly "$top/lab/lab" --users "$1" ${2:+--with "$2"} up
	# shellcheck source=/dev/null
	. "$RESITE_LAB/env"
}

# as_server COMMAND…: as the user whose files the servers' are
as_server() {
	if ((EUID == 0)); then
		setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"
	else
		"$@"
	fi
}

# lab_plan STEP: a plan with one runbook, move, of one step
lab_plan() {
	cat <<-EOT
	format = 1;
	name = "bench";
	@include "$RESITE_LAB/sites.inc"
	vars: {
	@include "$RESITE_LAB/vars.inc"
	};
	secrets: { tsig = { file = "$LAB_TSIG_KEY_FILE"; }; };
	runbooks: { move: { steps = ( { name = "step"; timeout = "60m"; $1 } ); }; };
	EOT
}
