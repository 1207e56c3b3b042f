use super::*;

pub(super) fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
    let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Config::parse("sealwax.toml".to_owned(), text, environment)
}

pub(super) fn lines(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let problems = parse(text, environment).unwrap_err();
    problems.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn without_a_file_everything_is_loopback_embedded_and_staging() {
    let config = parse("", &[]).unwrap();
    assert_eq!(config.xds.listen.to_string(), "127.0.0.1:18000");
    assert_eq!(config.edge.listen.to_string(), "127.0.0.1:18001");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:18002");
    assert_eq!(config.store, Store::Embedded { path: "./sealwax-data".into() });
    assert_eq!(config.kek, Kek::File("./sealwax-data/kek".into()));
    assert_eq!(config.issuers.len(), 1);
    assert_eq!(config.issuers[0].directory.as_str(), STAGING_DIRECTORY);
    assert_eq!(config.issuance.max_wait, Span::from_secs(10));
    assert!(config.issuance.on_handshake && !config.issuance.on_register);
    assert_eq!(config.xds.budget_names, 50_000);
}

#[test]
fn every_section_is_read_into_types() {
    let text = r#"
        [admin]
        listen = "0.0.0.0:9000"
        token_file = "/run/token"
        [store]
        kind = "dynamodb"
        table_prefix = "prod"
        region = "eu-west-1"
        endpoint_url = "http://127.0.0.1:8000"
        last_good_path = "/var/lib/sealwax"
        last_good_mb = 12
        [keys]
        kek = "env:SEALWAX_KEK"
        retired = ["file:old", "env:OLDER"]
        [[issuer]]
        name = "main"
        directory = "https://ca.example/dir"
        contact = ["mailto:a@example.com", "b@example.com"]
        eab_kid = "kid-1"
        eab_hmac_key_file = "hmac"
        key_type = "ecdsa_p384"
        [[issuer]]
        name = "spare"
        directory = "https://spare.example/dir"
        contact = "c@example.com"
        [issuance]
        concurrency = 64
        on_register = true
        [permission]
        ask_url = "http://127.0.0.1:7000/ask"
        cache_ttl = "0s"
        [telemetry]
        log = "json"
    "#;
    let config = parse(text, &[]).unwrap();
    assert_eq!(config.kek, Kek::Env("SEALWAX_KEK".to_owned()));
    assert_eq!(config.issuers[0].contact, ["a@example.com", "b@example.com"]);
    assert_eq!(config.issuers[0].key_type, KeyType::EcdsaP384);
    assert_eq!(config.issuers[0].binding.as_ref().unwrap().kid, "kid-1");
    assert_eq!(config.issuers[1].contact, ["c@example.com"]);
    assert_eq!(config.issuance.concurrency, 64);
    assert_eq!(config.permission.cache_ttl, Span::ZERO);
    assert_eq!(config.telemetry.log, LogFormat::Json);
    let Store::Dynamodb { region: Some(_), last_good: Some(copy), .. } = config.store else {
        panic!("{:?}", config.store)
    };
    assert_eq!((copy.path, copy.bytes_max), ("/var/lib/sealwax".into(), 12_000_000));
    let retired = [Kek::File("old".into()), Kek::Env("OLDER".to_owned())];
    assert_eq!(config.retired_keks, retired);
}

#[test]
fn a_key_in_kms_is_named_by_its_arn() {
    let arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd";
    let config = parse(&format!("[keys]\nkek = \"kms:{arn}\"\n"), &[]).unwrap();
    assert!(matches!(config.kek, Kek::Kms(named) if named.to_string() == arn));
    let found = lines("[keys]\nkek = \"kms:alias/sealwax\"\n", &[]);
    assert!(found[0].contains("\"kms:ARN\""), "{found:?}");
}

#[test]
fn the_environment_goes_before_the_file() {
    let text = "[xds]\nlisten = \"127.0.0.1:1\"\n[issuance]\nconcurrency = 3\n";
    let environment = [
        ("SEALWAX__XDS__LISTEN", "[::1]:2"),
        ("SEALWAX__ISSUANCE__ON_REGISTER", "true"),
        ("SEALWAX__ISSUER__0__NAME", "pebble"),
        ("SEALWAX__ISSUER__0__DIRECTORY", "https://127.0.0.1:14000/dir"),
        ("SEALWAX_SERVER", "http://not-a-key"),
        ("PATH", "/bin"),
    ];
    let config = parse(text, &environment).unwrap();
    assert_eq!(config.xds.listen.to_string(), "[::1]:2");
    assert_eq!(config.issuance.concurrency, 3);
    assert!(config.issuance.on_register);
    assert_eq!(config.issuers[0].name, "pebble");
}

#[test]
fn everything_wrong_is_reported_at_once_with_place_key_value_and_what_is_allowed() {
    let text = r#"
        colour = "red"
        [xds]
        lisen = "127.0.0.1:1"
        budget_names = 0
        [issuance]
        max_wait = "10 seconds"
        concurrency = "16"
        [store]
        region = "eu"
        [telemetry]
        log = "xml"
        [[issuer]]
        directory = "ftp://ca.example"
        eab_kid = "k"
    "#;
    let found = lines(text, &[("SEALWAX__EDGE__LISTEN", "nowhere"), ("SEALWAX__EDGE", "x")]);
    let expected = [
        "sealwax.toml: colour is no section; allowed: xds, edge, admin, store, keys, issuer, \
         permission, preflight, notify, issuance, renewal, limits, telemetry",
        "sealwax.toml: xds.lisen is no key; allowed: listen, tls_cert_file, tls_key_file, \
         client_ca_file, budget_names, edge_budgets, edge_tenants, wildcard_zones, \
         withdrawal_percent, withdrawal_window, withdrawal_floor",
        "environment: SEALWAX__EDGE is no key; allowed: SEALWAX__SECTION__KEY, and \
         SEALWAX__ISSUER__0__KEY for the first [[issuer]]",
        "sealwax.toml: xds.budget_names = 0: allowed: a whole number from 1 to 10000000",
        "environment SEALWAX__EDGE__LISTEN: edge.listen = \"nowhere\": allowed: an IP address \
         with a port, such as 127.0.0.1:18000, or \"unix:PATH\"",
        "sealwax.toml: store.region = \"eu\": is only allowed with store.kind = \"dynamodb\"",
        "sealwax.toml: issuer[0].name is missing; allowed: 1 to 64 characters of a-z, 0-9 and '-'",
        "sealwax.toml: issuer[0].directory = \"ftp://ca.example\": allowed: an http:// or \
         https:// URL without user or password",
        "sealwax.toml: issuer[0].eab_kid = \"k\": is only allowed together with eab_hmac_key_file",
        "sealwax.toml: issuance.concurrency = \"16\": allowed: a whole number from 1 to 1024",
        "sealwax.toml: issuance.max_wait = \"10 seconds\": allowed: a duration from 100ms to 5m",
        "sealwax.toml: telemetry.log = \"xml\": allowed: \"text\" or \"json\"",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_listener_that_is_not_loopback_needs_its_protection() {
    let text = "[xds]\nlisten = \"0.0.0.0:1\"\n[edge]\nlisten = \"[::]:2\"\n\
                [admin]\nlisten = \"192.0.2.1:3\"\n";
    let found = lines(text, &[]);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("xds.listen = \"0.0.0.0:1\"") && found[0].contains("mutual TLS"));
    assert!(found[1].contains("edge.listen = \"[::]:2\"") && found[1].contains("mutual TLS"));
    assert!(found[2].contains("admin.listen") && found[2].contains("admin.token_file"));
    let with_token = "[admin]\nlisten = \"192.0.2.1:3\"\ntoken_file = \"t\"\n";
    assert!(parse(with_token, &[]).is_ok());
}

#[test]
fn webhooks_and_limits_are_read() {
    let text = r#"
        [[issuer]]
        name = "le"
        directory = "https://ca.example/dir"
        limits = "letsencrypt-staging"
        [[notify]]
        url = "https://platform.example/hooks"
        secret_file = "secret"
        events = ["certificate.issued", "domain.parked"]
        [[notify]]
        url = "http://127.0.0.1:7000/hooks"
        secret_file = "secret"
        [renewal]
        gone_grace = "3d"
        [limits]
        orders_per_3h = 1500
        tenant_share_percent = 25
    "#;
    let config = parse(text, &[]).unwrap();
    assert_eq!(config.issuers[0].limits, Some(LimitsPreset::LetsEncryptStaging));
    assert_eq!(config.notify[0].events, ["certificate.issued", "domain.parked"]);
    assert_eq!(config.notify[1].events.len(), EVENTS.len());
    let secret = |one: &Notify| match &one.to {
        Destination::Webhook { secret_file, .. } => secret_file.display().to_string(),
        Destination::Topic { .. } | Destination::Stream { .. } => String::new(),
    };
    assert_eq!(config.notify.iter().map(secret).collect::<Vec<_>>(), ["secret", "secret"]);
    assert_eq!(config.renewal.gone_grace, Span::from_secs(3 * 86_400));
    assert_eq!((config.limits.orders, config.limits.name), (Some(1500), None));
    assert_eq!(config.limits.tenant_share_percent, 25);
}

#[test]
fn a_listener_with_mutual_tls_may_be_anywhere_and_a_unix_socket_needs_none() {
    let tls = "tls_cert_file = \"c\"\ntls_key_file = \"k\"\nclient_ca_file = \"a\"\n";
    let text = format!(
        "[xds]\nlisten = \"0.0.0.0:1\"\n{tls}[edge]\nlisten = \"unix:/run/sealwax/edge.sock\"\n"
    );
    let config = parse(&text, &[]).unwrap();
    let files = config.xds.tls.unwrap();
    assert_eq!(
        [files.cert_file, files.key_file, files.client_ca_file],
        ["c", "k", "a"].map(PathBuf::from)
    );
    assert_eq!(config.edge.listen.to_string(), "unix:/run/sealwax/edge.sock");
    let long = format!("[edge]\nlisten = \"unix:/{}\"\n", "x".repeat(107));
    for (text, problems, word) in [
        ("[xds]\ntls_cert_file = \"c\"\n".to_owned(), 1, "together with all of"),
        (format!("[xds]\nlisten = \"unix:/s\"\n{tls}"), 3, "with a Unix socket"),
        ("[edge]\nlisten = \"unix:\"\n".to_owned(), 1, "unix:PATH"),
        (long, 1, "unix:PATH"),
        ("[xds]\nlisten = \"unix:/s\"\n[edge]\nlisten = \"unix:/s\"\n".to_owned(), 1, "too"),
    ] {
        let found = lines(&text, &[]);
        assert_eq!(found.len(), problems, "{text}: {found:#?}");
        assert!(found[0].contains(word), "{found:#?}");
    }
}

#[test]
fn edges_have_their_own_budgets_and_tenants() {
    let text = "[xds]\nedge_budgets = [\"small=20\", \"edge:2=3\"]\n\
                edge_tenants = [\"eu=acme\", \"us=globex\", \"eu=b=c\"]\n";
    let config =
        parse(text, &[("SEALWAX__XDS__WILDCARD_ZONES", "Example.com, b.example")]).unwrap();
    assert_eq!(config.xds.edge_budgets["small"], 20);
    assert_eq!(config.xds.edge_budgets["edge:2"], 3);
    assert_eq!(config.xds.edge_tenants["eu"], ["acme", "b=c"]);
    assert_eq!(config.xds.edge_tenants["us"], ["globex"]);
    let zones: Vec<_> = config.xds.wildcard_zones.iter().map(ToString::to_string).collect();
    assert_eq!(zones, ["example.com", "b.example"]);
    for bad in [
        "edge_budgets = [\"small\"]",
        "edge_budgets = [\"small=0\"]",
        "edge_budgets = [\"a=1\", \"a=2\"]",
        "edge_tenants = [\"=t\"]",
        "wildcard_zones = [\"*.example.com\"]",
    ] {
        assert_eq!(lines(&format!("[xds]\n{bad}\n"), &[]).len(), 1, "{bad}");
    }
}

#[test]
fn contradictions_are_refused() {
    for (text, word) in [
        ("[store]\nkind = \"dynamodb\"\n", "keys.kek is missing"),
        ("[store]\nkind = \"dynamodb\"\npath = \"x\"\n[keys]\nkek = \"env:K\"\n", "store.path"),
        ("[store]\nlast_good_mb = 10\n", "store.last_good_mb"),
        ("[keys]\nretired = \"c2VjcmV0\"\n", "keys.retired = (not shown)"),
        ("[issuance]\non_handshake = false\n", "no certificate would ever be issued"),
        (
            "[[notify]]\nurl = \"http://hooks.example/\"\nsecret_file = \"s\"\n",
            "neither https nor on a loopback",
        ),
        ("[edge]\nlisten = \"127.0.0.1:18000\"\n", "edge.listen"),
        ("[admin]\nlisten = \"127.0.0.1:18001\"\n", "admin.listen"),
        (
            "[[issuer]]\nname = \"a\"\ndirectory = \"https://a.example\"\n\
             [[issuer]]\nname = \"a\"\ndirectory = \"https://b.example\"\n",
            "issuer[1].name = \"a\"",
        ),
    ] {
        let found = lines(text, &[]);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].contains(word), "{found:#?}");
    }
}

