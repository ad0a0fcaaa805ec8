//! What other services tell about a person: that there is an account, whether it may be used, where
//! somebody belongs, that somebody is to be forgotten.

use crate::own::Standing;
use crate::{avatars, fields, store};
use identity_contract::user_auth::UserRegistered;
use identity_contract::users::{MemberAdded, UserCreated, UserErased};
use identity_contract::{OrganisationId, UserId};
use nexus_sdk::prelude::*;
use nexus_sdk::{Delivery, Event as _};

pub async fn on_created(ctx: Ctx, created: UserCreated) -> Result<NoContent> {
    // Another service's forms are not ours: what does not fit is left out.
    let name = created.display_name.and_then(|name| fields::display_name(&name).ok());
    let locale = created.locale.and_then(|tag| fields::locale(&tag, "locale").ok());
    ctx.commit(store::profiles::begin(created.id, name, locale, ctx.now())).await
}

pub async fn on_registered(ctx: Ctx, registered: UserRegistered) -> Result<NoContent> {
    ctx.commit(store::profiles::begin(registered.id, None, None, ctx.now())).await
}

pub async fn on_standing(ctx: Ctx, delivery: Delivery) -> Result<NoContent> {
    #[derive(Deserialize)]
    struct About {
        id: UserId,
    }
    let about: About =
        serde_json::from_slice(&delivery.payload).context("read a fact about an account")?;
    let standing = match delivery.topic.as_str() {
        "identity.user.reinstated.v1" => Standing::Active,
        _ => Standing::Hidden,
    };
    ctx.commit(store::profiles::stand(about.id, standing, delivery.published_at, ctx.now())).await
}

pub async fn on_erased(ctx: Ctx, erased: UserErased) -> Result<NoContent> {
    let profile = store::profiles::find(ctx.db(), erased.id).await?;
    avatars::forget(ctx.tenant(), profile.and_then(|it| it.avatar_id)).await;
    ctx.commit(store::profiles::erase(erased.id, ctx.now())).await
}

pub async fn on_membership(ctx: Ctx, delivery: Delivery) -> Result<NoContent> {
    #[derive(Deserialize)]
    struct About {
        organisation: OrganisationId,
        user: UserId,
    }
    let about: About =
        serde_json::from_slice(&delivery.payload).context("read a fact about a membership")?;
    let belongs = delivery.topic == MemberAdded::TOPIC;
    let told = delivery.published_at;
    ctx.commit(store::profiles::belong(about.user, about.organisation, belongs, told)).await
}
