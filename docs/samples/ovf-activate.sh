#!/bin/sh
# Sets a Linux guest up from its OVF environment (DSP8027): host name, network, locale, time zone.
#
#   ovf-activate.sh [--dry-run] [--file ovf-env.xml] [--root DIR] [--reader xmllint|python3]
#
# Run it as root at every start: what is as it should be already is left alone, and without a CD
# nothing happens. Values of the environment are data: each is held against the letters that it may
# have, written to files, and never run, expanded or printed.
#
# Properties that are looked for, by their key or by what is behind its last dot:
#   hostname            web01.example.org
#   ip                  192.0.2.7/24 or 2001:db8::7/64; none: the network is left alone
#   gateway, dns        addresses; several of dns with blanks or commas between them
#   locale, timezone    de-DE, Europe/Berlin: before those of the platform
set -u
LC_ALL=C
export LC_ALL
umask 022

dry= file= root= reader= mounted=
while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry=yes ;;
    --file | --root | --reader)
        [ $# -gt 1 ] || { echo "ovf-activate: $1 needs a value" >&2; exit 2; }
        case $1 in
        --file) file=$2 ;;
        --root) root=${2%/} ;;
        --reader) reader=$2 ;;
        esac
        shift ;;
    *) echo "ovf-activate: no option: $1" >&2; exit 2 ;;
    esac
    shift
done

say() { printf 'ovf-activate: %s\n' "$1"; }
fail() { printf 'ovf-activate: %s\n' "$1" >&2; exit 1; }

work=$(mktemp -d) || exit 1
clean() {
    [ -z "$mounted" ] || umount "$work/cd" 2>/dev/null
    rm -f "$work/env.xml" "$work/new"
    rmdir "$work/cd" "$work" 2>/dev/null
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

# ------------------------------------------------------------------------------ finding the document
if [ -z "$file" ]; then
    mkdir "$work/cd"
    for device in /dev/disk/by-label/OVF_ENV /dev/sr[0-9]*; do
        [ -b "$device" ] || continue
        mount -t iso9660 -o ro,nosuid,nodev,noexec "$device" "$work/cd" 2>/dev/null || continue
        mounted=yes
        if [ -f "$work/cd/ovf-env.xml" ]; then
            file=$work/cd/ovf-env.xml
            break
        fi
        umount "$work/cd" && mounted=
    done
fi
[ -n "$file" ] || { say 'there is no CD with an OVF environment: nothing to do'; exit 0; }
[ -f "$file" ] && [ ! -L "$file" ] || fail 'the environment is no file'
head -c 1048577 <"$file" >"$work/env.xml" || fail 'the environment cannot be read'
[ "$(wc -c <"$work/env.xml")" -le 1048576 ] || fail 'the environment is larger than 1 MiB'
# Without a document type there are no entities, and so none that reach out or grow.
if grep -q '<!DOCTYPE' "$work/env.xml"; then fail 'the environment has a document type'; fi

# ------------------------------------------------------------------------------------ reading values
if [ -z "$reader" ]; then
    for each in xmllint python3; do
        if command -v "$each" >/dev/null 2>&1; then reader=$each; break; fi
    done
fi
case $reader in
xmllint | python3) command -v "$reader" >/dev/null 2>&1 || fail "$reader is not here" ;;
*) fail 'neither xmllint nor python3 is here to read XML' ;;
esac

PYTHON='
import sys
from xml.etree import ElementTree
N = "{http://schemas.dmtf.org/ovf/environment/1}"
kind, wanted = sys.argv[2:]
root = ElementTree.parse(sys.argv[1]).getroot()
if root.tag != N + "Environment":
    sys.exit("no OVF environment")
if kind == "platform":
    found = root.findtext(N + "PlatformSection/" + N + wanted) or ""
elif kind == "property":
    all_ = root.findall(N + "PropertySection/" + N + "Property")
    exact = [e for e in all_ if e.get(N + "key") == wanted]
    ends = [e for e in all_ if (e.get(N + "key") or "").endswith("." + wanted)]
    found = next((e.get(N + "value") or "" for e in exact + ends), "")
