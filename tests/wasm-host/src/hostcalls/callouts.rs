//! HTTP callouts, and gRPC, which this host has no clusters for.

use super::{Answer, Call};
use crate::observed::{CalloutId, CalloutRequest, Violation};
use crate::status::Status;
use crate::wire;

impl Call<'_, '_> {
    pub(super) fn http_call(&mut self) -> Answer {
        let cluster = self.text(0)?;
        let headers = wire::decode(&self.bytes(2)?);
        let body = self.bytes(4)?;
        let timeout_ms = self.u32(8);
        let state = self.caller.data_mut();
        let has = |name: &[u8]| headers.iter().any(|(n, _)| n == name);
        // Timeouts are signed in Envoy, and it refuses negative ones.
        let complete = has(b":method") && has(b":path") && has(b":authority");
        if !state.settings.clusters.contains(&cluster) || !complete || timeout_ms.cast_signed() < 0
        {
            return Ok(Status::BadArgument);
        }
        if timeout_ms == 0 {
            state.violate(Violation::NoTimeout);
        }
        let token = state.next_token;
        state.next_token += 1;
        let (worker, generation) = (state.worker, state.generation);
        let root = state.root_of(state.current);
        let sent_ns = state.shared().now_ns;
        let id = CalloutId { worker, generation, token };
        let request = CalloutRequest { id, root, cluster, headers, body, timeout_ms, sent_ns };
        state.callouts.insert(token, request);
        self.put(9, &token.to_le_bytes())?;
        Ok(Status::Ok)
    }

    /// No cluster speaks gRPC here, and no gRPC call is ever in flight.
    pub(super) fn grpc(&self) -> Status {
        match self.function {
            "proxy_grpc_call" | "proxy_grpc_stream" => Status::ParseFailure,
            "proxy_get_status" => Status::BadArgument,
            _ => Status::NotFound,
        }
    }
}
