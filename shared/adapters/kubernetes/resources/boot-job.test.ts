import { describe, expect, test } from 'vitest';
import type { BootJob } from '#shared/domain/backup/job-ports.ts';
import { exampleInstance, exampleServer } from '#shared/testing/examples.ts';
import { bootJob, bootSecret } from './boot-job.ts';
import { labelKeys } from './labels.ts';
import { networkPolicy } from './network-policy.ts';
import { workerLabel } from './worker-job.ts';

const job: BootJob = {
  name: 'odoo-abcdefgh2345-boot-2c3d4e5f-1',
  owner: 'abcdefgh2345',
  operationId: 'op',
  image: 'odoo@sha256:0',
  workerImage: 'worker@sha256:1',
  order: '{"password":"of the order"}',
  odooConf: 'db_password = of the configuration',
  environment: { PGSSLROOTCERT: 'system' },
  memoryMib: 1024,
  deadlineSeconds: 900,
};
const built = bootJob(job, { namespace: 'tenants', clientNamespaces: [] });
const pod = built.spec?.template.spec;
const [prepare, odoo] = pod?.initContainers ?? [];
const [check] = pod?.containers ?? [];

describe('the Job that starts Odoo on a restored backup', () => {
  test('makes the database harmless to the end before Odoo begins, and ends by the one that asks', () => {
    expect(prepare).toMatchObject({ image: job.workerImage, args: ['/etc/fleet/order.json', 'prepare-boot'] });
    expect(prepare?.restartPolicy).toBeUndefined();
    expect(odoo).toMatchObject({ image: job.image, restartPolicy: 'Always' });
    expect(odoo?.command).toContain('--max-cron-threads=0');
    expect(check).toMatchObject({ image: job.workerImage, args: ['/etc/fleet/order.json', 'check-boot', '$(POD_IP)'] });
    expect(pod?.restartPolicy).toBe('Never');
    expect(built.spec?.backoffLimit).toBe(0);
  });

  test('has no volume of the instance, and gives Odoo nothing but its own configuration', () => {
    expect(JSON.stringify(pod)).not.toContain('persistentVolumeClaim');
    expect(odoo?.volumeMounts?.map(({ name }) => name)).toEqual(['configuration', 'data', 'temporary']);
    expect(check?.volumeMounts?.map(({ name }) => name)).toEqual(['order', 'worker']);
    expect(pod?.volumes?.flatMap(({ secret }) => secret?.items?.map(({ key }) => key) ?? [])).toEqual([
      'order.json',
      'odoo.conf',
    ]);
    expect(JSON.stringify(built)).not.toMatch(/of the (order|configuration)/);
    const { data } = bootSecret(job, 'tenants', 'uid');
    expect(Buffer.from(data?.['order.json'] ?? '', 'base64').toString()).toBe(job.order);
    expect(Buffer.from(data?.['odoo.conf'] ?? '', 'base64').toString()).toBe(job.odooConf);
  });

  test('is selected by no policy that lets out to the object store, the mail relay or the live database', () => {
    const labels = built.spec?.template.metadata?.labels;
    expect(labels?.[labelKeys.name]).not.toBe(workerLabel);
    const settings = { namespace: 'tenants', clientNamespaces: [] };
    const own = networkPolicy(exampleInstance(), { settings, databaseServer: exampleServer() });
    expect(own.spec.podSelector?.matchExpressions).toEqual([
      { key: labelKeys.name, operator: 'NotIn', values: [labels?.[labelKeys.name]] },
    ]);
    // what lets Jobs out to DNS and PostgreSQL
    expect(labels?.[labelKeys.component]).toBe('job');
    expect(labels).toEqual(built.metadata?.labels);
  });

  test('runs restricted, every container of it', () => {
    expect(pod?.automountServiceAccountToken).toBe(false);
    for (const container of [prepare, odoo, check]) {
      expect(container?.securityContext).toMatchObject({
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
      });
      expect(container?.resources?.limits?.['memory']).toMatch(/Mi$/);
    }
  });
});