#[test]
fn a_key_put_where_its_place_is_asked_for_is_not_repeated() {
    let found = lines("[keys]\nkek = \"c2VjcmV0LXNlY3JldA\"\n", &[]);
    assert_eq!(
        found,
        [
            "sealwax.toml: keys.kek = (not shown): allowed: \"file:PATH\", \"env:VARIABLE\" or \"kms:ARN\""
        ]
    );
}

#[test]
fn wrong_shapes_are_refused_without_a_panic() {
    for text in [
        "xds = 5",
        "[xds]\nlisten = 1979-05-27",
        "[xds]\nlisten = { a = 1 }",
        "[issuer]\nname = \"a\"",
        "issuer = [1, 2]",
        "[[issuer]]\nname = \"a\"\ndirectory = \"https://a.example\"\ncontact = [1]",
        "[issuance]\nconcurrency = -1",
        "[issuance]\nmax_wait = \"99999999999999999999d\"",
        "[[xds]]\nlisten = \"127.0.0.1:1\"",
    ] {
        assert!(parse(text, &[]).is_err(), "{text}");
    }
    let far = [("SEALWAX__ISSUER__18446744073709551615__NAME", "a")];
    assert!(parse("", &far).is_err());
}

#[test]
fn text_that_is_not_toml_names_the_line() {
    let found = lines("[xds]\nlisten = \"127.0.0.1:1\"\nlisten = = 5\n", &[]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("sealwax.toml: the file is not TOML: line 3: "), "{found:?}");
}

