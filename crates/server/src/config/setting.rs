//! One value: how it is written, and what a person is told who wrote it otherwise.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::document::Given;
use super::mistake::Wrong;
use super::sections::{LogFormat, Secret};

/// A number of bytes, written `10MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn bytes(count: u64) -> Self {
        Self(count)
    }

    /// So many times 1,024 bytes.
    pub const fn kib(count: u64) -> Self {
        Self(count * 1024)
    }

    /// So many times 1,048,576 bytes.
    pub const fn mib(count: u64) -> Self {
        Self(count * 1024 * 1024)
    }

    /// As a count for buffers.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// As a count.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 > 0 && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}B", self.0)
    }
}

/// A type of value.
pub(crate) trait Setting: Sized {
    /// Reads what was written.
    fn read(given: &Given) -> Result<Self, Wrong>;
    /// As it would be written in a file.
    fn show(&self) -> String;
}

/// Names a value of the wrong type in a message, shortened.
pub(crate) fn shown(given: &Given) -> String {
    match given {
        Given::Text(text) | Given::Bare(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
        Given::Integer(text) | Given::Float(text) | Given::Time(text) => text.clone(),
        Given::Bool(flag) => flag.to_string(),
        Given::List(_) => "a list".to_owned(),
        Given::Table => "a table".to_owned(),
    }
}

/// The text of a value that is a text.
pub(super) fn text<'a>(given: &'a Given, instead: &str) -> Result<&'a str, Wrong> {
    match given {
        Given::Text(text) | Given::Bare(text) => Ok(text),
        other => Err(Wrong::new(format!("{} is no text", shown(other)), instead)),
    }
}

impl Setting for Duration {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "write a number with a unit, such as \"3s\", \"15m\", \"4h\" or \"7days\"";
        if let Given::Integer(number) | Given::Float(number) = given {
            let instead = format!("write it with its unit in quotes, such as \"{number}s\"");
            return Err(Wrong::new(format!("{number} has no unit"), instead));
        }
        let text = text(given, instead)?;
        let parsed = humantime::parse_duration(text.trim());
        parsed.map_err(|_| Wrong::new(format!("{} is no duration", shown(given)), instead))
    }

    fn show(&self) -> String {
        quoted(&humantime::format_duration(*self).to_string())
    }
}

impl Setting for ByteSize {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "write a number with a unit, such as \"512KiB\" or \"10MiB\"";
        let wrong = || Wrong::new(format!("{} is no size", shown(given)), instead);
        if let Given::Integer(number) = given {
            return Err(Wrong::new(
                format!("{number} has no unit"),
                format!("write \"{number}B\" or another unit"),
            ));
        }
        let text = text(given, instead)?.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let factor: u64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return Err(wrong()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for bool {
    fn read(given: &Given) -> Result<Self, Wrong> {
        match given {
            Given::Bool(flag) => Ok(*flag),
            Given::Bare(text) if text == "true" || text == "1" => Ok(true),
            Given::Bare(text) if text == "false" || text == "0" => Ok(false),
            other => {
                Err(Wrong::new(format!("{} is neither true nor false", shown(other)), "write true or false"))
            }
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! whole_number {
    ($type:ty) => {
        impl Setting for $type {
            fn read(given: &Given) -> Result<Self, Wrong> {
                let wrong = || {
                    Wrong::new(format!("{} is no whole number", shown(given)), "write digits without quotes")
                };
                let (Given::Integer(text) | Given::Bare(text)) = given else { return Err(wrong()) };
                text.trim().replace('_', "").parse().map_err(|_| wrong())
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    };
}

whole_number!(u32);
whole_number!(usize);

impl Setting for String {
    fn read(given: &Given) -> Result<Self, Wrong> {
        text(given, "write it in quotes").map(str::to_owned)
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for PathBuf {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let text = text(given, "write a path in quotes")?;
        if text.is_empty() {
            return Err(Wrong::new("an empty path", "write a path in quotes, or leave the key out"));
        }
        Ok(text.into())
    }

    fn show(&self) -> String {
        quoted(&self.display().to_string())
    }
}

impl Setting for SocketAddr {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "write IP:port, such as \"0.0.0.0:8080\" or \"[::]:8080\"";
        let text = text(given, instead)?;
        text.parse().map_err(|_| Wrong::new(format!("{} is no address", shown(given)), instead))
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for IpNet {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "write a CIDR block, such as \"10.0.0.0/8\" or \"fd00::/8\"";
        let text = text(given, instead)?.trim();
        let net: Self =
            text.parse().map_err(|_| Wrong::new(format!("{} is no network", shown(given)), instead))?;
        if net.trunc() == net {
            return Ok(net);
        }
        let wrong = format!("{} has bits beyond its prefix", shown(given));
        Err(Wrong::new(
            wrong,
            format!("write \"{}\" or \"{}/{}\"", net.trunc(), net.addr(), net.max_prefix_len()),
        ))
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for Secret {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "put it into a file named by data.key_file, or into the environment";
        let Given::Bare(text) = given else {
            return Err(Wrong::new("a secret does not belong in this file", instead));
        };
        let is_key = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let instead = "make one with `openssl rand -hex 32`";
        if is_key { Ok(Self(text.clone())) } else { Err(Wrong::new("not 64 hexadecimal digits", instead)) }
    }

    fn show(&self) -> String {
        quoted("…")
    }
}

impl Setting for LogFormat {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "write \"auto\", \"text\" or \"json\"";
        match text(given, instead)? {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Wrong::new(format!("{} is no format of the log", shown(given)), instead)),
        }
    }

    fn show(&self) -> String {
        quoted(match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Absent is none; there is no way to write it, a key is left out.
impl<T: Setting> Setting for Option<T> {
    fn read(given: &Given) -> Result<Self, Wrong> {
        T::read(given).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), T::show)
    }
}

/// A list; the environment parts its elements by commas. The reader goes through elements by itself, so that
/// each mistake has its own place.
pub(crate) fn elements(given: &Given) -> Option<Vec<Given>> {
    match given {
        Given::List(entries) => Some(entries.iter().map(|entry| entry.value.clone()).collect()),
        Given::Bare(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Some(parts.map(|part| Given::Bare(part.to_owned())).collect())
        }
        _ => None,
    }
}

/// A text as TOML writes it.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
