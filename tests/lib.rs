//! No code: the tests of this member are in `it`.
