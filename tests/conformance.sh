#!/usr/bin/env bash
# Runs the official conformance suite of the OCI distribution specification, its development head with every option on,
# against a server of its own: `bash tests/conformance.sh SUITE`. SUITE is the suite's program, which `go build` makes in
# the folder conformance/ of the specification's repository. It ends with the suite's own exit code.
set -euo pipefail
suite=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --quiet
aftk=$PWD/target/debug/aftk
home=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; rm -rf "$home"' EXIT
printf 'format = 1\n[[hosted]]\necosystem = "oci"\nname = "conformance"\nwrite = ["tester"]\n' >"$home/site.toml"
"$aftk" --home "$home" account add tester <<<'a password for one run' 2>/dev/null
"$aftk" --home "$home" --quiet serve --listen 127.0.0.1:0 >"$home/address" 2>&1 &
server=$!
until address=$(grep -o '127\.0\.0\.1:[0-9]*' "$home/address"); do sleep 0.1; done

export OCI_REGISTRY=$address OCI_TLS=disabled OCI_REPO1=conformance/one OCI_REPO2=conformance/two
export OCI_USERNAME=tester OCI_PASSWORD='a password for one run' OCI_RESULTS_DIR=$home/results OCI_VERSION=dev
export OCI_API_BLOBS_DIGEST_HEADER=true OCI_API_BLOBS_UPLOAD_CANCEL=true OCI_API_BLOBS_MOUNT_ANONYMOUS=true
export OCI_API_MANIFESTS_DIGEST_HEADER=true OCI_API_MANIFESTS_TAG_PARAM=true
export OCI_DATA_SPARSE=true OCI_DATA_SHA512=true
"$suite"
