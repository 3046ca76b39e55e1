# Helpers of the scripts in this folder; sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${UCLOUD_RAY_VENV:-$root/.venv}
docker_socket=/var/run/docker.sock

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "$(basename "$0"): $*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

is_root() { [ "$(id -u)" = 0 ]; }

# The first Python that is new enough.
find_python() {
    local candidate
    for candidate in python3.13 python3.12 python3.11 python3; do
        if have "$candidate" && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "needs Python 3.11 or newer; install it (Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv)"
}

# ensure_venv EXTRAS: the project, installed in place, with e.g. "[dev]". Does nothing when that was done before and
# what is to be installed has not changed.
ensure_venv() {
    local extras=$1 stamp="$venv/.ucloud-ray$1" wanted
    wanted=$(cksum <"$root/pyproject.toml")
    if [ -x "$venv/bin/ucloud-ray" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    if [ ! -x "$venv/bin/pip" ]; then
        make_venv
    fi
    say "installing ucloud-ray$extras into $venv (the first time takes a minute or two)"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --editable "$root$extras" \
        || fail "pip could not install the project; its words are above"
    echo "$wanted" >"$stamp"
}

make_venv() {
    local python
    python=$(find_python)
    if ! "$python" -c 'import ensurepip' 2>/dev/null && is_root && have apt-get; then
        apt_install "python3-venv"
    fi
    "$python" -m venv "$venv" || fail "could not make $venv; on Debian: apt-get install python3-venv"
}

# apt_install PACKAGE...: installs those that are missing. Fails if one cannot be had.
apt_install() {
    local package missing=()
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "apt-get install ${missing[*]}"
    apt_quietly update && apt_quietly install --yes --no-install-recommends "${missing[@]}"
}

apt_quietly() {
    local words
    words=$(DEBIAN_FRONTEND=noninteractive apt-get "$@" 2>&1 </dev/null) || { say "$words"; return 1; }
}

# ----------------------------------------------------------------------------------------------------- Docker

docker_answers() {
    have docker && docker --host "unix://$docker_socket" version --format '{{.Server.Version}}' >/dev/null 2>&1
}

dockerd_pid=

# start_dockerd FOLDER: a daemon with data of its own that leaves the machine's network alone. Returns 1 if it cannot
# be had. What it needs is removed by stop_dockerd.
start_dockerd() {
    local folder=$1 tries
    is_root && have dockerd || return 1
    mkdir -p "$folder"
    rm -f "$folder/pid"
    # In a session of its own: Ctrl-C must reach us first, or the daemon is gone before its containers are.
    setsid dockerd --host "unix://$docker_socket" --data-root "$folder/data" --exec-root "$folder/exec" \
        --pidfile "$folder/pid" --bridge none --iptables=false --ip-forward=false >"$folder/log" 2>&1 &
    dockerd_pid=$!
    for tries in $(seq 150); do
        if docker_answers; then
            return 0
        fi
        kill -0 "$dockerd_pid" 2>/dev/null || break
        sleep 0.1
    done
    say "dockerd did not come up; its log ends with:"
    tail -n 5 "$folder/log" >&2
    stop_dockerd
    return 1
}

stop_dockerd() {
    [ -n "$dockerd_pid" ] || return 0
    kill "$dockerd_pid" 2>/dev/null || true
    wait "$dockerd_pid" 2>/dev/null || true
    dockerd_pid=
}
