import { appendFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ping } from '#events/knative/ping.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import { Failure } from '#shared/domain/failure.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { openLog } from '#shared/runtime/log.ts';

export const log = openLog({ name: 'example', level: process.env['LOG_LEVEL'] ?? 'warn' });

/**
 * A function for the contract suite of hosts. What an event's `reason` says is what it does: `wait 500`, `bug`,
 * `unavailable`, `uncaught`; anything else is done at once. Dead events are appended to the file DEAD_FILE names.
 */
export const example = eventFunction({
  name: 'example',
  definitions: [operationAdvance, ping],
  log,
  authorise: () => Promise.resolve({ customerId: null }),
  async handle(event) {
    if (event.type !== 'dev.odoofleet.operation.advance') return 'ticked';
    const { reason } = event.data;
    if (reason === 'bug') throw new TypeError('a bug with hunter2 in its message');
    if (reason === 'uncaught') void Promise.reject(new Error('nobody catches this'));
    if (reason === 'unavailable') throw new Failure('unavailable', 'The database is down.');
    const waitMs = /^wait (\d+)$/.exec(reason)?.[1];
    if (waitMs !== undefined) await sleep(Number(waitMs));
    return 'done';
  },
  async storeDead({ id, reason }) {
    await appendFile(process.env['DEAD_FILE'] ?? '/dev/null', `${JSON.stringify({ id, reason })}\n`);
  },
});
