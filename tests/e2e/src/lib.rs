//! User stories on real parts. They are all in `tests/stories`, one file for each theme; this
//! library is empty so that cargo has something to hang them on.
