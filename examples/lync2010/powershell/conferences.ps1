# conferences.ps1 -- conference directories are homed, too: without one on this pool no PSTN
# conference can be made. Meetings that were scheduled on the lost pool stay lost.
param([string] $Do, [string] $From, [string] $To)
$left = @(Get-CsConferenceDirectory | Where-Object { $_.ServiceId -eq "UserServer:$From" })
switch ($Do) {
	'probe' {
		foreach ($d in $left) { Change "conference directory $($d.Identity)" $From $To }
		Loss 'meetings that were scheduled on the old pool are gone: their organizers must schedule them again'
		State $left.Count @(Get-CsConferenceDirectory).Count "$($left.Count) conference directories are on $From" (($left | ForEach-Object { $_.Identity }) -join ',')
	}
	'apply' { $left | ForEach-Object { Move-CsConferenceDirectory -Identity $_.Identity -TargetPool $To -Force -Confirm:$false } }
	'verify' { if ($left.Count) { Pending "$($left.Count) conference directories are still on $From" } }
	default { throw "conferences: probe, apply or verify, not $Do" }
}
