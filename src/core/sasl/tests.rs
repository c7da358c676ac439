//! Whole exchanges: the examples of the RFCs, a foreign client, and everything a client can get wrong.
//!
//! RFC 5802 §5–7, RFC 7677 §3, RFC 4616, RFC 4505, RFC 6120 §6.4–6.5.

mod client;

use std::sync::{Arc, LazyLock};

use hearth_wire::BareJid;
use proptest::prelude::*;
use sasl::client::Mechanism as _;
use sasl::client::mechanisms as foreign;
use sasl::common::{ChannelBinding, Credentials as ForeignCredentials, scram as foreign_hash};

use self::client::Client;
use super::*;

const END_POINT: [u8; 32] = [9; 32];
const EXPORTER: [u8; 32] = [5; 32];

static JULIET: LazyLock<Credentials> = LazyLock::new(|| {
    let password = Password::new("r0m30myr0m30").unwrap();
    Credentials::derive(&password, &[[1; 16], [2; 16], [3; 16]], ITERATIONS_MIN).unwrap()
});

static REALM: LazyLock<Arc<Realm>> = LazyLock::new(|| {
    let shares = [Share { shape: Shape::from(&*JULIET), accounts: 1 }];
    let decoys = Decoys::new([4; 32], Arc::new(shares));
    Arc::new(Realm { domain: BareJid::parse("capulet.example").unwrap(), decoys })
});

fn tls() -> Arc<Offer> {
    let facts =
        ConnectionFacts { encrypted: true, exporter: Some(EXPORTER), end_point: Some(END_POINT.to_vec()) };
    Arc::new(Offer::new(&Policy { anonymous: true, ..Policy::default() }, facts))
}

/// No TLS, so that no channel can be bound.
fn clear() -> Arc<Offer> {
    let policy = Policy { plain_unencrypted: true, ..Policy::default() };
    Arc::new(Offer::new(&policy, ConnectionFacts::default()))
}

fn begin(offer: &Arc<Offer>, mechanism: &str) -> Exchange {
    Exchange::start(&REALM, offer, mechanism, ServerNonce::new(&[6; 18])).unwrap()
}

fn account(localpart: &str) -> BareJid {
    BareJid::parse(&format!("{localpart}@capulet.example")).unwrap()
}

fn juliet() -> Identity {
    Identity::Account(account("juliet"))
}

fn done(identity: Identity) -> Step {
    let mark = matches!(identity, Identity::Account(_)).then(KeysMark::default);
    Step::Done(Success { identity, data: None, binding: None, mark, password: None })
}

fn need(localpart: &str) -> Step {
    Step::Need(Lookup { account: account(localpart) })
}

/// Sends the first message, hands the account over and returns the challenge.
fn challenge(exchange: &mut Exchange, first: &[u8], account: Option<&Credentials>) -> Vec<u8> {
    match exchange.step(Some(first)) {
        Step::Need(_) => match exchange.credentials(account) {
            Step::Challenge(challenge) => challenge,
            step => panic!("no challenge but {step:?}"),
        },
        step => panic!("no look-up but {step:?}"),
    }
}

/// A whole SCRAM exchange of this client with juliet's account.
fn log_in(offer: &Arc<Offer>, mechanism: &str, client: &Client) -> Step {
    log_in_to(offer, mechanism, client, Some(&JULIET))
}

fn log_in_to(offer: &Arc<Offer>, mechanism: &str, client: &Client, account: Option<&Credentials>) -> Step {
    let mut exchange = begin(offer, mechanism);
    let server_first = challenge(&mut exchange, &client.first(), account);
    let (last, signature) = client.last(&server_first);
    let step = exchange.step(Some(&last));
    if let Step::Done(success) = &step {
        assert_eq!(success.data, Some(signature), "the server proves itself");
        assert_eq!(exchange.step(Some(b"")), Step::Fail(Failure::OutOfOrder), "and then it is over");
    }
    step
}

fn plain(message: &str, account: Option<&Credentials>) -> Step {
    let mut exchange = begin(&tls(), "PLAIN");
    match exchange.step(Some(message.as_bytes())) {
        Step::Need(_) => {
            assert!(exchange.is_heavy());
            exchange.credentials(account)
        }
        step => step,
    }
}

