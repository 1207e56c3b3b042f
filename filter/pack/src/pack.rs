//! Packing: keep the exports with a use, drop what nothing reaches, check the rest.

use std::collections::BTreeSet;

use walrus::{ModuleConfig, passes};

use crate::interface::{EXPORTS, GUARDED, IMPORT_MODULE, IMPORTS, MODULE_BYTES_MAX};

/// Why a module was not packed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    /// It is not a WebAssembly module.
    #[error("not a WebAssembly module: {0}")]
    Malformed(String),
    /// What it exports or imports is not what it should.
    #[error("the module's {what} differ from the list: missing [{missing}], not allowed [{extra}]")]
    Interface {
        /// Exports or imports.
        what: &'static str,
        /// Listed, but not there.
        missing: String,
        /// There, but not listed.
        extra: String,
    },
    /// It is too large.
    #[error("the packed module has {0} bytes; {MODULE_BYTES_MAX} are allowed")]
    TooLarge(usize),
}

/// Packs a module.
///
/// # Errors
/// [`PackError`] says what differs.
pub(crate) fn pack(wasm: &[u8]) -> Result<Vec<u8>, PackError> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    let mut module =
        config.parse(wasm).map_err(|error| PackError::Malformed(format!("{error:#}")))?;
    put_guards_in_place(&mut module);
    let unused: Vec<_> = module
        .exports
        .iter()
        .filter(|export| !EXPORTS.contains(&export.name.as_str()))
        .map(|export| export.id())
        .collect();
    for id in unused {
        module.exports.delete(id);
    }
    passes::gc::run(&mut module);
    let exports: BTreeSet<_> = module.exports.iter().map(|export| export.name.clone()).collect();
    compare("exports", &exports, &EXPORTS.map(str::to_owned).into())?;
    let imports: BTreeSet<_> =
        module.imports.iter().map(|import| format!("{}.{}", import.module, import.name)).collect();
    let allowed = IMPORTS.iter().map(|name| format!("{IMPORT_MODULE}.{name}")).collect();
    compare("imports", &imports, &allowed)?;
    let packed = module.emit_wasm();
    if packed.len() > MODULE_BYTES_MAX {
        return Err(PackError::TooLarge(packed.len()));
    }
    Ok(packed)
}

/// Gives each guarded export the name of what it stands in front of, in its place.
fn put_guards_in_place(module: &mut walrus::Module) {
    let guards: Vec<_> = module
        .exports
        .iter()
        .filter_map(|export| Some((export.id(), guarded_name(&export.name)?)))
        .collect();
    for (guard, name) in guards {
        let behind = module.exports.iter().find(|export| export.name == name);
        if let Some(behind) = behind.map(|export| export.id()) {
            module.exports.delete(behind);
        }
        module.exports.get_mut(guard).name = name;
    }
}

/// `guarded_malloc` stands in front of `malloc`, `guarded_on_tick` in front of `proxy_on_tick`.
fn guarded_name(name: &str) -> Option<String> {
    let name = name.strip_prefix(GUARDED)?;
    Some(if name.starts_with("on_") { format!("proxy_{name}") } else { name.to_owned() })
}

fn compare(
    what: &'static str,
    found: &BTreeSet<String>,
    listed: &BTreeSet<String>,
) -> Result<(), PackError> {
    if found == listed {
        return Ok(());
    }
    let list = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(" ");
    Err(PackError::Interface {
        what,
        missing: list(listed.difference(found).collect()),
        extra: list(found.difference(listed).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with these exports and imports.
    fn module(exports: &[&str], imports: &[&str]) -> Vec<u8> {
        let import =
            |name: &&str| format!("(import \"env\" \"{name}\" (func ${name} (result i32)))");
        let imported: String = imports.iter().map(import).collect();
        // Every import has to be reachable, or packing drops it.
        let calls: String = imports.iter().map(|name| format!("(drop (call ${name}))")).collect();
        let export = |name: &&str| match *name {
            "memory" => "(memory (export \"memory\") 1)".to_owned(),
            name => format!("(func (export \"{name}\") {calls})"),
        };
        let exported: String = exports.iter().map(export).collect();
        wat::parse_str(format!("(module {imported} {exported})")).unwrap()
    }

    #[test]
    fn exports_without_a_use_go_and_what_only_they_reach_goes_too() {
        let mut exports = EXPORTS.to_vec();
        exports.push("proxy_on_log");
        let packed = pack(&module(&exports, &IMPORTS)).unwrap();
        let kept = walrus::Module::from_buffer(&packed).unwrap();
        assert_eq!(kept.exports.iter().count(), EXPORTS.len());
        assert!(kept.exports.iter().all(|export| export.name != "proxy_on_log"));
        assert_eq!(pack(&packed).unwrap(), packed, "packing again changes nothing");
    }

    #[test]
    fn a_guard_takes_the_name_and_the_place_of_what_it_guards() {
        let mut wasm = walrus::Module::from_buffer(&module(&EXPORTS, &IMPORTS)).unwrap();
        // Told from the guarded ones by their parameters.
        for name in ["guarded_on_tick", "guarded_malloc"] {
            let kinds = [walrus::ValType::I32; 3];
            let mut guard = walrus::FunctionBuilder::new(&mut wasm.types, &kinds, &[]);
            guard.func_body();
            let parameters = kinds.iter().map(|kind| wasm.locals.add(*kind)).collect();
            let guard = guard.finish(parameters, &mut wasm.funcs);
            wasm.exports.add(name, guard);
        }
        let packed = walrus::Module::from_buffer(&pack(&wasm.emit_wasm()).unwrap()).unwrap();
        assert_eq!(packed.exports.iter().count(), EXPORTS.len());
        let parameters = |name: &str| {
            let function = packed.exports.get_func(name).unwrap();
            packed.types.params(packed.funcs.get(function).ty()).len()
        };
        assert_eq!(["proxy_on_tick", "malloc"].map(parameters), [3, 3]);
        assert_eq!(parameters("proxy_on_delete"), 0);
    }

    #[test]
    fn a_missing_export_or_another_import_is_named() {
        let error = pack(&module(&EXPORTS[1..], &IMPORTS)).unwrap_err().to_string();
        assert!(error.contains("exports") && error.contains("missing [_initialize]"), "{error}");
        let imports = [&IMPORTS[1..], &["abort"]].concat();
        let error = pack(&module(&EXPORTS, &imports)).unwrap_err().to_string();
        assert!(error.contains(&format!("missing [env.{}]", IMPORTS[0])), "{error}");
        assert!(error.contains("not allowed [env.abort]"), "{error}");
    }

    #[test]
    fn malformed_and_oversized_modules_are_refused() {
        assert!(matches!(pack(b"\0asm"), Err(PackError::Malformed(_))));
        let full = String::from_utf8(vec![b'x'; MODULE_BYTES_MAX]).unwrap();
        let mut wasm = walrus::Module::from_buffer(&module(&EXPORTS, &IMPORTS)).unwrap();
        let memory = wasm.memories.iter().next().unwrap().id();
        let start = walrus::ConstExpr::Value(walrus::ir::Value::I32(0));
        let kind = walrus::DataKind::Active { memory, offset: start };
        let data = wasm.data.add(kind, full.into_bytes());
        wasm.memories.get_mut(memory).data_segments.insert(data);
        assert!(matches!(pack(&wasm.emit_wasm()), Err(PackError::TooLarge(_))));
    }
}
