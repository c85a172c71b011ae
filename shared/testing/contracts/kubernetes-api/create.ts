import { Agent } from 'undici';
import { describe, expect, it } from 'vitest';
import { readKubeconfig } from '#shared/sandbox/kubernetes/kubeconfig.ts';
import type { Cluster } from './cluster.ts';
import { at, text, unique } from './cluster.ts';
import { configMap, deployment, secret, service, withMetadata } from './examples.ts';

export function createContract(current: () => Cluster): void {
  describe('access', () => {
    it('answers 401 with a Status to a caller without credentials', async () => {
      const access = await readKubeconfig(current().kubeconfigFile);
      const agent = new Agent({ connect: access.ca === undefined ? {} : { ca: access.ca } });
      const response = await agent.request({ origin: access.url, path: '/api/v1/namespaces', method: 'GET' });
      const body = await response.body.json();
      await agent.close();
      expect(response.statusCode).toBe(401);
      expect(body).toMatchObject({ kind: 'Status', status: 'Failure', reason: 'Unauthorized', code: 401 });
    });

    it('tells its version and that it is ready', async () => {
      const { raw } = current();
      expect((await raw.request('GET', '/version')).body).toMatchObject({ major: '1', minor: '34' });
      expect(await raw.request('GET', '/readyz')).toMatchObject({ status: 200, body: { text: 'ok' } });
      expect(await raw.request('GET', '/livez')).toMatchObject({ status: 200 });
    });

    it('lists the kinds of a group', async () => {
      const { raw } = current();
      const { body } = await raw.request('GET', '/apis/apps/v1');
      expect(body['resources']).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ name: 'deployments', kind: 'Deployment', namespaced: true }),
        ]),
      );
      expect((await raw.request('GET', '/apis')).body).toMatchObject({ kind: 'APIGroupList' });
      expect((await raw.request('GET', '/api')).body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
    });
  });

  describe('create', () => {
    it('answers 201 with identity, version, time and the manager of the fields', async () => {
      const name = unique('created');
      const answer = await current().create('configmaps', configMap(name));
      expect(answer.status).toBe(201);
      expect(answer.body).toMatchObject({
        kind: 'ConfigMap',
        apiVersion: 'v1',
        data: { key: 'value' },
        metadata: {
          name,
          namespace: current().namespace,
          uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
          resourceVersion: expect.stringMatching(/^\d+$/),
          creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
          managedFields: [{ manager: 'fleet', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1' }],
        },
      });
      expect(at(answer, 'metadata.managedFields.0.fieldsV1')).toMatchObject({ 'f:data': { 'f:key': {} } });
      expect((await current().get('configmaps', name)).body).toEqual(answer.body);
    });

    it('makes a name of generateName', async () => {
      const body = { metadata: { generateName: 'generated-' } };
      const answers = [await current().create('configmaps', body), await current().create('configmaps', body)];
      const names = answers.map((answer) => text(answer, 'metadata.name'));
      for (const name of names) expect(name).toMatch(/^generated-[a-z0-9]{5}$/);
      expect(names[0]).not.toBe(names[1]);
    });

    it('refuses a name that is taken with 409 AlreadyExists', async () => {
      const name = unique('taken');
      await current().create('secrets', secret(name));
      const answer = await current().create('secrets', secret(name));
      expect(answer.status).toBe(409);
      expect(answer.body).toMatchObject({
        kind: 'Status',
        apiVersion: 'v1',
        status: 'Failure',
        reason: 'AlreadyExists',
        code: 409,
        message: `secrets "${name}" already exists`,
        details: { name, kind: 'secrets' },
      });
    });

    it('names group and resource of what is not found', async () => {
      const answer = await current().get('deployments', 'absent');
      expect(answer.status).toBe(404);
      expect(answer.body).toMatchObject({
        reason: 'NotFound',
        message: 'deployments.apps "absent" not found',
        details: { name: 'absent', group: 'apps', kind: 'deployments' },
      });
    });

    it('answers 404 when the namespace does not exist, and an empty list', async () => {
      const { raw } = current();
      const path = '/api/v1/namespaces/no-such-namespace/configmaps';
      const answer = await raw.request('POST', path, { body: configMap('x') });
      expect(answer).toMatchObject({ status: 404, body: { reason: 'NotFound', details: { kind: 'namespaces' } } });
      expect(await raw.request('GET', path)).toMatchObject({ status: 200, body: { items: [] } });
    });

    it.each([
      ['configmaps', 'Upper', 'lowercase RFC 1123 subdomain'],
      ['secrets', 'under_score', 'lowercase RFC 1123 subdomain'],
      ['configmaps', 'x'.repeat(254), 'must be no more than 253'],
      ['services', '1digit', 'DNS-1035 label'],
      ['services', 'dotted.name', 'DNS-1035 label'],
    ])('refuses the name of %s: %s', async (plural, name, message) => {
      const body = plural === 'services' ? service(name) : { metadata: { name } };
      const answer = await current().create(plural, body);
      expect(answer.status).toBe(422);
      expect(answer.body).toMatchObject({
        reason: 'Invalid',
        details: { name, causes: [{ reason: 'FieldValueInvalid', field: 'metadata.name' }] },
      });
      expect(text(answer, 'details.causes.0.message')).toContain(message);
    });

    it('refuses an object without a name', async () => {
      const answer = await current().create('configmaps', { metadata: {} });
      expect(answer.status).toBe(422);
      expect(answer.body).toMatchObject({
        reason: 'Invalid',
        details: { causes: [{ reason: 'FieldValueRequired', field: 'metadata.name' }] },
      });
    });

    it.each([[{ key: 'not a value' }], [{ 'not a key': 'value' }], [{ key: 'x'.repeat(64) }]])(
      'refuses the labels %j',
      async (labels) => {
        const answer = await current().create('configmaps', withMetadata(configMap(unique('label')), { labels }));
        expect(answer.status).toBe(422);
        expect(answer.body).toMatchObject({ details: { causes: [{ field: 'metadata.labels' }] } });
      },
    );

    it('refuses a body of another kind, name or namespace with 400', async () => {
      const answers = [
        await current().create('configmaps', { ...configMap('x'), kind: 'Secret', data: {} }),
        await current().create('configmaps', { ...configMap('x'), apiVersion: 'apps/v1' }),
        await current().create('configmaps', withMetadata(configMap('x'), { namespace: 'default' })),
        await current().replace('configmaps', 'y', configMap('x')),
        await current().raw.request('POST', current().path('configmaps'), { body: '{ not json' }),
      ];
      for (const answer of answers) expect(answer).toMatchObject({ status: 400, body: { reason: 'BadRequest' } });
    });

    it('leaves unknown fields out with a warning, and refuses them when asked to be strict', async () => {
      const body = { ...configMap(unique('unknown')), bogus: 1 };
      const lenient = await current().create('configmaps', body);
      expect(lenient.status).toBe(201);
      expect(lenient.body).not.toHaveProperty('bogus');
      expect(lenient.headers['warning']).toBe('299 - "unknown field \\"bogus\\""');
      const strict = await current().create('configmaps', body, { query: 'fieldValidation=Strict' });
      expect(strict).toMatchObject({ status: 400, body: { reason: 'BadRequest' } });
      expect(text(strict, 'message')).toContain('strict decoding error: unknown field "bogus"');
    });

    it('refuses values of the wrong type with 400', async () => {
      const answers = [
        await current().create('configmaps', configMap('typed', { key: 1 })),
        await current().create('deployments', deployment('typed', { replicas: 'two' })),
        await current().create('secrets', secret('typed', { data: { key: '***' } })),
        await current().create(
          'deployments',
          deployment('typed', {}, [{ name: 'a', image: 'b', resources: { limits: { cpu: 'much' } } }]),
        ),
      ];
      for (const answer of answers) {
        expect(answer).toMatchObject({ status: 400, body: { reason: 'BadRequest' } });
        expect(text(answer, 'message')).toContain('cannot be handled as a');
      }
    });

    it('stores nothing on a dry run', async () => {
      const name = unique('dry');
      const answer = await current().create('configmaps', configMap(name), { query: 'dryRun=All' });
      expect(answer).toMatchObject({ status: 201, body: { metadata: { name, uid: expect.any(String) } } });
      expect((await current().get('configmaps', name)).status).toBe(404);
    });
  });
}
