import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '#shared/domain/failure.ts';
import type { Call, KubernetesApi } from './client.ts';
import { differencesOf } from './differences.ts';
import { type Kind, kinds, type Stored } from './kinds.ts';
import { annotationKeys, labelKeys, managedBy } from './resources/labels.ts';

/** A field the server does not know is a mistake of ours, which it would otherwise drop in silence. */
export const writeQuery = { fieldManager: managedBy, fieldValidation: 'Strict' } as const;

/**
 * A write is refused whenever a controller has touched the object since it was seen; then everything is looked at anew. One
 * that has just been given work writes several times within some tens of milliseconds: it is let go first.
 */
const maxLooks = 6;
const letOthersGo = (looks: number) => delay(10 * 2 ** looks * (1 + Math.random()));

/** Who writes. `operationId` is kept on the object where the writer has one. */
export type Writer = { fence: number; operationId?: string };

/** An object as it is wanted. Its labels say whose it is. */
export type Wanted = {
  metadata?: {
    name?: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
};

/** An object and its place. */
export type Target<T extends Wanted> = { kind: Kind; wanted: T };

/**
 * `done`: there, ours, as it is wanted now, not changed by anybody since it was written, and signed by this operation.
 * @throws Failure `foreign-object` when the name belongs to somebody else.
 */
export async function lookObject(
  api: KubernetesApi,
  target: Target<Wanted>,
  writer: Writer,
): Promise<'done' | 'missing'> {
  const found = await findOurs(api, target);
  return found !== undefined && isAsWanted(found, target) && isSigned(found, writer) ? 'done' : 'missing';
}

/**
 * Brings one object about, whoever else tries: creates it if there is none, else changes it from exactly the state that was seen.
 * Returns it as it is now. What is as wanted already, and signed by this operation, is not written.
 *
 * Created by POST, not by apply: of two holders only one creates, and the other one sees what it made.
 * The price is that fields set at creation belong to our `Update` entry in managedFields as well as to later `Apply` entries: apply
 * changes them, but one that is no longer sent stays. What is taken away has to be set to its empty value.
 *
 * @throws Failure `foreign-object` when the name is taken by an object that is not this instance's, `fenced` when a newer operation
 * has written it, `conflict` when somebody keeps changing it or it is being deleted: look again.
 */
export async function applyObject<T extends Wanted>(
  api: KubernetesApi,
  target: Target<T>,
  writer: Writer,
): Promise<Stored & T> {
  for (let looks = 1; ; looks += 1) {
    const found = (await findOurs(api, target)) ?? (await create(api, target, writer));
    const outcome = found === undefined ? undefined : await change(api, target, { found, writer });
    if (outcome !== undefined) return outcome;
    if (looks === maxLooks) throw conflict(target);
    await letOthersGo(looks);
  }
}

/** Deletes exactly the object that was seen, if there is one. `fenced` as in `applyObject`. */
export async function removeObject(api: KubernetesApi, target: Target<Wanted>, writer: Writer): Promise<void> {
  for (let looks = 1; looks <= maxLooks; looks += 1) {
    const found = await findOurs(api, target);
    if (found === undefined || found.metadata?.deletionTimestamp !== undefined) return;
    refuseNewer(found, target, writer);
    const { uid, resourceVersion } = found.metadata ?? {};
    const call: Call = {
      method: 'DELETE',
      ...placeOf(target),
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: 'Background',
        preconditions: { uid, resourceVersion },
      },
    };
    const answer = await api.send(call);
    if ('object' in answer || answer.refusal.status === 404) return;
    if (answer.refusal.status !== 409) throw api.failure(call, answer.refusal);
    if (looks < maxLooks) await letOthersGo(looks);
  }
  throw conflict(target);
}

/** The object of that name, if it is ours and this instance's. */
export async function findOurs(api: KubernetesApi, target: Target<Wanted>): Promise<Stored | undefined> {
  const { kind, namespace, name } = placeOf(target);
  const found = await api.read<Stored>(kind, namespace, name);
  if (found !== undefined && !isOurs(found, target.wanted)) {
    throw new Failure(
      'foreign-object',
      `${kind.kind} ${namespace}/${name} is not this instance's: somebody else made it. Move it away or label it as ours.`,
    );
  }
  return found;
}

async function create<T extends Wanted>(
  api: KubernetesApi,
  target: Target<T>,
  writer: Writer,
): Promise<(Stored & T) | undefined> {
  const { kind, namespace } = placeOf(target);
  const call: Call = {
    method: 'POST',
    kind,
    namespace,
    query: writeQuery,
    body: marked(target.wanted, writer),
  };
  const answer = await api.send<Stored & T>(call);
  if ('object' in answer) return answer.object;
  // Somebody was faster, or this is the second try of a call whose first answer was lost.
  if (answer.refusal.reason === 'AlreadyExists') return undefined;
  throw api.failure(call, answer.refusal);
}

