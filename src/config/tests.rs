//! Configuration: what is accepted, and how mistakes are told.

use proptest::prelude::*;

use super::*;
use crate::ids::PhoneNumber;

fn example() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sip-config");
    FILES.iter().map(|name| ((*name).to_owned(), fs::read_to_string(folder.join(name)).expect(name))).collect()
}

fn replaced(file: &str, from: &str, to: &str, texts: &mut [(String, String)]) {
    let text = &mut texts.iter_mut().find(|(name, _)| name == file).expect(file).1;
    assert!(text.contains(from), "{file} has no {from}");
    *text = text.replacen(from, to, 1);
}

#[test]
fn the_example_configuration_is_valid() {
    let config = Config::parse(&example()).unwrap_or_else(|m| panic!("{}", lines(&m)));
    assert_eq!(config.trunks[0].numbers[0].queue, "support");
    assert_eq!(config.sip.limits.ring, Duration::from_secs(20));
}

#[test]
fn an_empty_folder_means_the_defaults_and_no_trunk() {
    let config = Config::parse(&[]).unwrap_or_else(|m| panic!("{}", lines(&m)));
    assert!(config.trunks.is_empty());
    assert_eq!(config.media.ports, (20_000, 20_399));
}

#[test]
fn five_mistakes_are_reported_as_five_with_file_key_and_remedy() {
    let mut texts = example();
    replaced("sip.toml", "ring_seconds = 20", "ring_seconds = 2", &mut texts);
    replaced("sip.toml", "md5 = true", "md5 = \"yes\"", &mut texts);
    replaced("trunks.toml", "queue = \"support\"", "queue = \"suport\"", &mut texts);
    replaced("media.toml", "ports = \"20000-20399\"", "ports = \"20001\"", &mut texts);
    replaced("queues.toml", "wrap_up_seconds", "wrapup_seconds", &mut texts);
    let mistakes = Config::parse(&texts).expect_err("five mistakes");
    let found: Vec<_> = mistakes.iter().map(|m| (m.file.as_str(), m.key.as_str())).collect();
    let expected = [
        ("media.toml", "media.ports"),
        ("queues.toml", "queue[0].wrapup_seconds"),
        ("sip.toml", "limits.ring_seconds"),
        ("sip.toml", "sip.md5"),
        ("trunks.toml", "trunk[0].number[0].queue"),
    ];
    assert_eq!(found, expected, "{}", lines(&mistakes));
    assert!(mistakes[1].remedy.contains("wrap_up_seconds"), "{}", mistakes[1]);
    assert!(mistakes.iter().all(|m| !m.remedy.is_empty() && !m.problem.is_empty()));
}

#[test]
fn broken_toml_names_its_line_and_the_other_files_are_still_read() {
    let mut texts = example();
    replaced("sip.toml", "md5 = true", "md5 = ", &mut texts);
    replaced("queues.toml", "priority = 5", "priority = 50", &mut texts);
    let mistakes = Config::parse(&texts).expect_err("two mistakes");
    assert_eq!(mistakes.len(), 2, "{}", lines(&mistakes));
    assert!(mistakes.iter().any(|m| m.file == "sip.toml" && m.key.starts_with("line ")), "{}", lines(&mistakes));
}

#[test]
fn more_calls_than_ports_can_hold_are_refused() {
    let mut texts = example();
    replaced("sip.toml", "max_calls = 100", "max_calls = 101", &mut texts);
    let mistakes = Config::parse(&texts).expect_err("too many");
    assert_eq!(mistakes.len(), 1, "{}", lines(&mistakes));
    assert!(mistakes[0].problem.contains("202 pairs"), "{}", mistakes[0]);
}

#[test]
fn an_unknown_file_is_a_mistake() {
    let mistakes = Config::parse(&[("trunk.toml".to_owned(), String::new())]).expect_err("unknown");
    assert!(mistakes[0].remedy.contains("trunks.toml"));
}

/// A value of any kind that TOML has.
fn any_value() -> impl Strategy<Value = toml::Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(toml::Value::Integer),
        any::<f64>().prop_map(toml::Value::Float),
        any::<bool>().prop_map(toml::Value::Boolean),
        any::<String>().prop_map(toml::Value::String),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(toml::Value::Array),
            prop::collection::btree_map("[a-z]{1,8}", inner, 0..3).prop_map(|table| toml::Value::Table(table.into_iter().collect())),
        ]
    })
}

