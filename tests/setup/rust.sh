# shellcheck shell=bash
# Rust itself, the wasm target, clippy and rustfmt. Leaves $TOOLS/rust.env, which says with what
# the filter is built and the code is checked.

setup_rust() {
    command -v cargo >/dev/null 2>&1 || lacking cargo "it is not on PATH" \
        "install Rust 1.95 or newer"
    local version
    version=$(rustc --version | cut -d ' ' -f 2)
    at_least 1.95.0 "$version" || lacking "Rust 1.95" "this is rustc $version" \
        "install Rust 1.95 or newer"

    local wasm_env wasm_flags clippy fmt
    find_wasm_target
    find_clippy
    find_rustfmt
    {
        echo "# Written by tests/setup/rust.sh."
        printf 'wasm_env=(%s)\nwasm_flags=(%s)\n' "$wasm_env" "$wasm_flags"
        printf 'clippy=(%s)\nfmt=(%s)\n' "$clippy" "$fmt"
    } >"$TOOLS/rust.env"
    have rust "rustc $version"
}

# SEALWAX_WASM_FROM=debian goes straight to the fallback, to try it where both work.
find_wasm_target() {
    wasm_env="" wasm_flags=""
    if [ "${SEALWAX_WASM_FROM:-}" != debian ]; then
        if has_wasm_library; then
            have wasm32 "the toolchain's own wasm32-unknown-unknown"
            return
        fi
        if command -v rustup >/dev/null 2>&1 &&
            quietly wasm32 timeout 120 rustup target add wasm32-unknown-unknown &&
            has_wasm_library; then
            have wasm32 "rustup target add wasm32-unknown-unknown"
            return
        fi
    fi
    # A closed network has no toolchain server: Debian's compiler brings the library's source, and
    # the library is built along with the filter.
    has_debian_rust || install_debian wasm32 rustc-web rust-web-src lld-22 ||
        lacking "the wasm32-unknown-unknown target" "$(why wasm32)" \
            "rustup target add wasm32-unknown-unknown, or install Debian's rustc-web, rust-web-src and lld-22"
    has_debian_rust || lacking "the wasm32-unknown-unknown target" \
        "Debian's rustc-web came without the library's source" "install rust-web-src"
    wasm_env="RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-22"
    wasm_flags="-Zbuild-std=std,panic_abort"
    have wasm32 "Debian's $(/usr/bin/rustc --version | cut -d ' ' -f 1-2), library built from source"
}

has_wasm_library() {
    local library
    library=$(rustc --print target-libdir --target wasm32-unknown-unknown 2>/dev/null) &&
        compgen -G "$library/libcore-*.rlib" >/dev/null
}

has_debian_rust() {
    local root
    [ -x /usr/bin/rustc ] && root=$(/usr/bin/rustc --print sysroot) &&
        [ -d "$root/lib/rustlib/src/rust/library/std" ] && command -v wasm-ld-22 >/dev/null 2>&1
}

find_clippy() {
    clippy="cargo clippy"
    if cargo clippy --version >/dev/null 2>&1; then
        have clippy "$(cargo clippy --version)"
    elif command -v rustup >/dev/null 2>&1 &&
        quietly clippy timeout 120 rustup component add clippy; then
        have clippy "rustup component add clippy"
    elif [ -x /usr/bin/cargo-clippy ] || install_debian clippy rust-web-clippy; then
        # Its driver belongs to Debian's compiler, so its target folder is apart.
        clippy="env RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=$CHECKOUT/target/debian-clippy /usr/bin/cargo-clippy clippy"
        have clippy "Debian's $(/usr/bin/clippy-driver --version)"
    else
        lacking clippy "$(why clippy)" "rustup component add clippy, or install Debian's rust-web-clippy"
    fi
}

find_rustfmt() {
    fmt="cargo fmt"
    if cargo fmt --version >/dev/null 2>&1; then
        have rustfmt "$(cargo fmt --version)"
    elif command -v rustup >/dev/null 2>&1 &&
        quietly rustfmt timeout 120 rustup component add rustfmt; then
        have rustfmt "rustup component add rustfmt"
    elif [ -x /usr/bin/cargo-fmt ] || install_debian rustfmt rustfmt-web; then
        fmt="env RUSTFMT=/usr/bin/rustfmt /usr/bin/cargo-fmt fmt"
        have rustfmt "Debian's $(/usr/bin/rustfmt --version)"
    else
        lacking rustfmt "$(why rustfmt)" "rustup component add rustfmt, or install Debian's rustfmt-web"
    fi
}
