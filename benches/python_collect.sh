#!/bin/bash
# Python packages chosen, beside `uv pip compile`, and collected, beside `pip download`: from the index outside, without caches.
#
#     benches/python_collect.sh [RUNS [REQUIREMENT…]]    default: 5 runs of fastapi, pandas, requests and scikit-learn; AFTK names the program
#
# Needs Python with venv, GNU time, and an index outside. All are asked in turn, so that a network whose speed drifts is fair to
# them; the medians are at the end. Choosing is for one target of the machine's own Python, without pip, setuptools and wheel,
# which pip download does not bring either.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
runs=${1:-5}
shift || true
wanted=("$@")
[ $# -gt 0 ] || wanted=(fastapi pandas requests scikit-learn)
aftk=${AFTK:-$root/target/release/aftk}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/clients"
"$work/clients/bin/pip" install -q --upgrade pip uv
export PATH=$work/clients/bin:$PATH HOME=$work/user
mkdir "$HOME" "$work/project"
printf '%s\n' "${wanted[@]}" >"$work/requirements.txt"
cp "$work/requirements.txt" "$work/project"
cat >"$work/project/aftk.toml" <<TOML
format = 1
requests = ["./requirements.txt"]
[[pypi]]
python = "$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
platforms = "linux-$(uname -m)"
with-installers = false
TOML

timed() { # LABEL COMMAND…
    local label=$1
    shift
    if ! /usr/bin/time -o "$work/time" -f "%e %U %M" "$@" >"$work/stdout" 2>&1; then
        echo "$label failed:"; tail -3 "$work/stdout"; exit 1
    fi
    tail -1 "$work/time" >>"$work/times-$label"
}
labels=(aftk-lock uv-compile aftk-collect pip-download)
for _ in $(seq "$runs"); do
    rm -rf "$work/home" "$work/project/aftk.lock" "$work/stick" "$work/downloads"
    timed aftk-lock "$aftk" --home "$work/home" -C "$work/project" lock
    timed uv-compile uv pip compile -q --no-cache "$work/requirements.txt"
    rm -rf "$work/home" "$work/project/aftk.lock"
    timed aftk-collect "$aftk" --home "$work/home" -C "$work/project" collect --out "$work/stick"
    timed pip-download pip download -q --no-cache-dir --only-binary :all: -d "$work/downloads" -r "$work/requirements.txt"
done
echo "$(ls "$work/downloads" | wc -l) files, $(du -sm "$work/downloads" | cut -f1) MB; medians of $runs: seconds, of the processor, peak in kB"
for label in "${labels[@]}"; do
    printf '%-14s %s\n' "$label" "$(sort -n "$work/times-$label" | awk '{all[NR] = $0} END {print all[int((NR + 1) / 2)]}')"
done
