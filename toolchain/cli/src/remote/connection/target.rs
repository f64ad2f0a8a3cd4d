//! Which platform is meant, and as whom: by flags, by the environment, or by what `elias login` remembered.

use super::identity::Renewal;
use elias_atomic_write::{Access, Fsync};
use elias_command_line::{CliErrorCode, Failure, Target, default_tenant, tenant_of_environment};
use elias_names::TenantId;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The file with what `elias login` remembers.
const LOGIN_FILE: &str = "login.json";
/// Bytes of a token: those of an identity provider may have many claims.
const TOKEN_BYTES_MAX: usize = 8 << 10;

/// A platform and who acts there. It is what `elias login` remembers.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) tenant: TenantId,
    /// How the token is replaced before it expires, if it is one of the identity provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renewal: Option<Renewal>,
}

/// The token is nobody's to read.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("url", &self.url).field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// The parts of a login that one source gives: the flags or the environment.
#[derive(Default)]
struct PartialLogin {
    url: Option<String>,
    token: Option<String>,
    tenant: Option<TenantId>,
}

/// The login that flags, environment and `elias login` say together.
///
/// # Errors
/// `no-platform` and `no-token` if nothing says which, `bad-url`, `bad-token`, `bad-name`, `io`; `sign-in-failed` and
/// `unreachable` if a token of the identity provider has expired and cannot be replaced.
pub(crate) fn login(target: &Target) -> Result<Login, Failure> {
    let token = target.token_file.as_deref().map(read_token).transpose()?;
    let flags = PartialLogin { url: target.url.clone(), token, tenant: target.tenant.clone() };
    let stored = Login::read()?;
    let login = resolve(flags, environment()?, stored.clone())?;
    match stored.filter(|stored| stored.url == login.url && stored.token == login.token) {
        Some(stored) => Ok(Login { token: current_token(stored)?, ..login }),
        None => Ok(login),
    }
}

/// The stored token, or a newer one in its place if it expires soon.
fn current_token(stored: Login) -> Result<String, Failure> {
    let Some(renewal) = stored.renewal.as_ref().filter(|renewal| renewal.is_due()) else { return Ok(stored.token) };
    match renewal.renew() {
        Ok(newer) => {
            let newer = Login { token: newer.token, renewal: newer.renewal, ..stored };
            newer.store()?;
            Ok(newer.token)
        }
        // Another command may have used the refresh token, which is then for nobody else.
        Err(failure) => match Login::read()?.filter(|now| now.url == stored.url && now.token != stored.token) {
            Some(now) => Ok(now.token),
            None if renewal.is_late() => Err(failure.help(format!("run `elias login {} --browser`", stored.url))),
            None => Ok(stored.token),
        },
    }
}

/// Whether something names a platform.
///
/// # Errors
/// `bad-token`, `bad-name`, `io`.
pub(crate) fn is_known(target: &Target) -> Result<bool, Failure> {
    Ok(target.url.is_some() || environment()?.url.is_some() || Login::read()?.is_some())
}

fn environment() -> Result<PartialLogin, Failure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let token = variable("ELIAS_TOKEN").map(|token| checked_token(&token, "ELIAS_TOKEN")).transpose()?;
    Ok(PartialLogin { url: variable("ELIAS_URL"), token, tenant: tenant_of_environment()? })
}

/// Flags win over the environment, and that over what was remembered. A remembered token is for its platform alone:
/// another one never sees it.
fn resolve(flags: PartialLogin, environment: PartialLogin, stored: Option<Login>) -> Result<Login, Failure> {
    let url = flags.url.or(environment.url).map(|url| checked_url(&url)).transpose()?;
    let Some(url) = url.or_else(|| stored.as_ref().map(|stored| stored.url.clone())) else {
        let help =
            "run `elias login URL`, or give --url or ELIAS_URL; `elias serve --platform` prints where its admin API is";
        return Err(Failure::new(CliErrorCode::NoPlatform, "the URL of the platform is not known").help(help));
    };
    let stored = stored.filter(|stored| stored.url == url);
    let tenant = flags.tenant.or(environment.tenant).or_else(|| stored.as_ref().map(|stored| stored.tenant.clone()));
    let Some(token) = flags.token.or(environment.token).or(stored.map(|stored| stored.token)) else {
        let help = format!("run `elias login {url}`, or give --token-file or ELIAS_TOKEN");
        return Err(Failure::new(CliErrorCode::NoToken, format_args!("a token for {url} is required")).help(help));
    };
    Ok(Login { url, token, tenant: tenant.map_or_else(default_tenant, Ok)?, renewal: None })
}

