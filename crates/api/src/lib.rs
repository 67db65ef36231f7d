//! HTTP: the intake of legs.
