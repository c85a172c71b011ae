-- Up Migration

-- A mail about an endpoint of the customer's is of no operation. Its instance is one of his: it says where he is written to.
alter table mails
  alter column operation_id drop not null,
  add column endpoint_id uuid,
  add constraint mails_about check (num_nonnulls(operation_id, endpoint_id) = 1);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
