//! Further plugin configurations in the same VMs, and callbacks no proxy would make.

use super::Proxy;
use crate::error::HostError;
use crate::observed::StreamId;
use crate::request::Request;
use crate::vm_state::Context;

/// A plugin configuration besides the first; it has a root context in every worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginId {
    roots: Vec<u32>,
}

impl Proxy {
    /// Configures a further plugin in the instances there are, as for a second listener or a new
    /// version of a configuration. An instance that is reloaded later has the first plugin only.
    ///
    /// # Errors
    /// [`HostError::Refused`], and whatever a trap was.
    pub fn add_plugin(&mut self, configuration: impl Into<Vec<u8>>) -> Result<PluginId, HostError> {
        let configuration = configuration.into();
        let mut roots = Vec::new();
        for worker in &mut self.workers {
            let instance = &mut worker.instance;
            let root = instance.allocate_context();
            instance.state_mut().contexts.insert(root, Context::Root);
            instance.callback("proxy_on_context_create", root, &[root, 0]);
            if !instance.configure(root, configuration.clone())? {
                return Err(HostError::Refused);
            }
            roots.push(root);
        }
        Ok(PluginId { roots })
    }

    /// [`Self::request`] under a further plugin.
    pub fn request_to(&mut self, plugin: &PluginId, worker: usize, request: Request) -> StreamId {
        let root = plugin.roots.get(worker).copied().unwrap_or(crate::instance::ROOT);
        self.request_under(root, worker, request)
    }

    /// Ends a further plugin: its callouts are cancelled and its root contexts are gone. End its
    /// streams first, as a proxy does.
    pub fn remove_plugin(&mut self, plugin: &PluginId) {
        for (worker, root) in self.workers.iter_mut().zip(&plugin.roots) {
            let instance = &mut worker.instance;
            for callback in ["proxy_on_done", "proxy_on_delete"] {
                instance.callback(callback, *root, &[*root]);
            }
            let state = instance.state_mut();
            state.contexts.remove(root);
            state.ticks.remove(root);
            state.callouts.retain(|_, callout| callout.root != *root);
        }
    }

    /// Makes a callback that no proxy would make: twice, for a context that never was or is gone,
    /// or with arguments of another time. Answers what the guest answers.
    pub fn rogue_callback(
        &mut self,
        worker: usize,
        callback: &'static str,
        arguments: &[u32],
    ) -> Option<u32> {
        let context = arguments.first().copied().unwrap_or_default();
        self.workers.get_mut(worker)?.instance.callback(callback, context, arguments)
    }
}
