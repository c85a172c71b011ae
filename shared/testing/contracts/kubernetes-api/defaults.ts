import { describe, expect, it } from 'vitest';
import type { Body, Cluster } from './cluster.ts';
import { at, text, unique } from './cluster.ts';
import { deployment, job, pod, secret, service } from './examples.ts';

export function defaultsContract(current: () => Cluster): void {
  /** A refusal with 422 that names these fields. */
  async function expectInvalid(answer: Promise<{ status: number; body: Body }>, fields: string[]): Promise<void> {
    const { status, body } = await answer;
    expect({ status, reason: body['reason'] }).toEqual({ status: 422, reason: 'Invalid' });
    const causes = at({ body }, 'details.causes') as Body[];
    expect(causes.map((cause) => cause['field'])).toEqual(expect.arrayContaining(fields));
  }

  describe('Deployment', () => {
    it('gets the defaults that a node reads', async () => {
      const probe = { httpGet: { port: 8069 } };
      const answer = await current().create(
        'deployments',
        deployment(unique('defaults'), {}, [
          { name: 'odoo', image: 'odoo:19', livenessProbe: probe, ports: [{ containerPort: 8069 }] },
        ]),
      );
      expect(at(answer, 'spec')).toMatchObject({
        replicas: 0,
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
      });
      expect(at(answer, 'spec.template.spec')).toMatchObject({
        restartPolicy: 'Always',
        terminationGracePeriodSeconds: 30,
        containers: [
          {
            imagePullPolicy: 'IfNotPresent',
            ports: [{ containerPort: 8069, protocol: 'TCP' }],
            livenessProbe: {
              httpGet: { path: '/', port: 8069, scheme: 'HTTP' },
              timeoutSeconds: 1,
              periodSeconds: 10,
              successThreshold: 1,
              failureThreshold: 3,
            },
          },
        ],
      });
    });

    it('keeps its selector', async () => {
      const name = unique('selector');
      await current().apply('deployments', deployment(name));
      const labels = { app: 'other' };
      const template = { metadata: { labels }, spec: { containers: [{ name: 'odoo', image: 'odoo:19' }] } };
      const changed = deployment(name, { selector: { matchLabels: labels }, template });
      await expectInvalid(current().apply('deployments', changed), ['spec.selector']);
      expect(text(await current().apply('deployments', changed), 'message')).toContain('field is immutable');
    });

    it('is refused without selector and containers, or when its parts do not fit', async () => {
      const name = unique('refused');
      const bare = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name } };
      const at0 = 'spec.template.spec.containers[0]';
      const mount = { volumeMounts: [{ name: 'absent', mountPath: '/data' }] };
      await expectInvalid(current().apply('deployments', bare), ['spec.selector', 'spec.template.spec.containers']);
      await expectInvalid(current().apply('deployments', deployment(name, { replicas: -1 })), ['spec.replicas']);
      await expectInvalid(
        current().apply('deployments', deployment(name, { selector: { matchLabels: { no: 'no' } } })),
        ['spec.template.metadata.labels'],
      );
      await expectInvalid(current().apply('deployments', deployment(name, {}, [{ name: 'No', ...mount }])), [
        `${at0}.name`,
        `${at0}.image`,
        `${at0}.volumeMounts[0].name`,
      ]);
      await expectInvalid(
        current().apply('deployments', deployment(name, {}, [{ name: 'a', image: 'b', livenessProbe: {} }])),
        [`${at0}.livenessProbe`],
      );
    });
  });

  describe('Job', () => {
    it('gets a selector, labels and limits of its own', async () => {
      const name = unique('job');
      const answer = await current().apply('jobs', job(name));
      const uid = text(answer, 'metadata.uid');
      expect(answer.body).toMatchObject({
        metadata: { labels: { 'batch.kubernetes.io/job-name': name, 'job-name': name } },
        spec: {
          parallelism: 1,
          completions: 1,
          backoffLimit: 6,
          selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } },
          template: { metadata: { labels: { 'batch.kubernetes.io/controller-uid': uid, 'controller-uid': uid } } },
        },
      });
      expect((await current().apply('jobs', job(name))).status).toBe(200);
    });

    it('keeps its template', async () => {
      const name = unique('job-template');
      await current().apply('jobs', job(name));
      await expectInvalid(current().apply('jobs', job(name, 'odoo:20')), ['spec.template']);
    });

    it('needs a restart policy other than Always', async () => {
      const template = { spec: { containers: [{ name: 'a', image: 'b' }] } };
      const body = { metadata: { name: unique('job-policy') }, spec: { template } };
      await expectInvalid(current().create('jobs', body), ['spec.template.spec.restartPolicy']);
    });

    it('may only be called complete with the conditions and times that belong to it', async () => {
      const name = unique('job-status');
      await current().apply('jobs', job(name));
      const condition = (type: string) => ({ type, status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' });
      const finish = (conditions: Body[], more: Body) =>
        current().merge('jobs', `${name}/status`, { status: { ...more, conditions } });
      await expectInvalid(finish([condition('Complete')], {}), [
        'status.completionTime',
        'status.conditions',
        'status.startTime',
      ]);
      await expectInvalid(finish([condition('Failed')], { startTime: '2026-01-01T00:00:00Z' }), ['status.conditions']);
    });
  });

  describe('Secret', () => {
    it('takes text as stringData and shows it encoded', async () => {
      const answer = await current().create('secrets', secret(unique('text'), { stringData: { key: 'value' } }));
      expect(answer.body).toMatchObject({ type: 'Opaque', data: { key: Buffer.from('value').toString('base64') } });
      expect(answer.body).not.toHaveProperty('stringData');
    });

    it('keeps its data when it is immutable, and its type always', async () => {
      const name = unique('immutable');
      await current().create('secrets', secret(name, { stringData: { key: 'value' }, immutable: true }));
      await expectInvalid(current().merge('secrets', name, { data: { key: 'eA==' } }), ['data']);
      await expectInvalid(current().merge('secrets', name, { immutable: null }), ['immutable']);
      await expectInvalid(current().merge('secrets', name, { type: 'example.com/other' }), ['type']);
      expect((await current().merge('secrets', name, { metadata: { labels: { a: 'b' } } })).status).toBe(200);
    });

    it('refuses keys that are no file names', async () => {
      await expectInvalid(current().create('secrets', secret(unique('key'), { data: { 'a/b': '' } })), ['data[a/b]']);
    });
  });

  describe('Service', () => {
    it('gets an address that it keeps', async () => {
      const name = unique('service');
      const answer = await current().apply('services', service(name));
      const clusterIP = text(answer, 'spec.clusterIP');
      expect(clusterIP).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
      expect(at(answer, 'spec')).toMatchObject({
        type: 'ClusterIP',
        clusterIPs: [clusterIP],
        ports: [{ name: 'http', port: 80, targetPort: 8069, protocol: 'TCP' }],
      });
      const changed = await current().apply('services', service(name, { selector: { only: 'this' } }));
      expect(at(changed, 'spec')).toMatchObject({ clusterIP, selector: { only: 'this' } });
      expect(at(changed, 'spec.selector')).toEqual({ only: 'this' });
      await expectInvalid(current().merge('services', name, { spec: { clusterIP: '10.96.200.200' } }), [
        'spec.clusterIPs[0]',
      ]);
    });

    it('needs ports, and names for more than one', async () => {
      await expectInvalid(current().create('services', service(unique('ports'), { ports: [] })), ['spec.ports']);
      const two = service(unique('ports'), { ports: [{ port: 1 }, { port: 2 }] });
      await expectInvalid(current().create('services', two), ['spec.ports[0].name', 'spec.ports[1].name']);
    });

    it('has no address when it is headless', async () => {
      const answer = await current().create('services', service(unique('headless'), { clusterIP: 'None' }));
      expect(at(answer, 'spec')).toMatchObject({ clusterIP: 'None', clusterIPs: ['None'] });
    });
  });

  describe('other kinds', () => {
    it('PersistentVolumeClaim needs modes and a size, and keeps its spec until it is bound', async () => {
      const name = unique('claim');
      const claim = (size: string) => ({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } } },
      });
      const answer = await current().apply('persistentvolumeclaims', claim('1024Mi'));
      expect(answer.body).toMatchObject({
        spec: { volumeMode: 'Filesystem', resources: { requests: { storage: '1Gi' } } },
        status: { phase: 'Pending' },
      });
      await expectInvalid(current().apply('persistentvolumeclaims', claim('2Gi')), ['spec']);
      await current().merge('persistentvolumeclaims', `${name}/status`, {
        status: { phase: 'Bound', capacity: { storage: '1Gi' } },
      });
      await expectInvalid(
        current().create('persistentvolumeclaims', { metadata: { name: unique('bare') }, spec: {} }),
        ['spec.accessModes', 'spec.resources[storage]'],
      );
    });

    it('Ingress needs rules with a path type and a host that is a name', async () => {
      const backend = { service: { name: 'odoo', port: { name: 'http' } } };
      const ingress = (rules: Body[]) => ({ metadata: { name: unique('ingress') }, spec: { rules } });
      const rule = (path: Body, host = 'a.example.com') => ({
        host,
        http: { paths: [{ path: '/', backend, ...path }] },
      });
      const answer = await current().create('ingresses', ingress([rule({ pathType: 'Prefix' })]));
      expect(answer).toMatchObject({
        status: 201,
        body: { metadata: { generation: 1 }, status: { loadBalancer: {} } },
      });
      await expectInvalid(current().create('ingresses', ingress([rule({})])), ['spec.rules[0].http.paths[0].pathType']);
      await expectInvalid(current().create('ingresses', ingress([rule({ pathType: 'Prefix' }, 'A_b')])), [
        'spec.rules[0].host',
      ]);
      await expectInvalid(current().create('ingresses', ingress([])), ['spec']);
    });

    it('NetworkPolicy fills in protocols and the directions it rules', async () => {
      const policy = { podSelector: {}, egress: [{ ports: [{ port: 5432 }] }] };
      const answer = await current().create('networkpolicies', { metadata: { name: unique('policy') }, spec: policy });
      expect(at(answer, 'spec')).toMatchObject({
        policyTypes: ['Ingress', 'Egress'],
        egress: [{ ports: [{ port: 5432, protocol: 'TCP' }] }],
      });
    });

    it('Pod starts as Pending, and requests what its limits allow', async () => {
      const container = { name: 'odoo', image: 'odoo:19', resources: { limits: { cpu: 1, memory: '512Mi' } } };
      const answer = await current().create('pods', pod(unique('pod'), { containers: [container] }));
      expect(answer).toMatchObject({
        status: 201,
        body: { status: { phase: 'Pending' }, metadata: { generation: 1 } },
      });
      expect(at(answer, 'spec.containers.0.resources.requests')).toEqual({ cpu: '1', memory: '512Mi' });
      await expectInvalid(current().create('pods', pod(unique('pod'), { containers: [] })), ['spec.containers']);
      const changed = { spec: { containers: [{ ...container, command: ['other'] }] } };
      await expectInvalid(current().merge('pods', text(answer, 'metadata.name'), changed), ['spec']);
    });
  });
}
