import type { AnyEventDefinition } from '#events/envelope.ts';
import { webhookDue } from '#events/webhook/due.ts';
import type { TypedEvent } from '#shared/adapters/eventing/parse.ts';
import { storeDeliveries, type TellableEvent, takeDue } from '#shared/adapters/postgres/webhook-deliveries.ts';
import { visibleEvents } from '#shared/domain/webhook/visible-events.ts';
import { type Delivering, deliver } from '#shared/runtime/webhook/deliver.ts';

export const webhookEvents = [webhookDue, ...visibleEvents] as const satisfies readonly AnyEventDefinition[];

export type WebhookEvent = TypedEvent<(typeof webhookEvents)[number]>;

export type WebhookDependencies = Delivering & {
  /** Publishes what waits in the outbox; does not throw. */
  flush(): Promise<void>;
  /** No deliveries are taken after so much of a request, which then lasts as long as the slowest receiver may. The tick waits for it. */
  budgetMs?: number;
};

/** Of one round: few endpoints are many enough, for the next round takes others. */
const round = { endpoints: 20 };

/**
 * An event of ours becomes deliveries to its customer's endpoints, which are tried once before the answer. What fails, and what
 * a process did not come to, is due again by its row: the tick says so.
 */
export function webhookHandler(dependencies: WebhookDependencies): (event: WebhookEvent) => Promise<string> {
  const { database, eventSource, flush } = dependencies;

  async function tell(event: WebhookEvent): Promise<string> {
    const told = tellable(event, eventSource);
    if (told === undefined) return 'nothing-to-do';
    const { stored, held } = await storeDeliveries(database, told, { holds: true });
    if (held.length > 0) await finish(await deliver(held, dependencies));
    return stored > 0 ? 'stored' : 'nothing-to-do';
  }

  async function sendDue(): Promise<string> {
    const until = performance.now() + (dependencies.budgetMs ?? 3_000);
    let sent = 0;
    while (performance.now() < until) {
      const held = await takeDue(database, round);
      if (held.length === 0) break;
      sent += held.length;
      await finish(await deliver(held, dependencies));
    }
    return sent > 0 ? 'sent' : 'nothing-to-do';
  }

  async function finish({ disabled }: { disabled: number }): Promise<void> {
    if (disabled > 0) await flush();
  }

  return (event) => (event.type === webhookDue.type ? sendDue() : tell(event));
}

/** What is told, or undefined when it is nobody's: of another source, or of no customer. */
function tellable(event: WebhookEvent, eventSource: string): TellableEvent | undefined {
  const { id, source, type, extensions } = event;
  const customerId = extensions['tenantid'];
  if (source !== eventSource || customerId === undefined || !uuid.test(id)) return undefined;
  const data = event.data as Readonly<Record<string, unknown>>;
  const instanceId = typeof data['instance'] === 'string' ? data['instance'] : null;
  const time = event.time === undefined ? new Date() : new Date(event.time);
  return { id, type, customerId, instanceId, time, data };
}

/** Ids of our own events. */
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
