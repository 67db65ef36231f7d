//! Durable state: tenants, pbxs, triggers, sessions, debts, attempts.
