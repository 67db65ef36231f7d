//! What only the log on Kafka promises, against a real broker: `make test-kafka`, or `RINGPOST_TEST_KAFKA=host:port`.
//! Without one these tests say so and do nothing.

mod bench;
mod counter;
mod faults;
mod handover;
mod moving;
mod only;
mod process;

pub(crate) use bench::Brokers;
