//! Small documents that processes share.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use sealwax_core::store::{DOCUMENT_BYTES_MAX, Document, StoreError};
use sealwax_core::{Span, Timestamp};

use super::error::translate;
use super::item;
use super::keys::{self, attribute, number, text};
use super::{DynamoStore, Patience, random_id};

/// How long after its end a document may be collected.
const DOCUMENT_GRACE: Span = Span::from_secs(86_400);

impl DynamoStore {
    pub(super) async fn find_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let key = keys::document_key(name);
        let Some(found) = self.get(key, Patience::Background).await? else { return Ok(None) };
        let document = Document {
            text: item::read_text(&found, attribute::BODY)?.to_owned(),
            version: item::read_number(&found, attribute::RECORD_VERSION)?,
            expires_at: Timestamp::from_millis(item::read_number(&found, attribute::EXPIRES_AT)?),
        };
        // The table collects garbage days late.
        Ok((document.expires_at > self.clock.now()).then_some(document))
    }

    pub(super) async fn write_document(
        &self,
        name: &str,
        document: &Document,
    ) -> Result<(), StoreError> {
        check_document(document)?;
        let write_id = random_id()?;
        let mut entry = keys::document_key(name);
        entry.insert(attribute::BODY.to_owned(), text(&document.text));
        entry.insert(attribute::RECORD_VERSION.to_owned(), number(document.version + 1));
        entry.insert(attribute::WRITE_ID.to_owned(), text(&write_id));
        let expires_at = document.expires_at;
        entry.insert(attribute::EXPIRES_AT.to_owned(), number(expires_at.millis()));
        entry.insert(attribute::TTL.to_owned(), number((expires_at + DOCUMENT_GRACE).secs()));
        let put = self.background.put_item().table_name(&self.table).set_item(Some(entry));
        let put = if document.version == 0 {
            // One that expired, and was not collected yet, is as good as none.
            put.condition_expression("attribute_not_exists(#pk) OR #end <= :now")
                .expression_attribute_names("#pk", attribute::PK)
                .expression_attribute_names("#end", attribute::EXPIRES_AT)
                .expression_attribute_values(":now", number(self.clock.now().millis()))
        } else {
            put.condition_expression("#version = :version")
                .expression_attribute_names("#version", attribute::RECORD_VERSION)
                .expression_attribute_values(":version", number(document.version))
        };
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
                // The SDK tries again after a lost acknowledgement, and then meets its own write.
                match self.get(keys::document_key(name), Patience::Background).await? {
                    Some(found) if item::written_by(&found, &write_id) => Ok(()),
                    _ => Err(StoreError::Lost { domain: name.to_owned() }),
                }
            }
            Err(error) => Err(translate("PutItem", &error)),
        }
    }
}

/// Refuses what is too large to be read and written at every turn.
pub(crate) fn check_document(document: &Document) -> Result<(), StoreError> {
    if document.text.len() > DOCUMENT_BYTES_MAX {
        let detail = format!("a document of {} bytes", document.text.len());
        return Err(StoreError::Bug { detail });
    }
    Ok(())
}
