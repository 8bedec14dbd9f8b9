# shellcheck shell=bash source-path=SCRIPTDIR disable=SC2154 # variables of lab/lab
# A PostgreSQL server in each site. Parts that keep something in it read
# lib/postgres.sh themselves; alone it is an empty one.
# shellcheck source=../lib/postgres.sh
. "$here/lib/postgres.sh"
