# shellcheck shell=bash
# moto: a second implementation of the DynamoDB API, for the store's tests.

setup_moto() {
    if ! [ -x "$TOOLS/bin/moto_server" ]; then
        rm -f "$TOOLS/bin/moto_server"
        install_python moto 'moto[server]>=5,<6' || lacking moto "$(why moto)" \
            "python3 -m venv .tools/venv && .tools/venv/bin/pip install 'moto[server]'"
        ln -s "$VENV/bin/moto_server" "$TOOLS/bin/moto_server"
    fi
    have moto "$(readlink -f "$TOOLS/bin/moto_server")"
}