/// Puts a value in the place of the `n`-th one, counted through all tables.
fn put(value: &mut toml::Value, n: &mut usize, new: &toml::Value) {
    let inside: Vec<&mut toml::Value> = match value {
        toml::Value::Table(table) => table.iter_mut().map(|(_, value)| value).collect(),
        toml::Value::Array(array) => array.iter_mut().collect(),
        _ => Vec::new(),
    };
    for value in inside {
        put(value, n, new);
        if *n == 0 {
            return;
        }
    }
    *n -= 1;
    if *n == 0 {
        *value = new.clone();
    }
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_a_list_of_mistakes_with_remedies(text in "(\\[{1,2}[a-z]{1,8}\\]{1,2}\n)?[ -~\n]{0,200}") {
        for file in FILES {
            if let Err(mistakes) = Config::parse(&[((*file).to_owned(), text.clone())]) {
                prop_assert!(!mistakes.is_empty() && mistakes.iter().all(|m| !m.remedy.is_empty()));
            }
        }
    }

    #[test]
    fn any_value_in_any_place_is_accepted_or_told(file in 0usize..FILES.len(), n in 1usize..30, new in any_value()) {
        let mut texts = example();
        let mut tree: toml::Value = toml::from_str::<toml::Table>(&texts[file].1).expect("the example is TOML").into();
        put(&mut tree, &mut n.clone(), &new);
        if let Ok(text) = toml::to_string(&tree) {
            texts[file].1 = text;
        }
        if let Err(mistakes) = Config::parse(&texts) {
            prop_assert!(!mistakes.is_empty() && mistakes.iter().all(|m| !m.remedy.is_empty()));
        }
    }
}

const OUTBOUND: &str = r#"
[[trunk]]
name = "carrier"
host = "sip.example.net"
username = "acme"
password = "planted-secret"
realm = "example.net"
register = true
caller_number = "020 7946 0000"

[[trunk.caller]]
phone = "200"
number = "+442079460018"

[[trunk]]
name = "backup"
host = "192.0.2.9"
transport = "tcp"

[[route]]
emergency = true
trunks = ["carrier", "backup"]

[[route]]
prefix = "+44"
trunks = ["carrier", "backup"]

[[group]]
name = "agents"
phones = ["*"]
international = ["+49"]
"#;

fn outbound(change: impl FnOnce(String) -> String) -> Result<Config, Vec<Mistake>> {
    let limits = ("sip.toml".to_owned(), "[limits]\nmax_calls = 98\n".to_owned());
    Config::parse(&[("trunks.toml".to_owned(), change(OUTBOUND.to_owned())), limits])
}

fn keys(result: Result<Config, Vec<Mistake>>) -> Vec<String> {
    result.expect_err("mistakes").into_iter().map(|mistake| mistake.key).collect()
}

#[test]
fn trunks_routes_and_groups_are_read_and_a_password_never_shows() {
    let config = outbound(|text| text).unwrap_or_else(|m| panic!("{}", lines(&m)));
    let carrier = config.trunks[0].outbound.as_ref().expect("host");
    assert_eq!(carrier.caller_number.as_ref().map(PhoneNumber::as_str), Some("+442079460000"));
    assert_eq!((carrier.port, carrier.tcp, carrier.register_seconds), (None, false, Some(600)));
    let to = config.destinations.decide("200", "020 7946 0018").expect("a route");
    assert_eq!((to.trunks(), to.written()), (&[0, 1][..], "+442079460018"));
    assert!(config.destinations.decide("200", "999").expect("help").is_emergency(), "the country's own numbers are the default");
    assert!(!format!("{config:?}").contains("planted-secret"));
}

#[test]
fn calls_out_without_a_way_to_help_are_a_mistake() {
    assert_eq!(keys(outbound(|text| text.replace("emergency = true", "prefix = \"+33\""))), ["route"]);
    let none = outbound(|text| format!("emergency = []\n{}", text.replace("emergency = true", "prefix = \"+33\"")));
    assert!(none.is_ok(), "said on purpose");
}

