//! Logs, time, ticks, properties and contexts.

use super::{Answer, Call};
use crate::status::Status;
use crate::vm_state::Tick;

/// Nanoseconds in a millisecond.
pub(crate) const NS_PER_MS: u64 = 1_000_000;

impl Call<'_, '_> {
    pub(super) fn proxy_call(&mut self) -> Answer {
        match self.function {
            "proxy_log" => {
                let (level, line) = (self.u32(0), self.bytes(1)?);
                self.state().log(level, &line);
                Ok(if level <= 5 { Status::Ok } else { Status::BadArgument })
            }
            "proxy_get_log_level" => {
                let level = self.state().settings.log_level;
                self.put(0, &level.to_le_bytes())?;
                Ok(Status::Ok)
            }
            "proxy_get_current_time_nanoseconds" => {
                let now = self.state().shared().now_ns;
                self.put(0, &now.to_le_bytes())?;
                Ok(Status::Ok)
            }
            "proxy_set_tick_period_milliseconds" => Ok(self.set_tick()),
            "proxy_get_property" => self.get_property(),
            "proxy_set_property" => self.set_property(),
            "proxy_set_effective_context" => {
                let context = self.u32(0);
                if !self.state().contexts.contains_key(&context) {
                    return Ok(Status::BadArgument);
                }
                self.state().effective = context;
                Ok(Status::Ok)
            }
            // `proxy_done`: no teardown here ever waits. Foreign functions: none are offered.
            _ => Ok(Status::NotFound),
        }
    }

    fn set_tick(&mut self) -> Status {
        let period_ms = self.u32(0);
        let state = self.caller.data_mut();
        let root = state.root_of(state.current);
        if period_ms == 0 {
            state.ticks.remove(&root);
        } else {
            let next_ns = state.shared().now_ns + u64::from(period_ms) * NS_PER_MS;
            state.ticks.insert(root, Tick { period_ms, next_ns });
        }
        Status::Ok
    }

    fn get_property(&mut self) -> Answer {
        let path = self.bytes(0)?;
        let state = self.state();
        let focus = state.focus();
        let own = state.stream(focus).and_then(|stream| stream.properties.get(&path).cloned());
        match own.or_else(|| state.settings.properties.get(&path).cloned()) {
            Some(value) => self.give(2, &value),
            None => Ok(Status::NotFound),
        }
    }

    fn set_property(&mut self) -> Answer {
        let (path, value) = (self.bytes(0)?, self.bytes(2)?);
        let state = self.state();
        let focus = state.focus();
        match state.stream(focus) {
            Some(stream) => {
                stream.properties.insert(path, value);
                Ok(Status::Ok)
            }
            None => Ok(Status::NotFound),
        }
    }
}