#[test]
fn examples_of_the_rfcs_and_a_third_computed_elsewhere() {
    // RFC 5802 §5, RFC 7677 §3; SHA-512 by Python's hashlib and hmac.
    check_example(
        ScramHash::Sha1,
        "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    );
    check_example(
        ScramHash::Sha256,
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    );
    check_example(
        ScramHash::Sha512,
        "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=U2FsdCBvZiBzaXh0ZWVuIQ==,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
         p=9C8EnQVrka0kg9CHpbkcoRgGJyp3NpraHIv4wRHqpyMGhYnQRQfSHTc9UhMGQ8SsJqPzFLKmEJQi/Axz2fN+DQ==",
        "v=HvOhxs6dT0fvlvSVgEwQB6pfwoTtk/y8KqkQKzZReoD45i1T65s5QK9yPC0gL+a/f7L5lQRRCTDUQkqvC4wUcg==",
    );
}

fn check_example(hash: ScramHash, first: &str, server_first: &str, last: &str, signature: &str) {
    let part = |letter: &str| server_first.split(',').find_map(|f| f.strip_prefix(letter)).unwrap();
    let client_nonce = first.rsplit_once("r=").unwrap().1;
    let nonce = ServerNonce::of_example(part("r=").strip_prefix(client_nonce).unwrap());
    let keys = ScramKeys::derive(hash, &Password::new("pencil").unwrap(), &decode(part("s=")).unwrap(), 4096);
    let user = Credentials::from_keys(vec![keys.unwrap()]).unwrap();

    let mut exchange = Exchange::start(&REALM, &clear(), hash.scheme(), nonce).unwrap();
    assert_eq!(exchange.step(Some(first.as_bytes())), need("user"));
    assert!(!exchange.is_heavy());
    assert_eq!(exchange.credentials(Some(&user)), Step::Challenge(server_first.as_bytes().to_vec()));
    let identity = Identity::Account(account("user"));
    let data = Some(signature.as_bytes().to_vec());
    let Step::Done(success) = exchange.step(Some(last.as_bytes())) else { panic!("the example fails") };
    assert_eq!((success.identity, success.data), (identity, data));
}

#[test]
fn a_foreign_client_logs_in_by_scram() {
    for (offer, binding, suffix) in [
        (clear(), ChannelBinding::None, ""),
        (clear(), ChannelBinding::Unsupported, ""),
        (tls(), ChannelBinding::None, ""),
        (tls(), ChannelBinding::TlsExporter(EXPORTER.to_vec()), "-PLUS"),
    ] {
        foreign_scram::<foreign_hash::Sha1>(&offer, binding.clone(), &format!("SCRAM-SHA-1{suffix}"));
        foreign_scram::<foreign_hash::Sha256>(&offer, binding, &format!("SCRAM-SHA-256{suffix}"));
    }
}

fn foreign_scram<H: foreign_hash::ScramProvider>(offer: &Arc<Offer>, binding: ChannelBinding, name: &str) {
    let credentials = ForeignCredentials::default()
        .with_username("juliet")
        .with_password("r0m30myr0m30")
        .with_channel_binding(binding);
    let mut client = foreign::Scram::<H>::from_credentials(credentials).unwrap();
    assert_eq!(client.name(), name);
    let mut exchange = begin(offer, name);
    let server_first = challenge(&mut exchange, &client.initial(), Some(&JULIET));
    let Step::Done(success) = exchange.step(Some(&client.response(&server_first).unwrap())) else {
        panic!("{name} failed");
    };
    assert_eq!(success.identity, juliet());
    assert_eq!(success.binding, name.ends_with("-PLUS").then_some(BindingType::TlsExporter));
    client.success(&success.data.unwrap()).unwrap();
}

#[test]
fn a_foreign_client_logs_in_by_plain_and_anonymous() {
    let message = foreign::Plain::new("juliet", "r0m30myr0m30").initial();
    assert_eq!(plain(std::str::from_utf8(&message).unwrap(), Some(&JULIET)), done(juliet()));

    let identity = Identity::Anonymous { trace: None };
    let initial = foreign::Anonymous::new().initial();
    let step = begin(&tls(), "ANONYMOUS").step(Some(&initial));
    assert_eq!(step, done(identity));
}

#[test]
fn every_scram_mechanism_binds_to_both_kinds_of_channel_data() {
    for hash in ScramHash::ALL {
        let name = hash.scheme();
        for (gs2_header, channel, binding) in [
            ("p=tls-exporter,,", EXPORTER, BindingType::TlsExporter),
            ("p=tls-server-end-point,,", END_POINT, BindingType::TlsServerEndPoint),
        ] {
            let client = Client { gs2_header, channel: channel.to_vec(), ..Client::new(hash) };
            match log_in(&tls(), &format!("{name}-PLUS"), &client) {
                Step::Done(success) => assert_eq!(success.binding, Some(binding)),
                step => panic!("{name} {gs2_header}: {step:?}"),
            }
        }
        assert!(matches!(log_in(&tls(), name, &Client::new(hash)), Step::Done(_)), "{name}");
    }
}

#[test]
fn a_stripped_or_foreign_channel_is_noticed() {
    let hash = ScramHash::Sha256;
    let first = |offer: &Arc<Offer>, name: &str, message: &[u8]| begin(offer, name).step(Some(message));
    for (offer, name, message, why) in [
        (tls(), "SCRAM-SHA-256", "y,,n=juliet,r=x", Failure::BindingDowngrade),
        (tls(), "SCRAM-SHA-256-PLUS", "y,,n=juliet,r=x", Failure::BindingDowngrade),
        (tls(), "SCRAM-SHA-256-PLUS", "n,,n=juliet,r=x", Failure::BindingFlag),
        (tls(), "SCRAM-SHA-256", "p=tls-exporter,,n=juliet,r=x", Failure::BindingFlag),
        (clear(), "SCRAM-SHA-256", "p=tls-exporter,,n=juliet,r=x", Failure::BindingFlag),
        (tls(), "SCRAM-SHA-256-PLUS", "p=tls-unique,,n=juliet,r=x", Failure::BindingType),
    ] {
        assert_eq!(first(&offer, name, message.as_bytes()), Step::Fail(why), "{name} {message}");
    }
    let end_point_only =
        ConnectionFacts { encrypted: true, exporter: None, end_point: Some(END_POINT.to_vec()) };
    let offer = Arc::new(Offer::new(&Policy::default(), end_point_only));
    let step = first(&offer, "SCRAM-SHA-256-PLUS", b"p=tls-exporter,,n=juliet,r=x");
    assert_eq!(step, Step::Fail(Failure::BindingType));

    // The man in the middle has another certificate and another TLS session.
    for (gs2_header, channel) in [("p=tls-exporter,,", vec![0; 32]), ("p=tls-exporter,,", Vec::new())] {
        let client = Client { gs2_header, channel, ..Client::new(hash) };
        assert_eq!(log_in(&tls(), "SCRAM-SHA-256-PLUS", &client), Step::Fail(Failure::BindingMismatch));
    }
    // Data where there should be none.
    let client = Client { channel: EXPORTER.to_vec(), ..Client::new(hash) };
    assert_eq!(log_in(&tls(), "SCRAM-SHA-256", &client), Step::Fail(Failure::BindingMismatch));
}

#[test]
fn a_header_other_than_the_first_one_is_a_mismatch() {
    let client = Client::new(ScramHash::Sha1);
    let mut exchange = begin(&clear(), "SCRAM-SHA-1");
    let server_first = challenge(&mut exchange, b"y,,n=juliet,r=cnonce", Some(&JULIET));
    let step = exchange.step(Some(&client.last(&server_first).0));
    assert_eq!(step, Step::Fail(Failure::BindingMismatch));
}

#[test]
fn the_nonce_must_be_ours() {
    for (from, to) in [(",r=cnonce", ",r=cnonc"), (",r=cnonce", ",r=cnonceX"), (",r=", ",r=,x=")] {
        let mut exchange = begin(&clear(), "SCRAM-SHA-1");
        let server_first = challenge(&mut exchange, b"n,,n=juliet,r=cnonce", Some(&JULIET));
        let (last, _) = Client::new(ScramHash::Sha1).last(&server_first);
        let bent = String::from_utf8(last).unwrap().replacen(from, to, 1);
        assert_eq!(exchange.step(Some(bent.as_bytes())), Step::Fail(Failure::Nonce), "{bent}");
    }
}

#[test]
fn wrong_passwords_and_proofs_of_any_length_fail_alike() {
    let client = Client { password: "rosaline", ..Client::new(ScramHash::Sha512) };
    assert_eq!(log_in(&tls(), "SCRAM-SHA-512", &client), Step::Fail(Failure::Credentials));
    for proof in ["", "YQ==", &"AAAA".repeat(40)] {
        let mut exchange = begin(&tls(), "SCRAM-SHA-512");
        let server_first = challenge(&mut exchange, &client.first(), Some(&JULIET));
        let last = String::from_utf8(client.last(&server_first).0).unwrap();
        let bent = format!("{},p={proof}", last.rsplit_once(",p=").unwrap().0);
        assert_eq!(exchange.step(Some(bent.as_bytes())), Step::Fail(Failure::Credentials), "{proof:?}");
    }
    assert_eq!(Failure::Credentials.condition(), Condition::NotAuthorized);
}

#[test]
fn an_unknown_user_looks_like_a_wrong_password() {
    let stranger = Client { username: "rosaline", ..Client::new(ScramHash::Sha256) };
    let mut seen = Vec::new();
    for account in [None, None, Some(&Credentials::default())] {
        let mut exchange = begin(&tls(), "SCRAM-SHA-256");
        let server_first = challenge(&mut exchange, &stranger.first(), account);
        let step = exchange.step(Some(&stranger.last(&server_first).0));
        assert_eq!(step, Step::Fail(Failure::Credentials));
        seen.push(server_first);
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]), "the same salt every time");
    let real = challenge(&mut begin(&tls(), "SCRAM-SHA-256"), &stranger.first(), Some(&JULIET));
    assert_eq!(seen[0].len(), real.len());
    assert_ne!(seen[0], real);

    for account in [None, Some(&Credentials::default()), Some(&*JULIET)] {
        assert_eq!(plain("\0juliet\0wrong", account), Step::Fail(Failure::Credentials));
    }
    assert_eq!(plain("\0juliet\0r0m30myr0m30", None), Step::Fail(Failure::Credentials));
}

