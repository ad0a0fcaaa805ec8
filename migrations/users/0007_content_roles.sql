-- What the built-in roles may do with titles: creators make and publish their own, operators look.
update users.role set permissions = permissions || '{content-cms:create}'
  where tenant_id = users.everywhere() and scope = 'tenant' and name = 'creator';
update users.role set permissions = permissions || '{content-cms:view}'
  where tenant_id = users.everywhere() and scope = 'tenant' and name = 'operator';
