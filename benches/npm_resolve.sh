#!/bin/bash
# What npm would install, found out by us, by npm and by pnpm: `aftk lock`, `npm install --package-lock-only` and
# `pnpm install --lockfile-only`, each from nothing: no cache, no store, no lock.
#
#     benches/npm_resolve.sh [RUNS [PACKAGE…]]   default: 3 runs of next, @nestjs/core and react-scripts; AFTK names the program
#
# Needs npm with its registry, and GNU time. All are asked in turn, so that a machine or a network whose speed drifts is
# fair to them; the medians are at the end, with the most memory that each had.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
runs=${1:-3}
shift || true
[ $# -gt 0 ] || set -- next @nestjs/core react-scripts
aftk=${AFTK:-$root/target/release/aftk}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work/user
mkdir -p "$HOME" "$work/project"

echo "installing pnpm"
npm install --silent --no-audit --no-fund --prefix "$work/pnpm" pnpm >/dev/null 2>&1
list=$(printf ',"%s":"*"' "$@")
printf '{"name":"bench","private":true,"dependencies":{%s}}\n' "${list#,}" >"$work/project/package.json"

timed() { # NAME COMMAND…
    local name=$1
    shift
    rm -rf "$work/cold"
    cp -r "$work/project" "$work/cold"
    (cd "$work/cold" && /usr/bin/time -f '%e %M' -o "$work/time" "$@" >"$work/said" 2>&1) ||
        { cat "$work/said"; exit 1; }
    cat "$work/time" >>"$work/times.$name"
    echo "$name $(cat "$work/time")"
}

for _ in $(seq "$runs"); do
    rm -rf "$work/home" "$work/cache" "$work/store"
    timed aftk "$aftk" --home "$work/home" lock ./package.json
    timed npm npm install --package-lock-only --ignore-scripts --no-audit --no-fund --cache "$work/cache"
    timed pnpm env XDG_CACHE_HOME="$work/store/cache" "$work/pnpm/node_modules/.bin/pnpm" install --lockfile-only \
        --ignore-scripts --store-dir "$work/store"
done
for name in aftk npm pnpm; do
    sort -n "$work/times.$name" | awk -v name="$name" '{ s[NR] = $1; if ($2 > m) m = $2 }
        END { printf "%-5s median %.2f s, at most %.0f MiB\n", name, s[int((NR + 1) / 2)], m / 1024 }'
done
