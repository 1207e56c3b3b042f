# shellcheck shell=bash
# wrk: the load of the benchmarks.

setup_wrk() {
    if ! command -v wrk >/dev/null 2>&1; then
        install_debian wrk wrk || lacking wrk "$(why wrk)" "install Debian's wrk"
    fi
    have wrk "$(command -v wrk)"
}
