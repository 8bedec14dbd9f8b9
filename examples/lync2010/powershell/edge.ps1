# edge.ps1 -- the next hop of an Edge pool is the registrar that its service depends on.
param([string] $Do, [string] $Edge, [string] $From, [string] $To)
$service = Get-CsService -EdgeServer | Where-Object { $_.PoolFqdn -eq $Edge }
if (-not $service) { throw "there is no Edge pool $Edge in the topology" }
$now = $service.Registrar -replace '^Registrar:', ''
switch ($Do) {
	'probe' {
		if ($now -ne $To) {
			Change "next hop of $Edge" $now $To
			Undo "Set-CsEdgeServer EdgeServer:$Edge -Registrar Registrar:$now; Enable-CsTopology" $now $To
			State 1 1 "the next hop of $Edge is $now" $now
		} else { State 0 1 "the next hop of $Edge is $To" $now }
	}
	'apply' {
		if ($now -ne $To -and $now -ne $From) { throw "the next hop of $Edge is $now, neither $From nor $To" }
		Set-CsEdgeServer -Identity "EdgeServer:$Edge" -Registrar "Registrar:$To"
		Enable-CsTopology
	}
	'verify' {
		if ($now -ne $To) { Pending "the next hop of $Edge is still $now" }
		# The Edge pool gets it over HTTPS 4443 from the management store.
		$replica = Get-CsManagementStoreReplicationStatus | Where-Object { $_.ReplicaFqdn -eq $Edge }
		if ($replica -and -not $replica.UpToDate) { Pending "$Edge has not got the topology yet (port 4443 from the management store?)" }
	}
	'revert' {
		if ($now -ne $To) { Write-Output $now; exit 3 }
		Set-CsEdgeServer -Identity "EdgeServer:$Edge" -Registrar "Registrar:$From"
		Enable-CsTopology
	}
	default { throw "edge: probe, apply, verify or revert, not $Do" }
}
