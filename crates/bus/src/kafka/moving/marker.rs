//! The topic that says how far a move has come: made first, with a record that it has begun; the last record says that it is
//! whole. Topics beside one that does not say so are used by nobody.

use std::time::Duration;

use bytes::Bytes;
use rdkafka::Offset as KafkaOffset;
use rdkafka::consumer::Consumer;
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaErrorCode;

use crate::kafka::ends;
use crate::kafka::settings::KafkaConfig;
use crate::kafka::topics::{TopicMade, create_topics};
use crate::{Keep, Partition, Topic};

use super::read::{Place, Stream};
use super::write::{Writer, Written};
use super::{Move, MoveError, blocking, insist, probe};

/// Keys of its records.
const BEGUN: &[u8] = b"begun";
const WHOLE: &[u8] = b"whole";
/// One question to a broker.
const PATIENCE: Duration = Duration::from_secs(10);
/// It joins none; each client may read as this group.
const GROUP: &str = "aggregate";

/// How far a move to a prefix has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// There was none: what is there was made by other means. Or it may not be seen.
    None,
    /// Its topic was made, and nothing else.
    Made,
    /// It was begun, and is not whole. With what it says of itself.
    Begun(Bytes),
    /// All is there. With what it says of itself.
    Whole(Bytes),
}

/// Looks how far a move to the prefix of a log has come.
///
/// # Errors
/// No broker answers.
pub async fn marker(config: &KafkaConfig, topic: &str) -> Result<Marker, MoveError> {
    let (config, named) = (config.clone(), format!("{}{topic}", config.prefix));
    blocking(move || look(&config, &named)).await
}

fn look(config: &KafkaConfig, named: &str) -> Result<Marker, MoveError> {
    use RDKafkaErrorCode::{TopicAuthorizationFailed, UnknownTopicOrPartition};
    let what = format!("look whether there is a topic {named}");
    let probe = probe(config)?;
    let metadata = probe.fetch_metadata(Some(named), config.timeout).map_err(|error| MoveError::Broker {
        what: "use the log on Kafka".to_owned(),
        reason: format!("no broker of {} answers within {:?}: {error}", config.bootstrap, config.timeout),
    })?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == named) else {
        return Ok(Marker::None);
    };
    match found.error().map(RDKafkaErrorCode::from) {
        None => {}
        // Of a topic that is not there brokers say the second of who may not see it.
        Some(UnknownTopicOrPartition | TopicAuthorizationFailed) => return Ok(Marker::None),
        Some(code) => return Err(MoveError::Broker { what, reason: code.to_string() }),
    }
    let places = [(named.to_owned(), Partition(0))];
    let ask = |which| insist(&what, PATIENCE, || ends::ask(&probe, &places, which, PATIENCE));
    let (begins, ends) = (ask(KafkaOffset::Beginning)?, ask(KafkaOffset::End)?);
    let place = Place { partition: Partition(0), from: begins[&places[0]], end: ends[&places[0]] };
    let mut stream = Stream::open(config, GROUP, named, &[place])?;
    let mut marker = Marker::Made;
    while let Some((_, message)) = stream.next()? {
        let note = || Bytes::copy_from_slice(message.payload().unwrap_or_default());
        match message.key() {
            Some(WHOLE) => marker = Marker::Whole(note()),
            Some(BEGUN) if !matches!(marker, Marker::Whole(_)) => marker = Marker::Begun(note()),
            _ => {}
        }
    }
    Ok(marker)
}

/// Nobody else may begin one to the same prefix.
pub(super) async fn begin(what: &Move) -> Result<(), MoveError> {
    let before = marker(&what.to, &what.marker).await?;
    let mut alone = what.to.clone();
    alone.topics = vec![Topic { name: what.marker.clone(), partitions: 1, keep: Keep::Latest }];
    let made = create_topics(&alone, what.replicas).await?;
    let is_new = made.iter().all(|(_, made)| *made == TopicMade::New);
    if !is_new && before != Marker::Made {
        return Err(MoveError::Taken { prefix: what.to.prefix.clone() });
    }
    write(what, BEGUN).await
}

pub(super) async fn end(what: &Move) -> Result<(), MoveError> {
    write(what, WHOLE).await
}

async fn write(what: &Move, key: &'static [u8]) -> Result<(), MoveError> {
    let (config, note) = (what.to.clone(), what.note.clone());
    let named = format!("{}{}", config.prefix, what.marker);
    blocking(move || {
        let mut writer = Writer::new(&config)?;
        writer.send(Written {
            topic: &named,
            partition: Partition(0),
            key: Some(key),
            value: Some(&note),
            timestamp: None,
            headers: None,
        })?;
        writer.finish()
    })
    .await
}
