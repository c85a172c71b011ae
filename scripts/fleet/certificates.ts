import type { Database } from '#shared/adapters/postgres/database.ts';
import { type CertificateEntry, listCertificates } from '#shared/adapters/postgres/deletion-records.ts';
import { type OpenedCertificate, openCertificate } from '#shared/domain/backup/deletion-certificate.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type Done, sizeOf, table } from './screen.ts';

const signatures = {
  right: 'right',
  unsigned: 'none: the fleet had no key ring',
  unchecked: 'not looked at: set BACKUP_KEYS_FILE',
} as const;

/**
 * The deletion certificates of an instance, newest first.
 * @throws Failure `not-found` when there is none, `damaged` when one was altered since it was written.
 */
export async function showCertificates(
  database: Database,
  { instanceId, signer }: { instanceId: string; signer: Signer | undefined },
): Promise<Done> {
  const entries = await listCertificates(database, instanceId);
  if (entries.length === 0) {
    const text = `There is no deletion certificate of instance ${instanceId}: it was not purged, or by an earlier release.`;
    throw new Failure('not-found', text);
  }
  const opened = entries.map((entry) => open(entry, signer));
  return {
    json: { instance: instanceId, certificates: opened },
    lines: opened.flatMap((one, index) => [...(index === 0 ? [] : ['']), ...linesOf(one)]),
  };
}

function open({ kept, sha256 }: CertificateEntry, signer: Signer | undefined): OpenedCertificate {
  const opened = openCertificate(kept, signer);
  if (opened.sha256 === sha256) return opened;
  throw new Failure('damaged', `The deletion certificate ${sha256} was altered. It is not used.`);
}

function linesOf({ certificate: one, sha256, signature, keyId }: OpenedCertificate): string[] {
  const removed = one.removed.map(({ kind, name, where, bytes }) => [kind, name, where, sizeOf(bytes)]);
  return [
    ...table([
      ['certificate', sha256],
      ['signature', signatures[signature] + (keyId === null ? '' : ` (key ${keyId})`)],
      ['instance', one.instance],
      ['customer', one.customer],
      ['purge', `${one.operation}, asked for by ${one.requestedBy} (event ${one.cause})`],
      ['terminated', one.terminatedAt ?? '-'],
      ['began', one.beganAt ?? '-'],
      ['certified', one.certifiedAt],
      ['proof', proofOf(one)],
      ['copies until', one.copiesUntil ?? 'there is none'],
    ]),
    'Removed, and looked for again:',
    ...(removed.length === 0 ? ['  nothing was there'] : table(removed).map((line) => `  ${line}`)),
    'Copies in the store:',
    ...copiesOf(one).map((line) => `  ${line}`),
    ...(one.liveCopies.length === 0 ? [] : ['Instances that were made from it and hold its data:']),
    ...table(one.liveCopies.map(({ instance, host }) => [instance, host ?? '-'])).map((line) => `  ${line}`),
  ];
}

function copiesOf(certificate: OpenedCertificate['certificate']): string[] {
  const { backups, exports, uploadsUntil, jobResultsUntil } = certificate;
  const header = ['BACKUP', 'KIND', 'STATE', 'PROOF', 'HOLDS THE STATE OF', 'KEPT UNTIL', 'LOCKED UNTIL'];
  const rows = backups.map(({ id, kind, state, snapshotAt, proof, odooBooted, keptUntil, lockedUntil }) => [
    ...[id, kind, state, proof === 'proven' && odooBooted ? 'proven, booted' : proof, snapshotAt ?? '-'],
    ...[keptUntil ?? 'next turn', lockedUntil ?? '-'],
  ]);
  const lines = [
    ...(rows.length === 0 ? [] : table([header, ...rows])),
    ...exports.map(({ id, state }) => `export ${id} (${state}): its key is forgotten; it goes at the next turn`),
    ...(uploadsUntil === null ? [] : [`the archive it was imported from, until the first turn after ${uploadsUntil}`]),
    ...(jobResultsUntil === null ? [] : [`results of its restores, until the first turn after ${jobResultsUntil}`]),
  ];
  return lines.length === 0 ? ['none'] : lines;
}

function proofOf({ finalBackup, withoutBackup }: OpenedCertificate['certificate']): string {
  if (finalBackup !== null) return `final backup ${finalBackup}, which was restored and looked at`;
  return withoutBackup ? 'none: asked for without a backup' : 'none';
}
