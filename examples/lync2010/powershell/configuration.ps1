# configuration.ps1 -- the two files without which a lost management store cannot be rebuilt.
param([string] $Do, [string] $Configuration, [string] $Lis)
if ($Do -ne 'export') { throw "configuration: export, not $Do" }
Export-CsConfiguration -FileName $Configuration -Force
Export-CsLisConfiguration -FileName $Lis -Force
