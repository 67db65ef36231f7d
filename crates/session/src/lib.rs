//! Legs to sessions to records: the pure machine.
