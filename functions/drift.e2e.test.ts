import { beforeAll, describe, expect, it } from 'vitest';
import { kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { labelsOf } from '#shared/adapters/kubernetes/resources/labels.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import {
  createByHand,
  deleteByHand,
  type Editable,
  editByHand,
  expectMended,
  expectReported,
  failedRepair,
  forgetFindings,
  lookAgain,
  nothingGoesOn,
  objectOf,
  openFindings,
  repairsOf,
} from '#shared/testing/drift.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { carryOut, instanceSeen, lifeRequest, outcomeOf, pageAnswers, runningInstance } from '#shared/testing/life.ts';
import { expectAsBefore, expectUntouched, worldOf } from '#shared/testing/world.ts';

// Objects of the cluster that somebody deletes or changes by hand.

const fleet = fleetOfThisFile({ waitsForWarm: true, functionSettings: { RECONCILE_EVERY_MS: '3600000' } });

let id: string;
let object: string;
beforeAll(async () => {
  [id] = await Promise.all([runningInstance(fleet(), 'drifts'), runningInstance(fleet(), 'bystander')]);
  ({ object } = namesOf(id));
});

describe('what is gone from the cluster is made again:', () => {
  it.each([
    ['the Deployment', 'deployment-missing', kinds.deployment, () => object],
    ['the Service', 'service-missing', kinds.service, () => object],
    ['the Ingress', 'ingress-missing', kinds.ingress, () => object],
    ['the NetworkPolicy', 'network-policy-missing', kinds.networkPolicy, () => object],
    ['the Secret with odoo.conf', 'configuration-missing', kinds.secret, () => namesOf(id).configurationSecret],
  ] as const)('%s', async (_what, finding, kind, nameOf) => {
    const name = nameOf();
    await expectMended(fleet(), {
      instance: id,
      finds: [finding],
      drift: () => deleteByHand(fleet(), kind, name),
      madeAnew: [`${kind.kind}/${name}`],
    });
    await pageAnswers(fleet(), 'drifts', 200);
  });
});

type Edited = {
  spec: {
    replicas: number;
    rules: { host: string }[];
    template: { spec: { containers: { image: string; resources: { limits: Record<string, string> } }[] } };
  };
  data: Record<string, string>;
};

describe('what was changed in the cluster is put back:', () => {
  it.each([
    ['replicas', 'replicas-wrong', kinds.deployment, ({ spec }: Edited) => Object.assign(spec, { replicas: 0 })],
    [
      'the image',
      'image-wrong',
      kinds.deployment,
      ({ spec }: Edited) => Object.assign(spec.template.spec.containers[0] ?? {}, { image: 'odoo:18' }),
    ],
    [
      'resources',
      'resources-wrong',
      kinds.deployment,
      ({ spec }: Edited) => Object.assign(spec.template.spec.containers[0]?.resources.limits ?? {}, { cpu: '16' }),
    ],
    [
      'the host of the Ingress',
      'ingress-changed',
      kinds.ingress,
      ({ spec }: Edited) => Object.assign(spec.rules[0] ?? {}, { host: 'somewhere.localhost' }),
    ],
  ] as const)('%s', async (_what, finding, kind, edit) => {
    await expectMended(fleet(), {
      instance: id,
      finds: [finding],
      drift: () => editByHand(fleet(), { kind, name: object }, edit),
    });
    await pageAnswers(fleet(), 'drifts', 200);
  });

  it('the content of odoo.conf', async () => {
    const name = namesOf(id).configurationSecret;
    const before = (await objectOf<Edited>(fleet(), kinds.secret, name))?.data;
    await expectMended(fleet(), {
      instance: id,
      finds: ['configuration-changed'],
      drift: () =>
        editByHand(fleet(), { kind: kinds.secret, name }, ({ data }: Edited) => {
          for (const key of Object.keys(data)) data[key] = Buffer.from('[options]\n').toString('base64');
        }),
    });
    expect(Object.keys((await objectOf<Edited>(fleet(), kinds.secret, name))?.data ?? {})).toEqual(
      Object.keys(before ?? {}),
    );
    await pageAnswers(fleet(), 'drifts', 200);
  });
});

describe('what cannot be made again is told of and left alone:', () => {
  it.each([
    ['the credentials', 'credentials-missing', kinds.secret, (one: string) => namesOf(one).credentialsSecret],
    ['the volume', 'volume-missing', kinds.volumeClaim, (one: string) => namesOf(one).object],
  ] as const)('%s; also by a repair that is asked for by hand', async (what, finding, kind, nameOf) => {
    const name = what === 'the volume' ? 'unvolumed' : 'uncredentialed';
    const one = await runningInstance(fleet(), name);
    await expectReported(fleet(), {
      about: one,
      finds: [finding],
      drift: () => deleteByHand(fleet(), kind, nameOf(one)),
      shard: one.slice(0, 1),
    });
    // Beside something that would be repaired: nothing is asked for that must fail.
    await expectReported(fleet(), {
      about: one,
      finds: [finding, 'network-policy-missing'],
      drift: () => deleteByHand(fleet(), kinds.networkPolicy, namesOf(one).object),
      shard: one.slice(0, 1),
    });
    const { error_code, error_text } = await failedRepair(fleet(), one);
    expect(error_code).toBe('not-found');
    const gone = what === 'the volume' ? 'volume claim' : 'credentials Secret';
    expect(error_text).toContain(`${gone} of instance ${one} is gone`);
    expect(await objectOf(fleet(), kind, nameOf(one))).toBeUndefined();
  });
});

