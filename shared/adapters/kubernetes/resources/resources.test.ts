import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instance, Plan } from '#shared/domain/instance/instance.ts';
import { exampleInstance, exampleServer } from '#shared/testing/examples.ts';
import { configurationSecret } from './configuration-secret.ts';
import { credentialsSecret, readCredentials } from './credentials-secret.ts';
import { deployments } from './deployment.ts';
import { ingresses } from './ingress.ts';
import { odooJob } from './job.ts';
import { full, job, settings, worker } from './jobs.fixture.ts';
import { networkPolicy } from './network-policy.ts';
import { service } from './service.ts';
import type { ClusterSettings } from './settings.ts';
import { volumeClaim } from './volume-claim.ts';
import { workerJob } from './worker-job.ts';

const plan: Plan = {
  id: 'basic',
  cpuMillis: 1500,
  memoryMib: 1025,
  diskGib: 10,
  workers: 0,
  cronThreads: 2,
  databaseConnections: 16,
  replicas: 1,
};

const databaseServer = exampleServer({ host: '10.0.0.5', sslMode: 'require' });

const instance = exampleInstance({
  host: 'shop.example.com',
  plan,
  image: { ...exampleInstance().image, reference: 'registry.example.com/odoo@sha256:00' },
  databaseServer,
});

const withPlan = (changes: Partial<Plan>): Instance => ({ ...instance, plan: { ...plan, ...changes } });
const specsOf = (of: Instance, configurationHash = 'hash') => deployments(of, { settings, configurationHash });
const credentials = { databasePassword: 'db-secret', adminPassword: 'admin-secret', masterPassword: 'master-secret' };

