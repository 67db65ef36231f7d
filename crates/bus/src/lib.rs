//! A partitioned log with atomic consume-process-produce; knows no domain type.
