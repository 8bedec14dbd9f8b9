# cms.ps1 -- brings the Central Management Store to a pool when it was lost with the other.
# Before it: Install-CsDatabase -CentralManagementDatabase on that pool, once, in peace.
param([string] $Do, [string] $Pool, [string] $Configuration, [string] $Lis)
$now = (Get-CsConfigurationStoreLocation).BackEndServer
$is_here = ($now -split '\\')[0] -eq $Pool
switch ($Do) {
	'probe' {
		if ($is_here) { State 0 1 "the management store is at $now" $now }
		else {
			Change 'management store' $now "$Pool\rtc"
			State 1 1 "the management store is at $now" $now
		}
	}
	'apply' {
		if (-not $is_here) {
			Move-CsManagementServer -ConfigurationFileName $Configuration -LisConfigurationFileName $Lis -Force -Confirm:$false
			Enable-CsTopology
		}
	}
	'verify' { if (-not $is_here) { Pending "the management store is still at $now" } }
	default { throw "cms: probe, apply or verify, not $Do" }
}
