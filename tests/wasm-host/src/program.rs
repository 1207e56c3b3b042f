//! A compiled guest, shared by all instances.

use wasmtime::{Config, Engine, Module};

use crate::error::HostError;

/// A compiled module. Compiling takes most of a short test's time: do it once and share it.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) engine: Engine,
    pub(crate) module: Module,
}

impl Program {
    /// Compiles a module.
    ///
    /// # Errors
    /// [`HostError::Compile`] if it is malformed.
    pub fn new(wasm: &[u8]) -> Result<Self, HostError> {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config).map_err(HostError::compile)?;
        let module = Module::new(&engine, wasm).map_err(HostError::compile)?;
        Ok(Self { engine, module })
    }

    /// The names the module exports.
    #[must_use]
    pub fn exports(&self) -> Vec<String> {
        self.module.exports().map(|export| export.name().to_owned()).collect()
    }
}