/// The admin API's address without `/v1`, as it is compared and kept.
pub(crate) fn checked_url(text: &str) -> Result<String, Failure> {
    let bad = |why: &str| {
        let help = "give a URL such as http://127.0.0.1:8788, as `elias serve --platform` prints it";
        Failure::new(CliErrorCode::BadUrl, format_args!("the platform's URL {why}")).help(help)
    };
    let url = Url::parse(text.trim()).map_err(|error| bad(&format!("is not valid: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad("must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("must be without a user and a password: a token says who you are"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must be without a query and a fragment"));
    }
    let text = url.as_str().trim_end_matches('/');
    Ok(text.strip_suffix("/v1").unwrap_or(text).trim_end_matches('/').to_owned())
}

/// The token in a file.
pub(crate) fn read_token(path: &Path) -> Result<String, Failure> {
    let failed =
        |error| Failure::new(CliErrorCode::Io, format_args!("cannot read the token in {}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(failed)?;
    token_from(file, &path.display().to_string())
}

/// The token in what is read from `source`.
pub(crate) fn token_from(source: impl Read, name: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = source.take(TOKEN_BYTES_MAX as u64 + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::new(CliErrorCode::Io, format_args!("cannot read the token in {name}: {error}")))?;
    checked_token(&text, name)
}

/// A token that can be sent in a header.
fn checked_token(text: &str, name: &str) -> Result<String, Failure> {
    let token = text.trim();
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let help = "a token is one word: `elias_ID_SECRET`, as `elias tokens create` prints it, or one of the identity \
            provider";
        return Err(Failure::new(CliErrorCode::BadToken, format_args!("{name} must contain a token")).help(help));
    }
    Ok(token.to_owned())
}

impl Login {
    /// The remembered platform, if there is one.
    fn read() -> Result<Option<Self>, Failure> {
        let Some(path) = login_file() else { return Ok(None) };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => {
                return Err(Failure::new(CliErrorCode::Io, format_args!("cannot read {}: {error}", path.display())));
            }
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Failure::new(CliErrorCode::BadLogin, format_args!("{} is damaged: {error}", path.display()))
                .help("run `elias logout` and `elias login URL`")
        })
    }

    /// Remembers it, in a file that only its owner can read; the file's name.
    pub(crate) fn store(&self) -> Result<PathBuf, Failure> {
        let path = login_file().ok_or_else(|| {
            Failure::new(CliErrorCode::Io, "the home folder is unknown").help("set ELIAS_CONFIG_DIR to a folder")
        })?;
        let failed = |error: &dyn fmt::Display| {
            Failure::new(CliErrorCode::Io, format_args!("cannot write {}: {error}", path.display()))
        };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(&error))?;
        // After a power loss the login before will do, but not a damaged file.
        elias_atomic_write::write_path(&path, format!("{text}\n").as_bytes(), Access::OwnerOnly, Fsync::File)
            .map_err(|error| failed(&error))?;
        Ok(path)
    }

    /// Forgets; says whether there was something to forget.
    pub(crate) fn forget() -> Result<bool, Failure> {
        let Some(path) = login_file() else { return Ok(false) };
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => {
                Err(Failure::new(CliErrorCode::Io, format_args!("cannot remove {}: {error}", path.display())))
            }
        }
    }
}

/// In the user's configuration folder (XDG Base Directory Specification); none without a home.
fn login_file() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let of_user =
        || folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config"))).map(|dir| dir.join("elias"));
    Some(folder("ELIAS_CONFIG_DIR").or_else(of_user)?.join(LOGIN_FILE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::DEFAULT_TENANT;

    fn stored() -> Login {
        let tenant = "acme".parse().expect("a name");
        Login { url: "http://a.example".into(), token: "stored".into(), tenant, renewal: None }
    }

    fn partial(url: Option<&str>, token: Option<&str>) -> PartialLogin {
        PartialLogin { url: url.map(str::to_owned), token: token.map(str::to_owned), tenant: None }
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_login() {
        let login = resolve(PartialLogin::default(), PartialLogin::default(), Some(stored())).expect("it is all there");
        assert_eq!(
            (login.url.as_str(), login.token.as_str(), login.tenant.as_str()),
            ("http://a.example", "stored", "acme")
        );
        let environment = partial(Some("http://b.example/v1/"), Some("environment"));
        let login =
            resolve(partial(Some("http://a.example/"), None), environment, Some(stored())).expect("it is all there");
        assert_eq!((login.url.as_str(), login.token.as_str()), ("http://a.example", "environment"));
    }

    #[test]
    fn a_remembered_token_is_for_its_platform_alone() {
        let error = resolve(partial(Some("http://b.example"), None), PartialLogin::default(), Some(stored()))
            .expect_err("no token");
        assert!(error.to_string().contains("no-token"), "{error}");
        let login = resolve(partial(Some("http://b.example"), Some("own")), PartialLogin::default(), Some(stored()))
            .expect("it has one");
        assert_eq!(login.tenant.as_str(), DEFAULT_TENANT);
        let error = resolve(PartialLogin::default(), PartialLogin::default(), None).expect_err("no platform");
        assert!(error.to_string().contains("no-platform"), "{error}");
    }

    #[test]
    fn an_address_is_one_of_http_and_nothing_more() {
        for (text, wanted) in [
            ("http://127.0.0.1:8788/v1", "http://127.0.0.1:8788"),
            ("https://elias.example/", "https://elias.example"),
            (" http://a.example/behind/v1/ ", "http://a.example/behind"),
        ] {
            assert_eq!(checked_url(text).expect(text), wanted);
        }
        for text in ["", "127.0.0.1:8788", "ftp://a", "http://u:p@a", "http://a?x", "http://a#x", "file:///etc"] {
            assert!(checked_url(text).expect_err(text).to_string().contains("bad-url"), "{text}");
        }
    }

    #[test]
    fn a_token_is_one_word_and_not_printed() {
        assert_eq!(token_from("  elias_a_b\n".as_bytes(), "x").expect("it is one"), "elias_a_b");
        for text in ["", " \n", "a b", "a\nb", "ä", &"x".repeat(TOKEN_BYTES_MAX + 1)] {
            let error = token_from(text.as_bytes(), "x").expect_err("it is none");
            assert!(error.to_string().contains("bad-token"), "{error}");
        }
        assert!(!format!("{:?}", stored()).contains("stored"));
    }
}
