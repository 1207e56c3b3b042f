# shellcheck shell=bash
# certbot and Caddy: what they keep is what `cert import` reads.

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
    if ! caddy_runs "$TOOLS/bin/caddy"; then
        rm -f "$TOOLS/bin/caddy"
        local found
        found=$(command -v caddy || true)
        if [ -n "$found" ] && caddy_runs "$found"; then
            ln -s "$found" "$TOOLS/bin/caddy"
        else
            quietly caddy unpacked_caddy && caddy_runs "$TOOLS/bin/caddy" ||
                lacking caddy "$(why caddy)" "put a caddy on PATH or into .tools/bin"
        fi
    fi
    have caddy "$("$TOOLS/bin/caddy" version | cut -d ' ' -f 1)"
}

caddy_runs() {
    [ -x "$1" ] && "$1" version >/dev/null 2>&1
}

# Unpacked and not installed: the package would start it, on ports 80 and 2019.
unpacked_caddy() (
    folder=$TOOLS/src/caddy
    rm -rf "$folder"
    mkdir -p "$folder"
    cd "$folder"
    apt-get download caddy || { as_root apt-get update && apt-get download caddy; } || return
    dpkg -x caddy_*.deb . && ln -sf "$folder/usr/bin/caddy" "$TOOLS/bin/caddy"
)
