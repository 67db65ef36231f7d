//! Dialects of switches: bytes in, leg records and rejects out.
