//! The macros that are tables of facts: `service!`, `permissions!`, `refusals!`, `id!`,
//! `event!`. The docs and the tests read the same tables; none contains logic.

/// The permissions a service asks for, as types for `Allowed<P>`; each starts with the
/// service's name. `permissions! { View = "catalog:view"; Edit = "catalog:edit" }`
#[macro_export]
macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $permission:literal);* $(;)?) => {
        $(
            $(#[$doc])*
            #[doc = concat!("`", $permission, "`")]
            #[derive(Debug, Clone, Copy)]
            #[allow(unreachable_pub)]
            pub enum $name {}

            impl $crate::Permission for $name {
                const NAME: &'static str = $permission;
            }

            const _: () = assert!(
                $crate::belongs_to($permission, env!("CARGO_PKG_NAME")),
                concat!($permission, " does not start with the name of this service"),
            );
        )*

        /// Every permission of this table.
        #[allow(dead_code, unreachable_pub)]
        pub const PERMISSIONS: &[&str] = &[$($permission),*];
    };
}

/// Which components pass a `Called<C>` door; `"*"` stands for every component.
/// `callers! { LoginFlows = ["user-auth", "auth"]; Anyone = ["*"] }`
#[macro_export]
macro_rules! callers {
    ($($(#[$doc:meta])* $name:ident = [$($caller:literal),+ $(,)?]);* $(;)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        #[allow(unreachable_pub)]
        pub enum $name {}

        impl $crate::Callers for $name {
            const NAMES: &'static [&'static str] = &[$($caller),+];
        }
    )*};
}

/// What a service refuses: name, status, sentence. Names are API and never reused.
/// `refusals! { TitleLength = 422, "a title takes 1 to 120 characters" }`
#[macro_export]
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $sentence:literal);* $(;)?) => {
        $(
            $(#[$doc])*
            #[doc = concat!(stringify!($status), ": ", $sentence, ".")]
            #[allow(non_upper_case_globals, unreachable_pub)]
            pub const $name: $crate::Refusal =
                $crate::Refusal::new(stringify!($name), $status, $sentence);
        )*

        /// Every refusal of this table.
        #[allow(dead_code, unreachable_pub)]
        pub const REFUSALS: &[$crate::Refusal] = &[$($name),*];
    };
}

/// Ids as UUIDv7 newtypes: `id! { ProductId }`; several are separated by `;`.
#[macro_export]
macro_rules! id {
    ($($(#[$doc:meta])* $name:ident);* $(;)?) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            $crate::serde::Serialize, $crate::serde::Deserialize, $crate::schemars::JsonSchema,
        )]
        #[serde(crate = "nexus_sdk::serde", transparent)]
        #[schemars(crate = "nexus_sdk::schemars")]
        #[allow(unreachable_pub)]
        pub struct $name($crate::uuid::Uuid);

        impl $crate::Id for $name {}

        impl From<$crate::uuid::Uuid> for $name {
            fn from(id: $crate::uuid::Uuid) -> Self {
                $name(id)
            }
        }

        impl From<$name> for $crate::uuid::Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::uuid::Error;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }

        impl $crate::ToParam for $name {
            fn to_param(&self) -> $crate::Param {
                $crate::ToParam::to_param(&self.0)
            }
        }
    )*};
}

/// Events of a contract: topic, payload, and which field it is about (`id` unless said).
///
/// ```ignore
/// event! {
///     /// A product exists.
///     "commerce.product.created.v1" => ProductCreated { id: ProductId }
///     "commerce.price.changed.v1" => PriceChanged about product_id { product_id: ProductId }
/// }
/// ```
#[macro_export]
macro_rules! event {
    ($(
        $(#[$doc:meta])*
        $topic:literal => $name:ident $(about $subject:ident)? {
            $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)?
        }
    )*) => {
        $(
            $(#[$doc])*
            #[doc = ""]
            #[doc = concat!("Topic `", $topic, "`.")]
            #[derive(
                Debug, Clone, PartialEq,
                $crate::serde::Serialize, $crate::serde::Deserialize, $crate::schemars::JsonSchema,
            )]
            #[serde(crate = "nexus_sdk::serde")]
            #[schemars(crate = "nexus_sdk::schemars")]
            #[allow(unreachable_pub)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $kind,)*
            }

            impl $crate::Event for $name {
                const TOPIC: &'static str = $topic;

                fn subject(&self) -> String {
                    $crate::__first!([self.$($subject)?] [self.id]).to_string()
                }
            }

            const _: () = assert!(
                $crate::is_topic($topic),
                concat!($topic, " is not of the form context.entity.past_tense.v1"),
            );
        )*

        /// Every topic of this table.
        #[allow(dead_code, unreachable_pub)]
        pub const EVENTS: &[&str] = &[$($topic),*];
    };
}

