import { defineConfig } from 'vitest/config';

const everywhere = ['events', 'functions', 'shared', 'scripts', 'knative'];
/** Vitest's is one second, which a process takes to start on a busy machine. */
const patience = { poll: { timeout: 15_000 } };
const files = (suffix: string) => everywhere.map((folder) => `${folder}/**/*${suffix}`);

/**
 * The tiers, by the name of the file: `x.test.ts` touches nothing outside its process; `x.int.test.ts` meets real
 * servers; `x.e2e.test.ts` runs a whole sandbox; `x.odoo.test.ts` needs the real Odoo; `x.control-plane.test.ts` the
 * real Kubernetes API server; `x.cluster.test.ts` a whole cluster with Knative.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          sequence: { groupOrder: 0 },
          include: files('.test.ts'),
          exclude: ['int', 'e2e', 'odoo', 'control-plane', 'cluster'].map((tier) => `**/*.${tier}.test.ts`),
          isolate: false,
          // Property tests take a second alone and several on a busy machine.
          testTimeout: 30_000,
          expect: patience,
        },
      },
      {
        test: {
          name: 'int',
          sequence: { groupOrder: 1 },
          include: files('.int.test.ts'),
          globalSetup: ['shared/testing/global-setup.ts'],
          testTimeout: 60_000,
          expect: patience,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'e2e',
          sequence: { groupOrder: 2 },
          include: files('.e2e.test.ts'),
          testTimeout: 180_000,
          expect: patience,
          hookTimeout: 300_000,
          // A fleet waits most of the time: one file by itself leaves two cores idle for nine parts of ten.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'odoo',
          sequence: { groupOrder: 3 },
          include: files('.odoo.test.ts'),
          testTimeout: 300_000,
          expect: patience,
          hookTimeout: 1_200_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'control-plane',
          sequence: { groupOrder: 4 },
          include: files('.control-plane.test.ts'),
          testTimeout: 120_000,
          expect: patience,
          hookTimeout: 1_800_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'cluster',
          sequence: { groupOrder: 5 },
          include: files('.cluster.test.ts'),
          globalSetup: ['scripts/cluster/global-setup.ts'],
          testTimeout: 300_000,
          expect: patience,
          hookTimeout: 1_800_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
