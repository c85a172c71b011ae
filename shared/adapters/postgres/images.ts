import type { Image } from '#shared/domain/instance/instance.ts';
import type { Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** An image as the fleet keeps it. */
export type ImageRecord = {
  image: Image;
  /** A retired image still runs where it runs; nothing new is made of it. */
  status: 'active' | 'retired';
  /** Ready clones each Odoo server keeps of its plain template. */
  warmTarget: number;
};

/** The image, active or retired, or undefined. */
export async function findImage(queryable: Queryable, id: string): Promise<ImageRecord | undefined> {
  const { rows } = await queryable.query<Row<'images'>>('select * from images where id = $1', [id]);
  return rows[0] === undefined ? undefined : toRecord(rows[0]);
}

/** The images new instances may be made of. */
export async function listActiveImages(queryable: Queryable): Promise<ImageRecord[]> {
  const { rows } = await queryable.query<Row<'images'>>("select * from images where status = 'active' order by id");
  return rows.map(toRecord);
}

/** The image of a row. */
export function toImage(row: Omit<Row<'images'>, 'created_at'>): Image {
  return {
    id: row.id,
    reference: row.reference,
    odooVersion: row.odoo_version,
    edition: row.edition,
    addonsDigest: row.addons_digest,
    languages: row.languages,
  };
}

function toRecord(row: Row<'images'>): ImageRecord {
  return { image: toImage(row), status: row.status, warmTarget: row.warm_target };
}

/** Seeds an image, or changes it. */
export async function upsertImage(
  queryable: Queryable,
  image: Image,
  options: { warmTarget?: number; status?: ImageRecord['status'] } = {},
): Promise<void> {
  const { warmTarget = 0, status = 'active' } = options;
  await queryable.query(
    `insert into images (id, reference, odoo_version, edition, addons_digest, languages, warm_target, status)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     on conflict (id) do update
       set reference = excluded.reference, odoo_version = excluded.odoo_version, edition = excluded.edition,
           addons_digest = excluded.addons_digest, languages = excluded.languages,
           warm_target = excluded.warm_target, status = excluded.status`,
    [
      image.id,
      image.reference,
      image.odooVersion,
      image.edition,
      image.addonsDigest,
      image.languages,
      warmTarget,
      status,
    ],
  );
}
