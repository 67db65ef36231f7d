//! Mail against a server of our own: that each notice is mailed, at least once, whatever the server does.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use ringpost_model::{Notice, TenantId, TenantKey, TriggerId};
use ringpost_store::Error;
use uuid::Uuid;

use super::*;
use crate::config::{MailPassword, Secret, SmtpServer, Starttls};
use crate::serve::mail::smtp_server::{Behaviour, Server};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const NOON: i64 = 1_773_144_000_000_000;
const PASSWORD: &str = "s3cret-of-the-server";

/// A store in memory.
#[derive(Default)]
struct Notices {
    unmailed: Mutex<BTreeMap<(Timestamp, NoticeId), Notice>>,
    away: AtomicBool,
}

impl Notices {
    fn check(&self) -> Result<(), Error> {
        let away = self.away.load(Ordering::Relaxed);
        if away { Err(Error::Busy { what: "use the store, says the test" }) } else { Ok(()) }
    }

    fn put(&self, notice: Notice) {
        self.unmailed.lock().unwrap().insert((notice.at, notice.id), notice);
    }

    fn len(&self) -> usize {
        self.unmailed.lock().unwrap().len()
    }
}

impl Outbox for Arc<Notices> {
    async fn unmailed(&self, limit: usize) -> Result<Vec<Notice>, Error> {
        self.check()?;
        Ok(self.unmailed.lock().unwrap().values().take(limit).cloned().collect())
    }

    async fn mailed(&self, notices: &[NoticeId]) -> Result<(), Error> {
        self.check()?;
        self.unmailed.lock().unwrap().retain(|(_, id), _| !notices.contains(id));
        Ok(())
    }
}

/// A server, a store and the mail between them, at a time that the test says.
struct World {
    server: Server,
    notices: Arc<Notices>,
    now: Arc<AtomicI64>,
    mail: Mail<Arc<Notices>>,
}

impl World {
    async fn new(behaviour: Behaviour) -> Self {
        Self::with(behaviour, |_| ()).await
    }

    async fn with(behaviour: Behaviour, change: impl FnOnce(&mut config::Mail)) -> Self {
        let server = Server::start(behaviour).await;
        let (notices, now) = (Arc::new(Notices::default()), Arc::new(AtomicI64::new(NOON)));
        let mut config = config(&server);
        change(&mut config);
        let mail = mail(&config, &notices, &now);
        Self { server, notices, now, mail }
    }

    /// What a new process has.
    fn restart(&mut self) {
        self.mail = mail(&config(&self.server), &self.notices, &self.now);
    }

    fn at(&self, micros: i64) {
        self.now.store(NOON + micros, Ordering::Relaxed);
    }

    async fn look(&mut self) {
        self.mail.look().await.unwrap();
    }

    /// Who was told, in order.
    fn told(&self) -> String {
        self.server.received().iter().map(|mail| mail.to.join("+")).collect::<Vec<_>>().join(" ")
    }
}

fn mail(config: &config::Mail, notices: &Arc<Notices>, now: &Arc<AtomicI64>) -> Mail<Arc<Notices>> {
    let now = Arc::clone(now);
    let clock: Clock = Arc::new(move || Timestamp::from_micros(now.load(Ordering::Relaxed)));
    Mail::new(config, Arc::clone(notices), clock, metrics()).unwrap().unwrap()
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().unwrap())
}

fn config(server: &Server) -> config::Mail {
    config::Mail {
        smtp: Some(SmtpServer {
            in_tls: false,
            host: url::Host::parse("localhost").unwrap(),
            port: server.address.port(),
        }),
        starttls: Starttls::Off,
        from: Some("Ringpost <ringpost@example.com>".parse().unwrap()),
        to: vec!["ops@example.com".parse().unwrap()],
        ..config::Mail::default()
    }
}

/// Encrypted, with the root of the test's server, and a password.
fn encrypted(config: &mut config::Mail) {
    config.starttls = Starttls::Required;
    config.extra_roots = vec![tls_file("ca.pem")];
    config.user = Some("ringpost".to_owned());
    config.password = Some(MailPassword(Secret(PASSWORD.to_owned())));
}

fn tls_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/serve/mail/smtp_server").join(name)
}

fn with_login() -> Behaviour {
    Behaviour { starttls: true, login: Some(("ringpost", PASSWORD)), ..Behaviour::default() }
}

