# shellcheck shell=bash
# What the fuzz targets need: a nightly compiler, for its sanitizers, and cargo-fuzz.

setup_fuzz() {
    has_nightly || lacking "a nightly Rust" "cargo +nightly does not run" \
        "rustup toolchain install nightly --profile minimal"
    if ! [ -x "$TOOLS/bin/cargo-fuzz" ]; then
        quietly fuzz env CARGO_TARGET_DIR="$CHECKOUT/target/cargo-fuzz" \
            cargo install cargo-fuzz --locked --version '^0.13' --root "$TOOLS" ||
            lacking cargo-fuzz "$(why fuzz)" "cargo install cargo-fuzz --root .tools"
    fi
    have fuzz "$(cargo +nightly --version), $("$TOOLS/bin/cargo-fuzz" --version)"
}

# Asking cargo would let rustup fetch a toolchain that is missing.
has_nightly() {
    command -v rustup >/dev/null 2>&1 && rustup toolchain list 2>/dev/null | grep -q '^nightly'
}
