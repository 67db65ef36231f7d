//! Which lane a job is of. Pure.

use std::fmt;

use ringpost_model::{LaneId, TenantId};
use url::Url;
use uuid::Uuid;

/// Namespace of lane ids.
const LANE_NAMESPACE: Uuid = Uuid::from_u128(0x8e0b_34a1_9a2f_5c47_b1d6_02f7_6c55_9e21);

/// What a pool of connections is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `https`, or `http`.
    pub scheme: Box<str>,
    /// As the URL standard writes it.
    pub host: Box<str>,
    /// The one connected to.
    pub port: u16,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// A receiver of one tenant. What it does counts for no other lane, on the same host or not.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LaneKey {
    /// The tenant whose trigger it is.
    pub owner: TenantId,
    /// Where it is.
    pub origin: Origin,
    /// Which one there. May be a secret.
    path: Box<str>,
    pub(super) id: LaneId,
}

/// The path is not shown.
impl fmt::Debug for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LaneKey({} {} {})", self.owner, self.origin, self.id())
    }
}

impl LaneKey {
    /// The lane of a trigger's URL. What is no URL has a lane too, where its jobs fail with that reason.
    pub fn of(owner: TenantId, url: &str) -> Self {
        let Ok(url) = Url::parse(url) else {
            let origin = Origin { scheme: "none".into(), host: "".into(), port: 0 };
            return Self::new(owner, origin, "");
        };
        let origin = Origin {
            scheme: url.scheme().into(),
            host: url.host_str().unwrap_or_default().into(),
            port: url.port_or_known_default().unwrap_or_default(),
        };
        Self::new(owner, origin, url.path())
    }

    fn new(owner: TenantId, origin: Origin, path: &str) -> Self {
        let name = format!("{}\n{origin}\n{path}", owner.0);
        let id = LaneId(Uuid::new_v5(&LANE_NAMESPACE, name.as_bytes()));
        Self { owner, origin, path: path.into(), id }
    }

    /// The same in every process, and no secret: for the store's index of debts.
    pub fn id(&self) -> LaneId {
        self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(owner: u128, url: &str) -> LaneId {
        LaneKey::of(TenantId(Uuid::from_u128(owner)), url).id()
    }

    #[test]
    fn a_lane_is_tenant_origin_and_path_and_nothing_else() {
        let one = lane(1, "https://hooks.example/a/b?sig=1");
        assert_eq!(one, lane(1, "HTTPS://user:pass@Hooks.Example:443/a/b?sig=2#x"));
        for other in
            ["http://hooks.example/a/b", "https://hooks.example:444/a/b", "https://hooks.example/a/c"]
        {
            assert_ne!(one, lane(1, other), "{other}");
        }
        assert_ne!(one, lane(2, "https://hooks.example/a/b"), "all Zapier users share one host");
    }

    #[test]
    fn the_id_is_the_same_after_a_restart() {
        assert_eq!(lane(1, "https://hooks.example/a/b").to_string(), "437be78d-5c70-5487-91b0-ecba464e9be3");
    }

    #[test]
    fn a_lane_shows_no_secret_of_its_path() {
        let key = LaneKey::of(TenantId(Uuid::nil()), "https://hooks.example/hooks/s3cret");
        assert!(!format!("{key:?}").contains("s3cret"));
    }
}
