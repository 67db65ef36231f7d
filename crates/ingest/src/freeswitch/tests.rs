//! Documents in, legs out.
