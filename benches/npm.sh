#!/bin/bash
# npm packages from us, beside verdaccio and plain files from nginx: what npm, pnpm and bun install from a lock without a
# cache, what npm resolves without one, and all tarballs by curl.
#
#     benches/npm.sh [RUNS [PROJECT]]      default: 3 runs of fixtures/npm/journey; AFTK names the program
#
# Needs node with npm, nginx, curl and GNU time, and a registry outside. All servers are asked in turn, so that a machine whose
# speed drifts is fair to them; the medians are at the end.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
runs=${1:-3}
project=$(cd "${2:-$root/fixtures/npm/journey}" && pwd)
aftk=${AFTK:-$root/target/release/aftk}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
# The way to the registry stays, and nothing else of the user's configuration.
export npm_config_registry=${npm_config_registry:-$(npm config get registry)}
export HOME=$work/user npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
mkdir -p "$HOME" "$work/clients" "$work/project"

echo "installing clients and verdaccio"
echo '{"overrides": {"node-fetch": "2.6.7"}}' >"$work/clients/package.json"
(cd "$work/clients" && npm install -s verdaccio@6 pnpm@10 bun@1)
bin=$work/clients/node_modules/.bin

echo "collecting $project"
cp "$project"/package*.json "$work/project"
(cd "$work/project" && "$aftk" --home "$work/out" collect npm:package-lock.json --out "$work/stick") >/dev/null 2>&1
"$aftk" --home "$work/out" key show >"$work/key.pem" 2>/dev/null
"$aftk" --home "$work/in" key trust "$work/key.pem" >/dev/null 2>&1
"$aftk" --home "$work/in" import "$work/stick" >/dev/null 2>&1
unset npm_config_registry

answers() { # ADDRESS
    for _ in $(seq 300); do curl -s -o "$work/page" "$1" && return; sleep 0.1; done
    echo "nobody answers at $1"
    exit 1
}
registry() { # SERVER
    case $1 in
    aftk) echo http://127.0.0.1:23870/npm/all/ ;;
    verdaccio) echo http://127.0.0.1:23871/ ;;
    nginx) echo http://127.0.0.1:23872/ ;;
    esac
}
"$aftk" --home "$work/in" serve --listen 127.0.0.1:23870 >/dev/null 2>&1 &
answers http://127.0.0.1:23870/
# It takes all from us once, keeps it, and asks nobody for a day.
cat >"$work/verdaccio.yaml" <<YAML
storage: $work/storage
auth: {htpasswd: {file: $work/htpasswd}}
uplinks: {us: {url: "http://127.0.0.1:23870/npm/all/", maxage: 1d, cache: true, timeout: 60s}}
packages: {"@*/*": {access: \$all, proxy: us}, "**": {access: \$all, proxy: us}}
log: {type: stdout, format: json, level: error}
YAML
"$bin/verdaccio" --config "$work/verdaccio.yaml" --listen 127.0.0.1:23871 >/dev/null 2>&1 &
answers http://127.0.0.1:23871/
# The plainest registry there is: a file for each document and each tarball.
node - "$work/project/package-lock.json" >"$work/names" <<'NODE'
const lock = JSON.parse(require('fs').readFileSync(process.argv[2]));
const all = Object.entries(lock.packages).filter(([path, one]) => path && !one.link && !one.inBundle);
const names = all.map(([path, one]) => [one.name ?? path.split('node_modules/').pop(), one.version]);
for (const line of new Set(names.map((pair) => pair.join(' ')))) console.log(line);
NODE
mkdir -p "$work/static"
cut -d' ' -f1 "$work/names" | sort -u | while read -r name; do
    mkdir -p "$work/static/$name/-"
    curl -sf "$(registry aftk)$name" | sed "s#$(registry aftk)#$(registry nginx)#g" >"$work/static/$name/index.json"
done
while read -r name version; do echo "$name/-/${name##*/}-$version.tgz"; done <"$work/names" >"$work/tarballs"
while read -r path; do curl -sf -o "$work/static/$path" "$(registry aftk)$path" || sed -i "\\#^$path\$#d" "$work/tarballs"; done < <(cat "$work/tarballs")
chmod 755 "$work"
cat >"$work/nginx.conf" <<NGINX
daemon off; pid $work/nginx.pid; error_log /dev/null; user root; worker_processes 2;
events {}
http { access_log off; sendfile on; client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
  uwsgi_temp_path $work/t4; scgi_temp_path $work/t5; types { application/json json; } default_type application/octet-stream;
  server { listen 127.0.0.1:23872; root $work/static; location / { try_files \$uri \$uri/index.json =404; } } }
NGINX
nginx -c "$work/nginx.conf" 2>/dev/null &
answers http://127.0.0.1:23872/

timed() { # LABEL COMMAND…
    local label=$1
    shift
    if ! /usr/bin/time -o "$work/time" -f "%e" "$@" >"$work/stdout" 2>&1; then
        echo "$label failed:"; tail -5 "$work/stdout"; exit 1
    fi
    tail -1 "$work/time" >>"$work/times-$label"
}
fresh() { # SERVER: a copy of the project with no cache and this registry
    rm -rf "$work/fresh" "$HOME"
    mkdir -p "$HOME"
    cp -r "$work/project" "$work/fresh"
    echo "registry=$(registry "$1")" >"$HOME/.npmrc"
    printf '[install]\nregistry = "%s"\n' "$(registry "$1")" >"$HOME/.bunfig.toml"
    cd "$work/fresh"
}
# What verdaccio is asked for the first time it has from us; that is not measured.
for server in aftk verdaccio; do
    fresh $server
    npm install -s --ignore-scripts --replace-registry-host=always >/dev/null
    while read -r path; do echo "url=$(registry verdaccio)$path"; echo "output=/dev/null"; done <"$work/tarballs" >"$work/curl"
    [ $server = aftk ] || curl -sZ --parallel-max 8 --config "$work/curl" 2>/dev/null
done
fresh aftk
"$bin/pnpm" import >/dev/null 2>&1
cp pnpm-lock.yaml "$work/pnpm-lock.yaml"

steps=(npm-ci pnpm-install bun-install npm-resolve tarballs) servers=(aftk nginx verdaccio)
for _ in $(seq "$runs"); do
    for server in "${servers[@]}"; do
        fresh "$server"
        timed "npm-ci-$server" npm ci --ignore-scripts
        fresh "$server"
        cp "$work/pnpm-lock.yaml" .
        timed "pnpm-install-$server" "$bin/pnpm" install --frozen-lockfile --ignore-scripts
        fresh "$server"
        timed "bun-install-$server" "$bin/bun" install --ignore-scripts
        fresh "$server"
        rm package-lock.json
        timed "npm-resolve-$server" npm install --package-lock-only --ignore-scripts
        while read -r path; do echo "url=$(registry "$server")$path"; echo "output=/dev/null"; done <"$work/tarballs" >"$work/curl"
        timed "tarballs-$server" curl -sfZ --parallel-max 16 --config "$work/curl"
    done
done
echo "$(wc -l <"$work/tarballs") tarballs, $(find "$work/static" -name '*.tgz' -print0 | du -cm --files0-from=- | tail -1 | cut -f1) MB; medians of $runs in seconds:"
printf '%-14s' step "${servers[@]}"
echo
for step in "${steps[@]}"; do
    printf '%-14s' "$step"
    for server in "${servers[@]}"; do
        printf '%-14s' "$(sort -n "$work/times-$step-$server" | awk '{all[NR] = $1} END {print all[int((NR + 1) / 2)]}')"
    done
    echo
done
