//! The SDK's contexts: one for each configured filter, and one for each request.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use sealwax_filter_core::{CalloutToken, ContextId, Filter, Flow};

use crate::host::Proxy;

thread_local! {
    /// The roots of this VM, so that a callout's answer finds its own. Usually there is one; a VM
    /// shared by several plugin configurations (one for each listener, or an old and a new one
    /// during an update) has one for each.
    static ROOTS: RefCell<Vec<(u32, Shared)>> = const { RefCell::new(Vec::new()) };
}

/// A filter, once its configuration was accepted; shared by its root and its streams.
type Shared = Rc<RefCell<Option<Filter>>>;

/// One plugin configuration.
struct Root {
    id: u32,
    filter: Shared,
}

/// One request.
struct Stream {
    id: u32,
    filter: Shared,
}

/// Makes the root context the SDK asks for.
pub(crate) fn root(id: u32) -> Box<dyn RootContext> {
    let filter = Shared::default();
    ROOTS.with_borrow_mut(|roots| roots.push((id, Rc::clone(&filter))));
    Box::new(Root { id, filter })
}

/// A callout was answered. Callouts are the root's own, so the SDK is not asked whose they are.
pub(crate) fn callout_answer(root: u32, token: u32, headers: u32, body_bytes: u32) {
    let filter = ROOTS.with_borrow(|roots| {
        roots.iter().find(|(id, _)| *id == root).map(|(_, filter)| Rc::clone(filter))
    });
    if let Some(filter) = filter {
        with(&filter, (), |filter| {
            filter.callout_answer(&mut Proxy, CalloutToken(token), headers, body_bytes);
        });
    }
}

fn with<T>(filter: &Shared, otherwise: T, event: impl FnOnce(&mut Filter) -> T) -> T {
    let Ok(mut filter) = filter.try_borrow_mut() else { return otherwise };
    filter.as_mut().map_or(otherwise, event)
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _bytes: usize) -> bool {
        match Filter::configure(&mut Proxy, ContextId(self.id)) {
            Ok(configured) => {
                *self.filter.borrow_mut() = Some(configured);
                true
            }
            // The filter that was there, if any, goes on with the configuration it had.
            Err(_) => false,
        }
    }

    fn on_tick(&mut self) {
        with(&self.filter, (), |filter| filter.tick(&mut Proxy));
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { id, filter: Rc::clone(&self.filter) }))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        with(&self.filter, (), |filter| filter.flush(&mut Proxy));
        ROOTS.with_borrow_mut(|roots| roots.retain(|(id, _)| *id != self.id));
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _headers: usize, _end: bool) -> Action {
        let stream = ContextId(self.id);
        match with(&self.filter, Flow::Continue, |filter| filter.request(&mut Proxy, stream)) {
            Flow::Continue => Action::Continue,
            Flow::Pause => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _headers: usize, _end: bool) -> Action {
        with(&self.filter, (), |filter| filter.response(&mut Proxy));
        Action::Continue
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        with(&self.filter, (), |filter| filter.forget(ContextId(self.id)));
    }
}
