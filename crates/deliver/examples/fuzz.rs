//! Throws mutated URLs at everything that reads one: the check of a trigger, lanes, what is shown, requests, the
//! rules of addresses. `cargo run -p ringpost-deliver --example fuzz -- SECONDS SEED`; the same seed gives the same
//! URLs. They grow out of `urls.txt`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringpost_deliver::{
    AddressRules, Content, Job, LaneKey, ReadyTrigger, RenderError, Tries, Unsendable, request, shown,
    shown_text,
};
use ringpost_model::{
    AttemptId, Cdr, Delivery, DeliveryId, Method, SessionId, TenantId, TenantKey, Timestamp, Trigger,
};
use ringpost_trigger::{Policy, check};
use url::{Host, Url};
use uuid::Uuid;

const SECRET_BYTES: usize = 6;

/// Splitmix64: the same numbers everywhere from one seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides.max(1) as u64).unwrap_or_default()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    /// Half of them are put together of parts of others, the others lose or gain a few characters.
    fn url(&mut self, urls: &[&str]) -> String {
        let text = self.pick(urls).to_owned();
        if self.roll(2) == 0 { self.of_parts(text, urls) } else { self.damaged(text, urls) }
    }

    fn of_parts(&mut self, text: String, urls: &[&str]) -> String {
        let (Ok(mut url), Ok(other)) = (Url::parse(&text), Url::parse(self.pick(urls))) else { return text };
        for _ in 0..1 + self.roll(3) {
            match self.roll(5) {
                0 => url.set_path(other.path()),
                1 => url.set_query(other.query()),
                2 => _ = url.set_host(other.host_str()),
                3 => _ = url.set_port(u16::try_from(self.roll(70_000)).ok()),
                _ => {
                    let more = other.query().unwrap_or("s3cret-value=1").to_owned();
                    let query = url.query().unwrap_or_default().to_owned();
                    url.set_query(Some(&format!("{query}&{more}")));
                }
            }
        }
        url.into()
    }

    fn damaged(&mut self, text: String, urls: &[&str]) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..1 + self.roll(4) {
            let at = self.roll(chars.len());
            match self.roll(5) {
                0 if !chars.is_empty() => _ = chars.remove(at),
                1 => chars.insert(at, self.char()),
                2 if !chars.is_empty() => chars[at] = self.char(),
                3 => chars.truncate(at.max(8)),
                _ => {
                    let other: Vec<char> = self.pick(urls).chars().collect();
                    let from = self.roll(other.len());
                    chars.splice(at..at, other[from..].iter().copied());
                }
            }
        }
        chars.into_iter().collect()
    }

    fn char(&mut self) -> char {
        const SIGNS: &str = "/?#[]@!$&'()*+,;=:%.-_~ \\\"<>^`{|}\t\n\r\0xX09é。１\u{202e}\u{ad}😀";
        let at = self.roll(SIGNS.chars().count());
        SIGNS.chars().nth(at).unwrap_or('/')
    }
}

/// Origin and first path segment, and a mark for the rest; nothing of the rest is in it.
fn assert_shows_no_secret(text: &str, url: &Url) {
    let shown = shown(url);
    assert_eq!(shown, shown_text(text));
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let first = url.path().trim_start_matches('/').split('/').next().unwrap_or_default();
    let open = format!("{}://{}{port}/{first}", url.scheme(), url.host_str().unwrap_or_default());
    let rest = url.path().get(1 + first.len()..).unwrap_or_default();
    let hidden = [url.username(), url.password().unwrap_or(""), url.query().unwrap_or("")];
    for secret in hidden.into_iter().chain([url.fragment().unwrap_or(""), rest]) {
        let is_shown = secret.len() >= SECRET_BYTES && !open.contains(secret) && shown.contains(secret);
        assert!(!is_shown, "{secret:?} is in {shown:?} of {text:?}");
    }
}

fn decoded_keys(query: &str) -> Vec<String> {
    form_urlencoded::parse(query.as_bytes()).map(|(key, _)| key.into_owned()).collect()
}

/// What the receiver's URL has is untouched, ours stands behind it, and no key is there twice.
fn assert_appended(text: &str, base: &Url, sent: &Url, ours: &str) {
    let before = sent.as_str().strip_suffix(ours).expect("ours is at the end");
    let joined = before.strip_suffix(['?', '&']).unwrap_or(before);
    let is_kept = before == base.as_str() || joined == base.as_str();
    assert!(is_kept, "{text:?}: {base} became {before}");
    let theirs = decoded_keys(base.query().unwrap_or_default());
    for key in decoded_keys(ours) {
        assert!(!theirs.contains(&key), "{key:?} stands twice, of {text:?}");
    }
    let written = text.split_once('#').map_or(text, |(before, _)| before).split_once('?');
    let is_query = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&()*+,;=:@/?%".contains(&byte);
    if let Some((_, written)) = written.filter(|(_, query)| query.bytes().all(is_query)) {
        assert_eq!(base.query(), Some(written), "the query of a signed URL changed: {text:?}");
    }
}

