//! Sets the table up: keys, indexes, expiry, backups. Every step may be repeated.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    PointInTimeRecoverySpecification, Projection, ProjectionType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use sealwax_core::store::StoreError;
use serde::Serialize;

use super::error::translate;
use super::keys::{self, INDEXES, Index, attribute, number};
use super::write::incomplete;
use super::{DynamoStore, Patience, item};

/// The layout of keys and indexes that this version writes.
const LAYOUT: u64 = 1;
/// How often and how long apart a new table is looked at until it can be used: AWS takes seconds.
const READY_ATTEMPTS: u32 = 120;
const READY_PAUSE: Duration = Duration::from_millis(500);

/// What `store init` found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Initialized {
    /// The table was created now.
    pub created: bool,
    /// Expiry of garbage was turned on now.
    pub expiry_enabled: bool,
    /// Point-in-time recovery is on; the embedded store and emulators have none.
    pub recovery: bool,
}

/// What is known about the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableFacts {
    /// Its name.
    pub table: String,
    /// As the API says it, `ACTIVE` if it can be used.
    pub status: String,
    /// Items in it. AWS updates this about every six hours.
    pub items: u64,
    /// Bytes in it; likewise.
    pub bytes: u64,
    /// Its indexes, with the items of each.
    pub indexes: Vec<(String, u64)>,
}

impl DynamoStore {
    /// Creates what is missing of the table, its indexes, expiry and backups.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] when a permission is missing or the table is of another
    /// layout.
    pub async fn init(&self) -> Result<Initialized, StoreError> {
        let created = self.create_table().await?;
        self.wait_until_active().await?;
        let expiry_enabled = self.enable_expiry().await?;
        let recovery = if self.exclusive { false } else { self.enable_recovery().await };
        let mut layout = keys::schema_key();
        layout.insert("layout".to_owned(), number(LAYOUT));
        self.background
            .put_item()
            .table_name(&self.table)
            .set_item(Some(layout))
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", attribute::PK)
            .send()
            .await
            .map(|_| ())
            .or_else(|error| match error.code() {
                Some("ConditionalCheckFailedException") => Ok(()),
                _ => Err(translate("PutItem", &error)),
            })?;
        self.check_layout(Patience::Background).await?;
        Ok(Initialized { created, expiry_enabled, recovery })
    }

    /// Facts about the table, for people.
    ///
    /// # Errors
    /// As for every call. Counts every item when the store is embedded.
    pub async fn facts(&self) -> Result<TableFacts, StoreError> {
        let answer = self.background.describe_table().table_name(&self.table).send().await;
        let answer = answer.map_err(|error| translate("DescribeTable", &error))?;
        let table = answer.table.ok_or_else(|| StoreError::Unavailable {
            detail: "DescribeTable: an answer without a table".to_owned(),
        })?;
        let count = |items: Option<i64>| u64::try_from(items.unwrap_or(0)).unwrap_or(0);
        let indexes = table.global_secondary_indexes();
        Ok(TableFacts {
            table: self.table.clone(),
            status: table.table_status().map_or("?", TableStatus::as_str).to_owned(),
            items: count(table.item_count()),
            bytes: count(table.table_size_bytes()),
            indexes: indexes
                .iter()
                .map(|index| {
                    (index.index_name().unwrap_or("?").to_owned(), count(index.item_count()))
                })
                .collect(),
        })
    }

    /// One cheap read that proves that the table is there and of our layout.
    pub(super) async fn check_layout(&self, patience: Patience) -> Result<(), StoreError> {
        let misconfigured = |detail: String| Err(StoreError::Misconfigured { detail });
        let Some(found) = self.get(keys::schema_key(), patience).await? else {
            return misconfigured(format!(
                "the table {} was never set up: run `sealwax store init`",
                self.table
            ));
        };
        match item::read_number(&found, "layout")? {
            LAYOUT => Ok(()),
            other => misconfigured(format!(
                "the table {} has layout {other}, this version uses {LAYOUT}: use the version \
                 that wrote it, or another table_prefix",
                self.table
            )),
        }
    }

