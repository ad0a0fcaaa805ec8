//! Groups of a directory.

use crate::groups::Group;
use identity_contract::RoleId;
use nexus_sdk::prelude::*;

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<Group>> {
    let all = sql!(
        "select g.*,
           (select count(*) from users.group_member m
            where m.tenant_id = g.tenant_id and m.group_id = g.id) as members,
           array(
             select r.role_id::text from users.group_role r
             where r.tenant_id = g.tenant_id and r.group_id = g.id order by r.role_id
           ) as role_ids
         from users.directory_group g where g.tenant_id = {tenant}"
    );
    db.page(all, cursor, ascending(["id"])).await
}

pub async fn find(db: &Db, id: Uuid) -> Result<Group> {
    let one = sql!(
        "select g.*,
           (select count(*) from users.group_member m
            where m.tenant_id = g.tenant_id and m.group_id = g.id) as members,
           array(
             select r.role_id::text from users.group_role r
             where r.tenant_id = g.tenant_id and r.group_id = g.id order by r.role_id
           ) as role_ids
         from users.directory_group g where g.tenant_id = {tenant} and g.id = {id}"
    );
    db.one(one).await
}

pub fn set_roles(id: Uuid, roles: &Vec<RoleId>, at: Time) -> Write {
    sql!("select users.set_group_roles({tenant}, {id}, ({roles}::text[])::uuid[], {at})")
}
