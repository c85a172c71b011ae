import type { Observed, OperationRow } from './observe.ts';

/** Their end may be a failure: what was live before stays, and somebody asks again. */
export const mayFail = ['backup', 'verify', 'restore'];

/**
 * A backup is succeeded, with a manifest in the store that opens, or failed, and either was told once; none is lost, or
 * refuted where nobody harmed it; and nothing is left of what made or verified them. The same of restores. Pure.
 */
export function backupsOf({ operations, backups }: Pick<Observed, 'operations' | 'backups'>): string[] {
  const { made, verifications, restores, left } = backups;
  const rows = new Map(made.map((row) => [row.id, row]));
  const looks = new Map(verifications.map((row) => [row.id, row]));
  const ofKind = (kind: string) => operations.filter((one) => one.kind === kind);
  const succeeded = (one: OperationRow) => one.state === 'succeeded';
  return [
    ...made.flatMap(({ id, manifest }) => (manifest === undefined ? [] : [`backup ${id}: its manifest ${manifest}`])),
    ...made
      .filter(({ proof }) => proof === 'refuted')
      .map(({ id, proof_text: text }) => `backup ${id} is refuted: ${text}`),
    ...[...made, ...verifications, ...restores]
      .filter(({ state }) => state === 'running' || state === 'switched')
      .map(({ id }) => `${id} is still running`),
    ...ofKind('backup')
      .filter((one) => succeeded(one) && !['succeeded', 'deleting', 'deleted'].includes(rows.get(one.id)?.state ?? ''))
      .map(({ id }) => `backup ${id} succeeded and its row is ${rows.get(id)?.state ?? 'gone'}`),
    ...ofKind('verify')
      .filter((one) => succeeded(one) && looks.get(one.id)?.state !== 'proven')
      .map(({ id }) => `verify ${id} succeeded and its row is ${looks.get(id)?.state ?? 'gone'}`),
    ...restores
      .filter(({ state, is_exchanged }) => (state === 'succeeded') !== is_exchanged)
      .map(({ id, state, is_exchanged }) => `restore ${id} is ${state}, and ${is_exchanged ? '' : 'not '}exchanged`),
    ...ofKind('restore')
      // one that was overtaken after the exchange has taken place all the same, as its row says, and can be undone
      .filter(({ state }) => state !== 'cancelled')
      .filter((one) => succeeded(one) !== (restores.find(({ id }) => id === one.id)?.state === 'succeeded'))
      .map(({ id, state }) => `restore ${id} is ${state}, and its row says otherwise`),
    ...operations.filter(({ kind }) => mayFail.includes(kind)).flatMap((one) => untold(one, backups)),
    ...left.map((name) => `${name} was left by a verification`),
  ];
}

function untold({ id, kind, state }: OperationRow, { told }: Observed['backups']): string[] {
  if (state !== 'succeeded' && state !== 'failed') return [];
  const found = told.filter(({ operation }) => operation === id).map(({ type }) => type.split('.').at(-1));
  return found.join() === state ? [] : [`${kind} ${id} is ${state}, and told was: ${found.join() || 'nothing'}`];
}
