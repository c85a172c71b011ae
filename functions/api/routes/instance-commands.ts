import * as v from 'valibot';
import * as fields from '#events/fields.ts';
import { suspensionCause } from '#events/instance/operation-events.ts';
import { findInstanceOfBackup } from '#shared/adapters/postgres/instance-visibility.ts';
import { askingRules, requireMayAsk } from '#shared/domain/access/asking.ts';
import { Failure } from '#shared/domain/failure.ts';
import { prepare } from '#shared/runtime/requests/ask.ts';
import type { InstanceKind } from '#shared/runtime/requests/kinds.ts';
import { prepareClone } from '#shared/runtime/requests/make.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { instanceId, uuidText } from '../schemas.ts';
import { accept, acceptedResponse, askerOf, generationSeen, keyHeader, matchHeader, refusals } from './accepted.ts';

type Ports = Pick<ApiPorts, 'database' | 'cache' | 'eventSource' | 'flush'>;

const params = v.strictObject({ id: instanceId });
const reason = { reason: v.optional(fields.text(200)) };

type Command = {
  kind: InstanceKind;
  summary: string;
  limit?: 'export';
  entries?: v.ObjectEntries;
  example?: Readonly<Record<string, unknown>>;
};

const backupId = { backup: v.optional(fields.operationId) };
const exampleBackup = '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f';

const commands: readonly Command[] = [
  { kind: 'start', summary: 'Starts an instance.' },
  { kind: 'stop', summary: 'Stops an instance, which then stays stopped.' },
  { kind: 'restart', summary: 'Replaces the pods of an instance.' },
  {
    kind: 'suspend',
    summary: 'Keeps an instance from running: its host shows why.',
    entries: { cause: suspensionCause },
    example: { cause: 'abuse' },
  },
  {
    kind: 'resume',
    summary: 'Closes one reason of a suspension.',
    entries: { cause: suspensionCause },
    example: { cause: 'abuse' },
  },
  {
    kind: 'terminate',
    summary: 'Ends an instance; its data is kept for as long as this can be undone.',
  },
  { kind: 'undo', summary: 'Undoes a termination, within its window.' },
  {
    kind: 'purge',
    summary: 'Destroys what a termination has kept.',
    entries: { withoutBackup: v.optional(v.boolean()) },
    example: { withoutBackup: false },
  },
  { kind: 'repair', summary: 'Makes the world what the records want.' },
  {
    kind: 'backup',
    summary: 'Makes a backup; the instance goes on running.',
    entries: { kind: v.optional(v.picklist(['manual', 'final'], 'must be "manual" or "final"')) },
    example: { kind: 'manual' },
  },
  {
    kind: 'verify',
    summary: 'Proves a backup by restoring it aside; the newest unless stated.',
    entries: { ...backupId, boot: v.optional(v.boolean()) },
    example: { boot: true },
  },
  {
    kind: 'restore',
    summary: 'Puts an instance back to what a backup holds, or undoes a restore: exactly one of both is named.',
    entries: { ...backupId, undoes: v.optional(fields.operationId) },
    example: { backup: exampleBackup },
  },
  {
    kind: 'export',
    summary: "Makes a zip in Odoo's own format of a backup; the newest unless stated.",
    limit: 'export',
    entries: backupId,
    example: { backup: exampleBackup },
  },
];

/** Everything that can be asked of an instance that is there; each is answered with its operation. */
export function instanceCommandRoutes(ports: Ports): Route[] {
  return [...commands.map((command) => commandRoute(ports, command)), cloneRoute(ports), verifyBackupRoute(ports)];
}

function commandRoute(ports: Ports, { kind, entries = {}, example = {}, ...command }: Command): Route {
  const operationId = `${kind}Instance`;
  const { scope, destroys } = askingRules[kind];
  return route({
    method: 'POST',
    path: `/v1/instances/{id}/${kind}`,
    operationId,
    summary: command.summary,
    scope,
    limit: command.limit ?? 'write',
    ...(destroys && { destroys }),
    params,
    body: v.optional(v.strictObject({ ...entries, ...reason }), {}),
    bodyExample: { ...example, reason: 'Asked for by the owner' },
    takes: { ...keyHeader, ...matchHeader },
    responses: { 202: acceptedResponse(kind), ...refusals(400, 404, 409, 412, 422) },
    async handle(call) {
      requireMayAsk(call.principal, kind);
      const { withoutBackup, ...data } = call.body as { withoutBackup?: boolean };
      const asked = {
        kind,
        instanceId: call.params.id,
        data: withoutBackup === undefined ? data : { ...data, withoutbackup: withoutBackup },
        generation: generationSeen(call),
      };
      const work = await prepare(ports, askerOf(call), asked);
      return await accept(ports, { call, operationId }, work);
    },
  });
}

const copy = v.strictObject({ name: fields.instanceName, ...backupId, plan: v.optional(fields.slug), ...reason });

function cloneRoute(ports: Ports): Route {
  const operationId = 'cloneInstance';
  return route({
    method: 'POST',
    path: '/v1/instances/{id}/clone',
    operationId,
    summary: 'Makes a neutralized copy as a new instance of the same customer. The operation is the new one’s.',
    scope: 'instances:write',
    limit: 'write',
    params,
    body: copy,
    bodyExample: { name: 'acme-staging' },
    takes: keyHeader,
    responses: { 202: acceptedResponse('clone'), ...refusals(400, 404, 409, 422) },
    async handle(call) {
      const made = prepareClone(askerOf(call), { ...call.body, source: call.params.id }, ports);
      return await accept(ports, { call, operationId }, made);
    },
  });
}

function verifyBackupRoute(ports: Ports): Route {
  const operationId = 'verifyBackup';
  return route({
    method: 'POST',
    path: '/v1/backups/{id}/verify',
    operationId,
    summary: 'Proves this backup by restoring it aside.',
    scope: 'backups:write',
    limit: 'write',
    params: v.strictObject({ id: uuidText }),
    body: v.optional(v.strictObject({ boot: v.optional(v.boolean()), ...reason }), {}),
    bodyExample: { boot: true },
    takes: keyHeader,
    responses: { 202: acceptedResponse('verify'), ...refusals(400, 404, 409, 422) },
    async handle(call) {
      const { id } = call.params;
      const of = await findInstanceOfBackup(ports.database, id, call.principal);
      if (of === undefined) throw new Failure('not-found', `There is no backup ${id}.`);
      const asked = { kind: 'verify', instanceId: of, data: { ...call.body, backup: id } } as const;
      const work = await prepare(ports, askerOf(call), asked);
      return await accept(ports, { call, operationId }, work);
    },
  });
}
