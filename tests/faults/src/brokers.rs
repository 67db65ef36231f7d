//! Real brokers, by the project's own script.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::script::script;

const KAFKA: &str = "kafka";
const PATIENT: Duration = Duration::from_secs(30);
/// Partitions of the topic where positions are, as the script sets it.
const OFFSETS: u32 = 8;

/// Brokers that run; gone with their owner.
pub(crate) struct Brokers {
    pub(crate) bootstrap: String,
    folder: PathBuf,
    /// Where they listen for a proxy.
    pub(crate) behind: Vec<u16>,
}

impl Brokers {
    /// One node, or three, that tell whoever comes by `proxy` and the ports after it to come there again.
    pub(crate) fn start(folder: &Path, nodes: u16, proxy: u16) -> anyhow::Result<Self> {
        let folder = folder.join("kafka");
        let out = script(
            KAFKA,
            &[
                "start",
                "--nodes",
                &nodes.to_string(),
                "--behind",
                &proxy.to_string(),
                "--dir",
                &folder.display().to_string(),
            ],
        )?;
        let bootstrap = out.lines().find_map(|line| line.strip_prefix("bootstrap "));
        let bootstrap = bootstrap.context("the script tells no address")?.to_owned();
        let port = bootstrap.split(',').next().and_then(|first| first.rsplit(':').next());
        let port: u16 = port.context("an address has a port")?.parse()?;
        let behind = (0..nodes).map(|node| port + 20 + node).collect();
        Ok(Self { bootstrap, folder, behind })
    }

    /// `kill -9`.
    pub(crate) fn kill(&self, node: u16) -> anyhow::Result<()> {
        script(KAFKA, &["kill", &self.folder.display().to_string(), &node.to_string()]).map(drop)
    }

    /// Starts one that was killed, and waits until it is up.
    pub(crate) fn again(&self, node: u16) -> anyhow::Result<()> {
        script(KAFKA, &["again", &self.folder.display().to_string(), &node.to_string()]).map(drop)
    }

    /// Which of them looks after a group: it leads the group's partition of the topic where positions are.
    pub(crate) fn coordinator(&self, group: &str) -> anyhow::Result<u16> {
        // Java's hash of a text, made positive as Kafka does.
        let hash =
            group.bytes().fold(0_i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte)));
        self.leader("__consumer_offsets", hash.checked_abs().unwrap_or_default() as u32 % OFFSETS)
    }

    /// Which of them leads a partition.
    pub(crate) fn leader(&self, topic: &str, partition: u32) -> anyhow::Result<u16> {
        let asker: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create().context("a client")?;
        let metadata = asker.fetch_metadata(Some(topic), PATIENT)?;
        let partitions = metadata.topics().first().context("the topic is there")?.partitions();
        let found = partitions.iter().find(|found| found.id() == partition as i32);
        Ok(found.context("the partition is there")?.leader().try_into()?)
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        let folder = self.folder.display().to_string();
        for file in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = file.file_name();
            if name.to_string_lossy().ends_with(".log") {
                // Kept beside the rest; the script removes the folder.
                let to = self.folder.with_file_name(format!("kafka-{}", name.to_string_lossy()));
                _ = std::fs::copy(file.path(), to);
            }
        }
        if let Err(error) = script(KAFKA, &["stop", &folder]) {
            eprintln!("faults: brokers in {folder} may still run: {error:#}");
        }
    }
}
