//! One tenant's requests to a platform.

use crate::platform::Platform;
use crate::serve::Answer;
use serde_json::{Value, json};

/// A tenant, by a token.
#[derive(Clone)]
pub struct Tenant<'a> {
    pub(crate) platform: &'a Platform,
    /// Its name.
    pub name: String,
    /// The token that is sent: the operator's, unless another one was made.
    pub token: String,
}

impl Tenant<'_> {
    /// The same tenant by a token that is made now: its role, and the components that it is for.
    ///
    /// # Panics
    /// If the token cannot be made.
    pub async fn with_role(&self, role: &str, components: Option<&[&str]>) -> Self {
        let wanted = json!({ "name": role, "role": role, "components": components, "days": 1 });
        let (status, made) = self.ask("POST", "/tokens", wanted).await;
        assert_eq!(status, 201, "{made}");
        Self { token: made["secret"].as_str().expect("a secret").to_owned(), ..self.clone() }
    }

    /// The same tenant by a token that is made now for a user of its records.
    ///
    /// # Panics
    /// If the token cannot be made.
    pub async fn with_user(&self, role: &str, user: &str) -> Self {
        let wanted = json!({ "name": user, "role": role, "days": 1, "user_id": user });
        let made = self.done("POST", "/tokens", wanted).await;
        Self { token: made["secret"].as_str().expect("a secret").to_owned(), ..self.clone() }
    }

    /// A path of the admin API below the tenant's.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        format!("/v1/tenants/{}{path}", self.name)
    }

    /// Asks the admin API; the path is below the tenant's.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.platform.admin_as(&self.token, method, &self.path(path), body).await
    }

    /// Asks for something that is done; gives the answer.
    ///
    /// # Panics
    /// If it is not done.
    pub async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Asks for something that is refused; gives the code and the explanation.
    ///
    /// # Panics
    /// If it is not refused by a problem document.
    pub async fn refused(&self, method: &str, path: &str, body: Value) -> (String, String) {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(status >= 400 && answer["status"] == status, "{method} {path}: {status} {answer}");
        let text =
            |key: &str| answer[key].as_str().unwrap_or_else(|| panic!("{key} is missing in {answer}")).to_owned();
        (text("code"), text("detail"))
    }

    /// Uploads an artifact; gives its digest.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn upload(&self, bytes: &[u8]) -> String {
        let digest = elias_contract::digest(bytes);
        let answer = self.put_artifact(&digest, bytes).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        digest
    }

    /// Uploads bytes as the artifact with this digest.
    pub async fn put_artifact(&self, digest: &str, bytes: &[u8]) -> Answer {
        let request = http::Request::put("/").header("authorization", format!("Bearer {}", self.token));
        self.platform.call(request, &self.path(&format!("/artifacts/{digest}")), bytes.to_vec()).await
    }

    /// Uploads a component and makes a version of it with these settings; gives its number.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn version(&self, component: &str, bytes: &[u8], settings: Value) -> u64 {
        let digest = self.upload(bytes).await;
        let version = json!({ "digest": digest, "settings": settings });
        let made = self.done("POST", &format!("/components/{component}/versions"), version).await;
        made["number"].as_u64().expect("versions have numbers")
    }

    /// Deploys a version; `Value::Null` is not a rollout.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn deploy(&self, component: &str, environment: &str, number: u64, rollout: Value) -> Value {
        let request = json!({ "version": number, "rollout": rollout });
        self.done("POST", &service(component, environment, "/deployments"), request).await
    }

    /// Makes a version and gives it all traffic in production; gives its number.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn serve(&self, component: &str, bytes: &[u8], settings: Value) -> u64 {
        let number = self.version(component, bytes, settings).await;
        self.deploy(component, "production", number, Value::Null).await;
        number
    }

    /// How a component's service in production stands.
    ///
    /// # Panics
    /// If there is none.
    pub async fn status(&self, component: &str) -> Value {
        let all = self.done("GET", &format!("/services?component={component}"), Value::Null).await;
        let mut services = all["items"].as_array().expect("a list").iter();
        services.find(|service| service["environment"] == "production").unwrap_or_else(|| panic!("{all}")).clone()
    }

    /// A component's deployments in production, newest first.
    ///
    /// # Panics
    /// If they cannot be listed.
    pub async fn history(&self, component: &str) -> Vec<Value> {
        let all = self.done("GET", &service(component, "production", "/deployments"), Value::Null).await;
        all["items"].as_array().expect("a list").clone()
    }

    /// The host at which a component answers in production.
    #[must_use]
    pub fn host(&self, component: &str) -> String {
        format!("{component}.{}.localhost", self.name)
    }

    /// `GET path` of a component in production.
    pub async fn get(&self, component: &str, path: &str) -> Answer {
        self.platform.ask(&self.host(component), path).await
    }
}

/// The path of a service below its tenant's.
#[must_use]
pub fn service(component: &str, environment: &str, path: &str) -> String {
    format!("/components/{component}/environments/{environment}{path}")
}
