//! A log's files over HTTP.

use elias_transparency::audit::{Fetch, FetchError};
use std::time::Duration;

/// How long one file may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A log below a URL.
pub(super) struct Http {
    prefix: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Http {
    /// The log below `prefix`. Neither needs the server to be trusted nor the connection: what comes is checked.
    pub(super) fn new(prefix: &reqwest::Url) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let client = reqwest::Client::builder().timeout(PATIENCE).user_agent("elias").build();
        Ok(Self {
            prefix: prefix.as_str().trim_end_matches('/').to_owned(),
            client: client.map_err(|error| said(&error))?,
            runtime: runtime.map_err(|error| error.to_string())?,
        })
    }

    async fn fetch(&self, path: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        let failed = |error: reqwest::Error| FetchError::Failed(said(&error));
        let mut response = self.client.get(format!("{}/{path}", self.prefix)).send().await.map_err(failed)?;
        match response.status() {
            status if status.is_success() => {}
            reqwest::StatusCode::NOT_FOUND | reqwest::StatusCode::GONE => return Err(FetchError::NotFound),
            status => return Err(FetchError::Failed(format!("the server responds {status}"))),
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > limit {
                return Err(FetchError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

impl Fetch for Http {
    fn get(&self, path: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        self.runtime.block_on(self.fetch(path, limit))
    }
}

/// An error with its causes, which is where reqwest says what happened.
fn said(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}
