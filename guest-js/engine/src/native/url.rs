//! `URL` and `URLSearchParams`: parsing and serialising by the crate `url` (the WHATWG URL Standard), but for what it
//! does in another way than the standard: `file:` URLs (`url/file.rs`), and paths that look like what they are not
//! (`url/path.rs`).

mod file;
pub(super) mod object;
mod path;
mod query;
pub(super) mod serialized;

use self::file::FileUrl;
use self::serialized::Part;
use super::convert::{UsvString, usv};
use javy::quickjs::{Array, Ctx, Function, Object, Result, String as JsString, Value};
use std::borrow::Cow;
use url::{Url, form_urlencoded, quirks};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("parseUrl", Function::new(ctx.clone(), parse)?)?;
    native.set("setUrl", Function::new(ctx.clone(), set)?)?;
    native.set("serializeUrl", Function::new(ctx.clone(), serialize)?)?;
    native.set("urlPart", Function::new(ctx.clone(), part)?)?;
    native.set("urlParams", Function::new(ctx.clone(), |href: String| decode(serialized::query(&href)))?)?;
    native.set("nativeUrlConstructor", Function::new(ctx.clone(), object::define_constructor)?)?;
    native.set("nativeUrlMember", Function::new(ctx.clone(), object::replace_member)?)?;
    native.set("formDecode", Function::new(ctx.clone(), |UsvString(text): UsvString| decode(&text))?)?;
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

/// The pairs of a query, names and values in turn.
fn decode(query: &str) -> Vec<String> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    pairs.flat_map(|(key, value)| [key.into_owned(), value.into_owned()]).collect()
}

/// A parsed URL, by whoever parsed it.
enum ParsedUrl {
    File(FileUrl),
    Other(Url),
}

impl ParsedUrl {
    fn read(input: &str, base: Option<&Self>) -> Option<Self> {
        let scheme = scheme_of(input);
        match base {
            _ if scheme.as_ref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("file")) => {
                let base = base.and_then(|base| if let Self::File(base) = base { Some(base) } else { None });
                FileUrl::parse(input, base).map(Self::File)
            }
            Some(Self::File(base)) if scheme.is_none() => FileUrl::parse(input, Some(base)).map(Self::File),
            Some(Self::Other(base)) => {
                let input = path::with_two_slashes(input, base);
                Url::options().base_url(Some(base)).parse(&input).ok().map(Self::other)
            }
            Some(Self::File(_)) | None => Url::parse(input).ok().map(Self::other),
        }
    }

    fn other(url: Url) -> Self {
        Self::Other(path::with_carets_encoded(path::without_space_at_end(url)))
    }

    /// The results of the getters of `URL`.
    fn parts<'js>(&self, ctx: &Ctx<'js>) -> Result<Value<'js>> {
        let array = Array::new(ctx.clone())?;
        for (index, part) in Part::ALL.into_iter().enumerate() {
            array.set(index, &*self.part(part))?;
        }
        Ok(array.into_value())
    }

    /// The result of one getter of `URL`.
    fn part(&self, part: Part) -> Cow<'_, str> {
        match self {
            Self::Other(url) => match part {
                Part::Href => quirks::href(url).into(),
                Part::Protocol => quirks::protocol(url).into(),
                Part::Username => quirks::username(url).into(),
                Part::Password => quirks::password(url).into(),
                Part::Host => quirks::host(url).into(),
                Part::Hostname => quirks::hostname(url).into(),
                Part::Port => quirks::port(url).into(),
                Part::Pathname => quirks::pathname(url).into(),
                Part::Search => quirks::search(url).into(),
                Part::Hash => quirks::hash(url).into(),
                Part::Origin => origin(url).into(),
            },
            Self::File(url) => match part {
                Part::Href => url.href().into(),
                Part::Protocol => "file:".into(),
                Part::Username | Part::Password | Part::Port => "".into(),
                Part::Host | Part::Hostname => url.host.as_str().into(),
                Part::Pathname => url.pathname().into(),
                Part::Search => url.search().into(),
                Part::Hash => url.hash().into(),
                Part::Origin => "null".into(),
            },
        }
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

/// A text as a URL, relative to another; none if it is none, or the other is.
fn read(input: &str, base: Option<&str>) -> Option<ParsedUrl> {
    let base = match base {
        None => None,
        Some(base) => Some(ParsedUrl::read(base, None)?),
    };
    ParsedUrl::read(input, base.as_ref())
}

/// The parts of a URL; null if it is none.
fn parse<'js>(ctx: Ctx<'js>, UsvString(input): UsvString, base: Option<UsvString>) -> Result<Value<'js>> {
    match read(&input, base.as_ref().map(|base| base.0.as_str())) {
        Some(url) => url.parts(&ctx),
        None => Ok(Value::new_null(ctx)),
    }
}

/// A URL as the standard serialises it; null if it is none.
fn serialize<'js>(ctx: Ctx<'js>, input: JsString<'js>, base: Option<UsvString>) -> Result<Value<'js>> {
    let text = usv(&input)?;
    if base.is_none() && serialized::is_serialized_url(&text) {
        return Ok(input.into_value());
    }
    match read(&text, base.as_ref().map(|base| base.0.as_str())) {
        Some(url) => Ok(JsString::from_str(ctx, &url.part(Part::Href))?.into_value()),
        None => Ok(Value::new_null(ctx)),
    }
}

/// A part of a URL that is serialised, by its number.
fn part<'js>(ctx: Ctx<'js>, href: String, part: usize) -> Result<JsString<'js>> {
    let part = Part::ALL.get(part).copied().unwrap_or(Part::Href);
    JsString::from_str(ctx, &part_of(&href, part))
}

/// A part of a URL that is serialised.
fn part_of(href: &str, part: Part) -> Cow<'_, str> {
    if let Some(range) = serialized::find(href, part) {
        return Cow::Borrowed(&href[range]);
    }
    let text = ParsedUrl::read(href, None).map(|url| url.part(part).into_owned());
    Cow::Owned(text.unwrap_or_default())
}

/// The parts that a setter of `URL` makes of `href`; null where it changes nothing.
fn set<'js>(ctx: Ctx<'js>, href: String, part: String, UsvString(value): UsvString) -> Result<Value<'js>> {
    let changed = match ParsedUrl::read(&href, None) {
        Some(ParsedUrl::File(mut url)) => match part.as_str() {
            // Another scheme makes it a URL of the other kind.
            "protocol" if !url.host.is_empty() => {
                changed(Url::parse(&url.href()).ok(), &part, &value).map(ParsedUrl::Other)
            }
            _ => url.set(&part, &value).then_some(ParsedUrl::File(url)),
        },
        Some(ParsedUrl::Other(url)) => {
            changed(Some(url), &part, &value).and_then(|url| ParsedUrl::read(url.as_str(), None))
        }
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
        "port" => {
            let port = path::without_line_breaks(value);
            // Only a text that is empty to begin with takes the port away.
            port.is_empty() == value.is_empty() && quirks::set_port(&mut url, &port).is_ok()
        }
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
