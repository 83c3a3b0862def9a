#!/bin/sh
# Captures which packages a machine has: aftk collects against it what the machine lacks. It only reads, as any user.
# sh aftk-apt-baseline.sh [FILE]   writes FILE, or aftk-baseline-HOST.tar
set -eu
host=$(uname -n | tr -cd 'A-Za-z0-9._-')
[ -n "$host" ] || host=host
file=${1:-aftk-baseline-$host.tar}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
into=$work/$host
mkdir -p "$into/sources"

cp /var/lib/dpkg/status "$into/status"
if [ -e /var/lib/apt/extended_states ]; then cp /var/lib/apt/extended_states "$into/extended_states"; fi
{ dpkg --print-architecture; dpkg --print-foreign-architectures; } >"$into/architectures"
dpkg --get-selections | grep -v 'install$' >"$into/holds" || true
cp /etc/os-release "$into/os-release" 2>/dev/null || true
# Accounts that somebody wrote into an address stay here.
for source in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources \
  /etc/apt/preferences /etc/apt/preferences.d/*; do
  [ -f "$source" ] || continue
  sed 's,://[^/@ ]*@,://,g' "$source" >"$into/sources/$(basename "$source")"
done

tar -C "$work" -cf "$file" "$host"
echo "$file: $(grep -c '^Package: ' "$into/status") packages"