    async fn create_table(&self) -> Result<bool, StoreError> {
        let mut create = self
            .background
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(key_schema(attribute::PK, attribute::SK)?));
        let numbers = INDEXES.iter().filter(|index| index.range_is_number);
        let numbers: Vec<&str> = numbers.map(|index| index.range).collect();
        let mut names = vec![attribute::PK, attribute::SK];
        names.extend(INDEXES.iter().flat_map(|index| [index.hash, index.range]));
        names.sort_unstable();
        names.dedup();
        for name in names {
            let kind = if numbers.contains(&name) {
                ScalarAttributeType::N
            } else {
                ScalarAttributeType::S
            };
            let definition =
                AttributeDefinition::builder().attribute_name(name).attribute_type(kind);
            create = create.attribute_definitions(definition.build().map_err(incomplete)?);
        }
        for index in &INDEXES {
            create = create.global_secondary_indexes(secondary(index)?);
        }
        match create.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ResourceInUseException") => Ok(false),
            Err(error) => Err(translate("CreateTable", &error)),
        }
    }

    async fn wait_until_active(&self) -> Result<(), StoreError> {
        for _ in 0..READY_ATTEMPTS {
            let answer = self.background.describe_table().table_name(&self.table).send().await;
            let table = match answer {
                Ok(answer) => answer.table,
                // A new table is announced with a delay.
                Err(error) if error.code() == Some("ResourceNotFoundException") => None,
                Err(error) => return Err(translate("DescribeTable", &error)),
            };
            if let Some(table) = table
                && table.table_status() == Some(&TableStatus::Active)
            {
                let present = |index: &Index| {
                    let found = table.global_secondary_indexes();
                    found.iter().any(|found| found.index_name() == Some(index.name))
                };
                return match INDEXES.iter().find(|index| !present(index)) {
                    None => Ok(()),
                    Some(missing) => Err(StoreError::Misconfigured {
                        detail: format!(
                            "the table {} has no index {}: it is not ours; use another \
                             table_prefix",
                            self.table, missing.name
                        ),
                    }),
                };
            }
            tokio::time::sleep(READY_PAUSE).await;
        }
        Err(StoreError::Unavailable {
            detail: format!("the table {} is still being created", self.table),
        })
    }

    async fn enable_expiry(&self) -> Result<bool, StoreError> {
        let found = self.background.describe_time_to_live().table_name(&self.table).send().await;
        let found = found.map_err(|error| translate("DescribeTimeToLive", &error))?;
        let status = found.time_to_live_description.and_then(|found| found.time_to_live_status);
        if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            return Ok(false);
        }
        let wanted =
            TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute::TTL);
        self.background
            .update_time_to_live()
            .table_name(&self.table)
            .time_to_live_specification(wanted.build().map_err(incomplete)?)
            .send()
            .await
            .map_err(|error| translate("UpdateTimeToLive", &error))?;
        Ok(true)
    }

    /// Best effort: emulators lack it, and the table can be used without.
    async fn enable_recovery(&self) -> bool {
        let wanted =
            PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
        let Ok(wanted) = wanted.build() else { return false };
        let sent = self
            .background
            .update_continuous_backups()
            .table_name(&self.table)
            .point_in_time_recovery_specification(wanted)
            .send()
            .await;
        if let Err(error) = &sent {
            let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
            let code = code.unwrap_or("no answer");
            tracing::warn!(table = self.table, code, "point-in-time recovery was not turned on");
        }
        sent.is_ok()
    }
}

fn key_schema(hash: &str, range: &str) -> Result<Vec<KeySchemaElement>, StoreError> {
    [(hash, KeyType::Hash), (range, KeyType::Range)]
        .into_iter()
        .map(|(name, kind)| {
            KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build()
                .map_err(incomplete)
        })
        .collect()
}

fn secondary(index: &Index) -> Result<GlobalSecondaryIndex, StoreError> {
    GlobalSecondaryIndex::builder()
        .index_name(index.name)
        .set_key_schema(Some(key_schema(index.hash, index.range)?))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
        .map_err(incomplete)
}
