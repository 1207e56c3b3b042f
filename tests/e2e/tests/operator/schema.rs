//! The admin API held against its own OpenAPI document.

use sealwax_testkit::tool;

use crate::plain::Plain;

/// Made-up requests for each operation.
const EXAMPLES: &str = "25";

#[tokio::test]
async fn the_api_answers_everything_as_its_openapi_document_says() {
    let plain = Plain::start("token_file = \"token\"").await.unwrap();
    let mut command = tokio::process::Command::new(tool("schemathesis").unwrap());
    command
        .arg("run")
        .arg(format!("http://{}/openapi.json", plain.address()))
        .args(["--header", "Authorization: Bearer 0123456789abcdef-write"])
        // The one never ends, the other speaks NDJSON, which it cannot make: tested elsewhere.
        .args(["--exclude-path", "/v1/events", "--exclude-path", "/v1/domains:batch"])
        // They ask a CA, and there is none here: 502 is what they have to answer.
        .args(["--exclude-path", "/v1/issuers/{issuer}/account/rollover"])
        .args(["--exclude-path", "/v1/issuers/{issuer}/account/contact"])
        .args(["--exclude-path", "/v1/issuers/{issuer}/account/reset"])
        // What a domain or a cursor is, no schema can say.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .args(["--phases", "coverage,fuzzing"])
        .args(["--max-examples", EXAMPLES, "--seed", "1", "--request-timeout", "10", "--no-color"])
        .current_dir(plain.folder.path())
        .kill_on_drop(true);
    let patience = std::time::Duration::from_secs(120);
    let output = tokio::time::timeout(patience, command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Tested:"), "{said}");
}
