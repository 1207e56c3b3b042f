# shellcheck shell=bash
# Chromium, for the tests of the dashboard.

setup_chromium() {
    local found name
    for name in chromium chromium-browser google-chrome chrome; do
        found=$(command -v "$name" || true)
        [ -n "$found" ] && break
    done
    if [ -z "$found" ]; then
        install_debian chromium chromium || lacking chromium "$(why chromium)" \
            "put a chromium or google-chrome on PATH"
        found=$(command -v chromium)
    fi
    [ "$found" = "$TOOLS/bin/chromium" ] || ln -sf "$found" "$TOOLS/bin/chromium"
    have chromium "$(readlink -f "$TOOLS/bin/chromium")"
}
