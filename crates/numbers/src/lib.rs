//! Phone numbers: parse, check, normalise to E.164 in a region.
