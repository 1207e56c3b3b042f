//! Capacity units, as the API reports them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

#[derive(Default)]
pub(crate) struct Meter(Mutex<BTreeMap<String, Sum>>);

#[derive(Default)]
struct Sum {
    calls: u64,
    units: f64,
}

impl Meter {
    pub(crate) fn count(&self, operation: &str, answer: &str) {
        let units = serde_json::from_str(answer).map_or(0.0, |answer| consumed(&answer));
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = sums.entry(operation.to_owned()).or_default();
        sum.calls += 1;
        sum.units += units;
    }

    /// `{"GetItem": {"calls": 3, "units": 3.0}, …}`
    pub(crate) fn told(&self) -> String {
        let sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told: BTreeMap<_, _> = sums
            .iter()
            .map(|(name, sum)| (name, json!({"calls": sum.calls, "units": sum.units})))
            .collect();
        json!(told).to_string()
    }
}

/// The request, asking for what it consumes.
pub(crate) fn asking(body: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else { return body.to_vec() };
    fields.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
    Value::Object(fields).to_string().into_bytes()
}

fn consumed(answer: &Value) -> f64 {
    let of = |consumed: &Value| consumed.get("CapacityUnits").and_then(Value::as_f64);
    match answer.get("ConsumedCapacity") {
        Some(Value::Array(tables)) => tables.iter().filter_map(of).sum(),
        Some(consumed) => of(consumed).unwrap_or(0.0),
        None => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_asked_for_and_added_up_by_operation() {
        let asked: Value = serde_json::from_slice(&asking(br#"{"TableName":"t"}"#)).unwrap();
        assert_eq!(asked["ReturnConsumedCapacity"], "TOTAL");
        let meter = Meter::default();
        meter.count("GetItem", r#"{"ConsumedCapacity":{"CapacityUnits":1.5}}"#);
        meter.count("GetItem", r#"{"ConsumedCapacity":[{"CapacityUnits":2},{"CapacityUnits":1}]}"#);
        meter.count("Query", "{}");
        let told: Value = serde_json::from_str(&meter.told()).unwrap();
        assert_eq!(told["GetItem"], json!({"calls": 2, "units": 4.5}));
        assert_eq!(told["Query"]["units"], 0.0);
    }
}
