//! Where the programs are.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The checkout's root folder.
///
/// # Errors
/// The folder this was compiled in is gone.
pub fn checkout() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    match here.ancestors().nth(2) {
        Some(root) if root.join("Cargo.toml").is_file() => Ok(root.to_owned()),
        _ => bail!("no checkout around {}", here.display()),
    }
}

/// A program that `make setup` brings, such as `envoy`. `SEALWAX_TOOLS` is the folder to look in,
/// to try other versions.
///
/// # Errors
/// It is not there.
pub fn tool(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("SEALWAX_TOOLS") {
        Some(folder) => PathBuf::from(folder),
        None => checkout()?.join(".tools/bin"),
    };
    let path = folder.join(name);
    if !path.exists() {
        bail!("{name} is missing ({} is not there): run `make setup`", path.display());
    }
    Ok(path)
}

/// The `sealwax` binary: `SEALWAX_BIN`, or the workspace's debug build.
///
/// # Errors
/// It is not there.
pub fn sealwax_binary() -> Result<PathBuf> {
    let path = match std::env::var_os("SEALWAX_BIN") {
        Some(path) => PathBuf::from(path),
        None => checkout()?.join("target/debug/sealwax"),
    };
    if !path.is_file() {
        bail!("{} is not there: run `make build`, or set SEALWAX_BIN", path.display());
    }
    Ok(path)
}

/// Another program of the workspace, built together with the `sealwax` binary.
///
/// # Errors
/// It is not there.
pub fn beside_sealwax(name: &str) -> Result<PathBuf> {
    let path = sealwax_binary()?.with_file_name(name);
    if !path.is_file() {
        bail!("{} is not there: run `make build`", path.display());
    }
    Ok(path)
}

/// The built filter.
///
/// # Errors
/// It is not there.
pub fn filter_module() -> Result<PathBuf> {
    let path = checkout()?.join("target/sealwax_filter.wasm");
    if !path.is_file() {
        bail!("{} is not there: run `make filter`", path.display());
    }
    Ok(path)
}