#[test]
fn an_account_without_keys_for_this_hash_is_as_unknown() {
    let sha1 = JULIET.keys(ScramHash::Sha1).unwrap().clone();
    let imported = Credentials::from_keys(vec![sha1]).unwrap();
    let with = |hash| log_in_to(&tls(), hash_name(hash), &Client::new(hash), Some(&imported));
    assert!(matches!(with(ScramHash::Sha1), Step::Done(_)));
    assert_eq!(with(ScramHash::Sha256), Step::Fail(Failure::Credentials));
    // PLAIN reveals the password, from which the missing keys can be made
    let Step::Done(success) = plain("\0juliet\0r0m30myr0m30", Some(&imported)) else { panic!("no success") };
    assert_eq!(success.password, Some(Password::new("r0m30myr0m30").unwrap()));
    let mut complete = imported.clone();
    complete.complete(JULIET.clone());
    assert!(complete.is_complete());
    assert_eq!(plain("\0juliet\0r0m30myr0m30", Some(&complete)), done(juliet()));
}

/// What a stranger sees of a name: the salt and count of each hash.
fn seen(decoys: &Decoys, name: &str, account: Option<&Credentials>) -> Vec<String> {
    let realm = Arc::new(Realm { domain: REALM.domain.clone(), decoys: decoys.clone() });
    let see = |hash: ScramHash| {
        let nonce = ServerNonce::new(&[6; 18]);
        let mut exchange = Exchange::start(&realm, &clear(), hash.scheme(), nonce).unwrap();
        let first = format!("n,,n={name},r=x");
        let challenge = challenge(&mut exchange, first.as_bytes(), account);
        String::from_utf8(challenge).unwrap().split_once(',').unwrap().1.to_owned()
    };
    ScramHash::ALL.into_iter().map(see).collect()
}

