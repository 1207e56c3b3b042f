//! Delivery to real Envoys: what reaches them, what they refuse, what they hold, and over what.
//!
//! Most of it runs against the xDS server in this process, with a source of certificates that a
//! test can make lie: the control plane itself never serves a certificate that Envoy would refuse.

#[cfg(test)]
mod budgets;
#[cfg(test)]
mod default_certificate;
#[cfg(test)]
mod floods;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod secrecy;
#[cfg(test)]
mod support;
#[cfg(test)]
mod transport;
