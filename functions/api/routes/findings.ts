import * as v from 'valibot';
import { type FoundRow, foundColumns, foundFrom } from '#shared/adapters/postgres/finding-search.ts';
import { intentOfAll } from '#shared/domain/drift/intent.ts';
import { driftKinds, ruleOf } from '#shared/domain/drift/policy.ts';
import { Failure } from '#shared/domain/failure.ts';
import { listOf, listQuery, readPage, wordsOf } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { instanceId } from '../schemas.ts';
import { findingBody, findingExample, planBody, planExample, severities, toFindingBody } from '../views/finding.ts';
import { refusals } from './accepted.ts';

type Ports = Pick<ApiPorts, 'database'>;

/** What is not as the records want it, by the last look of each pass, and what is done about it. Nothing is asked of a cluster here. */
export function findingRoutes(ports: Ports): Route[] {
  return [listFindings(ports), getPlan(ports)];
}

function listFindings({ database }: Ports): Route {
  return route({
    method: 'GET',
    path: '/v1/findings',
    operationId: 'listFindings',
    summary: 'What is not as the records want it, and what the next passes do about it.',
    scope: 'admin:read',
    limit: 'read',
    query: v.strictObject({
      ...listQuery(['firstSeenAt']),
      instance: v.optional(instanceId),
      kind: v.optional(wordsOf(driftKinds)),
      severity: v.optional(v.picklist(severities, `Choose from ${severities.join(', ')}.`)),
    }),
    fields: { of: 'items', names: Object.keys(findingBody.entries) },
    responses: {
      200: {
        description: 'A page of findings that are open, newest first unless sorted otherwise.',
        schema: listOf(findingBody),
        example: { items: [findingExample], next: null },
      },
    },
    async handle({ query, principal }) {
      const { severity } = query;
      const ofSeverity = severity && driftKinds.filter((kind) => ruleOf(kind)?.severity === severity);
      const { rows, ...page } = await readPage<FoundRow>(
        database,
        {
          columns: foundColumns,
          from: foundFrom,
          conditions: [
            ['$::text is null or i.customer_id = $', principal.customerId],
            ['$::boolean = (f.resolved_at is null)', true],
            ['f.instance_id = $', query.instance],
            ['f.kind = any($)', query.kind],
            ['f.kind = any($)', ofSeverity],
          ],
          sorts: { firstSeenAt: { sql: 'f.first_seen', type: 'timestamptz' } },
          id: { sql: `md5(f.kind || ' ' || f.subject)`, type: 'text' },
        },
        query,
      );
      return { status: 200, body: { items: rows.map(toFindingBody), ...page } };
    },
  });
}

type LookRow = { passed_at: Date | null; due_at: Date | null; blind: string[] | null; operation_id: string | null };

function getPlan({ database }: Ports): Route {
  return route({
    method: 'GET',
    path: '/v1/instances/{id}/plan',
    operationId: 'getInstancePlan',
    summary:
      'What is amiss about an instance by the last look at it, and what is done next. Nothing is done by asking.',
    scope: 'admin:read',
    limit: 'read',
    params: v.strictObject({ id: instanceId }),
    fields: { of: 'body', names: Object.keys(planBody.entries) },
    responses: {
      200: { description: 'The plan.', schema: planBody, example: planExample },
      ...refusals(404),
    },
    async handle({ params: { id }, principal }) {
      const { rows } = await database.query<LookRow>(
        `select s.passed_at, s.due_at, s.blind, (select o.id from operations o
             where o.instance_id = i.id and o.state in ('queued', 'running', 'waiting') order by o.created_at limit 1) as operation_id
         from instances i left join reconcile_shards s on s.shard = left(i.id, 1)
         where i.id = $1 and ($2::text is null or i.customer_id = $2)`,
        [id, principal.customerId],
      );
      const look = rows[0];
      if (look === undefined)
        throw new Failure('not-found', `There is no instance ${id}.`, { facts: { field: 'path.id' } });
      const found = await database.query<FoundRow>(
        `select ${foundColumns} from ${foundFrom} where f.resolved_at is null and f.instance_id = $1 order by f.kind, f.subject`,
        [id],
      );
      return { status: 200, body: planOf(id, look, found.rows.map(toFindingBody)) };
    },
  });
}

function planOf(id: string, look: LookRow, findings: v.InferOutput<typeof findingBody>[]) {
  // a pass says nothing new about one that an operation is at work on
  const intent = look.operation_id === null ? intentOfAll(findings.map((finding) => finding.intent)) : 'wait';
  // what is due first takes the others along; times of one form are in order as text
  const [first] = findings
    .flatMap((finding) => (finding.intent === 'repair' ? [finding.notBefore ?? ''] : []))
    .toSorted((one, other) => (one < other ? -1 : 1));
  return {
    instanceId: id,
    intent,
    notBefore: intent === 'repair' ? first || null : null,
    operationId: look.operation_id,
    lookedAt: look.passed_at?.toISOString() ?? null,
    nextLookAt: look.due_at?.toISOString() ?? null,
    blind: look.blind ?? [],
    findings,
  };
}