/// All that can be seen of a name but the salts themselves.
fn outline(seen: &[String]) -> Vec<(usize, String)> {
    let part = |text: &String| {
        let (salt, iterations) = text.split_once(",i=").unwrap();
        (decode(salt.strip_prefix("s=").unwrap()).unwrap().len(), iterations.to_owned())
    };
    seen.iter().map(part).collect()
}

#[test]
fn an_account_that_lacks_a_hash_looks_like_a_name_that_is_none() {
    let key = ScramKeys::new(ScramHash::Sha1, &[9; 24], 5_000, &[0; 20], &[0; 20]).unwrap();
    let imported = Credentials::from_keys(vec![key]).unwrap();
    let share = |credentials: &Credentials| Share { shape: Shape::from(credentials), accounts: 8 };
    let decoys = Decoys::new([4; 32], Arc::new([share(&imported), share(&JULIET)]));
    let of_account = outline(&seen(&decoys, "juliet", Some(&imported)));
    let of_nobody = (0..32).map(|n| outline(&seen(&decoys, &format!("nobody{n}"), None)));
    let alike = of_nobody.filter(|outline| *outline == of_account).count();
    assert!((4..28).contains(&alike), "{alike} of 32 names look like {of_account:?}");
}

fn hash_name(hash: ScramHash) -> &'static str {
    Mechanism::Scram(hash).name()
}

