#!/bin/bash
# Each plugin's README says what the plugin takes: its tables are those that it prints.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"

RESITE=$build/resite "$root/tools/plugin-readme" --check || failures=1
finish
