#!/bin/bash
# What an update costs to carry, beside what one would use otherwise: an npm lock three months on, and an image before and
# after its packages were upgraded.
#
#     benches/carry.sh [RUNS [npm|image]]      default: 3 runs of both; AFTK names the program
#
# Needs GNU time, zstd, and Debian's restic and borgbackup; for npm the registry of its configuration, for the image
# mmdebstrap, rsync, buildah, docker-registry and Debian's mirror, and root. A line a step, medians of the runs: seconds, processor
# time and peak memory of the largest process, as the system accounts them, and the bytes that are to be carried.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
runs=${1:-3} parts=${2:-npm image}
aftk=${AFTK:-$root/target/release/aftk}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
mkdir -p "$work/user"
export RESTIC_PASSWORD=bench RESTIC_CACHE_DIR=$work/cache BORG_BASE_DIR=$work/borg BORG_PASSPHRASE=bench \
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes

timed() { # LABEL COMMAND…
    local label=$1
    shift
    if ! /usr/bin/time -o "$work/time" -f "%e %U %S %M" "$@" >"$work/stdout" 2>"$work/stderr"; then
        echo "$label failed:"; tail -3 "$work/stderr"; return 1
    fi
    tail -1 "$work/time" >>"$work/times-${label//[ ,\/|+]/-}"
}
show() { # LABEL [BYTES]
    sort -n "$work/times-${1//[ ,\/|+]/-}" | awk -v label="$1" -v bytes="${2:-}" '
        {wall[NR] = $1; cpu[NR] = $2 + $3; peak[NR] = $4}
        END {
            middle = int((NR + 1) / 2)
            printf "%-52s %7.2f s  cpu %6.2f s  %6.1f MiB %14s\n", label, wall[middle], cpu[middle], peak[middle] / 1024, bytes
        }'
}
bytes() { du -sb --apparent-size "$1" | cut -f1; }
files() { find "$1" -type f -printf '%s\n' | awk '{sum += $1} END {print sum + 0}'; }

compare() { # NAME [TREES]: each tree has the files before (old), before and after (new), and what a full bundle has (full)
    local name=$1 tree raw restic_delta borg_delta before_restic before_borg
    for tree in ${2:-as-carried}; do
        raw=$([ "$tree" = as-carried ] && echo "" || echo ", uncompressed")
        local old=$work/$tree/old new=$work/$tree/new
        for _ in $(seq "$runs"); do
            rm -rf "$work/incremental" "$work"/rival.* "$work/restic" "$work/borg-repo" "$work/cache" "$work/borg"
            # GNU tar looks for what changed since: so what is new comes into the same directory.
            rm -rf "$work/tree"; cp -al "$old" "$work/tree"
            timed "$name, full$raw: tar + zstd -3" sh -c "tar -C $work/$tree/full -c . | zstd -3 -qo $work/rival.full && sync $work/rival.full"
            tar -C "$work/tree" --listed-incremental="$work/incremental" -cf /dev/null .
            timed "$name, first$raw: restic" sh -c "restic -q init --repo $work/restic && cd $work/tree && restic -q -r $work/restic backup . && sync -f $work/restic"
            timed "$name, first$raw: borg" sh -c "borg init -e none $work/borg-repo && cd $work/tree && borg create -C zstd,3 $work/borg-repo::old . && sync -f $work/borg-repo"
            before_restic=$(files "$work/restic") before_borg=$(files "$work/borg-repo")
            cp -al "$work/restic" "$work/rival.restic"; cp -al "$work/borg-repo" "$work/rival.borg"
            cp -aln "$new/." "$work/tree/"
            timed "$name, delta$raw: tar + zstd -3" sh -c "tar -C $work/tree --listed-incremental=$work/incremental -c . | zstd -3 -qo $work/rival.delta && sync $work/rival.delta"
            timed "$name, delta$raw: restic" sh -c "cd $work/tree && restic -q -r $work/restic backup . && sync -f $work/restic"
            timed "$name, delta$raw: borg" sh -c "cd $work/tree && borg create -C zstd,3 $work/borg-repo::new . && sync -f $work/borg-repo"
            restic_delta=$(added "$work/rival.restic" "$work/restic") borg_delta=$(added "$work/rival.borg" "$work/borg-repo")
        done
        show "$name, full$raw: tar + zstd -3" "$(bytes "$work/rival.full")"
        show "$name, first$raw: restic" "$before_restic"
        show "$name, first$raw: borg" "$before_borg"
        show "$name, delta$raw: tar + zstd -3" "$(bytes "$work/rival.delta")"
        show "$name, delta$raw: restic" "$restic_delta"
        show "$name, delta$raw: borg" "$borg_delta"
    done
}
added() { # BEFORE AFTER: the bytes of files that are new or changed, which rsync would carry
    (cd "$2" && find . -type f ! -name 'lock*' -printf '%P\n') | while read -r path; do
        cmp -s "$1/$path" "$2/$path" || stat -c %s "$2/$path"
    done | awk '{sum += $1} END {print sum + 0}'
}

