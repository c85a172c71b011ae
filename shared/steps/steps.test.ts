import { describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import type { Placement, TenantCluster, TenantHttp } from '#shared/domain/instance/ports.ts';
import { done, missing } from '#shared/domain/operation/step.ts';
import { exampleContext, exampleCredentials, exampleInstance, exampleServer } from '#shared/testing/examples.ts';
import { fakeInstancePorts } from '#shared/testing/fakes/instance-ports.ts';
import { createCredentials } from './credentials/create-credentials.ts';
import { createRoles } from './database/create-roles.ts';
import { initialisationJob } from './database/initialisation-job.ts';
import { personaliseDatabase } from './database/personalise-database.ts';
import { placeInstance } from './placement/place-instance.ts';
import { applyPart } from './runtime/apply-part.ts';
import { waitUntilReady } from './runtime/wait-until-ready.ts';

describe('the credentials', () => {
  test('are made once, three different ones that are safe in files and URLs', async () => {
    const { world, ports } = fakeInstancePorts();
    const step = createCredentials(ports);
    const context = exampleContext();
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toEqual(done);
    const made = Object.values(context.credentials ?? {});
    expect(made).toHaveLength(3);
    expect(new Set(made).size).toBe(3);
    for (const password of made) expect(password).toMatch(/^[A-Za-z0-9_-]{24}$/);
    expect(world.secret).toEqual(context.credentials);
  });

  test('that are there are never overwritten, not even by an act', async () => {
    const { world, ports } = fakeInstancePorts();
    world.secret = exampleCredentials;
    const step = createCredentials(ports);
    const looked = exampleContext();
    expect(await step.look(looked)).toEqual(done);
    expect(looked.credentials).toEqual(exampleCredentials);
    // another process was faster between look and act
    const acted = exampleContext();
    expect(await step.act(acted)).toEqual(done);
    expect(acted.credentials).toEqual(exampleCredentials);
    expect(world.secret).toEqual(exampleCredentials);
    expect(world.did).toEqual([]);
  });

  test('that are gone stop the steps that need them', async () => {
    const { ports } = fakeInstancePorts();
    await expect(createRoles(ports).act(exampleContext())).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('Restore it, or cancel the operation.'),
    });
  });

  test('go with a cancel', async () => {
    const { world, ports } = fakeInstancePorts();
    await createCredentials(ports).undo?.(exampleContext());
    expect(world.did).toEqual(['remove secret']);
  });
});

describe('the database', () => {
  test('gets its roles with the password of the Secret and the connections of the plan', async () => {
    const { world, ports } = fakeInstancePorts();
    world.secret = exampleCredentials;
    const step = createRoles(ports);
    expect(await step.look(exampleContext())).toEqual(missing);
    expect(await step.act(exampleContext())).toEqual(done);
    expect(world.did).toEqual(['create roles of-the-database 16']);
    expect(await step.look(exampleContext())).toEqual(done);
  });

  test('is made the instance’s own, once', async () => {
    const { world, ports } = fakeInstancePorts();
    world.secret = exampleCredentials;
    const step = personaliseDatabase(ports);
    expect(await step.look(exampleContext())).toEqual(missing);
    expect(await step.act(exampleContext())).toEqual(done);
    expect(world.did).toEqual(['personalise of-the-admin https://acme.odoo.example']);
    expect(await step.look(exampleContext())).toEqual(done);
  });

  test('its init Job has the password in its file and nowhere else', () => {
    const job = initialisationJob(exampleContext(), {
      name: 'odoo-abcdefgh2345-init-2c3d4e5f-1',
      databasePassword: 'secret',
    });
    const { odooConf, ...rest } = job;
    expect(odooConf).toContain('db_password = secret');
    expect(JSON.stringify(rest)).not.toContain('secret');
    expect(rest).toMatchObject({ owner: 'abcdefgh2345', image: 'odoo@sha256:0' });
    expect(rest.command.join(' ')).toContain('--init=base,crm');
  });
});

