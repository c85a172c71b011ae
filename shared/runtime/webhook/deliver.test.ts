import { expect, test } from 'vitest';
import type { Database } from '#shared/adapters/postgres/database.ts';
import type { HeldDelivery } from '#shared/adapters/postgres/webhook-deliveries.ts';
import { deliver } from './deliver.ts';

const delivery: HeldDelivery = {
  id: 'd-1',
  endpointId: 'e-1',
  eventId: 'v-1',
  customerId: 'c-1',
  body: '{}',
  attempt: 1,
  fence: 1,
  begunAt: new Date(0),
  claimedAt: new Date(0),
  url: 'https://receiver.example/hook',
  secrets: [],
};

test('what could not be signed is not sent', async () => {
  const sent: unknown[] = [];
  const troubles: string[] = [];
  const counts = await deliver([delivery], {
    database: {} as Database,
    sender: {
      send: async (message) => {
        sent.push(message);
        return { status: 204, error: null };
      },
    },
    secrets: { unwrap: async () => Buffer.alloc(32) },
    eventSource: 'urn:odoo-fleet',
    onTrouble: (what, error) => void troubles.push(`${what}: ${String(error)}`),
  });
  expect(sent).toEqual([]);
  expect(counts).toEqual({ taken: 0, failed: 1, disabled: 0 });
  expect(troubles.join()).toContain('delivery d-1');
  expect(troubles.join()).toContain('has no secret');
});
