//! What the configuration says of a tenant's pbx, ready to use.

use std::sync::Arc;

use crate::hash::Map;
use chrono_tz::Tz;
use ringpost_model::{Pbx, PbxKey, Tenant, TenantKey, Text, Thresholds};
use ringpost_numbers::{InvalidRegion, Region};

/// How the records of one tenant on one pbx are made.
#[derive(Debug, Clone, Default)]
pub struct PbxSettings {
    /// Printed as `pbxId`; empty = the key of the legs.
    pub pbx_id: Text,
    /// Printed as `pbxName`.
    pub pbx_name: Text,
    /// Zone where no leg says.
    pub pbx_zone: Option<Tz>,
    /// Zone where the pbx does not say either.
    pub tenant_zone: Option<Tz>,
    /// Region in which numbers are read; none = they stay as received.
    pub region: Option<Region>,
    /// Borders of `aban` and `short`.
    pub thresholds: Thresholds,
    /// Live sessions that the tenant may have, on all its pbxs; none = as configured for all.
    pub max_live: Option<usize>,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the region of {what} {key:?}; correct it in the configuration")]
pub struct SettingsError {
    what: &'static str,
    key: String,
    #[source]
    source: InvalidRegion,
}

/// Settings of every configured tenant and pbx, with a default for unknown ones.
///
/// A leg's pbx is looked up by its key: first as the tenant's own, then as one of the nearest tenant above, then
/// as one that serves several tenants. Zone, region and thresholds of the tenant are those of the leg's tenant.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    tenants: Map<TenantKey, OfTenant>,
    pbxs: Map<(Option<TenantKey>, PbxKey), OfPbx>,
    /// For tenants that are not configured.
    pub default: PbxSettings,
}

#[derive(Debug, Clone)]
struct OfTenant {
    parent: Option<TenantKey>,
    zone: Option<Tz>,
    region: Option<Region>,
    thresholds: Thresholds,
    max_live: Option<usize>,
}

#[derive(Debug, Clone)]
struct OfPbx {
    id: Text,
    name: Text,
    zone: Option<Tz>,
    region: Option<Region>,
}

impl Settings {
    /// From what is configured.
    ///
    /// # Errors
    /// A region that has no numbering plan.
    pub fn new(tenants: &[Tenant], pbxs: &[Pbx]) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        for tenant in tenants {
            let of_tenant = OfTenant {
                parent: tenant.parent.clone(),
                zone: tenant.zone,
                region: region("tenant", tenant.key.as_str(), &tenant.region)?,
                thresholds: tenant.thresholds,
                max_live: tenant.limits.max_live.map(|most| most as usize),
            };
            settings.tenants.insert(tenant.key.clone(), of_tenant);
        }
        for pbx in pbxs {
            let of_pbx = OfPbx {
                id: pbx.guid.clone(),
                name: pbx.name.clone(),
                zone: pbx.zone,
                region: region("pbx", pbx.key.as_str(), &pbx.region)?,
            };
            settings.pbxs.insert((pbx.tenant.clone(), pbx.key.clone()), of_pbx);
        }
        Ok(settings)
    }

    /// Settings for the legs of a tenant on a pbx.
    pub fn resolve(&self, tenant: &TenantKey, pbx: &PbxKey) -> Arc<PbxSettings> {
        let mut resolved = self.default.clone();
        resolved.region = self.region(tenant, pbx);
        if let Some(of_tenant) = self.tenants.get(tenant) {
            resolved.tenant_zone = of_tenant.zone;
            resolved.thresholds = of_tenant.thresholds;
            resolved.max_live = of_tenant.max_live;
        }
        if let Some(of_pbx) = self.find(tenant, pbx) {
            resolved.pbx_id.clone_from(&of_pbx.id);
            resolved.pbx_name.clone_from(&of_pbx.name);
            resolved.pbx_zone = of_pbx.zone;
        }
        Arc::new(resolved)
    }

    /// The region in which the numbers of a tenant on a pbx are read; none = they stay as received.
    pub fn region(&self, tenant: &TenantKey, pbx: &PbxKey) -> Option<Region> {
        let of_tenant = || self.tenants.get(tenant).map_or(self.default.region, |of_tenant| of_tenant.region);
        self.find(tenant, pbx).and_then(|of_pbx| of_pbx.region).or_else(of_tenant)
    }

    fn find(&self, tenant: &TenantKey, pbx: &PbxKey) -> Option<&OfPbx> {
        let mut owner = Some(tenant);
        // A circle in the tree, which the store refuses, must not hang the stream.
        for _ in 0..=self.tenants.len() {
            let Some(key) = owner else { break };
            if let Some(found) = self.pbxs.get(&(Some(key.clone()), pbx.clone())) {
                return Some(found);
            }
            owner = self.tenants.get(key).and_then(|of_tenant| of_tenant.parent.as_ref());
        }
        self.pbxs.get(&(None, pbx.clone()))
    }
}

