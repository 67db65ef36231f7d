//! The filter language of triggers: compile, index, match, explain.
