//! Shared data, queues and metrics.

use super::{Answer, Call};
use crate::shared::{MetricKind, Queue};
use crate::status::Status;

impl Call<'_, '_> {
    pub(super) fn get_shared_data(&mut self) -> Answer {
        let key = self.bytes(0)?;
        let found = self.state().shared().data(&key);
        let Some((value, cas)) = found else { return Ok(Status::NotFound) };
        self.put(4, &cas.to_le_bytes())?;
        self.give(2, &value)
    }

    pub(super) fn set_shared_data(&mut self) -> Answer {
        let (key, value, cas) = (self.bytes(0)?, self.bytes(2)?, self.u32(4));
        Ok(self.state().shared().set_data(&key, &value, cas))
    }

    pub(super) fn register_queue(&mut self) -> Answer {
        let name = self.bytes(0)?;
        let state = self.caller.data_mut();
        let consumer = (state.worker, state.root_of(state.current));
        let mut shared = state.shared();
        let known = shared.queues.iter_mut().position(|queue| queue.name == name);
        let index = if let Some(index) = known {
            index
        } else {
            shared.queues.push(Queue { name, consumer, items: std::collections::VecDeque::new() });
            shared.queues.len() - 1
        };
        if let Some(queue) = shared.queues.get_mut(index) {
            queue.consumer = consumer;
        }
        drop(shared);
        self.put(2, &queue_id(index)?.to_le_bytes())?;
        Ok(Status::Ok)
    }

    pub(super) fn resolve_queue(&mut self) -> Answer {
        // There is one VM id here, so the first two parameters say nothing new.
        let name = self.bytes(2)?;
        let index = self.state().shared().queues.iter().position(|queue| queue.name == name);
        let Some(index) = index else { return Ok(Status::NotFound) };
        self.put(4, &queue_id(index)?.to_le_bytes())?;
        Ok(Status::Ok)
    }

    pub(super) fn enqueue(&mut self) -> Answer {
        let (id, item) = (self.u32(0), self.bytes(1)?);
        let mut shared = self.state().shared();
        let Some(queue) = queue_index(id).and_then(|index| shared.queues.get_mut(index)) else {
            return Ok(Status::NotFound);
        };
        queue.items.push_back(item);
        let (worker, root) = queue.consumer;
        shared.ready.push_back((worker, root, id));
        Ok(Status::Ok)
    }

    pub(super) fn dequeue(&mut self) -> Answer {
        let id = self.u32(0);
        let mut shared = self.state().shared();
        let Some(queue) = queue_index(id).and_then(|index| shared.queues.get_mut(index)) else {
            return Ok(Status::NotFound);
        };
        let item = queue.items.pop_front();
        drop(shared);
        match item {
            Some(item) => self.give(1, &item),
            None => Ok(Status::Empty),
        }
    }

    pub(super) fn define_metric(&mut self) -> Answer {
        let (kind, name) = (self.u32(0), self.text(1)?);
        let defined = self.state().shared().define_metric(kind, name);
        match defined {
            Ok(id) => {
                self.put(3, &id.to_le_bytes())?;
                Ok(Status::Ok)
            }
            Err(status) => Ok(status),
        }
    }

    pub(super) fn increment_metric(&mut self) -> Status {
        let (id, offset) = (self.u32(0), self.i64(1));
        self.state().shared().increment_metric(id, offset)
    }

    pub(super) fn record_metric(&mut self) -> Status {
        let (id, value) = (self.u32(0), self.i64(1).cast_unsigned());
        self.state().shared().record_metric(id, value)
    }

    pub(super) fn get_metric(&mut self) -> Answer {
        let id = self.u32(0);
        let mut shared = self.state().shared();
        let Some(metric) = shared.metric(id) else { return Ok(Status::NotFound) };
        if metric.kind == MetricKind::Histogram {
            return Ok(Status::BadArgument);
        }
        let value = metric.value;
        drop(shared);
        self.put(1, &value.to_le_bytes())?;
        Ok(Status::Ok)
    }
}

/// Queue ids start at 1, as in Envoy.
fn queue_id(index: usize) -> wasmtime::Result<u32> {
    Ok(u32::try_from(index)? + 1)
}

fn queue_index(id: u32) -> Option<usize> {
    usize::try_from(id.checked_sub(1)?).ok()
}
