//! The companies whose calls are told: tenants, their platforms, desks and numbers. All numbers are from ranges
//! kept for fiction.

use chrono_tz::Tz;
use ringpost_model::{NumberName, Text};

use crate::dice::Dice;

/// How a platform ties the legs of one call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ties {
    /// One interaction id on all.
    Shared,
    /// Each leg names the one that brought it about.
    Parent,
    /// The interaction id changes when a call is handed on.
    Renamed,
}

/// What a platform knows of a desk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// The device only.
    Device,
    /// Device and user.
    User,
    /// Device, user and agent.
    Agent,
}

/// One platform of one company.
pub(crate) struct Pbx {
    pub(crate) tenant: &'static str,
    pub(crate) key: &'static str,
    /// Zone that it writes on its legs.
    pub(crate) zone: Option<Tz>,
    pub(crate) ties: Ties,
    pub(crate) detail: Detail,
    /// Public numbers, without their last two digits.
    pub(crate) trunk: &'static str,
    /// It writes times as text with its own offset, not as numbers.
    pub(crate) writes_text_times: bool,
    /// Desks `first..first + 40`.
    pub(crate) first_desk: u64,
}

/// Companies of different size, place and switch; two with several platforms.
pub(crate) const PBXS: [Pbx; 8] = [
    Pbx {
        tenant: "acme",
        key: "k1",
        zone: Some(Tz::Europe__London),
        ties: Ties::Shared,
        detail: Detail::Agent,
        trunk: "+4416149600",
        writes_text_times: false,
        first_desk: 200,
    },
    Pbx {
        tenant: "acme",
        key: "k2",
        zone: None,
        ties: Ties::Parent,
        detail: Detail::User,
        trunk: "+4416149601",
        writes_text_times: true,
        first_desk: 300,
    },
    Pbx {
        tenant: "globex",
        key: "berlin-1",
        zone: Some(Tz::Europe__Berlin),
        ties: Ties::Renamed,
        detail: Detail::Agent,
        trunk: "+49302312510",
        writes_text_times: true,
        first_desk: 10,
    },
    Pbx {
        tenant: "initech",
        key: "us-east",
        zone: Some(Tz::America__New_York),
        ties: Ties::Shared,
        detail: Detail::User,
        trunk: "+121255501",
        writes_text_times: false,
        first_desk: 1000,
    },
    Pbx {
        tenant: "initech",
        key: "us-west",
        zone: Some(Tz::America__Los_Angeles),
        ties: Ties::Parent,
        detail: Detail::Device,
        trunk: "+141555501",
        writes_text_times: false,
        first_desk: 2000,
    },
    Pbx {
        tenant: "umbrella",
        key: "pune",
        zone: Some(Tz::Asia__Kolkata),
        ties: Ties::Renamed,
        detail: Detail::Agent,
        trunk: "+9120555010",
        writes_text_times: false,
        first_desk: 500,
    },
    Pbx {
        tenant: "hooli",
        key: "main",
        zone: None,
        ties: Ties::Shared,
        detail: Detail::Agent,
        trunk: "+4420794600",
        writes_text_times: false,
        first_desk: 7000,
    },
    Pbx {
        tenant: "wayne.au_1",
        key: "lord-howe",
        zone: Some(Tz::Australia__Lord_Howe),
        ties: Ties::Parent,
        detail: Detail::Agent,
        trunk: "+6125550101",
        writes_text_times: true,
        first_desk: 40,
    },
];

const NAMES: [&str; 12] = [
    "Caller One",
    "Ann \"Annie\" O'Neill",
    "Zoë Müller",
    "",
    "José Álvarez",
    "D. Smith\\Sons",
    "Łukasz Żak",
    "山田 太郎",
    "Front Desk",
    "",
    "Bell & Co",
    "Åsa Öberg",
];

const GROUPS: [&str; 5] = ["Sales", "Support", "Night Service", "Büro Süd", "Billing"];

/// A phone on a desk, and who sits there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Desk(u64);

impl Desk {
    pub(crate) fn number(self) -> Text {
        self.0.to_string().into()
    }

    pub(crate) fn party(self) -> NumberName {
        NumberName { number: self.number(), name: format!("User {}", self.0).into() }
    }

    pub(crate) fn device(self) -> NumberName {
        NumberName { number: format!("dev{}", self.0).into(), name: format!("Desk {}", self.0).into() }
    }

    pub(crate) fn user(self) -> NumberName {
        self.party()
    }

    pub(crate) fn agent(self) -> NumberName {
        NumberName { number: format!("9{}", self.0).into(), name: format!("Agent {}", self.0).into() }
    }
}

impl Pbx {
    pub(crate) fn desk(&self, dice: &mut Dice) -> Desk {
        Desk(self.first_desk + dice.below(40))
    }

    /// The desk with this number.
    pub(crate) fn desk_of(&self, number: &str) -> Option<Desk> {
        number
            .parse()
            .ok()
            .filter(|number| (self.first_desk..self.first_desk + 40).contains(number))
            .map(Desk)
    }

    /// So many different desks.
    pub(crate) fn desks(&self, dice: &mut Dice, count: u64) -> Vec<Desk> {
        let first = dice.below(40);
        let step = *dice.pick(&[1, 3, 7, 9, 11]);
        (0..count).map(|turn| Desk(self.first_desk + (first + turn * step) % 40)).collect()
    }

    /// One of the company's public numbers.
    pub(crate) fn public_number(&self, dice: &mut Dice) -> Text {
        format!("{}{:02}", self.trunk, dice.below(30)).into()
    }
}

/// Somebody outside.
pub(crate) fn outsider(dice: &mut Dice) -> NumberName {
    let number = match dice.below(20) {
        0 => "anonymous".to_owned(),
        1..=8 => format!("+441632960{:03}", dice.below(1_000)),
        9..=14 => format!("+447700900{:03}", dice.below(1_000)),
        _ => format!("+1{}55501{:02}", dice.pick(&[202, 212, 416, 650]), dice.below(100)),
    };
    NumberName { number: number.into(), name: (*dice.pick(&NAMES)).into() }
}

/// Somebody outside who can be called.
pub(crate) fn reachable(dice: &mut Dice) -> NumberName {
    loop {
        let party = outsider(dice);
        if party.number.starts_with('+') {
            return party;
        }
    }
}

pub(crate) fn group(dice: &mut Dice) -> Text {
    (*dice.pick(&GROUPS)).into()
}
