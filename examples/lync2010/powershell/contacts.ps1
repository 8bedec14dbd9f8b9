# contacts.ps1 -- contact lists by dbimpexp.exe, on the server itself. Its exit status means
# nothing (LYNC: both public scripts ignore it), so its words and the file are looked at.
param([string] $Do, [string] $File)
$tool = Join-Path $env:CommonProgramFiles 'Microsoft Lync Server 2010\Support\DBImpExp.exe'
if (-not (Test-Path $tool)) { throw "$tool is not there" }
switch ($Do) {
	'export' {
		$aside = "$File.new"
		if (Test-Path $aside) { Remove-Item $aside }
		$words = (& $tool "/hrxmlfile:$aside" '/restype:user') -join ' '
		# Whole: the last element is closed. A file that was cut is no backup.
		$tail = if (Test-Path $aside) { (Get-Content $aside -Encoding Unicode | Select-Object -Last 1) } else { '' }
		if ($tail -notmatch '</HomedResources>\s*$') { throw "the export is not whole: $words" }
		Move-Item -Force $aside $File
		Write-Output ('{"output":{"path":' + (Text $File) + '}}')
	}
	'import' {
		$words = (& $tool '/import' "/hrxmlfile:$File" '/restype:user') -join ' '
		if ($words -match 'error|fail|exception') { throw $words }
		Write-Output $words
	}
	default { throw "contacts: export or import, not $Do" }
}
