import { createHash } from 'node:crypto';
import * as v from 'valibot';
import type { Backup } from './backup.ts';
import { canonicalJson, openSealed, type Signer, seal } from './manifest-seal.ts';
import { keptAfterPurge } from './retention.ts';
import { uploadKeptMs } from './upload.ts';

const text = v.pipe(v.string(), v.maxLength(500));
const time = v.pipe(v.string(), v.isoTimestamp());
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** Something of an instance's that a purge found: a database with its size, a role, an object in the cluster. */
export const traceSchema = v.strictObject({
  kind: v.picklist(['database', 'role', 'cluster-object', 'credentials']),
  name: text,
  /** The database server, or the cluster. */
  where: text,
  /** Of a database. */
  bytes: v.nullable(count),
});
export type Trace = v.InferOutput<typeof traceSchema>;

const backupSchema = v.strictObject({
  id: text,
  kind: text,
  state: text,
  /** The moment whose state of the data it holds. */
  snapshotAt: v.nullable(time),
  manifestSha256: v.nullable(text),
  dumpBytes: v.nullable(count),
  files: v.nullable(count),
  filesBytes: v.nullable(count),
  proof: text,
  provenAt: v.nullable(time),
  /** The operation that restored it and looked. */
  provenBy: v.nullable(text),
  odooBooted: v.boolean(),
  /** Retention removes it then; null: at its next turn. */
  keptUntil: v.nullable(time),
  /** The object store gives no copy of it up before this; null: it holds no lock. */
  lockedUntil: v.nullable(time),
});

/** What is certified of a purge. Times are of the platform database's clock. */
export const deletionCertificateSchema = v.strictObject({
  version: v.literal(1),
  instance: text,
  customer: text,
  operation: text,
  requestedBy: text,
  /** The id of the event that asked for it. */
  cause: text,
  /** Asked for although no final backup was proven. */
  withoutBackup: v.boolean(),
  terminatedAt: v.nullable(time),
  beganAt: v.nullable(time),
  certifiedAt: time,
  /** Found before, and looked for again afterwards: nothing of it is left. */
  removed: v.array(traceSchema),
  /** The proof that the data could be restored: the newest final backup that was proven. */
  finalBackup: v.nullable(text),
  /** All that are still in the store. */
  backups: v.array(backupSchema),
  /** Exports whose objects are still in the store: their keys are forgotten, and they go at retention's next turn. */
  exports: v.array(v.strictObject({ id: text, state: text })),
  /**
   * An archive it was imported from goes at retention's next turn, or when the store's lock ends. Null: it was not imported,
   * or that is long over.
   */
  uploadsUntil: v.nullable(time),
  /** The same of what Jobs of its restores wrote: names of modules, and differences that quote data. */
  jobResultsUntil: v.nullable(time),
  /** When the last copy of its data may be gone from the store. Null: there is no copy. */
  copiesUntil: v.nullable(time),
  /** Instances that were made from it, and copies of those: they are at work and hold its data, as do their own backups. */
  liveCopies: v.array(v.strictObject({ instance: text, host: v.nullable(text) })),
});
export type DeletionCertificate = v.InferOutput<typeof deletionCertificateSchema>;

/** What a certificate is made from. */
export type DeletionFacts = {
  operation: { id: string; instanceId: string; requestedBy: string; cause: string; withoutBackup: boolean };
  customerId: string;
  terminatedAt: Date | null;
  beganAt: Date | null;
  now: Date;
  /** As they were found; the same thing may be in it several times. */
  found: readonly Trace[];
  backups: readonly Backup[];
  exports: readonly { id: string; state: string }[];
  /** The last import was asked for; the archive was uploaded before. */
  importedAt: Date | null;
  /** The last Job of a load ended, or an exchange of folders. */
  loadedAt: Date | null;
  /** For so long the store has locked backups of the instance; null: not at all. It locks all objects alike. */
  lockMs: number | null;
  liveCopies: readonly { instance: string; host: string | null }[];
};

/** What Jobs of an operation wrote is removed a day after it was over; it is over soon after them. */
const jobResultsMs = 2 * 24 * 3_600_000;

/** Until when an object that was written then may be in the store, when it is removed now at the latest; null: it is gone. */
function leftUntil(
  writtenAt: Date | null,
  { now, keptMs, lockMs }: { now: Date; keptMs: number; lockMs: number | null },
): Date | null {
  if (writtenAt === null) return null;
  const lockedUntil = new Date(writtenAt.getTime() + (lockMs ?? 0));
  if (lockedUntil > now) return lockedUntil;
  return writtenAt.getTime() + keptMs > now.getTime() ? now : null;
}

const timeOf = (at: Date | null): string | null => at?.toISOString() ?? null;
const latest = (times: readonly (Date | null)[]): Date | null =>
  times.reduce((last, at) => (at !== null && (last === null || at > last) ? at : last), null);

