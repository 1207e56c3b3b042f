//! Header maps and buffers.

use super::{Answer, Call};
use crate::observed::Violation;
use crate::status::Status;
use crate::vm_state::{Access, Map, VmState};
use crate::wire::{self, Headers};

const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;
const CALLOUT_HEADERS: u32 = 6;
const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const CALLOUT_BODY: u32 = 4;
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;

impl Call<'_, '_> {
    pub(super) fn header_map(&mut self) -> Answer {
        let which = self.u32(0);
        let function = self.function;
        let Some(headers) = readable(self.state(), which) else {
            self.state().violate(Violation::OutOfPhase { function, what: which });
            // Reading all of an absent map is no error in Envoy, everything else is.
            return if function == "proxy_get_header_map_pairs" {
                self.give(1, &[])
            } else {
                Ok(Status::BadArgument)
            };
        };
        match function {
            "proxy_get_header_map_pairs" => self.give(1, &wire::encode(&headers)),
            "proxy_get_header_map_value" => {
                let name = self.bytes(1)?.to_ascii_lowercase();
                match headers.into_iter().find(|(n, _)| *n == name) {
                    Some((_, value)) => self.give(3, &value),
                    None => Ok(Status::NotFound),
                }
            }
            _ => self.change_header_map(which, headers),
        }
    }

    fn change_header_map(&mut self, which: u32, mut headers: Headers) -> Answer {
        if self.function == "proxy_set_header_map_pairs" {
            headers = wire::decode(&self.bytes(1)?);
        } else {
            let name = self.bytes(1)?.to_ascii_lowercase();
            match self.function {
                "proxy_add_header_map_value" => headers.push((name, self.bytes(3)?)),
                "proxy_replace_header_map_value" => {
                    let value = self.bytes(3)?;
                    match headers.iter().position(|(n, _)| *n == name) {
                        Some(first) => {
                            let mut index = 0;
                            headers.retain(|(n, _)| {
                                index += 1;
                                *n != name || index == first + 1
                            });
                            if let Some((_, old)) = headers.get_mut(first) {
                                *old = value;
                            }
                        }
                        None => headers.push((name, value)),
                    }
                }
                _ => headers.retain(|(n, _)| *n != name),
            }
        }
        let function = self.function;
        let focus = self.state().focus();
        match self.state().stream(focus).and_then(|stream| match which {
            REQUEST_HEADERS => Some(&mut stream.request),
            RESPONSE_HEADERS => Some(&mut stream.response),
            _ => None,
        }) {
            Some(Map { headers: old, access: Access::Open }) => {
                *old = headers;
                Ok(Status::Ok)
            }
            _ => {
                self.state().violate(Violation::OutOfPhase { function, what: which });
                Ok(Status::BadArgument)
            }
        }
    }

    pub(super) fn get_buffer(&mut self) -> Answer {
        let (which, start, length) = (self.u32(0), self.u32(1), self.u32(2));
        let Some(end) = start.checked_add(length) else { return Ok(Status::BadArgument) };
        let Some(buffer) = buffer(self.state(), which) else { return Ok(Status::NotFound) };
        let size = buffer.len();
        let (start, end) = (usize::try_from(start)?.min(size), usize::try_from(end)?.min(size));
        let bytes = buffer.get(start..end).unwrap_or_default().to_vec();
        self.give(3, &bytes)
    }

    /// Prepends (0, 0), appends (at or after the end) or replaces (0, all), as the ABI has it.
    pub(super) fn set_buffer(&mut self) -> Answer {
        let (which, start, length) = (self.u32(0), self.u32(1), self.u32(2));
        let (start, length) = (usize::try_from(start)?, usize::try_from(length)?);
        let new = self.bytes(3)?;
        let focus = self.state().focus();
        let buffer = self.state().stream(focus).and_then(|stream| match which {
            REQUEST_BODY => stream.request_body.as_mut(),
            RESPONSE_BODY => stream.response_body.as_mut(),
            _ => None,
        });
        let Some(buffer) = buffer else { return Ok(Status::BadArgument) };
        let size = buffer.len();
        if start >= size && size > 0 {
            buffer.extend_from_slice(&new);
        } else if start == 0 && length == 0 {
            buffer.splice(0..0, new);
        } else if start == 0 && length >= size {
            *buffer = new;
        } else {
            return Ok(Status::BadArgument);
        }
        Ok(Status::Ok)
    }
}

fn readable(state: &mut VmState, which: u32) -> Option<Headers> {
    if which == CALLOUT_HEADERS {
        return state.delivering.as_ref().map(|(headers, _)| headers.clone());
    }
    let focus = state.focus();
    let stream = state.stream(focus)?;
    let map = match which {
        REQUEST_HEADERS => &stream.request,
        RESPONSE_HEADERS => &stream.response,
        _ => return None,
    };
    (map.access != Access::Absent).then(|| map.headers.clone())
}

fn buffer(state: &mut VmState, which: u32) -> Option<&Vec<u8>> {
    match which {
        CALLOUT_BODY => return state.delivering.as_ref().map(|(_, body)| body),
        VM_CONFIGURATION if state.starting => return Some(&state.settings.vm_configuration),
        PLUGIN_CONFIGURATION => return state.configuring.as_ref(),
        _ => {}
    }
    let focus = state.focus();
    let stream = state.stream(focus)?;
    match which {
        REQUEST_BODY => stream.request_body.as_ref(),
        RESPONSE_BODY => stream.response_body.as_ref(),
        _ => None,
    }
}
