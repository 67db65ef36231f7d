//! Who may write legs: tokens of pbxs, and the tenants that each pbx may speak for
//! (architecture.md, Tenants and switches).

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use chrono_tz::Tz;
use ringpost_ingest::Source;
use ringpost_model::{Dialect, PbxKey, SideRules, TenantKey};
use sha2::{Digest, Sha256};

use crate::intake::Refusal;

/// The reseller tree is a few levels deep; a chain longer than this is a circle in the configuration.
const TREE_LEVELS: usize = 32;

/// The first half of a token's SHA-256: all that is needed of one. Tokens are long random texts, so no salt and no
/// slow hash is needed, and 128 bits are more than anybody finds a second text for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 16]);

impl TokenHash {
    /// Of the token as sent.
    pub fn of(token: &str) -> Self {
        let whole: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut half = [0; 16];
        half.copy_from_slice(&whole[..16]);
        Self(half)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// One pbx and who may write for it.
#[derive(Debug, Clone)]
pub struct PbxAccess {
    /// What it speaks.
    pub dialect: Dialect,
    /// Its one tenant; none = it serves several.
    pub tenant: Option<TenantKey>,
    /// Its zone: that of times without an offset.
    pub zone: Option<Tz>,
    /// Who is behind a carrier, where its messages do not say.
    pub sides: Arc<SideRules>,
    /// Its ingest tokens, each with the tenant that it is limited to, if it is.
    pub tokens: Vec<(TokenHash, Option<TenantKey>)>,
}

/// Everything needed to judge a request, as configured at one moment.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Every pbx.
    pub pbxs: HashMap<PbxKey, PbxAccess>,
    /// Every tenant with the one above it.
    pub tenants: HashMap<TenantKey, Option<TenantKey>>,
}

/// Why a request may not write. The same words for an unknown pbx and a wrong token: neither is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is not one of this pbx's")]
pub struct Denied;

/// What a request may write.
#[derive(Debug, Clone)]
pub struct Grant {
    /// For which pbx.
    pub pbx: PbxKey,
    /// In which dialect.
    pub dialect: Dialect,
    /// For which tenant, and those below it; none = for any.
    pub tenant: Option<TenantKey>,
    /// Zone of times without an offset; none = UTC.
    pub zone: Option<Tz>,
    /// Who is behind a carrier, where messages do not say.
    pub sides: Arc<SideRules>,
}

impl Grant {
    /// What messages that come under it are read with. How they came is the caller's to add.
    pub fn source(&self) -> Source<'_> {
        Source {
            tenant: self.tenant.clone(),
            pbx: Some(self.pbx.clone()),
            zone: self.zone,
            sides: &self.sides,
            ..Source::default()
        }
    }
}

/// How a leg's tenant is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Allowed,
    Forbidden,
    Unknown,
}

impl Access {
    /// What the bearer of a token may write for a pbx.
    ///
    /// # Errors
    /// No such pbx, or no such token of it.
    pub fn grant(&self, pbx: &str, token: &str) -> Result<Grant, Denied> {
        let key = PbxKey::new(pbx).map_err(|_| Denied)?;
        let found = self.pbxs.get(&key).ok_or(Denied)?;
        // Hashes are compared, not tokens: how long it takes says nothing about a token.
        let hash = TokenHash::of(token);
        let (_, limit) = found.tokens.iter().find(|(known, _)| *known == hash).ok_or(Denied)?;
        let tenant = limit.clone().or_else(|| found.tenant.clone());
        let sides = Arc::clone(&found.sides);
        Ok(Grant { pbx: key, dialect: found.dialect, tenant, zone: found.zone, sides })
    }

    /// What an input may write that the operator of this machine has named in its configuration, and that so needs no
    /// token: as its pbx, for the tenant named there, else the pbx's. A pbx that nobody has declared is taken at its
    /// word: on a fresh installation nothing is.
    pub fn grant_input(&self, pbx: &PbxKey, tenant: Option<&TenantKey>, dialect: Option<Dialect>) -> Grant {
        let found = self.pbxs.get(pbx);
        Grant {
            pbx: pbx.clone(),
            dialect: dialect.or(found.map(|found| found.dialect)).unwrap_or_default(),
            tenant: tenant.cloned().or_else(|| found?.tenant.clone()),
            zone: found.and_then(|found| found.zone),
            sides: found.map(|found| Arc::clone(&found.sides)).unwrap_or_default(),
        }
    }

