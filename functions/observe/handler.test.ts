import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { operationAdvance } from '#events/operation/advance.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { observe } from './handler.ts';
import type { ClusterObject } from './relevant.ts';

const ended = (change: Partial<ClusterObject['metadata']> = {}): ClusterObject => ({
  kind: 'Job',
  metadata: { name: 'odoo-init', labels: { 'odoofleet.dev/instance': 'abcdefgh2345' }, ...change },
  status: { conditions: [{ type: 'Complete', status: 'True' }] },
});
const active = [{ id: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f', instance_id: 'abcdefgh2345', kind: 'provision' }];

function makeObserver({ rows = active, refuses = false }: { rows?: typeof active; refuses?: boolean } = {}) {
  const sent: OutgoingEvent[] = [];
  let queries = 0;
  const database: Queryable = {
    query: async <Row extends object>() => {
      queries += 1;
      return { rows: rows as unknown as Row[], rowCount: rows.length };
    },
  };
  const dependencies = {
    database,
    eventSource: 'urn:odoo-fleet',
    publish: async (events: readonly OutgoingEvent[]) => {
      sent.push(...events);
      const ids = events.map(({ id }) => id);
      const failed = ids.map((id) => ({ id, reason: 'answered with status 503' }));
      return refuses ? { published: [], failed } : { published: ids, failed: [] };
    },
  };
  return { sent, queries: () => queries, see: (object: ClusterObject) => observe(object, dependencies) };
}

describe('a change in the cluster', () => {
  test('becomes an advance of the operation at work', async () => {
    const { sent, see } = makeObserver();
    expect(await see(ended())).toBe('advanced');
    expect(sent).toMatchObject([
      {
        type: operationAdvance.type,
        subject: 'abcdefgh2345',
        extensions: { opkind: 'provision' },
        data: { reason: 'Job odoo-init changed' },
      },
    ]);
    expect(v.is(operationAdvance.schema, sent[0]?.data)).toBe(true);
  });

  test('gives the same event whenever it is delivered, and another one for another state', async () => {
    const { sent, see } = makeObserver();
    await see(ended());
    await see(ended());
    await see(ended({ generation: 2 }));
    const ids = sent.map(({ id }) => id);
    expect(ids[0]).toBe(ids[1]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  test('that matters to nobody is answered without a query', async () => {
    const { sent, queries, see } = makeObserver();
    expect(await see(ended({ labels: {} }))).toBe('nothing-to-do');
    expect(await see({ ...ended(), status: { active: 1 } })).toBe('nothing-to-do');
    expect(queries()).toBe(0);
    expect(sent).toEqual([]);
  });

  test('of an instance that nobody works on is left alone', async () => {
    const { sent, see } = makeObserver({ rows: [] });
    expect(await see(ended())).toBe('nothing-to-do');
    expect(sent).toEqual([]);
  });

  test('with the longest name still makes an event that can be read', async () => {
    const { sent, see } = makeObserver();
    await see(ended({ name: 'x'.repeat(253) }));
    expect(v.is(operationAdvance.schema, sent[0]?.data)).toBe(true);
  });

  test('that the broker does not take is delivered again', async () => {
    const { see } = makeObserver({ refuses: true });
    await expect(see(ended())).rejects.toMatchObject({ code: 'unavailable' });
  });
});