#[test]
fn a_missing_file_is_one_line() {
    let problems = Config::load(Some(Path::new("/nowhere/s.toml")), std::iter::empty());
    let text = problems.unwrap_err().to_string();
    assert!(text.starts_with("/nowhere/s.toml: the file cannot be read: "), "{text}");
}

#[test]
fn a_preflight_is_on_for_real_authorities_and_off_for_those_on_this_machine() {
    let preflight = |text: &str| parse(text, &[]).unwrap().preflight;
    let issuer = |url: &str| format!("[[issuer]]\nname = \"a\"\ndirectory = \"{url}\"\n");
    assert!(preflight("").enabled);
    assert!(preflight(&issuer("https://ca.example/dir")).enabled);
    let local = issuer("https://localhost:14000/dir");
    assert!(!preflight(&local).enabled);
    assert!(preflight(&format!("{local}[preflight]\nenabled = true\n")).enabled);
    let told = preflight(
        "[preflight]\nresolvers = [\"9.9.9.9\", \"127.0.0.1:8053\", \"[::1]:53\"]\n\
         edges = \"203.0.113.0/24\"\nport = 5002\n",
    );
    let servers: Vec<_> = told.resolvers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["9.9.9.9:53", "127.0.0.1:8053", "[::1]:53"]);
    assert!(told.edges[0].contains("203.0.113.9".parse().unwrap()));
    assert_eq!((told.port, told.timeout), (5002, Span::from_secs(2)));
    let wrong = "[preflight]\nresolvers = \"dns.example\"\nedges = \"1.2.3.4/33\"\nport = 0\n";
    assert_eq!(lines(wrong, &[]).len(), 3);
}

