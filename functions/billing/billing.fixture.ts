import { createHash, randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { SubscriptionData } from '#events/billing/subscription.ts';
import { eventByType } from '#events/catalogue.ts';
import { checkData } from '#events/check.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { type BillingUpkeepReport, billingUpkeep } from '#shared/runtime/billing/upkeep.ts';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { type BillingEvent, billingHandler } from './handler.ts';

export const eventSource = 'urn:odoo-fleet';
export const anybody = { customerId: null };

/** An event of billing, checked against its definition like one that was received. */
export function billingEvent(
  type: string,
  data: Record<string, unknown>,
  envelope: { id?: string; source?: string } = {},
): BillingEvent {
  const full = `dev.odoofleet.${type}`;
  const definition = eventByType(full);
  expect(definition && checkData(definition, data)).toMatchObject({ accepted: true });
  return {
    specversion: '1.0',
    id: envelope.id ?? randomUUID(),
    source: envelope.source ?? 'urn:billing',
    type: full,
    extensions: {},
    data,
    dataHash: createHash('sha256').update(JSON.stringify(data)).digest(),
  } as unknown as BillingEvent;
}

/** A paid subscription of customer c-1. */
export function subscription(sequence: number, change: Partial<SubscriptionData> = {}): SubscriptionData {
  return {
    subscription: 's-1',
    customer: 'c-1',
    sequence,
    plan: 'small',
    phase: 'evergreen',
    paid: true,
    overduesince: null,
    ends: null,
    ...change,
  };
}

export const configuration = { name: 'acme', owner: { email: 'owner@acme.example' } };
export const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString();
/** Past due for longer than the 14 days of grace. */
export const overdue = { paid: false, overduesince: inDays(-15) } as const;
export const cancelled = { ends: { at: inDays(-1), by: 'cancellation' } } as const;

export type Asked = { kind: string; data: Record<string, unknown>; id: string };

/** The real handler on real records; the operations' functions are played by rows. */
export function billingWorld(database: () => Database) {
  let flushed = 0;
  const handle = (event: BillingEvent, authority: { customerId: string | null } = anybody): Promise<string> =>
    billingHandler({ database: database(), eventSource, flush: async () => void (flushed += 1) })(event, authority);
  const rows = async <Row extends object>(text: string, values: unknown[] = []) =>
    (await database().query<Row>(text, values)).rows;

  return {
    handle,
    rows,
    flushed: () => flushed,
    say: (type: string, data: Record<string, unknown>, envelope: { id?: string; source?: string } = {}) =>
      handle(billingEvent(type, data, envelope)),

    async reset(): Promise<void> {
      await database().query(
        `truncate operations, operation_steps, inbox, outbox, instances, suspensions, subscriptions, billing_requests,
           customer_standings, customers, plans, images, clusters cascade`,
      );
      await insertCatalogue(database());
      await database().query(`insert into customers (id) values ('c-2')`);
    },

    async addInstance(number = 1, customer = 'c-1'): Promise<string> {
      const id = testInstanceId(number);
      await insertTestInstance(database(), id);
      await database().query('update instances set customer_id = $2 where id = $1', [id, customer]);
      return id;
    },

    /** What was asked for, in order; each event is what its definition says. */
    async asked(): Promise<Asked[]> {
      const events = await rows<{ id: string; type: string; data: Record<string, unknown> }>(
        'select id, type, data from outbox order by sequence',
      );
      return events.map(({ id, type, data }) => {
        const definition = eventByType(type);
        expect(definition && checkData(definition, data)).toMatchObject({ accepted: true });
        return { id, data, kind: /instance\.([a-z]+)\.requested$/.exec(type)?.[1] ?? type };
      });
    },
    async kinds(): Promise<string[]> {
      return (await this.asked()).map(({ kind }) => kind);
    },

    /** The operations' functions take what was asked for: accept it as the platform does, or refuse all. */
    async carryOut(does: 'accept' | 'coalesced' | `refused: ${string}` = 'accept'): Promise<void> {
      for (const { id, kind, data } of await this.asked()) {
        const known = await rows('select 1 from inbox where source = $1 and id = $2', [eventSource, id]);
        if (known.length > 0) continue;
        await database().query(`insert into inbox (source, id, type, data_hash, outcome) values ($1, $2, $3, $4, $5)`, [
          eventSource,
          id,
          kind,
          createHash('sha256').update(id).digest(),
          does,
        ]);
        if (does === 'accept') await accept(kind, String(data['instance']));
      }
    },

    async outcomes(): Promise<string[]> {
      const noted = await rows<{ outcome: string }>(
        'select outcome from inbox where source <> $1 order by received_at, id',
        [eventSource],
      );
      return noted.map(({ outcome }) => outcome);
    },

    /** A tick, with everything due that could be due. */
    async tick({ passTime = true, limit }: { passTime?: boolean; limit?: number } = {}): Promise<BillingUpkeepReport> {
      if (passTime) await database().query('update billing_requests set check_at = now() where check_at is not null');
      return await billingUpkeep({
        database: database(),
        eventSource,
        ...(limit === undefined ? {} : { limit }),
        onTrouble: (_, error) => {
          throw error;
        },
      });
    },

    /** As if the days had gone by. */
    async pass(days: number): Promise<void> {
      await database().query(
        `update subscriptions set overdue_since = overdue_since - $1::integer * interval '1 day',
           ends_at = ends_at - $1::integer * interval '1 day',
           action_due_at = action_due_at - $1::integer * interval '1 day'`,
        [days],
      );
    },

    /** Until a transaction stands behind a lock that this test holds. */
    async untilSomebodyWaits(): Promise<void> {
      const waiting = `select 1 from pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_database where datname = current_database())`;
      await expect.poll(async () => (await rows(waiting)).length, { timeout: 15_000 }).toBe(1);
    },
  };

  async function accept(kind: string, instanceId: string): Promise<void> {
    const texts: Record<string, string> = {
      suspend: `insert into suspensions (instance_id, reason, cause) values ($1, 'billing', 'test') on conflict do nothing`,
      resume: `update suspensions set closed_at = now() where instance_id = $1 and reason = 'billing'`,
      terminate: `update instances set desired_state = 'terminated' where id = $1`,
      undo: `update instances set desired_state = 'running' where id = $1`,
    };
    const text = texts[kind];
    if (text === undefined) await insertTestInstance(database(), instanceId);
    else await database().query(text, [instanceId]);
  }
}
