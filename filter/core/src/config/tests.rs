use super::*;

fn parse(json: &str) -> Result<Config, Vec<String>> {
    Config::parse(json.as_bytes())
        .map_err(|errors| errors.all().iter().map(|error| error.key.clone()).collect())
}

#[test]
fn a_cluster_is_all_it_needs() {
    let config = parse(r#"{"cluster":"edge"}"#).unwrap();
    assert_eq!(config.cluster, "edge");
    assert_eq!((config.redirect.status, config.redirect.port), (308, 443));
    assert_eq!(config.listener, Listener::Http);
    assert!(!config.usage.enabled);
}

#[test]
fn usage_is_reported_from_https_listeners_unless_told_otherwise() {
    assert!(parse(r#"{"cluster":"e","listener":"https"}"#).unwrap().usage.enabled);
    let off = r#"{"cluster":"e","listener":"https","usage":{"enabled":false}}"#;
    assert!(!parse(off).unwrap().usage.enabled);
}

#[test]
fn every_error_is_named_at_once() {
    let keys = parse(
        r#"{"listener":"tcp","tick_ms":1,"redirect":{"status":303,"prot":1},"cache":7,"bogus":0}"#,
    );
    assert_eq!(
        keys,
        Err([
            "listener",
            "cluster",
            "tick_ms",
            "redirect.status",
            "redirect.prot",
            "cache",
            "bogus"
        ]
        .map(str::to_owned)
        .to_vec())
    );
}

#[test]
fn an_error_says_what_is_allowed() {
    let errors = Config::parse(br#"{"cluster":"e","redirect":{"status":303}}"#).unwrap_err();
    assert_eq!(errors.to_string(), "redirect.status: 303 is not one of [301, 302, 307, 308]");
    let errors = Config::parse(b"[").unwrap_err();
    assert!(errors.to_string().starts_with("configuration: not JSON"), "{errors}");
    assert_eq!(Config::parse(b"1").unwrap_err().to_string(), "configuration: not a JSON object");
}

#[test]
fn whole_numbers_may_be_written_as_doubles() {
    let config = parse(r#"{"cluster":"e","tick_ms":500.0,"wait_max_ms":1e3}"#).unwrap();
    assert_eq!((config.tick_ms, config.wait_max_ms), (500, 1_000));
    for bad in ["500.5", "-1", "1e300", "\"500\"", "null"] {
        let json = format!(r#"{{"cluster":"e","tick_ms":{bad}}}"#);
        assert_eq!(parse(&json), Err(vec!["tick_ms".to_owned()]), "{bad}");
    }
}

#[test]
fn what_belongs_to_one_listener_is_refused_on_the_other() {
    let keys = parse(r#"{"cluster":"e","hsts":{},"misdirected":true,"usage":{"enabled":true}}"#);
    assert_eq!(keys, Err(["hsts", "misdirected", "usage.enabled"].map(str::to_owned).to_vec()));
}

#[test]
fn preload_asks_for_what_the_preload_lists_ask_for() {
    let with =
        |hsts: &str| parse(&format!(r#"{{"cluster":"e","listener":"https","hsts":{hsts}}}"#));
    assert!(with(r#"{"include_subdomains":true,"preload":true}"#).is_ok());
    assert!(with(r#"{"preload":true}"#).is_err());
    assert!(with(r#"{"max_age_s":60,"include_subdomains":true,"preload":true}"#).is_err());
}

#[test]
fn exempt_paths_are_bounded_and_absolute() {
    let with = |list: &str| parse(&format!(r#"{{"cluster":"e","exempt":{{"exact":{list}}}}}"#));
    assert_eq!(with(r#"["/healthz"]"#).unwrap().exempt.exact, ["/healthz"]);
    let long = format!(r#"["/{}"]"#, "a".repeat(EXEMPT_PATH_BYTES_MAX));
    let many = format!("[{}]", vec![r#""/a""#; EXEMPT_PATHS_MAX + 1].join(","));
    for bad in [r#"["healthz"]"#, r#"["/a?b"]"#, r#"["/a b"]"#, "[1]", "\"/a\"", &long, &many] {
        assert!(with(bad).is_err(), "{bad}");
    }
}

#[test]
fn oversized_configurations_are_refused() {
    let json = format!(r#"{{"cluster":"e"{}}}"#, " ".repeat(CONFIG_BYTES_MAX));
    assert_eq!(parse(&json), Err(vec![String::new()]));
}
