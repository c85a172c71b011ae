import type { Database } from '#shared/adapters/postgres/database.ts';
import { downloads } from '#shared/adapters/postgres/export-records.ts';
import { exportLink } from '#shared/domain/backup/export-link.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type Done, timeOf } from './screen.ts';

/**
 * The link by which whoever has it downloads an export, until that is deleted.
 * @throws Failure `not-found` for one that cannot be downloaded, `misconfigured` for an address that is none.
 */
export async function linkToExport(
  database: Database,
  { exportId, baseUrl, signer }: { exportId: string; baseUrl: string; signer: Signer },
): Promise<Done> {
  if (!/^https?:\/\//.test(baseUrl) || !URL.canParse(baseUrl)) {
    throw new Failure(
      'misconfigured',
      'Name the address of the function download, or set DOWNLOAD_URL: https://downloads.example.',
    );
  }
  const isId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(exportId);
  const found = isId ? await downloads(database).find(exportId) : undefined;
  const expiresAt = found?.export.expiresAt ?? null;
  if (expiresAt === null) throw new Failure('not-found', `There is no export ${exportId} that can be downloaded.`);
  const link = exportLink({ exportId, expiresAt }, baseUrl, signer);
  return { json: { export: exportId, link, expiresAt }, lines: [link, `It works until ${timeOf(expiresAt)}.`] };
}
