# shellcheck shell=bash
# The small things from Debian: clients for the demo, a C compiler for SQLite and aws-lc,
# setpriv, by which started processes end together with the one that started them, script, which
# gives a command a terminal.

setup_debian() {
    local missing=() pair
    for pair in curl:curl openssl:openssl cc:gcc make:make python3:python3 \
        setpriv:util-linux script:bsdutils git:git systemd-analyze:systemd; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
    done
    # A compiler without the C library's headers compiles nothing.
    [ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    if [ ${#missing[@]} -gt 0 ]; then
        install_debian debian "${missing[@]}" || lacking "${missing[*]}" "$(why debian)" \
            "install these packages, or run as root or with sudo"
        have packages "installed ${missing[*]}"
    else
        have packages "curl, openssl, cc, make, python3, setpriv, script, git, systemd-analyze"
    fi
}
