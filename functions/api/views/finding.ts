import * as v from 'valibot';
import type { FoundRow } from '#shared/adapters/postgres/finding-search.ts';
import { type Intent, intentOf, intents } from '#shared/domain/drift/intent.ts';
import { ruleOf } from '#shared/domain/drift/policy.ts';
import { instanceId, time } from '../schemas.ts';

export const severities = ['alarm', 'warning'] as const;
export const intentWords = Object.keys(intents) as [Intent, ...Intent[]];

export const findingBody = v.strictObject({
  kind: v.string(),
  /** An instance's id, or what it is and its name. */
  subject: v.string(),
  instanceId: v.nullable(v.string()),
  /** `records`, `cluster` or `server <id>`. */
  place: v.string(),
  severity: v.picklist(severities),
  detail: v.string(),
  what: v.string(),
  /** What a person does about it; where it is repaired, if it does not go away by itself. */
  toDo: v.string(),
  /** What the passes do about it by themselves. */
  intent: v.picklist(intentWords),
  /** Of a repair: not before then, as there was one already. Null: at the next pass. */
  notBefore: v.nullable(time),
  /** Asked for so far because of it. */
  repairs: v.pipe(v.number(), v.integer()),
  firstSeenAt: time,
  /** When its part of the fleet was last compared with the records. */
  lookedAt: v.nullable(time),
});

export const findingExample: v.InferOutput<typeof findingBody> = {
  kind: 'service-missing',
  subject: 'k3n5q2x7a4bc',
  instanceId: 'k3n5q2x7a4bc',
  place: 'cluster',
  severity: 'alarm',
  detail: 'Service odoo-k3n5q2x7a4bc',
  what: 'The Service is gone: nothing reaches the instance.',
  toDo: 'Repaired by itself. If it stays, read the error of the instance’s last repair operation.',
  intent: 'repair',
  notBefore: null,
  repairs: 0,
  firstSeenAt: '2027-02-01T10:00:00.000Z',
  lookedAt: '2027-02-01T10:00:00.000Z',
};

export function toFindingBody(row: FoundRow): v.InferOutput<typeof findingBody> {
  const { kind, subject, place, detail, repairs } = row;
  const { severity = 'warning', what = '', toDo = '' } = ruleOf(kind) ?? {};
  const facts = { isMoving: row.is_moving, isBlocked: row.is_blocked, isRepairable: row.is_repairable };
  const intent = intentOf({ kind, ...facts });
  return {
    ...{ kind, subject, instanceId: row.instance_id, place, severity, detail, what, toDo, intent },
    notBefore: intent === 'repair' ? (row.next_repair_at?.toISOString() ?? null) : null,
    repairs,
    firstSeenAt: row.first_seen.toISOString(),
    lookedAt: row.looked_at?.toISOString() ?? null,
  };
}

export const planBody = v.strictObject({
  instanceId,
  /** Of all findings together; `none` when nothing is amiss as far as was seen. */
  intent: v.picklist(['none', ...intentWords]),
  notBefore: v.nullable(time),
  /** The unfinished operation that everything waits for. */
  operationId: v.nullable(v.string()),
  lookedAt: v.nullable(time),
  nextLookAt: v.nullable(time),
  /** Places that the last look could not read: what is known of them is old. */
  blind: v.array(v.string()),
  findings: v.array(findingBody),
});

export const planExample: v.InferOutput<typeof planBody> = {
  instanceId: 'k3n5q2x7a4bc',
  intent: 'repair',
  notBefore: null,
  operationId: null,
  lookedAt: '2027-02-01T10:00:00.000Z',
  nextLookAt: '2027-02-01T10:05:00.000Z',
  blind: [],
  findings: [findingExample],
};
