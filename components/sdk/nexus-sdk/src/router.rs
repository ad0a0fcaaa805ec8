//! Routes that know what they take and give.
//!
//! Knows a path, its methods, the functions behind them and, from each function's type, what the
//! documentation and the architecture test need. Refuses to choose one; `service.rs` does.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};

use crate::openapi::{Input, Operation, Output};

/// The routes of a service, written as in axum:
/// `Router::new().route("/products/{id}", get(show).put(rename))`.
#[derive(Debug, Default)]
#[must_use]
pub struct Router {
    pub(crate) paths: Vec<(String, Vec<Way>)>,
}

/// An answer on its way.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// One method of a path, and the function behind it.
pub(crate) struct Way {
    pub(crate) method: &'static str,
    /// The function's, with its crate.
    name: &'static str,
    describe: fn(&mut Operation),
    pub(crate) answer: Arc<dyn Fn(Request) -> Answering + Send + Sync>,
}

impl Way {
    /// As a fact. `catalog::products::create` is `products::create`.
    pub(crate) fn route(&self, path: &str) -> Route {
        let name = self.name.split_once("::").map_or(self.name, |(_, name)| name);
        let (path, name) = (path.to_owned(), name.to_owned());
        Route { method: self.method, path, name, describe: self.describe }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.name)
    }
}

/// One method of one path, as a fact.
#[derive(Debug, Clone)]
pub struct Route {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`.
    pub method: &'static str,
    /// The whole path with its `{parts}`.
    pub path: String,
    /// The function behind it, without the crate: `products::create`.
    pub name: String,
    pub(crate) describe: fn(&mut Operation),
}

/// Who may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Whoever holds the permission.
    Allowed(&'static str),
    /// Every person, and programs with a person's key.
    SignedIn,
    /// Other components of the suite: these, or all with `*`.
    Called(&'static [&'static str]),
    /// Everybody, with a tenant.
    Public,
    /// Everybody; the function takes no door at all.
    Open,
}

impl Door {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Door::Allowed(_) => "allowed",
            Door::SignedIn => "signed-in",
            Door::Called(_) => "called",
            Door::Public => "public",
            Door::Open => "open",
        }
    }
}

impl Route {
    /// Who may pass.
    pub fn door(&self) -> Door {
        Operation::door_of(self.describe)
    }
}

impl Router {
    /// No routes yet.
    pub fn new() -> Router {
        Router::default()
    }

    /// Adds a path, relative to `/api/<service>/v1` (or to `/` in a `root` router).
    pub fn route(mut self, path: &str, methods: Methods) -> Router {
        self.paths.push((path.to_owned(), methods.ways));
        self
    }

    /// Adds all routes of `other`: one router per resource, one service.
    pub fn merge(mut self, other: Router) -> Router {
        self.paths.extend(other.paths);
        self
    }

    /// Adds all routes of `other` below `prefix`.
    pub fn nest(self, prefix: &str, other: Router) -> Router {
        self.merge(other.below(prefix))
    }

    pub(crate) fn below(mut self, prefix: &str) -> Router {
        for (path, _) in &mut self.paths {
            match path.as_str() {
                "/" if !prefix.is_empty() => *path = prefix.to_owned(),
                _ => path.insert_str(0, prefix),
            }
        }
        self
    }
}

/// The methods of one path.
#[derive(Debug)]
#[must_use]
pub struct Methods {
    ways: Vec<Way>,
}

/// An async function that can stand behind a route: up to eight documented arguments, the
/// last of which may read the body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand behind a route",
    note = "a handler is an async function; `Allowed<P>` proves who asks, `Json` comes last",
    note = "types in `Json`, `Query`, `Form`, `Path`, `Created` and `Page` derive `JsonSchema`"
)]
pub trait Endpoint<M>: Clone + Send + Sync + 'static {
    #[doc(hidden)]
    fn answer(self, request: Request) -> Answering;
    #[doc(hidden)]
    fn describe(operation: &mut Operation);
}

impl<Function, Given, Answer> Endpoint<((),)> for Function
where
    Function: Fn() -> Given + Handler<((),), (), Future = Answering>,
    Given: Future<Output = Answer>,
    Answer: IntoResponse + Output,
{
    fn answer(self, request: Request) -> Answering {
        self.call(request, ())
    }

    fn describe(operation: &mut Operation) {
        Answer::describe(operation);
    }
}

macro_rules! endpoint {
    ($($argument:ident)*) => {
        impl<Function, Given, Answer, Kind, $($argument),*> Endpoint<(Kind, $($argument,)*)>
            for Function
        where
            Function: Fn($($argument),*) -> Given
                + Handler<(Kind, $($argument,)*), (), Future = Answering>,
            Given: Future<Output = Answer>,
            Answer: IntoResponse + Output,
            Kind: 'static,
            $($argument: Input + 'static,)*
        {
            fn answer(self, request: Request) -> Answering {
                self.call(request, ())
            }

            fn describe(operation: &mut Operation) {
                $($argument::describe(operation);)*
                Answer::describe(operation);
            }
        }
    };
}

endpoint! { A }
endpoint! { A B }
endpoint! { A B C }
endpoint! { A B C D }
endpoint! { A B C D E }
endpoint! { A B C D E F }
endpoint! { A B C D E F G }
endpoint! { A B C D E F G H }

macro_rules! methods {
    ($($method:ident $word:literal)*) => {
        $(
            #[doc = concat!("A path that answers ", $word, ".")]
            pub fn $method<E: Endpoint<M>, M: 'static>(endpoint: E) -> Methods {
                Methods { ways: Vec::new() }.$method(endpoint)
            }
        )*

        impl Methods {
            $(
                #[doc = concat!("Also answers ", $word, ".")]
                pub fn $method<E: Endpoint<M>, M: 'static>(mut self, endpoint: E) -> Methods {
                    self.ways.push(Way {
                        method: $word,
                        name: std::any::type_name::<E>(),
                        describe: E::describe,
                        answer: Arc::new(move |request| endpoint.clone().answer(request)),
                    });
                    self
                }
            )*
        }
    };
}

methods! {
    get "GET"
    post "POST"
    put "PUT"
    patch "PATCH"
    delete "DELETE"
    options "OPTIONS"
}
