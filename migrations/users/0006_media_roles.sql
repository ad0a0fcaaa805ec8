-- What the built-in roles may do with media: creators send in their own work, operators look.
update users.role set permissions = permissions || '{uploader:create,uploader:view}'
  where tenant_id = users.everywhere() and scope = 'tenant' and name = 'creator';
update users.role set permissions = permissions ||
  '{asset-pipeline:view,gateway:view,manifest-builder:view,media-metadata:view,streaming:view,'
  'thumbnailer:view,transcoder:view,uploader:view}'
  where tenant_id = users.everywhere() and scope = 'tenant' and name = 'operator';
