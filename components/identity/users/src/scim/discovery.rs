//! What a client can find out by itself (RFC 7644 §4): abilities, kinds of resources, schemas.

use super::answer::{Scim, told};
use super::bulk::{OPERATIONS_MAX, PAYLOAD_BYTES_MAX};
use super::schema::{Kind, schemas};
use super::search::COUNT_MAX;
use crate::Directory;
use nexus_sdk::prelude::*;
use serde_json::Value;

pub fn router() -> Router {
    Router::new()
        .route("/ServiceProviderConfig", get(abilities))
        .route("/ResourceTypes", get(kinds))
        .route("/ResourceTypes/{name}", get(kind))
        .route("/Schemas", get(all_schemas))
        .route("/Schemas/{id}", get(schema))
}

type By = Allowed<Directory>;

async fn abilities(by: By) -> Result<Scim> {
    let origin = by.variable("public_url").await?;
    Ok(Scim::ok(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": {
            "supported": true,
            "maxOperations": OPERATIONS_MAX,
            "maxPayloadSize": PAYLOAD_BYTES_MAX,
        },
        "filter": { "supported": true, "maxResults": COUNT_MAX },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "A token or key of this installation that holds users:scim",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{origin}/scim/v2/ServiceProviderConfig"),
        },
    })))
}

fn kind_shown(kind: Kind, origin: &str) -> Value {
    let extensions = kind.extensions().iter();
    let extensions: Vec<Value> =
        extensions.map(|(urn, _)| json!({ "schema": urn, "required": false })).collect();
    let mut shown = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": kind.name(),
        "name": kind.name(),
        "endpoint": kind.endpoint(),
        "description": match kind {
            Kind::User => "An account of a person",
            Kind::Group => "People who have the same roles",
        },
        "schema": kind.schema(),
        "meta": {
            "resourceType": "ResourceType",
            "location": format!("{origin}/scim/v2/ResourceTypes/{}", kind.name()),
        },
    });
    if !extensions.is_empty() {
        shown["schemaExtensions"] = extensions.into();
    }
    shown
}

fn schema_shown(mut schema: Value, origin: &str) -> Value {
    let id = schema["id"].as_str().unwrap_or_default();
    schema["meta"] = json!({
        "resourceType": "Schema", "location": format!("{origin}/scim/v2/Schemas/{id}"),
    });
    schema
}

fn listed(resources: Vec<Value>) -> Scim {
    Scim::ok(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": resources.len(),
        "startIndex": 1,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    }))
}

#[derive(Deserialize, JsonSchema)]
struct Asked {
    filter: Option<String>,
}

/// These lists are not filtered (RFC 7644 §4): a client that thinks so is told at once.
fn whole(asked: &Asked) -> Result<(), Refusal> {
    match asked.filter {
        Some(_) => Err(standard::Forbidden.because("this list takes no filter")),
        None => Ok(()),
    }
}

async fn kinds(by: By, Query(asked): Query<Asked>) -> Result<Scim> {
    let origin = by.variable("public_url").await?;
    let kinds = [Kind::User, Kind::Group].map(|kind| kind_shown(kind, &origin));
    told(whole(&asked).map(|()| listed(kinds.to_vec())).map_err(Into::into))
}

async fn kind(by: By, Path(name): Path<String>) -> Result<Scim> {
    let origin = by.variable("public_url").await?;
    let kind = [Kind::User, Kind::Group].into_iter().find(|kind| kind.name() == name);
    told(match kind {
        Some(kind) => Ok(Scim::ok(kind_shown(kind, &origin))),
        None => Err(standard::NotFound.into()),
    })
}

async fn all_schemas(by: By, Query(asked): Query<Asked>) -> Result<Scim> {
    let origin = by.variable("public_url").await?;
    let all = schemas().into_iter().map(|schema| schema_shown(schema, &origin));
    told(whole(&asked).map(|()| listed(all.collect())).map_err(Into::into))
}

async fn schema(by: By, Path(id): Path<String>) -> Result<Scim> {
    let origin = by.variable("public_url").await?;
    let found = schemas().into_iter().find(|schema| schema["id"] == id.as_str());
    told(match found {
        Some(schema) => Ok(Scim::ok(schema_shown(schema, &origin))),
        None => Err(standard::NotFound.into()),
    })
}
