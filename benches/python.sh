#!/bin/bash
# Python releases from us, beside pypiserver, devpi and plain files from nginx: `pip install`, `uv pip install`, and
# `uv pip compile`, each into a new environment and without a cache.
#
#     benches/python.sh [RUNS [REQUIREMENT…]]      default: 5 runs of fastapi, pandas, requests and scikit-learn; AFTK names the program
#
# Needs Python with venv, nginx and GNU time, and an index outside. All servers are asked in turn, so that a machine whose
# speed drifts is fair to them; the medians are at the end.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
runs=${1:-5}
shift || true
wanted=("${@:-fastapi pandas requests scikit-learn}")
[ $# -gt 0 ] || wanted=(fastapi pandas requests scikit-learn)
aftk=${AFTK:-$root/target/release/aftk}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
export HOME=$work/user
mkdir -p "$HOME"

echo "making environments"
python3 -m venv "$work/clients"
"$work/clients/bin/pip" install -q --upgrade pip uv pypiserver
python3 -m venv "$work/devpi"
"$work/devpi/bin/pip" install -q --upgrade devpi-server devpi-client
uv=$work/clients/bin/uv pip=$work/clients/bin/pip devpi=$work/devpi/bin

echo "collecting ${wanted[*]}"
mkdir "$work/project"
printf '%s\n' "${wanted[@]}" >"$work/project/requirements.txt"
(cd "$work/project" && "$aftk" --home "$work/out" collect requirements.txt --out "$work/stick") >/dev/null 2>&1
"$aftk" --home "$work/out" key show >"$work/key.pem" 2>/dev/null
"$aftk" --home "$work/in" key trust "$work/key.pem" >/dev/null 2>&1
"$aftk" --home "$work/in" import "$work/stick" >/dev/null 2>&1

answers() { # ADDRESS
    for _ in $(seq 300); do curl -s -o "$work/page" "$1" && return; sleep 0.1; done
    echo "nobody answers at $1"
    exit 1
}
"$aftk" --home "$work/in" serve --listen 127.0.0.1:23860 >/dev/null 2>&1 &
answers http://127.0.0.1:23860/
mkdir "$work/files"
"$work/clients/bin/pypi-server" run -i 127.0.0.1 -p 23861 --disable-fallback -P . -a . "$work/files" >/dev/null 2>&1 &
answers http://127.0.0.1:23861/
"$devpi/devpi-init" --serverdir "$work/server" --root-passwd horse --no-root-pypi >/dev/null 2>&1
"$devpi/devpi-server" --serverdir "$work/server" --port 23862 --offline-mode >/dev/null 2>&1 &
answers http://127.0.0.1:23862/
"$devpi/devpi" use http://127.0.0.1:23862/ >/dev/null 2>&1
"$devpi/devpi" login root --password horse >/dev/null
"$devpi/devpi" index -c root/team bases= volatile=False >/dev/null
"$aftk" --home "$work/in" push pypi:http://127.0.0.1:23861/ >/dev/null 2>&1
TWINE_USERNAME=root TWINE_PASSWORD=horse \
    "$aftk" --home "$work/in" push pypi:http://127.0.0.1:23862/root/team/ >/dev/null 2>&1
# The plainest index there is: pages and files, as `dumb-pypi` and the like write them.
python3 - "$work/files" "$work/static" <<'PYTHON'
import hashlib, os, re, shutil, sys
files, static = sys.argv[1:]
pages = {}
for name in sorted(os.listdir(files)):
    project = re.sub(r"[-_.]+", "-", name.split("-")[0] if name.endswith(".whl") else name.rsplit("-", 1)[0]).lower()
    os.makedirs(f"{static}/files", exist_ok=True)
    shutil.copy(f"{files}/{name}", f"{static}/files/{name}")
    digest = hashlib.sha256(open(f"{files}/{name}", "rb").read()).hexdigest()
    pages.setdefault(project, []).append(f'<a href="../../files/{name}#sha256={digest}">{name}</a><br>')
for project, links in pages.items():
    os.makedirs(f"{static}/simple/{project}")
    open(f"{static}/simple/{project}/index.html", "w").write("<!DOCTYPE html>\n" + "\n".join(links))
PYTHON
chmod 755 "$work"
cat >"$work/nginx.conf" <<NGINX
daemon off; pid $work/nginx.pid; error_log /dev/null; user root; worker_processes 2;
events {}
http { access_log off; sendfile on; client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
  uwsgi_temp_path $work/t4; scgi_temp_path $work/t5; types { text/html html; } default_type application/octet-stream;
  server { listen 127.0.0.1:23863; root $work/static; } }
NGINX
nginx -c "$work/nginx.conf" 2>/dev/null &
answers http://127.0.0.1:23863/simple/

index() { # SERVER
    case $1 in
    aftk) echo http://127.0.0.1:23860/pypi/all/simple/ ;;
    pypiserver) echo http://127.0.0.1:23861/simple/ ;;
    devpi) echo http://127.0.0.1:23862/root/team/+simple/ ;;
    nginx) echo http://127.0.0.1:23863/simple/ ;;
    esac
}
timed() { # LABEL COMMAND…
    local label=$1
    shift
    if ! /usr/bin/time -o "$work/time" -f "%e" "$@" >"$work/stdout" 2>&1; then
        echo "$label failed:"; tail -3 "$work/stdout"; exit 1
    fi
    tail -1 "$work/time" >>"$work/times-$label"
}
steps=(pip-install uv-install uv-compile) servers=(aftk nginx pypiserver devpi)
for _ in $(seq "$runs"); do
    for server in "${servers[@]}"; do
        rm -rf "$work/environment"
        "$uv" venv -q "$work/environment"
        timed "pip-install-$server" "$pip" --python "$work/environment" install -q --no-cache-dir \
            --index-url "$(index "$server")" "${wanted[@]}"
        rm -rf "$work/environment"
        "$uv" venv -q "$work/environment"
        timed "uv-install-$server" "$uv" pip install -q --no-cache --python "$work/environment" \
            --default-index "$(index "$server")" "${wanted[@]}"
        timed "uv-compile-$server" "$uv" pip compile -q --no-cache --default-index "$(index "$server")" \
            "$work/project/requirements.txt"
    done
done
echo "$(find "$work/files" -name '*.whl' | wc -l) wheels, $(du -sm "$work/files" | cut -f1) MB; medians of $runs in seconds:"
printf '%-14s' step "${servers[@]}"
echo
for step in "${steps[@]}"; do
    printf '%-14s' "$step"
    for server in "${servers[@]}"; do
        printf '%-14s' "$(sort -n "$work/times-$step-$server" | awk '{all[NR] = $1} END {print all[int((NR + 1) / 2)]}')"
    done
    echo
done
