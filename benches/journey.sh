#!/bin/bash
# The whole journey of an npm project, each step beside what one would use for it otherwise.
#
#     benches/journey.sh [PROJECT]      default: fixtures/npm/journey; AFTK names the program
#
# Needs the registry of the npm configuration, npm, curl, zstd and GNU time; nginx for the last part. A line a step:
# seconds, processor time and peak memory as the system accounts them for the whole process.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
project=$(cd "${1:-$root/fixtures/npm/journey}" && pwd)
aftk=${AFTK:-$root/target/release/aftk}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
mkdir "$work/project"
cp "$project"/package*.json "$work/project"
cp "$project/.npmrc" "$work/project" 2>/dev/null || true
cd "$work/project"

step() { # LABEL COMMAND…: for programs that end
    local label=$1
    shift
    if ! /usr/bin/time -o "$work/time" -f "%e %U %S %M" "$@" >"$work/stdout" 2>"$work/stderr"; then
        echo "$label failed:"; tail -3 "$work/stderr"; return 1
    fi
    tail -1 "$work/time" | awk -v label="$label" '{printf "%-34s %7.2f s  cpu %6.2f s  %6.1f MiB\n", label, $1, $2 + $3, $4 / 1024}'
}
npm_ci() { # REGISTRY: nothing kept from before
    rm -rf node_modules "$work/cache"
    npm ci --ignore-scripts --no-audit --no-fund --cache "$work/cache" ${1:+--registry "$1"}
}
export -f npm_ci
export work

step "aftk version" "$aftk" version
step "collect, cold" "$aftk" --home "$work/out" collect npm:./package-lock.json --out "$work/stick"
for run in 1 2 3; do step "collect again ($run)" "$aftk" --home "$work/out" collect npm:./package-lock.json --out "$work/stick"; done
step "npm ci, cold, same registry" bash -c npm_ci
bundle=$(ls "$work"/stick/*.aftk.tar)
echo "bundle: $(stat -c %s "$bundle") bytes"
"$aftk" --home "$work/out" key show >"$work/key.pem" 2>/dev/null
"$aftk" --home "$work/in" key trust "$work/key.pem" >/dev/null 2>&1
for run in 1 2 3; do
    step "pack ($run)" "$aftk" --home "$work/out" collect npm:./package-lock.json --out "$work/packed$run"
    step "tar | zstd of the same blobs ($run)" bash -c "tar -C '$work/out/store' -c blobs | zstd -q -o '$work/tar$run.zst' && sync '$work/tar$run.zst'"
    step "verify ($run)" "$aftk" --home "$work/in" verify "$bundle"
    step "sha256sum ($run)" sha256sum "$bundle"
    step "openssl sha256 ($run)" openssl dgst -sha256 "$bundle"
    rm -rf "$work/in$run"
    "$aftk" --home "$work/in$run" key trust "$work/key.pem" >/dev/null 2>&1
    step "import ($run)" "$aftk" --home "$work/in$run" import "$bundle"
    step "cp and sync ($run)" bash -c "cp '$bundle' '$work/copy' && sync '$work/copy'"
    # What an import cannot do without: both hashes, one on each core, while the disk takes the copy.
    step "both hashes beside cp and sync ($run)" bash -c "openssl dgst -sha512 '$bundle' & openssl dgst -sha256 '$bundle'; cp '$bundle' '$work/copy' && sync '$work/copy'; wait"
done

"$aftk" --home "$work/in1" serve --listen 127.0.0.1:23850 >"$work/access" 2>&1 &
server=$!
until curl -sf http://127.0.0.1:23850/ >/dev/null; do sleep 0.1; done
if command -v nginx >/dev/null; then
    # nginx gets the same answers as files, at the same paths.
    node -e '
        const lock = require("./package-lock.json");
        for (const [path, entry] of Object.entries(lock.packages)) {
            if (!path || entry.link || entry.inBundle) continue;
            const name = entry.name ?? path.replace(/.*node_modules\//, "");
            const file = `${name.replace(/.*\//, "")}-${entry.version.replace(/\+.*/, "")}.tgz`;
            console.log(`${name}/-/${file}`);
        }' | sort -u >"$work/paths"
    while read -r path; do
        echo "url = http://127.0.0.1:23850/npm/all/$path"
        echo "output = $work/www/npm/all/$path"
    done <"$work/paths" >"$work/urls"
    sed 's#/-/.*##' "$work/paths" | sort -u | while read -r name; do
        echo "url = http://127.0.0.1:23850/npm/all/$name"
        echo "output = $work/www/npm/all/$name/index.json"
    done >"$work/documents"
    curl -sf --create-dirs -K "$work/urls" || true
    curl -sf --create-dirs -K "$work/documents" || true
    find "$work/www" -name index.json -exec sed -i 's/127.0.0.1:23850/127.0.0.1:23851/g' {} +
    printf 'worker_processes auto; daemon off; pid %s/pid; error_log /dev/null;\nevents {}\nhttp { access_log off; sendfile on; server { listen 127.0.0.1:23851; root %s/www; index index.json; } }\n' "$work" "$work" >"$work/nginx.conf"
    chmod 755 "$work"
    sed -i '1s/^/user root; /' "$work/nginx.conf"
    nginx -c "$work/nginx.conf" &
    sleep 1
    echo "tarballs: $(find "$work/www" -name '*.tgz' | wc -l)"
    for port in 23850 23851; do sed "s/23850/$port/; s#output = .*#output = /dev/null#" "$work/urls" >"$work/urls$port"; done
    for run in 1 2 3 4 5; do
        for port in 23850 23851; do
            label=$([ $port = 23850 ] && echo aftk || echo nginx)
            step "npm ci from $label ($run)" bash -c "npm_ci http://127.0.0.1:$port/npm/all/"
            step "all tarballs by curl from $label ($run)" curl -s -K "$work/urls$port"
        done
    done
fi
awk '/VmHWM/ {printf "serve, peak: %.1f MiB\n", $2 / 1024}' "/proc/$server/status"
