//! Sending webhooks, by the client of the capability `http` and within what a component is granted of it.

use elias_capabilities::http::{GrantedClient, check_url};
use elias_names::ServiceId;
use elias_platform::{WebhookSender, WebhookTarget};
use elias_triggers::webhook_delivery::{RESPONSE_BYTES_MAX, TIMEOUT, WebhookRequest, WebhookResponse};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Clients that are kept; with one more all are made anew.
const CLIENTS_MAX: usize = 1_000;

/// Sends a request by a client, and adds the bytes of its body to `sent` as they go out.
///
/// # Errors
/// Why there is no response.
async fn send(
    client: &GrantedClient,
    url: &str,
    request: WebhookRequest,
    sent: &Arc<AtomicU64>,
) -> Result<WebhookResponse, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers() {
        let value = HeaderValue::try_from(value).map_err(|error| format!("{name}: {error}"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    let response = client.post(url, headers, request.body, TIMEOUT, RESPONSE_BYTES_MAX, sent).await?;
    let retry_after = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(WebhookResponse { status: response.status, retry_after, body: response.body })
}

/// A client of a grant, whose paths are relative to `folder`.
fn client_of(http: Option<&Value>, folder: &Path) -> Result<Arc<GrantedClient>, String> {
    let client = GrantedClient::new(http, folder).map_err(|error| format!("[capabilities.http]: {error}"))?;
    Ok(Arc::new(client))
}

/// Sends the webhooks of a project, by what its component is granted now.
#[derive(Default)]
pub(crate) struct ProjectWebhooks {
    client: Mutex<Option<Arc<GrantedClient>>>,
}

impl ProjectWebhooks {
    /// Sends by another grant of the capability `http` from now on, whose paths are relative to `folder`; nothing
    /// without one.
    ///
    /// # Errors
    /// The fault of the grant; the former one holds then.
    pub(crate) fn set_grant(&self, http: Option<&Value>, folder: &Path) -> Result<(), String> {
        let client = http.map(|http| client_of(Some(http), folder)).transpose()?;
        *self.client.lock() = client;
        Ok(())
    }
}

impl elias_local_triggers::WebhookSender for ProjectWebhooks {
    fn send<'a>(&'a self, url: &'a str, request: WebhookRequest) -> BoxFuture<'a, Result<WebhookResponse, String>> {
        let client = self.client.lock().clone();
        async move {
            let client = client.ok_or("the component is not granted `http` any more")?;
            send(&client, url, request, &Arc::default()).await
        }
        .boxed()
    }
}

/// A client, and the grant and the folder that it was made of.
struct ServiceClient {
    http: Option<Value>,
    folder: PathBuf,
    client: Arc<GrantedClient>,
}

/// Sends the webhooks of a platform. Each service has a client of its own, and so its own connections.
#[derive(Default)]
pub(crate) struct PlatformWebhooks {
    clients: Mutex<HashMap<ServiceId, ServiceClient>>,
}

impl PlatformWebhooks {
    /// The client of a service, made if it has none of this grant.
    fn client(&self, target: WebhookTarget<'_>) -> Result<Arc<GrantedClient>, String> {
        let WebhookTarget { service, http, folder, .. } = target;
        let is_of_grant = |known: &&ServiceClient| known.http.as_ref() == http && known.folder == folder;
        // The map is whole after every operation.
        let known = self.clients.lock().get(service).filter(is_of_grant).map(|known| Arc::clone(&known.client));
        if let Some(known) = known {
            return Ok(known);
        }
        // Not under the lock: it reads files, and others send meanwhile.
        let client = client_of(http, folder)?;
        let mut clients = self.clients.lock();
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        let (http, folder) = (http.cloned(), folder.to_owned());
        clients.insert(service.clone(), ServiceClient { http, folder, client: Arc::clone(&client) });
        Ok(client)
    }
}

impl WebhookSender for PlatformWebhooks {
    fn check(&self, http: Option<&Value>, url: &str) -> Result<(), String> {
        check_url(http, url)
    }

    fn send<'a>(
        &'a self,
        target: WebhookTarget<'a>,
        request: WebhookRequest,
    ) -> BoxFuture<'a, Result<WebhookResponse, String>> {
        async move {
            let client = self.client(target)?;
            send(&client, target.url, request, target.sent).await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;
    use serde_json::json;

    #[test]
    fn a_service_keeps_its_client_until_its_grant_changes() {
        let service = |component: &str| ServiceId {
            tenant: "acme".parse().expect("a name"),
            component: component.parse().expect("a name"),
            environment: Environment::Production,
        };
        let (shop, blog) = (service("shop"), service("blog"));
        let (all, one) = (json!({ "allow": ["*"] }), json!({ "allow": ["example.com"] }));
        let (webhooks, sent) = (PlatformWebhooks::default(), Arc::<AtomicU64>::default());
        let client = |service, http| {
            let target = WebhookTarget { service, http: Some(http), folder: Path::new("."), url: "", sent: &sent };
            webhooks.client(target).expect("a client")
        };
        let first = client(&shop, &all);
        assert!(Arc::ptr_eq(&first, &client(&shop, &all)));
        assert!(!Arc::ptr_eq(&first, &client(&blog, &all)), "no service uses another's connections");
        assert!(!Arc::ptr_eq(&first, &client(&shop, &one)));
        let target = WebhookTarget { service: &shop, http: None, folder: Path::new("."), url: "", sent: &sent };
        assert!(webhooks.client(target).is_err());
    }
}