else:
    found = "OVF"
sys.stdout.write(found)
'
E='/*[local-name()="Environment"][namespace-uri()="http://schemas.dmtf.org/ovf/environment/1"]'

# look platform|property|whole NAME; the names stand in this script, never in the environment.
look() {
    if [ "$reader" = python3 ]; then
        python3 -I -c "$PYTHON" "$work/env.xml" "$1" "$2" 2>/dev/null
        return
    fi
    p="$E/*[local-name()=\"PropertySection\"]/*[local-name()=\"Property\"]"
    k='@*[local-name()="key"]' v='@*[local-name()="value"]'
    case $1 in
    whole) xmllint --nonet --xpath "string(name($E))" "$work/env.xml" 2>/dev/null ;;
    platform)
        xmllint --nonet --xpath \
            "string($E/*[local-name()=\"PlatformSection\"]/*[local-name()=\"$2\"])" \
            "$work/env.xml" 2>/dev/null ;;
    property)
        if [ "$(xmllint --nonet --xpath "count($p[$k=\"$2\"])" "$work/env.xml" 2>/dev/null)" != 0 ]; then
            xmllint --nonet --xpath "string($p[$k=\"$2\"]/$v)" "$work/env.xml" 2>/dev/null
        else
            xmllint --nonet --xpath \
                "string($p[substring($k, string-length($k) - ${#2})=\".$2\"]/$v)" \
                "$work/env.xml" 2>/dev/null
        fi ;;
    esac
}
[ -n "$(look whole -)" ] || fail 'the document is no OVF environment'

refused=0
refuse() {
    say "$1 is not as it has to be: left alone"
    refused=$((refused + 1))
}

# ------------------------------------------------------------------------------------ what is allowed
# Patterns of case see line breaks too, which those of grep do not.
good_hostname() {
    case $1 in '' | *[!A-Za-z0-9.-]* | [.-]* | *[.-] | *..* | *.-* | *-.*) return 1 ;; esac
    [ ${#1} -le 253 ] || return 1
    rest=$1.
    while [ -n "$rest" ]; do
        label=${rest%%.*}
        [ ${#label} -le 63 ] || return 1
        rest=${rest#*.}
    done
}
good_address() {
    case $1 in
    '' | *[!0-9A-Fa-f.:]*) return 1 ;;
    *:*) [ ${#1} -le 45 ] ;;
    *.*.*.*.* | *..* | .* | *. | *[!0-9.]*) return 1 ;;
    *.*.*.*)
        rest=$1.
        while [ -n "$rest" ]; do
            part=${rest%%.*}
            [ ${#part} -le 3 ] && [ "$part" -le 255 ] || return 1
            rest=${rest#*.}
        done ;;
    *) return 1 ;;
    esac
}
good_network() {
    case $1 in */*/* | *[!0-9A-Fa-f.:/]*) return 1 ;; */*) ;; *) return 1 ;; esac
    good_address "${1%/*}" || return 1
    case ${1#*/} in '' | *[!0-9]* | ????*) return 1 ;; esac
    case $1 in *:*) [ "${1#*/}" -le 128 ] ;; *) [ "${1#*/}" -le 32 ] ;; esac
}
good_locale() {
    case $1 in '' | *[!A-Za-z-]* | -* | *- | *--* | *-*-*) return 1 ;; esac
    [ ${#1} -le 8 ]
}
good_zone() {
    case $1 in '' | *[!A-Za-z0-9_+/-]* | /* | */ | *//*) return 1 ;; esac
    [ ${#1} -le 64 ] && [ -f "$root/usr/share/zoneinfo/$1" ]
}

# -------------------------------------------------------------------------------------------- writing
# put FILE: what stands in $work/new becomes its content, unless it is so already.
put() {
    if [ -f "$root$1" ] && cmp -s "$work/new" "$root$1"; then
        say "$1 is as it should be"
    elif [ -n "$dry" ]; then
        say "$1 would be written"
    else
        mkdir -p "$root${1%/*}" && cp "$work/new" "$root$1.ovf-new" && mv -f "$root$1.ovf-new" "$root$1" \
            || fail "$1 cannot be written"
        say "$1 is written"
        return 0
    fi
    return 1
}
# Only where it is this system that is set up.
live() { [ -z "$root" ] && [ -z "$dry" ]; }

name=$(look property hostname)
if [ -n "$name" ]; then
    if good_hostname "$name"; then
        printf '%s\n' "$name" >"$work/new"
        if put /etc/hostname && live; then hostname "$name"; fi
    else
        refuse 'the host name'
    fi
fi

address=$(look property ip)
if [ -n "$address" ]; then
    gateway=$(look property gateway)
    servers=$(look property dns | tr ',' ' ')
    adapter=
    for each in "$root"/sys/class/net/*; do
        each=${each##*/}
        case $each in lo | '*' | *[!A-Za-z0-9._-]*) ;; *) adapter=$each; break ;; esac
    done
    fine=yes
    good_network "$address" || { refuse 'the address'; fine=; }
    [ -z "$gateway" ] || good_address "$gateway" || { refuse 'the gateway'; fine=; }
    # Split at blanks, and no pattern among them is looked up in the folder.
    set -f
    for each in $servers; do
        good_address "$each" || { refuse 'a name server'; fine=; break; }
    done
    if [ -z "$adapter" ]; then
        say 'there is no network adapter'
    elif [ -n "$fine" ]; then
        {
            printf '[Match]\nName=%s\n\n[Network]\nAddress=%s\n' "$adapter" "$address"
            [ -z "$gateway" ] || printf 'Gateway=%s\n' "$gateway"
            for each in $servers; do printf 'DNS=%s\n' "$each"; done
        } >"$work/new"
        if put /etc/systemd/network/10-ovf.network && live && command -v networkctl >/dev/null; then
            networkctl reload
        fi
    fi
    set +f
fi

locale=$(look property locale)
[ -n "$locale" ] || locale=$(look platform Locale)
if [ -n "$locale" ]; then
    if good_locale "$locale"; then
        printf 'LANG=%s.UTF-8\n' "$(printf %s "$locale" | tr - _)" >"$work/new"
        put /etc/locale.conf || :
        # Debian and its like read this one.
        if [ -d "$root/etc/default" ]; then put /etc/default/locale || :; fi
    else
        refuse 'the locale'
    fi
fi

zone=$(look property timezone)
if [ -z "$zone" ]; then
    minutes=$(look platform Timezone)
    case $minutes in
    '') ;;
    *[!0-9+-]* | ?*[+-]* | ?????* | [+-]) zone=. ;; # none that there is: refused below
    *)
        # Zones of whole hours are named by POSIX, which counts west of Greenwich.
        sign=-
        case $minutes in -*) sign=+ ;; esac
        minutes=${minutes#[+-]}
        while :; do case $minutes in 0?*) minutes=${minutes#0} ;; *) break ;; esac; done
        if [ "$minutes" -eq 0 ]; then
            zone=Etc/UTC
        elif [ $((minutes % 60)) -eq 0 ]; then
            zone=Etc/GMT$sign$((minutes / 60))
        else
            zone=.
        fi ;;
    esac
fi
if [ -n "$zone" ]; then
    if good_zone "$zone"; then
        target=../usr/share/zoneinfo/$zone
        if [ "$(readlink "$root/etc/localtime" 2>/dev/null)" = "$target" ]; then
            say '/etc/localtime is as it should be'
        elif [ -n "$dry" ]; then
            say '/etc/localtime would be written'
        else
            mkdir -p "$root/etc" && ln -sf "$target" "$root/etc/localtime" || fail '/etc/localtime cannot be written'
            say '/etc/localtime is written'
        fi
    else
        refuse 'the time zone'
    fi
fi

[ "$refused" -eq 0 ] || exit 3
