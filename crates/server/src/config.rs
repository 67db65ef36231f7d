//! Configuration: what was written (file, environment, flags) resolved into values ready to use.
//!
//! Raw and resolved are two layers. [`document`] turns text into entries, each with its place; [`sections`]
//! holds the resolved values with their defaults; [`reader`] checks one against the other and collects every
//! mistake, so that a person mends all of them at once. Nothing here opens a socket or a data directory.

mod document;
mod environment;
mod kafka;
mod load;
mod mail;
mod mistake;
mod reader;
mod roles;
mod sections;
mod setting;
mod similar;
mod source;
mod store;

#[cfg(test)]
mod tests;

pub use document::Place;
pub(crate) use document::Positions;
pub(crate) use kafka::named as named_on_broker;
pub use kafka::{Backend, Kafka};
pub use load::{DEFAULT_TOML, Flags, LoadError, Loaded, Source, load, parse};
pub use mail::{Mail, MailPassword, SmtpServer, Starttls};
pub use mistake::Mistake;
pub use reader::Settled;
pub use roles::{Role, Serve};
pub use sections::{
    Admin, Breaker, Bus, Config, Data, Delivery, Http, Log, LogFormat, Retention, Secret, Sessions, Shutdown,
    Store, Triggers,
};
pub use setting::ByteSize;
pub(crate) use similar::nearest;
pub(crate) use source::kafka::From as RecordPart;
pub use source::{FileSource, KafkaSource, Sources};
pub use store::{Pooler, Postgres, StorePassword, StoreUrl};
