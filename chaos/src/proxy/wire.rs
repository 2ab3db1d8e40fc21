//! The JSON of the API. In addition to Toxiproxy's fields, a toxic has `ttl_ms`, `ends_in_ms` and `hits`, and a proxy has
//! `connections`. As in Toxiproxy, unknown fields are ignored and `null` means absent.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::ProxyError;
use super::proxies::{ProxyChange, ProxyInfo, ProxySpec};
use super::toxic::{NewToxic, Stream, ToxicKind};
use super::toxics::{ToxicChange, ToxicInfo};

/// A proxy in a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProxyBody {
    name: Option<String>,
    listen: Option<String>,
    upstream: Option<String>,
    enabled: Option<bool>,
}

impl ProxyBody {
    fn spec(self) -> ProxySpec {
        ProxySpec {
            name: self.name.unwrap_or_default(),
            listen: self.listen.unwrap_or_default(),
            upstream: self.upstream.unwrap_or_default(),
            enabled: self.enabled.unwrap_or(true),
        }
    }
}

/// A toxic in a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ToxicBody {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    stream: Option<String>,
    toxicity: Option<f64>,
    attributes: Option<Map<String, Value>>,
    ttl_ms: Option<u64>,
}

impl ToxicBody {
    /// `kind` with the given attributes.
    fn apply_to(&self, mut kind: ToxicKind) -> Result<ToxicKind, ProxyError> {
        let given = self.attributes.iter().flatten();
        for (name, value) in given.filter(|(_, value)| !value.is_null()) {
            if kind.attributes().iter().all(|(known, _)| known != name) {
                continue;
            }
            let value = value.as_u64().ok_or_else(|| {
                ProxyError::Body(format!("{name} is a whole number from 0 on, not {value}"))
            })?;
            kind.set(name, value);
        }
        Ok(kind)
    }

    fn ttl(&self) -> Option<Duration> {
        self.ttl_ms.map(Duration::from_millis)
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ProxyError> {
    serde_json::from_slice(body).map_err(|e| ProxyError::Body(e.to_string()))
}

/// Reads a list of proxies, in the format of `POST /populate` and of Toxiproxy's configuration file.
///
/// # Errors
/// [`ProxyError::Body`], with line and column.
pub fn specs_from_json(body: &[u8]) -> Result<Vec<ProxySpec>, ProxyError> {
    let bodies: Vec<ProxyBody> = read(body)?;
    Ok(bodies.into_iter().map(ProxyBody::spec).collect())
}

pub(super) fn spec(body: &[u8]) -> Result<ProxySpec, ProxyError> {
    read(body).map(ProxyBody::spec)
}

pub(super) fn change(body: &[u8]) -> Result<ProxyChange, ProxyError> {
    let body: ProxyBody = read(body)?;
    Ok(ProxyChange {
        listen: body.listen,
        upstream: body.upstream,
        enabled: body.enabled,
    })
}

pub(super) fn new_toxic(body: &[u8]) -> Result<NewToxic, ProxyError> {
    let body: ToxicBody = read(body)?;
    let stream = body.stream.as_deref().map(Stream::parse).transpose()?;
    let kind = ToxicKind::named(body.kind.as_deref().unwrap_or_default())?;
    Ok(NewToxic {
        selection: None,
        kind: body.apply_to(kind)?,
        stream: stream.unwrap_or(Stream::Downstream),
        toxicity: body.toxicity.unwrap_or(1.0),
        ttl: body.ttl(),
        name: body.name,
    })
}

/// Attributes that are not given keep their value in `now`.
pub(super) fn toxic_change(body: &[u8], now: &ToxicInfo) -> Result<ToxicChange, ProxyError> {
    let body: ToxicBody = read(body)?;
    Ok(ToxicChange {
        kind: Some(body.apply_to(now.kind)?),
        toxicity: body.toxicity,
        ttl: body.ttl(),
    })
}

pub(super) fn toxic(info: &ToxicInfo) -> Value {
    let attributes: Map<_, _> = info
        .kind
        .attributes()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let mut json = json!({
        "attributes": attributes,
        "name": info.name,
        "type": info.kind.name(),
        "stream": info.stream.name(),
        "toxicity": info.toxicity,
        "hits": { "connections": info.hits.connections, "bytes": info.hits.bytes },
    });
    let ms = |d: Duration| json!(u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    if let (Some(ttl), Some(remaining)) = (info.ttl, info.remaining) {
        json["ttl_ms"] = ms(ttl);
        json["ends_in_ms"] = ms(remaining);
    }
    json
}

pub(super) fn proxy(info: &ProxyInfo) -> Value {
    let ProxyInfo {
        spec, connections, ..
    } = info;
    json!({
        "name": spec.name,
        "listen": spec.listen,
        "upstream": spec.upstream,
        "enabled": spec.enabled,
        "toxics": info.toxics.iter().map(toxic).collect::<Vec<_>>(),
        "connections": {
            "total": connections.total,
            "open": connections.open,
            "dial_failed": connections.dial_failed,
        },
    })
}
