//! Vault's KV engine, version 2, as a layer: the secret `<path>/_` holds values of all components,
//! and `<path>/<component>` those of one. Reads; refuses to write, and to know what a value is for.
//!
//! Source: the HTTP API of KV version 2 and of the Kubernetes auth method, Vault 1.18; OpenBao
//! speaks the same.

use crate::layers::Layer;
use crate::{ALL, Error};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use url::Url;
use zeroize::Zeroizing;

/// One call, connection included.
const CALL_MAX: Duration = Duration::from_secs(10);
/// A secret of Vault's takes at most 1 MiB.
const ANSWER_BYTES_MAX: usize = 2 << 20;
/// Where Kubernetes puts a workload's token.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Which Vault, and as whom.
#[derive(Clone)]
pub struct VaultSettings {
    /// `VAULT_ADDR`.
    pub address: Url,
    pub auth: Auth,
    /// `VAULT_NAMESPACE`.
    pub namespace: Option<String>,
    /// `VAULT_CACERT`: who signs its certificate; default: whom this machine trusts.
    pub authorities: Option<PathBuf>,
    /// `NEXUS_VAULT_MOUNT`: the engine's path, `secret` by default.
    pub mount: String,
    /// `NEXUS_VAULT_PATH`: the folder of secrets in it, `nexus` by default.
    pub path: String,
    /// `NEXUS_VAULT_POLL_SECONDS`: between two looks, 30 by default.
    pub every: Duration,
}

/// As whom.
#[derive(Clone)]
pub enum Auth {
    /// `VAULT_TOKEN`.
    Token(Zeroizing<String>),
    /// `NEXUS_VAULT_ROLE`: as this workload of Kubernetes.
    Kubernetes {
        role: String,
        /// `NEXUS_VAULT_AUTH_MOUNT`: the method's path, `kubernetes` by default.
        mount: String,
        /// `NEXUS_VAULT_JWT_FILE`: the workload's own token.
        token: PathBuf,
    },
}

impl VaultSettings {
    /// From the environment; None without `VAULT_ADDR`.
    ///
    /// # Errors
    ///
    /// [`Error::Source`] when what is set makes no sense.
    pub fn read(set: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let set = |name: &str| set(name).filter(|value| !value.is_empty());
        let Some(address) = set("VAULT_ADDR") else { return Ok(None) };
        let wrong = |place: &str, reason: &str| Error::Source {
            place: place.to_owned(),
            reason: reason.to_owned(),
        };
        let url = Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let address = url.ok_or_else(|| wrong("VAULT_ADDR", "it is like https://vault:8200"))?;
        let auth = match (set("VAULT_TOKEN"), set("NEXUS_VAULT_ROLE")) {
            (Some(token), _) => Auth::Token(Zeroizing::new(token)),
            (None, Some(role)) => Auth::Kubernetes {
                role,
                mount: set("NEXUS_VAULT_AUTH_MOUNT").unwrap_or_else(|| "kubernetes".into()),
                token: set("NEXUS_VAULT_JWT_FILE").unwrap_or_else(|| SERVICE_ACCOUNT.into()).into(),
            },
            (None, None) => {
                return Err(wrong("VAULT_ADDR", "set VAULT_TOKEN or NEXUS_VAULT_ROLE, too"));
            }
        };
        let every = set("NEXUS_VAULT_POLL_SECONDS").map(|text| {
            let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
            seconds.ok_or_else(|| wrong("NEXUS_VAULT_POLL_SECONDS", "1 to 86400"))
        });
        Ok(Some(Self {
            address,
            auth,
            namespace: set("VAULT_NAMESPACE"),
            authorities: set("VAULT_CACERT").map(PathBuf::from),
            mount: set("NEXUS_VAULT_MOUNT").unwrap_or_else(|| "secret".into()),
            path: set("NEXUS_VAULT_PATH").unwrap_or_else(|| "nexus".into()),
            every: Duration::from_secs(every.transpose()?.unwrap_or(30)),
        }))
    }
}

