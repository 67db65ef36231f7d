//! Which records are good, and why the others are not.
