//! Triggers of all kinds, and what people change about them meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use ringpost_model::{Cdr, Tenant, TenantKey, Trigger, TriggerId};
use uuid::Uuid;

use crate::dice::Dice;
use crate::receiver::{Mood, Moods};

/// A filter, in words of its own: what the pipeline's filters find is compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Every call.
    Always,
    /// Nobody talked with the caller.
    Lost,
    /// Somebody talked.
    Answered,
    /// Longer than so many seconds.
    Longer(u32),
    /// No call: it is told of notices.
    Told,
}

/// A trigger, and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    /// Whose.
    pub tenant: TenantKey,
    /// As it is at the beginning.
    pub trigger: Trigger,
    /// Its filters.
    pub when: When,
    /// It is never switched off, by people or the system: what it should fire it must fire.
    pub is_steady: bool,
}

/// What is changed about a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is paused, or goes on.
    Pause(TriggerId, bool),
    /// It is switched off or on.
    Enable(TriggerId, bool),
    /// It is changed in a way that makes no difference.
    Rename(TriggerId),
}

/// One trigger for every call, with its one retry.
pub(super) fn plain(tenant: &Tenant, host: &str) -> Planned {
    let id = TriggerId(Uuid::from_u128(0x5117_0000_0000_0000_0001));
    let document = format!(r#"{{"id":"{id}","name":"plain","url":"https://{host}/hook/plain","retries":1}}"#);
    let trigger = serde_json::from_str(&document).expect("the document is a trigger");
    Planned { tenant: tenant.key.clone(), trigger, when: When::Always, is_steady: true }
}

impl When {
    /// Whether it holds.
    pub(crate) fn holds(self, cdr: &Cdr) -> bool {
        match self {
            Self::Always => true,
            Self::Lost => cdr.lost,
            Self::Answered => cdr.ans,
            Self::Longer(seconds) => cdr.dur > seconds,
            Self::Told => false,
        }
    }

    fn filters(self) -> String {
        match self {
            Self::Always | Self::Told => String::new(),
            Self::Lost => r#"{"field":"lost","op":"eq","value":true}"#.to_owned(),
            Self::Answered => r#"{"field":"ans","op":"eq","value":true}"#.to_owned(),
            Self::Longer(seconds) => format!(r#"{{"field":"dur","op":"gt","value":{seconds}}}"#),
        }
    }
}

pub(super) fn make_up(tenants: &[Tenant], moods: &BTreeMap<String, Moods>, dice: &mut Dice) -> Vec<Planned> {
    let hosts: Vec<String> = moods.keys().cloned().collect();
    let mut planned = Vec::new();
    for tenant in tenants {
        for _ in 0..dice.between(1, 4) {
            let number = planned.len() as u128 + 1;
            let when = *dice.pick(&[
                When::Always,
                When::Always,
                When::Lost,
                When::Answered,
                When::Longer(60),
                When::Told,
            ]);
            let trigger = trigger(number, when, &hosts, dice);
            let is_gone = |moods: &Moods| moods.iter().any(|(_, mood)| *mood == Mood::Answers(410));
            let is_refused = moods.iter().any(|(host, moods)| trigger.url.contains(host) && is_gone(moods));
            let is_steady = dice.percent(80) && trigger.auto_disable.is_none() && !is_refused;
            planned.push(Planned { tenant: tenant.key.clone(), trigger, when, is_steady });
        }
    }
    planned
}

fn trigger(number: u128, when: When, hosts: &[String], dice: &mut Dice) -> Trigger {
    let id = TriggerId(Uuid::from_u128(0x5117 << 64 | number));
    let path = dice.between(1, 2);
    let url = format!("https://{}/hook/{path}", dice.pick(hosts));
    let revisions = dice.pick(&["first", "all"]);
    let retries = dice.pick(&[0, 1, 1, 3, 10]);
    let mut more = String::new();
    if dice.percent(25) {
        more += r#","whileDown":"fail""#;
    }
    if dice.percent(25) {
        more += &format!(r#","rateLimit":{}"#, dice.pick(&[1, 5, 20]));
    }
    if dice.percent(30) {
        more += r#","includeSubaccounts":true"#;
    }
    if dice.percent(15) {
        more += r#","retryOn":"unanswered""#;
    }
    if dice.percent(15) {
        more += r#","method":"GET""#;
    }
    if dice.percent(10) {
        more += r#","paused":true"#;
    }
    if dice.percent(10) {
        more += r#","autoDisable":{"failures":3,"within":60}"#;
    }
    if when == When::Told {
        let event =
            dice.pick(&["delivery.exhausted", "trigger.failing", "trigger.recovered", "trigger.disabled"]);
        more += &format!(r#","event":"{event}""#);
    }
    let text = format!(
        r#"{{"id":"{id}","name":"T{number}","url":"{url}","filters":[{}],"revisions":"{revisions}",
        "retries":{retries}{more}}}"#,
        when.filters()
    );
    serde_json::from_str(&text).expect("a trigger as people write it")
}

pub(super) fn changes(triggers: &[Planned], span: Duration, dice: &mut Dice) -> Vec<(Duration, Change)> {
    let mut changes = Vec::new();
    for planned in triggers {
        let id = planned.trigger.id;
        if planned.trigger.paused {
            changes.push((at(span, dice), Change::Pause(id, false)));
        } else if dice.percent(20) {
            let begin = at(span, dice);
            changes.push((begin, Change::Pause(id, true)));
            changes.push((begin + Duration::from_secs(dice.between(1, 60)), Change::Pause(id, false)));
        }
        if !planned.is_steady {
            let begin = at(span, dice);
            changes.push((begin, Change::Enable(id, false)));
            if dice.percent(50) {
                changes.push((begin + Duration::from_secs(dice.between(1, 60)), Change::Enable(id, true)));
            }
        }
        if dice.percent(20) {
            changes.push((at(span, dice), Change::Rename(id)));
        }
    }
    changes.sort_by_key(|(at, _)| *at);
    changes
}

fn at(span: Duration, dice: &mut Dice) -> Duration {
    Duration::from_millis(dice.below(span.as_millis() as u64))
}