#[test]
fn a_disabled_account_hears_so_only_after_the_right_proof() {
    let mut disabled = JULIET.clone();
    disabled.disabled = true;
    let right = Client::new(ScramHash::Sha1);
    let wrong = Client { password: "wrong", ..right.clone() };
    let step = |client| log_in_to(&tls(), "SCRAM-SHA-1", client, Some(&disabled));
    assert_eq!(step(&right), Step::Fail(Failure::AccountDisabled));
    assert_eq!(step(&wrong), Step::Fail(Failure::Credentials));
    assert_eq!(plain("\0juliet\0r0m30myr0m30", Some(&disabled)), Step::Fail(Failure::AccountDisabled));
    assert_eq!(plain("\0juliet\0wrong", Some(&disabled)), Step::Fail(Failure::Credentials));
}

#[test]
fn one_may_act_only_as_oneself() {
    for (authzid, allowed) in [
        ("juliet@capulet.example", true),
        ("Juliet@Capulet.Example", true),
        ("romeo@capulet.example", false),
        ("juliet@montague.example", false),
        ("juliet@capulet.example/balcony", false),
        ("juliet", false),
        ("capulet.example", false),
        ("@capulet.example", false),
        ("juliet@", false),
        ("juliet@capulet.example@capulet.example", false),
    ] {
        let step = plain(&format!("{authzid}\0juliet\0r0m30myr0m30"), Some(&JULIET));
        assert_eq!(matches!(step, Step::Done(_)), allowed, "{authzid}");
        if !allowed {
            assert_eq!(step, Step::Fail(Failure::Authzid), "{authzid}");
        }
        let wrong_password = plain(&format!("{authzid}\0juliet\0wrong"), Some(&JULIET));
        assert_eq!(wrong_password, Step::Fail(Failure::Credentials));
    }
    let scram =
        |gs2_header| log_in(&tls(), "SCRAM-SHA-1", &Client { gs2_header, ..Client::new(ScramHash::Sha1) });
    assert!(matches!(scram("n,a=juliet@capulet.example,"), Step::Done(_)));
    assert_eq!(scram("n,a=romeo@capulet.example,"), Step::Fail(Failure::Authzid));
    assert_eq!(scram("n,a=juliet=2Ccapulet.example,"), Step::Fail(Failure::Authzid));
}

#[test]
fn names_are_prepared_before_they_are_looked_up() {
    let looked_up =
        |name: &str| begin(&tls(), "SCRAM-SHA-1").step(Some(format!("n,,n={name},r=x").as_bytes()));
    assert_eq!(looked_up("JULIET"), need("juliet"));
    assert_eq!(looked_up("jul\u{AD}iet"), need("juliet"));
    assert_eq!(looked_up("a=2Cb=3Dc"), need("a,b=c"));
    // Younger than Unicode 3.2: a name may hold it (Glagolitic A, in lower case U+2C30).
    assert_eq!(looked_up("\u{2C00}"), need("\u{2C30}"));
    for impossible in ["\u{AD}", "a\u{7}", "juliet@capulet.example", "a/b", "\u{5D0}a"] {
        assert_eq!(looked_up(impossible), Step::Fail(Failure::Credentials), "{impossible:?}");
    }
    // The name is hashed as it was received (RFC 5802 §5.1).
    let client = Client { username: "JuLiEt", ..Client::new(ScramHash::Sha1) };
    assert!(matches!(log_in(&tls(), "SCRAM-SHA-1", &client), Step::Done(_)));
}

