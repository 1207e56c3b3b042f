//! The sealwax binary: configuration, composition, edge and admin APIs, command line

pub mod accounts;
pub mod admin;
pub mod app;
pub mod bootstrap;
pub mod catalog;
pub mod certificates;
pub mod cli;
pub mod config;
pub mod edge;
pub mod feed;
pub mod identity;
pub mod last_good;
pub mod metrics;
pub mod notify;
pub mod permission;
pub mod pki;
pub mod system;
pub mod telemetry;
pub mod traces;
pub mod trail;
pub mod view;

pub mod registry;
pub mod web;
