//! Answers as the API words them.

use aws_smithy_runtime_api::client::result::ConnectorError;
use serde_json::{Map, Value, json};

use super::{HttpAnswer, other};

/// A refusal with this code.
pub(super) fn failure(status: u16, code: &str) -> HttpAnswer {
    let body = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "injected"});
    HttpAnswer { status, body: body.to_string().into_bytes() }
}

/// A cancelled transaction, with the reason at its first item.
pub(super) fn cancelled(request: &Value, code: &str) -> HttpAnswer {
    let items = request.get("TransactItems").and_then(Value::as_array).map_or(0, Vec::len);
    let reasons: Vec<Value> =
        (0..items).map(|n| json!({"Code": if n == 0 { code } else { "None" }})).collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "injected",
        "CancellationReasons": reasons,
    });
    HttpAnswer { status: 400, body: body.to_string().into_bytes() }
}

/// Takes all keys but the first out of a batch, in the form of unprocessed ones.
pub(super) fn hold_back(request: &mut Value) -> Option<Value> {
    let tables = request.get_mut("RequestItems")?.as_object_mut()?;
    let mut left_over = Map::new();
    for (table, wanted) in tables {
        let keys = wanted.get_mut("Keys")?.as_array_mut()?;
        let rest = keys.split_off(keys.len().min(1));
        if !rest.is_empty() {
            let mut left = wanted.clone();
            left.as_object_mut()?.insert("Keys".to_owned(), Value::Array(rest));
            left_over.insert(table.clone(), left);
        }
    }
    Some(Value::Object(left_over))
}

/// Puts the keys held back into the answer.
pub(super) fn with_left_over(body: Vec<u8>, left_over: Option<Value>) -> Vec<u8> {
    let Some(left_over) = left_over else { return body };
    let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else { return body };
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("UnprocessedKeys".to_owned(), left_over);
    }
    answer.to_string().into_bytes()
}

/// The capacity units an answer tells of.
pub(super) fn units(body: Vec<u8>) -> Result<(f64, Vec<u8>), ConnectorError> {
    let answer: Value = serde_json::from_slice(&body).map_err(other)?;
    let of = |consumed: &Value| consumed.get("CapacityUnits").and_then(Value::as_f64);
    let used = match answer.get("ConsumedCapacity") {
        Some(Value::Array(tables)) => tables.iter().filter_map(of).sum(),
        Some(consumed) => of(consumed).unwrap_or(0.0),
        None => 0.0,
    };
    Ok((used, body))
}
