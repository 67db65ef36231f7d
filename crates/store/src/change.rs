//! Changes of configuration: every write bumps a number by kind and tenant, which other processes look at.

use ringpost_model::TenantKey;

use crate::columns::undecodable;
use crate::error::{Error, doing};
use crate::postgres::locks;
use crate::sql::{self, Row, Sql, Tx};
use crate::store::Store;

/// What kind of thing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A tenant, or its place in the tree.
    Tenant,
    /// A pbx.
    Pbx,
    /// A token of the intake.
    IngestToken,
    /// A trigger.
    Trigger,
    /// A directory of contacts, as a whole.
    Directory,
    /// Single contacts.
    Contact,
    /// Public numbers.
    Number,
    /// Devices.
    Device,
    /// A tariff.
    Tariff,
}

/// Something of this kind was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Of which kind.
    pub kind: Kind,
    /// Of which tenant; none = of no single one.
    pub tenant: Option<TenantKey>,
    /// Higher than that of every earlier change.
    pub seq: u64,
}

/// What a write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was not there.
    Made,
    /// It was another.
    Changed,
    /// It was the same: nothing was written.
    Same,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Tenant,
        Self::Pbx,
        Self::IngestToken,
        Self::Trigger,
        Self::Directory,
        Self::Contact,
        Self::Number,
        Self::Device,
        Self::Tariff,
    ];

    /// Whether it is of what records are enriched from.
    pub const fn is_table(self) -> bool {
        matches!(self, Self::Directory | Self::Contact | Self::Number | Self::Device | Self::Tariff)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Pbx => "pbx",
            Self::IngestToken => "ingest_token",
            Self::Trigger => "trigger",
            Self::Directory => "directory",
            Self::Contact => "contact",
            Self::Number => "number",
            Self::Device => "device",
            Self::Tariff => "tariff",
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown kind of change {0:?}")]
struct UnknownKind(String);

/// A new number each time.
const BUMP: Sql = sql::each(
    "INSERT OR REPLACE INTO changes (kind, tenant) VALUES ($1, $2)",
    "INSERT INTO changes (kind, tenant) VALUES ($1, $2)
        ON CONFLICT (kind, tenant) DO UPDATE SET seq = nextval(pg_get_serial_sequence('changes', 'seq'))",
);

impl Store {
    /// Changes after `seq`, in order: the newest of each kind and tenant. 0 = all that ever was. One that is not
    /// understood, by damage or because a later version wrote it, keeps no other back.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn changes_since(&self, seq: u64) -> Result<Vec<Change>, Error> {
        const WHAT: &str = "read the changes of configuration";
        let query = sql::query("SELECT seq, kind, tenant FROM changes WHERE seq > $1 ORDER BY seq");
        let rows = query.bind(seq as i64).fetch_all(self.readers()).await.map_err(doing(WHAT))?;
        Ok(rows.iter().filter_map(|row| read(row).ok()).collect())
    }
}

fn read(row: &Row) -> sqlx::Result<Change> {
    let (name, tenant): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    let kind = kind.ok_or_else(|| undecodable("kind", UnknownKind(name.to_owned())))?;
    let tenant = if tenant.is_empty() { None } else { Some(TenantKey::new(tenant)) };
    let tenant = tenant.transpose().map_err(|error| undecodable("tenant", error))?;
    Ok(Change { kind, tenant, seq: row.try_get::<i64>(0)? as u64 })
}

/// Notes a change, in the transaction that makes it.
pub(crate) async fn bump(to: &mut Tx, kind: Kind, tenant: Option<&TenantKey>) -> sqlx::Result<()> {
    locks::changes(to).await?;
    let query = sql::query(BUMP).bind(kind.name()).bind(tenant.map_or("", TenantKey::as_str));
    query.execute(to).await?;
    Ok(())
}