#[test]
fn every_default_is_itself_allowed() {
    // A default that its own key refuses would make the empty configuration fail.
    assert!(parse("", &[]).is_ok());
    let dynamodb = "[store]\nkind = \"dynamodb\"\n[keys]\nkek = \"env:K\"\n";
    assert!(parse(dynamodb, &[]).is_ok());
    let off = [("SEALWAX__STORE__LAST_GOOD_MB", "0")];
    let config = parse(dynamodb, &off).unwrap();
    assert!(matches!(config.store, Store::Dynamodb { last_good: None, .. }));
}

#[test]
fn durations_are_a_number_and_a_unit() {
    for (text, span) in [
        ("250ms", Some(250)),
        ("10s", Some(10_000)),
        ("5m", Some(300_000)),
        ("2h", Some(7_200_000)),
        ("1d", Some(86_400_000)),
        ("10", None),
        ("s", None),
        ("-1s", None),
        ("1.5s", None),
        ("1 s", None),
        ("", None),
        ("1s1", None),
    ] {
        assert_eq!(parse_span(text), span.map(Span::from_millis), "{text}");
    }
    assert_eq!(allowed::spelled(Span::from_secs(86_400)), "1d");
    assert_eq!(allowed::spelled(Span::from_millis(1_500)), "1500ms");
    assert_eq!(allowed::spelled(Span::ZERO), "0ms");
}

#[test]
fn the_manual_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let written = std::fs::read_to_string(path).unwrap();
    assert!(written == reference(), "run: sealwax docs configuration > docs/configuration.md");
}

#[test]
fn every_configuration_in_the_documents_is_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::fs::read_dir(root.join("docs")).unwrap();
    let documents = folder.map(|entry| entry.unwrap().path()).chain([root.join("README.md")]);
    let here = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for document in documents.filter(|path| path.extension().is_some_and(|kind| kind == "md")) {
        let text = std::fs::read_to_string(&document).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let file = here.path().join("sealwax.toml");
            std::fs::write(&file, block.split("```").next().unwrap()).unwrap();
            if let Err(problems) = Config::load(Some(&file), std::iter::empty()) {
                panic!("{}: {problems}", document.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 3, "{seen}");
}
