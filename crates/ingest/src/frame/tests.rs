//! Where frames begin and end.
