-- Up Migration

-- Lists show what is newest first and go on from a place in that order: of one customer, and of all. The id tells rows of
-- one time apart. Columns that change often are in none of them: their updates stay in place.
create index instances_created on instances (created_at, id);
create index instances_customer_created on instances (customer_id, created_at, id);
create index operations_created on operations (created_at, id);
create index backups_started on backups (started_at, id);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
