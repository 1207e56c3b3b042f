//! The platform whose domains these are: it is asked whether a domain is still its customer's, and
//! told what happened to it.

pub mod notify;
pub mod permission;
pub mod view;