#[test]
fn passwords_are_prepared_too() {
    let account =
        Credentials::derive(&Password::new("\u{2168} pence").unwrap(), &[[1; 16]; 3], 4096).unwrap();
    assert!(matches!(plain("\0juliet\0IX\u{A0}pen\u{AD}ce", Some(&account)), Step::Done(_)));
    assert_eq!(plain("\0juliet\0ix pence", Some(&account)), Step::Fail(Failure::Credentials));
    for impossible in ["\u{AD}", "a\u{7}", &"a".repeat(PASSWORD_BYTES_MAX + 1)] {
        assert_eq!(
            plain(&format!("\0juliet\0{impossible}"), Some(&account)),
            Step::Fail(Failure::Credentials)
        );
    }
}

#[test]
fn malformed_plain_messages_are_refused() {
    for wrong in [
        "",
        "juliet",
        "\0",
        "\0juliet",
        "\0\0",
        "\0\0password",
        "\0juliet\0",
        "\0juliet\0pass\0word",
        "\0\0\0",
    ] {
        assert_eq!(plain(wrong, Some(&JULIET)), Step::Fail(Failure::Malformed), "{wrong:?}");
    }
    let step = begin(&tls(), "PLAIN").step(Some(b"\0juliet\0\xff"));
    assert_eq!(step, Step::Fail(Failure::Malformed));
}

#[test]
fn plain_takes_fields_of_every_required_length() {
    // RFC 4616 §2: 255 octets in each.
    let (name, password) = ("a".repeat(255), "b".repeat(255));
    let account = Credentials::derive(&Password::new(&password).unwrap(), &[[1; 16]; 3], 4096).unwrap();
    let step = plain(&format!("{name}@capulet.example\0{name}\0{password}"), Some(&account));
    assert!(matches!(step, Step::Done(_)), "{step:?}");
}

#[test]
fn anonymous_takes_a_trace_but_not_a_novel() {
    let anonymous = |trace: &str| begin(&tls(), "ANONYMOUS").step(Some(trace.as_bytes()));
    let trace = Some("\u{fc}".repeat(255));
    let step = anonymous(trace.as_deref().unwrap());
    let identity = Identity::Anonymous { trace };
    assert_eq!(step, done(identity));
    for wrong in [&*"a".repeat(256), "a\0b", "\u{7f}", "\u{e000}"] {
        assert_eq!(anonymous(wrong), Step::Fail(Failure::Malformed), "{wrong:?}");
    }
    let step = begin(&tls(), "ANONYMOUS").step(None);
    assert!(matches!(step, Step::Done(Success { identity: Identity::Anonymous { trace: None }, .. })));
}

#[test]
fn without_an_initial_response_the_client_is_asked_for_it() {
    for name in ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-512-PLUS"] {
        let mut exchange = begin(&tls(), name);
        assert_eq!(exchange.step(None), Step::Challenge(Vec::new()), "{name}");
        assert_eq!(exchange.step(None), Step::Fail(Failure::Malformed), "{name}");
    }
    let mut exchange = begin(&tls(), "PLAIN");
    assert_eq!(exchange.step(None), Step::Challenge(Vec::new()));
    assert_eq!(exchange.step(Some(b"\0juliet\0r0m30myr0m30")), need("juliet"));
    assert!(matches!(exchange.credentials(Some(&JULIET)), Step::Done(_)));
}