/// The facts of a component and its exports: `http` is mounted at `/api/<service>/v1`, `root`
/// at `/` (protocol paths), `events` are subscriptions, `cron` is one function or a list.
/// All functions are named as they are in scope; every entry is optional.
///
/// ```ignore
/// service! {
///     http: router,
///     root: protocol,
///     events: { "commerce.product.discontinued.v1" => on_discontinued },
///     cron: [purge_archived, roll_up],
/// }
/// ```
#[macro_export]
macro_rules! service {
    (
        $(http: $http:ident $(,)?)?
        $(root: $root:ident $(,)?)?
        $(events: { $($topic:literal => $on:ident),* $(,)? } $(,)?)?
        $(cron: $cron:tt $(,)?)?
    ) => {
        /// What this component is and listens to.
        pub const FACTS: $crate::Facts = $crate::Facts {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            topics: &[$($($topic),*)?],
            crons: $crate::__cron_names!($($cron)?),
        };

        /// The service as the host and the tests see it.
        pub fn service() -> $crate::Service {
            let http = $crate::__first!([$($http())?] [$crate::Router::new()]);
            let root = $crate::__first!([$($root())?] [$crate::Router::new()]);
            $crate::Service::new(FACTS, http, root)
        }

        /// Handles one event of a subscription.
        #[doc(hidden)]
        #[allow(unused_variables)]
        pub async fn __nexus_event(
            topic: &str,
            delivery: $crate::Delivery,
        ) -> $crate::Result<$crate::NoContent> {
            match topic {
                $($($topic => {
                    let (ctx, event) = delivery.open(FACTS.name)?;
                    $on(ctx, event).await
                })*)?
                other => Err($crate::unknown("subscription", other)),
            }
        }

        /// Runs one schedule.
        #[doc(hidden)]
        #[allow(unused_variables)]
        pub async fn __nexus_cron(
            name: &str,
            tick: $crate::Tick,
        ) -> $crate::Result<$crate::NoContent> {
            $crate::__cron_run!(name, tick, FACTS.name, $($cron)?)
        }

        $crate::__export!();
    };
}

/// What the component gives to the host: the one place that knows about wasm.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    () => {
        #[cfg(target_arch = "wasm32")]
        mod __nexus_export {
            use $crate::bindings::exports::nexus::triggers::{messages, schedules};
            use $crate::spin_sdk::wasip3;
            use $crate::whole_bindings::exports::nexus::http::whole;

            struct Component;

            wasip3::http::service::export!(Component);
            $crate::bindings::export_triggers!(Component);
            $crate::whole_bindings::export_whole!(Component);

            impl wasip3::exports::http::handler::Guest for Component {
                async fn handle(
                    request: wasip3::http::types::Request,
                ) -> Result<wasip3::http::types::Response, wasip3::http::types::ErrorCode> {
                    $crate::serve(super::service, request).await
                }
            }

            impl whole::Guest for Component {
                async fn handle(
                    head_bytes: u32,
                    request: Vec<u8>,
                ) -> Result<whole::Answer, String> {
                    $crate::serve_whole(super::service, head_bytes, request).await
                }
            }

            impl messages::Guest for Component {
                async fn handle(
                    subscription: String,
                    message: messages::Message,
                ) -> messages::Outcome {
                    let delivery = $crate::delivery(&subscription, message);
                    let id = delivery.request_id.clone();
                    let result = super::__nexus_event(&subscription, delivery).await;
                    $crate::outcome(super::FACTS.name, &id, result).into()
                }

                async fn handle_batch(
                    subscription: String,
                    messages: Vec<messages::Message>,
                ) -> Vec<messages::Outcome> {
                    let all = messages.into_iter();
                    let one = |message| Self::handle(subscription.clone(), message);
                    $crate::concurrently(all.map(one)).await
                }
            }

            impl schedules::Guest for Component {
                async fn run(tick: schedules::Tick) -> schedules::Outcome {
                    let (name, tick) = $crate::tick(tick);
                    let id = tick.request_id.clone();
                    let result = super::__nexus_cron(&name, tick).await;
                    $crate::outcome(super::FACTS.name, &id, result).into()
                }
            }
        }
    };
}

/// The first of two expressions, or the second where the first is absent.
#[doc(hidden)]
#[macro_export]
macro_rules! __first {
    ([self.] [$fallback:expr]) => {
        $fallback
    };
    ([] [$fallback:expr]) => {
        $fallback
    };
    ([$given:expr] [$fallback:expr]) => {
        $given
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cron_names {
    () => { &[] };
    ([$($name:ident),* $(,)?]) => { &[$(stringify!($name)),*] };
    ($name:ident) => { &[stringify!($name)] };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cron_run {
    ($asked:ident, $tick:ident, $service:expr,) => { Err($crate::unknown("schedule", $asked)) };
    ($asked:ident, $tick:ident, $service:expr, $name:ident) => {
        $crate::__cron_run!($asked, $tick, $service, [$name])
    };
    ($asked:ident, $tick:ident, $service:expr, [$($name:ident),* $(,)?]) => {
        match $asked {
            $(stringify!($name) => $name($tick.open($service)).await,)*
            other => Err($crate::unknown("schedule", other)),
        }
    };
}
