//! The one test binary over the whole workspace.
