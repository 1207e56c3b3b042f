//! Resuming, resetting and answering streams. None of it happens before the callback is over.

use super::{Answer, Call};
use crate::observed::{LocalReply, Outcome, Violation};
use crate::status::Status;
use crate::vm_state::{Access, Deferred};
use crate::wire;

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;

impl Call<'_, '_> {
    pub(super) fn continue_stream(&mut self) -> Status {
        let which = self.u32(0);
        let state = self.caller.data_mut();
        let focus = state.focus();
        let Some(stream) = state.stream(focus) else {
            state.violate(Violation::RootInFocus("proxy_continue_stream"));
            return Status::Ok;
        };
        match which {
            REQUEST if stream.replied => state.violate(Violation::ResumedAfterReply),
            REQUEST if stream.resuming || stream.outcome != Outcome::Paused => {
                state.violate(Violation::ResumedTwice);
            }
            REQUEST => {
                stream.resuming = true;
                stream.request.access = Access::Absent;
                state.deferred.push(Deferred::Resume(focus));
            }
            RESPONSE if !stream.response_paused => state.violate(Violation::ResumedTwice),
            RESPONSE => {
                stream.response.access = Access::Absent;
                state.deferred.push(Deferred::ResumeResponse(focus));
            }
            _ => return Status::BadArgument,
        }
        Status::Ok
    }

    pub(super) fn close_stream(&mut self) -> Status {
        let which = self.u32(0);
        let state = self.caller.data_mut();
        let focus = state.focus();
        if state.stream(focus).is_none() {
            state.violate(Violation::RootInFocus("proxy_close_stream"));
            return Status::Ok;
        }
        if which > RESPONSE {
            return Status::BadArgument;
        }
        state.deferred.push(Deferred::Reset(focus));
        Status::Ok
    }

    pub(super) fn send_local_response(&mut self) -> Answer {
        let status = self.u32(0);
        let details = self.bytes(1)?;
        let body = self.bytes(3)?;
        let headers = wire::decode(&self.bytes(5)?);
        let grpc_status = self.u32(7).cast_signed();
        let state = self.caller.data_mut();
        let focus = state.focus();
        let Some(stream) = state.stream(focus) else {
            state.violate(Violation::RootInFocus("proxy_send_local_response"));
            return Ok(Status::Ok);
        };
        let answering = stream.response.access == Access::Open;
        if stream.replied || stream.resuming || (stream.outcome != Outcome::Paused && !answering) {
            state.violate(Violation::RepliedTwice);
            return Ok(Status::Ok);
        }
        stream.replied = true;
        let reply = LocalReply { status, headers, body, details, grpc_status };
        state.deferred.push(Deferred::Reply(focus, reply));
        Ok(Status::Ok)
    }
}