/// The same question asked of the standard library.
fn is_certainly_not_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let is_special = v4.is_loopback() || v4.is_unspecified() || v4.is_broadcast();
            is_special || v4.is_private() || v4.is_link_local() || v4.is_multicast() || v4.is_documentation()
        }
        IpAddr::V6(v6) => {
            let is_special = v6.is_loopback() || v6.is_unspecified() || v6.is_multicast();
            is_special || v6.to_ipv4_mapped().is_some() || v6.is_unique_local() || v6.is_unicast_link_local()
        }
    }
}

fn assert_address_is_judged(url: &Url) {
    let address: IpAddr = match url.host() {
        Some(Host::Ipv4(v4)) => v4.into(),
        Some(Host::Ipv6(v6)) => v6.into(),
        _ => return,
    };
    let allowed = AddressRules::default().check(address).is_ok();
    assert!(!(allowed && is_certainly_not_public(address)), "{address} is let through");
}

struct Sample {
    trigger: Trigger,
    cdr: Arc<Cdr>,
}

impl Sample {
    fn job(&self, url: &str, method: Method) -> Job {
        let trigger = Trigger { url: url.into(), method, ..self.trigger.clone() };
        let trigger = Arc::new(ReadyTrigger::new(TenantId(Uuid::nil()), trigger));
        let session = SessionId(Uuid::from_u128(1));
        let delivery = Delivery {
            id: DeliveryId::of_record(trigger.id, session, 1),
            owner: TenantId(Uuid::nil()),
            tenant_id: TenantId(Uuid::nil()),
            tenant: TenantKey::new("acme").expect("a key"),
            trigger: trigger.id,
            trigger_version: 1,
            session,
            rev: 1,
            matches: false,
        };
        Job {
            delivery,
            version: trigger.clone(),
            trigger,
            content: Content::Record(self.cdr.clone()),
            attempt: 1,
            tries: Tries::NONE,
            queued: Timestamp::default(),
            owed: false,
            probe: false,
            last: false,
        }
    }

    /// What passes the check can be sent: there is a host, and the HTTP library takes the URL.
    fn try_out(&self, text: &str, counts: &mut Counts) {
        counts.urls += 1;
        let parsed = Url::parse(text);
        counts.parsed += u64::from(parsed.is_ok());
        let lane = LaneKey::of(TenantId(Uuid::nil()), text);
        if let Ok(url) = &parsed {
            assert_shows_no_secret(text, url);
            assert_address_is_judged(url);
            assert_eq!(lane, LaneKey::of(TenantId(Uuid::nil()), url.as_str()), "{text:?}");
        }
        for method in [Method::Get, Method::Post] {
            let job = self.job(text, method);
            let errors = check(&job.trigger, &Policy { allow_http: true });
            assert!(errors.iter().all(|error| error.pointer == "/url"), "{errors:?}");
            counts.passed += u64::from(errors.is_empty());
            let made = request(&job, AttemptId(Uuid::nil()), Timestamp::default());
            match (made, parsed.as_ref()) {
                (Ok(made), Ok(url)) => {
                    let mut base = url.clone();
                    base.set_fragment(None);
                    let stripped = base.set_username("").and_then(|()| base.set_password(None));
                    assert!(stripped.is_ok() || base.username().is_empty());
                    if method == Method::Get {
                        let ours = std::str::from_utf8(&made.payload).expect("a query is ASCII");
                        assert_appended(text, &base, &made.url, ours);
                    }
                    let uri = made.url.as_str().parse::<http::Uri>();
                    let can_be_sent = errors.is_empty().then_some(uri).transpose();
                    assert!(can_be_sent.is_ok(), "{text:?} passes the check and cannot be sent");
                    counts.requests += 1;
                }
                (Err(Unsendable::Render(RenderError::TooLong { .. })), _) => {}
                (Err(error), _) => assert!(!errors.is_empty(), "{text:?} passes the check: {error}"),
                (Ok(_), Err(error)) => panic!("{text:?} is sent but no URL: {error}"),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    urls: u64,
    parsed: u64,
    passed: u64,
    requests: u64,
}

fn main() {
    let mut arguments =
        std::env::args().skip(1).map(|text| text.parse::<u64>().expect("SECONDS and SEED are numbers"));
    let seconds = arguments.next().unwrap_or(10);
    let seed = arguments.next().unwrap_or(1);
    let mut dice = Dice(seed);
    let urls: Vec<&str> = include_str!("urls.txt").lines().collect();
    let document =
        r#"{"id":"11111111-1111-4111-8111-111111111111","name":"CRM","url":"","customData":{"site":"1"}}"#;
    let sample = Sample {
        trigger: serde_json::from_str(document).expect("the document is a trigger"),
        cdr: Arc::new(serde_json::from_str(include_str!("../src/samples/cdr.json")).expect("a record")),
    };
    let mut counts = Counts::default();
    urls.iter().for_each(|url| sample.try_out(url, &mut counts));
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        for _ in 0..100 {
            let url = dice.url(&urls);
            sample.try_out(&url, &mut counts);
        }
    }
    println!("seed {seed}, {seconds} s: {counts:?}, no panic, nothing secret shown");
}
