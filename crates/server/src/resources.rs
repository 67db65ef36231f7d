//! Tenants, platforms and triggers as files: what `ringpost apply` reads (docs/apply.md).
//!
//! Reading finds every mistake of every file and says where it stands. Nothing here touches the store: what
//! differs from it is `commands::apply`'s business.

use std::fmt;
use std::path::PathBuf;

mod check;
mod fields;
mod folder;
mod json_text;
mod kinds;
mod node;
mod toml_text;

#[cfg(test)]
mod tests;

pub(crate) use check::{Known, check};
pub(crate) use fields::Reading;
pub(crate) use folder::{Files, document, read, read_folder};
pub use kinds::tenant_id;
#[cfg(test)]
pub(crate) use kinds::trigger_id;
pub(crate) use kinds::{TriggerNode, filters_of, trigger_nodes};

use ringpost_model::{Pbx, Tenant, TenantKey, Text, Trigger};

use crate::config::Mistake;
#[cfg(test)]
pub(crate) use json_text::parse as json_parse;
pub(crate) use node::Node;

/// One resource and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Declared<T> {
    pub(crate) what: T,
    pub(crate) file: PathBuf,
    /// As written, for the places of its parts.
    pub(crate) node: Node,
}

/// A platform with the tokens that its legs come with.
#[derive(Debug, Clone)]
pub(crate) struct PbxWithTokens {
    pub(crate) pbx: Pbx,
    pub(crate) tokens: Vec<Token>,
}

/// A token of the intake.
#[derive(Clone)]
pub(crate) struct Token {
    /// Secret.
    pub(crate) token: String,
    /// Whose legs it may send, on a platform of several tenants.
    pub(crate) tenant: Option<TenantKey>,
    /// For people.
    pub(crate) name: Text,
}

/// Never prints the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?})", self.name)
    }
}

/// A trigger and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct OwnedTrigger {
    pub(crate) owner: TenantKey,
    pub(crate) trigger: Trigger,
}

/// All that the files say.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    pub(crate) tenants: Vec<Declared<Tenant>>,
    pub(crate) pbxs: Vec<Declared<PbxWithTokens>>,
    pub(crate) triggers: Vec<Declared<OwnedTrigger>>,
}

/// What was read, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) resources: Resources,
    pub(crate) mistakes: Vec<Mistake>,
}
