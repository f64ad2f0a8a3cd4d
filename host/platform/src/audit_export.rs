//! The audit trail as lines, for those who keep it elsewhere.

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use bytes::Bytes;
use elias_api::{AuditEntry, Error, Result};
use elias_names::TenantId;
use elias_store::PAGE_ROWS_MAX;
use futures::Stream;

impl Platform {
    /// All entries of a tenant's audit trail since a time, in milliseconds since 1970, oldest first: JSON, a line each.
    /// They are read by pages as they are taken, each after the permission was confirmed.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`; the stream ends with these too.
    pub async fn audit_lines(
        self,
        session: Session,
        tenant: TenantId,
        since_ms: i64,
    ) -> Result<impl Stream<Item = Result<Bytes>> + Send + 'static> {
        let first = self.audit_page(&session, &tenant, since_ms, "").await?;
        let state = Some((self, session, tenant, first));
        Ok(futures::stream::unfold(state, move |state| async move {
            let (platform, session, tenant, page) = state?;
            let last = page.last()?.id.clone();
            let lines = match lines(&page) {
                Ok(lines) => lines,
                Err(error) => return Some((Err(error), None)),
            };
            if page.len() < PAGE_ROWS_MAX as usize {
                return Some((Ok(lines), None));
            }
            match platform.audit_page(&session, &tenant, since_ms, &last).await {
                Ok(next) => Some((Ok(lines), Some((platform, session, tenant, next)))),
                // Of what follows nothing is sent: who takes the lines sees that they break off.
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    /// Entries of the audit trail after the one with the id `after`, oldest first, as records: for exporters too.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn audit_page(
        &self,
        session: &Session,
        tenant: &TenantId,
        since_ms: i64,
        after: &str,
    ) -> Result<Vec<AuditEntry>> {
        self.confirm(session, Permission::Audit, tenant, None).await?;
        Ok(self.store().read(tenant).await?.audit_since(since_ms, after, PAGE_ROWS_MAX).await?)
    }
}

fn lines(page: &[AuditEntry]) -> Result<Bytes> {
    let mut lines = Vec::new();
    for entry in page {
        serde_json::to_writer(&mut lines, entry)
            .map_err(|error| Error::new(elias_api::Code::Internal, error.to_string()))?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::Actor;

    #[test]
    fn an_entry_is_a_line_whatever_is_in_it() {
        let entry = |subject: &str| AuditEntry {
            id: "01J".into(),
            at: 1,
            actor: Actor::host(),
            action: "x".into(),
            subject: subject.into(),
            before: None,
            after: None,
        };
        let text = lines(&[entry("a\nb"), entry("\u{2028}\r")]).expect("written");
        let text = std::str::from_utf8(&text).expect("UTF-8");
        let read: Vec<AuditEntry> =
            text.split_terminator('\n').map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].subject, "a\nb");
    }
}
