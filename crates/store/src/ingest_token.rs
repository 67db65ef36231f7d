//! Tokens of the intake: who may send legs of which pbx. Only their hash is kept.

use std::fmt;

use ringpost_model::{PbxKey, TenantKey, Text, Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::change::{Kind, Written, bump};
use crate::error::{Error, doing, doing_under};
use crate::secret::SecretError;
use crate::sql::{self, Row};
use crate::store::Store;

/// Random bytes of a token that we make: nobody guesses it.
const TOKEN_BYTES: usize = 24;
/// Shortest token taken from a configuration.
const SHORTEST: usize = 16;

/// Names a token without being one: the first half of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub Uuid);

impl TokenId {
    /// The name of a token, whether it is stored or not.
    pub fn of(token: &str) -> Self {
        id_of(&hash(token))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a token allows. The token itself is shown once, when it is made, and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestToken {
    /// Its name in lists.
    pub id: TokenId,
    /// The only pbx whose legs it may send.
    pub pbx: PbxKey,
    /// Legs must be of this tenant or below it; none = of the pbx's.
    pub tenant: Option<TenantKey>,
    /// For people.
    pub name: Text,
    /// When it was made.
    pub created: Timestamp,
    /// Since when it is no longer valid.
    pub revoked: Option<Timestamp>,
}

/// A new token, for a person to copy: `rpi_` and 48 hexadecimal digits.
///
/// # Errors
/// The system gives no random bytes.
pub fn new_token() -> Result<String, SecretError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| SecretError::Random)?;
    Ok(bytes.iter().fold("rpi_".to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

impl Store {
    /// Lets a token in, of [`new_token`] or of a configuration: the same token twice is one, and valid again when
    /// it was revoked.
    ///
    /// # Errors
    /// It is too short, its pbx or tenant does not exist, it is another pbx's, or the store cannot be written.
    pub async fn put_ingest_token(
        &self,
        token: &str,
        pbx: &PbxKey,
        tenant: Option<&TenantKey>,
        name: &str,
        now: Timestamp,
    ) -> Result<(TokenId, Written), Error> {
        const WHAT: &str = "save a token of the intake";
        let hash = hash(token);
        let id = id_of(&hash);
        let refused = |why| Error::Refused { kind: "token", key: id.to_string(), why };
        if token.len() < SHORTEST {
            return Err(refused("it is shorter than 16 characters: it could be guessed"));
        }
        let mut write = self.begin(WHAT).await?;
        let query = sql::query("SELECT * FROM ingest_tokens WHERE id = $1").bind(id.0);
        let row = query.fetch_optional(&mut write).await.map_err(doing(WHAT))?;
        let before = row.as_ref().map(read).transpose().map_err(doing(WHAT))?;
        if let Some(before) = &before {
            if before.pbx != *pbx || before.tenant.as_ref() != tenant {
                return Err(refused("it is there already, for another pbx or tenant"));
            }
            if &*before.name == name && before.revoked.is_none() {
                return Ok((id, Written::Same));
            }
        }
        let sql =
            "INSERT INTO ingest_tokens (id, hash, pbx, tenant, name, created) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, revoked = NULL";
        let query = sql::query(sql).bind(id.0).bind(hash.as_slice());
        let query =
            query.bind(pbx.as_str()).bind(tenant.map(TenantKey::as_str)).bind(name).bind(now.micros());
        query.execute(&mut write).await.map_err(doing_under(WHAT, "pbx or tenant of token", id))?;
        bump(&mut write, Kind::IngestToken, tenant).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok((id, if before.is_some() { Written::Changed } else { Written::Made }))
    }

    /// What a token allows; none = unknown or revoked.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn ingest_token(&self, token: &str) -> Result<Option<IngestToken>, Error> {
        const WHAT: &str = "look a token of the intake up";
        let query = sql::query("SELECT * FROM ingest_tokens WHERE hash = $1 AND revoked IS NULL");
        let row = query.bind(hash(token).as_slice()).fetch_optional(self.readers()).await;
        row.map_err(doing(WHAT))?.as_ref().map(read).transpose().map_err(doing(WHAT))
    }

    /// Every token, revoked ones too, by pbx and time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn ingest_tokens(&self) -> Result<Vec<IngestToken>, Error> {
        const WHAT: &str = "read the tokens of the intake";
        let query = sql::query("SELECT * FROM ingest_tokens ORDER BY pbx, created, id");
        let rows = query.fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(doing(WHAT))
    }

    /// A token is no longer valid. False = it was not.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn revoke_ingest_token(&self, id: TokenId, now: Timestamp) -> Result<bool, Error> {
        const WHAT: &str = "revoke a token of the intake";
        let mut write = self.begin(WHAT).await?;
        let query = sql::query("UPDATE ingest_tokens SET revoked = $1 WHERE id = $2 AND revoked IS NULL");
        let query = query.bind(now.micros()).bind(id.0);
        let done = query.execute(&mut write).await.map_err(doing(WHAT))?;
        bump(&mut write, Kind::IngestToken, None).await.map_err(doing(WHAT))?;
        write.commit().await.map_err(doing(WHAT))?;
        Ok(done > 0)
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn id_of(hash: &[u8; 32]) -> TokenId {
    let half = hash[..16].try_into().expect("half of 32");
    TokenId(Uuid::from_bytes(half))
}

fn read(row: &Row) -> sqlx::Result<IngestToken> {
    let tenant: Option<&str> = row.try_get("tenant")?;
    Ok(IngestToken {
        id: TokenId(row.uuid("id")?),
        pbx: row.parsed("pbx")?,
        tenant: tenant.map(|_| row.tenant("tenant")).transpose()?,
        name: row.try_get::<&str>("name")?.into(),
        created: row.time("created")?,
        revoked: row.time_if_any("revoked")?,
    })
}
