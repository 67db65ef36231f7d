//! Secrets at rest: XChaCha20-Poly1305 with a key from outside the store.
//!
//! A sealed value is the byte 1, the id of its key (8 bytes), a random nonce (24 bytes), the ciphertext with its
//! tag. It opens only in the place it was sealed for: tenant, row and column are part of what is authenticated.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

const FORMAT: u8 = 1;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const ID_BYTES: usize = 8;
const HEAD_BYTES: usize = 1 + ID_BYTES + NONCE_BYTES;

/// Which key sealed a value. Not a secret, and says nothing about the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hexadecimal digits. The text is not repeated: it may be nearly a key.
    #[error("read the key of the store: it must be 64 hexadecimal digits, got {0} characters")]
    Syntax(usize),
    /// The file cannot be read or made.
    #[error("read the key of the store from {path}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No random bytes.
    #[error("make a key for the store: the system gives no random bytes")]
    Random,
}

/// Why a value does not open.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SecretError {
    /// Sealed with a key that we do not have.
    #[error("it is sealed with key {sealed}, and the key given is {given}: give the former key")]
    OtherKey {
        /// In the value.
        sealed: KeyId,
        /// The key in use.
        given: KeyId,
    },
    /// Changed, or moved here from another row.
    #[error("it was changed, or belongs to another row")]
    Changed,
    /// No sealed value at all.
    #[error("it is no sealed value")]
    Format,
    /// No random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// One key. Printed as its id.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

impl Key {
    /// A key from its 64 hexadecimal digits; space around them does not count.
    ///
    /// # Errors
    /// Another text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let wrong = || KeyError::Syntax(text.chars().count());
        if text.len() != KEY_BYTES * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; KEY_BYTES];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self::from_bytes(bytes))
    }

    /// The key in a file, which is made with a new one, readable by its owner only, when there is none.
    ///
    /// # Errors
    /// The file cannot be read or made, or holds something else.
    pub fn read_or_make(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.display().to_string(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut bytes = [0; KEY_BYTES];
                getrandom::fill(&mut bytes).map_err(|_| KeyError::Random)?;
                let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                write_key(path, &text).map_err(failed)?;
                Ok(Self::from_bytes(bytes))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Which key it is.
    pub fn id(&self) -> KeyId {
        self.id
    }

    fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        let hash = Sha256::new().chain_update(b"ringpost key id\0").chain_update(bytes).finalize();
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&hash[..ID_BYTES]);
        Self { id: KeyId(id), cipher: XChaCha20Poly1305::new(&bytes.into()) }
    }
}

/// Never over a key that somebody else has just made.
fn write_key(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

/// The key in use, and former ones that still open what they sealed.
#[derive(Debug, Clone)]
pub struct Keyring {
    current: Key,
    former: Vec<Key>,
}

impl Keyring {
    /// Only one key.
    pub fn new(current: Key) -> Self {
        Self { current, former: Vec::new() }
    }

    /// With a former key, which opens and never seals.
    #[must_use]
    pub fn with_former(mut self, key: Key) -> Self {
        self.former.push(key);
        self
    }

    /// Seals a value for one place.
    pub(crate) fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SecretError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SecretError::Random)?;
        let payload = Payload { msg: plain, aad: &place.to_bytes() };
        // Fails only beyond 256 GiB.
        let sealed = self.current.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| SecretError::Format)?;
        let mut value = Vec::with_capacity(HEAD_BYTES + sealed.len());
        value.push(FORMAT);
        value.extend_from_slice(&self.current.id.0);
        value.extend_from_slice(&nonce);
        value.extend_from_slice(&sealed);
        Ok(value)
    }

    /// Opens a value that was sealed for the same place.
    pub(crate) fn open(&self, place: &Place<'_>, value: &[u8]) -> Result<Vec<u8>, SecretError> {
        if value.len() < HEAD_BYTES || value[0] != FORMAT {
            return Err(SecretError::Format);
        }
        let (head, sealed) = value.split_at(HEAD_BYTES);
        let (id, nonce) = head[1..].split_at(ID_BYTES);
        let id = KeyId(id.try_into().expect("split at its length"));
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().expect("what is left of the head");
        let key = std::iter::once(&self.current).chain(&self.former).find(|key| key.id == id);
        let key = key.ok_or(SecretError::OtherKey { sealed: id, given: self.current.id })?;
        let payload = Payload { msg: sealed, aad: &place.to_bytes() };
        key.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| SecretError::Changed)
    }
}

/// Where a sealed value stands. Authenticated with it, so that it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) tenant: &'a [u8],
    pub(crate) row: &'a [u8],
    pub(crate) column: &'static str,
}

impl Place<'_> {
    /// Each part with its length before it: no two places have the same bytes.
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        for part in [self.tenant, self.row, self.column.as_bytes()] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digit: char) -> Key {
        Key::parse(&digit.to_string().repeat(64)).unwrap()
    }

    const HERE: Place<'_> = Place { tenant: b"acme", row: b"1", column: "t.c" };

    #[test]
    fn a_value_opens_only_where_it_was_sealed() {
        let ring = Keyring::new(key('a'));
        let value = ring.seal(&HERE, b"whsec_1").unwrap();
        assert_eq!(ring.open(&HERE, &value).unwrap(), b"whsec_1");
        for elsewhere in [
            Place { tenant: b"evil", ..HERE },
            Place { row: b"2", ..HERE },
            Place { column: "t.d", ..HERE },
            Place { tenant: b"acme1", row: b"", ..HERE },
        ] {
            let error = ring.open(&elsewhere, &value).unwrap_err();
            assert!(matches!(error, SecretError::Changed), "{elsewhere:?}: {error}");
        }
    }

    #[test]
    fn a_changed_bit_is_noticed() {
        let ring = Keyring::new(key('a'));
        let value = ring.seal(&HERE, b"whsec_1").unwrap();
        for at in 0..value.len() {
            let mut changed = value.clone();
            changed[at] ^= 1;
            assert!(ring.open(&HERE, &changed).is_err(), "byte {at}");
        }
        assert!(matches!(ring.open(&HERE, b""), Err(SecretError::Format)));
    }

    #[test]
    fn a_former_key_still_opens_and_another_is_named() {
        let value = Keyring::new(key('a')).seal(&HERE, b"x").unwrap();
        let rotated = Keyring::new(key('b')).with_former(key('a'));
        assert_eq!(rotated.open(&HERE, &value).unwrap(), b"x");
        let error = Keyring::new(key('b')).open(&HERE, &value).unwrap_err().to_string();
        assert!(error.contains(&key('a').id().to_string()), "{error}");
        assert!(!error.contains("aaaaaaaaa"), "no key in an error: {error}");
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        for bad in ["", "a", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            let error = Key::parse(bad).unwrap_err().to_string();
            assert!(error.contains("64 hexadecimal digits"), "{error}");
        }
        assert!(Key::parse(&format!(" {}\n", "A".repeat(64))).is_ok());
    }

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let made = Key::read_or_make(&path).unwrap();
        assert_eq!(Key::read_or_make(&path).unwrap().id(), made.id());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
