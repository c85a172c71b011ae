import { Gauge, type Registry } from 'prom-client';
import type { Log } from '#shared/runtime/log.ts';

/** Says, in the log and as a number, whether dead letters have a place while the platform's database is away. */
export function tellOfSpool(
  hasSpool: boolean,
  { log, registry }: { log: Pick<Log, 'error'>; registry: Registry },
): void {
  new Gauge({
    name: 'fleet_dead_letter_spool',
    help: '1: dead letters that come while PostgreSQL is away wait in the spool. 0: they are in the log and nowhere else.',
    registers: [registry],
  }).set(hasSpool ? 1 : 0);
  if (hasSpool) return;
  log.error(
    'DEAD_LETTER_SPOOL_DIR is not set: dead letters that come while PostgreSQL is away are written to this log and kept nowhere else. Add the component knative/components/dead-letter-spool',
  );
}
