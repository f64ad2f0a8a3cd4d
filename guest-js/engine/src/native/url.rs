//! `URL` and `URLSearchParams`: parsing and serialising by the crate `url` (the WHATWG URL Standard).

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

/// The parts of a URL; null if it is none.
fn parse<'js>(ctx: Ctx<'js>, UsvString(input): UsvString, base: Option<UsvString>) -> Result<Value<'js>> {
    let base = match base.map(|UsvString(base)| Url::parse(&base)) {
        None => None,
        Some(Ok(base)) => Some(base),
        Some(Err(_)) => return Ok(Value::new_null(ctx)),
    };
    match Url::options().base_url(base.as_ref()).parse(&input) {
        Ok(url) => parts(&ctx, &url),
        Err(_) => Ok(Value::new_null(ctx)),
    }
}

/// The parts that a setter of `URL` makes of `href`; null where it changes nothing.
fn set<'js>(ctx: Ctx<'js>, href: String, part: String, UsvString(value): UsvString) -> Result<Value<'js>> {
    let Ok(mut url) = Url::parse(&href) else { return Ok(Value::new_null(ctx)) };
    let changed = match part.as_str() {
        "href" => quirks::set_href(&mut url, &value).is_ok(),
        "protocol" => quirks::set_protocol(&mut url, &value).is_ok(),
        "username" => quirks::set_username(&mut url, &value).is_ok(),
        "password" => quirks::set_password(&mut url, &value).is_ok(),
        "host" => quirks::set_host(&mut url, &value).is_ok(),
        "hostname" => quirks::set_hostname(&mut url, &value).is_ok(),
        "port" => quirks::set_port(&mut url, &value).is_ok(),
        "pathname" => {
            quirks::set_pathname(&mut url, &value);
            true
        }
        "search" => {
            quirks::set_search(&mut url, &value);
            true
        }
        "hash" => {
            quirks::set_hash(&mut url, &value);
            true
        }
        _ => false,
    };
    if changed { parts(&ctx, &url) } else { Ok(Value::new_null(ctx)) }
}

/// What the getters of `URL` give: href, protocol, username, password, host, hostname, port, pathname, search, hash, origin.
fn parts<'js>(ctx: &Ctx<'js>, url: &Url) -> Result<Value<'js>> {
    let array = Array::new(ctx.clone())?;
    let origin = quirks::origin(url);
    let parts = [
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
        &origin,
    ];
    for (index, part) in parts.into_iter().enumerate() {
        array.set(index, part)?;
    }
    Ok(array.into_value())
}
