//! A trigger with what is the same in all of its requests, worked out at the first of them. Pure.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use http::Uri;
use ringpost_model::{TenantId, Trigger};
use url::Url;

use crate::headers::Head;
use crate::lane::LaneKey;
use crate::masked::{Secrets, shown};
use crate::render::parse_url;
use crate::request::Unsendable;

/// A trigger, ready to fire. Reads as the [`Trigger`] that it is; one that is changed is another.
pub struct ReadyTrigger {
    owner: TenantId,
    trigger: Trigger,
    lane: OnceLock<LaneKey>,
    fixed: OnceLock<Fixed>,
}

/// What no request of the trigger changes.
pub(crate) struct Fixed {
    /// Where it goes: no user info, no fragment.
    pub(crate) url: Arc<Url>,
    /// The same as HTTP carries it.
    pub(crate) uri: Option<Uri>,
    /// The same, as it may be shown.
    pub(crate) shown: Arc<str>,
    pub(crate) head: Head,
    pub(crate) secrets: Secrets,
}

impl ReadyTrigger {
    /// A trigger of this tenant. Nothing is worked out yet: many never fire.
    pub fn new(owner: TenantId, trigger: Trigger) -> Self {
        Self { owner, trigger, lane: OnceLock::new(), fixed: OnceLock::new() }
    }

    /// The tenant whose it is.
    pub fn owner(&self) -> TenantId {
        self.owner
    }

    /// The lane of its requests.
    pub fn lane(&self) -> &LaneKey {
        self.lane.get_or_init(|| LaneKey::of(self.owner, &self.trigger.url))
    }

    /// A mistake in it is not kept: it is found again by the next request, which is the rare case.
    pub(crate) fn fixed(&self) -> Result<&Fixed, Unsendable> {
        if let Some(fixed) = self.fixed.get() {
            return Ok(fixed);
        }
        let url = parse_url(&self.trigger.url)?;
        let head = Head::of(self.owner, &self.trigger)?;
        let shown = shown(&url).into();
        let secrets = Secrets::of(&self.trigger);
        let uri = url.as_str().parse().ok();
        Ok(self.fixed.get_or_init(|| Fixed { url: Arc::new(url), uri, shown, head, secrets }))
    }
}

impl Deref for ReadyTrigger {
    type Target = Trigger;

    fn deref(&self) -> &Trigger {
        &self.trigger
    }
}

/// As the trigger, which shows no secret.
impl fmt::Debug for ReadyTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trigger.fmt(f)
    }
}

#[cfg(test)]
mod tests;
