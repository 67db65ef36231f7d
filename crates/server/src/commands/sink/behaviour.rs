//! How a receiver answers: the flags, and routes such as `/slow=delay:3s,status:500`.

use std::str::FromStr;
use std::time::Duration;

/// One receiver's ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Behaviour {
    pub(crate) status: u16,
    pub(crate) delay: Duration,
    pub(crate) retry_after: Option<u32>,
    pub(crate) fail_every: Option<u32>,
    pub(crate) fail_first: Option<u32>,
    pub(crate) hang: bool,
    pub(crate) endless_body: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            status: 202,
            delay: Duration::ZERO,
            retry_after: None,
            fail_every: None,
            fail_first: None,
            hang: false,
            endless_body: false,
        }
    }
}

impl Behaviour {
    /// `retry-after` without a status, and without a rule of which requests fail, means 429 to everything.
    pub(crate) fn settled(mut self, status_given: bool) -> Self {
        let chooses = self.fail_every.is_some() || self.fail_first.is_some();
        if self.retry_after.is_some() && !status_given && !chooses {
            self.status = 429;
        }
        self
    }

    /// Status of the `number`th request of the route, which is the `attempt`th try of its delivery.
    pub(crate) fn status_of(&self, number: u64, attempt: Option<u32>) -> u16 {
        let every = self.fail_every.is_some_and(|every| number.is_multiple_of(u64::from(every)));
        let first = self.fail_first.is_some_and(|first| attempt.unwrap_or(1) <= first);
        match (every || first, self.retry_after) {
            (false, _) => self.status,
            (true, Some(_)) => 429,
            (true, None) => 500,
        }
    }
}

/// A path with a behaviour of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) path: String,
    pub(crate) behaviour: Behaviour,
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((path, words)) = text.split_once('=').filter(|(path, _)| path.starts_with('/')) else {
            return Err(format!("--route {text}: write PATH=BEHAVIOUR, such as /slow=delay:3s"));
        };
        let mut behaviour = Behaviour::default();
        let mut status_given = false;
        for word in words.split(',') {
            status_given |= word.starts_with("status:") || word == "gone";
            apply(&mut behaviour, word).map_err(|wrong| format!("--route {text}: {wrong}"))?;
        }
        let path = path.trim_end_matches('/').to_owned();
        Ok(Self { path, behaviour: behaviour.settled(status_given) })
    }
}

fn apply(behaviour: &mut Behaviour, word: &str) -> Result<(), String> {
    let (name, value) = word.split_once(':').unwrap_or((word, ""));
    match name {
        "status" => behaviour.status = number(word, value, 200..=599)?,
        "retry-after" => behaviour.retry_after = Some(number(word, value, 0..=u32::MAX)?),
        "fail-every" => behaviour.fail_every = Some(number(word, value, 1..=u32::MAX)?),
        "fail-first" => behaviour.fail_first = Some(number(word, value, 1..=u32::MAX)?),
        "delay" => {
            let delay = humantime::parse_duration(value);
            behaviour.delay = delay.map_err(|_| format!("{word}: write a time such as delay:3s"))?;
        }
        "hang" => behaviour.hang = true,
        "gone" => behaviour.status = 410,
        "endless-body" => behaviour.endless_body = true,
        _ => {
            let known = "status:CODE, delay:TIME, retry-after:SECONDS, fail-every:N, fail-first:N, hang, gone, \
                         endless-body";
            return Err(format!("{word:?} is no behaviour; there are {known}"));
        }
    }
    Ok(())
}

fn number<T>(word: &str, value: &str, range: std::ops::RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let parsed = value.parse().ok().filter(|number| range.contains(number));
    parsed.ok_or_else(|| format!("{word}: write a number from {} to {}", range.start(), range.end()))
}

/// All behaviours of one sink.
#[derive(Debug)]
pub(crate) struct Routes {
    others: Behaviour,
    /// The longest path first.
    routes: Vec<Route>,
}

impl Routes {
    pub(crate) fn new(others: Behaviour, mut routes: Vec<Route>) -> Self {
        routes.sort_by_key(|route| std::cmp::Reverse(route.path.len()));
        Self { others, routes }
    }

    /// Path of the route (empty for all others) and its behaviour.
    pub(crate) fn of(&self, path: &str) -> (&str, &Behaviour) {
        let found = self.routes.iter().find(|route| {
            path.strip_prefix(route.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        found.map_or(("", &self.others), |route| (&route.path, &route.behaviour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        text.parse::<Route>().unwrap_err()
    }

    #[test]
    fn the_longest_path_wins_and_parts_of_a_word_are_no_path() {
        let routes = ["/a=status:500", "/a/b=status:501"].map(|text| text.parse().unwrap());
        let routes = Routes::new(Behaviour::default(), routes.to_vec());
        let status = |path| routes.of(path).1.status;
        assert_eq!([status("/a"), status("/a/b/c"), status("/ab"), status("/")], [500, 501, 202, 202]);
    }

    #[test]
    fn retry_after_alone_is_429_and_with_a_rule_only_what_fails_is() {
        let always: Route = "/x=retry-after:5".parse().unwrap();
        assert_eq!(always.behaviour.status_of(1, None), 429);
        let sometimes: Route = "/x=retry-after:5,fail-every:2".parse().unwrap();
        let statuses = [1, 2, 3, 4].map(|number| sometimes.behaviour.status_of(number, None));
        assert_eq!(statuses, [202, 429, 202, 429]);
        let unavailable: Route = "/x=status:503,retry-after:5".parse().unwrap();
        assert_eq!(unavailable.behaviour.status_of(1, None), 503);
    }

    #[test]
    fn a_mistyped_route_says_what_there_is() {
        assert!(wrong("slow=hang").contains("write PATH=BEHAVIOUR"));
        assert!(wrong("/x=delay:fast").contains("such as delay:3s"));
        assert!(wrong("/x=status:99").contains("from 200 to 599"));
        assert!(wrong("/x=explode").contains("endless-body"));
    }
}
