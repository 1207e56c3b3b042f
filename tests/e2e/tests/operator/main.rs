//! The operator's side: dashboard, explanations, checks, documents.
//!
//! The dashboard is tested in a real browser, the documents by doing what they say.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod agreement;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod long_work;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod newcomer;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod timeline;
#[cfg(test)]
mod traces;
