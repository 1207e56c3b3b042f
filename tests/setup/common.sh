# shellcheck shell=bash
# What every part's script uses. Sourced, not run.

CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TOOLS=$CHECKOUT/.tools
LOGS=$TOOLS/logs
VENV=$TOOLS/venv
mkdir -p "$TOOLS/bin" "$LOGS"
export PATH="$TOOLS/bin:$PATH"

# have PART DETAIL: the line that says that a part is there and where it came from.
have() {
    printf 'setup: %-12s %s\n' "$1" "$2"
}

# lacking PART WHY WHAT_TO_DO: ends the set-up with the one line that matters.
lacking() {
    printf 'setup: %s is missing: %s. To do: %s\n' "$1" "$2" "$3" >&2
    exit 1
}

# quietly NAME COMMAND…: runs a command whose output is only of interest when it fails.
quietly() {
    local log=$LOGS/$1.log
    shift
    "$@" >"$log" 2>&1 </dev/null
}

# why NAME: the last line that a failed `quietly NAME …` left behind.
why() {
    local last
    last=$(grep -v '^[[:space:]]*$' "$LOGS/$1.log" 2>/dev/null | tail -n 1 | cut -c 1-200)
    printf '%s (all of it in .tools/logs/%s.log)' "${last:-no output}" "$1"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo -n "$@"
    else
        echo "needs root or sudo: $*" >&2
        return 1
    fi
}

# install_debian LOG PACKAGE…: the package lists are only fetched when what is known does not do.
install_debian() {
    local log=$1
    shift
    command -v apt-get >/dev/null 2>&1 || {
        echo "no apt-get on this machine" >"$LOGS/$log.log"
        return 1
    }
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install --yes
        --no-install-recommends "$@")
    quietly "$log" as_root "${install[@]}" && return 0
    quietly "$log" as_root apt-get update && quietly "$log" as_root "${install[@]}"
}

# install_python LOG REQUIREMENT…: into the checkout's own virtual environment.
install_python() {
    local log=$1
    shift
    if ! [ -x "$VENV/bin/pip" ]; then
        rm -rf "$VENV"
        # Debian splits the module that makes environments off into a package of its own.
        if ! quietly "$log" python3 -m venv "$VENV"; then
            install_debian "$log" python3-venv || return 1
            quietly "$log" python3 -m venv "$VENV" || return 1
        fi
    fi
    quietly "$log" "$VENV/bin/pip" install --no-input --prefer-binary "$@"
}

# at_least WANTED HAVE: compares dotted versions.
at_least() {
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# unpacked_debian PACKAGE PATH: one program of a package, into .tools/bin. Were the package
# installed, it would be started as a service, on ports of its own.
unpacked_debian() (
    folder=$TOOLS/src/$1
    rm -rf "$folder"
    mkdir -p "$folder"
    cd "$folder"
    apt-get download "$1" || { as_root apt-get update && apt-get download "$1"; } || return
    dpkg --fsys-tarfile "$1"_*.deb | tar -x "./$2" || return
    rm "$1"_*.deb
    ln -sf "$folder/$2" "$TOOLS/bin/"
)