/** Undefined when somebody changed it meanwhile: a controller its status, a newer operation, or we by a call whose answer was lost. */
async function change<T extends Wanted>(
  api: KubernetesApi,
  target: Target<T>,
  { found, writer }: { found: Stored; writer: Writer },
): Promise<(Stored & T) | undefined> {
  refuseNewer(found, target, writer);
  if (found.metadata?.deletionTimestamp !== undefined) {
    throw new Failure('conflict', `${describe(target)} is being deleted: it is made anew when it is gone.`);
  }
  // The server's object has every field of the wanted one.
  if (isAsWanted(found, target) && isSigned(found, writer)) return found as Stored & T;
  const applied = await patch(api, target, { found, writer, how: 'apply' });
  if (applied === undefined || isAsWanted(applied, target)) return applied;
  // Of some lists an apply leaves the items that others have added, and may then be refused for them: the whole list is written.
  const merged = await patch(api, target, { found: applied, writer, how: 'merge' });
  if (merged === undefined || isAsWanted(merged, target)) return merged;
  const paths = differencesOf(merged, target.wanted).join(', ');
  throw new Failure(
    'constraint-violated',
    `The cluster changes ${describe(target)} while it is written: ${paths}. Exempt the namespace from the admission webhook that does it.`,
  );
}

const contentTypes = { apply: 'application/apply-patch+yaml', merge: 'application/merge-patch+json' } as const;

async function patch<T extends Wanted>(
  api: KubernetesApi,
  target: Target<T>,
  { found, writer, how }: { found: Stored; writer: Writer; how: keyof typeof contentTypes },
): Promise<(Stored & T) | undefined> {
  const { uid, resourceVersion } = found.metadata ?? {};
  const wanted = marked(target.wanted, writer);
  const call: Call = {
    method: 'PATCH',
    ...placeOf(target),
    query: how === 'apply' ? { ...writeQuery, force: 'true' } : writeQuery,
    contentType: contentTypes[how],
    // With the uid too, an object that is gone meanwhile is not created by this call.
    body: { ...wanted, metadata: { ...wanted.metadata, uid, resourceVersion } },
  };
  const answer = await api.send<Stored & T>(call);
  if ('object' in answer) return answer.object;
  if (answer.refusal.status === 409) return undefined;
  if (answer.refusal.status === 422 && how === 'apply') return found as Stored & T;
  throw api.failure(call, answer.refusal);
}

/**
 * Every operation leaves its fence, once, also on what is as it wants it already: else an older one that stood still before its
 * write would find nothing newer when it goes on, and start what was suspended meanwhile.
 */
function isSigned(found: Stored, { fence, operationId }: Writer): boolean {
  const annotations = found.metadata?.annotations;
  return (
    fenceOf(found) >= fence || (operationId !== undefined && annotations?.[annotationKeys.operation] === operationId)
  );
}

function fenceOf(found: Stored): number {
  return Number(found.metadata?.annotations?.[annotationKeys.fence] ?? 0);
}

function refuseNewer(found: Stored, target: Target<Wanted>, writer: Writer): void {
  const written = fenceOf(found);
  if (written <= writer.fence) return;
  throw new Failure('fenced', `${describe(target)} was written by a newer operation.`, {
    facts: { fence: writer.fence, newer: written },
  });
}

function conflict(target: Target<Wanted>): Failure {
  return new Failure('conflict', `${describe(target)} was changed by somebody else ${maxLooks} times: look again.`);
}

function isOurs(found: Stored, wanted: Wanted): boolean {
  const labels = found.metadata?.labels;
  const owner = wanted.metadata?.labels?.[labelKeys.owner];
  return owner !== undefined && labels?.[labelKeys.managedBy] === managedBy && labels[labelKeys.owner] === owner;
}

/**
 * Is it as it is wanted, and was that what it was written for last? The first finds what somebody changed by hand, the second a field
 * that is wanted no longer.
 */
function isAsWanted(found: Stored, target: Target<Wanted>): boolean {
  return found.metadata?.deletionTimestamp === undefined && driftOfObject(found, target).length === 0;
}

/** Paths at which an object of ours is not as wanted; the mark of the last write counts too. */
export function driftOfObject(found: Stored, { kind, wanted }: Target<Wanted>): string[] {
  // Nothing can be taken away from a claim, and one that is larger than wanted stays so.
  if (kind === kinds.volumeClaim) return differencesOf(found, wanted);
  const annotations = { ...wanted.metadata?.annotations, [annotationKeys.desired]: desiredHash(wanted) };
  return differencesOf(found, { ...wanted, metadata: { ...wanted.metadata, annotations } });
}

function marked<T extends Wanted>(wanted: T, writer: Writer): T {
  const annotations = {
    ...wanted.metadata?.annotations,
    ...(writer.operationId === undefined ? {} : { [annotationKeys.operation]: writer.operationId }),
    [annotationKeys.fence]: String(writer.fence),
    [annotationKeys.desired]: desiredHash(wanted),
  };
  return { ...wanted, metadata: { ...wanted.metadata, annotations } };
}

/**
 * Stands for the whole wanted object, whatever the order of its fields. A Secret's hash gives nothing away: the passwords in it are
 * random and longer than anybody can try.
 */
export function desiredHash(wanted: Wanted): string {
  return createHash('sha256').update(canonical(wanted)).digest('hex').slice(0, 32);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  const sorted = fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`;
}

function placeOf({ kind, wanted }: Target<Wanted>): { kind: Kind; namespace: string; name: string } {
  const { name, namespace } = wanted.metadata ?? {};
  if (!name || !namespace) throw new Failure('internal', `A ${kind.kind} to be written has no name or no namespace.`);
  return { kind, namespace, name };
}

function describe(target: Target<Wanted>): string {
  const { kind, namespace, name } = placeOf(target);
  return `${kind.kind} ${namespace}/${name}`;
}
