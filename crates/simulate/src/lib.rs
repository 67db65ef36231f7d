//! Realistic traffic of several companies, with the expected record of every call from its own knowledge.
