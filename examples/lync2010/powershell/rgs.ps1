# rgs.ps1 -- response groups by the Resource Kit's functions (Lync 2010 has no cmdlets for it).
param([string] $Do, [string] $Pool, [string] $File, [string] $Kit)
. (Join-Path $Kit 'RgsImportExport.ps1')
$service = "service:ApplicationServer:$Pool"
switch ($Do) {
	'export' { Export-CsRgsConfiguration -Source $service -FileName $File }
	'import' { Import-CsRgsConfiguration -Destination $service -FileName $File -ReplaceExistingSettings }
	# The way back is over: what the standby holds of the other pool is exported once more, and goes.
	'clean' { Export-CsRgsConfiguration -Source $service -FileName $File -RemoveExportedConfiguration }
	'names' {
		Get-CsRgsQueue -Identity $service | ForEach-Object { Write-Output ("queue`t" + $_.Name) }
		Get-CsRgsWorkflow -Identity $service | ForEach-Object { Write-Output ("workflow`t" + $_.Name) }
	}
	default { throw "rgs: export, import, clean or names, not $Do" }
}
