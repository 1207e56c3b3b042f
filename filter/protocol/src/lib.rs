//! What the filter and the control plane say to each other, and how both read a host name.
//!
//! The one crate both sides share: if the filter and the control plane disagreed on what
//! `Blog.Example.COM.:80` names, a certificate would be asked for under one name and served
//! under another.

pub mod challenge_token;
pub mod domain_name;
pub mod edge;

pub use challenge_token::{ChallengeToken, ChallengeTokenError};
pub use domain_name::{DomainName, DomainNameError};
