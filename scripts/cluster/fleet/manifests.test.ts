import { expect, it } from 'vitest';
import type { Kubectl } from '../kubectl.ts';
import { devManifests, migrationManifests } from './manifests.ts';

const built = `
kind: Service
metadata: { name: stop }
spec: { template: { spec: { containers: [{ name: stop, image: odoo-fleet/stop }] } } }
---
kind: ConfigMap
metadata: { name: images }
data: { image: odoo-fleet/stop:1, other: odoo-fleet/stop }
`;

it('puts images of the node in place of those of the functions, and leaves everything else', async () => {
  const asked: string[] = [];
  const kubectl: Pick<Kubectl, 'run'> = {
    async run(args) {
      asked.push(...args);
      return built;
    },
  };
  const [service, images] = await devManifests(kubectl, { imageOf: (name) => `fleet.local/${name}:1` });
  expect(asked).toEqual(['kustomize', expect.stringMatching(/\/knative\/overlays\/dev$/)]);
  expect(JSON.stringify(service)).toContain('"image":"fleet.local/stop:1"');
  expect(images?.['data']).toEqual({ image: 'odoo-fleet/stop:1', other: 'odoo-fleet/stop' });
});

it('names the PostgreSQL server itself to the migration Job', async () => {
  const kubectl: Pick<Kubectl, 'run'> = {
    async run(args) {
      expect(args[1]).toMatch(/\/knative\/overlays\/dev\/migration$/);
      return `
kind: ConfigMap
metadata: { name: migration }
data: { PLATFORM_POSTGRES_DIRECT_HOST: postgres.odoo-fleet.svc, PLATFORM_POSTGRES_SSLMODE: disable }
---
kind: Job
metadata: { name: migrate }
spec: { template: { spec: { containers: [{ image: odoo-fleet/migrate }] } } }
`;
    },
  };
  const [settings, job] = await migrationManifests(kubectl, { image: 'fleet.local/migrate:1', host: 'direct' });
  expect(settings?.['data']).toEqual({ PLATFORM_POSTGRES_DIRECT_HOST: 'direct', PLATFORM_POSTGRES_SSLMODE: 'disable' });
  expect(JSON.stringify(job)).toContain('"image":"fleet.local/migrate:1"');
});