fn notice(event: EventName, trigger: u128, at: i64) -> Notice {
    let trigger_id = TriggerId(Uuid::from_u128(trigger));
    Notice {
        v: 1,
        id: NoticeId::of(event, trigger_id, &at.to_string()),
        event,
        at: Timestamp::from_micros(NOON + at),
        tenant: TenantKey::new("acme").unwrap(),
        tenant_id: TenantId(Uuid::nil()),
        trigger_id,
        trigger_name: "CRM".into(),
        url: "https://a.example/…".into(),
        reason: "answered 503".into(),
        delivery: None,
        session: None,
        attempts: None,
        since: None,
        owed: None,
    }
}

fn given_up(trigger: u128, at: i64) -> Notice {
    notice(EventName::DeliveryExhausted, trigger, at)
}

#[tokio::test]
async fn a_notice_is_mailed_once_and_then_marked() {
    let mut world = World::new(Behaviour::default()).await;
    world.notices.put(given_up(1, 0));
    world.look().await;
    assert_eq!((world.told().as_str(), world.notices.len()), ("ops@example.com", 0));
    world.look().await;
    world.restart();
    world.look().await;
    let received = world.server.received();
    assert_eq!((received.len(), received[0].from.as_str()), (1, "ringpost@example.com"));
    assert!(received[0].text.contains("Subject: [ringpost] acme: a delivery of CRM was given up\r\n"));
}

#[tokio::test]
async fn all_that_is_due_goes_over_one_connection_what_happened_first_before_the_rest() {
    let mut world = World::new(Behaviour::default()).await;
    world.notices.put(notice(EventName::TriggerRecovered, 1, 3 * SECOND));
    world.notices.put(notice(EventName::TriggerFailing, 1, SECOND));
    world.notices.put(given_up(2, 2 * SECOND));
    world.at(4 * SECOND);
    world.look().await;
    let subjects: Vec<String> = world
        .server
        .received()
        .iter()
        .filter_map(|mail| mail.text.lines().find_map(|line| line.strip_prefix("Subject: [ringpost] ")))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        subjects,
        [
            "acme: CRM: the receiver is down",
            "acme: a delivery of CRM was given up",
            "acme: CRM: the receiver answers again"
        ]
    );
    assert_eq!(world.server.connections(), 1);
}

#[tokio::test]
async fn a_receiver_that_refuses_every_call_fills_no_mailbox() {
    let mut world = World::new(Behaviour::default()).await;
    for second in 0..1_200 {
        world.notices.put(given_up(1, second * SECOND));
        world.at(second * SECOND);
        world.look().await;
    }
    assert_eq!((world.server.received().len(), world.notices.len()), (1, 1));
    world.at(HOUR);
    world.look().await;
    let received = world.server.received();
    assert_eq!((received.len(), world.notices.len()), (2, 0));
    assert!(received[1].text.contains("1199 deliveries of CRM were given up"), "{}", received[1].text);
}

#[tokio::test]
async fn what_was_held_back_is_told_after_a_crash_too() {
    let mut world = World::new(Behaviour::default()).await;
    for second in 0..5 {
        world.notices.put(given_up(1, second * SECOND));
        world.at(second * SECOND);
        world.look().await;
    }
    world.restart();
    world.look().await;
    assert_eq!((world.server.received().len(), world.notices.len()), (2, 0));
}

