import { randomUUID } from 'node:crypto';
import { provisionRequested } from '#events/instance/provision-requested.ts';
import { openPublisher } from '#shared/adapters/eventing/publish.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';

const source = 'urn:bench:user-service';

/** Requests instances at a broker as a user service would. */
export type Requests = {
  /** Publishes one request per name at once. Returns the instances' ids and when the broker's last 202 was here. */
  send(names: readonly string[]): Promise<{ instanceIds: string[]; acceptedMs: number }>;
  end(): Promise<void>;
};

/** Opens a publisher that is kept, so that no connection is opened within a measurement. */
export function openRequests(brokerUrl: string): Requests {
  const publisher = openPublisher({ brokerUrl });
  return {
    async send(names) {
      const events = names.map((name) => ({
        id: randomUUID(),
        type: provisionRequested.type,
        source,
        data: {
          // a customer each: their quota is not what is measured
          customer: `customer-${name}`,
          name,
          plan: 'small',
          owner: { email: `owner@${name}.example` },
          idempotencykey: name,
        },
      }));
      const { failed } = await publisher.publish(events);
      if (failed[0] !== undefined) throw new Error(`The broker did not take a request: ${failed[0].reason}`);
      return { instanceIds: names.map((name) => deriveInstanceId(source, name)), acceptedMs: performance.now() };
    },
    end: () => publisher.end(),
  };
}