#[test]
fn what_was_not_offered_cannot_be_used() {
    let start = |offer: &Arc<Offer>, name: &str| {
        Exchange::start(&REALM, offer, name, ServerNonce::new(&[6; 18])).map(|e| e.mechanism())
    };
    assert_eq!(start(&clear(), "SCRAM-SHA-1-PLUS"), Err(Failure::Mechanism));
    assert_eq!(start(&clear(), "ANONYMOUS"), Err(Failure::Mechanism));
    assert_eq!(start(&tls(), "DIGEST-MD5"), Err(Failure::Mechanism));
    let no_tls = Arc::new(Offer::new(&Policy::default(), ConnectionFacts::default()));
    assert_eq!(start(&no_tls, "PLAIN"), Err(Failure::Encryption));
    assert_eq!(start(&tls(), "PLAIN"), Ok(Mechanism::Plain));
}

#[test]
fn messages_out_of_order_and_oversized_end_the_exchange() {
    for (name, first) in [("PLAIN", "\0juliet\0r0m30myr0m30"), ("SCRAM-SHA-1", "n,,n=juliet,r=x")] {
        let mut impatient = begin(&tls(), name);
        assert_eq!(impatient.step(Some(first.as_bytes())), need("juliet"));
        assert_eq!(impatient.step(Some(first.as_bytes())), Step::Fail(Failure::OutOfOrder), "{name}");
        assert_eq!(impatient.credentials(Some(&JULIET)), Step::Fail(Failure::OutOfOrder), "{name}");
        let mut unasked = begin(&tls(), name);
        assert_eq!(unasked.credentials(Some(&JULIET)), Step::Fail(Failure::OutOfOrder), "{name}");
        let mut long = begin(&tls(), name);
        assert_eq!(long.step(Some(&[b'a'; MESSAGE_BYTES_MAX + 1])), Step::Fail(Failure::TooLong), "{name}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let mut exchange = begin(&tls(), "PLAIN");
    exchange.step(Some(b"\0juliet\0r0m30myr0m30"));
    assert_eq!(format!("{exchange:?}"), "Exchange { mechanism: Plain, .. }");
    assert_eq!(format!("{:?}", JULIET.keys(ScramHash::Sha1)), "Some(ScramKeys(SCRAM-SHA-1, ..))");
    assert!(!format!("{:?}", tls()).contains(&format!("{EXPORTER:?}")));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_never_log_in(first in any::<Vec<u8>>(), last in any::<Vec<u8>>()) {
        for mechanism in Mechanism::ALL {
            let mut exchange = begin(&tls(), mechanism.name());
            let step = match exchange.step(Some(&first)) {
                Step::Need(_) => exchange.credentials(Some(&JULIET)),
                step => step,
            };
            prop_assert!(mechanism == Mechanism::Anonymous || !matches!(step, Step::Done(_)));
            let step = exchange.step(Some(&last));
            prop_assert!(!matches!(step, Step::Done(_)));
        }
    }

    #[test]
    fn messages_of_scram_s_own_letters_never_panic(
        first in "[nyp]?=?[a-z-]{0,4},(a=[a=23CD]{0,3})?,(m=1,)?n=[a=2C3D]{0,5},r=[!-~]{0,5}(,[a-z]=.?){0,2}",
        last in "c=[a-zA-Z=+/]{0,9},r=[!-~]{0,5}(,[a-z]=.{0,3}){0,2},p=[a-zA-Z=+/]{0,30}",
    ) {
        let mut exchange = begin(&clear(), "SCRAM-SHA-1");
        if let Step::Need(_) = exchange.step(Some(first.as_bytes())) {
            exchange.credentials(Some(&JULIET));
        }
        prop_assert!(!matches!(exchange.step(Some(last.as_bytes())), Step::Done(_)));
    }

    #[test]
    fn a_final_message_with_any_byte_changed_never_logs_in(at in any::<prop::sample::Index>(), by in 1_u8..) {
        let client = Client::new(ScramHash::Sha1);
        let mut exchange = begin(&tls(), "SCRAM-SHA-1");
        let server_first = challenge(&mut exchange, &client.first(), Some(&JULIET));
        let (mut last, _) = client.last(&server_first);
        let at = at.index(last.len());
        last[at] ^= by;
        prop_assert!(matches!(exchange.step(Some(&last)), Step::Fail(_)));
    }

    #[test]
    fn a_hostile_plain_message_never_panics(message in "[a-c\0@\u{ad}\u{7}\u{5d0}]{0,12}") {
        prop_assert!(!matches!(plain(&message, Some(&JULIET)), Step::Done(_)));
    }
}
