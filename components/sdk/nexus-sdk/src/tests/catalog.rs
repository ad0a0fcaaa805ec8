//! The service under test: a catalog, written as any service is, in one file.

use axum::extract::Request;

use crate::prelude::*;
use crate::{Delivery, Facts, Kind, Permission, Principal, Problem, Service};

crate::id! { ProductId }

crate::event! {
    /// A product exists.
    "commerce.product.created.v1" => ProductCreated { id: ProductId }
}

crate::refusals! {
    TitleLength = 422, "a title takes 1 to 120 characters";
    TitleTaken = 409, "another product has this title";
}

pub(super) enum View {}

impl Permission for View {
    const NAME: &'static str = "catalog:view";
}

pub(super) enum Edit {}

impl Permission for Edit {
    const NAME: &'static str = "catalog:edit";
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Product {
    pub(super) id: ProductId,
    pub(super) title: String,
    pub(super) version: i64,
    pub(super) created_at: Time,
    pub(super) archived_at: Option<Time>,
}

#[derive(Deserialize, JsonSchema)]
struct Draft {
    title: String,
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    title: Option<String>,
}

pub(super) fn service() -> Service {
    let http = Router::new()
        .route("/products", post(create).get(list))
        .route("/products/{id}", get(show).put(rename).delete(archive))
        .route("/failure", get(failure))
        .route("/mine", get(mine))
        .route("/internal/stock", get(stock))
        .route("/echo/{*rest}", get(echo));
    let root = Router::new().route("/.well-known/catalog", get(about));
    let facts = Facts {
        name: "catalog",
        version: "0.1.0",
        description: "The products a tenant offers.",
        topics: &[],
        crons: &[],
    };
    Service::new(facts, http, root)
}

async fn about() -> &'static str {
    "a catalog"
}

crate::callers! { Shops = ["shop", "market"] }

async fn mine(by: SignedIn) -> Result<Json<String>> {
    by.recently(minutes(10))?;
    Ok(Json(by.in_person()?.to_owned()))
}

async fn stock(by: Called<Shops>) -> Json<String> {
    Json(by.caller().to_owned())
}

async fn failure(_by: Public) -> Result<NoContent> {
    Err(Failure::msg("a secret").context("read the price").into())
}

async fn echo(_by: Public, Path(rest): Path<String>, search: Query<Search>) -> Json<String> {
    Json(format!("{rest} {}", search.title.as_deref().unwrap_or("-")))
}

async fn create(by: Allowed<Edit>, Json(draft): Json<Draft>) -> Result<Created<Product>> {
    let product = Product {
        id: by.new_id(),
        title: title(&draft)?,
        version: 1,
        created_at: by.now(),
        archived_at: None,
    };
    by.commit([insert(&product), emit(ProductCreated { id: product.id })]).await?;
    Ok(Created(product))
}

async fn list(by: Allowed<View>, cursor: Cursor, search: Query<Search>) -> Result<Page<Product>> {
    let title = &search.title;
    let all = sql!(
        "select * from catalog.product
         where tenant_id = {tenant} and ({title}::text is null or title = {title})"
    );
    by.db().page(all, &cursor, descending(["created_at", "id"])).await
}

async fn show(by: Allowed<View>, Path(id): Path<ProductId>) -> Result<Tagged<Json<Product>>> {
    let product = find(by.db(), id).await?;
    Ok(Tagged(Etag::of_version(product.version), Json(product)))
}

async fn rename(
    by: Allowed<Edit>,
    id: Path<ProductId>,
    seen: IfMatch,
    draft: Json<Draft>,
) -> Result<NoContent> {
    let (id, title, version) = (*id, title(&draft)?, seen.version()?);
    let rename = sql!(
        "update catalog.product set title = {title}, version = version + 1
         where tenant_id = {tenant} and id = {id} and version = {version}"
    );
    by.commit(rename.expect_rows(1).or_refuse(standard::PreconditionFailed)).await
}

