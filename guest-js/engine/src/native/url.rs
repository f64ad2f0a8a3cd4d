//! `URL` and `URLSearchParams`: parsing and serialising by the crate `url` (the WHATWG URL Standard), but for what it
//! does in another way than the standard: `file:` URLs (`url/file.rs`), and paths that look like what they are not
//! (`url/path.rs`).

mod file;
mod path;

use self::file::FileUrl;
use super::usv_string::UsvString;
use javy::quickjs::{Array, Ctx, Function, Object, Result, Value};
use url::{Url, form_urlencoded, quirks};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("parseUrl", Function::new(ctx.clone(), parse)?)?;
    native.set("setUrl", Function::new(ctx.clone(), set)?)?;
    native.set(
        "formDecode",
        Function::new(ctx.clone(), |UsvString(text): UsvString| {
            let pairs = form_urlencoded::parse(text.as_bytes());
            pairs.flat_map(|(key, value)| [key.into_owned(), value.into_owned()]).collect::<Vec<_>>()
        })?,
    )?;
    native.set(
        "formEncode",
        Function::new(ctx, |flat: Vec<UsvString>| {
            let mut serializer = form_urlencoded::Serializer::new(String::new());
            for pair in flat.chunks_exact(2) {
                serializer.append_pair(&pair[0].0, &pair[1].0);
            }
            serializer.finish()
        })?,
    )
}

/// A parsed URL, by whoever parsed it.
enum Parsed {
    File(FileUrl),
    Other(Url),
}

impl Parsed {
    fn read(input: &str, base: Option<&Self>) -> Option<Self> {
        let scheme = scheme_of(input);
        match base {
            _ if scheme.as_ref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("file")) => {
                let base = base.and_then(|base| if let Self::File(base) = base { Some(base) } else { None });
                FileUrl::parse(input, base).map(Self::File)
            }
            Some(Self::File(base)) if scheme.is_none() => FileUrl::parse(input, Some(base)).map(Self::File),
            Some(Self::Other(base)) => Url::options().base_url(Some(base)).parse(input).ok().map(Self::other),
            Some(Self::File(_)) | None => Url::parse(input).ok().map(Self::other),
        }
    }

    fn other(url: Url) -> Self {
        Self::Other(path::without_space_at_end(url))
    }

    /// What the getters of `URL` give: href, protocol, username, password, host, hostname, port, pathname, search,
    /// hash, origin.
    fn parts<'js>(&self, ctx: &Ctx<'js>) -> Result<Value<'js>> {
        let array = Array::new(ctx.clone())?;
        let put =
            |parts: [&str; 11]| parts.into_iter().enumerate().try_for_each(|(index, part)| array.set(index, part));
        match self {
            Self::Other(url) => put([
                quirks::href(url),
                quirks::protocol(url),
                quirks::username(url),
                quirks::password(url),
                quirks::host(url),
                quirks::hostname(url),
                quirks::port(url),
                quirks::pathname(url),
                quirks::search(url),
                quirks::hash(url),
                &origin(url),
            ])?,
            Self::File(url) => put([
                &url.href(),
                "file:",
                "",
                "",
                &url.host,
                &url.host,
                "",
                &url.pathname(),
                &url.search(),
                &url.hash(),
                "null",
            ])?,
        }
        Ok(array.into_value())
    }
}

/// A URL's origin. That of a `blob:` URL is the one of the URL in its path, if that is of the web (URL, 4.7).
fn origin(url: &Url) -> String {
    if url.scheme() != "blob" {
        return quirks::origin(url);
    }
    let inner = Url::parse(url.path()).ok().filter(|inner| matches!(inner.scheme(), "http" | "https"));
    inner.map_or_else(|| "null".to_owned(), |inner| quirks::origin(&inner))
}

/// The scheme that a text begins with, as the parser finds it: after spaces, and without what the parser passes over.
fn scheme_of(input: &str) -> Option<String> {
    let mut scheme = String::new();
    for character in input.trim_start_matches(|c: char| c <= ' ').chars() {
        match character {
            '\t' | '\n' | '\r' => {}
            ':' if !scheme.is_empty() => return Some(scheme),
            'a'..='z' | 'A'..='Z' => scheme.push(character),
            '0'..='9' | '+' | '-' | '.' if !scheme.is_empty() => scheme.push(character),
            _ => return None,
        }
    }
    None
}

/// The parts of a URL; null if it is none.
fn parse<'js>(ctx: Ctx<'js>, UsvString(input): UsvString, base: Option<UsvString>) -> Result<Value<'js>> {
    let base = match base.map(|UsvString(base)| Parsed::read(&base, None)) {
        None => None,
        Some(Some(base)) => Some(base),
        Some(None) => return Ok(Value::new_null(ctx)),
    };
    match Parsed::read(&input, base.as_ref()) {
        Some(url) => url.parts(&ctx),
        None => Ok(Value::new_null(ctx)),
    }
}

/// The parts that a setter of `URL` makes of `href`; null where it changes nothing.
fn set<'js>(ctx: Ctx<'js>, href: String, part: String, UsvString(value): UsvString) -> Result<Value<'js>> {
    let changed = match Parsed::read(&href, None) {
        Some(Parsed::File(mut url)) => match part.as_str() {
            // Another scheme makes it a URL of the other kind.
            "protocol" if !url.host.is_empty() => {
                changed(Url::parse(&url.href()).ok(), &part, &value).map(Parsed::Other)
            }
            _ => url.set(&part, &value).then_some(Parsed::File(url)),
        },
        Some(Parsed::Other(url)) => changed(Some(url), &part, &value).and_then(|url| Parsed::read(url.as_str(), None)),
        None => None,
    };
    match changed {
        Some(url) => url.parts(&ctx),
        None => Ok(Value::new_null(ctx)),
    }
}

fn changed(url: Option<Url>, part: &str, value: &str) -> Option<Url> {
    let mut url = url?;
    let done = match part {
        "href" => quirks::set_href(&mut url, value).is_ok(),
        "protocol" => quirks::set_protocol(&mut url, value).is_ok(),
        "username" => quirks::set_username(&mut url, value).is_ok(),
        "password" => quirks::set_password(&mut url, value).is_ok(),
        "host" | "hostname" if path::has_no_authority(&url) => return path::with_host(&url, value, part == "host"),
        "host" => quirks::set_host(&mut url, value).is_ok(),
        "hostname" => quirks::set_hostname(&mut url, value).is_ok(),
        "port" => quirks::set_port(&mut url, value).is_ok(),
        "pathname" if !path::is_special(&url) => return path::with_pathname(&url, value),
        "pathname" => {
            quirks::set_pathname(&mut url, value);
            true
        }
        "search" => {
            quirks::set_search(&mut url, value);
            true
        }
        "hash" => {
            quirks::set_hash(&mut url, value);
            true
        }
        _ => false,
    };
    done.then_some(url)
}
