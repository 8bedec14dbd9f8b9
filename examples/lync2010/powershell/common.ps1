# common.ps1 -- what all scripts here use. Written for Windows PowerShell 2.0, as Lync
# Server 2010 has it (so no ConvertTo-Json), and never run against a real Lync.
$ErrorActionPreference = 'Stop'
[Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false

function Text([string] $s) {
	$s = $s.Replace('\', '\\').Replace('"', '\"').Replace("`r", '\r').Replace("`n", '\n').Replace("`t", '\t')
	return '"' + $s + '"'
}

# The lines that exec.run understands (plugins/exec/README.md).
function Change([string] $object, [string] $was, [string] $willBe) {
	Write-Output ('{"change":{"object":' + (Text $object) + ',"was":' + (Text $was) + ',"will_be":' + (Text $willBe) + '}}')
}
function State([int] $changes, [int] $total, [string] $now, [string] $fingerprint) {
	Write-Output ('{"changes":' + $changes + ',"total":' + $total + ',"now":' + (Text $now) + ',"fingerprint":' + (Text $fingerprint) + '}')
}
function Loss([string] $sentence) {
	Write-Output ('{"loss":' + (Text $sentence) + '}')
}
function Undo([string] $byHand, [string] $was, [string] $set) {
	Write-Output ('{"undo":{"by_hand":' + (Text $byHand) + ',"was.value":' + (Text $was) + ',"set.value":' + (Text $set) + '}}')
}
function Pending([string] $why) {
	Write-Output $why
	exit 75
}

# An uncaught error of PowerShell would end with status 0 when the script comes on stdin.
function Guard([scriptblock] $script) {
	try {
		Import-Module Lync
		& $script
		exit 0
	} catch {
		[Console]::Error.WriteLine($_.Exception.Message + ' (' + $_.InvocationInfo.PositionMessage.Trim() + ')')
		exit 1
	}
}