#[tokio::test]
async fn while_the_server_is_away_notices_wait_and_it_is_asked_less_and_less_often() {
    let mut world = World::with(Behaviour::default(), |config| {
        // Nobody listens there: a port that was ours a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        config.smtp.as_mut().unwrap().port = free;
    })
    .await;
    world.notices.put(given_up(1, 0));
    world.look().await;
    assert_eq!(world.notices.len(), 1);
    let server_is_back = mail(&config(&world.server), &world.notices, &world.now);
    world.mail.post = server_is_back.post;
    world.at(4 * SECOND);
    world.look().await;
    assert_eq!(world.server.connections(), 0, "it is left alone for five seconds");
    world.at(5 * SECOND);
    world.look().await;
    assert_eq!((world.told().as_str(), world.notices.len()), ("ops@example.com", 0));
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_server_has_taken_the_mail_loses_nothing() {
    let mut world = World::new(Behaviour { drops: true, ..Behaviour::default() }).await;
    world.notices.put(given_up(1, 0));
    world.look().await;
    assert_eq!((world.server.received().len(), world.notices.len()), (0, 1));
    world.server.behave(Behaviour::default());
    world.at(5 * SECOND);
    world.look().await;
    assert_eq!((world.told().as_str(), world.notices.len()), ("ops@example.com", 0));
}

#[tokio::test]
async fn one_address_that_is_refused_keeps_no_other_from_being_told() {
    let refusals = HashMap::from([("gone@example.com", "550 5.1.1 no such user")]);
    let to = ["gone@example.com", "ops@example.com"].map(|to| to.parse().unwrap());
    let mut world =
        World::with(Behaviour { refusals, ..Behaviour::default() }, |config| config.to = to.into()).await;
    world.notices.put(given_up(1, 0));
    world.look().await;
    world.at(10 * SECOND);
    world.look().await;
    assert_eq!((world.told().as_str(), world.notices.len()), ("ops@example.com", 1));
    world.at(24 * HOUR);
    world.look().await;
    assert_eq!((world.told().as_str(), world.notices.len()), ("ops@example.com", 0), "given up after a day");
    let count = |outcome| world.mail.metrics.mails.with_label_values(&[outcome]).get();
    assert_eq!((count("sent"), count("failed"), count("given_up")), (1, 2, 1));
}

#[tokio::test]
async fn a_server_that_puts_off_new_senders_gets_the_mail_when_it_wants_it() {
    let refusals = HashMap::from([("ops@example.com", "450 4.2.0 greylisted, try again")]);
    let mut world = World::new(Behaviour { refusals, ..Behaviour::default() }).await;
    world.notices.put(given_up(1, 0));
    world.look().await;
    world.server.behave(Behaviour::default());
    world.at(5 * SECOND);
    world.look().await;
    assert_eq!((world.told().as_str(), world.notices.len()), ("ops@example.com", 0));
}

#[tokio::test]
async fn what_nobody_wants_by_mail_is_marked_and_not_sent() {
    let mut world = World::with(Behaviour::default(), |config| {
        config.events = vec![EventName::TriggerFailing];
    })
    .await;
    world.notices.put(given_up(1, 0));
    world.notices.put(notice(EventName::TriggerFailing, 1, -25 * HOUR));
    world.look().await;
    assert_eq!((world.told().as_str(), world.notices.len()), ("", 0));
}

#[tokio::test]
async fn on_the_day_that_mail_is_set_up_nobody_is_told_of_the_past() {
    let mut world = World::new(Behaviour::default()).await;
    for second in 0..3 * PAGE as i64 {
        world.notices.put(given_up(1, -48 * HOUR + second * SECOND));
    }
    world.notices.put(given_up(1, -SECOND));
    world.look().await;
    let received = world.server.received();
    assert_eq!((received.len(), world.notices.len()), (1, 0));
    assert!(received[0].text.contains("acme: a delivery of CRM was given up"), "the one of today");
}

#[tokio::test]
async fn with_the_store_away_no_mail_is_sent_twice() {
    let mut world = World::new(Behaviour::default()).await;
    world.notices.put(given_up(1, 0));
    world.look().await;
    world.notices.put(given_up(2, 0));
    world.mail.read().await.unwrap();
    world.notices.away.store(true, Ordering::Relaxed);
    assert!(world.mail.send().await.is_err(), "it is sent, and cannot be marked");
    assert!(world.mail.look().await.is_err());
    world.notices.away.store(false, Ordering::Relaxed);
    world.look().await;
    assert_eq!((world.server.received().len(), world.notices.len()), (2, 0));
}

#[tokio::test]
async fn login_and_mail_travel_encrypted() {
    let mut world = World::with(with_login(), encrypted).await;
    world.notices.put(given_up(1, 0));
    world.look().await;
    let received = world.server.received();
    assert_eq!((received[0].encrypted, received[0].user.as_deref()), (true, Some("ringpost")));
    assert_eq!(world.notices.len(), 0);
}

#[tokio::test]
async fn smtps_is_encrypted_from_the_first_byte() {
    let behaviour = Behaviour { in_tls: true, starttls: false, ..with_login() };
    let mut world = World::with(behaviour, |config| {
        encrypted(config);
        config.smtp.as_mut().unwrap().in_tls = true;
    })
    .await;
    world.notices.put(given_up(1, 0));
    world.look().await;
    assert!(world.server.received()[0].encrypted);
}

async fn failure(behaviour: Behaviour, change: impl FnOnce(&mut config::Mail)) -> String {
    let world = World::with(behaviour, change).await;
    let failed = world.mail.post.connect().await.map(drop).unwrap_err();
    assert!(world.server.received().is_empty());
    failed.to_string().replace(&world.server.address.port().to_string(), "PORT")
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_does_not_encrypt_or_is_somebody_else() {
    let told = failure(Behaviour { starttls: false, ..with_login() }, encrypted).await;
    insta::assert_snapshot!(told, @r"
    reach the mail server smtp://localhost:PORT: it offers no encryption (STARTTLS), which mail.starttls requires
    ");
    let told = failure(with_login(), |config| {
        encrypted(config);
        config.extra_roots = Vec::new();
    });
    insta::assert_snapshot!(told.await, @r"
    reach the mail server smtp://localhost:PORT: invalid peer certificate: UnknownIssuer
    ");
    let told = failure(with_login(), |config| {
        encrypted(config);
        config.smtp.as_mut().unwrap().host = url::Host::parse("127.0.0.1").unwrap();
    });
    insta::assert_snapshot!(told.await, @r#"
    reach the mail server smtp://127.0.0.1:PORT: invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("localhost")
    "#);
}

#[tokio::test]
async fn a_refused_login_is_told_without_the_password_that_the_server_repeats() {
    let behaviour = Behaviour { login: Some(("ringpost", "another")), ..with_login() };
    let told = failure(behaviour, encrypted).await;
    assert!(!told.contains(PASSWORD), "{told}");
    insta::assert_snapshot!(told, @r"
    log in at the mail server smtp://localhost:PORT: permanent error (535): 5.7.8 not accepted: … ( ringpost …)
    ");
}

/// Time is paused: it leaps to the next thing that is waited for.
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_left_after_half_a_minute() {
    let begin = tokio::time::Instant::now();
    let told = failure(Behaviour { silent: true, ..Behaviour::default() }, |_| ()).await;
    assert!(told.contains("reach the mail server smtp://localhost:PORT"), "{told}");
    assert_eq!(begin.elapsed(), Duration::from_secs(30));
}

#[tokio::test]
async fn a_mail_on_its_way_does_not_keep_the_process_from_stopping() {
    let world = World::new(Behaviour { silent: true, ..Behaviour::default() }).await;
    world.notices.put(given_up(1, 0));
    let stop = CancellationToken::new();
    let running = tokio::spawn(world.mail.run(|| true, stop.clone()));
    while world.server.connections() == 0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(world.notices.len(), 1);
}

#[tokio::test]
async fn the_password_is_read_from_its_file_without_the_line_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let world = World::with(with_login(), |config| {
        encrypted(config);
        (config.password, config.password_file) = (None, Some(file));
    })
    .await;
    assert!(world.mail.post.connect().await.is_ok());
}

#[tokio::test]
async fn a_file_that_is_missing_or_empty_is_told_by_its_setting() {
    let server = Server::start(Behaviour::default()).await;
    let mut config = config(&server);
    encrypted(&mut config);
    (config.password, config.password_file) = (None, Some("/nowhere/password".into()));
    let told = |config: &config::Mail| format!("{:#}", Post::new(config).map(drop).unwrap_err());
    assert!(told(&config).contains("read the password from /nowhere/password (mail.password_file)"));
    config.extra_roots = vec![tls_file("server.key")];
    assert!(told(&config).contains("server.key (mail.extra_roots)"));
}

/// The same with the real store: what is written together with a delivery that was given up is mailed and marked.
#[tokio::test]
async fn a_notice_in_the_store_is_mailed() {
    let folder = tempfile::tempdir().unwrap();
    let keyring =
        ringpost_store::Keyring::new(ringpost_store::Key::read_or_make(&folder.path().join("key")).unwrap());
    let store =
        Store::open(ringpost_store::Config { folder: folder.path().join("store"), keyring }).await.unwrap();
    let notices = [given_up(1, 0), notice(EventName::TriggerDisabled, 1, 0)];
    let batch = ringpost_store::Batch { notices: notices.to_vec(), ..Default::default() };
    store.settle(&batch, "dispatcher", Timestamp::from_micros(NOON)).await.unwrap();

    let server = Server::start(Behaviour::default()).await;
    let clock: Clock = Arc::new(|| Timestamp::from_micros(NOON));
    let mut mail = Mail::new(&config(&server), store.clone(), clock, metrics()).unwrap().unwrap();
    mail.look().await.unwrap();
    assert_eq!(server.received().len(), 2);
    assert!(store.unmailed_notices(10).await.unwrap().found.is_empty());
}
