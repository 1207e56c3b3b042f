# shellcheck shell=bash
# schemathesis, which asks the admin API everything its OpenAPI document allows, and more.

setup_schemathesis() {
    local program=$TOOLS/bin/schemathesis
    if ! [ -x "$program" ]; then
        rm -f "$program"
        # An environment of its own: it shares many dependencies with moto, and wants others of them.
        VENV=$TOOLS/venv-schemathesis install_python schemathesis 'schemathesis>=4.32,<5' ||
            lacking schemathesis "$(why schemathesis)" \
                "python3 -m venv .tools/venv-schemathesis && .tools/venv-schemathesis/bin/pip install schemathesis"
        ln -s "$TOOLS/venv-schemathesis/bin/schemathesis" "$program"
    fi
    have schemathesis "$(readlink -f "$program")"
}