update() { # NAME OLD-DIRECTORY NEW-DIRECTORY REQUEST: both are collected, and the second is carried both ways
    local name=$1 old=$2 new=$3 request=$4
    local collect=("$aftk" --home "$work/out-$name" -q collect "$request")
    (cd "$old" && "${collect[@]}" --out "$work/$name-1") >/dev/null
    (cd "$new" && "${collect[@]}" --out "$work/$name-2") >/dev/null
    "$aftk" --home "$work/out-$name" key show >"$work/key.pem" 2>/dev/null
    local full delta
    for _ in $(seq "$runs"); do
        rm -rf "$work/full" "$work/delta" "$work/in" "$work/fresh"
        cd "$new"
        timed "$name, full: pack" "${collect[@]}" --out "$work/full"
        timed "$name, delta: pack" "${collect[@]}" --since 1 --out "$work/delta"
        full=$(ls "$work"/full/*.tar) delta=$(ls "$work"/delta/*.tar)
        for home in in fresh; do "$aftk" --home "$work/$home" -q key trust "$work/key.pem" >/dev/null 2>&1; done
        "$aftk" --home "$work/in" -q import "$work/$name-1" >/dev/null
        rm -rf "$work/as-carried"; mkdir -p "$work/as-carried"
        # What was carried, by its digests: the same files for everybody.
        cp -al "$work/in/store/blobs" "$work/as-carried/old"
        timed "$name, delta: import" "$aftk" --home "$work/in" import "$delta"
        cp -al "$work/in/store/blobs" "$work/as-carried/new"
        timed "$name, full: import" "$aftk" --home "$work/fresh" import "$full"
        cp -al "$work/fresh/store/blobs" "$work/as-carried/full"
        timed "$name, full: cat and sha256sum" sh -c "cat $full | sha256sum"
        timed "$name, delta: cat and sha256sum" sh -c "cat $delta | sha256sum"
    done
    show "$name, full: pack" "$(bytes "$full")"
    show "$name, delta: pack" "$(bytes "$delta")"
    show "$name, full: import"
    show "$name, full: cat and sha256sum"
    show "$name, delta: import"
    show "$name, delta: cat and sha256sum"
}

npm_update() {
    mkdir -p "$work/lock/old" "$work/lock/new"
    cp "$root"/fixtures/npm/journey/package.json "$work/lock/old"
    cp "$root"/fixtures/npm/journey/package*.json "$work/lock/new"
    # The fixture was made in the same way three months later.
    (cd "$work/lock/old" && npm install --package-lock-only --ignore-scripts --no-audit --no-fund \
        --omit-lockfile-registry-resolved --before=2026-08-01) >/dev/null 2>&1
    update npm "$work/lock/old" "$work/lock/new" npm:./package-lock.json
    compare npm
}

image_update() {
    # The mirror that this machine's apt uses.
    local debian packages=python3,nginx-light,curl,git
    debian=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sed -n 's|/debian/$||p' | head -1)
    local main="deb $debian/debian bookworm main"
    mmdebstrap -q --variant=minbase --include=$packages bookworm "$work/old.tar" "$main"
    mmdebstrap -q --variant=minbase --include=$packages bookworm "$work/new.tar" "$main" \
        "deb $debian/debian-security bookworm-security main" "deb $debian/debian bookworm-updates main"
    printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:23850"}\n' \
        "$work/registry" >"$work/registry.yml"
    docker-registry serve "$work/registry.yml" >/dev/null 2>&1 &
    until curl -sf http://127.0.0.1:23850/v2/ >/dev/null; do sleep 0.1; done
    local buildah=(buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs)
    local container push
    push() { "${buildah[@]}" push -q --tls-verify=false "$1" "docker://127.0.0.1:23850/team/$1" >/dev/null 2>&1; }
    # Built anew: each layer is another one. On top: one layer more, with what the upgrade changed.
    for age in old new; do
        container=$("${buildah[@]}" from scratch)
        "${buildah[@]}" add -q "$container" "$work/$age.tar" / >/dev/null
        "${buildah[@]}" commit -q "$container" "anew:$age" >/dev/null
        [ $age = old ] && "${buildah[@]}" tag anew:old top:old
        push "anew:$age"
    done
    push top:old
    container=$("${buildah[@]}" from --pull-never top:old)
    # What differs between the two trees is what an upgrade in the container would change.
    mkdir -p "$work/unpacked/old" "$work/unpacked/new" "$work/upgrade"
    for age in old new; do tar -C "$work/unpacked/$age" -xf "$work/$age.tar"; done
    rsync -aHq --compare-dest="$work/unpacked/old" "$work/unpacked/new/" "$work/upgrade/"
    find "$work/upgrade" -type d -empty -delete
    "${buildah[@]}" add -q "$container" "$work/upgrade" / >/dev/null
    "${buildah[@]}" commit -q "$container" top:new >/dev/null
    push top:new
    rm -rf "$work/storage" "$work/run"
    for kind in anew top; do
        for age in old new; do
            mkdir -p "$work/$kind/$age"
            echo "127.0.0.1:23850/team/$kind:$age" >"$work/$kind/$age/images.txt"
        done
        update "image-$kind" "$work/$kind/old" "$work/$kind/new" docker:./images.txt
        rm -rf "$work/uncompressed"
        for age in old new full; do
            mkdir -p "$work/uncompressed/$age"
            find "$work/as-carried/$age" -type f | while read -r blob; do
                gzip -dcq "$blob" >"$work/uncompressed/$age/${blob##*/}" 2>/dev/null || cp "$blob" "$work/uncompressed/$age/${blob##*/}"
            done
        done
        compare "image-$kind" "as-carried uncompressed"
    done
}

for part in $parts; do "${part}_update"; done
