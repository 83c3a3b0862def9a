#!/bin/bash
# Debian packages: choosing them beside `apt-get -s`, and collecting them beside `apt-get download` and aptly, for a machine that
# has nothing.
#
#     benches/apt_collect.sh [RUNS [CHOSEN [COLLECTED]]]      default: 3 runs, gnome-core and nginx; AFTK names the program
#
# Needs Debian with its sources for apt, aptly and GNU time. All have sources and folders of their own, and run in turn, so that a
# machine whose speed drifts is fair to them; the medians are at the end. Nobody recommends anything, and nothing is installed.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
runs=${1:-3} chosen=${2:-gnome-core} collected=${3:-nginx}
aftk=${AFTK:-$root/target/release/aftk}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work/user
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
archive=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | sed -n "s/ $codename\$//p" | head -1)
mkdir -p "$HOME"

apt() { # FOLDER WORD…
    local folder=$1
    shift
    if ! [ -d "$folder" ]; then
        mkdir -p "$folder"/{etc/{apt.conf.d,preferences.d,sources.list.d},state/lists/partial,cache/archives/partial}
        touch "$folder/status"
        echo "deb [signed-by=$keyring arch=amd64] $archive $codename main" >"$folder/etc/sources.list"
        cat >"$folder/apt.conf" <<END
Dir "$folder/"; Dir::Etc "$folder/etc/"; Dir::State "$folder/state/"; Dir::State::status "$folder/status";
Dir::Cache "$folder/cache/"; APT::Sandbox::User "root"; APT::Architecture "amd64"; APT::Architectures:: "amd64";
Acquire::Languages "none"; Debug::NoLocking "1"; APT::Install-Recommends "false";
END
    fi
    APT_CONFIG=$folder/apt.conf apt-get -q "$@"
}
project() { # FOLDER REQUEST
    mkdir -p "$1"
    cat >"$1/aftk.toml" <<END
format = 1
requests = ["apt:$2"]

[[apt]]
uri = "$archive"
suites = ["$codename"]
components = ["main"]
architectures = ["amd64"]
signed-by = "$keyring"

[[apt]]
recommends = false
END
}
by_aptly() { # FOLDER
    mkdir -p "$1"
    echo "{\"rootDir\": \"$1\", \"architectures\": [\"amd64\"]}" >"$1/aptly.conf"
    aptly -config="$1/aptly.conf" mirror create -keyring=$keyring -filter="$collected" -filter-with-deps m "$archive" "$codename" main
    aptly -config="$1/aptly.conf" mirror update -keyring=$keyring m
}
by_apt() { # FOLDER
    apt "$1" update
    apt "$1" install -y --download-only "$collected"
}
export -f apt by_apt by_aptly
export keyring archive codename collected
step() { # LABEL COMMAND…
    local label=$1
    shift
    if ! /usr/bin/time -o "$work/time" -f "%e %U %S %M" "$@" >"$work/stdout" 2>"$work/stderr"; then
        echo "$label failed:"; tail -3 "$work/stderr"; return 1
    fi
    tail -1 "$work/time" | tee -a "$work/times-${label// /-}" |
        awk -v label="$label" '{printf "%-22s %7.2f s  cpu %6.2f s  %6.1f MiB\n", label, $1, $2 + $3, $4 / 1024}'
}

project "$work/choosing" "$chosen"
apt "$work/lists" update >/dev/null
(cd "$work/choosing" && "$aftk" --home "$work/warm" lock -n >/dev/null 2>&1)
project "$work/collecting" "$collected"
for _ in $(seq "$runs"); do
    (cd "$work/choosing" && step "choose by aftk" "$aftk" --home "$work/warm" lock -n)
    step "choose by apt" bash -c "apt '$work/lists' install -s '$chosen'"
    rm -rf "$work/out" "$work/stick" "$work/cold" "$work/aptly" "$work/collecting/aftk.lock"
    (cd "$work/collecting" && step "collect by aftk" "$aftk" --home "$work/out" collect --out "$work/stick")
    step "collect by apt" bash -c "by_apt '$work/cold'"
    step "collect by aptly" bash -c "by_aptly '$work/aptly'"
done
echo "collected: aftk $(du -sm "$work/stick" | cut -f1) MB, apt $(du -sm "$work/cold/cache/archives" | cut -f1) MB, aptly $(du -sm "$work/aptly/pool" | cut -f1) MB"
echo "medians of $runs:"
for times in "$work"/times-*; do
    sort -n "$times" | awk -v label="${times#*times-}" \
        '{all[NR] = $0} END {split(all[int((NR + 1) / 2)], t, " "); printf "%-22s %7.2f s  cpu %6.2f s  %6.1f MiB\n", label, t[1], t[2] + t[3], t[4] / 1024}'
done
