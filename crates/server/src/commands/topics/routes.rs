//! Where each entry of the kept state belongs when there is another number of partitions. No IO.

use bytes::Bytes;
use ringpost_bus::{Partition, Route, Router, To, partition_of};
use ringpost_session::{Kind, stream_time, stream_time_entry, whose};

use crate::serve::aggregate::held;
use crate::topics::{SESSIONS, SOURCES};

const FILES: &str = "files read";
const HELD: &str = "records that wait for tables";
const TIME: &str = "time of the stream";

/// From so many partitions to so many.
#[derive(Debug)]
pub(super) struct Routes {
    from: u32,
    to: u32,
    /// The least of the partitions' times. A partition that is behind has calls whose legs are still to be read: with the
    /// time of another one they would close before.
    time: Option<i64>,
}

impl Routes {
    pub(super) fn new(from: u32, to: u32) -> Self {
        Self { from, to, time: None }
    }

    /// State goes where its tenant's legs go.
    fn of_tenant(&self, tenant: &str) -> To {
        To::One(partition_of(tenant.as_bytes(), self.to))
    }

    fn session(&mut self, from: Partition, key: &[u8], value: &[u8]) -> Result<Route, String> {
        let kind = kind_of(key).ok_or_else(|| unknown(key))?;
        let same = |to| Route { kind, key: Bytes::copy_from_slice(key), to };
        if held::is_held(key) {
            let moved = held::moved(key, value, from, self.from);
            let (tenant, key) = moved.map_err(|error| format!("{error:#}"))?;
            return Ok(Route { kind, key, to: self.of_tenant(tenant.as_str()) });
        }
        let whose = whose(key).ok_or_else(|| unknown(key))?;
        if whose.kind == Kind::Time {
            let time = stream_time(value).ok_or_else(|| unknown(key))?;
            self.time = Some(self.time.map_or(time, |least| least.min(time)));
            return Ok(same(To::Nowhere));
        }
        // What names nobody means nothing to tenants that it is not of.
        Ok(same(whose.tenant.map_or(To::All, |tenant| self.of_tenant(tenant))))
    }
}

impl Router for Routes {
    fn route(&mut self, topic: &str, from: Partition, key: &[u8], value: &[u8]) -> Result<Route, String> {
        if topic == SESSIONS {
            return self.session(from, key, value);
        }
        // It names an instance, which reads all partitions.
        let to = To::One(Partition(from.0 % self.to));
        Ok(Route { kind: FILES, key: Bytes::copy_from_slice(key), to })
    }

    fn kind(&self, topic: &str, key: &[u8]) -> &'static str {
        if topic == SOURCES { FILES } else { kind_of(key).unwrap_or("unknown") }
    }

    fn rest(&mut self, topic: &str) -> Vec<(Route, Bytes)> {
        let time = self.time.filter(|_| topic == SESSIONS);
        let entry = time.map(|time| {
            let (key, value) = stream_time_entry(time);
            (Route { kind: TIME, key: key.into(), to: To::All }, value.into())
        });
        entry.into_iter().collect()
    }
}

fn kind_of(key: &[u8]) -> Option<&'static str> {
    if held::is_held(key) {
        return Some(HELD);
    }
    Some(match whose(key)?.kind {
        Kind::Session => "sessions",
        Kind::Stub => "stubs of closed sessions",
        Kind::Revision => "revisions given",
        Kind::Time => TIME,
    })
}