describe('objects of an instance', () => {
  it('are these for a plan of one process', () => {
    expect({
      credentials: credentialsSecret(instance.id, settings.namespace, credentials),
      configuration: configurationSecret(instance.id, settings.namespace, {
        odooConf: '[options]\n',
        formHash: 'form',
      }),
      volume: volumeClaim(instance, settings),
      networkPolicy: networkPolicy(instance, { settings, databaseServer }),
      deployments: specsOf(instance),
      service: service(instance, settings.namespace),
      ingress: ingresses(instance, settings)[0],
    }).toMatchSnapshot();
  });

  it('are these with workers, three replicas and every setting of the cluster', () => {
    const large = withPlan({ workers: 2, replicas: 3 });
    expect({
      volume: volumeClaim(large, full),
      networkPolicy: networkPolicy(large, {
        settings: full,
        databaseServer: { ...databaseServer, host: 'pg.example.com', port: 6432 },
      }),
      deployments: deployments(large, { settings: full, configurationHash: 'hash' }),
      ingress: ingresses(large, full)[0],
    }).toMatchSnapshot();
  });

  it('send websockets to the gevent process only when there is one', () => {
    const port = (of: Instance) =>
      ingresses(of, settings)[0]?.spec?.rules?.[0]?.http?.paths[0]?.backend.service?.port?.number;
    expect(port(withPlan({ workers: 2 }))).toBe(8072);
    expect(port(withPlan({ workers: 0 }))).toBe(8069);
  });

  it('have no pods while the instance is not wanted to run', () => {
    const replicasOf = (changes: Partial<Instance>) =>
      specsOf({ ...withPlan({ replicas: 2 }), ...changes }).map(({ spec }) => spec?.replicas);
    expect(replicasOf({})).toEqual([2, 1]);
    expect(replicasOf({ desiredState: 'stopped' })).toEqual([0, 0]);
    expect(replicasOf({ suspensions: ['billing'] })).toEqual([0, 0]);
  });

  it('send the whole host to the suspension page while a suspension is open, and abuse is told first', () => {
    const backends = (suspensions: Instance['suspensions']) =>
      ingresses({ ...withPlan({ workers: 2 }), suspensions }, settings)[0]?.spec?.rules?.[0]?.http?.paths.map(
        ({ backend }) => `${backend.service?.name}:${backend.service?.port?.name ?? backend.service?.port?.number}`,
      );
    expect(backends([])).toEqual(['odoo-abcdefgh2345:8072', 'odoo-abcdefgh2345:8069']);
    expect(backends(['billing'])).toEqual(['suspension-page:billing', 'suspension-page:billing']);
    expect(backends(['billing', 'abuse'])).toEqual(['suspension-page:abuse', 'suspension-page:abuse']);
  });

  describe('for hosts of customers', () => {
    const domains = ['acme.com', 'shop.acme.com'];
    const issued: ClusterSettings = { ...full, certificateIssuer: 'letsencrypt' };

    it('are none while there is no proven one', () => {
      expect(ingresses(instance, issued)).toHaveLength(1);
    });

    it('lead to the same place as the own one, which does not change', () => {
      const [own, customers] = ingresses({ ...instance, domains }, full);
      expect(own).toEqual(ingresses(instance, full)[0]);
      expect(customers?.metadata?.name).toBe('odoo-abcdefgh2345-domains');
      expect(customers?.spec?.rules?.map(({ host }) => host)).toEqual(domains);
      const paths = own?.spec?.rules?.[0]?.http?.paths;
      expect(customers?.spec?.rules?.map(({ http }) => http?.paths)).toEqual([paths, paths]);
      const [, suspended] = ingresses({ ...instance, domains, suspensions: ['billing'] }, full);
      expect(JSON.stringify(suspended?.spec?.rules)).toContain('suspension-page');
    });

    it('have a certificate each by the platform’s issuer, and the wildcard is left alone', () => {
      const [own, customers] = ingresses({ ...instance, domains }, issued);
      expect(own?.metadata?.annotations).toEqual(full.ingressAnnotations);
      expect(customers?.metadata?.annotations).toEqual({
        ...full.ingressAnnotations,
        'cert-manager.io/cluster-issuer': 'letsencrypt',
      });
      const tls = customers?.spec?.tls ?? [];
      expect(tls.map(({ hosts }) => hosts)).toEqual([['acme.com'], ['shop.acme.com']]);
      const secrets = tls.map(({ secretName = '' }) => secretName);
      expect(new Set(secrets).size).toBe(2);
      expect(secrets.every((name) => /^odoo-abcdefgh2345-certificate-[0-9a-f]{12}$/.test(name))).toBe(true);
      expect(secrets).not.toContain('wildcard');
    });

    it('have none where the platform has no issuer', () => {
      const [, customers] = ingresses({ ...instance, domains }, full);
      expect(customers?.spec?.tls).toBeUndefined();
      expect(customers?.metadata?.annotations).toEqual(full.ingressAnnotations);
    });
  });

  it('of a staging copy reach DNS, its own database server and the sink, and have no other way for mails and requests', () => {
    const copy = { ...instance, clonedFrom: 'zyxwvutsrq76' };
    const { spec } = networkPolicy(copy, { settings: full, databaseServer });
    const sink = { podSelector: { matchLabels: { 'app.kubernetes.io/name': 'outbound-sink' } } };
    expect(spec.egress?.map(({ to, ports }) => [to, ports?.map(({ port }) => port)])).toEqual([
      [[{ namespaceSelector: { matchLabels: expect.any(Object) } }], [53, 53]],
      [[{ ipBlock: { cidr: `${databaseServer.host}/32` } }], [databaseServer.port]],
      [[sink], [2525, 3128]],
    ]);
    const environment = specsOf(copy).map(({ spec: of }) => of?.template.spec?.containers[0]?.env);
    expect(environment[0]).toContainEqual({
      name: 'https_proxy',
      value: `http://${instance.id}:staging@outbound-sink:3128`,
    });
    expect(JSON.stringify(specsOf(instance))).not.toContain('outbound-sink');
  });

  it('of a copy have no way to a database server that is known by name, unless its networks are known', () => {
    const named = { ...databaseServer, host: 'pg.example.com' };
    const ways = (of: Instance, databaseCidrs?: string[]) =>
      networkPolicy(of, { settings: { ...settings, ...(databaseCidrs && { databaseCidrs }) }, databaseServer: named })
        .spec.egress?.filter(({ ports }) => ports?.some(({ port }) => port === databaseServer.port))
        .map(({ to }) => to?.map(({ ipBlock }) => ipBlock?.cidr));
    const copy = { ...instance, clonedFrom: 'zyxwvutsrq76' };
    expect([ways(instance), ways(copy)]).toEqual([[undefined], []]);
    const cidrs = ['10.1.0.0/16', 'fd00::/64'];
    expect([ways(instance, cidrs), ways(copy, cidrs)]).toEqual([[cidrs], [cidrs]]);
  });

  it('carry their shard, which no selector names', () => {
    const [web] = specsOf(withPlan({ replicas: 2 }));
    expect(web?.metadata?.labels?.['odoofleet.dev/shard']).toBe('a');
    expect(JSON.stringify([web?.spec?.selector, web?.spec?.template.spec?.affinity])).not.toContain('shard');
  });

  it('get new pods when odoo.conf changes', () => {
    const template = (hash: string) => JSON.stringify(specsOf(instance, hash)[0]?.spec?.template);
    expect(template('a')).not.toBe(template('b'));
  });

  it('get new pods by each restart', () => {
    const annotations = (restartedBy: string | null) =>
      specsOf({ ...instance, restartedBy })[0]?.spec?.template.metadata?.annotations;
    expect(annotations(null)).toEqual({ 'odoofleet.dev/configuration': 'hash' });
    expect(annotations('operation-1')).toMatchObject({ 'odoofleet.dev/restarted': 'operation-1' });
  });

  it('are let into by nobody when no client namespace is known', () => {
    const policy = networkPolicy(instance, { settings: { ...settings, clientNamespaces: [] }, databaseServer });
    expect(policy.spec.ingress).toEqual([]);
  });

  it('reach an IPv6 database server by its address', () => {
    const policy = networkPolicy(instance, { settings, databaseServer: { ...databaseServer, host: 'fd00::5' } });
    expect(policy.spec.egress?.[1]).toEqual({
      to: [{ ipBlock: { cidr: 'fd00::5/128' } }],
      ports: [{ protocol: 'TCP', port: 5432 }],
    });
  });

  it('satisfy Pod Security’s restricted profile for every plan', () => {
    const plans = fc.record({ workers: fc.nat(8), replicas: fc.integer({ min: 1, max: 4 }), cronThreads: fc.nat(4) });
    fc.assert(
      fc.property(plans, (changes) => {
        const jobs = [odooJob(job, settings), workerJob(worker, settings)];
        const pods = [...specsOf(withPlan(changes)), ...jobs].map(({ spec }) => spec?.template.spec);
        for (const pod of pods) {
          expect(pod?.automountServiceAccountToken).toBe(false);
          expect(pod?.enableServiceLinks).toBe(false);
          expect(pod?.securityContext).toMatchObject({
            runAsNonRoot: true,
            runAsUser: 101,
            seccompProfile: { type: 'RuntimeDefault' },
          });
          for (const container of pod?.containers ?? []) {
            expect(container.securityContext).toEqual({
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ['ALL'] },
            });
          }
        }
      }),
    );
  });

  it('give the generated values to their Secret and nowhere else', () => {
    const secret = credentialsSecret(instance.id, settings.namespace, credentials);
    expect(readCredentials(secret)).toEqual(credentials);
    const { data: _data, ...rest } = secret;
    for (const value of Object.values(credentials)) {
      expect(JSON.stringify(rest)).not.toContain(value);
      expect(JSON.stringify(secret)).not.toContain(value);
    }
  });
});
