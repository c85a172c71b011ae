import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import {
  type CheckedRequest,
  checkRequests,
  listCustomersToCheck,
} from '#shared/adapters/postgres/billing-requests.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { listDue, listDueCustomers, tryLockBilling } from '#shared/adapters/postgres/subscriptions.ts';
import { decideInstances } from './decide.ts';

export type BillingUpkeep = {
  database: Database;
  /** Source of our own events. */
  eventSource: string;
  /** Customers at most in one call; the rest has its turn in the next. */
  limit?: number;
  onTrouble: (what: string, error: unknown) => void;
};

export type BillingUpkeepReport = {
  /** Customers looked at. */
  customers: number;
  /** Operations asked for. */
  asked: number;
  /** Requests sent once more, because their function does not have them. */
  resent: number;
  /** Requests that no function took however often they were sent: a person has to. The audit names them, too. */
  givenUp: Pick<CheckedRequest, 'instanceId' | 'kind'>[];
};

const customersAtMost = 100;

/**
 * What only time brings about: grace periods and terms that have ended are decided about by the same policy as events,
 * and requests that a broker has lost are sent again. Asks by the outbox; the caller sweeps it afterwards. Repeatable, and
 * several may run at once: a customer somebody else is deciding about is left to him.
 */
export async function billingUpkeep(upkeep: BillingUpkeep): Promise<BillingUpkeepReport> {
  const { database, limit = customersAtMost } = upkeep;
  const report: BillingUpkeepReport = { customers: 0, asked: 0, resent: 0, givenUp: [] };
  const due = [...(await listDueCustomers(database, limit)), ...(await listCustomersToCheck(database, limit))];
  for (const customerId of [...new Set(due)].slice(0, limit)) {
    try {
      const did = await database.transaction((transaction) => upkeepOf(transaction, upkeep, customerId));
      report.customers += 1;
      report.asked += did.asked;
      report.resent += did.resent;
      report.givenUp.push(...did.givenUp);
    } catch (error) {
      upkeep.onTrouble(`bills of customer ${customerId}`, error);
    }
  }
  return report;
}

async function upkeepOf(
  transaction: Queryable,
  { eventSource }: BillingUpkeep,
  customerId: string,
): Promise<Pick<BillingUpkeepReport, 'asked' | 'resent' | 'givenUp'>> {
  if (!(await tryLockBilling(transaction, customerId))) return { asked: 0, resent: 0, givenUp: [] };
  const checked = await checkRequests(transaction, { customerId, eventSource });
  const due = await listDue(transaction, customerId);
  // What was held back until this one had arrived can be asked for now, and what was put off again.
  const settled = checked.filter(({ became }) => became === 'settled' || became === 'put-off');
  const instanceIds = [...settled, ...due].flatMap(({ instanceId }) => instanceId ?? []);
  const asked = await decideInstances(transaction, {
    customerId,
    instanceIds: [...new Set(instanceIds)],
    eventSource,
    actor: eventSource,
    isPayment: false,
  });
  const givenUp = checked.filter(({ became }) => became === 'given-up');
  for (const { instanceId, kind, eventId } of givenUp) {
    const detail = { kind, event: eventId };
    await appendAudit(transaction, { actor: eventSource, action: 'billing.given-up', instanceId, detail });
  }
  return {
    asked,
    resent: checked.filter(({ became }) => became === 'resent').length,
    givenUp: givenUp.map(({ instanceId, kind }) => ({ instanceId, kind })),
  };
}