fn region(what: &'static str, key: &str, text: &str) -> Result<Option<Region>, SettingsError> {
    if text.is_empty() {
        return Ok(None);
    }
    let region = Region::new(text);
    region.map(Some).map_err(|source| SettingsError { what, key: key.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use ringpost_model::{Dialect, TenantId};

    use super::*;

    fn tenant(key: &str, parent: Option<&str>, region: &str) -> Tenant {
        Tenant {
            parent: parent.map(|parent| TenantKey::new(parent).unwrap()),
            zone: Some(Tz::Europe__London),
            region: region.into(),
            thresholds: Thresholds { short_ring: 7, short_talk: 8 },
            ..Tenant::new(TenantId(uuid::Uuid::nil()), TenantKey::new(key).unwrap())
        }
    }

    fn pbx(key: &str, owner: Option<&str>, region: &str) -> Pbx {
        Pbx {
            key: PbxKey::new(key).unwrap(),
            guid: format!("{}-{key}", owner.unwrap_or("multi")).into(),
            name: "".into(),
            tenant: owner.map(|owner| TenantKey::new(owner).unwrap()),
            zone: Some(Tz::Europe__Paris),
            region: region.into(),
            dialect: Dialect::Native,
            environment: "".into(),
            sides: Default::default(),
        }
    }

    fn resolved(tenant: &str, pbx_key: &str) -> String {
        let tenants = [self::tenant("reseller", None, "GB"), self::tenant("shop", Some("reseller"), "US")];
        let pbxs =
            [pbx("own", Some("shop"), "FR"), pbx("above", Some("reseller"), ""), pbx("shared", None, "")];
        let settings = Settings::new(&tenants, &pbxs).unwrap();
        let found = settings.resolve(&TenantKey::new(tenant).unwrap(), &PbxKey::new(pbx_key).unwrap());
        let region = found.region.map(|region| region.to_string()).unwrap_or_default();
        format!("{} {region} {}", found.pbx_id, found.thresholds.short_ring)
    }

    #[test]
    fn a_pbx_is_the_tenants_own_or_the_resellers_or_everybodys() {
        assert_eq!(resolved("shop", "own"), "shop-own FR 7");
        assert_eq!(resolved("shop", "above"), "reseller-above US 7");
        assert_eq!(resolved("shop", "shared"), "multi-shared US 7");
        assert_eq!(resolved("reseller", "own"), " GB 7", "not the pbx of a tenant below");
        assert_eq!(resolved("stranger", "shared"), "multi-shared  5");
        assert_eq!(resolved("stranger", "own"), "  5");
    }

    #[test]
    fn a_wrong_region_names_what_to_correct() {
        let error = Settings::new(&[tenant("shop", None, "XX")], &[]).unwrap_err();
        assert_eq!(error.to_string(), r#"read the region of tenant "shop"; correct it in the configuration"#);
    }
}
