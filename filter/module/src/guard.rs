//! The module's exports: exactly the callbacks the filter has a use for, in front of the SDK's.
//!
//! `filter/pack` gives them the ABI's names (`guarded_on_tick` becomes `proxy_on_tick`), drops the
//! SDK's own exports, and checks that nothing else is left: the proxy calls every callback it
//! finds, on every request, and treats one it does not find as one that lets things go on.
//!
//! A callback for a context that is not there, that comes twice, or that comes while another one
//! runs, breaks the ABI. The SDK would panic on it; here it is dropped.

#![expect(unsafe_code, reason = "an export keeps its name, which a linker could see twice")]

use std::cell::RefCell;
use std::collections::BTreeSet;

use proxy_wasm::types::Action;

use crate::{abi, contexts};

const LEVEL_CRITICAL: u32 = 5;
const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;

thread_local! {
    static LIVE: RefCell<Live> =
        const { RefCell::new(Live { roots: Vec::new(), streams: BTreeSet::new(), busy: false }) };
}

/// What the SDK knows.
struct Live {
    roots: Vec<u32>,
    streams: BTreeSet<u32>,
    /// A callback runs.
    busy: bool,
}

proxy_wasm::main! {{
    // A panic is a defect: it must be seen, and not only as a trap.
    std::panic::set_hook(Box::new(|panic| {
        let line = format!("sealwax: {panic}");
        abi::proxy_log(LEVEL_CRITICAL, line.as_ptr(), line.len());
    }));
    proxy_wasm::set_root_context(contexts::root);
}}

/// Runs a callback if `allowed` says so and none runs yet.
fn guarded<T>(otherwise: T, allowed: impl FnOnce(&mut Live) -> bool, run: impl FnOnce() -> T) -> T {
    let enter = LIVE.with_borrow_mut(|live| {
        live.busy = !live.busy && allowed(live);
        live.busy
    });
    if !enter {
        return otherwise;
    }
    let done = run();
    LIVE.with_borrow_mut(|live| live.busy = false);
    done
}

/// Memory for what the host hands over.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guarded_malloc(bytes: usize) -> *mut u8 {
    abi::give(bytes)
}

/// A root context (`parent` 0) or a stream begins.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guarded_on_context_create(context: u32, parent: u32) {
    let fresh = |live: &mut Live| {
        if live.roots.contains(&context) {
            return false;
        }
        if parent == 0 {
            live.roots.push(context);
            return true;
        }
        live.roots.contains(&parent) && live.streams.insert(context)
    };
    guarded((), fresh, || proxy_on_context_create(context, parent));
}

/// The plugin's configuration is there to be read; 0 refuses it.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guarded_on_configure(root: u32, bytes: usize) -> u32 {
    guarded(0, |live| live.roots.contains(&root), || u32::from(proxy_on_configure(root, bytes)))
}

/// The tick period has passed.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guarded_on_tick(root: u32) {
    guarded((), |live| live.roots.contains(&root), || proxy_on_tick(root));
}

/// A request's headers have come.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guarded_on_request_headers(stream: u32, headers: usize, end: u32) -> u32 {
    let there = |live: &mut Live| live.streams.contains(&stream);
    guarded(CONTINUE, there, || action(proxy_on_request_headers(stream, headers, end != 0)))
}

/// A response's headers have come.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guarded_on_response_headers(stream: u32, headers: usize, end: u32) -> u32 {
    let there = |live: &mut Live| live.streams.contains(&stream);
    guarded(CONTINUE, there, || action(proxy_on_response_headers(stream, headers, end != 0)))
}

/// A callout was answered, or failed: then there are no headers.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guarded_on_http_call_response(
    root: u32,
    token: u32,
    headers: u32,
    body_bytes: u32,
    _trailers: u32,
) {
    let there = |live: &mut Live| live.roots.contains(&root);
    guarded((), there, || contexts::callout_answer(root, token, headers, body_bytes));
}

/// A context is gone.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn guarded_on_delete(context: u32) {
    let known = |live: &mut Live| {
        let roots = live.roots.len();
        live.roots.retain(|root| *root != context);
        live.roots.len() < roots || live.streams.remove(&context)
    };
    guarded((), known, || proxy_on_delete(context));
}

const fn action(action: Action) -> u32 {
    if matches!(action, Action::Pause) { PAUSE } else { CONTINUE }
}

// The SDK's callbacks, which it keeps in a private module and exports under these names. The types
// are exactly the SDK's: the linker takes a call with others for one that cannot happen.
unsafe extern "C" {
    safe fn proxy_on_context_create(context: u32, parent: u32);
    safe fn proxy_on_configure(root: u32, bytes: usize) -> bool;
    safe fn proxy_on_tick(root: u32);
    safe fn proxy_on_request_headers(stream: u32, headers: usize, end: bool) -> Action;
    safe fn proxy_on_response_headers(stream: u32, headers: usize, end: bool) -> Action;
    safe fn proxy_on_delete(context: u32);
}
