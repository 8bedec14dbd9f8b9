# replicate.ps1 -- the pool learns from its user replicator where the users are homed now.
param([string] $Do, [string] $Pool, [string] $Sample)
switch ($Do) {
	'apply' { Update-CsUserDatabase -Fqdn $Pool }
	'verify' {
		foreach ($user in ($Sample -split ',')) {
			$there = Get-CsUser -Identity $user
			if ($there.RegistrarPool.FriendlyName -ne $Pool) {
				Pending "$user is on $($there.RegistrarPool.FriendlyName), not yet on $Pool"
			}
		}
	}
	default { throw "replicate: apply or verify, not $Do" }
}
