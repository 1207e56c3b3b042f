use super::*;

#[test]
fn a_registered_domain_waits_for_demand() {
    let domain = DomainName::parse("a.example.com").unwrap();
    let record = DomainRecord::registered(domain, Registration::default(), Timestamp::from_secs(5));
    assert_eq!(record.state(), DomainState::Pending);
    assert_eq!(record.wake_at(), None);
}

#[test]
fn states_are_spelled_alike_in_code_and_json() {
    for state in DomainState::ALL {
        assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.as_str()));
    }
}
