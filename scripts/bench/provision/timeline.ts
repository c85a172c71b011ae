import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { median } from '../statistics.ts';

/** One step of one operation: when it began and ended, in milliseconds after the broker took the event. */
export type StepSpan = { step: string; beganMs: number; endedMs: number };

/** Reads the steps of an instance's provisioning. `acceptedAtMs` is the broker's answer, by the clock of the wall. */
export async function readTimeline(
  records: Queryable,
  instanceId: string,
  acceptedAtMs: number,
): Promise<{ state: string; errorText: string | null; steps: StepSpan[] }> {
  const operation = await records.query<{ id: string; state: string; error_text: string | null }>(
    `select id, state, error_text from operations where instance_id = $1 and kind = 'provision'`,
    [instanceId],
  );
  const found = operation.rows[0];
  if (found === undefined) return { state: 'absent', errorText: null, steps: [] };
  const { rows } = await records.query<{ step: string; began: number; ended: number }>(
    `select step, extract(epoch from min(started_at))::float8 * 1000 as began,
       extract(epoch from max(coalesce(finished_at, clock_timestamp())))::float8 * 1000 as ended
     from operation_steps where operation_id = $1 group by step order by min(started_at)`,
    [found.id],
  );
  const steps = rows.map(({ step, began, ended }) => ({
    step,
    beganMs: began - acceptedAtMs,
    endedMs: ended - acceptedAtMs,
  }));
  return { state: found.state, errorText: found.error_text, steps };
}

/** Median time of each step, and of what comes before the first one. */
export function medianSteps(timelines: readonly (readonly StepSpan[])[]): { step: string; ms: number; atMs: number }[] {
  const names = timelines[0]?.map(({ step }) => step) ?? [];
  const spans = (name: string) => timelines.flatMap((steps) => steps.find(({ step }) => step === name) ?? []);
  const before = { step: '(before the first)', ms: median(timelines.map((steps) => steps[0]?.beganMs ?? Number.NaN)) };
  return [
    { ...before, atMs: 0 },
    ...names.map((step) => ({
      step,
      ms: median(spans(step).map(({ beganMs, endedMs }) => endedMs - beganMs)),
      atMs: median(spans(step).map(({ beganMs }) => beganMs)),
    })),
  ];
}
