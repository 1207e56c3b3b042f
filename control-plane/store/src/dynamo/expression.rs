//! Writes of one item, with placeholders for every name, since many words are reserved.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, Update};
use sealwax_core::DomainRecord;
use sealwax_core::store::StoreError;

use super::keys::{
    DUE_SHARDS, Item, LIST_SHARDS, TENANT_SHARDS, attribute, number, shard_of, shard_value, text,
};
use super::write::incomplete;

/// One write of one item, with its condition.
#[derive(Debug, Default)]
pub(crate) struct Expression {
    conditions: Vec<String>,
    sets: Vec<(String, AttributeValue)>,
    removes: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// The item must not exist.
    pub(crate) fn expect_absent(&mut self) {
        let name = self.name(attribute::PK);
        self.conditions.push(format!("attribute_not_exists({name})"));
    }

    /// The item must be at this version.
    pub(crate) fn expect_version(&mut self, version: u64) {
        let name = self.name(attribute::RECORD_VERSION);
        self.values.insert(":expected".to_owned(), number(version));
        self.conditions.push(format!("{name} = :expected"));
    }

    /// The item must have this attribute.
    pub(crate) fn expect_present(&mut self, attribute: &str) {
        let name = self.name(attribute);
        self.conditions.push(format!("attribute_exists({name})"));
    }

    /// The attribute must have this value.
    pub(crate) fn expect_equal(&mut self, attribute: &str, value: AttributeValue) {
        let name = self.name(attribute);
        self.values.insert(":equal".to_owned(), value);
        self.conditions.push(format!("{name} = :equal"));
    }

    /// Sets an attribute.
    pub(crate) fn set(&mut self, attribute: &str, value: AttributeValue) {
        self.sets.push((attribute.to_owned(), value));
    }

    /// Removes an attribute, if it is there.
    pub(crate) fn remove(&mut self, attribute: &str) {
        self.removes.push(attribute.to_owned());
    }

    /// What was there before and is not named stays. As part of a transaction, or on its own.
    pub(crate) fn into_update(mut self, table: &str, key: Item) -> Result<Update, StoreError> {
        let mut sets = Vec::new();
        for (attribute, value) in std::mem::take(&mut self.sets) {
            let placeholder = format!(":{attribute}");
            sets.push(format!("{} = {placeholder}", self.name(&attribute)));
            self.values.insert(placeholder, value);
        }
        let mut expression = format!("SET {}", sets.join(", "));
        let removes = std::mem::take(&mut self.removes);
        if !removes.is_empty() {
            let names: Vec<_> = removes.iter().map(|attribute| self.name(attribute)).collect();
            expression.push_str(" REMOVE ");
            expression.push_str(&names.join(", "));
        }
        Update::builder()
            .table_name(table)
            .set_key(Some(key))
            .update_expression(expression)
            .condition_expression(self.conditions.join(" AND "))
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(incomplete)
    }

    /// A whole item, for one that must not exist yet: less to read than an update, for a server.
    pub(crate) fn into_put(self, table: &str, mut item: Item) -> Result<Put, StoreError> {
        item.extend(self.sets);
        Put::builder()
            .table_name(table)
            .set_item(Some(item))
            .condition_expression(self.conditions.join(" AND "))
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(incomplete)
    }

    fn name(&mut self, attribute: &str) -> String {
        let placeholder = format!("#{attribute}");
        self.names.insert(placeholder.clone(), attribute.to_owned());
        placeholder
    }
}

/// Sets the index attributes as the record wants them; without a record, takes it out of all.
pub(crate) fn record_indexes(update: &mut Expression, record: Option<&DomainRecord>) {
    let wanted = record.map(|record| {
        let name = record.domain.as_str();
        let shard = |prefix: &str, shards| text(shard_value(prefix, shard_of(name, shards)));
        let state = record.state().as_str();
        let tenant = record.registration.tenant.as_deref().filter(|tenant| !tenant.is_empty());
        let wake_at = record.wake_at();
        [
            (attribute::LIST_SHARD, Some(shard("all", LIST_SHARDS))),
            (attribute::STATE_SHARD, Some(shard(state, LIST_SHARDS))),
            (attribute::TENANT_SHARD, tenant.map(|tenant| shard(tenant, TENANT_SHARDS))),
            (attribute::TENANT_KEY, tenant.map(|_| text(format!("{state}#{name}")))),
            (attribute::DUE_SHARD, wake_at.map(|_| shard("due", DUE_SHARDS))),
            (attribute::DUE_AT, wake_at.map(|at| number(at.millis()))),
        ]
    });
    let absent = [
        (attribute::LIST_SHARD, None),
        (attribute::STATE_SHARD, None),
        (attribute::TENANT_SHARD, None),
        (attribute::TENANT_KEY, None),
        (attribute::DUE_SHARD, None),
        (attribute::DUE_AT, None),
    ];
    for (attribute, value) in wanted.unwrap_or(absent) {
        match value {
            Some(value) => update.set(attribute, value),
            None => update.remove(attribute),
        }
    }
}