#[test]
fn mistakes_about_calls_out_are_told_with_their_key() {
    let found = |from: &str, to: &str| keys(outbound(|text| text.replacen(from, to, 1)));
    assert_eq!(found("trunks = [\"carrier\", \"backup\"]", "trunks = [\"carier\"]"), ["route[0].trunks"]);
    assert_eq!(found("password = \"planted-secret\"", ""), ["trunk[0].password", "trunk[0].register"]);
    assert_eq!(found("username = \"acme\"", ""), ["trunk[0].register", "trunk[0].username"]);
    assert_eq!(found("password = ", "password_env = \"X\"\npassword = "), ["trunk[0].password", "trunk[0].register"]);
    assert_eq!(found("host = \"192.0.2.9\"", ""), ["route[0].trunks", "route[1].trunks", "trunk[1].addresses"]);
    assert_eq!(found("prefix = \"+44\"", "prefix = \"0x\""), ["route[1].prefix"]);
    assert_eq!(found("phones = [\"*\"]", ""), ["group[0].phones"]);
    assert_eq!(found("name = \"backup\"", "name = \"carrier\""), ["route[0].trunks", "route[1].trunks", "trunk[1].name"]);
}

#[test]
fn ports_for_emergency_calls_are_kept_beside_the_others() {
    let texts = [("trunks.toml".to_owned(), OUTBOUND.to_owned()), ("sip.toml".to_owned(), "[limits]\nmax_calls = 99\n".to_owned())];
    assert_eq!(keys(Config::parse(&texts)), ["limits.max_calls"]);
}

#[test]
fn a_password_file_is_read_from_the_folder_and_refused_where_others_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = std::env::temp_dir().join(format!("throughline-secret-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("folder");
    let file = folder.join("carrier.password");
    fs::write(&file, "from-a-file\n").expect("file");
    fs::write(folder.join("sip.toml"), "[limits]\nmax_calls = 98\n").expect("file");
    fs::write(folder.join("trunks.toml"), OUTBOUND.replace("password = \"planted-secret\"", "password_file = \"carrier.password\""))
        .expect("file");
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("mode");
    mode(0o644);
    let told = Config::read(&folder).expect_err("readable by others").to_string();
    assert!(told.contains("trunk[0].password") && told.contains("0600") && !told.contains("from-a-file"), "{told}");
    mode(0o600);
    let config = Config::read(&folder).expect("valid");
    let account = config.trunks[0].outbound.as_ref().and_then(|outbound| outbound.account.clone()).expect("account");
    assert_eq!(account.password.text(), "from-a-file");
    fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn numbers_of_the_companys_own_are_read_and_a_wrong_expression_is_named() {
    let read = |text: &str| Config::parse(&[("speech.toml".to_owned(), text.to_owned())]);
    let config =
        read("[redaction]\nkeep_last_four = true\n[[redaction.pattern]]\nname = \"policy\"\nregex = '\\bPX\\d{4}\\b'").expect("is right");
    let rules = &config.speech.redaction.rules;
    assert!((rules.keep_last_four, rules.off, rules.patterns.len(), config.speech.redaction.audio) == (true, false, 1, true));
    let mistakes = read("[[redaction.pattern]]\nname = \"policy\"\nregex = '('\n[[redaction.pattern]]\nname = \"a]\"\nregex = 'a'");
    let mistakes = mistakes.expect_err("two mistakes");
    let found: Vec<_> = mistakes.iter().map(|m| (m.file.as_str(), m.key.as_str())).collect();
    assert_eq!(found, [("speech.toml", "redaction.pattern[0].regex"), ("speech.toml", "redaction.pattern[1].name")]);
}

#[test]
fn audio_has_an_address_of_each_ip_version_that_phones_come_by() {
    let mut texts = example();
    replaced("media.toml", "bind = \"127.0.0.1\"", "bind = [\"127.0.0.1\", \"::1\"]", &mut texts);
    replaced("sip.toml", "[limits]", "[[listener]]\nname = \"six\"\nbind = \"[::1]:5060\"\n[limits]", &mut texts);
    let config = Config::parse(&texts).unwrap_or_else(|m| panic!("{}", lines(&m)));
    assert_eq!(config.media.bind.len(), 2);
    replaced("media.toml", ", \"::1\"]", ", \"127.0.0.2\"]", &mut texts);
    let mistakes = Config::parse(&texts).expect_err("two mistakes");
    let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|text| text.contains("two addresses of one IP version")), "{told:?}");
    assert!(told.iter().any(|text| text.contains("no IPv6 address to send audio to")), "{told:?}");
}