/// A Vault to read from.
pub(crate) struct Vault {
    settings: VaultSettings,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// As whom we have logged in, and until when.
    session: Mutex<Option<(Zeroizing<String>, Instant)>>,
}

impl Vault {
    pub(crate) fn new(settings: VaultSettings) -> Result<Self, Error> {
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(settings.authorities.as_deref())?)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(https);
        Ok(Self { settings, client, session: Mutex::default() })
    }

    pub(crate) fn every(&self) -> Duration {
        self.settings.every
    }

    /// Reads everything that is there for these components.
    pub(crate) async fn layer(&self, components: &[String]) -> Result<Layer, Error> {
        let mut layer = Layer::new(self.place());
        let listed = self.listed().await?;
        for scope in std::iter::once(ALL).chain(components.iter().map(String::as_str)) {
            if listed.as_ref().is_some_and(|names| !names.iter().any(|name| name == scope)) {
                continue;
            }
            let Some(answer) = self.get(&["data"], scope, "").await? else { continue };
            let values = answer["data"]["data"].as_object();
            for (name, value) in values.into_iter().flatten() {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(_) | Value::Bool(_) => value.to_string(),
                    _ => continue,
                };
                layer.put(scope, name, text);
            }
        }
        Ok(layer)
    }

    pub(crate) fn place(&self) -> String {
        let VaultSettings { address, mount, path, .. } = &self.settings;
        format!("Vault at {} ({mount}/{path})", address.origin().ascii_serialization())
    }

    /// The names in the folder; None where we may not list.
    async fn listed(&self) -> Result<Option<Vec<String>>, Error> {
        match self.get(&["metadata"], "", "list=true").await {
            Ok(Some(answer)) => {
                let keys = answer["data"]["keys"].as_array();
                let names = keys.into_iter().flatten().filter_map(Value::as_str);
                Ok(Some(names.map(str::to_owned).collect()))
            }
            Ok(None) => Ok(Some(Vec::new())),
            Err(Refused::Forbidden) => Ok(None),
            Err(other) => Err(self.fail(other)),
        }
    }

    /// A path under the mount; None when nothing is there.
    async fn get(&self, kind: &[&str], name: &str, query: &str) -> Result<Option<Value>, Refused> {
        let VaultSettings { mount, path, .. } = &self.settings;
        let parts = mount.split('/').chain(kind.iter().copied()).chain(path.split('/'));
        let parts: Vec<&str> = parts.chain([name]).filter(|part| !part.is_empty()).collect();
        let token = self.token().await?;
        match self.call(Method::GET, &parts, query, Some(&token), None).await? {
            (StatusCode::OK, answer) => Ok(Some(answer)),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (StatusCode::FORBIDDEN, _) => {
                // Perhaps the session has ended early: the next call begins another.
                self.session.lock().await.take();
                Err(Refused::Forbidden)
            }
            (status, answer) => Err(Refused::Said(status, said(&answer))),
        }
    }

    async fn token(&self) -> Result<Zeroizing<String>, Refused> {
        let Auth::Kubernetes { role, mount, token } = &self.settings.auth else {
            let Auth::Token(token) = &self.settings.auth else { return Err(Refused::Forbidden) };
            return Ok(token.clone());
        };
        let mut session = self.session.lock().await;
        if let Some((token, _)) = session.as_ref().filter(|(_, end)| *end > Instant::now()) {
            return Ok(token.clone());
        }
        let jwt = tokio::fs::read_to_string(token).await;
        let jwt = jwt.map_err(|error| Refused::Away(format!("{}: {error}", token.display())))?;
        let body = json!({ "role": role, "jwt": jwt.trim() });
        let parts = ["auth", mount, "login"];
        let (status, answer) = self.call(Method::POST, &parts, "", None, Some(&body)).await?;
        let made = answer["auth"]["client_token"].as_str().filter(|_| status == StatusCode::OK);
        let made = made.ok_or_else(|| Refused::Said(status, said(&answer)))?;
        let made = Zeroizing::new(made.to_owned());
        // Well before its end; without an end, now and then.
        let seconds = answer["auth"]["lease_duration"].as_u64().filter(|s| *s > 0).unwrap_or(3_600);
        let end = Instant::now() + Duration::from_secs(seconds * 2 / 3);
        *session = Some((made.clone(), end));
        Ok(made)
    }

    async fn call(
        &self,
        method: Method,
        parts: &[&str],
        query: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Refused> {
        let mut url = self.settings.address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(parts);
        }
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let mut request = Request::builder().method(method).uri(url.as_str());
        // Vault refuses calls of a browser by this header's absence.
        request = request.header("x-vault-request", "true");
        for (name, value) in
            [("x-vault-token", token), ("x-vault-namespace", self.settings.namespace.as_deref())]
        {
            request = value.into_iter().fold(request, |request, value| request.header(name, value));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let away = |error: String| Refused::Away(error);
        let request = request.body(Full::from(body)).map_err(|error| away(error.to_string()))?;
        let answer = async {
            let response = self.client.request(request).await.map_err(|error| {
                away(
                    std::error::Error::source(&error)
                        .map_or(error.to_string(), ToString::to_string),
                )
            })?;
            let status = response.status();
            let read = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let bytes = read.map_err(|error| away(error.to_string()))?.to_bytes();
            Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
        };
        let late = || away(format!("no answer within {} s", CALL_MAX.as_secs()));
        tokio::time::timeout(CALL_MAX, answer).await.map_err(|_| late())?
    }

    fn fail(&self, refused: Refused) -> Error {
        let reason = match refused {
            Refused::Forbidden => "it refuses our token".to_owned(),
            Refused::Said(status, words) => format!("it answers {status} {words}"),
            Refused::Away(reason) => reason,
        };
        Error::Source { place: self.place(), reason }
    }
}

