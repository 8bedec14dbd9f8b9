# archive.ps1 -- which Archiving server a registrar uses, and whether messages stop without it.
param([string] $Do, [string] $Pool, [string] $Archive)
$registrar = Get-CsService -Registrar | Where-Object { $_.PoolFqdn -eq $Pool }
if (-not $registrar) { throw "there is no registrar $Pool in the topology" }
$now = $registrar.ArchivingServer -replace '^ArchivingServer:', ''
switch ($Do) {
	'probe' {
		if ((Get-CsArchivingConfiguration).BlockOnArchiveFailure) { Write-Output 'archiving is critical: without it no message passes' }
		if ($now -ne $Archive) {
			Change "archiving server of $Pool" $now $Archive
			Undo "Set-CsRegistrar Registrar:$Pool -ArchivingServer ArchivingServer:$now; Enable-CsTopology" $now $Archive
			State 1 1 "$Pool archives to $now" $now
		} else { State 0 1 "$Pool archives to $Archive" $now }
	}
	'apply' {
		Set-CsRegistrar -Identity "Registrar:$Pool" -ArchivingServer "ArchivingServer:$Archive"
		Enable-CsTopology
	}
	'verify' { if ($now -ne $Archive) { Pending "$Pool still archives to '$now'" } }
	default { throw "archive: probe, apply or verify, not $Do" }
}
