import { Failure } from '#shared/domain/failure.ts';
import { type Call, type Group, type Result, textOf } from './command.ts';
import { facts, listed, listOptions, timeCell } from './listing.ts';
import { hasEnded, type Operation, watch } from './watch.ts';

/** Of all that asks for an operation. */
export const watchOptions = [
  ['--watch', 'waits for the end of it, and shows how far it is'],
  ['--wait-seconds <seconds>', 'how long --watch waits; no limit unless stated'],
] as const;

export const reasonOption = ['--reason <text>', 'why, for people who read the record'] as const;

const pathOf = (id: string | undefined) => `/v1/operations/${encodeURIComponent(id ?? '')}`;

export const operations: Group = {
  noun: 'operations',
  says: 'what was asked for, and how far it is',
  commands: [
    {
      usage: 'list',
      says: 'newest first',
      example: 'operations list --instance k3n5q2x7a4bc --state failed',
      options: [
        ['--instance <id>', 'of this instance'],
        ['--state <states>', 'queued, running, waiting, succeeded, failed, cancelled; several with commas'],
        ['--kind <kinds>', 'such as backup; several with commas'],
        ['--customer <id>', 'of this customer'],
        ...listOptions,
      ],
      run: (call) =>
        listed<Operation>(call, '/v1/operations', {
          query: ['instance', 'state', 'kind', 'customer'],
          heads: ['OPERATION', 'INSTANCE', 'KIND', 'STATE', 'STEP', 'ASKED FOR AT', 'BY'],
          cells: (one) => [
            ...[one.id, one.instanceId, one.kind, one.state, one.step ?? '-', timeCell(one.createdAt)],
            one.requestedBy,
          ],
          none: 'There are no operations.',
        }),
    },
    {
      usage: 'show <operation>',
      says: 'all of one',
      example: 'operations show 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
      options: watchOptions,
      async run(call) {
        if (call.options['watch'] === true) return await watched(call, call.operands[0] ?? '');
        const body = await call.api().get(pathOf(call.operands[0]));
        return { json: body, lines: facts(body, call.screen) };
      },
    },
    {
      usage: 'watch <operation>',
      says: 'waits for its end, and shows how far it is',
      example: 'operations watch 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f --wait-seconds 600',
      options: watchOptions.slice(1),
      run: (call) => watched(call, call.operands[0] ?? ''),
    },
    {
      usage: 'retry <operation>',
      says: 'goes on with one that failed, at the step where it stopped',
      example: 'operations retry 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f --watch',
      options: [reasonOption, ...watchOptions],
      run: (call) => asked(call, `${pathOf(call.operands[0])}/retry`, {}),
    },
    {
      usage: 'cancel <operation>',
      says: 'undoes what it has made, where that is possible',
      example: 'operations cancel 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f --reason "asked for twice"',
      options: [reasonOption, ...watchOptions],
      run: (call) => asked(call, `${pathOf(call.operands[0])}/cancel`, {}),
    },
  ],
};

/** Asks for an operation, and watches it where the call says so. */
export async function asked(call: Call, path: string, body: Readonly<Record<string, unknown>>): Promise<Result> {
  const untilMs = untilOf(call);
  const reason = textOf(call.options, 'reason');
  const wanted = { ...body, ...(reason !== undefined && { reason }) };
  const accepted = (await call.api().ask(path, wanted)) as Operation & { outcome: string };
  if (call.options['watch'] === true) return ended(await watch(call.api(), accepted.id, { ...call, untilMs }));
  const said = accepted.outcome === 'coalesced' ? 'is asked for already' : 'is accepted';
  return {
    json: accepted,
    lines: [
      `The ${accepted.kind} of ${accepted.instanceId} ${said}.`,
      `Watch it: fleet operations watch ${accepted.id}`,
    ],
  };
}

async function watched(call: Call, id: string): Promise<Result> {
  return ended(await watch(call.api(), id, { ...call, untilMs: untilOf(call) }));
}

function untilOf({ options }: Call): number {
  const seconds = textOf(options, 'waitSeconds');
  if (seconds === undefined) return Number.POSITIVE_INFINITY;
  if (/^\d{1,6}$/.test(seconds)) return performance.now() + Number(seconds) * 1_000;
  throw new Failure('misconfigured', '--wait-seconds takes a number of seconds.');
}

/** What an operation has come to: not done when it failed or was cancelled; one that goes on is none of these. */
function ended(operation: Operation): Result {
  const { id, kind, state, error, instanceId } = operation;
  const begun = `The ${kind} of ${instanceId}`;
  const line =
    state === 'succeeded'
      ? `${begun} is done.`
      : state === 'failed'
        ? `${begun} failed: ${error?.text} (${error?.code}). Go on with it: fleet operations retry ${id}`
        : state === 'cancelled'
          ? `${begun} was cancelled.`
          : `${begun} is ${state}. Watch it: fleet operations watch ${id}`;
  return { json: operation, lines: [line], isDone: !hasEnded(operation) || state === 'succeeded' };
}