#[test]
fn each_listener_may_name_its_own_algorithms_of_the_digest() {
    use crate::protocol::sip::digest::ChallengeOffer::{Both, BothMd5First, Md5Only, Sha256Only};
    let read = |sip: &str, listener: &str| {
        let text = format!(
            "[sip]\n{sip}\n[[listener]]\nname = \"lan\"\nbind = \"127.0.0.1:5060\"\n[[listener]]\nname = \"old\"\nbind = \"127.0.0.1:5070\"\n{listener}"
        );
        let config = Config::parse(&[("sip.toml".to_owned(), text)])?;
        Ok::<_, Vec<Mistake>>([0, 1].map(|at| config.sip.digest_at(&config.sip.listeners[at])))
    };
    let rows = [
        ("", "", [Both, Both]),
        ("", "digest = [\"MD5\"]", [Both, Md5Only]),
        ("", "digest = [\"md5\", \"sha-256\"]", [Both, BothMd5First]),
        ("md5 = false", "", [Sha256Only, Sha256Only]),
        ("digest = [\"SHA-256\"]", "digest = [\"SHA-256\", \"MD5\"]", [Sha256Only, Both]),
        ("md5 = false\ndigest = [\"SHA-256\"]", "", [Sha256Only, Sha256Only]),
    ];
    for (sip, listener, expected) in rows {
        assert_eq!(read(sip, listener).unwrap_or_else(|m| panic!("{}", lines(&m))), expected, "{sip} {listener}");
    }
    let mistakes = [
        ("md5 = false\ndigest = [\"MD5\"]", "", &["sip.digest"][..]),
        ("md5 = false", "digest = [\"SHA-256\", \"MD5\"]", &["listener[1].digest"]),
        ("", "digest = []", &["listener[1].digest"]),
        ("", "digest = [\"MD5\", \"MD5\"]", &["listener[1].digest"]),
        ("", "digest = [\"SHA-256\", \"SHA-1\"]", &["listener[1].digest[1]"]),
        ("digest = \"MD5\"", "", &["sip.digest"]),
    ];
    for (sip, listener, expected) in mistakes {
        let found = read(sip, listener).expect_err("a mistake");
        let keys: Vec<_> = found.iter().map(|m| (m.file.as_str(), m.key.as_str())).collect();
        assert_eq!(keys, expected.iter().map(|key| ("sip.toml", *key)).collect::<Vec<_>>(), "{}", lines(&found));
    }
}

#[test]
fn a_trunk_has_callers_hear_us_before_the_answer_only_where_it_says_so() {
    let read = |keys: &str| {
        let text = format!("[[trunk]]\nname = \"carrier\"\naddresses = [\"127.0.0.2\"]\n{keys}");
        Config::parse(&[("trunks.toml".to_owned(), text)])
    };
    let early = |keys: &str| read(keys).unwrap_or_else(|m| panic!("{}", lines(&m))).trunks[0].early_media;
    assert_eq!(early(""), None);
    assert_eq!(early("early_media = true"), Some(Duration::from_secs(120)));
    assert_eq!(early("early_media = true\nearly_media_seconds = 50"), Some(Duration::from_secs(50)));
    assert_eq!(keys(read("early_media_seconds = 50")), ["trunk[0].early_media_seconds"]);
    assert_eq!(keys(read("early_media = true\nearly_media_seconds = 180")), ["trunk[0].early_media_seconds"]);
    assert_eq!(keys(read("early_media = \"yes\"")), ["trunk[0].early_media"]);
}

#[test]
fn a_trunk_that_only_brings_calls_has_no_cap_unless_it_is_given_one() {
    let mut texts = example();
    let cap = |texts: &[(String, String)]| Config::parse(texts).unwrap_or_else(|m| panic!("{}", lines(&m))).trunks[0].max_calls;
    assert_eq!(cap(&texts), None);
    replaced("trunks.toml", "# max_calls = 30  ", "max_calls = 7  ", &mut texts);
    assert_eq!(cap(&texts), Some(7));
    let limits = ("sip.toml".to_owned(), "[limits]\nmax_calls = 98\n".to_owned());
    let outbound = [("trunks.toml".to_owned(), OUTBOUND.to_owned()), limits];
    assert_eq!(cap(&outbound), Some(30));
}
