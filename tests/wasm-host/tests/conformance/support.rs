//! Guests written by hand: each test's guest does just what the test is about.

use wasm_host::{Program, Proxy, Settings};

/// Everything a guest needs, and `body`. `data` stands in memory from 1024 on; allocations start at
/// 65,536. `$say` logs a number as a digit, `$say_at` logs bytes.
pub(crate) fn guest(data: &str, body: &str) -> Program {
    let imports: String = wasm_host::HOSTCALLS
        .iter()
        .map(|(name, parameters)| {
            let kinds: Vec<_> =
                parameters.chars().map(|kind| if kind == 'l' { "i64" } else { "i32" }).collect();
            let kinds = kinds.join(" ");
            format!("(import \"env\" \"{name}\" (func ${name} (param {kinds}) (result i32)))\n")
        })
        .collect();
    let wat = format!(
        r#"(module
            {imports}
            (memory (export "memory") 4)
            (data (i32.const 1024) "{data}")
            (global $free (mut i32) (i32.const 65536))
            (func (export "proxy_abi_version_0_2_1"))
            (func $malloc (export "malloc") (param $bytes i32) (result i32)
                (global.get $free)
                (global.set $free (i32.add (global.get $free) (local.get $bytes))))
            (func $say (param $number i32)
                (i32.store8 (i32.const 512) (i32.add (i32.const 48) (local.get $number)))
                (drop (call $proxy_log (i32.const 2) (i32.const 512) (i32.const 1))))
            (func $say_at (param $address i32) (param $bytes i32)
                (drop (call $proxy_log (i32.const 2) (local.get $address) (local.get $bytes))))
            {body})"#
    );
    Program::new(&wat::parse_str(wat).unwrap()).unwrap()
}

/// A proxy with one worker.
pub(crate) fn start(program: &Program) -> Proxy {
    Proxy::start(program, settings()).unwrap()
}

/// One worker, one cluster: `up`.
pub(crate) fn settings() -> Settings {
    Settings::new("configuration").cluster("up")
}

/// What the first worker's guest said.
pub(crate) fn said(proxy: &Proxy) -> Vec<String> {
    proxy.logs(0).into_iter().map(|(_, line)| line).collect()
}
