import type { Queryable } from '#shared/adapters/postgres/database.ts';

/** The rows a platform must have before anybody can ask it for an instance: one plan, image, cluster and customer. */
export async function insertCatalogue(queryable: Queryable): Promise<void> {
  await queryable.query(`insert into plans (id, cpu_millis, memory_mib, disk_gib) values ('small', 500, 512, 5)`);
  await queryable.query(`insert into images (id, reference, odoo_version) values ('odoo-19', 'odoo@sha256:0', '19.0')`);
  await queryable.query(`insert into clusters (id, base_domain) values ('default', 'odoo.example')`);
  await queryable.query(`insert into customers (id, quota) values ('c-1', 1000)`);
}

/** Adds an Odoo server that was reached. */
export async function insertServer(queryable: Queryable, server: { id: string; maxInstances: number }): Promise<void> {
  await queryable.query(
    `insert into db_servers (id, host, admin_user, secret_key, max_instances, reached_at)
     values ($1, 'db.example', 'fleet_admin', $1, $2, now())`,
    [server.id, server.maxInstances],
  );
}

/** Adds an instance as its request leaves it. */
export async function insertTestInstance(queryable: Queryable, id: string): Promise<void> {
  await queryable.query(
    `insert into instances (id, customer_id, name, host, cluster_id, plan_id, image_id, admin_login)
     values ($1, 'c-1', $2, $2 || '.odoo.example', 'default', 'small', 'odoo-19', 'owner@acme.example')`,
    [id, `n-${id}`],
  );
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** The instance id that stands for a number in a test. */
export function testInstanceId(number: number): string {
  let id = '';
  for (let rest = number, at = 0; at < 12; at += 1, rest = Math.floor(rest / 32)) id = alphabet.charAt(rest % 32) + id;
  return id;
}
