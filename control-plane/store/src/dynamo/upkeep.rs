//! What rewrapping keys and moving to another store need beyond the everyday calls.

use async_trait::async_trait;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use sealwax_core::SealedKey;
use sealwax_core::store::{Change, RecordVersion, StoreError};

use super::error::translate;
use super::expression::Expression;
use super::item::{self, written_by};
use super::keys::{self, attribute, text};
use super::{DynamoStore, Patience, random_id};
use crate::upkeep::Upkeep;

#[async_trait]
impl Upkeep for DynamoStore {
    async fn accounts(&self) -> Result<Vec<String>, StoreError> {
        self.find_accounts().await
    }

    async fn replace_account(
        &self,
        issuer: &str,
        expected: &SealedKey,
        sealed: &SealedKey,
    ) -> Result<(), StoreError> {
        let write_id = random_id()?;
        let mut update = Expression::default();
        update.expect_equal(attribute::SEALED, item::sealed(expected));
        update.set(attribute::SEALED, item::sealed(sealed));
        update.set(attribute::WRITE_ID, text(&write_id));
        let update = update.into_update(&self.table, keys::account_key(issuer))?;
        let sent = self
            .background
            .update_item()
            .table_name(&self.table)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_condition_expression(update.condition_expression)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
                self.own_account_write(issuer, &write_id).await
            }
            Err(error) => Err(translate("UpdateItem", &error)),
        }
    }

    async fn write_quietly(&self, change: Change) -> Result<RecordVersion, StoreError> {
        self.change(&change, change.announce).await
    }

    async fn mark(&self, job: &str) -> Result<Option<String>, StoreError> {
        let found = self.get(keys::mark_key(job), Patience::Background).await?;
        found.map(|found| item::read_text(&found, attribute::BODY).map(str::to_owned)).transpose()
    }

    async fn set_mark(&self, job: &str, mark: Option<&str>) -> Result<(), StoreError> {
        let mut entry = keys::mark_key(job);
        match mark {
            Some(mark) => {
                entry.insert(attribute::BODY.to_owned(), text(mark));
                let put = self.background.put_item().table_name(&self.table);
                put.set_item(Some(entry))
                    .send()
                    .await
                    .map(|_| ())
                    .map_err(|error| translate("PutItem", &error))
            }
            None => {
                let delete = self.background.delete_item().table_name(&self.table);
                delete
                    .set_key(Some(entry))
                    .send()
                    .await
                    .map(|_| ())
                    .map_err(|error| translate("DeleteItem", &error))
            }
        }
    }
}

impl DynamoStore {
    /// Keeps an account's credentials, unless there are some.
    pub(super) async fn add_account(
        &self,
        issuer: &str,
        sealed: &SealedKey,
    ) -> Result<(), StoreError> {
        let write_id = random_id()?;
        let mut account = keys::account_key(issuer);
        account.insert(attribute::SEALED.to_owned(), item::sealed(sealed));
        account.insert(attribute::WRITE_ID.to_owned(), text(&write_id));
        account.insert(attribute::LIST_SHARD.to_owned(), text(keys::ACCOUNTS));
        let sent = self
            .background
            .put_item()
            .table_name(&self.table)
            .set_item(Some(account))
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", attribute::PK)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
                self.own_account_write(issuer, &write_id).await
            }
            Err(error) => Err(translate("PutItem", &error)),
        }
    }

    /// A refused account write that is our own, with the acknowledgement lost, is done.
    async fn own_account_write(&self, issuer: &str, write_id: &str) -> Result<(), StoreError> {
        match self.get(keys::account_key(issuer), Patience::Background).await? {
            Some(found) if written_by(&found, write_id) => Ok(()),
            _ => Err(StoreError::Lost { domain: issuer.to_owned() }),
        }
    }
}
