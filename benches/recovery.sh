#!/bin/bash
# What protecting and repairing a bundle costs, beside par2 with the same share on the same file.
#
#     benches/recovery.sh [MEGABYTES [RUNS]]      default: 1024, 3; AFTK names the program
#
# Needs GNU time and Debian's par2. A line a step, medians of the runs: seconds, processor time, peak memory. par2 runs once.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
megabytes=${1:-1024} runs=${2:-3}
aftk=${AFTK:-$root/target/release/aftk}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export AFTK_HOME=$work/home

timed() { # LABEL COMMAND…
    local label=$1
    shift
    if ! /usr/bin/time -o time -f "%e %U %S %M" "$@" >stdout 2>stderr; then
        echo "$label failed:"; tail -3 stderr; return 1
    fi
    tail -1 time >>"times-${label// /-}"
}
show() { # LABEL
    sort -n "times-${1// /-}" | awk -v label="$1" '
        {wall[NR] = $1; cpu[NR] = $2 + $3; peak[NR] = $4}
        END {
            middle = int((NR + 1) / 2)
            printf "%-40s %7.2f s  cpu %6.2f s  %6.1f MiB\n", label, wall[middle], cpu[middle], peak[middle] / 1024
        }'
}
hole() { dd if=/dev/urandom of="$1" bs=1M count=1 seek=$((megabytes / 3)) conv=notrunc 2>/dev/null; }

for number in 1 2 3 4; do head -c $((megabytes / 4))M /dev/urandom >"$number.bin"; done
$aftk collect --channel bench --out first file:1.bin file:2.bin file:3.bin file:4.bin >/dev/null 2>&1
rm ./*.bin
volume=bench-000001-01of01.aftk.tar
for _ in $(seq "$runs"); do
    rm -rf plain protected
    timed "issue" "$aftk" collect --channel bench --reissue 1 --no-readback --out plain
    timed "issue with --recovery 10%" "$aftk" collect --channel bench --reissue 1 --no-readback --recovery 10% --out protected
done
cp "protected/$volume" whole
hole "protected/$volume"
for _ in $(seq "$runs"); do
    rm -rf repaired
    timed "repair 1 MiB" "$aftk" repair protected --out repaired
    cmp "repaired/$volume" whole
done
cp "first/$volume" par
timed "par2 create -r10" par2 create -q -q -r10 par.par2 par
hole par
timed "par2 repair" par2 repair -q -q par.par2
cmp par "first/$volume"
for label in "issue" "issue with --recovery 10%" "par2 create -r10" "repair 1 MiB" "par2 repair"; do show "$label"; done
ls -l protected/*.rec ./*.par2 | awk '{sum[$NF ~ /rec$/] += $5} END {print "bytes: .rec", sum[1], "par2", sum[0]}'
