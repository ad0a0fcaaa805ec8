//! All that is kept about one person goes at once.

use identity_contract::UserId;
use nexus_sdk::prelude::*;

/// Everything of a user but what was tried, which stays without a name until it is purged.
pub fn everything(user: UserId) -> Vec<Write> {
    vec![
        sql!("delete from user_auth.password where tenant_id = {tenant} and user_id = {user}"),
        sql!("delete from user_auth.totp where tenant_id = {tenant} and user_id = {user}"),
        sql!("delete from user_auth.recovery_code where tenant_id = {tenant} and user_id = {user}"),
        sql!("delete from user_auth.passkey where tenant_id = {tenant} and user_id = {user}"),
        sql!("delete from user_auth.device where tenant_id = {tenant} and user_id = {user}"),
        sql!("delete from user_auth.mail_order where tenant_id = {tenant} and user_id = {user}"),
        sql!(
            "update user_auth.attempt set user_id = null, address = null, device = null
             where tenant_id = {tenant} and user_id = {user}"
        ),
    ]
}

/// What is under way for a user.
pub fn under_way(user: UserId) -> Vec<Write> {
    vec![
        sql!("delete from user_auth.flow where tenant_id = {tenant} and user_id = {user}"),
        sql!("delete from user_auth.link where tenant_id = {tenant} and user_id = {user}"),
        sql!("delete from user_auth.ceremony where tenant_id = {tenant} and user_id = {user}"),
    ]
}
