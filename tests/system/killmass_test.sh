#!/bin/bash
# A move that is killed twice, the second time with all its processes, loses less than one
# window of operations, or one transaction: bench/kill-mass with few users counts what the
# directory was asked for twice and what the journal has twice.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
need sqlite3 slapd slapadd slapcat ldapmodify ldapsearch ldapwhoami make
seed=${RESITE_TEST_SEED:-$RANDOM}
echo "# RESITE_TEST_SEED=$seed"
export TMPDIR=$work
for way in transactions singly; do
	check "$way: everybody moved once, and little done again" env -u MAKEFLAGS -u MAKELEVEL \
		"$root/bench/kill-mass" --build "$build" --users 3000 --kills 2 --seed "$seed" "$way"
done
finish
