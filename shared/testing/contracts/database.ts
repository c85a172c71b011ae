import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { faultTests } from './database/faults.ts';
import { lostCommitTests } from './database/lost-commits.ts';
import { statementTests } from './database/statements.ts';
import { transactionTests } from './database/transactions.ts';
import type { DatabaseSurroundings, OpenOptions, World } from './database/world.ts';

/** What every `Database` does, whatever its driver and whatever stands between it and the server. */
export function databaseContract(name: string, surroundings: () => DatabaseSurroundings): void {
  describe(name, () => {
    let database: Database;
    let opened: Database[] = [];
    const open = (options?: OpenOptions) => {
      const one = surroundings().open(options);
      opened.push(one);
      return one;
    };
    beforeAll(async () => {
      await surroundings().asAdmin(
        'create table if not exists ledger (name text primary key, amount integer not null)',
      );
      await surroundings().asAdmin('grant all on ledger to public');
    });
    beforeEach(async () => {
      await surroundings().asAdmin('truncate ledger');
      database = open();
    });
    afterEach(async () => {
      surroundings().proxy.accept();
      await Promise.all(opened.map((one) => one.end()));
      opened = [];
    });
    afterAll(() => surroundings().asAdmin('drop table ledger'));

    const world: World = { open, database: () => database, surroundings };
    describe('statements', () => statementTests(world));
    describe('transactions', () => transactionTests(world));
    describe('a lost answer to COMMIT', () => lostCommitTests(world));
    describe('faults', () => faultTests(world));
  });
}
