import { openPublisher } from '#shared/adapters/eventing/publish.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import type { Config } from '#shared/runtime/config.ts';
import { flushOutbox, type Publish } from '#shared/runtime/outbox.ts';
import type { publishing } from '#shared/runtime/rows.ts';
import { signAs } from '#shared/runtime/signing.ts';
import { acceptedAs, type Following, follow } from './follow.ts';
import type { AskedKind } from './requests.ts';
import type { Done } from './screen.ts';

export type Asking = { database: Database; config: Config<typeof publishing>; following: Following };

/**
 * Asks for an operation, and follows it. The request is written into the outbox: from that commit on it will be sent. It is
 * sent to the broker at once; where that does not take it the tick does.
 * @throws Failure with the text of a refusal.
 */
export async function ask(
  kind: AskedKind,
  event: OutgoingEvent,
  { database, config, following }: Asking,
): Promise<Done> {
  await database.transaction((transaction) => enqueue(transaction, [event]));
  await send(database, event.id, { config, following });
  const { instance: instanceId } = event.data as { instance: string };
  const asked = { source: event.source, eventId: event.id, kind, instanceId };
  const operationId = await acceptedAs(database, asked, following);
  following.screen.progress?.(undefined);
  if (operationId !== undefined) return await follow(database, operationId, following);
  return {
    json: { event: event.id, instance: instanceId, kind, operation: null },
    lines: [
      `The request for a ${kind} of instance ${instanceId} is written (event ${event.id}); nobody has taken it yet.`,
    ],
  };
}

async function send(
  database: Database,
  eventId: string,
  { config, following }: Pick<Asking, 'config' | 'following'>,
): Promise<void> {
  const sign = signAs(config.eventSource, config.eventSigningKey);
  const publisher = openPublisher({ brokerUrl: config.brokerUrl });
  try {
    const publish: Publish = (events) => publisher.publish(events, { prepare: sign });
    const { failed } = await flushOutbox(database, publish, { ids: [eventId] });
    if (failed > 0) following.screen.printError('The broker did not take the request: the tick sends it.');
  } finally {
    await publisher.end();
  }
}
