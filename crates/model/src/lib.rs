//! The words that all stages share: ids, legs, records, envelopes, triggers, deliveries, units.
//!
//! Values are valid by construction: what is parsed here needs no second check inside. This crate does no
//! IO, reads no clock, and holds no rule of any stage. An empty text says nothing and is never stored as
//! "present but empty".

mod call_event;
mod cdr;
mod command;
mod delivery;
mod dialect;
mod envelope;
mod id;
mod lane;
mod leg;
mod leg_record;
mod notice;
mod side_rules;
mod switch_notice;
mod table;
mod tenant;
mod time;
mod trigger;

pub use call_event::{CallEvent, CallEventKind};
pub use cdr::{CallDirection, CallType, Cdr, Cli, DirectoryMatch, Faces, Rate};
pub use command::{Command, CommandError, Wanted};
pub use delivery::{Delivery, DeliveryId};
pub use dialect::Dialect;
pub use envelope::{Context, Envelope, EnvelopeError, Reason, State, Stretch};
pub use id::{AttemptId, InvalidKey, LegId, PbxKey, SessionId, TenantId, TenantKey, TriggerId};
pub use lane::{Breaker, LaneId, Run};
pub use leg::{
    Bridge, Fields, Hold, Leg, LegDirection, NumberName, Park, Rating, Route, Service, ServiceStay, Side,
};
pub use leg_record::{EventReport, LegEvent, LegRecord, LegReport, Report};
pub use notice::{Notice, NoticeId};
pub use side_rules::{PartyNames, SideRules};
pub use switch_notice::{SwitchEvent, SwitchNotice};
pub use table::{
    Contact, ContactField, Device, Directory, PriceList, PublicNumber, RoundingMode, TariffDirection,
};
pub use tenant::{Limits, Pbx, Tenant, Thresholds};
pub use time::{InvalidTime, Timestamp};
pub use trigger::{
    Auth, AutoDisable, EventName, Filter, Format, Method, Payload, RetryOn, Revisions, Success, Trigger,
    WhileDown,
};

/// A text where empty means absent. One word less than a `String`, and never grown.
pub type Text = Box<str>;
