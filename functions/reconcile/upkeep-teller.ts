import { Counter, type Registry } from 'prom-client';
import { billingRequestKinds } from '#shared/domain/billing/requests.ts';
import type { BillingUpkeepReport } from '#shared/runtime/billing/upkeep.ts';
import type { DeadLetterReport } from '#shared/runtime/dead-letter/upkeep.ts';
import type { Log } from '#shared/runtime/log.ts';

/** Tells people what upkeep has come to, in the log and in numbers: nothing is given up in silence. */
export function upkeepTeller({ log, registry }: { log: Pick<Log, 'info' | 'error'>; registry: Registry }): {
  billing(report: BillingUpkeepReport): void;
  deadLetters(report: DeadLetterReport): void;
} {
  const requestsGivenUp = new Counter({
    name: 'fleet_billing_requests_given_up_total',
    help: 'Operations billing has asked for that no function took in hours. Each is in the audit as billing.given-up.',
    labelNames: ['kind'],
    registers: [registry],
  });
  // Prometheus does not see a rise from nothing to 1.
  for (const kind of billingRequestKinds) requestsGivenUp.inc({ kind }, 0);
  return {
    billing({ givenUp }) {
      for (const { kind } of givenUp) requestsGivenUp.inc({ kind });
      if (givenUp.length > 0) log.error({ givenUp }, 'no function takes what billing asks for: ask for it by hand');
    },
    deadLetters({ imported, givenUp, unreadable }) {
      if (imported > 0) log.info({ imported }, 'dead letters were imported from the spool');
      if (givenUp > 0) log.error({ givenUp }, 'dead events were given up: they wait for a person');
      if (unreadable.length > 0) log.error({ unreadable }, 'the spool holds what is no dead letter');
    },
  };
}
