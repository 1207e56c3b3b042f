//! The store's identity: compared at the start and all the while, and remembered outside the store.
//!
//! ```text
//! store: document "store-identity" --.
//!                                    |--> judge() --> Trust --> catalog, last-good copy, readiness
//! local files: what was known -------'        '-----> mark the store as used; remember it
//! ```

mod local;
mod place;
mod trust;
mod watch;

pub use local::Places;
pub use trust::{Standing, Trust};
pub use watch::{IdentityView, IdentityWatch, put_identity, random_id};