describe('the placement', () => {
  const placement = (did: string[]): Placement => ({
    place: async ({ fence }, instanceId) => {
      did.push(`place ${instanceId} ${fence}`);
      return exampleServer({ id: 'two' });
    },
    release: async (_operation, instanceId) => void did.push(`release ${instanceId}`),
  });

  test('is made once, and later steps see it', async () => {
    const did: string[] = [];
    const step = placeInstance({ placement: placement(did) });
    const context = exampleContext({ instance: exampleInstance({ databaseServer: null }) });
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toEqual(done);
    expect(context.instance.databaseServer?.id).toBe('two');
    expect(await step.look(context)).toEqual(done);
    await step.undo?.(context);
    expect(did).toEqual(['place abcdefgh2345 3', 'release abcdefgh2345']);
  });

  test('is what every step after it relies on', async () => {
    const { ports } = fakeInstancePorts();
    const context = exampleContext({ instance: exampleInstance({ databaseServer: null }) });
    await expect(createRoles(ports).look(context)).rejects.toMatchObject({ code: 'internal' });
  });
});

describe('in the cluster', () => {
  type Found = { part?: 'done' | 'missing'; available?: boolean; answers?: boolean; looks?: string[] };
  const makePorts = ({ part = 'missing', available = true, answers = true, looks = [] }: Found) => {
    const cluster: TenantCluster = {
      look: async (_instance, which, wanted) => {
        looks.push(`look ${which} ${wanted.fence} ${wanted.credentials?.databasePassword}`);
        return part;
      },
      apply: async (_instance, which, wanted) => void looks.push(`apply ${which} ${wanted.databaseServer.id}`),
      remove: async (_instance, which, { fence }) => void looks.push(`remove ${which} ${fence}`),
      lookScale: async () => 'done',
      applyScale: async () => {},
      isGone: async () => true,
      countPods: async () => 0,
      availability: async () => ({ available, reason: '0 of 1 replicas' }),
    };
    const http: TenantHttp = {
      loginPageAnswers: async () => {
        looks.push('page');
        return { answers, reason: 'status 502' };
      },
    };
    return { cluster, http };
  };

  test('a part is applied as the row wants it, and looked at before', async () => {
    const looks: string[] = [];
    const { world, ports } = fakeInstancePorts();
    world.secret = exampleCredentials;
    const step = applyPart('deployment', { ...ports, ...makePorts({ looks }) });
    expect(step.name).toBe('deployment');
    const context = exampleContext();
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toEqual(done);
    await step.undo?.(context);
    expect(looks).toEqual(['look deployment 3 of-the-database', 'apply deployment one', 'remove deployment 3']);
    expect(await applyPart('service', { ...ports, ...makePorts({ part: 'done' }) }).look(context)).toEqual(done);
  });

  test('the Secret is read once per lease, whatever the number of parts', async () => {
    const { world, ports } = fakeInstancePorts();
    world.secret = exampleCredentials;
    let reads = 0;
    const credentials = { ...ports.credentials, read: async () => ((reads += 1), world.secret) };
    const context = exampleContext();
    for (const part of ['configuration', 'volume', 'service'] as const) {
      await applyPart(part, { ...makePorts({}), credentials }).look(context);
    }
    expect(reads).toBe(1);
  });

  test('an instance is ready when its Deployment is available and its login page answers', async () => {
    const both = waitUntilReady(makePorts({}));
    expect(await both.look(exampleContext())).toEqual(done);
    expect(await both.act(exampleContext())).toEqual(done);
  });

  test('without an available Deployment the page is not asked for', async () => {
    const looks: string[] = [];
    const step = waitUntilReady(makePorts({ available: false, looks }));
    const wanted = { found: 'waiting', for: 'Deployment: 0 of 1 replicas', checkAfterMs: 5_000 };
    expect(await step.look(exampleContext())).toEqual(wanted);
    expect(looks).toEqual([]);
  });

  test('a page that does not answer yet is asked for again soon', async () => {
    const step = waitUntilReady(makePorts({ answers: false }));
    const wanted = { found: 'waiting', for: 'login page: status 502', checkAfterMs: 1_000 };
    expect(await step.look(exampleContext())).toEqual(wanted);
  });

  test('waiting for readiness makes nothing that a cancel would have to undo', () => {
    expect(waitUntilReady(makePorts({})).undo).toBeUndefined();
  });
});

test('a failure of a port is the failure of its step', async () => {
  const { ports } = fakeInstancePorts();
  const failure = new Failure('unavailable', 'The server is away.');
  const databases = { ...ports.databases, hasRoles: () => Promise.reject(failure) };
  await expect(createRoles({ ...ports, databases }).look(exampleContext())).rejects.toBe(failure);
});
