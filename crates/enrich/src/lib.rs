//! Enrichment of records over read-only tables; today the zone.
