#!/bin/bash
# The archive for apt beside others: publishing beside aptly, serving beside nginx.
#
#     benches/apt.sh INDEX [MOST [SECONDS]]      INDEX: an unpacked Packages; AFTK names the program,
#                                                 EDITION the built benchmark apt_edition
#
# Needs Debian's aptly, gnupg, nginx, wrk, curl and GNU time; no network. INDEX is that of an archive, of which packages with
# the same control data and nothing else are made. aptly publishes them without its lists of contents, which we have none
# of; what it published is collected, imported and served by us, and the same files by nginx, from the same disk.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
index=$(realpath "$1") most=${2:-1000000} seconds=${3:-5}
aftk=${AFTK:-$root/target/release/aftk}
work=$(mktemp -d)
servers=()
trap 'kill "${servers[@]}" 2>/dev/null; rm -rf "$work"' EXIT
export GNUPGHOME=$work/gnupg
mkdir -p "$work/project"
mkdir -m 700 "$GNUPGHOME"
cp "$index" "$work/Packages"
"$root/benches/packages.py" "$work/Packages" "$work/debs" "$most"
cat "$work/Packages-first" "$work/Packages-later" >"$work/all"

step() { # LABEL COMMAND…
    local label=$1
    shift
    if ! /usr/bin/time -o "$work/time" -f "%e %U %S %M" "$@" >"$work/stdout" 2>"$work/stderr"; then
        echo "$label failed:"; tail -3 "$work/stderr" "$work/stdout"; return 1
    fi
    tail -1 "$work/time" |
        awk -v label="$label" '{printf "%-34s %7.2f s  cpu %6.2f s  %6.1f MiB\n", label, $1, $2 + $3, $4 / 1024}'
}

gpg --batch --quiet --passphrase '' --quick-generate-key bench ed25519 sign never
printf '{"rootDir": "%s", "architectures": ["amd64"], "skipContentsPublishing": true}\n' "$work/aptly" >"$work/aptly.conf"
aptly=(aptly "-config=$work/aptly.conf")
"${aptly[@]}" repo create -distribution=stable -component=main bench >/dev/null
step "aptly repo add" "${aptly[@]}" repo add bench "$work/debs"
step "aptly publish repo, the first time" "${aptly[@]}" publish repo -batch bench
step "aptly publish update, unchanged" "${aptly[@]}" publish update -batch stable
"${aptly[@]}" repo add bench "$work/debs-later" >/dev/null
step "aptly publish update, ten more" "${aptly[@]}" publish update -batch stable
if [ -n "${EDITION:-}" ]; then
    (cd "$work" && "$EDITION" "$work/all")
else
    (cd "$root" && cargo bench --quiet --bench apt_edition -- "$work/all")
fi

nginx() { # FOLDER PORT
    cat >"$work/nginx-$2.conf" <<EOF
worker_processes 2; daemon off; pid $work/nginx-$2.pid; error_log /dev/null; user root;
events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  server { listen 127.0.0.1:$2; root $1; } }
EOF
    command nginx -c "$work/nginx-$2.conf" 2>/dev/null &
    servers+=($!)
    until curl -s "http://127.0.0.1:$2/" >/dev/null; do sleep 0.1; done
}
nginx "$work/aptly/public" 23860
gpg --armor --export bench >"$work/project/keyring.asc"
cat >"$work/project/aftk.toml" <<EOF
format = 1
requests = ["apt:@all"]
[[apt]]
name = "bench"
uri = "http://127.0.0.1:23860"
suites = ["stable"]
components = ["main"]
architectures = ["amd64"]
signed-by = "keyring.asc"
EOF
cd "$work/project"
step "collect all of it" "$aftk" --home "$work/out" collect --out "$work/stick"
"$aftk" --home "$work/out" key show >"$work/key.pem" 2>/dev/null
"$aftk" --home "$work/in" key trust "$work/key.pem" >/dev/null 2>&1
step "import it" "$aftk" --home "$work/in" import "$work/stick"
"$aftk" --home "$work/in" serve --listen 127.0.0.1:23861 >/dev/null 2>"$work/serve.log" &
servers+=($!)
until grep -q 'serving on' "$work/serve.log"; do sleep 0.1; done

# What a machine that has nothing needs for one package, chosen from all of them. aptly alternates where apt chooses, so it
# finds more; and it proves nothing.
mkdir -p "$work/choosing" "$work/apt"/{etc/{apt.conf.d,preferences.d,sources.list.d},state/lists/partial,cache/archives/partial}
sed -e 's/"apt:@all"/"apt:gnome-core"/' "$work/project/aftk.toml" >"$work/choosing/aftk.toml"
printf '[[apt]]\nrecommends = false\n' >>"$work/choosing/aftk.toml"
cp "$work/project/keyring.asc" "$work/choosing/"
touch "$work/apt/status"
echo "deb [signed-by=$work/project/keyring.asc arch=amd64] http://127.0.0.1:23860 stable main" >"$work/apt/etc/sources.list"
cat >"$work/apt/apt.conf" <<EOF
Dir "$work/apt/"; Dir::Etc "$work/apt/etc/"; Dir::State "$work/apt/state/"; Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt/cache/"; APT::Sandbox::User "root"; APT::Architecture "amd64"; APT::Architectures:: "amd64";
Acquire::Languages "none"; Debug::NoLocking "1"; APT::Install-Recommends "false";
EOF
APT_CONFIG=$work/apt/apt.conf apt-get -q update >/dev/null
(cd "$work/choosing" && "$aftk" --home "$work/warm" lock -n >/dev/null 2>&1)
for _ in 1 2 3; do
    (cd "$work/choosing" && step "choose gnome-core: aftk lock -n" "$aftk" --home "$work/warm" lock -n)
    step "apt-get -s install" env APT_CONFIG="$work/apt/apt.conf" apt-get -q -s install gnome-core
    step "aptly repo search -with-deps" "${aptly[@]}" repo search -with-deps bench gnome-core
done
deb=$(awk '$1 == "Filename:" {print $2; exit}' "$work/aptly/public/dists/stable/main/binary-amd64/Packages")
files=(dists/stable/InRelease dists/stable/main/binary-amd64/Packages.xz "$deb")
for file in "${files[@]}"; do
    mkdir -p "$work/static/$(dirname "$file")"
    curl -sSf -o "$work/static/$file" "http://127.0.0.1:23861/apt/bench/$file"
done
nginx "$work/static" 23862
for file in "${files[@]}"; do
    echo "$file, $(stat -c %s "$work/static/$file") bytes:"
    for server in "aftk 23861/apt/bench" "nginx 23862"; do
        wrk -t1 -c8 -d"$seconds"s "http://127.0.0.1:${server#* }/$file" |
            awk -v name="${server% *}" '/Requests\/sec|Transfer\/sec/ {line = line "  " $0} END {printf "  %-6s%s\n", name, line}'
    done
done