fn unknown(key: &[u8]) -> String {
    let shown = String::from_utf8_lossy(key);
    format!(
        "this version does not know what {shown:?} is; use the version that wrote it, and nothing is lost"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of an entry of partition 2, from 4 partitions to 7.
    fn check(key: &[u8], value: &[u8], expected: &str) {
        let mut routes = Routes::new(4, 7);
        let told = match routes.route(SESSIONS, Partition(2), key, value) {
            Ok(Route { kind, key: there, to }) => {
                let same = if there == key { "as it is".to_owned() } else { format!("{there:?}") };
                format!("{kind}: {same} to {to:?}")
            }
            Err(why) => why,
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn what_names_a_tenant_goes_where_the_tenants_legs_go() {
        let acme = partition_of(b"acme", 7);
        assert_ne!(acme, partition_of(b"globex", 7), "or the test shows nothing");
        check(b"s\x1facme\x1fk1\x1fleg", b"x", &format!("sessions: as it is to One({acme:?})"));
        let stub = format!("stubs of closed sessions: as it is to One({acme:?})");
        check(b"d0123456789abcdefacme", b"x", &stub);
        let given = format!("revisions given: as it is to One({acme:?})");
        check(b"r0123456789abcdefacme", b"x", &given);
        let globex = partition_of(b"globex", 7);
        check(b"s\x1fglobex\x1fk1\x1fleg", b"x", &format!("sessions: as it is to One({globex:?})"));
    }

    #[test]
    fn what_an_older_version_wrote_without_a_tenant_goes_everywhere() {
        check(b"d0123456789abcdef", b"x", "stubs of closed sessions: as it is to All");
        check(b"r0123456789abcdef", b"x", "revisions given: as it is to All");
    }

    #[test]
    fn records_that_wait_go_to_their_tenant_under_keys_of_which_no_two_are_the_same() {
        let mut keys = Vec::new();
        for (from, number) in [(0_u32, 0_u64), (1, 0), (3, 0), (0, 1), (3, 1), (1, 900)] {
            let key = [&b"h"[..], &number.to_be_bytes()].concat();
            let route = Routes::new(4, 7).route(SESSIONS, Partition(from), &key, &waiting()).unwrap();
            assert_eq!((route.kind, route.to), (HELD, To::One(partition_of(b"acme", 7))));
            keys.push((from, route.key));
        }
        let of = |from| keys.iter().filter(move |(at, _)| *at == from).map(|(_, key)| key);
        assert!([0, 1, 3].into_iter().all(|from| of(from).is_sorted()), "the order of a tenant stays");
        let distinct: std::collections::BTreeSet<_> = keys.iter().map(|(_, key)| key).collect();
        assert_eq!(distinct.len(), keys.len());
    }

    /// A record of acme's.
    fn waiting() -> Vec<u8> {
        use ringpost_model::{Cdr, Context, Envelope, PbxKey, SessionId, TenantKey, Timestamp};
        let mut cdr = Cdr::empty(SessionId(uuid::Uuid::nil()));
        let now = Timestamp::from_micros(1_773_133_200_000_000);
        (cdr.start, cdr.end) = (now, now);
        let envelope = Envelope {
            v: 1,
            tenant: TenantKey::new("acme").unwrap(),
            pbx: PbxKey::new("k1").unwrap(),
            session: cdr.id,
            rev: 1,
            emitted: now,
            cdr,
            context: Context::default(),
            legs: Vec::new(),
            timeline: Vec::new(),
            tables: std::collections::BTreeMap::new(),
            cut: Vec::new(),
            quiet: false,
        };
        envelope.to_bytes().unwrap()
    }

    #[test]
    fn what_is_not_known_stops_the_move() {
        for key in [&b"x"[..], b"", b"s", b"h12"] {
            let told = Routes::new(4, 7).route(SESSIONS, Partition(0), key, b"x").unwrap_err();
            assert!(told.contains("does not know") || told.contains("damaged"), "{told}");
        }
    }

    #[test]
    fn every_partition_gets_the_time_of_the_one_that_is_furthest_behind() {
        let mut routes = Routes::new(4, 7);
        assert_eq!(routes.rest(SESSIONS), []);
        for (partition, micros) in [(0, 30), (1, 10), (2, 20)] {
            let (key, value) = stream_time_entry(micros);
            let route = routes.route(SESSIONS, Partition(partition), &key, &value).unwrap();
            assert_eq!(route.to, To::Nowhere);
        }
        let [(Route { to: To::All, .. }, value)] = &routes.rest(SESSIONS)[..] else { panic!("one entry") };
        assert_eq!(stream_time(value), Some(10));
        assert_eq!(routes.rest(SOURCES), []);
    }

    #[test]
    fn how_far_files_were_read_stays_with_the_instance() {
        let mut routes = Routes::new(8, 3);
        let route = routes.route(SOURCES, Partition(4), b"sources\x1fa-0\x1f/f\x1fk", b"x").unwrap();
        assert_eq!(
            route,
            Route { kind: FILES, key: "sources\x1fa-0\x1f/f\x1fk".into(), to: To::One(Partition(1)) }
        );
    }
}