async fn archive(by: Allowed<Edit>, Path(id): Path<ProductId>) -> Result<NoContent> {
    let at = by.now();
    let archive = sql!(
        "update catalog.product set archived_at = {at} where tenant_id = {tenant} and id = {id}"
    );
    by.commit([archive]).await
}

pub(super) async fn on_created(ctx: Ctx, event: ProductCreated) -> Result<NoContent> {
    let product = Product {
        id: event.id,
        title: format!("copy of {}", event.id),
        version: 1,
        created_at: ctx.now(),
        archived_at: None,
    };
    ctx.commit(vec![insert(&product)]).await
}

pub(super) async fn find(db: &Db, id: ProductId) -> Result<Product> {
    db.one(sql!("select * from catalog.product where tenant_id = {tenant} and id = {id}")).await
}

pub(super) fn insert(p: &Product) -> Write {
    sql!(
        "insert into catalog.product (tenant_id, id, title, version, created_at)
         values ({tenant}, {p.id}, {p.title}, {p.version}, {p.created_at})"
    )
    .on_conflict_refuse("product_title_key", TitleTaken)
}

fn title(draft: &Draft) -> Result<String, Refusal> {
    let title = draft.title.trim();
    let fits = (1..=120).contains(&title.chars().count());
    if fits { Ok(title.into()) } else { Err(TitleLength.at("title")) }
}

/// The tenant of every test that does not say otherwise.
pub(super) fn tenant(n: u128) -> TenantId {
    Uuid::from_u128(n).into()
}

/// Somebody with these permissions.
pub(super) fn member(permissions: &[&str]) -> Principal {
    Principal {
        subject: "ada".into(),
        kind: Kind::User,
        tenant: tenant(1),
        organisation: None,
        permissions: permissions.iter().map(|&it| it.into()).collect(),
        session: None,
        auth_time: None,
        acr: None,
        limited: false,
    }
}

/// Nobody, seen by the host.
pub(super) fn nobody() -> Principal {
    Principal { subject: String::new(), kind: Kind::Anonymous, ..member(&[]) }
}

/// One request as the host hands it over.
pub(super) struct Asking {
    request: axum::http::request::Builder,
    body: Body,
}

pub(super) fn ask(who: &Principal, method: &str, path: &str) -> Asking {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("nexus-principal", who.to_header()).header("x-request-id", "r-1");
    Asking { request, body: Body::empty() }
}

impl Asking {
    pub(super) fn header(mut self, name: &str, value: &str) -> Asking {
        self.request = self.request.header(name, value);
        self
    }

    pub(super) fn json(self, body: serde_json::Value) -> Asking {
        let body = Body::from(body.to_string());
        Asking { body, ..self.header("content-type", "application/json") }
    }

    pub(super) fn body(self, body: &'static str) -> Asking {
        Asking { body: body.into(), ..self }
    }

    pub(super) async fn answer(self) -> Answer {
        let response = service().call(self.request.body(self.body).unwrap()).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn read<T: serde::de::DeserializeOwned>(&self) -> T {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {text}"))
    }

    /// The problem it must be.
    pub(super) fn problem(&self, status: u16, name: &str) -> Problem {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{text}");
        let problem: Problem = self.read();
        assert_eq!(problem.r#type, format!("/problems/catalog/{name}"));
        assert_eq!((problem.status, problem.instance.as_str()), (status, "r-1"));
        problem
    }
}

/// An event as the queue hands it over.
pub(super) fn created_elsewhere(event: Uuid, product: ProductId) -> Delivery {
    Delivery {
        id: event,
        subscription: "commerce.product.created.v1".into(),
        topic: "commerce.product.created.v1".into(),
        source: "catalog".into(),
        subject: product.to_string(),
        tenant: tenant(1),
        payload: json!({ "id": product }).to_string().into(),
        published_at: crate::time::now(),
        attempt: 1,
        trace: None,
        request_id: "r-1".into(),
        now: crate::time::now(),
    }
}
