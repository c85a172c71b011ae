import type { FinalBackups } from '#shared/domain/instance/ports.ts';
import type { Queryable } from './database.ts';
import type { Row } from './rows.ts';

// Begun after the termination: what an older one holds is not all there was.
const finalText = `
  select b.id, b.state, b.proof, b.proof_text from instances i join backups b on b.instance_id = i.id
  where i.id = $1 and b.kind = 'final' and b.started_at >= i.terminated_at and b.state in ('running', 'succeeded', 'failed')
  order by b.proof = 'proven' desc, b.started_at desc limit 1`;

type FinalRow = Pick<Row<'backups'>, 'id' | 'state' | 'proof' | 'proof_text'>;

function whyNot(row: FinalRow | undefined): string {
  if (row === undefined) return 'No final backup was made of it since its termination.';
  if (row.state === 'running') return `Its final backup ${row.id} is being made.`;
  if (row.state === 'failed') return `Its final backup ${row.id} failed: another one is asked for by itself.`;
  if (row.proof === 'refuted')
    return `Its final backup ${row.id} is not what it should be: ${row.proof_text ?? 'see its verification'}.`;
  return `Its final backup ${row.id} was not verified yet.`;
}

/** Proven is a final backup that was begun after the termination, has succeeded, and was verified by restoring it. */
export function finalBackups(queryable: Queryable): FinalBackups {
  return {
    async look(instanceId) {
      const { rows } = await queryable.query<FinalRow>(finalText, [instanceId]);
      const row = rows[0];
      if (row?.state === 'succeeded' && row.proof === 'proven') return { isProven: true };
      return { isProven: false, reason: whyNot(row) };
    },
  };
}
