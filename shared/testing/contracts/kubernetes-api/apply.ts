import { describe, expect, it } from 'vitest';
import type { Body, Cluster } from './cluster.ts';
import { at, text, unique } from './cluster.ts';
import { configMap, deployment, withMetadata } from './examples.ts';

const odoo = { name: 'odoo', image: 'odoo:19' };

export function applyContract(current: () => Cluster): void {
  describe('server-side apply', () => {
    it('creates with 201, and then changes nothing with 200', async () => {
      const body = configMap(unique('apply'));
      const created = await current().apply('configmaps', body);
      expect(created.status).toBe(201);
      expect(at(created, 'metadata.managedFields')).toMatchObject([
        {
          manager: 'fleet',
          operation: 'Apply',
          apiVersion: 'v1',
          fieldsType: 'FieldsV1',
          fieldsV1: { 'f:data': { 'f:key': {} } },
        },
      ]);
      const again = await current().apply('configmaps', body);
      expect(again.status).toBe(200);
      expect(again.body).toEqual(created.body);
    });

    it('keeps the resourceVersion of a Deployment and a Service that are applied again', async () => {
      const name = unique('again');
      const body = deployment(name, { strategy: { type: 'Recreate' } }, [
        { ...odoo, ports: [{ containerPort: 8069 }], resources: { limits: { cpu: '0.5', memory: '1024Mi' } } },
      ]);
      await current().apply('deployments', body);
      const second = await current().apply('deployments', body);
      expect(at(second, 'metadata.generation')).toBe(1);
      expect(at(second, 'spec.template.spec.containers.0.resources.limits')).toEqual({ cpu: '500m', memory: '1Gi' });
    });

    it('removes what the manager applied before and no longer sends', async () => {
      const name = unique('drop');
      const env = [
        { name: 'KEPT', value: '1' },
        { name: 'DROPPED', value: '2' },
      ];
      const probe = { readinessProbe: { httpGet: { path: '/web/health', port: 8069 }, periodSeconds: 5 } };
      const first = withMetadata(deployment(name, {}, [{ ...odoo, ...probe, env }]), {
        labels: { app: name, dropped: 'yes' },
      });
      await current().apply('deployments', first);
      const second = await current().apply('deployments', deployment(name, {}, [{ ...odoo, env: env.slice(0, 1) }]));
      expect(second.status).toBe(200);
      expect(at(second, 'metadata.labels')).toEqual({ app: name });
      const container = at(second, 'spec.template.spec.containers.0') as Body;
      expect(container['env']).toEqual([{ name: 'KEPT', value: '1' }]);
      // With its defaults: nothing of the probe may stay.
      expect(container).not.toHaveProperty('readinessProbe');
      expect(at(second, 'metadata.generation')).toBe(2);
    });

    it('leaves fields of other managers alone', async () => {
      const name = unique('others');
      await current().apply('configmaps', configMap(name, { ours: '1' }));
      await current().merge(
        'configmaps',
        name,
        { metadata: { labels: { theirs: 'yes' } }, data: { theirs: '2' } },
        { manager: 'someone' },
      );
      const answer = await current().apply('configmaps', configMap(name, { changed: '3' }));
      expect(answer.body).toMatchObject({ metadata: { labels: { theirs: 'yes' } } });
      expect(at(answer, 'data')).toEqual({ changed: '3', theirs: '2' });
    });

    it('merges containers by name and takes a dropped one away as a whole', async () => {
      const name = unique('items');
      const sidecar = { name: 'sidecar', image: 'sidecar:1' };
      await current().apply('deployments', deployment(name, {}, [odoo, sidecar]));
      const changed = await current().apply('deployments', deployment(name, {}, [{ ...odoo, image: 'odoo:20' }]));
      expect(at(changed, 'spec.template.spec.containers')).toMatchObject([{ name: 'odoo', image: 'odoo:20' }]);
    });

    it('keeps the order of the applied list', async () => {
      const name = unique('order');
      await current().apply('deployments', deployment(name, {}, [odoo, { name: 'second', image: 'b:1' }]));
      const answer = await current().apply(
        'deployments',
        deployment(name, {}, [{ name: 'second', image: 'b:1' }, odoo]),
      );
      expect(at(answer, 'spec.template.spec.containers')).toMatchObject([{ name: 'second' }, { name: 'odoo' }]);
    });

    it('replaces lists without keys, such as arguments, as one value', async () => {
      const name = unique('atomic');
      await current().apply('deployments', deployment(name, {}, [{ ...odoo, args: ['--a', '--b'] }]));
      const answer = await current().apply('deployments', deployment(name, {}, [{ ...odoo, args: ['--c'] }]));
      expect(at(answer, 'spec.template.spec.containers.0.args')).toEqual(['--c']);
    });

    it('refuses to take a field of another manager with 409, unless forced', async () => {
      const name = unique('conflict');
      await current().create('configmaps', configMap(name, { key: 'theirs' }), { manager: 'someone' });
      const body = configMap(name, { key: 'ours' });
      const refused = await current().apply('configmaps', body, { isForced: false });
      expect(refused.status).toBe(409);
      expect(refused.body).toMatchObject({
        reason: 'Conflict',
        details: {
          causes: [{ reason: 'FieldManagerConflict', field: '.data.key', message: 'conflict with "someone" using v1' }],
        },
      });
      const forced = await current().apply('configmaps', body);
      expect(forced).toMatchObject({ status: 200, body: { data: { key: 'ours' } } });
    });

    it('checks the resourceVersion it is given', async () => {
      const name = unique('fenced');
      const first = await current().apply('configmaps', configMap(name));
      const seen = { resourceVersion: text(first, 'metadata.resourceVersion') };
      const write = (value: string) =>
        current().apply('configmaps', withMetadata(configMap(name, { key: value }), seen));
      expect((await write('second')).status).toBe(200);
      expect(await write('third')).toMatchObject({ status: 409, body: { reason: 'Conflict', details: { name } } });
      expect(at(await current().get('configmaps', name), 'data.key')).toBe('second');
    });

    it('refuses a uid of an object that is not there', async () => {
      const body = withMetadata(configMap(unique('uid')), { uid: '00000000-0000-0000-0000-000000000000' });
      expect(await current().apply('configmaps', body)).toMatchObject({ status: 409, body: { reason: 'Conflict' } });
    });

    it('refuses fields that the kind does not have, values of the wrong type and keys given twice', async () => {
      const twice = [
        { name: 'A', value: '1' },
        { name: 'A', value: '2' },
      ];
      const answers = [
        await current().apply('configmaps', { ...configMap('refused'), bogus: 1 }),
        await current().apply('deployments', deployment('refused', { replicas: 'two' })),
        await current().apply('deployments', deployment('refused', {}, [{ ...odoo, env: twice }])),
      ];
      const messages = [
        '.bogus: field not declared in schema',
        '.spec.replicas: expected numeric',
        'duplicate entries for key [name="A"]',
      ];
      for (const [index, answer] of answers.entries()) {
        expect(answer.status).toBe(500);
        expect(text(answer, 'message')).toContain(messages[index]);
      }
    });

    it('asks for a field manager, a kind and a name', async () => {
      const { raw, path } = current();
      const contentType = 'application/apply-patch+yaml';
      const send = (query: string, body: Body) =>
        raw.request('PATCH', path('configmaps', 'asked') + query, { body, contentType });
      expect(await send('', configMap('asked'))).toMatchObject({
        status: 422,
        body: { details: { causes: [{ reason: 'FieldValueRequired', field: 'fieldManager' }] } },
      });
      expect((await send('?fieldManager=fleet', { metadata: { name: 'asked' } })).status).toBe(400);
      expect((await send('?fieldManager=fleet', { apiVersion: 'v1', kind: 'ConfigMap' })).status).toBe(400);
    });

    it('does not write on a dry run', async () => {
      const name = unique('apply-dry');
      expect((await current().apply('configmaps', configMap(name), { query: 'dryRun=All' })).status).toBe(201);
      expect((await current().get('configmaps', name)).status).toBe(404);
    });

    it('writes a status by its endpoint', async () => {
      const name = unique('apply-status');
      await current().apply('deployments', deployment(name));
      const path = `${current().path('deployments', name)}/status?fieldManager=node&force=true`;
      const body = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name }, status: { collisionCount: 2 } };
      const answer = await current().raw.request('PATCH', path, { body, contentType: 'application/apply-patch+yaml' });
      expect(answer).toMatchObject({
        status: 200,
        body: { status: { collisionCount: 2 }, metadata: { generation: 1 } },
      });
    });

    it('refuses to turn a rolling update into Recreate while the defaulted parameters stay', async () => {
      const name = unique('strategy');
      await current().apply('deployments', deployment(name));
      const answer = await current().apply('deployments', deployment(name, { strategy: { type: 'Recreate' } }));
      expect(answer.status).toBe(422);
      expect(at(answer, 'details.causes')).toMatchObject([
        { reason: 'FieldValueForbidden', field: 'spec.strategy.rollingUpdate' },
      ]);
    });
  });
}