/// How Vault says no.
enum Refused {
    Forbidden,
    Said(StatusCode, String),
    Away(String),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let reason = match refused {
            Refused::Forbidden => "it refuses our token".to_owned(),
            Refused::Said(status, words) => format!("it answers {status} {words}"),
            Refused::Away(reason) => reason,
        };
        Self::Source { place: "Vault".into(), reason }
    }
}

/// What Vault says went wrong: its words name paths, and no values.
fn said(answer: &Value) -> String {
    let errors = answer["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    errors.collect::<Vec<_>>().join("; ")
}

fn tls(authorities: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = rustls::RootCertStore::empty();
    match authorities {
        Some(file) => {
            let fail = |reason: String| Error::Source { place: file.display().to_string(), reason };
            let found = CertificateDer::pem_file_iter(file).map_err(|e| fail(e.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| fail(error.to_string()))?;
                roots.add(certificate).map_err(|error| fail(error.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions();
    let config =
        config.map_err(|error| Error::Source { place: "TLS".into(), reason: error.to_string() })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn read(set: &[(&str, &str)]) -> Result<Option<VaultSettings>, Error> {
        let set: HashMap<&str, &str> = set.iter().copied().collect();
        VaultSettings::read(|name| set.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn an_address_needs_somebody_to_ask_as() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("VAULT_ADDR", "http://127.0.0.1:8200")]).is_err());
        assert!(read(&[("VAULT_ADDR", "vault:8200"), ("VAULT_TOKEN", "t")]).is_err());
        let found = read(&[("VAULT_ADDR", "https://vault:8200"), ("VAULT_TOKEN", "t")]).unwrap();
        let found = found.unwrap();
        assert_eq!((found.mount.as_str(), found.path.as_str()), ("secret", "nexus"));
        assert!(matches!(found.auth, Auth::Token(_)));
        let found = read(&[("VAULT_ADDR", "http://v"), ("NEXUS_VAULT_ROLE", "nexus")]).unwrap();
        assert!(matches!(found.unwrap().auth, Auth::Kubernetes { .. }));
        let wrong =
            [("VAULT_ADDR", "http://v"), ("VAULT_TOKEN", "t"), ("NEXUS_VAULT_POLL_SECONDS", "0")];
        assert!(read(&wrong).is_err());
    }
}
