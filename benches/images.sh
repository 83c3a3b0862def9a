#!/bin/bash
# Images, each step beside skopeo doing the same: collecting, importing, pushing.
#
#     benches/images.sh [IMAGES [MEGABYTES [RUNS]]]      default: 8 images of 56 MB, 5 runs; AFTK names the program
#
# Needs Debian's docker-registry, skopeo, buildah and GNU time; no network. The images are random bytes in four layers
# each, so nothing is saved by compressing or sharing them. Both programs run in turn, so that a machine whose speed
# drifts is fair to them; the medians are at the end.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
images=${1:-8} megabytes=${2:-56} runs=${3:-5}
aftk=${AFTK:-$root/target/release/aftk}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
export HOME=$work/user

registry() { # NAME PORT
    printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
        "$work/$1" "$2" >"$work/$1.yml"
    docker-registry serve "$work/$1.yml" >/dev/null 2>&1 &
    until curl -sf "http://127.0.0.1:$2/v2/" >/dev/null; do sleep 0.1; done
}
step() { # LABEL COMMAND…
    local label=$1
    shift
    sync
    if ! /usr/bin/time -o "$work/time" -f "%e %U %S %M" "$@" >"$work/stdout" 2>"$work/stderr"; then
        echo "$label failed:"; tail -3 "$work/stderr"; return 1
    fi
    tail -1 "$work/time" | tee -a "$work/times-${label// /-}" |
        awk -v label="$label" '{printf "%-18s %7.2f s  cpu %6.2f s  %6.1f MiB\n", label, $1, $2 + $3, $4 / 1024}'
}
each() { # COMMAND with NUMBER for each image's number
    for number in $(seq "$images"); do eval "$1"; done
}
export -f each
export images

registry outside 23850
buildah=(buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs)
requests=()
for number in $(seq "$images"); do
    mkdir -p "$work/context"
    for layer in 1 2 3 4; do head -c $((megabytes * 250000)) /dev/urandom >"$work/context/$layer"; done
    printf 'FROM scratch\nCOPY 1 /1\nCOPY 2 /2\nCOPY 3 /3\nCOPY 4 /4\n' >"$work/context/Containerfile"
    "${buildah[@]}" bud --layers -q -t "image$number" "$work/context" >/dev/null
    "${buildah[@]}" push -q --tls-verify=false "image$number" "docker://127.0.0.1:23850/team/image$number:1" 2>/dev/null
    requests+=("docker:127.0.0.1:23850/team/image$number:1")
done
rm -rf "$work/storage" "$work/run" "$work/context"

for _ in $(seq "$runs"); do
    rm -rf "$work/out" "$work/stick" "$work/layout" "$work/in" "$work/copy"
    step "collect" "$aftk" --home "$work/out" collect "${requests[@]}" --out "$work/stick"
    step "skopeo to a layout" bash -c "each 'skopeo copy -q --all --src-tls-verify=false \
        docker://127.0.0.1:23850/team/image\$number:1 oci:$work/layout:image\$number'"
    "$aftk" --home "$work/out" key show >"$work/key.pem" 2>/dev/null
    "$aftk" --home "$work/in" key trust "$work/key.pem" >/dev/null 2>&1
    step "import" "$aftk" --home "$work/in" import "$work/stick"
    step "cp of a layout" bash -c "cp -r '$work/layout' '$work/copy' && sync -f '$work/copy'"
    for pusher in aftk skopeo; do
        rm -rf "$work/target"
        registry target 23851
        if [ $pusher = aftk ]; then
            step "push" "$aftk" --home "$work/in" push docker://127.0.0.1:23851/copies
        else
            step "skopeo to a registry" bash -c "each 'skopeo copy -q --all --dest-tls-verify=false \
                oci:$work/layout:image\$number docker://127.0.0.1:23851/copies/image\$number:1'"
        fi
        kill %%
        wait %% 2>/dev/null || true
    done
done

median() { # LABEL
    awk '{print $1}' "$work/times-${1// /-}" | sort -n | awk '{all[NR] = $1} END {print all[int((NR + 1) / 2)]}'
}
echo "medians of $runs:"
compare() { # OURS THEIRS
    echo "$1 $(median "$1") s; $2 $(median "$2") s: $(awk "BEGIN {printf \"%.2f\", $(median "$2") / $(median "$1")}") times as fast"
}
compare "collect" "skopeo to a layout"
compare "import" "cp of a layout"
compare "push" "skopeo to a registry"