describe('what must not run', () => {
  it('goes down again when a suspended instance is scaled up by hand', async () => {
    const one = await runningInstance(fleet(), 'freerider');
    await carryOut(fleet(), 'suspend', one, { cause: 'billing' });
    await pageAnswers(fleet(), 'freerider', 402);
    const name = namesOf(one).object;
    await expectMended(fleet(), {
      instance: one,
      finds: ['replicas-wrong'],
      drift: async () => {
        await editByHand(fleet(), { kind: kinds.deployment, name }, ({ spec }: Edited) => {
          spec.replicas = 1;
        });
        await until('a pod', async () => (await podsOf(one)).length > 0);
      },
    });
    expect(await podsOf(one)).toEqual([]);
    await pageAnswers(fleet(), 'freerider', 402);
  });

  it('is taken away when a terminated instance has an object again', async () => {
    const one = await runningInstance(fleet(), 'undead');
    const name = namesOf(one).object;
    const old = await objectOf<Edited>(fleet(), kinds.deployment, name);
    await carryOut(fleet(), 'terminate', one);
    await expectMended(fleet(), {
      instance: one,
      finds: ['still-in-cluster'],
      drift: () =>
        createByHand(fleet(), kinds.deployment, { metadata: { name, labels: labelsOf(one) }, spec: old?.spec }),
    });
    expect(await objectOf(fleet(), kinds.deployment, name)).toBeUndefined();
    expect(await instanceSeen(fleet(), one)).toMatchObject({ status: 'terminated', host: null });
  });
});

async function podsOf(instanceId: string): Promise<string[]> {
  const { objects } = await fleet().tracesOf(instanceId);
  return objects.filter((name) => name.startsWith('Pod/'));
}

describe('what is not ours', () => {
  it('is not adopted: a Service with our name and somebody else’s mark', async () => {
    await forgetFindings(fleet());
    const one = await runningInstance(fleet(), 'claimed');
    const { object: name } = namesOf(one);
    await editByHand<Editable>(fleet(), { kind: kinds.service, name }, ({ metadata }) => {
      metadata.labels['app.kubernetes.io/managed-by'] = 'helm';
    });
    const before = await worldOf(fleet());
    await lookAgain(fleet(), { instance: one });
    expect((await openFindings(fleet(), one)).map(({ kind }) => kind)).toEqual(['service-missing']);
    await until('the repair', async () => (await repairsOf(fleet(), one))[0]?.state === 'failed');
    const [repair] = await repairsOf(fleet(), one);
    expect(repair).toMatchObject({ error_code: 'foreign-object', error_text: expect.stringContaining(name) });
    const after = await worldOf(fleet());
    expect(after[`Service/${name}`]).toEqual(before[`Service/${name}`]);
    expectAsBefore(before, after, { instance: one });
    expectUntouched(before, after, { but: [one] });
  });

  it('with our label and no record is told of, never deleted', async () => {
    const nobody = 'zzzzzzzzzzzz';
    const { object: name } = namesOf(nobody);
    const metadata = { name, labels: labelsOf(nobody) };
    await expectReported(fleet(), {
      about: nobody,
      finds: ['orphan-object'],
      drift: () => createByHand(fleet(), kinds.secret, { metadata, type: 'Opaque' }),
      shard: 'z',
    });
    expect(await objectOf(fleet(), kinds.secret, name)).toBeDefined();
  });

  it('and claims an instance’s host is told of', async () => {
    const ingress = await objectOf<{ spec: object }>(fleet(), kinds.ingress, object);
    await expectReported(fleet(), {
      about: id,
      finds: ['host-clash'],
      drift: () => createByHand(fleet(), kinds.ingress, { metadata: { name: 'theirs' }, spec: ingress?.spec }),
      shard: id.slice(0, 1),
    });
    await deleteByHand(fleet(), kinds.ingress, 'theirs');
  });
});

it('a status whose event was lost is put right by the look itself', async () => {
  await fleet().rows(`update instances set status = 'error' where id = $1 returning id`, [id]);
  await lookAgain(fleet(), { instance: id });
  const text = `select 1 from outbox where subject = $1 and type like '%.status.changed'
    and data ->> 'from' = 'error' and data ->> 'reason' like 'The cluster reports it available%'`;
  await until('the change to be told', async () => (await fleet().rows(text, [id])).length > 0);
  expect(await instanceSeen(fleet(), id)).toMatchObject({ status: 'running' });
});

it('a repair that nothing calls for changes nothing', async () => {
  await nothingGoesOn(fleet());
  const before = await worldOf(fleet());
  const event = lifeRequest('repair', id);
  await fleet().publish(event);
  expect(await outcomeOf(fleet(), event)).toBe('accepted');
  await until('the repair', async () => (await repairsOf(fleet(), id)).every(({ state }) => state === 'succeeded'));
  const after = await worldOf(fleet());
  // its fence apart, which keeps older operations out
  expectAsBefore(before, after, { instance: id });
  expectUntouched(before, after, { but: [id] });
});
