//! The filter's sandbox dies, and Envoy starts it anew.
//!
//! No input is known that kills the filter, so one is made: the module here is the packed one with
//! a trap in front of `proxy_on_request_headers`, taken when a request has [`FATAL_HEADERS`] or
//! more. What that proves is what follows a trap, whatever its cause: what Envoy does under the
//! bootstrap's `FAIL_RELOAD`, and that the same filter starts again in a fresh sandbox and works.
//! It does not prove that the filter never traps; that is what the properties, the fault injection
//! and the fuzzing of `tests/filter` and `filter/fuzz` are for.

use std::path::Path;

use sealwax_testkit::{Envoy, Line, LineSettings, PATIENCE, filter_module, http, wait_until};
use walrus::ir::BinaryOp;
use walrus::{ExportItem, FunctionBuilder, Module};

use crate::support::{envoy_with, put, stat};

/// Fewer than Envoy takes (100), more than anything else here sends.
const FATAL_HEADERS: i32 = 64;
const CHALLENGE: &str = "/.well-known/acme-challenge/Zm9yZ2VkLXRva2VuLW9mLWEtZ29vZC1sZW5ndGg";

#[tokio::test]
async fn after_its_sandbox_died_the_filter_is_reloaded_and_traffic_goes_on() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    line.control_plane.admin().register("blog.example.com").await.unwrap();
    let visitor = line.visitor().unwrap();
    visitor.visit(line.https(), "blog.example.com").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mortal = folder.path().join("mortal.wasm");
    write_mortal_filter(&mortal);
    let packed = filter_module().unwrap();
    let mut envoy =
        envoy_with(&line, 1, |yaml| put(&yaml, packed.to_str().unwrap(), mortal.to_str().unwrap()))
            .await;
    let process = envoy.process().id();
    assert_eq!(status(&envoy, "blog.example.com", "/").await, 308);

    for death in 1..=2 {
        let fatal = fatal_request(&envoy).await;
        assert_eq!(fatal.status, 503, "the request that killed it fails: {}", fatal.text());
        // Until the pause between two loads is over, Envoy answers 503 in the filter's place; it
        // never sends a request to the origin unseen.
        let working = wait_until("the filter to work again", PATIENCE, async || {
            let status = status(&envoy, "blog.example.com", "/").await;
            assert!(matches!(status, 308 | 503), "{status}");
            (status == 308).then_some(())
        });
        working.await.unwrap();
        assert_eq!(reloads(&envoy).await, death);
        assert_eq!(status(&envoy, "blog.example.com", CHALLENGE).await, 404);
        assert_eq!(status(&envoy, "unseen.example.com", "/").await, 200);
    }
    visitor.visit(envoy.https(), "blog.example.com").await.unwrap();
    assert_eq!(envoy.process().id(), process);
    assert!(envoy.process().is_running(), "the trap stayed in the sandbox");
}

async fn status(envoy: &Envoy, host: &str, path: &str) -> u16 {
    http::get(envoy.http(), host, path).await.unwrap().status
}

async fn fatal_request(envoy: &Envoy) -> http::Response {
    let mut request = http::request("GET", "/", "blog.example.com", String::new()).unwrap();
    for _ in 0..FATAL_HEADERS {
        request.headers_mut().append("x-fatal", "x".parse().unwrap());
    }
    http::send(envoy.http(), request).await.unwrap()
}

async fn reloads(envoy: &Envoy) -> u64 {
    stat(envoy, "wasm.sealwax.vm_reload_success").await
}

/// The packed filter, except that a request with many headers kills it.
fn write_mortal_filter(to: &Path) {
    let mut module = Module::from_file(filter_module().unwrap()).unwrap();
    let callback = module.exports.get_func("proxy_on_request_headers").unwrap();
    let export = module.exports.get_exported_func(callback).unwrap().id();
    let types = module.types.get(module.funcs.get(callback).ty());
    let (takes, returns) = (types.params().to_vec(), types.results().to_vec());
    let arguments: Vec<_> = takes.iter().map(|&of| module.locals.add(of)).collect();
    let mut trapping = FunctionBuilder::new(&mut module.types, &takes, &returns);
    let mut body = trapping.func_body();
    // (context, headers, whether the request ends with them)
    body.local_get(arguments[1]).i32_const(FATAL_HEADERS).binop(BinaryOp::I32GeU);
    body.if_else(
        None,
        |then| {
            then.unreachable();
        },
        |_| {},
    );
    for &argument in &arguments {
        body.local_get(argument);
    }
    body.call(callback);
    let trapping = trapping.finish(arguments, &mut module.funcs);
    module.exports.get_mut(export).item = ExportItem::Function(trapping);
    module.emit_wasm_file(to).unwrap();
}
