import type { Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** A Kubernetes cluster of the fleet and the addresses its instances get: `<scheme>://<name>.<baseDomain>[:<publicPort>]`. */
export type Cluster = { id: string; baseDomain: string; scheme: 'http' | 'https'; publicPort: number | null };

/** The cluster, or undefined. */
export async function findCluster(queryable: Queryable, id: string): Promise<Cluster | undefined> {
  const { rows } = await queryable.query<Row<'clusters'>>('select * from clusters where id = $1', [id]);
  return rows.map(toCluster)[0];
}

export async function listClusters(queryable: Queryable): Promise<Cluster[]> {
  const { rows } = await queryable.query<Row<'clusters'>>('select * from clusters order by id');
  return rows.map(toCluster);
}

function toCluster(row: Row<'clusters'>): Cluster {
  return { id: row.id, baseDomain: row.base_domain, scheme: row.scheme, publicPort: row.public_port };
}

/** Seeds a cluster, or changes it. */
export async function upsertCluster(queryable: Queryable, cluster: Cluster): Promise<void> {
  await queryable.query(
    `insert into clusters (id, base_domain, scheme, public_port) values ($1, $2, $3, $4)
     on conflict (id) do update
       set base_domain = excluded.base_domain, scheme = excluded.scheme, public_port = excluded.public_port`,
    [cluster.id, cluster.baseDomain, cluster.scheme, cluster.publicPort],
  );
}