    /// A grant for one of the tenants that another one is for, which something beside the messages has named.
    ///
    /// # Errors
    /// That one may not speak for this tenant, or nobody knows it.
    pub fn narrow(&self, grant: &Grant, tenant: &TenantKey) -> Result<Grant, Refusal> {
        match Refusal::of("record", grant, tenant, self.standing(grant, tenant)) {
            None => Ok(Grant { tenant: Some(tenant.clone()), ..grant.clone() }),
            Some(refusal) => Err(refusal),
        }
    }

    /// Whether a leg of this tenant may be written under a grant. An installation without any tenant takes
    /// every name: it makes its tenant at the first leg.
    pub(crate) fn standing(&self, grant: &Grant, tenant: &TenantKey) -> Standing {
        if self.tenants.is_empty() {
            return Standing::Allowed;
        }
        let is_known = self.tenants.contains_key(tenant);
        match &grant.tenant {
            Some(owner) if !self.is_below(tenant, owner) => Standing::Forbidden,
            _ if is_known => Standing::Allowed,
            _ => Standing::Unknown,
        }
    }

    fn is_below(&self, tenant: &TenantKey, above: &TenantKey) -> bool {
        let mut seen = HashSet::new();
        let mut at = Some(tenant);
        while let Some(key) = at {
            if key == above {
                return true;
            }
            if seen.len() == TREE_LEVELS || !seen.insert(key) {
                return false;
            }
            at = self.tenants.get(key).and_then(Option::as_ref);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(key: &str) -> TenantKey {
        TenantKey::new(key).unwrap()
    }

    fn access() -> Access {
        let pbx = |owner: Option<&str>| PbxAccess {
            dialect: Dialect::Native,
            tenant: owner.map(tenant),
            zone: None,
            sides: Arc::default(),
            tokens: vec![(TokenHash::of("secret"), None), (TokenHash::of("rivals"), Some(tenant("rival")))],
        };
        let pbxs = HashMap::from([
            (PbxKey::new("k1").unwrap(), pbx(Some("reseller"))),
            (PbxKey::new("multi").unwrap(), pbx(None)),
        ]);
        let tenants = HashMap::from([
            (tenant("reseller"), None),
            (tenant("acme"), Some(tenant("reseller"))),
            (tenant("rival"), None),
        ]);
        Access { pbxs, tenants }
    }

    #[track_caller]
    fn check(pbx: &str, leg_tenant: &str, expected: Standing) {
        let access = access();
        let grant = access.grant(pbx, "secret").unwrap();
        assert_eq!(access.standing(&grant, &tenant(leg_tenant)), expected);
    }

    #[test]
    fn a_pbx_speaks_for_its_tenant_and_those_below_and_for_nobody_else() {
        check("k1", "reseller", Standing::Allowed);
        check("k1", "acme", Standing::Allowed);
        check("k1", "rival", Standing::Forbidden);
        check("k1", "nobody", Standing::Forbidden);
        check("multi", "rival", Standing::Allowed);
        check("multi", "nobody", Standing::Unknown);
    }

    #[test]
    fn a_token_can_be_limited_to_one_tenant_of_a_shared_pbx() {
        let access = access();
        let grant = access.grant("multi", "rivals").unwrap();
        assert_eq!(access.standing(&grant, &tenant("rival")), Standing::Allowed);
        assert_eq!(access.standing(&grant, &tenant("acme")), Standing::Forbidden);
    }

    #[test]
    fn an_input_of_the_configuration_writes_as_its_pbx_and_for_the_tenant_named_there() {
        let access = access();
        let grant = |pbx: &str, named: Option<&str>, dialect| {
            let (pbx, named) = (PbxKey::new(pbx).unwrap(), named.map(tenant));
            let grant = access.grant_input(&pbx, named.as_ref(), dialect);
            (grant.dialect, grant.tenant.map(|tenant| tenant.to_string()).unwrap_or_default())
        };
        assert_eq!(grant("k1", None, None), (Dialect::Native, "reseller".to_owned()));
        assert_eq!(grant("k1", Some("acme"), None), (Dialect::Native, "acme".to_owned()));
        let other = Some(Dialect::FreeswitchCdr);
        assert_eq!(grant("multi", None, other), (Dialect::FreeswitchCdr, String::new()));
        assert_eq!(grant("undeclared", None, other), (Dialect::FreeswitchCdr, String::new()));
    }

    #[test]
    fn a_wrong_token_and_an_unknown_pbx_get_the_same_answer() {
        assert!(access().grant("k1", "guess").is_err());
        assert!(access().grant("k2", "secret").is_err());
        assert!(access().grant("", "secret").is_err());
    }

    #[test]
    fn no_token_is_ever_printed() {
        assert!(!format!("{:?}", access()).contains("secret"));
    }
}
