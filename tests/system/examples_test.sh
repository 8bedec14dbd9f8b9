#!/bin/bash
# The example plans are plans: checked in every direction and mode, with the files that they
# name put there; and the script that reaches Lync's servers hands over what it was given.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/resite-test.XXXXXX")
etc=$work/etc
mkdir -p "$etc" "$work/incoming"
echo secret-of-sql >"$etc/chat-sql.password"
chmod 600 "$etc/chat-sql.password"
for who in alice bob; do
	ssh-keygen -q -t ed25519 -N '' -C "$who" -f "$work/$who"
	printf '%s@contoso.com %s\n' "$who" "$(cut -d ' ' -f 1-2 "$work/$who.pub")"
done >"$etc/signers"
cp -r "$root/examples/lync2010" "$work/lync2010"
chmod -R u+w "$work/lync2010"
sed -i "s|/etc/resite|$etc|; s|/var/lib/resite|$work|" "$work/lync2010/sites.conf"
plan=$work/lync2010/lync2010.conf

check "lync2010 is a plan in every direction and mode" "$build/resite" check "$plan"
for mode in disaster planned rehearsal; do
	check "its move in mode $mode is a graph" "$build/resite" graph "$plan" move --mode "$mode"
done

# What stands in for ssh and PowerShell: it shows the command line and stdin.
cat >"$work/ssh" <<-'EOF'
	#!/bin/sh
	printf '<%s>' "$@"
	cat
EOF
chmod +x "$work/ssh"
out=$(RESITE_SSH=$work/ssh "$work/lync2010/lync" resite@fe01 edge probe "edge's pool" "" "to pool")
if [[ $out == *"<resite@fe01>"*"function edge {"*"Guard { edge -Do 'probe' 'edge''s pool' '' 'to pool' }" ]]; then
	ok "lync sends script and arguments, quoted for PowerShell"
else
	fail "lync sends script and arguments, quoted for PowerShell" "$out"
fi
# ends WHAT SSH-STATUS STATUS
ends() {
	local status=0
	printf '#!/bin/sh\nexit %d\n' "$2" >"$work/ssh"
	RESITE_SSH=$work/ssh "$work/lync2010/lync" h edge probe >/dev/null 2>&1 || status=$?
	if [[ $status == "$3" ]]; then ok "$1"; else fail "$1" "$status"; fi
}
ends "what the server's command ends with is what lync ends with" 1 1
ends "a server that cannot be reached is tried again" 255 75
for script in "$work/lync2010/powershell"/*.ps1; do
	name=$(basename "$script" .ps1)
	grep -q "\"$name\"" "$work/lync2010/lync2010.conf" || [[ $name == common ]] ||
		fail "$name.ps1 is used by the plan"
done
finish
