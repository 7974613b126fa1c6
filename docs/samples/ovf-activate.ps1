<#
.SYNOPSIS
Sets a Windows guest up from its OVF environment (DSP8027): name, network, locale, time zone.
.DESCRIPTION
Run it as an administrator at every start: what is as it should be already is left alone, and without a CD nothing
happens. Values of the environment are data: each is held against what it may be, and handed on as an argument; none
is run. -WhatIf says what would be changed. A new name holds after the next start.

Properties that are looked for, by their key or by what is behind its last dot: hostname, ip (192.0.2.7/24), gateway,
dns (several with blanks or commas between them), locale (de-DE) and timezone (an id of Windows), the last two before
those of the platform.
.PARAMETER Path
The document; else ovf-env.xml on the first CD that has one.
#>
[CmdletBinding(SupportsShouldProcess)]
param([string] $Path)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'
$script:Refused = 0

if (-not $Path) {
    $Path = [IO.DriveInfo]::GetDrives() |
        Where-Object { $_.DriveType -eq 'CDRom' -and $_.IsReady } |
        ForEach-Object { [IO.Path]::Combine($_.RootDirectory.FullName, 'ovf-env.xml') } |
        Where-Object { Test-Path -LiteralPath $_ -PathType Leaf } |
        Select-Object -First 1
    if (-not $Path) { Write-Output 'There is no CD with an OVF environment: nothing to do.'; exit 0 }
}
if ((Get-Item -LiteralPath $Path).Length -gt 1MB) { throw 'The environment is larger than 1 MiB.' }

# Without a document type there are no entities, and so none that reach out or grow.
$settings = [Xml.XmlReaderSettings]::new()
$settings.DtdProcessing = [Xml.DtdProcessing]::Prohibit
$settings.XmlResolver = $null
$document = [Xml.XmlDocument]::new()
$document.XmlResolver = $null
$reader = [Xml.XmlReader]::Create((Resolve-Path -LiteralPath $Path).ProviderPath, $settings)
try { $document.Load($reader) } finally { $reader.Dispose() }

$uri = 'http://schemas.dmtf.org/ovf/environment/1'
$names = [Xml.XmlNamespaceManager]::new($document.NameTable)
$names.AddNamespace('e', $uri)
if (-not $document.SelectSingleNode('/e:Environment', $names)) { throw 'The document is no OVF environment.' }

function Get-OvfProperty([string] $Name) {
    $all = @($document.SelectNodes('/e:Environment/e:PropertySection/e:Property', $names))
    $exact = @($all | Where-Object { $_.GetAttribute('key', $uri) -ceq $Name })
    $ends = @($all | Where-Object { $_.GetAttribute('key', $uri).EndsWith(".$Name", [StringComparison]::Ordinal) })
    $found = @($exact + $ends)
    if ($found.Count) { $found[0].GetAttribute('value', $uri) } else { '' }
}

function Get-OvfPlatform([string] $Name) {
    $found = $document.SelectSingleNode("/e:Environment/e:PlatformSection/e:$Name", $names)
    if ($found) { $found.InnerText } else { '' }
}

function Deny-Value([string] $What) {
    $script:Refused++
    Write-Output "$What is not as it has to be: left alone."
}

function Test-Address([string] $Text) {
    $found = $null
    $Text -cmatch '\A[0-9A-Fa-f.:]+\z' -and [Net.IPAddress]::TryParse($Text, [ref] $found)
}

$name = Get-OvfProperty 'hostname'
if ($name) {
    $short = $name.Split('.')[0]
    if ($name -cnotmatch '\A[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\z' -or $short -cnotmatch '\A[A-Za-z0-9-]{1,15}\z') {
        Deny-Value 'The name'
    } elseif ($env:COMPUTERNAME -ne $short -and $PSCmdlet.ShouldProcess('this computer', 'name')) {
        Rename-Computer -NewName $short -Force
    }
}

$address = Get-OvfProperty 'ip'
if ($address) {
    $gateway = Get-OvfProperty 'gateway'
    $servers = @((Get-OvfProperty 'dns') -split '[ ,]+' | Where-Object { $_ })
    $parts = $address.Split('/')
    $fine = $parts.Count -eq 2 -and (Test-Address $parts[0]) -and $parts[1] -cmatch '\A[0-9]{1,3}\z'
    if ($fine) { $fine = [int] $parts[1] -le $(if ($parts[0].Contains(':')) { 128 } else { 32 }) }
    if (-not $fine) {
        Deny-Value 'The address'
    } elseif ($gateway -and -not (Test-Address $gateway)) {
        Deny-Value 'The gateway'
    } elseif (@($servers | Where-Object { -not (Test-Address $_) }).Count) {
        Deny-Value 'A name server'
    } else {
        $adapter = Get-NetAdapter -Physical | Sort-Object -Property ifIndex | Select-Object -First 1
        if (-not $adapter) {
            Write-Output 'There is no network adapter.'
        } else {
            $there = Get-NetIPAddress -InterfaceIndex $adapter.ifIndex -ErrorAction SilentlyContinue |
                Where-Object { $_.IPAddress -eq $parts[0] -and $_.PrefixLength -eq [int] $parts[1] }
            if (-not $there -and $PSCmdlet.ShouldProcess($adapter.Name, 'address')) {
                $wanted = @{ InterfaceIndex = $adapter.ifIndex; IPAddress = $parts[0]; PrefixLength = [int] $parts[1] }
                if ($gateway) { $wanted.DefaultGateway = $gateway }
                New-NetIPAddress @wanted | Out-Null
            }
            if ($servers.Count -and $PSCmdlet.ShouldProcess($adapter.Name, 'name servers')) {
                Set-DnsClientServerAddress -InterfaceIndex $adapter.ifIndex -ServerAddresses $servers
            }
        }
    }
}

$locale = Get-OvfProperty 'locale'
if (-not $locale) { $locale = Get-OvfPlatform 'Locale' }
if ($locale) {
    $known = [Globalization.CultureInfo]::GetCultures('SpecificCultures').Name
    if ($locale -cnotmatch '\A[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\z' -or $known -notcontains $locale) {
        Deny-Value 'The locale'
    } elseif ((Get-WinSystemLocale).Name -ne $locale -and $PSCmdlet.ShouldProcess('this computer', 'locale')) {
        Set-WinSystemLocale -SystemLocale $locale
        Set-Culture -CultureInfo $locale
    }
}

$zones = [TimeZoneInfo]::GetSystemTimeZones()
$zone = Get-OvfProperty 'timezone'
$minutes = Get-OvfPlatform 'Timezone'
$chosen = $null
if ($zone) {
    $chosen = $zones | Where-Object { $_.Id -ceq $zone } | Select-Object -First 1
} elseif ($minutes -cmatch '\A[+-]?[0-9]{1,4}\z') {
    # The zone that is set stays where its distance is right; only then one is chosen.
    $now = [DateTimeOffset]::UtcNow
    $fits = { param($each) $each.GetUtcOffset($now).TotalMinutes -eq [int] $minutes }
    $chosen = @([TimeZoneInfo]::Local) + @($zones) | Where-Object { & $fits $_ } | Select-Object -First 1
}
if ($zone -or $minutes) {
    if (-not $chosen) {
        Deny-Value 'The time zone'
    } elseif ((Get-TimeZone).Id -ne $chosen.Id -and $PSCmdlet.ShouldProcess('this computer', 'time zone')) {
        Set-TimeZone -Id $chosen.Id
    }
}

if ($script:Refused) { exit 3 }
