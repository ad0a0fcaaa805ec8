//! Routes that know what they take and give.
//!
//! Knows a path, its methods and, from each function's type, what the documentation and the
//! architecture test need. Refuses to dispatch: that is axum's, in `service.rs`.

use axum::handler::Handler;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter};

use crate::openapi::{Input, Operation, Output};

/// The routes of a service, written as in axum:
/// `Router::new().route("/products/{id}", get(show).put(rename))`.
#[derive(Debug, Default)]
#[must_use]
pub struct Router {
    pub(crate) paths: Vec<(String, MethodRouter)>,
    pub(crate) routes: Vec<Route>,
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
        let at_path = |route: Route| Route { path: path.to_owned(), ..route };
        self.routes.extend(methods.routes.into_iter().map(at_path));
        self.paths.push((path.to_owned(), methods.router));
        self
    }

    /// Adds all routes of `other`: one router per resource, one service.
    pub fn merge(mut self, other: Router) -> Router {
        self.paths.extend(other.paths);
        self.routes.extend(other.routes);
        self
    }

    /// Adds all routes of `other` below `prefix`.
    pub fn nest(self, prefix: &str, other: Router) -> Router {
        self.merge(other.below(prefix))
    }

    pub(crate) fn below(mut self, prefix: &str) -> Router {
        let below = |path: &str| match path {
            "/" if !prefix.is_empty() => prefix.to_owned(),
            path => format!("{prefix}{path}"),
        };
        self.paths.iter_mut().for_each(|(path, _)| *path = below(path));
        self.routes.iter_mut().for_each(|route| route.path = below(&route.path));
        self
    }
}

/// The methods of one path.
#[derive(Debug)]
#[must_use]
pub struct Methods {
    router: MethodRouter,
    routes: Vec<Route>,
}

/// An async function that can stand behind a route: up to eight documented arguments, the
/// last of which may read the body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand behind a route",
    note = "a handler is an async function; `Allowed<P>` proves who asks, `Json` comes last",
    note = "types in `Json`, `Query`, `Form`, `Path`, `Created` and `Page` derive `JsonSchema`"
)]
pub trait Endpoint<M>: Sized {
    #[doc(hidden)]
    fn attach(self, filter: MethodFilter, router: MethodRouter) -> MethodRouter;
    #[doc(hidden)]
    fn describe(operation: &mut Operation);
}

impl<Function, Answering, Answer> Endpoint<((),)> for Function
where
    Function: Fn() -> Answering + Handler<((),), ()>,
    Answering: Future<Output = Answer>,
    Answer: IntoResponse + Output,
{
    fn attach(self, filter: MethodFilter, router: MethodRouter) -> MethodRouter {
        router.on(filter, self)
    }

    fn describe(operation: &mut Operation) {
        Answer::describe(operation);
    }
}

macro_rules! endpoint {
    ($($argument:ident)*) => {
        impl<Function, Answering, Answer, Kind, $($argument),*> Endpoint<(Kind, $($argument,)*)>
            for Function
        where
            Function: Fn($($argument),*) -> Answering + Handler<(Kind, $($argument,)*), ()>,
            Answering: Future<Output = Answer>,
            Answer: IntoResponse + Output,
            Kind: 'static,
            $($argument: Input + 'static,)*
        {
            fn attach(self, filter: MethodFilter, router: MethodRouter) -> MethodRouter {
                router.on(filter, self)
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
    ($($method:ident $word:literal $filter:ident)*) => {
        $(
            #[doc = concat!("A path that answers ", $word, ".")]
            pub fn $method<E: Endpoint<M>, M>(endpoint: E) -> Methods {
                Methods { router: MethodRouter::new(), routes: Vec::new() }.$method(endpoint)
            }
        )*

        impl Methods {
            $(
                #[doc = concat!("Also answers ", $word, ".")]
                pub fn $method<E: Endpoint<M>, M>(mut self, endpoint: E) -> Methods {
                    self.router = endpoint.attach(MethodFilter::$filter, self.router);
                    self.routes.push(Route {
                        method: $word,
                        path: String::new(),
                        name: name_of::<E>(),
                        describe: E::describe,
                    });
                    self
                }
            )*
        }
    };
}

methods! {
    get "GET" GET
    post "POST" POST
    put "PUT" PUT
    patch "PATCH" PATCH
    delete "DELETE" DELETE
    options "OPTIONS" OPTIONS
}

/// The function's name without its crate: `catalog::products::create` is `products::create`.
fn name_of<E>() -> String {
    let whole = std::any::type_name::<E>();
    whole.split_once("::").map_or(whole, |(_, name)| name).to_owned()
}
