//! What needs the machine to itself: a program of its own, which cargo runs alone.

#[cfg(test)]
mod many;
#[cfg(test)]
#[path = "../replicas/site.rs"]
#[allow(dead_code, reason = "the replicas' stories use the rest of it")]
mod site;
