# shellcheck shell=bash
# certbot and Caddy, whose files `cert import` reads; nginx and promtool, which know whether what the
# documents give them is right.

setup_peers() {
    local program=$TOOLS/bin/certbot
    if ! [ -x "$program" ]; then
        rm -f "$program"
        VENV=$TOOLS/venv-certbot install_python certbot 'certbot>=5,<6' ||
            lacking certbot "$(why certbot)" \
                "python3 -m venv .tools/venv-certbot && .tools/venv-certbot/bin/pip install certbot"
        ln -s "$TOOLS/venv-certbot/bin/certbot" "$program"
    fi
    have certbot "$(readlink -f "$program")"
    from_path_or_debian caddy caddy usr/bin/caddy version
    # Its configuration in the manual is held to it.
    from_path_or_debian nginx nginx usr/sbin/nginx -v
    # Prometheus' own word on the alert rules and on what is scraped.
    from_path_or_debian promtool prometheus usr/bin/promtool --version
}

# from_path_or_debian PROGRAM PACKAGE PATH ARGUMENT: with the argument it only says its version.
from_path_or_debian() {
    local program=$TOOLS/bin/$1 found
    if ! says "$program" "$4"; then
        rm -f "$program"
        found=$(command -v "$1" || true)
        if [ -n "$found" ] && says "$found" "$4"; then
            ln -s "$found" "$program"
        else
            quietly "$1" unpacked_debian "$2" "$3" && says "$program" "$4" ||
                lacking "$1" "$(why "$1")" "put $1 on PATH or into .tools/bin"
        fi
    fi
    have "$1" "$(readlink -f "$program")"
}

says() {
    [ -x "$1" ] && "$1" "$2" >/dev/null 2>&1
}
