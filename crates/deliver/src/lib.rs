//! Delivery of webhooks: render, sign, classify, schedule are pure; client and lane do the IO.
