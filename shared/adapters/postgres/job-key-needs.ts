/**
 * Whether the job key in a row of `loads` or `restores` may be used again: SQL over `row`, the table's name or alias. Its
 * operation goes on, or has failed and may be retried. Rows stay for ever, and what their keys were for is over with the Jobs.
 */
export const needsJobKey = (row: string) => `${row}.state <> 'failed' and exists (
  select from public.operations mine where mine.id = ${row}.id and (mine.state in ('queued', 'running', 'waiting')
    or (mine.state = 'failed' and not exists (
      select from public.operations later where later.instance_id = mine.instance_id
        and (later.created_at, later.id) > (mine.created_at, mine.id)
        and later.state <> 'cancelled' and coalesce(later.result ->> 'result', '') <> 'nothing-to-do'
        and later.kind not in ('repair', 'backup', 'verify', 'export')))))`;