/** The certificate of a purge that has removed all it found. Pure. */
export function deletionCertificate(facts: DeletionFacts): DeletionCertificate {
  const { operation, now } = facts;
  const there = facts.backups.filter(({ state }) => state !== 'deleted');
  const kept = there.map((backup) => ({ backup, until: keptAfterPurge(backup, now) }));
  const proven = there.filter(({ kind, state, proof }) => {
    return kind === 'final' && state === 'succeeded' && proof.state === 'proven';
  });
  const last = proven.toSorted((one, other) => Number(one.snapshotAt) - Number(other.snapshotAt)).at(-1);
  const { lockMs } = facts;
  const uploads = leftUntil(facts.importedAt, { now, keptMs: uploadKeptMs, lockMs });
  const jobResults = leftUntil(facts.loadedAt, { now, keptMs: jobResultsMs, lockMs });
  const isLocked = (until: Date | null) => (until !== null && until > now ? until : null);
  return {
    version: 1,
    instance: operation.instanceId,
    customer: facts.customerId,
    operation: operation.id,
    requestedBy: operation.requestedBy,
    cause: operation.cause,
    withoutBackup: operation.withoutBackup,
    terminatedAt: timeOf(facts.terminatedAt),
    beganAt: timeOf(facts.beganAt),
    certifiedAt: now.toISOString(),
    removed: once(facts.found),
    finalBackup: last?.id ?? null,
    backups: kept.map(({ backup, until }) => ({
      ...shownBackup(backup),
      keptUntil: timeOf(until),
      lockedUntil: timeOf(isLocked(backup.lockedUntil)),
    })),
    exports: facts.exports.map(({ id, state }) => ({ id, state })),
    uploadsUntil: timeOf(uploads),
    jobResultsUntil: timeOf(jobResults),
    copiesUntil: timeOf(
      latest([
        uploads,
        jobResults,
        ...facts.exports.map(() => now),
        ...kept.flatMap(({ backup, until }) => [until ?? now, isLocked(backup.lockedUntil)]),
      ]),
    ),
    liveCopies: facts.liveCopies.map(({ instance, host }) => ({ instance, host })),
  };
}

function shownBackup(backup: Backup) {
  const { sizes, proof, manifest } = backup;
  return {
    id: backup.id,
    kind: backup.kind,
    state: backup.state,
    snapshotAt: timeOf(backup.snapshotAt),
    manifestSha256: manifest?.sha256 ?? null,
    dumpBytes: sizes?.dumpBytes ?? null,
    files: sizes?.filesCount ?? null,
    filesBytes: sizes?.filesBytes ?? null,
    proof: proof.state,
    provenAt: timeOf(proof.at),
    provenBy: proof.by,
    odooBooted: proof.odooBooted,
  };
}

/** A purge that was tried several times has found the same things again; the first size of a database counts. */
function once(found: readonly Trace[]): Trace[] {
  const byName = new Map<string, Trace>();
  for (const one of found) {
    const key = JSON.stringify([one.where, one.kind, one.name]);
    if (!byName.has(key)) byName.set(key, one);
  }
  return [...byName].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, trace]) => trace);
}

/** As it is kept in the audit log: signed, or `{body}` alone where there is no key ring. */
export type KeptCertificate = Readonly<Record<string, unknown>>;

/** The certificate as it is kept, and the sha256 (hex) of its content by which it is named. */
export function keepCertificate(
  certificate: DeletionCertificate,
  signer: Pick<Signer, 'sign'> | undefined,
): { kept: KeptCertificate; sha256: string } {
  const sha256 = createHash('sha256').update(canonicalJson(certificate)).digest('hex');
  if (signer === undefined) return { kept: { body: certificate }, sha256 };
  const sealed = seal(certificate, 'deletion-certificate', signer);
  return { kept: JSON.parse(sealed.toString()) as KeptCertificate, sha256 };
}

/** What reading a kept certificate comes to. `unchecked`: it is signed, and no key ring is at hand to look. */
export type OpenedCertificate = {
  certificate: DeletionCertificate;
  sha256: string;
  signature: 'right' | 'unsigned' | 'unchecked';
  keyId: string | null;
};

/** @throws Failure `damaged` when it was altered; valibot's error when it is of another version. */
export function openCertificate(
  kept: KeptCertificate,
  signer: Pick<Signer, 'isSigned'> | undefined,
): OpenedCertificate {
  const isSigned = typeof kept['signature'] === 'string';
  const certificate =
    isSigned && signer !== undefined
      ? openSealed(Buffer.from(JSON.stringify(kept)), deletionCertificateSchema, {
          purpose: 'deletion-certificate',
          what: 'The deletion certificate',
          signer,
        })
      : v.parse(deletionCertificateSchema, kept['body']);
  return {
    certificate,
    sha256: createHash('sha256').update(canonicalJson(certificate)).digest('hex'),
    signature: !isSigned ? 'unsigned' : signer === undefined ? 'unchecked' : 'right',
    keyId: isSigned ? String(kept['keyId']) : null,
  };
}
