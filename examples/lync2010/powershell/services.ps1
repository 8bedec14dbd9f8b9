# services.ps1 -- starts or stops services of this server by name, and says when they are so.
# Group Chat 2010: the names are those that the installation shows (Get-Service *chat*).
param([string] $Do, [string] $Names, [string] $Want)
$services = @(Get-Service -Name ($Names -split ','))
$wrong = @($services | Where-Object { $_.Status -ne $Want })
switch ($Do) {
	'probe' {
		foreach ($s in $wrong) { Change $s.Name $s.Status $Want }
		State $wrong.Count $services.Count "$($services.Count - $wrong.Count) of $($services.Count) services are $Want" (($services | ForEach-Object { "$($_.Name)=$($_.Status)" }) -join ',')
	}
	'apply' {
		if ($Want -eq 'Running') { $wrong | Start-Service } else { $wrong | Stop-Service -Force }
	}
	'verify' { if ($wrong.Count) { Pending "$($wrong[0].Name) is $($wrong[0].Status)" } }
	default { throw "services: probe, apply or verify, not $Do" }
}
